"""Every command as a person or a pod runs it: its exit code, what it prints where, and what it leaves alone."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration.sidecar import Sidecar, command, environment, run_confcar
from tests.waiting import free_port, wait_until

SECRET = "correct-horse-battery"


class Place:
    """A folder with a config and its data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "confcar.yaml"
        self.data = folder / "data.yaml"
        self.data.write_text(f"app: {{name: first}}\ndb: {{password: {SECRET}}}\n")
        self.configure()

    def configure(self, template: str = "{{ key('app/name') }}\n", more: str = "", sources: str = "") -> None:
        self.config.write_text(
            f"sources:\n  local: {{type: file, path: data.yaml}}\n{sources}"
            "admin: {listen: off}\n"
            "bundles:\n  web:\n    directory: out\n    templates:\n"
            f"      - {{content: {json.dumps(template)}, destination: name}}\n{more}"
        )

    def run(self, *arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        name, *rest = arguments
        return run_confcar(name, "-c", self.config, *rest, environ=environ)

    def text(self) -> str | None:
        path = self.folder / "out" / "name"
        return path.read_text() if path.exists() else None


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


ALL = ["run", "once", "check", "render", "diff"]
WITH_TIMEOUT = [["once"], ["check", "--live"], ["render"], ["diff"]]


def named(arguments: list[str]) -> str:
    return " ".join(arguments)


@pytest.mark.parametrize("name", ALL)
def test_all_config_faults_are_printed_at_once_with_their_places_and_it_is_2(place: Place, name: str) -> None:
    place.config.write_text(
        "sources:\n"
        "  Local: {type: file, path: data.yaml}\n"
        "  consul: {type: consul, consistency: eventual}\n"
        "bundles:\n"
        "  web:\n"
        "    directry: out\n"
        "    templates:\n"
        "      - {content: x, destination: ../up, mode: 0640}\n"
        "    wait: {quiet: 5}\n"
        "    reload: {signal: NOPE, pid: 1}\n"
        "admin: {listen: nowhere}\n"
        "surprise: 1\n"
    )
    ended = place.run(name)
    assert ended.returncode == 2
    assert ended.stdout == ""
    lines = ended.stderr.splitlines()
    assert len(lines) >= 7
    assert all(re.match(rf"{re.escape(str(place.config))}:\d+:\d+: ", line) for line in lines)
    assert any("directory" in line and "directry" in line for line in lines), "a did-you-mean"


@pytest.mark.parametrize("name", ALL)
def test_a_config_that_is_not_there_is_2(tmp_path: Path, name: str) -> None:
    ended = run_confcar(name, "-c", tmp_path / "nothing.yaml")
    assert ended.returncode == 2
    assert "nothing.yaml" in ended.stderr


@pytest.mark.parametrize("name", ALL)
def test_no_config_at_all_is_2_and_says_how_to_name_one(tmp_path: Path, name: str) -> None:
    ended = subprocess.run(
        command(name), cwd=tmp_path, env=environment(None), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "--config" in ended.stderr


@pytest.mark.parametrize("arguments", [["bogus"], ["once", "--nonsense"], ["once", "--timeout", "5 minutes"], []])
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert run_confcar(*arguments).returncode == 2


@pytest.mark.parametrize("name", ["render", "diff"])
def test_a_bundle_that_does_not_exist_is_2_and_the_known_ones_are_named(place: Place, name: str) -> None:
    ended = place.run(name, "--bundle", "api")
    assert (ended.returncode, ended.stderr) == (2, "--bundle api: no such bundle; there is web\n")


@pytest.mark.parametrize("arguments", WITH_TIMEOUT, ids=named)
def test_a_server_that_refuses_connections_is_3(place: Place, arguments: list[str]) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    place.configure("{{ key('a', source='consul') }}", sources=f"  consul: {{type: consul, address: '{address}'}}\n")
    ended = place.run(*arguments, "--timeout", "1s")
    assert ended.returncode == 3
    assert address.removeprefix("http://") in ended.stderr


def test_a_server_that_never_answers_is_3(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        place.configure(
            "{{ key('a', source='consul') }}", sources=f"  consul: {{type: consul, address: '{address}'}}\n"
        )
        ended = place.run("once", "--timeout", "500ms")
    assert ended.returncode == 3
    assert "consul" in ended.stderr


@pytest.mark.parametrize("arguments", WITH_TIMEOUT, ids=named)
def test_data_that_is_not_there_is_4_and_named(place: Place, arguments: list[str]) -> None:
    place.configure("{{ key('app/nothing') }}")
    ended = place.run(*arguments, "--timeout", "300ms")
    assert ended.returncode == 4
    assert "key('app/nothing') from local" in ended.stderr
    assert place.text() is None


@pytest.mark.parametrize("name", ["once", "check", "render", "diff"])
def test_a_template_that_does_not_compile_is_4_with_its_place(place: Place, name: str) -> None:
    place.configure("line one\n{% if %}")
    ended = place.run(name)
    assert ended.returncode == 4
    assert "content of name:2" in ended.stderr


@pytest.mark.parametrize("arguments", WITH_TIMEOUT, ids=named)
def test_a_template_that_fails_on_its_data_is_4(place: Place, arguments: list[str]) -> None:
    place.configure("{{ key('app/name').upper() + 1 }}")
    assert place.run(*arguments).returncode == 4


def test_a_refused_check_is_5_and_the_output_is_in_the_log(place: Place) -> None:
    place.configure(more='    check: {command: [sh, -c, "echo port is taken; exit 1"]}\n')
    ended = place.run("once")
    assert ended.returncode == 5
    assert "port is taken" in ended.stderr
    assert place.text() is None


@pytest.mark.parametrize("format_", ["json", "toml"])
def test_a_refused_format_is_5(place: Place, format_: str) -> None:
    place.config.write_text(
        place.config.read_text().replace("destination: name", f"destination: name, format: {format_}")
    )
    assert place.run("once").returncode == 5
    rendered = place.run("render")
    assert (rendered.returncode, rendered.stdout.splitlines()[0]) == (5, "# web: name (0640)"), (
        "it is printed all the same"
    )
    assert "web: name:1:" in rendered.stderr
    assert place.run("diff").returncode == 10


def test_a_directory_that_another_confcar_holds_is_6_and_its_pid_is_named(place: Place) -> None:
    with Sidecar(place.config) as first:
        for name in ("once", "run"):
            ended = place.run(name)
            assert ended.returncode == 6
            assert f"PID {first.pid}" in ended.stderr


def test_a_directory_that_cannot_be_made_is_6(place: Place) -> None:
    (place.folder / "out").write_text("in the way")
    assert place.run("once").returncode == 6


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


def test_an_admin_address_in_use_is_2_before_anything_is_published(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        ended = place.run("run", environ={"CONFCAR_ADMIN__LISTEN": listen})
    assert ended.returncode == 2
    assert f"admin.listen: cannot listen on {listen}" in ended.stderr
    assert place.text() is None


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
