"""confcar as PID 1 of a container: orphans are reaped, a stop ends all, the primary's exit code is the container's."""

from __future__ import annotations

import functools
import os
import signal
from pathlib import Path

import pytest

from tests.integration.namespaces import OWN_NAMESPACE, child_of, needs_namespaces, states_of_children
from tests.integration.primary_place import PrimaryPlace
from tests.integration.sidecar import Sidecar
from tests.waiting import wait_until

pytestmark = needs_namespaces


@pytest.fixture
def place(tmp_path: Path) -> PrimaryPlace:
    return PrimaryPlace(tmp_path)


def test_of_fifty_orphans_none_stays_a_zombie_and_a_stop_ends_all_with_the_primarys_code(place: PrimaryPlace) -> None:
    command = place.command("--orphans", "50", "--code", "23")
    place.configure(primary={"command": command, "stop_timeout": "10s"})
    with Sidecar(place.config, prefix=OWN_NAMESPACE) as sidecar:
        place.wait_for_events("start")
        inside = child_of(sidecar.pid)
        # Twenty-five have ended at once, twenty-five sleep on, and the primary runs.
        wait_until(lambda: len(states_of_children(inside)) == 26)
        assert "Z" not in states_of_children(inside)
        os.kill(inside, signal.SIGTERM)
        assert sidecar.process is not None
        assert sidecar.process.wait(30.0) == 23
    assert "killed" not in sidecar.log()


def test_checks_and_reload_commands_keep_their_status_among_orphans(place: PrimaryPlace) -> None:
    orphans = "for i in 1 2 3 4 5; do (sleep 0.02 &) ; done; "
    bundle = {"check": {"command": ["sh", "-c", f"{orphans} exit 0"]}, "reload": {"command": ["sh", "-c", orphans]}}
    place.configure(bundle=bundle)
    with Sidecar(place.config, prefix=OWN_NAMESPACE) as sidecar:
        for number in range(2, 12):
            place.write(name=f"text {number}")
            wait_until(functools.partial(_has_acknowledged, sidecar, number), timeout=30.0)
        inside = child_of(sidecar.pid)
        wait_until(lambda: states_of_children(inside) == [])
        os.kill(inside, signal.SIGTERM)
        assert sidecar.process is not None
        assert sidecar.process.wait(30.0) == 0
    assert "check_refused" not in sidecar.log()
    assert "reload failed" not in sidecar.log()


def test_a_primary_that_dies_ends_the_container_with_its_code(place: PrimaryPlace) -> None:
    place.configure(primary={"command": place.command("--orphans", "4")})
    with Sidecar(place.config, prefix=OWN_NAMESPACE) as sidecar:
        place.wait_for_events("start")
        inside = child_of(sidecar.pid)
        # Its PID inside is another than outside: the newest of those that run the program.
        wait_until(lambda: sidecar.status()["primary"]["pid"] == place.lines()[0]["pid"])
        for child in Path(f"/proc/{inside}/task").glob("*/children"):
            for pid in child.read_text().split():
                if str(place.log) in Path(f"/proc/{pid}/cmdline").read_text() and _group_is_own(int(pid)):
                    os.kill(int(pid), signal.SIGKILL)
        assert sidecar.process is not None
        assert sidecar.process.wait(40.0) == 137


def _group_is_own(pid: int) -> bool:
    # The primary leads its process group; the orphans that sleep lead a session.
    return os.getpgid(pid) == pid and os.getsid(pid) != pid


def _has_acknowledged(sidecar: Sidecar, number: int) -> bool:
    return bool(sidecar.bundle()["reload"]["acknowledged_generation"] == number)
