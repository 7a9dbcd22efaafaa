"""The edge of the command line: what errors end with, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.cli.app import app, main


@pytest.fixture
def broken_command(request: pytest.FixtureRequest) -> Iterator[str]:
    """Add a command that raises the parameter, for this test."""

    @app.command(name="broken")
    def broken() -> None:
        raise request.param

    yield "broken"
    app.registered_commands.pop()


def test_without_a_command_the_help_is_printed_and_it_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().out.startswith("Usage: confcar")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("confcar ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["bogus"], "No such command 'bogus'", id="no such command"),
        pytest.param(["run", "--nonsense"], "No such option: --nonsense", id="no such option"),
        pytest.param(["once", "--timeout", "5"], "'CONFCAR_TIMEOUT'): a duration is a string", id="no duration"),
        pytest.param(["once", "--timeout"], "--timeout", id="no value"),
        pytest.param(["check", "extra"], "unexpected extra argument", id="too many"),
    ],
)
def test_usage_errors_are_2_and_name_what_is_wrong(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert told in printed.err
    assert printed.err.startswith("confcar: ")
    assert printed.out == ""


@pytest.mark.parametrize("broken_command", [KeyError("s3cret-value")], indirect=True)
def test_an_unexpected_error_is_1_with_class_and_frames_but_without_its_text(
    broken_command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([broken_command]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("confcar: unexpected error, please report it:\nbuiltins.KeyError\n")
    assert f"{Path(__file__)}:" in printed.err
    assert "s3cret-value" not in printed.err + printed.out


@pytest.mark.parametrize("broken_command", [KeyboardInterrupt()], indirect=True)
def test_an_interrupt_is_130(broken_command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([broken_command]) == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("broken_command", [BrokenPipeError(32, "Broken pipe")], indirect=True)
def test_a_broken_pipe_is_for_the_caller(broken_command: str) -> None:
    with pytest.raises(BrokenPipeError):
        main([broken_command])
