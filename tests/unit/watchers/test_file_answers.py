"""What the template functions get, the same from a document and from a folder that holds the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcar.errors import SourceDataError
from confcar.model import ABSENT, Kind, Reading
from tests.unit.watchers.file_stage import read, write

DOCUMENT = """
db: {host: h, port: 5432, tls: yes}
servers: [a, b]
top: 1.10
nothing:
secret:
  app: {user: u, enabled: true, tries: 3, items: [1]}
  team: {one: {x: 1}, two: {y: 2}}
  field: value
  data: {inner: {z: 1}}
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "data.yaml"
    path.write_text(DOCUMENT)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Hold the same as `document`, in files, folders and a document."""
    write(
        tmp_path,
        db__host="h",
        db__port="5432",
        db__tls="yes",
        servers_json='["a", "b"]',
        top="1.10",
        nothing="",
        secret__field="value",
        secret__data__inner_toml="z = 1",
        secret__app_yaml="user: u\nenabled: true\ntries: 3\nitems: [1]",
        secret__team__one__x="1",
        secret__team__two__y="2",
    )
    return tmp_path


@pytest.fixture(params=["document", "folder"])
def source(request: pytest.FixtureRequest) -> Path:
    path = request.getfixturevalue(request.param)
    assert isinstance(path, Path)
    return path


@pytest.mark.parametrize(
    ("path", "content"),
    [
        pytest.param("db/host", b"h", id="nested"),
        pytest.param("top", b"1.10", id="as written"),
        pytest.param("db/tls", b"yes", id="yes stays yes"),
        pytest.param("nothing", b"", id="empty is a value"),
        pytest.param("servers/1", b"b", id="list index"),
        pytest.param("secret/app/tries", b"3", id="deep"),
        pytest.param("missing", None, id="missing"),
        pytest.param("db/host/x", None, id="below a value"),
        pytest.param("db/missing", None, id="missing below"),
    ],
)
def test_key_gives_the_text_as_written(source: Path, path: str, content: bytes | None) -> None:
    assert read(source, "key", path) == Reading(content)


def test_key_of_a_mapping_is_absent_and_says_why(source: Path) -> None:
    reading = read(source, "key", "db")
    assert reading.value is None
    assert "mapping" in reading.note
    assert "list" in read(source, "key", "servers").note


def test_ls_gives_direct_values_only(source: Path) -> None:
    assert list(read(source, "ls").value or ()) == ["nothing", "top"]
    assert read(source, "ls", "db").value == {"host": b"h", "port": b"5432", "tls": b"yes"}
    assert read(source, "ls", "servers").value == {"0": b"a", "1": b"b"}


def test_tree_gives_all_values_below_sorted(source: Path) -> None:
    tree = read(source, "tree").value
    assert isinstance(tree, dict)
    assert list(tree) == sorted(tree)
    assert tree["secret/team/one/x"] == b"1"
    assert tree["servers/0"] == b"a"
    assert read(source, "tree", "secret/team").value == {"one/x": b"1", "two/y": b"2"}


@pytest.mark.parametrize("kind", ["ls", "tree"])
@pytest.mark.parametrize("path", ["missing", "top", "top/below"])
def test_listing_what_is_not_there_is_empty(source: Path, kind: Kind, path: str) -> None:
    assert read(source, kind, path).value == {}


def test_secret_has_native_types(source: Path) -> None:
    expected = {"user": "u", "enabled": True, "tries": 3, "items": [1]}
    assert read(source, "secret", "secret/app").value == expected
    assert read(source, "secret", "secret/data/app").value == expected


def test_mapping_really_called_data_is_found_after_the_api_form(source: Path) -> None:
    assert read(source, "secret", "secret/data/inner").value == {"z": 1}
    assert read(source, "secret", "secret/data/data/inner").value == {"z": 1}
    assert read(source, "secret", "secret/data/none") == ABSENT


def test_secrets_lists_as_vault_does(source: Path) -> None:
    assert read(source, "secrets", "secret").value == ("app", "data/", "team/")
    assert read(source, "secrets", "secret/team").value == ("one", "two")
    assert read(source, "secrets", "none") == ABSENT


@pytest.mark.parametrize("path", ["secret/field", "servers"])
def test_secret_that_is_no_mapping_is_an_error(source: Path, path: str) -> None:
    with pytest.raises(SourceDataError, match=path):
        read(source, "secret", path)


def test_version_of_a_secret_is_refused(source: Path) -> None:
    with pytest.raises(SourceDataError, match="holds one version"):
        read(source, "secret", "secret/app", version=2)


@pytest.mark.parametrize("kind", ["key", "ls", "tree"])
def test_another_datacenter_is_refused(source: Path, kind: Kind) -> None:
    with pytest.raises(SourceDataError, match="has no datacenters"):
        read(source, kind, "app", dc="dc2")
