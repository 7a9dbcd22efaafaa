"""Reloading confcar's own config on real servers and in real processes: what stays, what is said, by which command."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.integration.sidecar import Sidecar, run_confcar
from tests.scenarios.reloads import reload_repeatedly
from tests.servers.consul import ConsulServer
from tests.servers.openbao import OpenBaoServer
from tests.waiting import free_port, wait_until

_CONFIG = """
sources:
  local: {type: file, path: data.yaml}
bundles:
  web:
    directory: web
    templates: [{source: name.j2, destination: name}]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "data.yaml").write_text("name: first\n")
    (tmp_path / "name.j2").write_text("{{ key('name') }}")
    path = tmp_path / "confcar.yaml"
    path.write_text(_CONFIG)
    return path


@pytest.fixture
def sidecar(config: Path) -> Sidecar:
    return Sidecar(config)


def asked(sidecar: Sidecar, *arguments: str) -> tuple[int, str, str]:
    """Run a command that asks that sidecar and return its code and what it printed."""
    done = run_confcar(*arguments, "-c", sidecar.config, "--address", f"127.0.0.1:{sidecar.port}")
    return done.returncode, done.stdout, done.stderr


@pytest.mark.timeout(300)
def test_reloads_in_a_row_cost_one_login_and_nothing_that_stays(
    tmp_path: Path, consul: ConsulServer, openbao: OpenBaoServer
) -> None:
    report = reload_repeatedly(tmp_path, consul, openbao, reloads=20)
    assert (report.refused, report.logins) == (0, 1)
    assert report.unchanged == (1, 1)
    assert report.changed == 21
    assert report.is_flat, report


def test_a_broken_config_is_refused_with_2_and_every_fault_and_the_old_one_serves(sidecar: Sidecar) -> None:
    with sidecar:
        sidecar.config.write_text(_CONFIG.replace("directory: web", "directry: web"))
        code, _, told = asked(sidecar, "reload")
        assert code == 2
        assert "confcar.yaml:6:5: bundles.web.directry: unknown key; did you mean directory?" in told
        assert sidecar.status()["config"]["error"] in told
        (sidecar.config.parent / "data.yaml").write_text("name: second\n")
        wait_until(lambda: (sidecar.config.parent / "web" / "name").read_text() == "second")
        sidecar.config.write_text(_CONFIG)
        assert asked(sidecar, "reload")[0] == 0
        assert sidecar.status()["config"]["error"] is None


def test_a_broken_template_is_refused_with_2_and_its_place(sidecar: Sidecar) -> None:
    with sidecar:
        (sidecar.config.parent / "name.j2").write_text("{{ key('name') }}\n{% if %}")
        code, _, told = asked(sidecar, "reload")
        assert (code, told.startswith("name.j2:2: ")) == (2, True)
        assert (sidecar.config.parent / "web" / "name").read_text() == "first"
        assert sidecar.bundle()["state"] == "published"


def test_a_hangup_takes_a_changed_config_over(sidecar: Sidecar) -> None:
    with sidecar:
        assert sidecar.process is not None
        sidecar.config.write_text(_CONFIG.replace("destination: name", "destination: other"))
        sidecar.process.send_signal(signal.SIGHUP)
        wait_until((sidecar.config.parent / "web" / "other").exists)
        assert sidecar.stop() == 0


def test_a_new_source_that_is_down_lets_the_bundle_wait_and_the_old_file_be(sidecar: Sidecar) -> None:
    with sidecar:
        down = f'type: consul, address: "http://127.0.0.1:{free_port()}"'
        sidecar.config.write_text(_CONFIG.replace("type: file, path: data.yaml", down))
        assert asked(sidecar, "reload")[0] == 0
        wait_until(lambda: sidecar.bundle()["state"] == "pending")
        assert (sidecar.config.parent / "web" / "name").read_text() == "first"
        assert asked(sidecar, "status")[0] == 0, "an outage does not take readiness away"
        code, _, told = asked(sidecar, "sync")
        assert code == 3
        assert told.startswith("source local: ")


def test_sync_repairs_and_ends_with_0(sidecar: Sidecar) -> None:
    published = sidecar.config.parent / "web" / "name"
    with sidecar:
        published.resolve().write_text("edited")
        code, printed, _ = asked(sidecar, "sync")
        assert (code, printed) == (0, "synced: all sources are read, and all bundles are up to date\n")
        assert published.read_text() == "first"
        published.resolve().write_text("edited")
        assert sidecar.process is not None
        sidecar.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: published.read_text() == "first")


def test_rollback_brings_back_the_generation_before_and_says_so(sidecar: Sidecar) -> None:
    published = sidecar.config.parent / "web" / "name"
    with sidecar:
        code, _, told = asked(sidecar, "rollback", "web")
        assert (code, told.count("\n")) == (1, 1), "there is none"
        (sidecar.config.parent / "data.yaml").write_text("name: second\n")
        wait_until(lambda: published.read_text() == "second")
        code, printed, _ = asked(sidecar, "rollback", "web")
        assert (code, printed) == (0, "rolled back: web is at the generation before\n")
        assert published.read_text() == "first"


def test_status_shows_people_and_scripts_the_same(sidecar: Sidecar) -> None:
    with sidecar:
        code, printed, _ = asked(sidecar, "status")
        assert code == 0
        assert "ready" in printed
        assert "\x1b" not in printed, "not on a terminal"
        code, printed, _ = asked(sidecar, "status", "--json")
        assert (code, json.loads(printed)["bundles"]["web"]["generation"]) == (0, 1)


@pytest.mark.parametrize(("command", "code"), [("status", 3), ("sync", 3), ("reload", 3)])
def test_where_nobody_answers_the_code_says_so(sidecar: Sidecar, command: str, code: int) -> None:
    ended, _, told = asked(sidecar, command)
    assert ended == code
    assert told.startswith(f"confcar: no answer from 127.0.0.1:{sidecar.port}: ")


def test_a_unix_socket_beside_the_config_is_found_by_every_command(config: Path) -> None:
    config.write_text(_CONFIG + 'admin: {listen: "unix:admin.sock"}\n')
    sidecar = Sidecar(config)
    del sidecar._environ["CONFCAR_ADMIN__LISTEN"]
    with sidecar.start(waits=False):
        wait_until(lambda: run_confcar("status", "-c", config).returncode == 0, timeout=30.0)
        for command in ("sync", "reload"):
            assert run_confcar(command, "-c", config).returncode == 0
        mistaken = run_confcar("rollback", "wbe", "-c", config)
        assert (mistaken.returncode, mistaken.stderr) == (
            2,
            "there is no bundle of this name; did you mean 'web'?\n",
        )
