"""Certificates: who is trusted, who is shown, and what happens when the files change."""

from __future__ import annotations

import os
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme
from urllib3.exceptions import EmptyPoolError, SSLError
from urllib3.exceptions import TimeoutError as HttpTimeoutError

from confcar.clients.tls import CertificateFileError
from confcar.clients.transport import TransportClosedError
from confcar.config.sources import TlsOptions
from tests.fakes.tcp import answer_all, serving
from tests.unit.clients.transports import (
    ask,
    ca_file,
    hold,
    server_context,
    transport_to,
    trickle,
    write_client_certificate,
)
from tests.waiting import wait_until


def test_tls_connections_are_used_again(authority: trustme.CA, tmp_path: Path) -> None:
    tls = TlsOptions(ca_file=ca_file(authority, tmp_path))
    with serving(answer_all, tls=server_context(authority)) as server:
        with transport_to(address=f"https://127.0.0.1:{server.port}", tls=tls) as transport:
            assert [ask(transport).data for _ in range(20)] == [b"ok"] * 20
        assert server.accepted == 1


def test_a_tls_server_that_trickles_is_caught_at_the_deadline(authority: trustme.CA, tmp_path: Path) -> None:
    tls = TlsOptions(ca_file=ca_file(authority, tmp_path))
    context = server_context(authority)
    with (
        serving(lambda sock: trickle(sock, server, b""), tls=context) as server,
        transport_to(address=f"https://127.0.0.1:{server.port}", tls=tls) as transport,
    ):
        started = time.monotonic()
        with pytest.raises(HttpTimeoutError):
            ask(transport, 0.4)
        assert time.monotonic() - started < 0.9


def test_a_changed_client_certificate_is_shown_to_the_next_connection(authority: trustme.CA, tmp_path: Path) -> None:
    names: list[str] = []

    def note_name(sock: socket.socket) -> None:
        assert isinstance(sock, ssl.SSLSocket)
        names.append(str(sock.getpeercert()["subject"][-1][0][1]))  # type: ignore[index]  # a dict where one is required
        answer_all(sock)

    context = server_context(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    authorities = ca_file(authority, tmp_path)
    write_client_certificate(authority, tmp_path, "first.test")
    tls = TlsOptions(ca_file=authorities, cert_file=tmp_path / "cert.pem", key_file=tmp_path / "key.pem")
    with (
        serving(note_name, tls=context) as server,
        transport_to(address=f"https://127.0.0.1:{server.port}", tls=tls) as transport,
    ):
        assert ask(transport).data == b"ok"
        write_client_certificate(authority, tmp_path, "second.test")
        assert ask(transport).data == b"ok"
        assert ask(transport).data == b"ok"
        assert names == ["first.test", "second.test"]
        assert transport.connections == 1
        wait_until(lambda: server.open == 1)


def test_a_certificate_change_does_not_lift_the_ceiling(authority: trustme.CA, tmp_path: Path) -> None:
    authorities = ca_file(authority, tmp_path)
    with serving(hold, tls=server_context(authority)) as server, ThreadPoolExecutor(1) as pool:
        address, tls = f"https://127.0.0.1:{server.port}", TlsOptions(ca_file=authorities)
        with transport_to(address=address, tls=tls, max_connections=1) as transport:
            held = pool.submit(ask, transport, 60.0)
            wait_until(lambda: server.open == 1)
            os.utime(authorities, (1, 1))
            with pytest.raises(EmptyPoolError):
                ask(transport, 0.2)
            assert server.peak == 1
            transport.close()
            assert isinstance(held.exception(1), TransportClosedError)


@pytest.mark.parametrize("name", ["ca_file", "cert_file"])
@pytest.mark.parametrize("text", [None, "no certificate"], ids=["missing", "nonsense"])
def test_a_bad_certificate_file_is_named(name: str, text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "bad.pem"
    if text is not None:
        path.write_text(text)
    with transport_to(address="https://127.0.0.1:1", tls=TlsOptions(**{name: path})) as transport:
        with pytest.raises(CertificateFileError, match=f"cannot use {name} .*bad.pem"):
            ask(transport)
        assert transport.connections == 0


def test_a_server_that_is_not_trusted_is_refused_with_words(authority: trustme.CA, tmp_path: Path) -> None:
    other = ca_file(trustme.CA(), tmp_path)
    with (
        serving(answer_all, tls=server_context(authority)) as server,
        transport_to(address=f"https://127.0.0.1:{server.port}", tls=TlsOptions(ca_file=other)) as transport,
        pytest.raises(SSLError, match="TLS failed: CERTIFICATE_VERIFY_FAILED"),
    ):
        ask(transport)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"server_name": "consul.test"}, id="server-name-given"),
        pytest.param({"verify": False}, id="not-verified"),
    ],
)
def test_a_server_of_another_name_is_accepted_where_the_options_say_so(
    options: dict[str, object], authority: trustme.CA, tmp_path: Path
) -> None:
    tls = TlsOptions(ca_file=ca_file(authority, tmp_path), **options)
    with (
        serving(answer_all, tls=server_context(authority, "consul.test")) as server,
        transport_to(address=f"https://127.0.0.1:{server.port}", tls=tls) as transport,
    ):
        assert ask(transport).data == b"ok"


@pytest.mark.parametrize(
    "options", [pytest.param({}, id="not-given"), pytest.param({"server_name": "other.test"}, id="another-one")]
)
def test_a_server_of_another_name_is_refused(options: dict[str, object], authority: trustme.CA, tmp_path: Path) -> None:
    tls = TlsOptions(ca_file=ca_file(authority, tmp_path), **options)
    with (
        serving(answer_all, tls=server_context(authority, "consul.test")) as server,
        transport_to(address=f"https://127.0.0.1:{server.port}", tls=tls) as transport,
        pytest.raises(SSLError, match="TLS failed"),
    ):
        ask(transport)
