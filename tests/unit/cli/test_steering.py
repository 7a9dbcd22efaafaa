"""`sync`, `reload` and `rollback`: what they ask, what they print, what they end with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.admin.commands import CommandResult
from confcar.admin.server import AdminServer
from confcar.cli.app import main
from confcar.status import Status
from tests.unit.admin.test_commands import Recorder


@pytest.fixture
def commands() -> Recorder:
    return Recorder()


@pytest.fixture(params=["tcp", "unix"])
def server(request: pytest.FixtureRequest, commands: Recorder, tmp_path: Path) -> Iterator[AdminServer]:
    status = Status()
    status.add_bundle("web", "/shared/web")
    listen = "127.0.0.1:0" if request.param == "tcp" else f"unix:{tmp_path}/s"
    server = AdminServer(listen, status, version="1", commands=commands)
    yield server
    server.close()


@pytest.mark.parametrize(
    ("arguments", "called", "printed"),
    [
        (["sync"], "sync", "synced: all sources are read, and all bundles are up to date\n"),
        (["reload"], "reload", "reloaded: the config and the templates are in force\n"),
        (["rollback", "web"], "rollback web", "rolled back: web is at the generation before\n"),
    ],
)
def test_what_went_well_is_said_and_0(
    server: AdminServer,
    commands: Recorder,
    arguments: list[str],
    called: str,
    printed: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*arguments, "--address", server.address]) == 0
    assert commands.called == [called]
    assert capsys.readouterr() == (printed, "")


@pytest.mark.parametrize("code", [1, 2, 3, 7])
def test_what_went_wrong_is_said_line_by_line_and_its_code_handed_on(
    server: AdminServer, commands: Recorder, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.result = CommandResult(code, ("one", "two"))
    assert main(["reload", "--address", server.address]) == code
    assert capsys.readouterr() == ("", "one\ntwo\n")


def test_an_unknown_bundle_is_2_with_the_nearest_name(server: AdminServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rollback", "wbe", "--address", server.address]) == 2
    assert capsys.readouterr().err == "there is no bundle of this name; did you mean 'web'?\n"


def test_a_name_that_is_no_path_stays_a_name(server: AdminServer, commands: Recorder) -> None:
    assert main(["rollback", "../sync", "--address", server.address]) == 2
    assert commands.called == []


def test_a_listener_that_takes_no_commands_is_1(capsys: pytest.CaptureFixture[str]) -> None:
    server = AdminServer("127.0.0.1:0", Status(), version="1")
    assert main(["sync", "--address", server.address]) == 1
    server.close()
    assert capsys.readouterr().err.startswith("confcar: refused with 404: ")
