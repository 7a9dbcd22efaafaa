"""One life with the primary: confcar as a process of its own that starts it, or follows it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.primary_place import PrimaryPlace
from tests.integration.sidecar import Sidecar, run_confcar
from tests.waiting import wait_until


@pytest.fixture
def place(tmp_path: Path) -> PrimaryPlace:
    return PrimaryPlace(tmp_path)


def test_it_starts_after_the_first_publish_and_is_told_by_signal_afterwards(place: PrimaryPlace) -> None:
    place.configure(primary={"command": place.command()})
    with Sidecar(place.config) as sidecar:
        place.wait_for_events("start")
        assert place.lines()[0]["text"] == "first"
        # The start has read the first generation: nothing is owed, and no signal was sent.
        wait_until(lambda: sidecar.bundle()["reload"]["acknowledged_generation"] == 1)
        place.write(name="second")
        place.wait_for_events("start", "reload")
        assert place.lines()[1]["text"] == "second"
        wait_until(lambda: sidecar.bundle()["reload"]["acknowledged_generation"] == 2)
        primary = sidecar.status()["primary"]
        assert (primary["mode"], primary["state"], primary["pid"]) == ("command", "running", place.lines()[0]["pid"])
        assert sidecar.stop() == 0
    assert "reload failed" not in sidecar.log()


def test_one_change_of_files_and_variables_is_one_restart_and_no_signal(place: PrimaryPlace) -> None:
    place.write(name="first", secret="s3cr3t-one")
    place.configure(primary={"command": place.command(), "environment": {"APP_KEY": "{{ key('secret') }}"}})
    with Sidecar(place.config) as sidecar:
        place.wait_for_events("start")
        place.write(name="second", secret="s3cr3t-two")
        wait_until(lambda: place.events().count("start") == 2, timeout=30.0)
        wait_until(lambda: sidecar.bundle()["reload"]["acknowledged_generation"] == 2)
        second = place.lines()[-1]
        assert (second["text"], second["variables"]) == ("second", {"APP_KEY": "s3cr3t-two"})
        assert place.events() == ["start", "start"]
        shown = sidecar.get("/status")[1] + sidecar.get("/")[1] + sidecar.get("/metrics")[1]
        command_line = Path(f"/proc/{second['pid']}/cmdline").read_text()
        assert "s3cr3t" not in shown + command_line + sidecar.log()


def test_a_change_of_files_alone_is_a_signal_and_of_variables_alone_a_restart(place: PrimaryPlace) -> None:
    place.write(name="first", b="one")
    place.configure(primary={"command": place.command(), "environment": {"APP_B": "{{ key('b') }}"}})
    with Sidecar(place.config):
        place.wait_for_events("start")
        place.write(name="second", b="one")
        place.wait_for_events("start", "reload")
        place.write(name="second", b="two")
        place.wait_for_events("start", "reload", "start")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param("exit 0", 0, id="success"),
        pytest.param("exit 41", 41, id="code"),
        pytest.param("kill -KILL $$", 137, id="killed"),
    ],
)
def test_its_code_is_handed_through(place: PrimaryPlace, body: str, code: int) -> None:
    place.configure(primary={"command": ["sh", "-c", body]})
    sidecar = Sidecar(place.config).start(waits=False)
    assert sidecar.process is not None
    assert sidecar.process.wait(30.0) == code


def test_a_stop_hands_the_code_through_that_the_primary_ends_with(place: PrimaryPlace) -> None:
    place.configure(primary={"command": place.command("--code", "9")})
    with Sidecar(place.config) as sidecar:
        place.wait_for_events("start")
        assert sidecar.stop() == 9


def test_a_primary_that_ignores_the_stop_is_killed_after_stop_timeout(place: PrimaryPlace) -> None:
    place.configure(primary={"command": place.command("--ignore-term"), "stop_timeout": "300ms"})
    with Sidecar(place.config) as sidecar:
        place.wait_for_events("start")
        assert sidecar.stop() == 137
    assert "the primary did not end in time and is killed" in sidecar.log()


def test_a_second_stop_ends_both_at_once(place: PrimaryPlace) -> None:
    place.configure(primary={"command": place.command("--ignore-term"), "stop_timeout": "10m"})
    with Sidecar(place.config) as sidecar:
        place.wait_for_events("start")
        assert sidecar.process is not None
        sidecar.process.send_signal(signal.SIGTERM)
        place.wait_for_events("start", "SIGTERM")
        assert sidecar.stop() == 128 + signal.SIGTERM
        pid = place.lines()[0]["pid"]
        wait_until(lambda: not Path(f"/proc/{pid}/stat").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text())


def test_other_signals_are_passed_on(place: PrimaryPlace) -> None:
    place.configure(primary={"command": place.command()})
    with Sidecar(place.config) as sidecar:
        place.wait_for_events("start")
        os.kill(sidecar.pid, signal.SIGUSR2)
        place.wait_for_events("start", "SIGUSR2")
        os.kill(sidecar.pid, signal.SIGWINCH)
        place.wait_for_events("start", "SIGUSR2", "SIGWINCH")


def test_it_starts_on_the_files_of_before_while_the_source_is_away(place: PrimaryPlace) -> None:
    place.configure(primary={"command": place.command()})
    with Sidecar(place.config):
        place.wait_for_events("start")
    (place.folder / "data.json").unlink()
    with Sidecar(place.config):
        wait_until(lambda: place.events().count("start") == 2, timeout=30.0)
        assert place.lines()[-1]["text"] == "first"


def test_what_was_owed_over_a_crash_is_told_by_the_start(place: PrimaryPlace) -> None:
    place.configure(primary={"command": ["sh", "-c", "exec sleep 600"], "on_exit": "stay"})
    with Sidecar(place.config) as sidecar:
        wait_until(lambda: sidecar.status()["primary"]["pid"])
        os.kill(sidecar.status()["primary"]["pid"], signal.SIGKILL)
        wait_until(lambda: sidecar.status()["primary"]["state"] == "ended")
        place.write(name="second")
        wait_until(lambda: sidecar.bundle()["generation"] == 2)
        wait_until(lambda: sidecar.bundle()["reload"]["pending"])
        sidecar.kill()
    place.configure(primary={"command": place.command()})
    with Sidecar(place.config) as sidecar:
        place.wait_for_events("start")
        wait_until(lambda: sidecar.bundle()["reload"]["acknowledged_generation"] == 2)
        assert place.events() == ["start"]


def test_a_crash_loop_is_seen_in_status_and_metrics_and_ends_when_the_cause_does(place: PrimaryPlace) -> None:
    flag = place.folder / "works"
    body = f"test -e {flag} && exec sleep 600; exit 3"
    place.configure(primary={"command": ["sh", "-c", body], "restart": "on-failure"})
    with Sidecar(place.config) as sidecar:
        wait_until(lambda: sidecar.status()["primary"]["restarts"] >= 1, timeout=30.0)
        assert sidecar.status()["primary"]["last_exit"]["code"] == 3
        metrics = sidecar.get("/metrics")[1]
        assert "confcar_primary_up 0.0" in metrics
        assert "confcar_primary_restarts_total" in metrics
        flag.touch()
        wait_until(lambda: sidecar.status()["primary"]["state"] == "running", timeout=30.0)
        assert "confcar_primary_up 1.0" in sidecar.get("/metrics")[1]


def test_a_reloaded_config_changes_its_variables_and_refuses_another_kind(place: PrimaryPlace) -> None:
    place.configure(primary={"command": place.command()})
    with Sidecar(place.config) as sidecar:
        place.wait_for_events("start")
        place.configure(primary={"command": place.command(), "environment": {"APP_B": "b"}})
        place.wait_for_events("start", "start")
        assert place.lines()[-1]["variables"] == {"APP_B": "b"}
        place.configure(primary={"pid_file": "primary.pid"})
        wait_until(lambda: sidecar.status()["config"]["error"])
        assert "restart confcar" in sidecar.status()["config"]["error"]
        place.configure(primary={"command": place.command(), "environment": {"APP_B": "{{ nonsense("}})
        wait_until(lambda: "primary.environment.APP_B" in (sidecar.status()["config"]["error"] or ""))
        assert place.events() == ["start", "start"]


def test_confcar_ends_with_0_when_a_followed_primary_ends(place: PrimaryPlace) -> None:
    place.configure(primary={"pid_file": "primary.pid"})
    place.folder.joinpath("web").mkdir()
    place.folder.joinpath("web", "name").write_text("before")
    with Sidecar(place.config) as sidecar:
        wait_until(lambda: sidecar.status()["primary"]["waits_for"])
        with subprocess.Popen(place.command("--code", "5")) as primary:
            place.wait_for_events("start")
            (place.folder / "primary.pid").write_text(f"{primary.pid}\n")
            wait_until(lambda: sidecar.status()["primary"]["state"] == "running")
            place.write(name="second")
            place.wait_for_events("start", "reload")
            primary.terminate()
            assert primary.wait() == 5
        assert sidecar.process is not None
        assert sidecar.process.wait(30.0) == 0


def test_a_stop_during_a_reload_finishes_it_and_the_state_is_true(place: PrimaryPlace) -> None:
    begun = place.folder / "begun"
    step = {
        "command": [sys.executable, "-c", f"import time; open({str(begun)!r}, 'w'); time.sleep(1)"],
        "timeout": "9s",
    }
    place.configure(bundle={"reload": [step, {"signal": "HUP"}]}, primary={"command": place.command()})
    with Sidecar(place.config, environ={"CONFCAR_LOG__LEVEL": "debug"}) as sidecar:
        place.wait_for_events("start")
        wait_until(lambda: sidecar.bundle()["reload"]["acknowledged_generation"] == 1)
        begun.unlink()
        place.write(name="second")
        wait_until(begun.exists)
        # The reload that runs is finished first, both steps of it.
        assert sidecar.stop() == 0
    with Sidecar(place.config) as sidecar:
        assert sidecar.bundle()["generation"] == 2
        wait_until(lambda: sidecar.bundle()["reload"]["acknowledged_generation"] == 2)


def test_check_live_reads_what_the_variables_need_and_says_what_is_missing(place: PrimaryPlace) -> None:
    place.configure(primary={"command": ["app"], "environment": {"APP_B": "{{ key('b') }}"}})
    ended = run_confcar("check", "--live", "-c", place.config)
    assert ended.returncode == 4
    assert "primary.environment: missing: key('b') from local" in ended.stderr
    place.write(name="first", b="one")
    ended = run_confcar("check", "--live", "-c", place.config)
    assert ended.returncode == 0
    assert "primary.environment: all data is there; 1 variable would be set" in ended.stdout
