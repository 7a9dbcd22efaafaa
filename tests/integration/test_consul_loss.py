"""A real Consul that loses its data, by accident or on purpose, and what confcar makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.consul_following import Followed, following, want
from tests.integration.sidecar import Sidecar
from tests.servers.consul import ConsulServer
from tests.waiting import wait_until

SITES, OTHER, WEB, NODES = want("ls", "sites"), want("tree", "other"), want("service", "web"), want("nodes")
NONE = want("key", "maybe")


@pytest.fixture
def forgetful(consul_program: Path, tmp_path: Path) -> Iterator[ConsulServer]:
    """Give a Consul in memory that has something of everything."""
    with ConsulServer(tmp_path / "consul", consul_program) as server:
        fill(server)
        yield server


def fill(server: ConsulServer) -> None:
    server.put_many({"sites/a": "1", "other/b": "2", "maybe": "3"})
    server.register("n1", "web")


def has_everything(followed: Followed) -> bool:
    return (
        followed.value(SITES) == {"a": b"1"}
        and followed.value(OTHER) == {"b": b"2"}
        and followed.value(NONE) == b"3"
        and isinstance(web := followed.value(WEB), tuple)
        and len(web) == 1
    )


def error_of(followed: Followed) -> str:
    return str(followed.status.copy().sources["consul"].error)


def test_a_server_replaced_by_an_empty_one_changes_nothing_until_the_data_is_back(forgetful: ConsulServer) -> None:
    with following(forgetful.address, SITES, OTHER, WEB, NODES, NONE) as followed:
        wait_until(lambda: has_everything(followed))
        changes = 0

        def count() -> None:
            nonlocal changes
            changes += 1

        # All but the nodes, which an empty Consul has, too.
        followed.store.subscribe("others", frozenset({SITES, OTHER, WEB, NONE}), count)
        changes = 0
        forgetful.kill()
        forgetful.start()
        wait_until(lambda: "was restored or replaced" in error_of(followed), timeout=20)
        assert followed.is_up is False
        assert "empty_guard: false" in error_of(followed)
        for each in (SITES, OTHER, WEB, NONE):
            wait_until(lambda: followed.store.take("test")[1][each].error is not None, timeout=20)  # noqa: B023 - used at once
        assert has_everything(followed)
        assert changes == 0
        fill(forgetful)
        wait_until(lambda: followed.is_up is True, timeout=20)
        forgetful.put("sites/c", "4")
        wait_until(lambda: followed.value(SITES) == {"a": b"1", "c": b"4"})


def test_the_only_list_of_an_emptied_server_stays_too(forgetful: ConsulServer) -> None:
    with following(forgetful.address, WEB) as followed:
        wait_until(lambda: isinstance(web := followed.value(WEB), tuple) and len(web) == 1)
        forgetful.kill()
        forgetful.start()
        wait_until(lambda: "empty_guard: false" in error_of(followed), timeout=20)
        assert len(followed.value(WEB)) == 1  # type: ignore[arg-type]  # a tuple


def test_with_the_guard_off_the_emptied_server_is_believed(forgetful: ConsulServer) -> None:
    with following(forgetful.address, SITES, WEB, empty_guard=False) as followed:
        wait_until(lambda: followed.value(SITES) == {"a": b"1"})
        forgetful.kill()
        forgetful.start()
        wait_until(lambda: followed.value(SITES) == {} and followed.value(WEB) == (), timeout=20)
        wait_until(lambda: followed.is_up is True)


def test_one_folder_deleted_on_purpose_is_empty(forgetful: ConsulServer) -> None:
    with following(forgetful.address, SITES, OTHER, WEB, NONE) as followed:
        wait_until(lambda: has_everything(followed))
        forgetful.delete("sites/", recurse=True)
        wait_until(lambda: followed.value(SITES) == {})
        forgetful.delete("maybe")
        wait_until(lambda: followed.value(NONE) is None)
        wait_until(lambda: followed.is_up)


def test_the_only_folder_deleted_on_purpose_is_empty(forgetful: ConsulServer) -> None:
    with following(forgetful.address, SITES) as followed:
        wait_until(lambda: followed.value(SITES) == {"a": b"1"})
        forgetful.delete("sites/", recurse=True)
        wait_until(lambda: followed.value(SITES) == {})
        wait_until(lambda: followed.is_up)


def test_a_service_without_an_instance_that_passes_is_empty(forgetful: ConsulServer) -> None:
    with following(forgetful.address, SITES, WEB) as followed:
        wait_until(lambda: isinstance(web := followed.value(WEB), tuple) and len(web) == 1)
        forgetful.register("n1", "web", status="critical")
        wait_until(lambda: followed.value(WEB) == ())
        wait_until(lambda: followed.is_up)


def test_the_whole_store_deleted_at_once_changes_nothing(forgetful: ConsulServer) -> None:
    with following(forgetful.address, SITES, OTHER) as followed:
        wait_until(lambda: followed.value(SITES) == {"a": b"1"} and followed.value(OTHER) == {"b": b"2"})
        forgetful.delete("", recurse=True)
        wait_until(lambda: "went empty together" in error_of(followed))
        wait_until(lambda: followed.store.take("test")[1][OTHER].error is not None)
        assert followed.value(SITES) == {"a": b"1"}
        assert followed.value(OTHER) == {"b": b"2"}
        forgetful.put_many({"sites/a": "5", "other/b": "6"})
        wait_until(lambda: followed.value(SITES) == {"a": b"5"} and followed.value(OTHER) == {"b": b"6"})
        wait_until(lambda: followed.is_up is True)


def test_a_restored_snapshot_is_followed_and_what_it_does_not_have_stays(forgetful: ConsulServer) -> None:
    early = want("key", "early")
    forgetful.put("early", "old")
    forgetful.delete("sites/", recurse=True)
    snapshot = forgetful.call("GET", "/v1/snapshot").expect(200).body
    forgetful.put_many({"early": "new", "sites/a": "1"})
    with following(forgetful.address, early, SITES) as followed:
        wait_until(lambda: followed.value(early) == b"new" and followed.value(SITES) == {"a": b"1"})
        forgetful.call("PUT", "/v1/snapshot", snapshot).expect(200)
        wait_until(lambda: followed.value(early) == b"old", timeout=20)
        wait_until(lambda: "was restored" in error_of(followed), timeout=20)
        assert followed.value(SITES) == {"a": b"1"}


def test_a_restarted_server_that_kept_its_data_troubles_nobody(own_consul: ConsulServer) -> None:
    fill(own_consul)
    with following(own_consul.address, SITES, OTHER, WEB, NONE) as followed:
        wait_until(lambda: has_everything(followed))
        own_consul.restart()
        own_consul.put("sites/a", "9")
        wait_until(lambda: followed.value(SITES) == {"a": b"9"}, timeout=20)
        wait_until(lambda: followed.is_up is True, timeout=20)
        own_consul.delete("sites/", recurse=True)
        wait_until(lambda: followed.value(SITES) == {})
        wait_until(lambda: followed.is_up)


def test_a_first_start_on_an_empty_server_is_a_value(consul_program: Path, tmp_path: Path) -> None:
    with (
        ConsulServer(tmp_path / "consul", consul_program) as server,
        following(server.address, SITES, WEB, NONE) as followed,
    ):
        wait_until(lambda: followed.value(SITES) == {} and followed.value(WEB) == () and followed.value(NONE) is None)
        wait_until(lambda: followed.is_up)


_CONFIG = """
sources: {{consul: {{type: consul, address: "{address}"}}}}
bundles:
  web:
    directory: out
    wait: {{quiet: 10ms, max: 100ms}}
    templates: [{{source: sites.j2, destination: sites}}]
"""
_TEMPLATE = """{% for site in ls('sites') %}{{ site.key }} {% endfor %}
{% for each in service('web') %}{{ each.node }} {% endfor %}
{{ key('maybe', default='none') }}"""


def test_published_files_stay_and_status_and_metrics_say_what_to_do(forgetful: ConsulServer, tmp_path: Path) -> None:
    config = tmp_path / "confcar.yaml"
    config.write_text(_CONFIG.format(address=forgetful.address))
    (tmp_path / "sites.j2").write_text(_TEMPLATE)
    sites = tmp_path / "out" / "sites"
    with Sidecar(config) as sidecar:
        assert sites.read_text() == "a \nn1 \n3"
        forgetful.kill()
        forgetful.start()

        def source() -> dict[str, object]:
            return dict(sidecar.status()["sources"]["consul"])

        wait_until(lambda: "empty_guard: false" in str(source()["error"]), timeout=20)
        assert source()["up"] is False
        assert 'confcar_source_up{source="consul"} 0.0' in sidecar.get("/metrics")[1]
        assert sidecar.is_ready()
        # One thing that is there again is taken, and shows that the rest was not.
        forgetful.put("sites/b", "1")
        wait_until(lambda: sites.read_text() == "b \nn1 \n3")
        assert source()["up"] is False
        fill(forgetful)
        wait_until(lambda: sites.read_text() == "a b \nn1 \n3")
        wait_until(lambda: source()["up"] is True, timeout=20)
        assert source()["error"] is None
        assert sidecar.log().count("source lost its data") == 1
        assert "source has its data again" in sidecar.log()
