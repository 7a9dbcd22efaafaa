"""Who may have something done over HTTP, and what is said to all others."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path

import pytest

from confcar.admin.commands import CommandResult
from confcar.admin.guard import why_refused
from confcar.admin.server import MAX_BODY_BYTES, AdminServer
from confcar.status import Status
from tests.unit.admin.listener import ask

MEANT = {"Confcar": "1"}
ANYWHERE = "0.0.0.0"  # noqa: S104 - nothing is bound to it


@dataclass
class Recorder:
    """Commands that only note that they were called; the test says what they answer."""

    result: CommandResult = field(default_factory=CommandResult)
    called: list[str] = field(default_factory=list)

    def sync(self) -> CommandResult:
        self.called.append("sync")
        return self.result

    def reload(self) -> CommandResult:
        self.called.append("reload")
        return self.result

    def roll_back(self, bundle: str) -> CommandResult:
        self.called.append(f"rollback {bundle}")
        return self.result


@pytest.fixture
def commands() -> Recorder:
    return Recorder()


@pytest.fixture
def server(commands: Recorder) -> Iterator[AdminServer]:
    status = Status()
    status.add_bundle("web", "/shared/web")
    server = AdminServer("127.0.0.1:0", status, version="1", commands=commands)
    yield server
    server.close()


@pytest.mark.parametrize(
    ("path", "called"),
    [("/-/sync", "sync"), ("/-/reload", "reload"), ("/-/rollback/web", "rollback web"), ("/-/sync?x=1", "sync")],
)
def test_a_command_is_done_and_answered(server: AdminServer, commands: Recorder, path: str, called: str) -> None:
    answer = ask(server.address, path, method="POST", headers=MEANT)
    assert (answer.status, json.loads(answer.body)) == (200, {"code": 0, "errors": []})
    assert commands.called == [called]


@pytest.mark.parametrize(("code", "status"), [(1, 500), (2, 422), (3, 502), (4, 500), (5, 500), (6, 500), (7, 500)])
def test_what_went_wrong_is_in_the_body_and_the_status_is_an_error(
    server: AdminServer, commands: Recorder, code: int, status: int
) -> None:
    commands.result = CommandResult(code, ("one", "two"))
    answer = ask(server.address, "/-/reload", method="POST", headers=MEANT)
    assert (answer.status, json.loads(answer.body)) == (status, {"code": code, "errors": ["one", "two"]})


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        pytest.param({}, "needs the header 'Confcar: 1'", id="no header"),
        pytest.param({"Confcar": "yes"}, "needs the header 'Confcar: 1'", id="another value"),
        pytest.param(MEANT | {"Host": "evil.example"}, "Host header", id="another host"),
        pytest.param(MEANT | {"Host": "localhost:1"}, "Host header", id="another port"),
        pytest.param(MEANT | {"Host": "localhost"}, "Host header", id="no port"),
        pytest.param(MEANT | {"Host": ""}, "Host header", id="empty"),
        pytest.param(MEANT | {"Host": "localhost:x"}, "Host header", id="no number"),
    ],
)
def test_a_request_that_a_web_page_could_have_sent_is_refused(
    server: AdminServer, commands: Recorder, headers: dict[str, str], words: str
) -> None:
    answer = ask(server.address, "/-/sync", method="POST", headers=headers)
    assert answer.status == 403
    assert words in answer.body
    assert commands.called == []


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "LOCALHOST"])
def test_the_listeners_own_names_are_taken(server: AdminServer, name: str) -> None:
    host = f"{name}:{server.address.rpartition(':')[2]}"
    assert ask(server.address, "/-/sync", method="POST", headers=MEANT | {"Host": host}).status == 200


def test_a_second_host_header_is_refused(server: AdminServer, commands: Recorder) -> None:
    host, _, port = server.address.rpartition(":")
    lines = ["POST /-/sync HTTP/1.1", f"Host: localhost:{port}", "Host: evil.example", "Confcar: 1", "", ""]
    assert _raw(host, port, "\r\n".join(lines).encode()).startswith(b"HTTP/1.1 403 ")
    assert commands.called == []


def _headers(**given: str) -> Message:
    message = Message()
    for name, value in given.items():
        message[name] = value
    return message


@pytest.mark.parametrize(
    ("peer", "taken"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.7", False),
        ("::ffff:10.0.0.7", False),
        ("fe80::1%eth0", False),
        ("nonsense", False),
    ],
)
def test_commands_come_over_loopback_only_whatever_the_listener_is_bound_to(peer: str, *, taken: bool) -> None:
    headers = _headers(Host="10.0.0.7:9797", Confcar="1")
    why = why_refused(headers, peer=peer, local=("10.0.0.7", 9797), listen_host=ANYWHERE)
    assert (why is None) is taken


def test_a_wildcard_is_no_name_of_a_listener() -> None:
    headers = _headers(Host="0.0.0.0:9797", Confcar="1")
    assert why_refused(headers, peer="127.0.0.1", local=("127.0.0.1", 9797), listen_host=ANYWHERE)


def test_ipv6_hosts_are_understood() -> None:
    headers = _headers(Host="[::1]:9797", Confcar="1")
    assert why_refused(headers, peer="::1", local=("::1", 9797), listen_host="::1") is None


def test_commands_are_taken_over_a_unix_socket(commands: Recorder, tmp_path: Path) -> None:
    server = AdminServer(f"unix:{tmp_path}/s", Status(), version="1", commands=commands)
    assert ask(server.address, "/-/sync", method="POST", headers=MEANT).status == 200
    assert ask(server.address, "/-/sync", method="POST", headers=MEANT | {"Host": "evil"}).status == 403
    server.close()
    assert commands.called == ["sync"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/status", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
        ("PUT", "/healthz", "GET, HEAD"),
        ("DELETE", "/metrics", "GET, HEAD"),
        ("GET", "/-/sync", "POST"),
        ("HEAD", "/-/reload", "POST"),
        ("PATCH", "/-/rollback/web", "POST"),
        ("OPTIONS", "/-/sync", "POST"),
    ],
)
def test_a_wrong_method_is_told_the_right_one(
    server: AdminServer, commands: Recorder, method: str, path: str, allow: str
) -> None:
    answer = ask(server.address, path, method=method, headers=MEANT)
    assert (answer.status, answer.headers["allow"]) == (405, allow)
    assert commands.called == []


def test_an_unknown_bundle_is_404_with_the_nearest_name(server: AdminServer, commands: Recorder) -> None:
    answer = ask(server.address, "/-/rollback/wbe", method="POST", headers=MEANT)
    assert answer.status == 404
    assert json.loads(answer.body)["errors"] == ["there is no bundle of this name; did you mean 'web'?"]
    answer = ask(server.address, "/-/rollback/x%2Fy", method="POST", headers=MEANT)
    assert json.loads(answer.body)["errors"] == ["there is no bundle of this name; there is web"]
    assert commands.called == []


def test_a_body_is_read_and_means_nothing(server: AdminServer, commands: Recorder) -> None:
    answer = ask(server.address, "/-/sync", method="POST", headers=MEANT, body=b"x" * MAX_BODY_BYTES)
    assert answer.status == 200
    assert commands.called == ["sync"]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        pytest.param(f"Content-Length: {MAX_BODY_BYTES + 1}", 413, id="too long"),
        pytest.param("Content-Length: -1", 400, id="negative"),
        pytest.param("Content-Length: many", 400, id="no number"),
        pytest.param("Transfer-Encoding: chunked", 411, id="chunked"),
    ],
)
def test_a_body_without_bound_ends_the_connection(
    server: AdminServer, commands: Recorder, header: str, status: int
) -> None:
    host, _, port = server.address.rpartition(":")
    lines = ["POST /-/sync HTTP/1.1", f"Host: {server.address}", "Confcar: 1", header, "", "GET / HTTP/1.1", "", ""]
    answer = _raw(host, port, "\r\n".join(lines).encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert answer.count(b"HTTP/1.1") == 1, "the rest is not read as a request of its own"
    assert commands.called == []


def test_without_commands_there_is_nothing_to_post_to() -> None:
    server = AdminServer("127.0.0.1:0", Status(), version="1")
    assert ask(server.address, "/-/sync", method="POST", headers=MEANT).status == 404
    server.close()


def _raw(host: str, port: str, request: bytes) -> bytes:
    """Send bytes and return everything that comes until the other side has done."""
    with socket.create_connection((host, int(port)), timeout=5.0) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
        return answer
