"""`confcar status`: what people see on a terminal, what scripts get, and what it ends with."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from confcar.admin.documents import status_document
from confcar.admin.server import AdminServer
from confcar.cli.app import main
from confcar.cli.status import describe, paint
from confcar.status import Status
from tests.unit.admin.boards import every_state
from tests.waiting import free_port, wait_until

_ROOT = Path(__file__).parents[3]


@pytest.fixture
def board() -> Status:
    status = Status()
    status.config_loaded("/etc/confcar/confcar.yaml")
    status.add_source("local", "file")
    status.add_bundle("web", "/shared/web")
    status.update_bundle("web", state="published", generation=1, published_at=time.time())
    return status


@pytest.fixture
def server(board: Status) -> Iterator[AdminServer]:
    server = AdminServer("127.0.0.1:0", board, version="1.2.3")
    yield server
    server.close()


def described(status: Status) -> list[str]:
    document = json.loads(json.dumps(status_document(status.copy(), "1.2.3")))
    return describe(document, time.time(), paint(has_colours=False))


def test_ready_is_0(server: AdminServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--address", server.address]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("confcar 1.2.3  ready, config in force for 0 s\n")
    assert "  web                  published  generation 1, 0 s old" in printed


def test_not_ready_is_1(server: AdminServer, board: Status) -> None:
    board.add_bundle("new", "/shared/new")
    assert main(["status", "--address", server.address]) == 1


def test_no_answer_is_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--address", f"127.0.0.1:{free_port()}"]) == 3
    assert "no answer from 127.0.0.1:" in capsys.readouterr().err


def test_a_listener_that_is_off_is_3(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CONFCAR_ADMIN__LISTEN", "off")
    assert main(["status"]) == 3
    assert capsys.readouterr().err == "confcar: admin.listen is off: nobody can be asked\n"


def test_json_is_the_document_of_the_listener(server: AdminServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json", "--address", server.address]) == 0
    assert json.loads(capsys.readouterr().out)["bundles"]["web"]["generation"] == 1


def test_the_address_comes_from_its_variable_too(server: AdminServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFCAR_ADMIN__LISTEN", server.address)
    assert main(["status"]) == 0


def test_every_trouble_is_shown_with_its_reason() -> None:
    text = "\n".join(described(every_state()))
    for words in (
        "not ready",
        "the config now on disk is not in force:",
        "confcar.yaml:3:5: bundles.web.directry: unknown key",
        "waits for secret('secret/team/app') from vault",
        "site.j2:14: permission denied",
        "reload pending, tried 3 times",
        "the PID file /run/nginx.pid does not exist",
        "nothing published yet",
        "generation 13 was refused: verify by http: answered 502",
        "down       vault",
        "not read   consul, no answer yet",
    ):
        assert words in text, words


def test_the_lines_of_a_healthy_sidecar_fit_80_columns(board: Status) -> None:
    for number in range(3):
        board.add_bundle(f"bundle-{number}", "/shared/" + "x" * 100)
    board.source_answered("local")
    assert max(map(len, described(board))) <= 80


def test_on_a_terminal_it_is_coloured_and_watching_renews_it_until_interrupted(
    server: AdminServer, board: Status
) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "confcar", "status", "--watch", "--address", server.address]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=_ROOT, env=dict(os.environ))
    os.close(theirs)
    os.set_blocking(ours, False)
    shown = b""

    def has_shown(words: bytes) -> bool:
        nonlocal shown
        with suppress(BlockingIOError):
            shown += os.read(ours, 65536)
        return words in shown

    wait_until(lambda: has_shown(b"generation 1"), timeout=30.0)
    board.update_bundle("web", generation=2)
    wait_until(lambda: has_shown(b"generation 2"), timeout=30.0)
    process.send_signal(signal.SIGINT)
    assert process.wait(10.0) == 0
    os.close(ours)
    assert b"\x1b[32mready\x1b[0m" in shown
    assert b"\x1b[H\x1b[J" in shown


def test_the_primary_is_shown_with_how_it_ended_and_what_it_waits_for() -> None:
    text = "\n".join(described(every_state()))
    assert "  command              restarting  started again 3 times" in text
    assert "ended last with SIGSEGV, 4 s ago" in text
    assert "its environment waits for secret('secret/db') from vault" in text


def test_without_a_primary_none_is_shown(board: Status) -> None:
    assert "primary" not in described(board)
