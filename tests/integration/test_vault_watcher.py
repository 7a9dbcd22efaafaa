"""The Vault watcher and the loop that follows it, on a real OpenBao that is killed, sealed and paused."""

from __future__ import annotations

import time

import pytest

from confcar.errors import SourceDeniedError, SourceUnavailableError
from confcar.model import ABSENT, Reading
from tests.integration.vault_following import Followed, read, want, watcher_of
from tests.servers.fault_proxy import FaultProxy
from tests.servers.openbao import OpenBaoServer
from tests.waiting import wait_until


def test_versions_deleted_and_destroyed_are_told_apart(openbao: OpenBaoServer, kv_mount: str) -> None:
    path = f"{kv_mount}/app"
    for number in range(1, 5):
        openbao.put_kv("app", {"n": number}, mount=kv_mount)
    openbao.write(f"{kv_mount}/destroy/app", {"versions": [2]})
    openbao.write(f"{kv_mount}/delete/app", {"versions": [3]})
    with watcher_of(openbao.address, token=openbao.token) as watcher:
        assert read(watcher, want(path)).value == {"n": 4}
        assert read(watcher, want(f"{kv_mount}/data/app")).value == {"n": 4}
        assert read(watcher, want(path, version=1)).value == {"n": 1}
        assert read(watcher, want(path, version=2)) == Reading(None, "destroyed")
        assert read(watcher, want(path, version=3)) == Reading(None, "deleted")
        assert read(watcher, want(path, version=9)) == ABSENT
        openbao.delete(f"{kv_mount}/data/app")
        assert read(watcher, want(path)) == Reading(None, "deleted")
        assert read(watcher, want(f"{kv_mount}/none")) == ABSENT


def test_secret_that_will_be_deleted_some_day_is_alive(openbao: OpenBaoServer, kv_mount: str) -> None:
    openbao.write(f"{kv_mount}/metadata/app", {"delete_version_after": "1h"})
    openbao.put_kv("app", {"a": "1"}, mount=kv_mount)
    assert openbao.read(f"{kv_mount}/data/app")["metadata"]["deletion_time"]
    with watcher_of(openbao.address, token=openbao.token) as watcher:
        assert read(watcher, want(f"{kv_mount}/app")).value == {"a": "1"}


def test_key_that_begins_with_data_and_strange_names_are_found(openbao: OpenBaoServer, kv_mount: str) -> None:
    openbao.put_kv("data/app", {"a": "1"}, mount=kv_mount)
    openbao.call("POST", f"{kv_mount}/data/%C3%BC%20%25%20x%3Fy%23z", {"data": {"a": "2"}}).expect(200)
    with watcher_of(openbao.address, token=openbao.token) as watcher:
        assert read(watcher, want(f"{kv_mount}/data/data/app")).value == {"a": "1"}
        assert read(watcher, want(f"{kv_mount}/ü % x?y#z")).value == {"a": "2"}


def test_names_are_listed_on_both_kv_versions(openbao: OpenBaoServer, kv_mount: str) -> None:
    openbao.mount(f"{kv_mount}-v1", "kv", options={"version": "1"})
    for name in ("b", "a/x", "a/y", "C"):
        openbao.put_kv(f"web/{name}", {"a": "1"}, mount=kv_mount)
        openbao.write(f"{kv_mount}-v1/web/{name}", {"a": "1"})
    try:
        with watcher_of(openbao.address, token=openbao.token) as watcher:
            for mount in (kv_mount, f"{kv_mount}-v1"):
                assert read(watcher, want(f"{mount}/web", "secrets")).value == ("C", "a/", "b")
                assert read(watcher, want(mount, "secrets")).value == ("web/",)
                assert read(watcher, want(f"{mount}/none", "secrets")) == ABSENT
    finally:
        openbao.unmount(f"{kv_mount}-v1")


def test_kv_v1_is_read_again_every_refresh_whatever_its_lease_duration_says(
    openbao: OpenBaoServer, kv_mount: str
) -> None:
    openbao.mount(f"{kv_mount}-v1", "kv", options={"version": "1"})
    path = want(f"{kv_mount}-v1/app")
    openbao.write(path.path, {"password": "one", "ttl": "768h"})
    try:
        with Followed(openbao.address, path, token=openbao.token) as followed:
            followed.wait_for(path, {"password": "one", "ttl": "768h"})
            openbao.write(path.path, {"password": "two"})
            followed.wait_for(path, {"password": "two"}, timeout=2.0)
    finally:
        openbao.unmount(f"{kv_mount}-v1")
    assert followed.ttl == 0.0  # the root token does not end


def test_mount_upgraded_from_v1_to_v2_is_followed(openbao: OpenBaoServer, kv_mount: str) -> None:
    mount = f"{kv_mount}-up"
    openbao.mount(mount, "kv", options={"version": "1"})
    path = want(f"{mount}/app")
    openbao.write(path.path, {"a": "1"})
    try:
        with Followed(openbao.address, path, token=openbao.token) as followed:
            followed.wait_for(path, {"a": "1"})
            openbao.write(f"sys/mounts/{mount}/tune", {"options": {"version": "2"}})
            wait_until(lambda: openbao.call("POST", f"{mount}/data/app", {"data": {"a": "2"}}).status == 200)
            followed.wait_for(path, {"a": "2"})
    finally:
        openbao.unmount(mount)


def test_namespace_of_the_source_is_where_its_mounts_are(openbao: OpenBaoServer, kv_mount: str) -> None:
    name = f"ns-{kv_mount}"
    openbao.write(f"sys/namespaces/{name}")
    openbao.write(f"{name}/sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
    wait_until(lambda: openbao.call("POST", f"{name}/secret/data/app", {"data": {"a": "1"}}).status == 200)
    try:
        with watcher_of(openbao.address, token=openbao.token, namespace=name) as watcher:
            assert read(watcher, want("secret/app")).value == {"a": "1"}
        with watcher_of(openbao.address, token=openbao.token) as watcher:
            assert read(watcher, want(f"{name}/secret/app")).value == {"a": "1"}
    finally:
        openbao.delete(f"{name}/sys/mounts/secret")
        openbao.delete(f"sys/namespaces/{name}")


def test_engine_that_creates_what_it_gives_is_not_read(openbao: OpenBaoServer, openbao_proxy: FaultProxy) -> None:
    openbao.mount("pki-of-test", "pki")
    try:
        with watcher_of(openbao_proxy.address, token=openbao.token) as watcher:
            assert read(watcher, want("pki-of-test/issue/web")).is_dynamic
    finally:
        openbao.unmount("pki-of-test")
    assert openbao_proxy.count("/v1/pki-of-test/") == 0


def test_missing_mount_and_missing_rights_say_so(openbao: OpenBaoServer, kv_mount: str) -> None:
    with watcher_of(openbao.address, token=openbao.create_token(["default"])) as watcher:
        with pytest.raises(SourceDeniedError, match="no engine is mounted there, or the token may read nothing"):
            read(watcher, want("no-such-mount/app"))
        with pytest.raises(SourceDeniedError, match="kv_versions"):
            read(watcher, want(f"{kv_mount}/app"))


def test_server_killed_and_back_is_caught_up_with(own_openbao: OpenBaoServer) -> None:
    own_openbao.put_kv("app", {"a": "1"})
    path = want("secret/app")
    with Followed(own_openbao.address, path, token=own_openbao.token) as followed:
        followed.wait_for(path, {"a": "1"})
        own_openbao.kill()
        wait_until(lambda: isinstance(followed.answer(path).error, SourceUnavailableError))
        assert followed.value(path) == {"a": "1"}
        assert not followed.status.copy().sources["vault"].up
        own_openbao.start()
        own_openbao.put_kv("app", {"a": "2"})
        followed.wait_for(path, {"a": "2"}, timeout=11.0)
        wait_until(lambda: followed.status.copy().sources["vault"].up)


def test_sealed_server_is_unavailable_and_the_last_good_stays(own_openbao: OpenBaoServer) -> None:
    own_openbao.put_kv("app", {"a": "1"})
    path = want("secret/app")
    with Followed(own_openbao.address, path, token=own_openbao.token) as followed:
        followed.wait_for(path, {"a": "1"})
        own_openbao.seal()
        wait_until(lambda: "sealed" in str(followed.answer(path).error))
        assert followed.value(path) == {"a": "1"}
        own_openbao.unseal()
        wait_until(lambda: followed.answer(path).error is None, timeout=15.0)


def test_paused_server_is_unavailable_and_close_does_not_wait_for_it(own_openbao: OpenBaoServer) -> None:
    own_openbao.put_kv("app", {"a": "1"})
    path = want("secret/app")
    with Followed(own_openbao.address, path, token=own_openbao.token) as followed:
        followed.wait_for(path, {"a": "1"})
        own_openbao.pause()
        try:
            wait_until(lambda: "does not answer in time" in str(followed.answer(path).error), timeout=15.0)
            began = time.monotonic()
            followed.follower.close()
            assert time.monotonic() - began < 1.0
        finally:
            own_openbao.resume()
