"""The catalogue of a real Consul: what is listed, how changes arrive, and what ACLs hide."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from confcar.errors import SourceDeniedError
from confcar.model import Dependency
from tests.integration.consul_following import Followed, following, want, watcher_of
from tests.servers.consul import ConsulServer
from tests.waiting import wait_until


@dataclass
class Corner:
    """A service and nodes of the test's own in a shared Consul."""

    server: ConsulServer
    service: str = field(default_factory=lambda: f"web-{uuid.uuid4().hex[:8]}")
    nodes: set[str] = field(default_factory=set)

    def add(self, node: str, *, status: str = "passing", **fields: object) -> None:
        name = f"{self.service}-{node}"
        self.nodes.add(name)
        self.server.register(name, self.service, status=status, **fields)

    def remove(self, node: str) -> None:
        self.nodes.discard(f"{self.service}-{node}")
        self.server.deregister(f"{self.service}-{node}")

    def clean_up(self) -> None:
        for name in self.nodes:
            self.server.deregister(name)


@pytest.fixture
def corner(consul: ConsulServer) -> Iterator[Corner]:
    made = Corner(consul)
    yield made
    made.clean_up()


def shown(followed: Followed, wanted: Dependency) -> list[str]:
    """Return the nodes of the instances, each by its last part."""
    value = followed.value(wanted)
    return [str(item["node"]).rpartition("-")[2] for item in value] if isinstance(value, tuple) else ["not read yet"]


def items(followed: Followed, wanted: Dependency) -> list[dict[str, object]]:
    value = followed.value(wanted)
    return list(value) if isinstance(value, tuple) else []


def test_an_instance_has_all_a_config_file_needs_and_falls_back_to_its_nodes_address(corner: Corner) -> None:
    corner.add("b", ID="own", Address="10.1.1.1", Port=80, Tags=["v2", "blue"], Meta={"z": "1", "a": "2"})
    corner.add("a")
    wanted = want("service", corner.service)
    with following(corner.server.address, wanted) as followed:
        wait_until(lambda: shown(followed, wanted) == ["a", "b"])
        plain = {"tags": (), "meta": {}, "port": 0, "status": "passing", "name": corner.service}
        assert followed.value(wanted) == (
            {**plain, "id": corner.service, "address": "10.0.0.1", "node": f"{corner.service}-a"},
            {
                **plain,
                "id": "own",
                "address": "10.1.1.1",
                "port": 80,
                "tags": ("blue", "v2"),
                "meta": {"a": "2", "z": "1"},
                "node": f"{corner.service}-b",
            },
        )


def test_states_are_told_apart_and_a_change_of_one_arrives(corner: Corner) -> None:
    for status in ("passing", "warning", "critical"):
        corner.add(status, status=status)
    passing = want("service", corner.service)
    usable = Dependency("consul", "service", corner.service, (("status", "passing"), ("status", "warning")))
    critical = want("service", corner.service, status="critical")
    states = ("critical", "maintenance", "passing", "warning")
    everyone = Dependency("consul", "service", corner.service, tuple(("status", state) for state in states))
    with following(corner.server.address, passing, usable, critical, everyone) as followed:
        wait_until(lambda: shown(followed, passing) == ["passing"])
        wait_until(lambda: shown(followed, usable) == ["passing", "warning"])
        assert shown(followed, critical) == ["critical"]
        assert shown(followed, everyone) == ["critical", "passing", "warning"]
        corner.add("passing", status="critical")
        wait_until(lambda: shown(followed, critical) == ["critical", "passing"])
        wait_until(lambda: shown(followed, passing) == [])
        wait_until(lambda: followed.is_up)


def test_an_instance_in_maintenance_is_neither_passing_nor_critical(own_consul: ConsulServer) -> None:
    own_consul.call("PUT", "/v1/agent/service/register", {"Name": "web", "Port": 80}).expect(200)
    passing, critical, ill = (
        want("service", "web", **each) for each in ({}, {"status": "critical"}, {"status": "maintenance"})
    )
    with following(own_consul.address, passing, critical, ill) as followed:
        wait_until(lambda: shown(followed, passing) == ["test"])
        own_consul.call("PUT", "/v1/agent/service/maintenance/web?enable=true").expect(200)
        wait_until(lambda: shown(followed, ill) == ["test"])
        wait_until(lambda: shown(followed, passing) == [])
        assert shown(followed, critical) == []


def test_every_tag_has_to_be_there(corner: Corner) -> None:
    corner.add("a", Tags=["http", "v1"])
    corner.add("b", Tags=["http", "v2"])
    one = want("service", corner.service, tag="http")
    both = Dependency("consul", "service", corner.service, (("tag", "http"), ("tag", "v2")))
    with following(corner.server.address, one, both) as followed:
        wait_until(lambda: shown(followed, one) == ["a", "b"])
        wait_until(lambda: shown(followed, both) == ["b"])


def test_services_nodes_and_datacenters_are_followed_and_sorted(corner: Corner) -> None:
    corner.add("n", Tags=["t2", "t1"])
    services, nodes, datacenters = want("services"), want("nodes"), want("datacenters")
    with following(corner.server.address, services, nodes, datacenters) as followed:
        wait_until(lambda: followed.value(datacenters) == ("dc1",))

        def listed(wanted: Dependency) -> dict[str, dict[str, object]]:
            found = {str(each["name"]): each for each in items(followed, wanted)}
            assert list(found) == sorted(found)
            return found

        wait_until(lambda: listed(services).get(corner.service) == {"name": corner.service, "tags": ("t1", "t2")})
        assert "consul" in listed(services)
        node = f"{corner.service}-n"
        expected = {"name": node, "id": "", "address": "10.0.0.1", "meta": {}, "datacenter": "dc1"}
        wait_until(lambda: listed(nodes).get(node) == expected)
        corner.remove("n")
        wait_until(lambda: corner.service not in listed(services) and node not in listed(nodes))


@pytest.mark.parametrize("consistency", ["default", "stale", "consistent"])
def test_a_service_is_followed_with_every_consistency(consistency: str, corner: Corner) -> None:
    wanted, by_tag = want("service", corner.service), want("service", corner.service, tag="new")
    with following(corner.server.address, wanted, by_tag, consistency=consistency) as followed:
        wait_until(lambda: followed.value(wanted) == followed.value(by_tag) == ())
        for number in range(5):
            corner.add(f"n{number}", Tags=["new"])
            wait_until(lambda: len(shown(followed, wanted)) == len(shown(followed, by_tag)) == number + 1)  # noqa: B023 - used at once
            assert shown(followed, wanted) == [f"n{each}" for each in range(number + 1)]
        for number in range(5):
            corner.remove(f"n{number}")
            wait_until(lambda: len(shown(followed, wanted)) == len(shown(followed, by_tag)) == 4 - number)  # noqa: B023 - used at once
        wait_until(lambda: followed.is_up)


def test_near_keeps_the_order_of_the_server(corner: Corner) -> None:
    for name in ("c", "a", "b"):
        corner.add(name)
    near = want("service", corner.service, near="test")
    with following(corner.server.address, near) as followed:
        wait_until(lambda: sorted(shown(followed, near)) == ["a", "b", "c"])
        answer = corner.server.call("GET", f"/v1/health/service/{corner.service}?near=test&passing").expect(200)
        assert shown(followed, near) == [each["Node"]["Node"].rpartition("-")[2] for each in answer.json]


def test_another_datacenter_is_asked_by_name(consul: ConsulServer, kv_prefix: str) -> None:
    consul.put(f"{kv_prefix}/a", "1")
    here, gone = want("key", f"{kv_prefix}/a", dc="dc1"), want("tree", kv_prefix, dc="nowhere")
    service = want("service", "consul", dc="dc1")
    with following(consul.address, here, gone, service) as followed:
        wait_until(lambda: followed.value(here) == b"1" and shown(followed, service) == ["test"])
        wait_until(lambda: "'nowhere'" in str(followed.store.take("test")[1][gone].error))


def test_a_service_that_nobody_has_is_an_empty_list(consul: ConsulServer) -> None:
    wanted = want("service", f"none-{uuid.uuid4().hex}")
    with following(consul.address, wanted) as followed:
        wait_until(lambda: followed.value(wanted) == ())
        wait_until(lambda: followed.is_up)


def test_what_acls_hide_is_denied_and_not_an_empty_list(consul_acl: ConsulServer) -> None:
    name = f"web-{uuid.uuid4().hex[:8]}"
    consul_acl.register(f"{name}-node", name, status="critical")
    rules = 'node_prefix "" {{ policy = "read" }} service_prefix "{}" {{ policy = "read" }}'
    service, services, nodes = want("service", name), want("services"), want("nodes")
    seeing = consul_acl.create_token(rules.format(name))
    with watcher_of(consul_acl.address, token=seeing) as watcher:
        (query,) = watcher.plan(frozenset({service}))
        # None of its instances passes: nothing that ACLs did.
        assert watcher.fetch(query, frozenset({service}), after=None, wait_seconds=0).readings[service].value == ()
    for token in (consul_acl.create_token(rules.format("other").partition("service_prefix")[0]), ""):
        with watcher_of(consul_acl.address, token=token) as watcher:
            for wanted, rule in ((service, f'service "{name}"'), (services, 'service_prefix ""')):
                (query,) = watcher.plan(frozenset({wanted}))
                with pytest.raises(SourceDeniedError) as caught:
                    watcher.fetch(query, frozenset({wanted}), after=None, wait_seconds=0)
                assert f'{rule} {{ policy = "read" }}' in str(caught.value)
    with watcher_of(consul_acl.address, token=consul_acl.create_token('key "x" { policy = "read" }')) as watcher:
        (query,) = watcher.plan(frozenset({nodes}))
        with pytest.raises(SourceDeniedError, match=r'node_prefix "" \{ policy = "read" \}'):
            watcher.fetch(query, frozenset({nodes}), after=None, wait_seconds=0)
    consul_acl.deregister(f"{name}-node")


def test_a_second_datacenter_is_read_by_name_and_listed(
    own_consul: ConsulServer, consul_program: Path, tmp_path: Path
) -> None:
    own_consul.put("a", "here")
    settings = {"datacenter": "dc2", "retry_join_wan": [own_consul.wan_address]}
    with ConsulServer(tmp_path / "dc2", consul_program, settings=settings) as other:
        other.put_many({"a": "there", "folder/b": "1"})
        other.register("far", "web", Meta={"v": "1"})
        here, there, folder = want("key", "a"), want("key", "a", dc="dc2"), want("ls", "folder", dc="dc2")
        web, services, nodes = want("service", "web", dc="dc2"), want("services", dc="dc2"), want("nodes", dc="dc2")
        datacenters = want("datacenters")
        wait_until(lambda: own_consul.call("GET", "/v1/catalog/datacenters").json == ["dc1", "dc2"], timeout=30)
        with following(own_consul.address, here, there, folder, web, services, nodes, datacenters) as followed:
            wait_until(lambda: followed.value(here) == b"here" and followed.value(there) == b"there", timeout=30)
            wait_until(lambda: followed.value(folder) == {"b": b"1"} and shown(followed, web) == ["far"])
            wait_until(lambda: {each["name"] for each in items(followed, services)} == {"consul", "web"})
            wait_until(lambda: {each["datacenter"] for each in items(followed, nodes)} == {"dc2"})
            assert followed.value(datacenters) == ("dc1", "dc2")
            other.put("a", "changed")
            other.register("far", "web", status="critical")
            wait_until(lambda: followed.value(there) == b"changed" and shown(followed, web) == [])
            assert followed.value(here) == b"here"
