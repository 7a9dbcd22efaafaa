"""Probes: each kind asks once, says why the primary is not well, and never longer than it may."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping

import pytest

from confcar.config.verify import VerifyOptions
from confcar.errors import EndpointRefusedError, ReloadError
from confcar.log import MASK, Redactor
from confcar.model import Change
from confcar.reloaders.probes import Probe, create_probe
from tests.fakes.tcp import TcpServer, answer, read_request
from tests.waiting import free_port

_ENVIRON = {"PATH": os.defpath, "VAULT_TOKEN": "root"}


def probe_for(options: Mapping[str, object], *secrets: str) -> Probe:
    redactor = Redactor()
    redactor.learn(secrets)
    return create_probe(VerifyOptions.model_validate(options), environ=_ENVIRON, redactor=redactor)


class Answering:
    """An HTTP server whose answer a test sets."""

    def __init__(self) -> None:
        self.status = "200 OK"
        self.requests: list[bytes] = []
        self.server = TcpServer(self._converse)
        self.url = f"http://127.0.0.1:{self.server.port}/healthz"

    def _converse(self, sock: socket.socket) -> None:
        if (request := read_request(sock)) is not None:
            self.requests.append(request)
            if self.status:
                sock.sendall(answer(status=self.status))
            else:
                self.server.stopping.wait(10.0)


@pytest.fixture
def answering() -> Iterator[Answering]:
    answering = Answering()
    yield answering
    answering.server.stop()


def test_a_request_asks_by_get_and_says_which_generation_it_is_about(answering: Answering, change: Change) -> None:
    probe_for({"http": {"url": answering.url}}).attempt(change, timeout_seconds=5.0)
    (request,) = answering.requests
    assert request.startswith(b"GET /healthz HTTP/1.1\r\n")
    assert b"Confcar-Generation: 7\r\n" in request


def test_another_answer_than_expected_is_not_well(answering: Answering, change: Change) -> None:
    answering.status = "503 Service Unavailable"
    with pytest.raises(EndpointRefusedError, match="answered 503 where 2xx is expected"):
        probe_for({"http": {"url": answering.url}}).attempt(change, timeout_seconds=5.0)


def test_a_request_is_cut_off_when_the_time_is_up(answering: Answering, change: Change) -> None:
    answering.status = ""
    began = time.monotonic()
    with pytest.raises(EndpointRefusedError, match=r"did not answer within 0\.3 s"):
        probe_for({"http": {"url": answering.url}}).attempt(change, timeout_seconds=0.3)
    assert time.monotonic() - began < 4.0, "the request's own limit is 5 s"


def test_a_connection_that_is_accepted_is_well(answering: Answering, change: Change) -> None:
    probe_for({"tcp": f"127.0.0.1:{answering.server.port}"}).attempt(change, timeout_seconds=5.0)


def test_a_connection_that_is_refused_is_not(change: Change) -> None:
    port = free_port()
    with pytest.raises(EndpointRefusedError, match=f"127.0.0.1:{port} cannot be reached: Connection refused"):
        probe_for({"tcp": f"127.0.0.1:{port}"}).attempt(change, timeout_seconds=5.0)


def test_a_name_that_cannot_be_one_is_an_error_like_any_other(change: Change) -> None:
    with pytest.raises(EndpointRefusedError, match="cannot be reached"):
        probe_for({"tcp": f"{'a' * 70}.invalid:80"}).attempt(change, timeout_seconds=5.0)


def test_a_command_that_ends_well_is_well_and_never_sees_credentials(change: Change) -> None:
    probe_for({"command": ["sh", "-c", 'test "$CONFCAR_GENERATION" = 7 && test -z "$VAULT_TOKEN"']}).attempt(
        change, timeout_seconds=5.0
    )


def test_a_command_that_fails_is_told_with_its_output_masked(change: Change) -> None:
    probe = probe_for({"command": ["sh", "-c", "echo no hunter2-hunter2; exit 4"]}, "hunter2-hunter2")
    with pytest.raises(ReloadError, match=f"the command sh ended with status 4: no {MASK.replace('*', '[*]')}"):
        probe.attempt(change, timeout_seconds=5.0)


def test_a_command_that_hangs_is_killed_with_all_it_started(change: Change) -> None:
    with pytest.raises(ReloadError, match=r"did not end within 0\.3 s and was killed with all it started"):
        probe_for({"command": ["sh", "-c", "sleep 60 & sleep 60"]}).attempt(change, timeout_seconds=0.3)
