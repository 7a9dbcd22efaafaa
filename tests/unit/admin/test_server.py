"""The admin listener: what it answers, where it listens, how it ends."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.admin.commands import CommandResult
from confcar.admin.server import MAX_CONNECTIONS, AdminServer
from confcar.errors import ConfigError
from confcar.model import Missing
from confcar.status import Status
from tests.unit.admin.listener import ask
from tests.waiting import free_port, wait_until


@pytest.fixture
def status() -> Status:
    status = Status()
    status.add_source("local", "file")
    status.add_bundle("web", "/shared/web")
    return status


@pytest.fixture
def server(status: Status) -> Iterator[AdminServer]:
    server = AdminServer("127.0.0.1:0", status, version="1.2.3")
    yield server
    server.close()


def test_healthz_says_ok(server: AdminServer) -> None:
    answer = ask(server.address, "/healthz")
    assert (answer.status, answer.body) == (200, "ok\n")


def test_healthz_names_the_loop_that_does_not_move(server: AdminServer, status: Status) -> None:
    status.beat("bundle web", 3600.0)
    status.beat("local 1", -1.0)
    answer = ask(server.address, "/healthz")
    assert (answer.status, answer.body) == (503, "local 1: does not move\n")


def test_healthz_is_well_again_once_a_late_loop_moves_or_has_ended(server: AdminServer, status: Status) -> None:
    status.beat("local 1", -1.0)
    status.beat("local 2", -1.0)
    status.beat("local 1", 10.0)
    status.beat("local 2", None)
    assert ask(server.address, "/healthz").status == 200


def test_readyz_gives_the_reason_of_each_bundle(server: AdminServer, status: Status) -> None:
    missing = (
        Missing("site.j2", 3, "key", "app/port", "local", "not found"),
        Missing("site.j2", 4, "key", "app/name", "local", "not found"),
    )
    status.add_bundle("api", "/shared/api")
    status.add_bundle("db", "/shared/db")
    status.add_bundle("done", "/shared/done")
    status.update_bundle("api", state="pending", missing=missing)
    status.update_bundle("db", state="refused", error="check of db refused generation 1")
    status.update_bundle("done", state="published", generation=1)
    answer = ask(server.address, "/readyz")
    assert answer.status == 503
    assert answer.body.splitlines() == [
        "web: nothing is published, nothing was rendered yet",
        "api: nothing is published, data is missing: key('app/port') from local, not found (site.j2:3) and 1 more",
        "db: nothing is published, the check refused it: check of db refused generation 1",
    ]


def test_readyz_stays_well_when_a_bundle_is_in_trouble_after_its_first_generation(
    server: AdminServer, status: Status
) -> None:
    status.update_bundle("web", state="published", generation=1)
    assert ask(server.address, "/readyz").status == 200
    status.update_bundle("web", state="pending")
    status.source_failed("local", "away")
    answer = ask(server.address, "/readyz")
    assert (answer.status, answer.body) == (200, "ok\n")


def test_status_is_json_that_nobody_caches(server: AdminServer) -> None:
    answer = ask(server.address, "/status?pretty=1")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert json.loads(answer.body)["version"] == "1.2.3"


def test_metrics_are_prometheus_text(server: AdminServer) -> None:
    answer = ask(server.address, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'confcar_build_info{python="' in answer.body


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/status", "/metrics", "/nowhere"])
def test_head_is_get_without_the_body(server: AdminServer, path: str) -> None:
    head, get = ask(server.address, path, method="HEAD"), ask(server.address, path)
    assert (head.status, head.body) == (get.status, "")
    assert head.headers["content-type"] == get.headers["content-type"]
    if path != "/status":
        assert head.headers["content-length"] == str(len(get.body))


def test_an_unknown_path_is_404_and_names_the_known_ones(server: AdminServer) -> None:
    answer = ask(server.address, "/nowhere")
    assert answer.status == 404
    assert "/healthz, /metrics, /readyz, /status" in answer.body


def test_other_methods_change_nothing(server: AdminServer) -> None:
    assert ask(server.address, "/healthz", method="POST").status in {405, 501}


def test_a_bug_in_a_page_is_a_500_that_gives_nothing_away(
    server: AdminServer, status: Status, caplog: pytest.LogCaptureFixture
) -> None:
    status._beats["s3cret"] = None  # type: ignore[assignment]  # what no part would write
    answer = ask(server.address, "/healthz")
    assert (answer.status, answer.body) == (500, "unexpected error, see the log\n")
    assert "unexpected error in the admin listener" in caplog.text


def test_a_client_that_leaves_early_ends_nothing(server: AdminServer) -> None:
    host, _, port = server.address.rpartition(":")
    for words in (b"", b"GET /sta", b"GET /status HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01\r\n\r\n"):
        with socket.create_connection((host, int(port))) as client:
            client.sendall(words)
    assert ask(server.address, "/healthz").status == 200


def test_a_unix_socket_is_for_its_owner_alone_and_gone_at_the_end(status: Status, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    server = AdminServer(f"unix:{path}", status, version="1")
    assert server.address == f"unix:{path}"
    assert path.stat().st_mode & 0o777 == 0o600
    assert ask(server.address, "/healthz").status == 200
    server.close()
    assert not path.exists()


def test_a_socket_that_a_crash_left_is_replaced(status: Status, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    server = AdminServer(f"unix:{path}", status, version="1")
    assert ask(server.address, "/healthz").status == 200
    server.close()


def test_a_socket_that_another_one_listens_on_is_left_to_it(status: Status, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    first = AdminServer(f"unix:{path}", status, version="1")
    with pytest.raises(ConfigError, match=r"admin\.listen: cannot listen on unix:.*in use"):
        AdminServer(f"unix:{path}", status, version="2")
    assert ask(first.address, "/healthz").status == 200
    first.close()


def test_a_file_that_is_no_socket_is_not_replaced(status: Status, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(ConfigError):
        AdminServer(f"unix:{path}", status, version="1")
    assert path.read_text() == "data"


@pytest.mark.parametrize(
    "listen",
    [
        pytest.param("unix:/no/such/folder/admin.sock", id="no such folder"),
        pytest.param(f"unix:/tmp/{'x' * 200}", id="too long"),
        pytest.param("192.0.2.1:0", id="not ours"),
    ],
)
def test_an_address_that_cannot_be_had_is_a_config_error(status: Status, listen: str) -> None:
    with pytest.raises(ConfigError, match=r"^admin\.listen: cannot listen on "):
        AdminServer(listen, status, version="1")


def test_a_port_in_use_is_a_config_error_that_says_so(status: Status, server: AdminServer) -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1:\d+: Address already in use"):
        AdminServer(server.address, status, version="2")


def test_ipv6_is_listened_on(status: Status) -> None:
    server = AdminServer("[::1]:0", status, version="1")
    assert server.address.startswith("[::1]:")
    assert ask(server.address, "/healthz").status == 200
    server.close()


def test_the_port_is_free_again_at_once(status: Status) -> None:
    port = free_port()
    for version in ("1", "2"):
        server = AdminServer(f"127.0.0.1:{port}", status, version=version)
        assert json.loads(ask(server.address, "/status").body)["version"] == version
        server.close()


def test_connections_on_which_nothing_is_asked_give_way_to_those_that_ask(server: AdminServer) -> None:
    host, _, port = server.address.rpartition(":")
    held = [socket.create_connection((host, int(port)), timeout=5.0) for _ in range(MAX_CONNECTIONS)]
    held[1].sendall(b"GET /healthz HT")
    wait_until(lambda: _are_served(MAX_CONNECTIONS))
    for _ in range(2):
        assert ask(server.address, "/healthz").status == 200
    assert held[0].recv(1) == b"", "the one that has waited for longest"
    held[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert held[-1].recv(12) == b"HTTP/1.1 200"
    for each in held:
        each.close()


def test_more_requests_than_allowed_at_once_are_turned_away_and_the_others_served(status: Status) -> None:
    commands = Stuck()
    server = AdminServer("127.0.0.1:0", status, version="1", commands=commands)
    host, _, port = server.address.rpartition(":")
    request = f"POST /-/sync HTTP/1.1\r\nHost: {server.address}\r\nConfcar: 1\r\nConnection: close\r\n\r\n".encode()
    asking = [socket.create_connection((host, int(port)), timeout=15.0) for _ in range(MAX_CONNECTIONS)]
    for each in asking:
        each.sendall(request)
    wait_until(lambda: commands.begun == MAX_CONNECTIONS)
    with socket.create_connection((host, int(port)), timeout=15.0) as refused:
        assert refused.recv(1) == b""
    commands.go.set()
    for each in asking:
        assert each.recv(12) == b"HTTP/1.1 200"
        each.close()
    wait_until(lambda: _is_answered(server))
    server.close()


class Stuck:
    """Commands that are not done before they are let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = threading.Event()
        self._lock = threading.Lock()

    def sync(self) -> CommandResult:
        with self._lock:
            self.begun += 1
        self.go.wait(30.0)
        return CommandResult()

    reload = sync

    def roll_back(self, bundle: str) -> CommandResult:
        raise NotImplementedError(bundle)


def _are_served(count: int) -> bool:
    return sum("process_request_thread" in thread.name for thread in threading.enumerate()) >= count


def _is_answered(server: AdminServer) -> bool:
    try:
        return ask(server.address, "/healthz").status == 200
    except OSError:
        return False


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "unix"])
def test_close_is_prompt_although_the_loop_sleeps(status: Status, tmp_path: Path, listen: str) -> None:
    for _ in range(5):
        server = AdminServer(f"unix:{tmp_path}/s" if listen == "unix" else listen, status, version="1")
        began = time.monotonic()
        server.close()
        assert time.monotonic() - began < 0.3
    assert not [thread for thread in threading.enumerate() if thread.name == "confcar-admin"]


def test_close_does_not_wait_for_a_client_that_is_silent(status: Status) -> None:
    server = AdminServer("127.0.0.1:0", status, version="1")
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port))):
        wait_until(lambda: _are_served(1))
        began = time.monotonic()
        server.close()
        assert time.monotonic() - began < 0.5
