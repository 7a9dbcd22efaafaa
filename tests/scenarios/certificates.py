"""nginx serves certificates that OpenBao issues and confcar replaces, while somebody asks all the time.

It is the example `nginx-tls` as it stands, with its lines for production.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.integration.examples import in_production
from tests.integration.issuing import pki_engine
from tests.integration.sidecar import Sidecar, run_confcar
from tests.servers.nginx import NginxServer
from tests.servers.openbao import OpenBaoServer
from tests.waiting import wait_until

_ROTATED_WITHIN_SECONDS = 120.0
_ANSWERED_WITHIN_SECONDS = 30.0


@dataclass(frozen=True)
class RotationReport:
    """What was seen.

    Attributes:
        certificates: How many different ones nginx served, the first included, each of them the published one.
        requests: How many requests were answered with 200, each on a connection of its own.
        failures: What went wrong with the others.
        serials: How many different certificates the requests met.
    """

    certificates: int
    requests: int
    failures: tuple[str, ...]
    serials: int


class _Client:
    """Asks again and again, each time on a new connection, until the block ends."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._context = ssl.create_default_context()
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE  # whether it is refused is asked here, not whether it is trusted
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.requests = 0
        self.failures: list[str] = []
        self.met: set[bytes] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def certificate(self) -> bytes:
        """Return the certificate that is served now, after an answer of 200 on the same connection."""
        with (
            socket.create_connection(("127.0.0.1", self._port), timeout=_ANSWERED_WITHIN_SECONDS) as plain,
            self._context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            connection.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
            answer = connection.makefile("rb").readline()
            if b" 200 " not in answer:
                raise OSError(answer.decode(errors="replace"))
            return connection.getpeercert(binary_form=True) or b""

    def _ask(self) -> None:
        while not self._stop.is_set():
            try:
                self.met.add(self.certificate())
                self.requests += 1
            except OSError as error:
                self.failures.append(str(error))


def rotate_under_load(
    folder: Path, nginx: Path, openbao: OpenBaoServer, *, ttl: str, rotations: int, seconds: float
) -> RotationReport:
    """Run the example against a server until enough certificates were replaced and the time is over.

    Args:
        folder: An empty one.
        nginx: The program.
        openbao: A server that an engine is made in for the time being.
        ttl: How long a certificate lives.
        rotations: How many replacements to see at least.
        seconds: How long to ask at least.

    Raises:
        AssertionError: A published certificate was not served in time.
    """
    at = folder / "example"
    with pki_engine(openbao, ttl=ttl) as pki:
        config = in_production("nginx-tls", at, {"http://127.0.0.1:8200": openbao.address, "pki/": f"{pki}/"})
        server = NginxServer(at, nginx, config_file=at / "shared" / "nginx.conf")
        environ = {
            "NGINX": str(nginx),
            "NGINX_PORT": str(server.port),
            "RUN_DIRECTORY": str(at),
            "VAULT_TOKEN": openbao.token,
        }
        ended = run_confcar("once", "-c", config, environ=environ)
        assert ended.returncode == 0, ended.stderr
        with server, Sidecar(config, environ=environ), _Client(server.port) as client:
            served = [client.certificate()]
            deadline = time.monotonic() + seconds
            while len(served) <= rotations or time.monotonic() < deadline:
                served.append(_next_served(client, at / "shared" / "cert.pem", served[-1]))
    return RotationReport(len(served), client.requests, tuple(client.failures), len(client.met))


def _next_served(client: _Client, file: Path, before: bytes) -> bytes:
    """Return the next certificate, once it is both published and served."""

    def served() -> bytes | None:
        certificate, end, _ = file.read_text().partition("-----END CERTIFICATE-----")
        published = ssl.PEM_cert_to_DER_cert(certificate + end)
        return published if published != before and published == client.certificate() else None

    return wait_until(served, timeout=_ROTATED_WITHIN_SECONDS, step=0.1) or b""
