"""Paths as people write them, and readings as the server means them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from confcar.errors import SourceDataError, SourceDeniedError, SourceUnavailableError
from confcar.model import ABSENT, Reading
from confcar.watchers.vault_kv import check_path, list_path, read_path
from confcar.watchers.vault_mounts import Mount
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


@pytest.mark.parametrize(
    ("path", "mount", "version", "expected"),
    [
        pytest.param("secret/app", "secret", 2, "secret/data/app", id="v2"),
        pytest.param("secret/data/app", "secret", 2, "secret/data/app", id="v2 as the API writes it"),
        pytest.param("secret/data/data/app", "secret", 2, "secret/data/data/app", id="v2 key that begins with data"),
        pytest.param("secret/data", "secret", 2, "secret/data/data", id="v2 key that is data"),
        pytest.param("secret/database", "secret", 2, "secret/data/database", id="v2 key that only looks like data"),
        pytest.param("secret/a/data/b", "secret", 2, "secret/data/a/data/b", id="v2 data further down"),
        pytest.param("secret/metadata/app", "secret", 2, "secret/metadata/app", id="v2 metadata"),
        pytest.param("secret/metadata", "secret", 2, "secret/data/metadata", id="v2 key that is metadata"),
        pytest.param("deep/er/app", "deep/er", 2, "deep/er/data/app", id="v2 nested mount"),
        pytest.param("kv1/data/app", "kv1", 1, "kv1/data/app", id="v1 keeps data"),
    ],
)
def test_path_to_read_is_the_same_however_it_is_written(path: str, mount: str, version: int, expected: str) -> None:
    assert read_path(Mount(mount, version), path) == expected


@pytest.mark.parametrize(
    ("path", "mount", "expected"),
    [
        pytest.param("secret/subkeys/app", "secret", "secret/subkeys/app", id="subkeys"),
        pytest.param("secret/subkeys", "secret", "secret/data/subkeys", id="key that is subkeys"),
        pytest.param("secret/metadata/a/b", "secret", "secret/metadata/a/b", id="metadata of a nested key"),
        pytest.param("secret/data/metadata/app", "secret", "secret/data/metadata/app", id="key that begins so"),
        pytest.param("secret/datacenter/app", "secret", "secret/data/datacenter/app", id="folder like data"),
        pytest.param("secret/metadatax/app", "secret", "secret/data/metadatax/app", id="folder like metadata"),
        pytest.param("secret/config", "secret", "secret/data/config", id="key that is config"),
        pytest.param("data/app", "data", "data/data/app", id="mount that is named data"),
        pytest.param("data/data/app", "data", "data/data/app", id="mount named data, as the API writes it"),
        pytest.param("a/data/data/app", "a/data", "a/data/data/app", id="nested mount that ends in data"),
    ],
)
def test_words_of_the_api_are_told_from_keys_that_look_like_them(path: str, mount: str, expected: str) -> None:
    assert read_path(Mount(mount, 2), path) == expected


@pytest.mark.parametrize(
    ("path", "mount", "version", "expected"),
    [
        pytest.param("secret", "secret", 2, "secret/metadata", id="v2 mount"),
        pytest.param("secret/web", "secret", 2, "secret/metadata/web", id="v2 folder"),
        pytest.param("secret/metadata/web", "secret", 2, "secret/metadata/web", id="v2 as the API writes it"),
        pytest.param("secret/data/web", "secret", 2, "secret/metadata/web", id="v2 as the read writes it"),
        pytest.param("secret/data", "secret", 2, "secret/metadata", id="v2 mount as the read writes it"),
        pytest.param("kv1", "kv1", 1, "kv1", id="v1 mount"),
        pytest.param("kv1/metadata", "kv1", 1, "kv1/metadata", id="v1 keeps metadata"),
    ],
)
def test_path_to_list_is_the_same_however_it_is_written(path: str, mount: str, version: int, expected: str) -> None:
    assert list_path(Mount(mount, version), path) == expected


@pytest.mark.parametrize("path", ["", "a//b", "a/../b", "./a", "a/", "a/b\n", "a/\x00"])
def test_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(SourceDataError, match="no path of a secret"):
        check_path(path)


def test_mount_itself_is_no_secret(reader: Reader) -> None:
    with pytest.raises(SourceDataError, match="whole mount"):
        reader.read("secret")


def test_secret_of_v1_and_v2_reads_alike(api: VaultApi, reader: Reader) -> None:
    api.put("secret/data/a b/ü", {"user": "u", "port": 12345678901234567890, "more": {"x": [1, None]}})
    api.secrets["kv1/a b/ü"] = {"user": "u", "ttl": "30s"}

    assert reader.read("secret/a b/ü").value == {"user": "u", "port": 12345678901234567890, "more": {"x": [1, None]}}
    assert reader.read("kv1/a b/ü").value == {"user": "u", "ttl": "30s"}


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        pytest.param(None, ABSENT, id="missing"),
        pytest.param(
            {"data": None, "metadata": {"deletion_time": "2020-01-01T00:00:00Z", "destroyed": False}},
            Reading(None, "deleted"),
            id="deleted",
        ),
        pytest.param(
            {"data": None, "metadata": {"deletion_time": "", "destroyed": True}},
            Reading(None, "destroyed"),
            id="destroyed",
        ),
        pytest.param(
            {"data": {"a": 1}, "metadata": {"deletion_time": "2999-01-01T00:00:00Z", "destroyed": False}},
            Reading({"a": 1}),
            id="will be deleted some day",
        ),
        pytest.param({"data": {}, "metadata": {}}, Reading({}), id="empty is a value"),
        pytest.param(
            {"data": {"a": 1}, "metadata": {"deletion_time": "soon", "destroyed": False}},
            Reading({"a": 1}),
            id="odd time",
        ),
        pytest.param(
            {"data": {"a": 1}, "metadata": {"deletion_time": "2020-01-01T00:00:00Z"}},
            Reading({"a": 1}),
            id="there although its time is over: the server's clock counts",
        ),
        pytest.param({"data": {"a": 1}}, Reading({"a": 1}), id="no metadata"),
        pytest.param({"data": {"a": 1}, "metadata": 3}, Reading({"a": 1}), id="odd metadata"),
    ],
)
def test_what_is_not_there_says_why(
    api: VaultApi, reader: Reader, held: dict[str, Any] | None, expected: Reading
) -> None:
    if held is not None:
        api.secrets["secret/data/app"] = held
    assert reader.read("secret/app") == expected


def test_version_is_asked_for_on_v2_and_refused_on_v1(api: VaultApi, reader: Reader) -> None:
    api.put("secret/data/app", {"a": 1})

    assert reader.read("secret/app", version=3).value == {"a": 1}
    assert api.asked[-1].query == {"version": "3"}
    with pytest.raises(SourceDataError, match="only KV v2 keeps versions"):
        reader.read("kv1/app", version=3)


def test_names_are_sorted_and_an_empty_folder_is_absent(api: VaultApi, reader: Reader) -> None:
    api.secrets["secret/metadata/web"] = {"keys": ["z", "a/", "B"]}

    assert reader.read("secret/web", kind="secrets").value == ("B", "a/", "z")
    assert api.asked[-1].query == {"list": "true"}
    assert reader.read("secret/none", kind="secrets") == ABSENT


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        pytest.param(403, {"errors": ["no"]}, SourceDeniedError, id="403"),
        pytest.param(400, {"errors": ["bad"]}, SourceDataError, id="400"),
        pytest.param(405, {"errors": ["unsupported operation"]}, SourceDataError, id="405"),
        pytest.param(
            400, {"errors": ["Upgrading from non-versioned to versioned"]}, SourceUnavailableError, id="upgrade"
        ),
        pytest.param(412, {"errors": ["index"]}, SourceUnavailableError, id="412"),
        pytest.param(472, {}, SourceUnavailableError, id="472"),
        pytest.param(503, {"errors": ["Vault is sealed"]}, SourceUnavailableError, id="sealed"),
        pytest.param(501, {}, SourceUnavailableError, id="not initialised"),
        pytest.param(500, b"<html>", SourceUnavailableError, id="a proxy's page"),
        pytest.param(200, b"<html>", SourceUnavailableError, id="not Vault"),
        pytest.param(200, {"data": {"data": ["no", "mapping"]}}, SourceDataError, id="no mapping"),
    ],
)
def test_refusal_is_classified(api: VaultApi, status: int, body: object, *, error: type[Exception]) -> None:
    reader = Reader(api)
    api.script("secret/data/app", status, body, times=3)
    with pytest.raises(error):
        reader.read("secret/app")
    reader.client.close()


def test_denied_read_names_the_policy_it_needs(api: VaultApi, reader: Reader) -> None:
    api.denied.add("secret/data/app")
    with pytest.raises(SourceDeniedError, match=r'path "secret/data/app" \{ capabilities = \["read"\] \}'):
        reader.read("secret/app")


def test_retry_after_is_handed_on(api: VaultApi, reader: Reader) -> None:
    api.script("secret/data/app", 429, {"errors": ["rate limit"]}, headers={"Retry-After": "7"})
    with pytest.raises(SourceUnavailableError) as caught:
        reader.read("secret/app")
    assert caught.value.retry_after_seconds == 7.0


def test_server_text_is_shown_without_the_token_and_cut(api: VaultApi, reader: Reader) -> None:
    api.script("secret/data/app", 400, {"errors": [f"line\nof {TOKEN}", "x" * 5000]})
    with pytest.raises(SourceDataError) as caught:
        reader.read("secret/app")
    assert TOKEN not in str(caught.value)
    assert "line of ********" in str(caught.value)
    assert len(str(caught.value)) < 400
