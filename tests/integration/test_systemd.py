"""confcar as a service of type notify: start, reload and stop, as the service manager hears them; and the unit."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.primary_place import PrimaryPlace
from tests.integration.sidecar import ROOT, Sidecar
from tests.unit.daemon.test_service import Listener
from tests.waiting import wait_until

UNIT = ROOT / "examples" / "systemd" / "confcar.service"


def test_start_reload_and_stop_are_told(tmp_path: Path) -> None:
    place = PrimaryPlace(tmp_path)
    place.configure(primary={"command": place.command()})
    listener = Listener(str(tmp_path / "notify"))
    environ = {"NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "1000000"}
    with Sidecar(place.config, environ=environ) as sidecar:
        listener.wait_for("READY=1")
        place.wait_for_events("start")
        listener.wait_for("STATUS=1 bundle published; primary running")
        listener.wait_for("WATCHDOG=1", 2)
        place.configure(primary={"command": place.command(), "restart": "on-failure"})
        assert sidecar.process is not None
        sidecar.process.send_signal(signal.SIGHUP)
        listener.wait_for("READY=1", 2)
        assert listener.lines().index("RELOADING=1") > listener.lines().index("READY=1")
        assert sidecar.stop() == 0
        wait_until(lambda: "STOPPING=1" in listener.lines())
    listener.close()


def test_the_primary_is_not_told_of_the_service_manager(tmp_path: Path) -> None:
    place = PrimaryPlace(tmp_path)
    seen = tmp_path / "seen"
    place.configure(primary={"command": ["sh", "-c", f"env > {seen}"]})
    sidecar = Sidecar(place.config, environ={"NOTIFY_SOCKET": "/no/such", "WATCHDOG_USEC": "9"}).start(waits=False)
    assert sidecar.process is not None
    assert sidecar.process.wait(30.0) == 0
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & {line.partition("=")[0] for line in seen.read_text().splitlines()}


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    # It looks for the program that the unit names.
    text = UNIT.read_text().replace("/usr/local/bin/confcar", "/bin/true").replace("man:systemd.service(5)", "")
    (tmp_path / "confcar.service").write_text(text)
    ended = subprocess.run(
        [program, "verify", str(tmp_path / "confcar.service")], capture_output=True, text=True, check=False, timeout=60
    )
    complaints = [line for line in ended.stderr.splitlines() if "confcar.service" in line]
    assert (complaints, ended.returncode) == ([], 0), ended.stderr
