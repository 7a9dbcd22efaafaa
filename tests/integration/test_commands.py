"""Every command as a person or a pod runs it: what it prints where, what it leaves alone, and how it ends when told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.command_place import SECRET, Place
from tests.integration.sidecar import Sidecar, command, environment, run_confcar
from tests.waiting import wait_until


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_check_is_offline(place: Place) -> None:
    place.data.unlink()
    ended = place.run("check")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"{place.config}: 1 source, 1 bundle, 1 template: fine\n"


def test_check_live_reads_every_dependency_and_writes_nothing(place: Place) -> None:
    ended = place.run("check", "--live")
    assert ended.returncode == 0
    assert ended.stdout.splitlines()[1:] == ["web: all data is there; 1 file would be written", "local (file): answers"]
    assert not (place.folder / "out").exists()


def test_render_prints_what_would_be_written_and_writes_nothing(place: Place) -> None:
    ended = place.run("render")
    assert (ended.returncode, ended.stdout) == (0, "# web: name (0640)\nfirst\n")
    assert not (place.folder / "out").exists()


@pytest.mark.parametrize("name", ["render", "diff"])
def test_secrets_are_masked_unless_asked_for(place: Place, name: str) -> None:
    place.configure("password={{ secret('db').password }}\n")
    ended = place.run(name)
    assert SECRET not in ended.stdout + ended.stderr
    assert "password=********" in ended.stdout
    assert f"password={SECRET}" in place.run(name, "--show-secrets").stdout
    assert f"password={SECRET}" in place.run(name, environ={"CONFCAR_SHOW_SECRETS": "1"}).stdout


def test_diff_is_10_where_something_differs_and_0_where_nothing_does(place: Place) -> None:
    assert place.run("diff").returncode == 10
    place.run("once")
    assert (place.run("diff").returncode, place.run("diff").stdout) == (0, "")
    place.data.write_text("app: {name: second}\n")
    ended = place.run("diff")
    assert ended.returncode == 10
    assert ended.stdout.splitlines() == ["--- published/name", "+++ rendered/name", "@@ -1 +1 @@", "-first", "+second"]
    assert place.text() == "first\n"


def test_diff_tells_a_changed_mode_and_files_that_would_come_and_go(place: Place) -> None:
    place.run("once")
    changed = place.config.read_text().replace("destination: name", 'destination: other, mode: "0600"')
    place.config.write_text(changed)
    ended = place.run("diff")
    assert ended.returncode == 10
    assert "web: name: would go" in ended.stdout
    assert "web: other: would be new" in ended.stdout
    (place.folder / "out" / "..data" / "name").chmod(0o644)
    place.configure()
    assert "web: name: mode 0644 -> 0640" in place.run("diff").stdout


def test_diff_needs_no_lock(place: Place) -> None:
    with Sidecar(place.config):
        assert place.run("diff").returncode == 0


def test_schema_is_json_that_knows_the_configs_keys() -> None:
    ended = run_confcar("schema")
    assert ended.returncode == 0
    schema = json.loads(ended.stdout)
    assert {"sources", "bundles", "admin", "log"} <= schema["properties"].keys()
    assert schema["additionalProperties"] is False


def test_the_log_is_json_off_a_terminal_and_results_are_not_among_it(place: Place) -> None:
    ended = place.run("once")
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["published"]
    assert ended.stdout == ""


def test_healthcheck_asks_over_a_unix_socket(place: Place) -> None:
    place.configure(more="")
    place.config.write_text(place.config.read_text().replace("listen: off", 'listen: "unix:admin.sock"'))
    process = subprocess.Popen(command("run", "-c", place.config), env=environment(None), stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: place.run("healthcheck", "--ready").returncode == 0, timeout=20.0)
        assert place.run("healthcheck").stdout == "ok\n"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10.0) == 0
    assert place.run("healthcheck").returncode == 1
    assert not (place.folder / "admin.sock").exists()


def test_healthcheck_without_a_listener_is_1(place: Place) -> None:
    ended = place.run("healthcheck")
    assert (ended.returncode, ended.stderr) == (1, "admin.listen is off: nobody can be asked\n")


def test_healthcheck_help_and_usage() -> None:
    assert "Usage: confcar healthcheck" in run_confcar("healthcheck", "--help").stdout
    assert run_confcar("healthcheck", "--nonsense").returncode == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_once_that_waits_ends_at_once_when_told(place: Place, number: int) -> None:
    place.configure("{{ key('app/nothing') }}")
    process = subprocess.Popen(
        command("once", "-c", place.config), env=environment(None), stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    with process.stderr as log:
        assert "waiting for data" in log.readline()
        process.send_signal(number)
        assert process.wait(2.0) == 4
        assert "Traceback" not in log.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_ends_with_0_when_told(place: Place, number: int) -> None:
    with Sidecar(place.config) as sidecar:
        assert sidecar.stop(number) == 0


@pytest.mark.parametrize(
    ("number", "said"),
    [(signal.SIGHUP, "config reloaded"), (signal.SIGUSR1, "synced"), (signal.SIGUSR2, "signal ignored")],
)
def test_run_does_what_a_signal_asks_for_and_says_so(place: Place, number: int, said: str) -> None:
    with Sidecar(place.config) as sidecar:
        os.kill(sidecar.pid, number)
        wait_until(lambda: said in sidecar.log())
        assert sidecar.is_ready()
        assert sidecar.log().count(said) == 1


def test_a_reader_that_leaves_early_is_no_failure(place: Place) -> None:
    place.configure("{% for number in range(50000) %}{{ key('app/name') }}\n{% endfor %}")
    with subprocess.Popen(
        command("render", "-c", place.config),
        env=environment(None),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "# web: name (0640)\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(10.0) == 0


@pytest.mark.parametrize("closing", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_nobodys_trouble(place: Place, closing: str) -> None:
    words = " ".join(f"'{word}'" for word in command("once", "-c", place.config))
    ended = subprocess.run(["/bin/sh", "-c", f"{words} {closing}"], env=environment(None), check=False)
    assert (ended.returncode, place.text()) == (0, "first\n")


def test_output_that_cannot_be_written_is_1(place: Place) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            command("render", "-c", place.config),
            env=environment(None),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (1, "confcar: cannot write the output: No space left on device\n")
