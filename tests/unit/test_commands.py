"""Running the commands of a config."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest

from confcar.commands import (
    CHANGED_LIMIT_BYTES,
    OUTPUT_LIMIT_BYTES,
    CommandResult,
    change_environment,
    fill_in,
    run_command,
    without_credentials,
)
from confcar.model import Change
from tests.waiting import is_running, wait_until

ENVIRONMENT = {"PATH": os.defpath}


def run(*argv: str, timeout_seconds: float = 10.0, cwd: Path | None = None) -> CommandResult:
    return run_command(argv, timeout_seconds=timeout_seconds, environment=ENVIRONMENT, cwd=cwd)


def change_of(*names: str) -> Change:
    return Change("web", 12, Path("/shared/web"), names)


@pytest.fixture
def no_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away every folder for temporary files, as a container with a read-only root does."""
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")


def test_output_and_error_come_together() -> None:
    result = run("sh", "-c", "echo out; echo err >&2")
    assert result == CommandResult(0, "out\nerr")
    assert result.is_success


def test_status_and_signal_are_told_apart() -> None:
    assert run("sh", "-c", "exit 3").status == 3
    assert run("sh", "-c", "kill -TERM $$").status == -signal.SIGTERM
    assert not run("sh", "-c", "exit 3").is_success


def test_time_limit_kills_all_that_the_command_started(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path}/child; echo started; wait"
    started = time.monotonic()
    result = run("sh", "-c", script, timeout_seconds=0.3)
    assert time.monotonic() - started < 1.8
    assert result == CommandResult(-9, "started", timed_out=True)
    assert not result.is_success
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not is_running(child))
    assert not is_running(child)


def test_child_that_outlives_the_command_and_holds_its_output_does_not_hold_it_up(tmp_path: Path) -> None:
    started = time.monotonic()
    assert run("sh", "-c", f"sleep 60 & echo $! > {tmp_path}/child; echo done") == CommandResult(0, "done")
    assert time.monotonic() - started < 5
    child = int((tmp_path / "child").read_text())
    assert is_running(child)
    os.kill(child, signal.SIGKILL)


def test_end_is_noticed_at_once() -> None:
    """Popen's own wait with a time limit sleeps up to 50 ms at a time, and would see this one after 163 ms."""
    took = []
    for _ in range(5):
        started = time.monotonic()
        run("sleep", "0.12")
        took.append(time.monotonic() - started)
    assert min(took) < 0.155


def test_only_the_end_of_a_long_output_is_kept() -> None:
    script = "import sys; sys.stdout.write('a' * 100_000 + 'end')"
    output = run(sys.executable, "-S", "-c", script).output
    assert len(output) == OUTPUT_LIMIT_BYTES
    assert output.endswith("aend")


def test_output_that_is_not_text_is_replaced() -> None:
    assert run("printf", r"a\377b").output == "a�b"


def test_no_input_reaches_the_command() -> None:
    assert run("cat") == CommandResult(0, "")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        pytest.param(("no-such-program",), "no-such-program: No such file or directory", id="not found"),
        pytest.param(("/etc/passwd",), "/etc/passwd: Permission denied", id="not executable"),
        pytest.param(("echo", "a\0b"), "echo: not a valid command", id="zero byte"),
        pytest.param(("echo", "x" * 200_000), "echo: Argument list too long", id="too long"),
    ],
)
def test_command_that_cannot_start_ends_with_127_and_the_reason(argv: tuple[str, ...], words: str) -> None:
    assert run(*argv) == CommandResult(127, words)


def test_folder_that_is_not_there_is_named_in_place_of_the_program(tmp_path: Path) -> None:
    assert run("true", cwd=tmp_path / "gone").output == f"{tmp_path}/gone: No such file or directory"


@pytest.mark.parametrize(
    "name",
    [
        "VAULT_TOKEN",
        "CONSUL_HTTP_TOKEN",
        "BAO_TOKEN",
        "VAULT_WRAPPED_SECRET_ID",
        "VAULT_WRAPPED",
        "CONFCAR_SOURCES__VAULT__ADDRESS",
        "confcar_sources__vault__address",
        "CONFCAR_X-Y",
    ],
)
def test_credentials_and_settings_of_confcar_are_never_passed(name: str) -> None:
    assert without_credentials({name: "secret", "PATH": "/bin"}) == {"PATH": "/bin"}


@pytest.mark.parametrize("name", ["VAULT_ADDR", "VAULT_TOKENS", "MY_VAULT_TOKEN", "CONSUL_HTTP_ADDR", "CONFCARX"])
def test_what_only_looks_like_one_is_passed(name: str) -> None:
    assert without_credentials({name: "x"}) == {name: "x"}


def test_command_learns_bundle_generation_and_changes() -> None:
    with change_environment(change_of("a", "b"), {"PATH": "/bin", "CONFCAR_LOG__LEVEL": "debug"}) as environment:
        complete = Path(environment.pop("CONFCAR_CHANGED_FILE"))
        assert environment == {
            "PATH": "/bin",
            "CONFCAR_BUNDLE": "web",
            "CONFCAR_GENERATION": "12",
            "CONFCAR_CHANGED": "a\nb",
        }
        assert complete.read_text() == "a\nb\n"
        assert complete.stat().st_mode & 0o077 == 0
    assert not complete.exists()


def test_nothing_changed_is_an_empty_variable_and_an_empty_file() -> None:
    with change_environment(change_of(), {}) as environment:
        assert environment["CONFCAR_CHANGED"] == ""
        assert Path(environment["CONFCAR_CHANGED_FILE"]).read_bytes() == b""


@pytest.mark.parametrize(
    ("name_bytes", "kept"),
    [
        pytest.param(99, 655, id="the cut falls into a name"),
        pytest.param(63, 1024, id="the last name ends at the limit"),
    ],
)
def test_variable_is_cut_to_whole_names_and_the_file_holds_all(name_bytes: int, kept: int) -> None:
    names = tuple(f"{number:0{name_bytes}}" for number in range(2000))
    with change_environment(change_of(*names), ENVIRONMENT) as environment:
        cut = environment["CONFCAR_CHANGED"]
        assert cut.split("\n") == list(names[:kept])
        assert len(cut) <= CHANGED_LIMIT_BYTES
        assert Path(environment["CONFCAR_CHANGED_FILE"]).read_text().split() == list(names)
        assert run_command(["true"], timeout_seconds=10, environment=environment).is_success, "the kernel takes it"


def test_one_name_beyond_the_limit_leaves_the_variable_empty() -> None:
    with change_environment(change_of("x" * 70_000), {}) as environment:
        assert environment["CONFCAR_CHANGED"] == ""


@pytest.mark.usefixtures("no_temporary_folder")
def test_commands_run_without_any_folder_for_temporary_files() -> None:
    with change_environment(change_of("a", "b"), ENVIRONMENT) as environment:
        result = run_command(["sh", "-c", 'cat "$CONFCAR_CHANGED_FILE"'], timeout_seconds=10, environment=environment)
    assert result == CommandResult(0, "a\nb")


@pytest.mark.parametrize(
    ("word", "filled"),
    [
        pytest.param("{directory}/nginx.conf", "/shared/web/nginx.conf", id="directory"),
        pytest.param("g{generation}", "g12", id="generation"),
        pytest.param("{directory}{generation}{directory}", "/shared/web12/shared/web", id="several"),
        pytest.param("{other} {} {{directory}}", "{other} {} {/shared/web}", id="other braces stay"),
    ],
)
def test_placeholders_are_filled_in(word: str, filled: str) -> None:
    assert fill_in(["x", word], change_of()) == ["x", filled]


def test_placeholder_in_a_value_is_not_filled_in_again() -> None:
    assert fill_in(["{directory}"], Change("web", 1, Path("/{generation}"))) == ["/{generation}"]
