"""What the tests of the transport share."""

from __future__ import annotations

import gc
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

from confcar.clients.transport import Response, Transport
from tests.fakes.tcp import TcpServer, read_request


def server_context(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    authority.configure_trust(context)
    return context


def ca_file(authority: trustme.CA, folder: Path) -> Path:
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def write_client_certificate(authority: trustme.CA, folder: Path, name: str) -> None:
    issued = authority.issue_cert(name, common_name=name)
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))


@contextmanager
def transport_to(server: TcpServer | None = None, *, address: str = "", **options: object) -> Iterator[Transport]:
    address = address or f"http://127.0.0.1:{server.port if server else 0}"
    transport = Transport(address, **({"max_connections": 4} | options))  # type: ignore[arg-type]  # by name
    try:
        yield transport
    finally:
        transport.close()


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def hold(sock: socket.socket) -> None:
    """Take the request and never answer."""
    read_request(sock)
    read_request(sock)


def ask(transport: Transport, timeout_seconds: float = 5.0) -> Response:
    return transport.request("GET", "/", timeout_seconds=timeout_seconds)


def trickle(sock: socket.socket, server: TcpServer, start: bytes) -> None:
    """Begin as *start* says and go on, a byte at a time, until the server stops."""
    read_request(sock)
    sock.sendall(start)
    while not server.stopping.wait(0.02):
        sock.sendall(b"x")
