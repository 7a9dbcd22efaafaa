"""The transport's promises: a ceiling, an end to every wait, no redirect, and nothing left open."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme
from urllib3.exceptions import EmptyPoolError, HTTPError, InvalidHeader, NewConnectionError, ProtocolError
from urllib3.exceptions import TimeoutError as HttpTimeoutError

from confcar.clients.transport import Transport, TransportClosedError
from confcar.config.sources import TlsOptions
from tests.fakes.tcp import answer, answer_all, read_request, serving
from tests.unit.clients.transports import (
    ask,
    ca_file,
    hold,
    open_files,
    server_context,
    transport_to,
    trickle,
)
from tests.waiting import free_port, wait_until

SECRET = "s3cr3t-token-value"


def test_fifty_threads_never_hold_more_connections_than_the_ceiling() -> None:
    def reported(count: int) -> None:
        counts.append(count)

    counts: list[int] = []
    with serving(answer_all) as server, transport_to(server, max_connections=5, on_connections=reported) as transport:
        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(lambda _: ask(transport).data, range(500)))
        assert answers == [b"ok"] * 500
        assert server.peak <= 5
        assert max(counts) <= 5
        assert transport.connections == counts[-1] <= 5
    assert counts[-1] == 0


def test_a_request_beyond_the_ceiling_waits_no_longer_than_its_limit() -> None:
    with serving(hold) as server, transport_to(server, max_connections=1) as transport, ThreadPoolExecutor(1) as pool:
        holding = pool.submit(ask, transport)
        wait_until(lambda: server.open == 1)
        started = time.monotonic()
        with pytest.raises(EmptyPoolError):
            ask(transport, 0.1)
        assert time.monotonic() - started < 1
        transport.close()
        assert isinstance(holding.exception(1), TransportClosedError)


def test_connections_are_used_again() -> None:
    with serving(answer_all) as server, transport_to(server) as transport:
        assert [ask(transport).data for _ in range(20)] == [b"ok"] * 20
        assert server.accepted == 1


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"", id="head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", id="body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n", id="chunk"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n", id="body-without-length"),
    ],
)
def test_a_server_that_trickles_is_caught_at_the_deadline(start: bytes) -> None:
    with serving(lambda sock: trickle(sock, server, start)) as server, transport_to(server) as transport:
        started = time.monotonic()
        with pytest.raises(HttpTimeoutError, match=r"no whole answer within 0\.3 s"):
            ask(transport, 0.3)
        assert 0.25 < time.monotonic() - started < 0.8
        assert transport.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    with serving(answer_all) as other:
        location = f"Location: http://127.0.0.1:{other.port}/\r\n"

        def redirect(sock: socket.socket) -> None:
            while read_request(sock) is not None:
                sock.sendall(answer(b"", status=f"{status} Elsewhere", headers=location))

        with serving(redirect) as server, transport_to(server) as transport:
            response = transport.request("GET", "/", headers={"X-Consul-Token": SECRET}, timeout_seconds=5)
            assert response.status == status
            assert other.accepted == 0


def test_a_kept_connection_that_the_server_closed_costs_a_reader_no_error() -> None:
    with serving(answer_all) as server, transport_to(server) as transport:
        assert ask(transport).data == b"ok"
        server.drop_connections()
        wait_until(lambda: server.open == 0)
        assert ask(transport).data == b"ok"


def _answer_once_then_reset(sock: socket.socket) -> None:
    """Keep the connection open after one answer, and close it only when the next request has come."""
    read_request(sock)
    sock.sendall(answer())
    read_request(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_a_get_on_a_connection_that_closes_under_it_is_made_once_more() -> None:
    with serving(_answer_once_then_reset) as server, transport_to(server) as transport:
        assert [ask(transport).data for _ in range(6)] == [b"ok"] * 6
        assert server.accepted == 6


def test_a_post_on_a_connection_that_closes_under_it_is_not_made_again() -> None:
    with serving(_answer_once_then_reset) as server, transport_to(server) as transport:
        assert ask(transport).data == b"ok"
        with pytest.raises(ProtocolError):
            transport.request("POST", "/", body=b"x", timeout_seconds=5)
        assert server.accepted == 1


def _close_after_request(sock: socket.socket) -> None:
    read_request(sock)


def test_a_new_connection_that_closes_without_an_answer_is_an_error_at_once() -> None:
    with serving(_close_after_request) as server, transport_to(server) as transport:
        with pytest.raises(ProtocolError, match="the connection broke"):
            ask(transport)
        assert server.accepted == 1


def test_an_answer_that_breaks_off_is_an_error() -> None:
    def break_off(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    with serving(break_off) as server, transport_to(server) as transport, pytest.raises(ProtocolError):
        ask(transport)


def test_no_file_is_left_open_whatever_happens(authority: trustme.CA, tmp_path: Path) -> None:
    def run(conversation: Callable[[socket.socket], None], *, tls: bool) -> None:
        context = server_context(authority) if tls else None
        options = TlsOptions(ca_file=ca_file(authority, tmp_path)) if tls else None
        with serving(conversation, tls=context) as server:
            address = f"http{'s' if tls else ''}://127.0.0.1:{server.port}"
            with transport_to(address=address, tls=options) as transport:
                for _ in range(10):
                    try:
                        ask(transport, 0.05)
                    except HTTPError:
                        failures.append(1)
            wait_until(lambda: server.open == 0)

    failures: list[int] = []
    before = open_files()
    for is_tls in (False, True):
        run(answer_all, tls=is_tls)
        run(hold, tls=is_tls)
        run(_answer_once_then_reset, tls=is_tls)
        run(lambda _: None, tls=is_tls)
    with transport_to(address=f"http://127.0.0.1:{free_port()}") as transport, pytest.raises(NewConnectionError):
        ask(transport)
    assert len(failures) >= 40
    wait_until(lambda: open_files() <= before)


def test_a_header_that_cannot_be_sent_does_not_show_in_the_error() -> None:
    with serving(answer_all) as server, transport_to(server) as transport:
        with pytest.raises(InvalidHeader) as caught:
            transport.request("GET", "/", headers={"X-Token": f"{SECRET}\nx"}, timeout_seconds=5)
        assert SECRET not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("address", "server"),
    [
        pytest.param("http://consul.test:8500", "http://consul.test:8500", id="http"),
        pytest.param("127.0.0.1:8500", "http://127.0.0.1:8500", id="no-scheme"),
        pytest.param("localhost:8500", "http://localhost:8500", id="no-scheme-and-a-name"),
        pytest.param(
            "https://user:pass@consul.test/x?token=y", "https://consul.test/x", id="credentials-are-not-shown"
        ),
        pytest.param("http://[::1]:8500", "http://[::1]:8500", id="ipv6"),
        pytest.param("unix:///run/consul.sock", "unix:///run/consul.sock", id="unix"),
    ],
)
def test_the_server_is_named_for_people(address: str, server: str) -> None:
    assert Transport(address, max_connections=1).server == server


@pytest.mark.parametrize("address", ["ftp://host", "http://", "http://host:port"])
def test_an_address_that_is_no_http_url_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Transport(address, max_connections=1)


def test_a_path_in_the_address_comes_before_every_requests() -> None:
    heads: list[bytes] = []

    def note(sock: socket.socket) -> None:
        heads.append(read_request(sock) or b"")
        sock.sendall(answer())

    with serving(note) as server, transport_to(address=f"http://127.0.0.1:{server.port}/consul/") as transport:
        transport.request("GET", "/v1/kv/a", timeout_seconds=5)
    assert heads[0].startswith(b"GET /consul/v1/kv/a HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), ("0", 0.0), ("9" * 400, 3600.0), ("²", None), ("-1", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)
def test_retry_after_is_taken_in_seconds_only(text: str, seconds: float | None) -> None:
    def limited(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(f"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\nRetry-After: {text}\r\n\r\n".encode("latin-1"))

    with serving(limited) as server, transport_to(server) as transport:
        assert ask(transport).retry_after_seconds == seconds


def test_environment_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answer_all) as proxy, serving(answer_all) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        with transport_to(server) as transport:
            assert ask(transport).data == b"ok"
        assert (proxy.accepted, server.accepted) == (0, 1)
