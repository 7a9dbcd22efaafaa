"""Which engine serves a path: asked, told, forgotten, and never guessed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from confcar.errors import SourceDataError, SourceDeniedError, SourceUnavailableError
from confcar.model import ABSENT, Reading
from tests.fakes.vault_api import VaultApi, running_vault
from tests.unit.watchers.vault_reader import TOKEN, Reader


@pytest.fixture
def api() -> Iterator[VaultApi]:
    with running_vault() as api:
        api.add_token(TOKEN)
        api.add_kv("secret", 2)
        api.add_kv("kv1", 1)
        yield api


@pytest.fixture
def reader(api: VaultApi) -> Iterator[Reader]:
    made = Reader(api)
    yield made
    made.client.close()


@pytest.mark.parametrize("status", [500, 502, 503, 429, 412])
def test_failed_detection_is_not_remembered(api: VaultApi, reader: Reader, status: int) -> None:
    api.put("secret/data/app", {"a": 1})
    times = 3 if status == 412 else 1
    api.script("sys/internal/ui/mounts/secret/app", status, {"errors": ["for a moment"]}, times=times)

    with pytest.raises(SourceUnavailableError, match="for a moment"):
        reader.read("secret/app")
    assert reader.read("secret/app").value == {"a": 1}


def test_denied_detection_hints_at_the_config_and_is_not_remembered(api: VaultApi, reader: Reader) -> None:
    api.put("secret/data/app", {"a": 1})
    api.denied.add("sys/internal/ui/mounts/secret/app")

    with pytest.raises(SourceDeniedError, match="kv_versions"):
        reader.read("secret/app")
    api.denied.clear()
    assert reader.read("secret/app").value == {"a": 1}


def test_mount_is_asked_for_once(api: VaultApi, reader: Reader) -> None:
    api.put("secret/data/app", {"a": 1})
    api.put("secret/data/web", {"b": 1})
    for path in ("secret/app", "secret/web", "secret/app"):
        reader.read(path)

    assert [asked.path for asked in api.asked].count("sys/internal/ui/mounts/secret/app") == 1
    assert api.count("sys/internal/ui/mounts/secret/web") == 0


def test_mount_upgraded_to_v2_is_noticed(api: VaultApi, reader: Reader) -> None:
    api.secrets["kv1/app"] = {"a": 1}
    assert reader.read("kv1/app").value == {"a": 1}
    del api.secrets["kv1/app"]
    api.add_kv("kv1", 2)
    api.put("kv1/data/app", {"a": 2})

    assert reader.read("kv1/app") == ABSENT
    assert reader.read("kv1/app").value == {"a": 2}


def test_configured_version_needs_no_question_and_the_longest_mount_wins(api: VaultApi) -> None:
    api.put("team/kv/data/app", {"a": 2})
    api.secrets["team/app"] = {"a": 1}
    reader = Reader(api, kv_versions={"team": 1, "team/kv/": 2})

    assert reader.read("team/kv/app").value == {"a": 2}
    assert reader.read("team/app").value == {"a": 1}
    assert not [asked for asked in api.asked if asked.path.startswith("sys/")]
    reader.client.close()


def test_unmounted_engine_is_told_from_a_missing_secret(api: VaultApi) -> None:
    reader = Reader(api, kv_versions={"gone": 1})
    api.script("gone/app", 404, {"errors": ['no handler for route "gone/app". route entry not found.']})

    assert reader.read("gone/app") == Reading(None, "no engine is mounted there")
    reader.client.close()


@pytest.mark.parametrize("kind", ["database", "pki", "aws", "system", "transit"])
def test_engine_that_would_create_a_credential_is_never_read(api: VaultApi, reader: Reader, kind: str) -> None:
    api.mounts["other"] = {"path": "other/", "type": kind, "options": None}

    assert reader.read("other/creds/web") == Reading(None, is_dynamic=True)
    assert reader.read("other/creds/api") == Reading(None, is_dynamic=True)
    assert [asked.path for asked in api.asked] == ["sys/internal/ui/mounts/other/creds/web"]


def test_version_of_what_is_no_kv_is_refused(api: VaultApi, reader: Reader) -> None:
    api.mounts["other"] = {"path": "other/", "type": "database", "options": None}

    with pytest.raises(SourceDataError, match="only KV v2 keeps versions"):
        reader.read("other/creds/web", version=1)


def test_names_of_any_engine_can_be_listed(api: VaultApi, reader: Reader) -> None:
    api.mounts["other"] = {"path": "other/", "type": "database", "options": None}
    api.secrets["other/roles"] = {"keys": ["web", "api"]}

    assert reader.read("other/roles", kind="secrets").value == ("api", "web")


def test_cubbyhole_reads_like_v1(api: VaultApi, reader: Reader) -> None:
    api.mounts["cubbyhole"] = {"path": "cubbyhole/", "type": "cubbyhole", "options": None}
    api.secrets["cubbyhole/app"] = {"a": 1}

    assert reader.read("cubbyhole/app").value == {"a": 1}


@pytest.mark.parametrize(
    "named", [pytest.param("secret/", id="bare"), pytest.param("team-a/secret/", id="with the namespace before it")]
)
def test_namespace_is_sent_and_taken_off_the_mount(api: VaultApi, named: str) -> None:
    api.mounts["secret"]["path"] = named
    api.put("secret/data/app", {"a": 1})
    reader = Reader(api, namespace="team-a")

    assert reader.read("secret/app").value == {"a": 1}
    assert {asked.headers["x-vault-namespace"] for asked in api.asked} == {"team-a"}
    assert {asked.headers["x-vault-request"] for asked in api.asked} == {"true"}
    reader.client.close()
