"""One thread's requests can be ended from another, and an answer be given up where it is too long."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from urllib3.exceptions import HTTPError

from confcar.clients.cancellation import Cancellation, Cancellations
from confcar.clients.connections import AnswerTooLargeError
from confcar.clients.transport import Response, Transport
from tests.fakes.tcp import answer, answer_all, read_request, serving
from tests.unit.clients.transports import ask, hold, open_files, transport_to
from tests.waiting import wait_until


def _ask_inside(transport: Transport, cancellation: Cancellation) -> Response:
    with cancellation:
        return ask(transport, 60.0)


def test_cancelling_ends_one_request_and_its_connection_and_no_other() -> None:
    with serving(hold) as server, transport_to(server) as transport, ThreadPoolExecutor(2) as pool:
        first, second = Cancellation(), Cancellation()
        ended = pool.submit(_ask_inside, transport, first)
        other = pool.submit(_ask_inside, transport, second)
        wait_until(lambda: server.open == 2)
        first.cancel()
        assert isinstance(ended.exception(2), HTTPError)
        wait_until(lambda: server.open == 1)
        assert transport.connections == 1
        assert not other.done()
        second.cancel()
        assert isinstance(other.exception(2), HTTPError)


def test_what_was_cancelled_before_it_asked_asks_for_nothing() -> None:
    with serving(hold) as server, transport_to(server) as transport:
        cancellation = Cancellation()
        cancellation.cancel()
        with pytest.raises(HTTPError):
            _ask_inside(transport, cancellation)
        assert transport.connections == 0


def test_a_request_after_a_cancelled_one_is_made_as_ever() -> None:
    with serving(answer_all) as server, transport_to(server) as transport:
        cancellation = Cancellation()
        cancellation.cancel()
        with pytest.raises(HTTPError):
            _ask_inside(transport, cancellation)
        assert ask(transport).status == 200


def test_interrupting_a_purpose_ends_all_that_is_under_way_for_it() -> None:
    purposes = Cancellations()

    def follow(transport: Transport, purpose: str) -> Response:
        with purposes.cancellable(purpose):
            return ask(transport, 60.0)

    with serving(hold) as server, transport_to(server) as transport, ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(follow, transport, purpose) for purpose in ("a", "a", "b")]
        wait_until(lambda: server.open == 3)
        purposes.interrupt("a")
        purposes.interrupt("unknown")
        assert all(isinstance(each.exception(2), HTTPError) for each in asked[:2])
        assert not asked[2].done()
        purposes.interrupt("b")
        assert isinstance(asked[2].exception(2), HTTPError)


def test_an_answer_that_is_too_long_is_given_up_and_holds_nothing_open() -> None:
    def flood(sock: socket.socket) -> None:
        while read_request(sock) is not None:
            sock.sendall(answer(b"x" * 1_000_000))

    with serving(flood) as server, transport_to(server) as transport:
        assert len(transport.request("GET", "/", timeout_seconds=5, most_bytes=1_000_000).data) == 1_000_000
        before = open_files()
        with pytest.raises(AnswerTooLargeError):
            transport.request("GET", "/", timeout_seconds=5, most_bytes=999_999)
        assert transport.connections == 0
        wait_until(lambda: open_files() < before)
