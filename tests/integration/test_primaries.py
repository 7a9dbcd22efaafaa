"""The primaries of the tests themselves."""

from __future__ import annotations

import http.client
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.primaries.start import HttpPrimary, HupPrimary
from tests.servers.api import request
from tests.waiting import wait_until


def publish(directory: Path, number: int, **files: str) -> None:
    """Put a generation behind `..data`, as confcar does."""
    generation = directory / f"..generation-{number:06}"
    generation.mkdir(parents=True)
    for name, text in files.items():
        (generation / name).write_text(text)
    link = directory / "..new"
    link.symlink_to(generation.name)
    link.replace(directory / "..data")


def test_hup_primary_reads_one_generation_per_signal(tmp_path: Path) -> None:
    publish(tmp_path / "web", 1, a="1", b="1")
    with HupPrimary(tmp_path / "primary", tmp_path / "web", "a", "b", "c") as primary:
        assert primary.reads()[0].files == {"a": "1", "b": "1", "c": None}
        publish(tmp_path / "web", 2, a="2", b="2")
        assert primary.reloads() == []
        os.kill(int(primary.pid_file.read_text()), signal.SIGHUP)

        (read,) = wait_until(primary.reloads)
        assert (read.generation, read.files["a"], read.files["b"]) == ("..generation-000002", "2", "2")


def test_hup_primary_shows_that_it_catches_the_signal(tmp_path: Path) -> None:
    with HupPrimary(tmp_path / "primary", tmp_path) as primary:
        status = Path(f"/proc/{primary.pid}/status").read_text()
        caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)

        assert caught & 1 << (signal.SIGHUP - 1)


def test_hup_primary_restarted_says_so(tmp_path: Path) -> None:
    with HupPrimary(tmp_path / "primary", tmp_path) as primary:
        primary.restart()
        assert [read.event for read in primary.reads()] == ["start", "start"]


def test_http_primary_answers_in_order_and_reads_its_value_on_success(tmp_path: Path) -> None:
    value = tmp_path / "value"
    value.write_text("one")
    with HttpPrimary(tmp_path / "primary", value) as primary:
        value.write_text("two")
        primary.answer_with(503, 200)
        assert request("POST", primary.reload_url, body="b", headers={"X-Mark": "m"}).status == 503
        assert request("GET", f"{primary.address}/value").text == "one"
        assert [request("POST", primary.reload_url).status for _ in range(2)] == [200, 200]

        assert request("GET", f"{primary.address}/value").text == "two"
        first, *_ = primary.reloads()
        assert (first.method, first.headers["x-mark"], first.body) == ("POST", "m", "b")
        assert len(primary.reloads()) == 3


def test_http_primary_redirects_where_it_is_told_to(tmp_path: Path) -> None:
    with HttpPrimary(tmp_path / "primary", tmp_path / "value") as primary:
        primary.answer_with(307, location=f"{primary.address}/elsewhere")
        answer = request("POST", primary.reload_url)

        assert (answer.status, answer.headers["Location"]) == (307, f"{primary.address}/elsewhere")


def test_http_primary_answers_late_where_it_is_told_to(tmp_path: Path) -> None:
    with HttpPrimary(tmp_path / "primary", tmp_path / "value") as primary:
        primary.answer_with(200, delay_seconds=5)
        with pytest.raises(TimeoutError):
            request("POST", primary.reload_url, timeout_seconds=0.2)

        assert len(primary.reloads()) == 1


def test_http_primary_listens_on_a_unix_socket(tmp_path: Path) -> None:
    with HttpPrimary(tmp_path / "primary", tmp_path / "value", unix_socket=True) as primary:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(primary.socket))
        connection.request("POST", "/-/reload")
        answer = connection.getresponse()
        answer.read()
        connection.close()

        assert answer.status == 200
        assert len(primary.reloads()) == 1
