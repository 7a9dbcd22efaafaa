"""The exit code of every command for every kind of failure, and what is said with it."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

import pytest

from tests.integration.command_place import Place
from tests.integration.sidecar import Sidecar, command, environment, run_confcar
from tests.waiting import free_port


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


def test_an_admin_address_in_use_is_2_before_anything_is_published(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        ended = place.run("run", environ={"CONFCAR_ADMIN__LISTEN": listen})
    assert ended.returncode == 2
    assert f"admin.listen: cannot listen on {listen}" in ended.stderr
    assert place.text() is None
