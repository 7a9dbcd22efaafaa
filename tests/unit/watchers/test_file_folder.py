"""What is special to files and folders: bytes, hidden names, names with two meanings, links, modes, sizes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from confcar.errors import SourceDataError, SourceDeniedError, SourceUnavailableError
from confcar.model import ABSENT, Dependency, Kind, Reading
from confcar.status import Status
from confcar.watchers.file import ConfigFolderWatcher
from confcar.watchers.file_cache import MAX_FILE_BYTES
from tests.unit.watchers.file_stage import read, write


@contextmanager
def unprivileged() -> Iterator[None]:
    """Run as somebody whom modes bind; root may read everything."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_file_is_given_byte_by_byte(tmp_path: Path) -> None:
    (tmp_path / "bin").write_bytes(b"\xff\x00\n\n")
    assert read(tmp_path, "key", "bin").value == b"\xff\x00\n\n"


def test_folder_as_secret_holds_the_files_texts(tmp_path: Path) -> None:
    write(tmp_path, app__password="p\n", app__sub__x="1", app__more_yaml="n: 5")
    assert read(tmp_path, "secret", "app").value == {"password": "p\n", "sub": {"x": "1"}, "more": {"n": 5}}


def test_folder_as_secret_with_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "blob").write_bytes(b"\xff")
    with pytest.raises(SourceDataError, match=r"app/blob is not UTF-8"):
        read(tmp_path, "secret", "app")


def test_document_in_a_folder_is_read_whole_by_its_name_and_listed_by_its_leaves(tmp_path: Path) -> None:
    write(tmp_path, app_yaml="a: 1\n", word_json='"w"')
    assert read(tmp_path, "key", "app.yaml").value == b"a: 1\n"
    assert read(tmp_path, "tree").value == {"app/a": b"1", "word": b"w"}
    assert read(tmp_path, "ls").value == {"word": b"w"}
    assert read(tmp_path, "key", "app.yaml/a") == ABSENT


def test_hidden_names_are_read_by_name_and_not_listed(tmp_path: Path) -> None:
    write(tmp_path, a="1")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x").write_text("h")
    (tmp_path / "..secret").write_text("never")
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "lost+found" / "x").write_text("unlisted")
    assert read(tmp_path, "tree").value == {"a": b"1"}
    assert read(tmp_path, "key", ".hidden/x").value == b"h"
    assert read(tmp_path, "key", "..secret") == ABSENT


@pytest.mark.parametrize(
    ("files", "names"),
    [
        pytest.param({"a_yaml": "x: 1", "a__x": "1"}, ("a.yaml", "a/"), id="document and folder"),
        pytest.param({"a_yaml": "x: 1", "a_json": "{}"}, ("a.yaml", "a.json"), id="two documents"),
        pytest.param({"a_yaml": "x: 1", "a": "1"}, ("a.yaml", "/a "), id="document and file"),
    ],
)
def test_name_that_stands_for_two_things_fails_only_who_reads_it(
    tmp_path: Path, files: dict[str, str], names: tuple[str, str]
) -> None:
    write(tmp_path, **files, b="2")
    reads: list[tuple[Kind, str]] = [("key", "a/x"), ("tree", ""), ("secret", "a")]
    for kind, path in reads:
        with pytest.raises(SourceDataError) as caught:
            read(tmp_path, kind, path)
        assert all(name in str(caught.value) for name in names)
    assert read(tmp_path, "key", "b").value == b"2"
    assert read(tmp_path, "key", "a.yaml").value == b"x: 1"


def test_broken_document_fails_only_who_reads_it(tmp_path: Path) -> None:
    write(tmp_path, bad_yaml="a: [", good_yaml="a: 1")
    assert read(tmp_path, "key", "good/a").value == b"1"
    assert read(tmp_path, "key", "bad.yaml").value == b"a: ["
    reads: list[tuple[Kind, str]] = [("key", "bad/a"), ("tree", "")]
    for kind, path in reads:
        with pytest.raises(SourceDataError, match=r"bad\.yaml:\d+:\d+: "):
            read(tmp_path, kind, path)


def test_links_are_followed_and_circles_survived(tmp_path: Path) -> None:
    write(tmp_path, data__a="1", data__sub__b="2", elsewhere__c="3")
    data = tmp_path / "data"
    (data / "back").symlink_to("..")
    (data / "sub" / "up").symlink_to("../sub")
    (data / "self").symlink_to("self")
    (data / "dangling").symlink_to("nowhere")
    (data / "other").symlink_to(tmp_path / "elsewhere")
    tree = read(data, "tree").value
    assert isinstance(tree, dict)
    assert {path for path in tree if not path.startswith("back/")} == {"a", "sub/b", "other/c"}


def test_fifos_and_devices_are_no_keys(tmp_path: Path) -> None:
    write(tmp_path, a="1")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "null").symlink_to("/dev/null")
    assert read(tmp_path, "tree").value == {"a": b"1"}
    assert read(tmp_path, "key", "fifo") == ABSENT


def test_name_that_is_not_utf8_is_no_key(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9")).write_text("x")
    (tmp_path / "café").write_text("y")
    assert read(tmp_path, "tree").value == {"café": b"y"}


def test_file_too_large_is_an_error_that_says_so(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(SourceDataError, match="big is larger than 64 MiB"):
        read(tmp_path, "key", "big")


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        pytest.param("data.txt", "a: 1", "a document's name ends with one of .yaml", id="unknown ending"),
        pytest.param("data.yaml", "just text", "a mapping is expected at the top", id="no mapping"),
    ],
)
def test_document_that_is_no_source_says_why(tmp_path: Path, name: str, text: str, problem: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceDataError, match=problem):
        read(tmp_path / name, "key", "a")


def test_fifo_as_the_source_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data.yaml")
    with pytest.raises(SourceDataError, match="neither a file nor a folder"):
        read(tmp_path / "data.yaml", "key", "a")


def test_missing_source_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailableError, match=r"data\.yaml does not exist"):
        read(tmp_path / "data.yaml", "key", "a")


def test_unreadable_file_is_denied_by_name() -> None:
    """Only who reads it is refused. Not in pytest's own folder: that is shut to others as a whole."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        write(root, open="1", shut="2")
        (root / "shut").chmod(0)
        with unprivileged():
            assert read(root, "key", "open").value == b"1"
            with pytest.raises(SourceDeniedError, match="shut may not be read by user"):
                read(root, "key", "shut")
        (root / "dark").mkdir(mode=0)
        with unprivileged(), pytest.raises(SourceDeniedError, match="dark"):
            read(root, "key", "dark/x")


def read_file(folder: Path, path: str) -> Reading:
    watcher = ConfigFolderWatcher(folder, status=Status())
    dependency = Dependency(watcher.name, "file", path)
    try:
        snapshot = watcher.fetch("files", frozenset({dependency}), after=None, wait_seconds=0)
    finally:
        watcher.close()
    if dependency in snapshot.failures:
        raise snapshot.failures[dependency]
    return snapshot.readings[dependency]


def test_file_function_reads_below_the_config_folder_only(tmp_path: Path) -> None:
    write(tmp_path, conf__a_yaml="x: 1\n", outside="no")
    assert read_file(tmp_path / "conf", "a.yaml").value == b"x: 1\n"
    assert read_file(tmp_path / "conf", "none") == ABSENT
    with pytest.raises(SourceDataError, match="leads out"):
        read_file(tmp_path / "conf", "../outside")


@pytest.mark.parametrize(
    ("link", "target"),
    [
        pytest.param("a", "../outside", id="file-above"),
        pytest.param("a", "/etc/hostname", id="absolute"),
        pytest.param("folder", "..", id="folder-above"),
        pytest.param("a", "../conf-2/x", id="folder-that-only-begins-alike"),
        pytest.param("a", "b/../../outside", id="by-way-of-a-folder"),
    ],
)
def test_file_function_follows_no_link_out_of_the_config_folder(tmp_path: Path, link: str, target: str) -> None:
    write(tmp_path, outside="no", conf__b__c="1")
    (tmp_path / "conf-2").mkdir()
    (tmp_path / "conf-2" / "x").write_text("no")
    (tmp_path / "conf" / link).symlink_to(target)
    with pytest.raises(SourceDataError, match="a link that leads out of the config's folder"):
        read_file(tmp_path / "conf", "folder/outside" if link == "folder" else link)


def test_file_function_follows_links_within_the_config_folder(tmp_path: Path) -> None:
    write(tmp_path, volume__data__a="1")
    (tmp_path / "volume" / "..data").symlink_to("data")
    (tmp_path / "volume" / "visible").symlink_to("..data/a")
    (tmp_path / "conf").symlink_to("volume")
    assert read_file(tmp_path / "conf", "visible").value == b"1"


def test_file_function_of_a_folder_is_absent_and_says_why(tmp_path: Path) -> None:
    write(tmp_path, sub__a="1")
    assert read_file(tmp_path, "sub").note == "it is no regular file"
