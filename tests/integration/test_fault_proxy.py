"""The fault proxy in front of a real Consul: it passes everything on, and fails as it is told."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator

import pytest

from tests.servers.api import Answer, request
from tests.servers.consul import ConsulServer
from tests.servers.fault_proxy import FaultProxy
from tests.waiting import wait_until


@pytest.fixture
def key(consul: ConsulServer, kv_prefix: str) -> str:
    consul.put(f"{kv_prefix}/key", "x" * 1000)
    return f"{kv_prefix}/key"


@pytest.fixture
def connection(consul_proxy: FaultProxy) -> Iterator[http.client.HTTPConnection]:
    client = http.client.HTTPConnection("127.0.0.1", consul_proxy.port, timeout=10)
    yield client
    client.close()


def read(proxy: FaultProxy, key: str, *, timeout_seconds: float = 10.0) -> Answer:
    return request("GET", f"{proxy.address}/v1/kv/{key}?raw", timeout_seconds=timeout_seconds)


def test_passes_requests_on_over_one_kept_connection(
    consul_proxy: FaultProxy, connection: http.client.HTTPConnection, key: str
) -> None:
    for _ in range(3):
        connection.request("GET", f"/v1/kv/{key}?raw")
        assert connection.getresponse().read() == b"x" * 1000
    connection.request("PUT", f"/v1/kv/{key}", body=b"y" * 100_000)
    assert connection.getresponse().read().strip() == b"true"
    connection.request("GET", f"/v1/kv/{key}?raw")

    assert connection.getresponse().read() == b"y" * 100_000
    assert consul_proxy.open_connections == 1
    assert consul_proxy.count(key) == 5


def test_long_poll_wakes_when_the_key_changes(consul: ConsulServer, consul_proxy: FaultProxy, key: str) -> None:
    index = read(consul_proxy, key).headers["X-Consul-Index"]
    answers: list[Answer] = []

    def poll() -> None:
        answers.append(request("GET", f"{consul_proxy.address}/v1/kv/{key}?raw&index={index}&wait=30s"))

    thread = threading.Thread(target=poll)
    thread.start()
    wait_until(lambda: consul_proxy.count("index=") == 1)
    consul.put(key, "changed")
    thread.join(10)

    assert [answer.text for answer in answers] == ["changed"]


def test_client_that_leaves_a_long_poll_frees_its_connection(
    consul_proxy: FaultProxy, connection: http.client.HTTPConnection, key: str
) -> None:
    index = read(consul_proxy, key).headers["X-Consul-Index"]
    connection.request("GET", f"/v1/kv/{key}?index={index}&wait=60s")
    wait_until(lambda: consul_proxy.count("index=") == 1)
    assert consul_proxy.open_connections == 1
    connection.close()

    wait_until(lambda: consul_proxy.open_connections == 0)


def test_refused_connections_end_what_is_open_and_heal_on_the_same_port(
    consul_proxy: FaultProxy, connection: http.client.HTTPConnection, key: str
) -> None:
    connection.request("GET", f"/v1/kv/{key}")
    connection.getresponse().read()
    consul_proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        read(consul_proxy, key)
    wait_until(lambda: consul_proxy.open_connections == 0)
    consul_proxy.heal()

    assert read(consul_proxy, key).status == 200


def test_black_hole_accepts_and_never_answers(consul_proxy: FaultProxy, key: str) -> None:
    consul_proxy.black_hole()
    with pytest.raises(TimeoutError):
        read(consul_proxy, key, timeout_seconds=0.3)
    consul_proxy.heal()

    assert read(consul_proxy, key).status == 200


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        pytest.param(500, {}, id="broken"),
        pytest.param(503, {"Retry-After": "2"}, id="unavailable"),
        pytest.param(429, {"Retry-After": "1"}, id="too-many"),
        pytest.param(302, {"Location": "http://127.0.0.1:1/"}, id="redirect"),
    ],
)
def test_answers_so_many_requests_of_one_path_itself(
    consul_proxy: FaultProxy, key: str, *, status: int, headers: dict[str, str]
) -> None:
    consul_proxy.answer(status, path=key, times=2, headers=headers, body=b"no")

    answers = [read(consul_proxy, key) for _ in range(3)]
    assert [answer.status for answer in answers] == [status, status, 200]
    assert headers.items() <= answers[0].headers.items()
    assert request("GET", f"{consul_proxy.address}/v1/status/leader").status == 200


def test_delay_comes_before_the_answer(consul_proxy: FaultProxy, key: str) -> None:
    consul_proxy.delay(0.3, times=1)
    started = time.monotonic()

    assert read(consul_proxy, key).status == 200
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize("after_bytes", [pytest.param(0, id="at-once"), pytest.param(400, id="in-the-middle")])
def test_cut_body_breaks_off(consul_proxy: FaultProxy, key: str, after_bytes: int) -> None:
    consul_proxy.cut(after_bytes, path=key, times=1)
    with pytest.raises(http.client.IncompleteRead) as caught:
        read(consul_proxy, key)

    assert len(caught.value.partial) == after_bytes
    assert read(consul_proxy, key).status == 200


def test_paused_server_is_silent_through_the_proxy_too(own_consul: ConsulServer) -> None:
    own_consul.put("key", "value")
    with FaultProxy(own_consul.port) as proxy:
        own_consul.pause()
        with pytest.raises(TimeoutError):
            read(proxy, "key", timeout_seconds=0.3)
        own_consul.resume()

        assert read(proxy, "key").text == "value"


def test_server_that_is_killed_is_seen_by_the_client(own_consul: ConsulServer) -> None:
    with FaultProxy(own_consul.port) as proxy:
        client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
        client.request("GET", "/v1/status/leader")
        client.getresponse().read()
        own_consul.kill()

        wait_until(lambda: proxy.open_connections == 0)
        with pytest.raises((http.client.HTTPException, OSError)):
            read(proxy, "key")
        client.close()
