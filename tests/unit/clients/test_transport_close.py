"""`close` ends whatever a request waits for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from confcar.clients.transport import Response, Transport, TransportClosedError
from confcar.config.sources import TlsOptions
from tests.fakes.tcp import answer_all, read_request, serving
from tests.unit.clients.transports import (
    ask,
    ca_file,
    hold,
    server_context,
    transport_to,
)
from tests.waiting import wait_until


def _wait(gate: threading.Event) -> None:
    gate.wait(10)


def test_close_ends_a_tls_handshake_that_stalls() -> None:
    gate = threading.Event()
    with serving(lambda _: _wait(gate)) as server, ThreadPoolExecutor(1) as pool:
        with transport_to(address=f"https://127.0.0.1:{server.port}", tls=TlsOptions(verify=False)) as transport:
            held = pool.submit(ask, transport, 60.0)
            wait_until(lambda: server.open == 1)
            transport.close()
            assert isinstance(held.exception(1), TransportClosedError)
        gate.set()


def test_close_ends_a_connect_that_nobody_answers() -> None:
    with (
        _full_backlog() as port,
        ThreadPoolExecutor(1) as pool,
        transport_to(address=f"http://127.0.0.1:{port}") as transport,
    ):
        held = pool.submit(ask, transport, 60.0)
        wait_until(lambda: transport.connections == 1)
        wait_until(lambda: _is_connecting(port))
        transport.close()
        assert isinstance(held.exception(1), TransportClosedError)


@contextmanager
def _full_backlog() -> Iterator[int]:
    """A port whose queue is full, so that the kernel drops what asks for a connection."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.settimeout(0)
            filler.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for filler in fillers:
                filler.close()


def _is_connecting(port: int) -> bool:
    syn_sent = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(fields[2].endswith(f":{port:04X}") and fields[3] == "02" for fields in syn_sent) >= 1


def test_close_ends_a_body_that_has_no_end() -> None:
    def endless(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.0 200 OK\r\n\r\nbegun")
        read_request(sock)

    with serving(endless) as server, transport_to(server) as transport, ThreadPoolExecutor(1) as pool:
        held = pool.submit(ask, transport, 60.0)
        wait_until(lambda: server.open == 1)
        transport.close()
        assert isinstance(held.exception(1), TransportClosedError)


def test_close_ends_requests_that_wait_for_a_connection() -> None:
    with serving(hold) as server, transport_to(server, max_connections=1) as transport, ThreadPoolExecutor(5) as pool:
        held = [pool.submit(ask, transport, 60.0) for _ in range(5)]
        wait_until(lambda: server.open == 1)
        transport.close()
        assert {type(future.exception(1)) for future in held} == {TransportClosedError}


def test_a_closed_transport_refuses_and_may_be_closed_again() -> None:
    with serving(answer_all) as server, transport_to(server) as transport:
        transport.close()
        transport.close()
        with pytest.raises(TransportClosedError):
            ask(transport)


@pytest.mark.parametrize("kind", ["plain", "tls", "unix"])
def test_close_ends_blocking_requests_at_once(kind: str, authority: trustme.CA, tmp_path: Path) -> None:
    path = tmp_path / "socket" if kind == "unix" else None
    context = server_context(authority) if kind == "tls" else None
    with serving(hold, tls=context, path=path) as server:
        address = f"unix://{path}" if path else f"http{'s' if context else ''}://127.0.0.1:{server.port}"
        tls = TlsOptions(ca_file=ca_file(authority, tmp_path))
        with transport_to(address=address, tls=tls, max_connections=50) as transport, ThreadPoolExecutor(50) as pool:
            held = [pool.submit(ask, transport, 60.0) for _ in range(50)]
            wait_until(lambda: server.open == transport.connections == 50)
            started = time.monotonic()
            transport.close()
            errors = [future.exception(2) for future in held]
            assert time.monotonic() - started < 1
            assert {type(error) for error in errors} == {TransportClosedError}
            assert transport.connections == 0
        wait_until(lambda: server.open == 0)


def test_a_future_is_never_left_waiting_when_close_races_with_requests() -> None:
    for _ in range(10):
        with (
            serving(hold) as server,
            transport_to(server, max_connections=8) as transport,
            ThreadPoolExecutor(8) as pool,
        ):
            held: list[Future[Response]] = [pool.submit(ask, transport, 60.0) for _ in range(8)]
            transport.close()
            assert {type(future.exception(2)) for future in held} == {TransportClosedError}


def test_what_a_closed_one_winds_down_is_not_counted() -> None:
    gate = threading.Event()
    counts: list[int] = []
    with serving(lambda _: _wait(gate)) as server, ThreadPoolExecutor(1) as pool:
        transport = Transport(f"http://127.0.0.1:{server.port}", max_connections=2, on_connections=counts.append)
        held = pool.submit(ask, transport, 60.0)
        wait_until(lambda: server.open == 1)
        transport.close()
        assert counts == [1, 0], "by the time it ends, a successor may report under the same name"
        held.exception(5)
        assert counts == [1, 0]
        gate.set()
