"""What goes to Consul for its catalogue, how its answers are read, and how old an answer may be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from confcar.clients.consul import ConsulClient, Terms
from confcar.clients.consul_catalog import Subject
from confcar.config.sources import ConsulOptions
from confcar.errors import SourceDeniedError, SourceUnavailableError
from tests.fakes.consul_api import Asked, FakeConsul
from tests.fakes.tcp import answer

WEB = Subject("service", "web")
NODE = {"Node": "n1", "Address": "10.0.0.1"}
HEADERS = "X-Consul-Index: 7\r\nX-Consul-KnownLeader: true\r\nX-Consul-LastContact: 0\r\n"


def client_of(server: FakeConsul, **options: object) -> ConsulClient:
    made = ConsulOptions.model_validate({"type": "consul", "address": server.address} | options)
    return ConsulClient("consul", made, on_request=lambda _: None)


@contextmanager
def answering(body: object, *, headers: str = HEADERS, **options: object) -> Iterator[tuple[FakeConsul, ConsulClient]]:
    """Give a client on a server that answers everything with *body*."""
    with FakeConsul() as server:
        server.fault = lambda _: answer(json.dumps(body).encode(), headers=headers)
        client = client_of(server, **options)
        try:
            yield server, client
        finally:
            client.close()


def entry(
    service: dict[str, object], *checks: tuple[str, str], node: dict[str, str] | None = None
) -> dict[str, object]:
    made = [{"CheckID": name, "Status": status} for name, status in checks]
    return {"Node": node or NODE, "Service": {"ID": "web", "Service": "web"} | service, "Checks": made}


@pytest.mark.parametrize(
    ("subject", "target"),
    [
        pytest.param(WEB, "/v1/health/service/web?", id="plain"),
        pytest.param(Subject("service", "web", is_passing=True), "/v1/health/service/web?passing=1", id="passing"),
        pytest.param(
            Subject("service", "web", datacenter="dc2", tags=("a", "b&c"), near="n 1"),
            "/v1/health/service/web?tag=a&tag=b%26c&dc=dc2&near=n+1",
            id="all",
        ),
        pytest.param(Subject("service", "ä?#%"), "/v1/health/service/%C3%A4%3F%23%25?", id="odd name"),
        pytest.param(Subject("services", datacenter="dc2"), "/v1/catalog/services?dc=dc2", id="services"),
        pytest.param(Subject("nodes"), "/v1/catalog/nodes?", id="nodes"),
        pytest.param(Subject("datacenters"), "/v1/catalog/datacenters?", id="datacenters"),
    ],
)
def test_each_subject_is_asked_for_by_its_own_request(subject: Subject, target: str) -> None:
    with answering({} if subject.kind == "services" else []) as (server, client):
        client.read_catalog(subject)
        assert [asked.target for asked in server.asked] == [target]


@pytest.mark.parametrize("subject", [WEB, Subject("services"), Subject("nodes"), Subject("datacenters")])
def test_namespace_partition_and_consistency_go_with_every_request(subject: Subject) -> None:
    options = {"namespace": "team-a", "partition": "blue", "consistency": "stale"}
    with answering({} if subject.kind == "services" else [], **options) as (server, client):
        client.read_catalog(subject)
    assert server.asked[0].params == {"ns": "team-a", "partition": "blue", "stale": "1"}


def test_keys_of_another_datacenter_are_asked_for_in_the_same_namespace() -> None:
    with FakeConsul() as server:
        client = client_of(server, namespace="team-a", partition="blue")
        client.read_key("a", datacenter="dc2")
        client.read_prefix("a/", Terms(), datacenter="dc2")
        client.close()
    assert server.asked[0].params == {"dc": "dc2", "ns": "team-a", "partition": "blue"}
    assert server.asked[1].params == {"dc": "dc2", "ns": "team-a", "partition": "blue", "recurse": "1"}


def test_the_sources_own_datacenter_is_asked_where_a_call_names_none() -> None:
    with answering([], datacenter="dc1") as (server, client):
        client.read_catalog(WEB)
        client.read_key("a")
        client.read_key("a", datacenter="dc2")
    assert [asked.params.get("dc") for asked in server.asked] == ["dc1", "dc1", "dc2"]


def test_lists_block_with_an_index_and_a_wait() -> None:
    with answering([]) as (server, client):
        client.read_catalog(WEB, after=5, wait_seconds=2)
    assert server.asked[0].params["index"] == "5"
    assert 1900 <= int(server.asked[0].params["wait"].removesuffix("ms")) <= 2000


@pytest.mark.parametrize(
    ("checks", "status"),
    [
        ([], "passing"),
        ([("a", "passing"), ("b", "warning")], "warning"),
        ([("a", "critical"), ("b", "warning")], "critical"),
        ([("_node_maintenance", "critical"), ("b", "passing")], "maintenance"),
        ([("_service_maintenance:web", "critical"), ("b", "critical")], "maintenance"),
        ([("a", "of a later Consul")], "critical"),
    ],
)
def test_the_worst_check_is_the_state(checks: list[tuple[str, str]], status: str) -> None:
    with answering([entry({}, *checks)]) as (_, client):
        (item,) = client.read_catalog(WEB).items
    assert isinstance(item, dict)
    assert item["status"] == status


def test_the_same_instances_in_another_order_are_the_same_answer() -> None:
    one = entry({"ID": "b", "Tags": ["x", "y"], "Meta": {"k": "1", "l": "2"}})
    two = entry({"ID": "a", "Tags": None, "Meta": None})
    other = entry({"ID": "b", "Tags": ["y", "x"], "Meta": {"l": "2", "k": "1"}})
    with answering([one, two]) as (_, client):
        first = client.read_catalog(WEB)
        by_distance = client.read_catalog(Subject("service", "web", near="n1"))
    with answering([two, other]) as (_, client):
        assert client.read_catalog(WEB).fingerprint == first.fingerprint
        assert client.read_catalog(Subject("service", "web", near="n1")).fingerprint != by_distance.fingerprint


def test_datacenters_are_sorted_by_name_and_have_no_index() -> None:
    with answering(["far", "at-home"], headers="") as (_, client):
        read = client.read_catalog(Subject("datacenters"))
    assert (read.items, read.index) == (("at-home", "far"), 0)


@pytest.mark.parametrize("body", [{"web": []}, [{}], [entry({}) | {"Node": None}], ["web"], "text", None])
def test_what_is_no_list_of_instances_is_not_consuls(body: object) -> None:
    with answering(body) as (_, client), pytest.raises(SourceUnavailableError, match="is not Consul's API"):
        client.read_catalog(WEB)


@pytest.mark.parametrize("token", ["", "t0ken"])
def test_an_empty_list_that_acls_may_have_emptied_is_denied(token: str) -> None:
    mark = "X-Consul-Results-Filtered-By-ACLs: true" if token else "X-Consul-Default-ACL-Policy: deny"
    options = {"token": SecretStr(token)} if token else {}
    with answering([], headers=f"{HEADERS}{mark}\r\n", **options) as (_, client):
        with pytest.raises(SourceDeniedError) as caught:
            client.read_catalog(Subject("service", "web", is_passing=True))
        assert 'node_prefix "" { policy = "read" } and service "web" { policy = "read" }' in str(caught.value)
        assert ("token_file" in str(caught.value)) is not bool(token)


def test_a_list_of_which_something_may_be_seen_in_another_state_is_empty_and_not_denied() -> None:
    def ill(asked: Asked) -> bytes:
        body = [] if "passing" in asked.params else [entry({})]
        return answer(json.dumps(body).encode(), headers=f"{HEADERS}X-Consul-Default-ACL-Policy: deny\r\n")

    with FakeConsul() as server:
        server.fault = ill
        client = client_of(server)
        assert client.read_catalog(Subject("service", "web", is_passing=True)).items == ()
        client.close()


def test_a_stale_answer_that_is_too_old_is_read_again_from_the_leader() -> None:
    def behind(asked: Asked) -> bytes | None:
        server.headers["X-Consul-LastContact"] = "0" if "consistent" in asked.params else "2001"
        return None

    with FakeConsul() as server:
        server.put("a", b"1")
        server.fault = behind
        client = client_of(server, consistency="stale", max_stale="2s")
        read = client.read_key("a", after=5, wait_seconds=1)
        client.close()
        assert read.entries == {"a": b"1"}
        assert read.last_contact_seconds == 0
        assert [sorted(asked.params) for asked in server.asked] == [["index", "stale", "wait"], ["consistent"]]


@pytest.mark.parametrize(("consistency", "age"), [("stale", 2000), ("default", 60_000), ("consistent", 60_000)])
def test_an_answer_that_is_not_too_old_or_not_stale_is_taken(consistency: str, age: int) -> None:
    with FakeConsul() as server:
        server.headers["X-Consul-LastContact"] = str(age)
        client = client_of(server, consistency=consistency, max_stale="2s")
        client.read_key("a")
        client.close()
        assert len(server.asked) == 1


def test_a_streamed_answer_says_nothing_about_the_leader() -> None:
    headers = HEADERS.replace("true", "false")
    with answering([], headers=headers) as (_, client), pytest.raises(SourceUnavailableError, match="no leader"):
        client.read_catalog(WEB)
    with answering([], headers=f"{headers}X-Consul-Query-Backend: streaming\r\n") as (_, client):
        assert client.read_catalog(WEB).is_streamed


def test_an_old_answer_of_a_cluster_without_a_leader_is_an_outage() -> None:
    def alone(asked: Asked) -> bytes | None:
        if "consistent" in asked.params:
            return answer(b"No cluster leader", status="500 Internal Server Error")
        server.headers |= {"X-Consul-LastContact": "10001", "X-Consul-KnownLeader": "false"}
        return None

    with FakeConsul() as server:
        server.fault = alone
        client = client_of(server, consistency="stale")
        with pytest.raises(SourceUnavailableError, match="no leader"):
            client.read_key("a")
        client.close()
