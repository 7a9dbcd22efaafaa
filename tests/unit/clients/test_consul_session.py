"""What goes to Consul for a session and its keys, and what answers that Consul would not give become."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from confcar.clients.consul_session import ConsulSessions
from confcar.config.sources import ConsulOptions
from confcar.errors import SourceDataError, SourceDeniedError, SourceUnavailableError
from tests.fakes.tcp import TcpServer, answer, read_request, serving
from tests.waiting import wait_until

TOKEN = "0badcafe-1111-2222-3333-444455556666"
INDEX = "X-Consul-Index: 7\r\n"


class OneAnswer:
    """Answers the first request of each connection and closes it; None closes without an answer."""

    def __init__(self, canned: bytes | None) -> None:
        self.canned = canned
        self.heads: list[str] = []

    def __call__(self, sock: socket.socket) -> None:
        head = read_request(sock)
        assert head is not None
        self.heads.append(head.decode())
        if self.canned is not None:
            sock.sendall(self.canned)


@contextmanager
def _sessions(server: TcpServer, **options: object) -> Iterator[ConsulSessions]:
    given = {"type": "consul", "address": f"http://127.0.0.1:{server.port}", "token": SecretStr(TOKEN)} | options
    sessions = ConsulSessions(ConsulOptions.model_validate(given))
    try:
        yield sessions
    finally:
        sessions.close()


CALLS: dict[str, Callable[[ConsulSessions], object]] = {
    "create": lambda sessions: sessions.create("web"),
    "renew": lambda sessions: sessions.renew("s"),
    "destroy": lambda sessions: sessions.destroy("s"),
    "acquire": lambda sessions: sessions.acquire("a/b", b"x", flags=1, session="s"),
    "put": lambda sessions: sessions.put("a/b", b"x", flags=1, unchanged_since=3),
    "delete": lambda sessions: sessions.delete("a/b", unchanged_since=3),
    "list": lambda sessions: sessions.list("a"),
    "wait": lambda sessions: sessions.wait("a", after=3, wait_seconds=1.0),
}
WRITES = sorted(CALLS.keys() - {"list", "wait"})


@pytest.mark.parametrize("name", sorted(CALLS))
def test_the_source_s_options_go_along_and_the_token_in_a_header_only(name: str) -> None:
    said = OneAnswer(answer(b"true", headers=INDEX))
    options = {"datacenter": "dc2", "namespace": "team", "partition": "part", "consistency": "stale"}
    with serving(said) as server, _sessions(server, **options) as sessions:
        try:
            CALLS[name](sessions)
        except SourceUnavailableError:
            assert name in {"create", "list", "wait"}, "`true` is no answer to these"
    (head,) = said.heads
    target, _, headers = head.partition("\r\n")
    assert "dc=dc2" in target
    assert "ns=team&partition=part" in target
    assert TOKEN not in target
    assert f"x-consul-token: {TOKEN}\r\n" in headers.lower()


@pytest.mark.parametrize("name", ["list", "wait"])
def test_reads_are_consistent_whatever_the_source_says(name: str) -> None:
    said = OneAnswer(answer(b"[]", headers=INDEX))
    with serving(said) as server, _sessions(server, consistency="stale") as sessions:
        CALLS[name](sessions)
    assert "consistent=1" in said.heads[0]
    assert "stale" not in said.heads[0]


@pytest.mark.parametrize("name", WRITES)
def test_a_write_whose_answer_is_lost_is_not_made_twice(name: str) -> None:
    said = OneAnswer(None)
    with serving(said) as server, _sessions(server) as sessions:
        with pytest.raises(SourceUnavailableError):
            CALLS[name](sessions)
        assert server.accepted == len(said.heads) == 1


@pytest.mark.parametrize(
    ("name", "body"),
    [
        pytest.param("create", b"<html>", id="no JSON"),
        pytest.param("create", b"{}", id="no id"),
        pytest.param("create", b'{"ID": ""}', id="an empty id"),
        pytest.param("create", b"[1]", id="a list"),
        pytest.param("list", b'[{"Key": "a/.lock"}]', id="no flags"),
        pytest.param("list", b'{"a": 1}', id="no list"),
        pytest.param("acquire", b"s3cret", id="no boolean"),
    ],
)
def test_an_answer_that_is_not_consul_s_is_an_error_without_its_content(name: str, body: bytes) -> None:
    with serving(OneAnswer(answer(body, headers=INDEX))) as server, _sessions(server) as sessions:
        with pytest.raises(SourceUnavailableError, match="is not Consul") as caught:
            CALLS[name](sessions)
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        pytest.param("403 Forbidden", SourceDeniedError, id="denied"),
        pytest.param("500 Internal Server Error", SourceUnavailableError, id="failed"),
        pytest.param("429 Too Many Requests", SourceUnavailableError, id="too many"),
        pytest.param("302 Found", SourceDataError, id="redirected"),
    ],
)
@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_refusal_is_one_of_confcar_s_errors(name: str, status: str, kind: type[Exception]) -> None:
    with (
        serving(OneAnswer(answer(b"no", status=status))) as server,
        _sessions(server) as sessions,
        pytest.raises(kind),
    ):
        CALLS[name](sessions)


def test_a_session_that_is_no_longer_there_is_not_renewed() -> None:
    gone = answer(b"Session id 's' not found", status="404 Not Found")
    with serving(OneAnswer(gone)) as server, _sessions(server) as sessions:
        assert sessions.renew("s") is False


def test_interrupt_ends_the_wait_at_once_and_leaves_the_rest() -> None:
    hold = threading.Event()

    def serve(sock: socket.socket) -> None:
        head = read_request(sock)
        if head is not None and b"index=3" in head:
            hold.wait(10.0)
        else:
            sock.sendall(answer(b"true"))

    ended = threading.Event()
    with serving(serve) as server, _sessions(server) as sessions:

        def wait() -> None:
            with pytest.raises(SourceUnavailableError, match="no longer followed"):
                sessions.wait("a", after=3, wait_seconds=30.0)
            ended.set()

        thread = threading.Thread(target=wait)
        thread.start()
        wait_until(lambda: server.open)
        sessions.interrupt()
        assert ended.wait(5.0)
        thread.join(5.0)
        sessions.destroy("s")
        hold.set()
