"""Which query answers which call on the catalogue, and that none is forgotten."""

from __future__ import annotations

import pytest

from confcar.clients.consul_catalog import Subject
from confcar.model import Dependency
from confcar.watchers.consul_catalog import UNWATCHED_SECONDS, listing_of, plan_catalog
from tests.fakes.tcp import answer
from tests.unit.watchers.consul_world import World, want, world

ANY = ("critical", "maintenance", "passing", "warning")


def service(*params: tuple[str, str]) -> Dependency:
    return Dependency("consul", "service", "web", params)


def states(*names: str) -> Dependency:
    return service(*(("status", name) for name in names))


@pytest.mark.parametrize(
    ("wanted", "subject"),
    [
        (service(), Subject("service", "web", is_passing=True)),
        (states(*ANY), Subject("service", "web")),
        (states("warning"), Subject("service", "web")),
        (service(("dc", "dc2")), Subject("service", "web", datacenter="dc2", is_passing=True)),
        (service(("near", "n1")), Subject("service", "web", near="n1", is_passing=True)),
        (service(("tag", "a"), ("tag", "b")), Subject("service", "web", tags=("a", "b"), is_passing=True)),
        (want("services", ""), Subject("services")),
        (Dependency("consul", "nodes", "", (("dc", "dc2"),)), Subject("nodes", datacenter="dc2")),
        (want("datacenters", ""), Subject("datacenters")),
    ],
)
def test_every_part_of_a_call_is_part_of_its_query(wanted: Dependency, subject: Subject) -> None:
    assert plan_catalog(frozenset({wanted})) == {subject: frozenset({wanted})}


def test_calls_that_differ_only_in_the_state_share_a_query() -> None:
    wanted = {states(*ANY), states("critical"), states("passing", "warning"), service()}
    plan = plan_catalog(frozenset(wanted))
    assert {len(share) for share in plan.values()} == {1, 3}
    items = tuple({"id": state, "status": state} for state in ANY)
    shown = [[each["id"] for each in listing_of(one, items).value or ()] for one in (states("critical"), service())]  # type: ignore[index]  # mappings
    assert shown == [["critical"], ["passing"]]


def test_one_key_in_two_datacenters_is_two_queries() -> None:
    with world() as consul:
        here = want("key", "a/b")
        there = Dependency("consul", "key", "a/b", (("dc", "dc2"),))
        folder = Dependency("consul", "ls", "a", (("dc", "dc2"),))
        plan = consul.watcher.plan(frozenset({here, there, folder, want("services", "")}))
        assert sorted(map(len, plan.values())) == [1, 1, 2]
        assert frozenset({there, folder}) in plan.values()


def test_a_key_elsewhere_is_read_and_confirmed_there() -> None:
    with world() as consul:
        consul.server.put("app/port", b"80")
        consul.server.headers["X-Consul-Results-Filtered-By-ACLs"] = "true"
        keys = [Dependency("consul", "key", f"app/{name}", (("dc", "dc2"),)) for name in ("port", "none")]
        folder = Dependency("consul", "tree", "app", (("dc", "dc2"),))
        snapshot = consul.fetch(*keys, folder)
        assert [snapshot.readings[each].value for each in keys] == [b"80", None]
        assert {asked.params["dc"] for asked in consul.server.asked} == {"dc2"}
        assert len(consul.server.asked) == 2


def test_a_bad_path_elsewhere_fails_alone_and_is_never_sent() -> None:
    with world() as consul:
        bad = Dependency("consul", "key", "../x", (("dc", "dc2"),))
        assert consul.fetch(bad).failures.keys() == {bad}
        assert consul.server.asked == []


def _datacenters(consul: World) -> None:
    consul.server.fault = lambda _: answer(b'["dc2", "dc1"]')


def test_datacenters_are_polled_and_seldom() -> None:
    with world() as consul:
        _datacenters(consul)
        wanted = want("datacenters", "")
        first = consul.fetch(wanted, wait_seconds=50)
        assert first.readings[wanted].value == ("dc1", "dc2")
        again = consul.fetch(wanted, after=first.version, wait_seconds=50)
        assert (again.version, again.readings) == (first.version, {})
        assert first.again_in_seconds == again.again_in_seconds == UNWATCHED_SECONDS
        assert all("index" not in asked.params for asked in consul.server.asked)
