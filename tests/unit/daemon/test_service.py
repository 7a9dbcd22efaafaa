"""What the service manager hears, on a real datagram socket."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.daemon.service import ServiceManager, describe
from confcar.primary_status import PrimaryStatus
from confcar.status import Status
from tests.waiting import wait_until


class Listener:
    """The service manager's end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)
        self._socket.settimeout(0.0)

    def lines(self) -> list[str]:
        """Return every line that came so far."""
        while True:
            try:
                self.heard += self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self.heard

    def wait_for(self, line: str, count: int = 1) -> None:
        """Wait until that line came so often."""
        wait_until(lambda: self.lines().count(line) >= count)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    made = Listener(
        str(tmp_path / "notify") if request.param == "path" else f"@confcar-test-{os.getpid()}-{id(request)}"
    )
    yield made
    made.close()


def published(status: Status) -> None:
    status.update_bundle("web", generation=1, state="published")


@pytest.fixture
def status() -> Status:
    made = Status()
    made.add_bundle("web", "/shared/web")
    return made


def test_ready_is_said_once_and_only_when_all_is_published(listener: Listener, status: Status) -> None:
    with ServiceManager({"NOTIFY_SOCKET": listener.address}, status):
        listener.wait_for("STATUS=waiting for the first publish of web")
        assert "READY=1" not in listener.lines()
        published(status)
        listener.wait_for("READY=1")
        listener.wait_for("STATUS=1 bundle published")
        status.update_bundle("web", state="pending")
        listener.wait_for("STATUS=1 bundle published; not up to date: web")
        assert listener.lines().count("READY=1") == 1


def test_ready_waits_for_a_primary_that_confcar_starts(listener: Listener, status: Status) -> None:
    status.show_primary(PrimaryStatus("command"))
    published(status)
    with ServiceManager({"NOTIFY_SOCKET": listener.address}, status):
        listener.wait_for("STATUS=1 bundle published; primary waiting")
        assert "READY=1" not in listener.lines()
        status.update_primary(state="running")
        listener.wait_for("READY=1")


def test_a_reload_is_told_with_its_time_and_its_end(listener: Listener, status: Status) -> None:
    published(status)
    with ServiceManager({"NOTIFY_SOCKET": listener.address}, status) as manager:
        listener.wait_for("READY=1")
        before = time.monotonic_ns() // 1000
        with manager.reloading():
            listener.wait_for("RELOADING=1")
            (told,) = [line for line in listener.lines() if line.startswith("MONOTONIC_USEC=")]
            assert before <= int(told.partition("=")[2]) <= time.monotonic_ns() // 1000
        listener.wait_for("READY=1", 2)


def test_before_it_is_ready_no_reload_is_told(listener: Listener, status: Status) -> None:
    with ServiceManager({"NOTIFY_SOCKET": listener.address}, status) as manager:
        with manager.reloading():
            pass
        manager.stopping()
        listener.wait_for("STOPPING=1")
        assert not {"READY=1", "RELOADING=1"} & set(listener.lines())


def test_the_watchdog_is_fed_while_all_loops_move_and_not_when_one_hangs(listener: Listener, status: Status) -> None:
    environ = {"NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "200000", "WATCHDOG_PID": str(os.getpid())}
    with ServiceManager(environ, status):
        listener.wait_for("WATCHDOG=1", 3)
        status.beat("bundle web", 0.0)
        wait_until(lambda: status.copy().late)
        listener.lines()
        quiet_from = time.monotonic()
        heard = listener.lines().count("WATCHDOG=1")
        wait_until(lambda: time.monotonic() - quiet_from > 0.5)
        # One may have been on its way.
        assert listener.lines().count("WATCHDOG=1") <= heard + 1


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({"WATCHDOG_USEC": "200000", "WATCHDOG_PID": "1"}, id="another-process"),
        pytest.param({"WATCHDOG_USEC": "soon"}, id="no-number"),
        pytest.param({}, id="none"),
    ],
)
def test_a_watchdog_that_is_not_asked_for_is_not_fed(
    listener: Listener, status: Status, environ: dict[str, str]
) -> None:
    published(status)
    with ServiceManager({"NOTIFY_SOCKET": listener.address, **environ}, status):
        listener.wait_for("READY=1")
    assert "WATCHDOG=1" not in listener.lines()


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "/no/such/socket"])
def test_a_service_manager_that_does_not_listen_is_no_trouble(status: Status, address: str) -> None:
    published(status)
    with ServiceManager({"NOTIFY_SOCKET": address}, status) as manager, manager.reloading():
        manager.stopping()


def test_the_state_in_one_line_names_what_is_wrong(status: Status) -> None:
    published(status)
    status.update_reload("web", pending=True, last_error="nobody there")
    status.config_refused("c.yaml:1:1: bad")
    said = describe(status.copy())
    assert said == "1 bundle published; reload pending: web; the config on disk is refused"
