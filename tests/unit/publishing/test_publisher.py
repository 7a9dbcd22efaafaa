"""What a publish leaves on disk, by the tables that writers of Kubernetes volumes are tested with, re-derived."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from confcar.errors import PublishError
from confcar.publishing.layout import PublishMode
from confcar.publishing.publisher import Publisher
from tests.unit.publishing.samples import MODES, behind_data, file, files, leftovers, opened, publish, visible

each_mode = pytest.mark.parametrize("mode", MODES)


def test_layout_of_a_swapped_bundle(tmp_path: Path) -> None:
    publisher = opened(tmp_path / "web")
    publish(publisher, files(nginx_conf="a", sites__a_conf="b"))
    links = {path.name: os.fspath(path.readlink()) for path in (tmp_path / "web").iterdir() if path.is_symlink()}
    assert links == {"..data": "..generation-000001", "nginx.conf": "..data/nginx.conf", "sites": "..data/sites"}
    assert stat.S_IMODE((tmp_path / "web" / "..confcar.json").stat().st_mode) == 0o600


def test_layout_of_a_renamed_bundle(tmp_path: Path) -> None:
    publisher = opened(tmp_path / "web", "rename")
    publish(publisher, files(nginx_conf="a", sites__a_conf="b"))
    assert sorted(path.name for path in (tmp_path / "web").iterdir()) == [
        *("..confcar", "..confcar.lock", "nginx.conf", "sites")
    ]
    assert not (tmp_path / "web" / "nginx.conf").is_symlink()
    assert stat.S_IMODE((tmp_path / "web" / "..confcar").stat().st_mode) == 0o700


@each_mode
@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({"a": "1"}, {"a": "2"}, id="update"),
        pytest.param({"a": "1"}, {"a": "1", "b": "1"}, id="add"),
        pytest.param({"a": "1"}, {"a": "1", "d__e__f": "1"}, id="add-nested"),
        pytest.param({"a": "1", "b": "1"}, {"a": "1"}, id="delete"),
        pytest.param({"d__a": "1", "d__e__b": "1"}, {"d__a": "1"}, id="delete-nested"),
        pytest.param({"a": "1", "d__b": "1"}, {"d__b": "1"}, id="delete-beside-folder"),
        pytest.param({"a": "1"}, {}, id="delete-all"),
        pytest.param({"a": "1", "b": "1"}, {"b": "2", "c": "3"}, id="add-and-delete"),
        pytest.param({"_hidden": "1"}, {"_hidden": "2", "_d__a": "1"}, id="dotfiles"),
        pytest.param({}, {"a": ""}, id="from-nothing-to-empty-file"),
    ],
)
def test_readers_see_exactly_the_newest_set(
    tmp_path: Path, mode: PublishMode, first: dict[str, str], second: dict[str, str]
) -> None:
    publisher = opened(tmp_path, mode)
    for contents in (first, second, first, second):
        wanted = files(**contents)
        publish(publisher, wanted)
        assert visible(tmp_path) == {each.destination: each.content.decode() for each in wanted}
        assert publisher.compare(wanted) == ()
    assert leftovers(tmp_path) == []


@each_mode
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("with space.conf", id="space"),
        pytest.param(".env", id="dotfile"),
        pytest.param(".hidden/..too", id="dots-in-a-hidden-folder"),
        pytest.param("größe-设置.conf", id="unicode"),
        pytest.param("a" * 255, id="longest-name"),
        pytest.param("two\nlines", id="newline"),
        pytest.param("-rf", id="dash"),
        pytest.param("a.b/..c/d", id="two-dots-below-the-top"),
        pytest.param("/".join(["deep"] * 60), id="deep"),
    ],
)
def test_unusual_names_are_published(tmp_path: Path, mode: PublishMode, name: str) -> None:
    publisher = opened(tmp_path, mode)
    publish(publisher, [file(name, "one")])
    publish(publisher, [file(name, "two")])
    assert (tmp_path / name).read_text() == "two"
    assert list(publisher.read_published()) == [name]


@each_mode
@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["../a"], id="up"),
        pytest.param(["a/../../b"], id="up-in-the-middle"),
        pytest.param(["..data"], id="reserved"),
        pytest.param(["..anything/a"], id="reserved-folder"),
        pytest.param([""], id="empty"),
        pytest.param(["a//b"], id="empty-part"),
        pytest.param(["a\0b"], id="nul"),
        pytest.param(["a" * 256], id="name-too-long"),
        pytest.param(["a/" * 2000 + "b"], id="path-too-long"),
        pytest.param(["a", "a/b"], id="file-and-folder"),
        pytest.param(["a", "a"], id="twice"),
        pytest.param(["/etc/../a"], id="absolute-up"),
        pytest.param(["\ud800"], id="no-file-name"),
    ],
)
def test_bad_destinations_are_refused_before_anything_is_written(
    tmp_path: Path, mode: PublishMode, names: list[str]
) -> None:
    publisher = opened(tmp_path, mode)
    publish(publisher, files(ok="1"))
    with pytest.raises(PublishError, match="cannot publish"):
        publisher.stage([file(name) for name in names])
    assert visible(tmp_path) == {"ok": "1"}


@each_mode
def test_numbers_rise_and_a_refused_one_is_used_again(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode)
    assert publish(publisher, files(a="1")).generation == 1
    staged = publisher.stage(files(a="2"))
    assert (staged.change.generation, (staged.directory / "a").read_text()) == (2, "2")
    publisher.discard(staged)
    assert not staged.directory.exists()
    assert publish(publisher, files(a="3")).generation == 2
    with pytest.raises(PublishError, match="stage it again"):
        publisher.publish(staged, acknowledged=False)
    assert visible(tmp_path) == {"a": "3"}


@each_mode
@pytest.mark.parametrize("keep", [0, 1, 3])
def test_keeps_current_and_older_ones(tmp_path: Path, mode: PublishMode, keep: int) -> None:
    publisher = opened(tmp_path, mode, keep=keep)
    for number in range(6):
        publish(publisher, files(a=str(number)))
    store = tmp_path if mode == "swap" else tmp_path / "..confcar"
    kept = sorted(path.name for path in store.glob("..generation-*"))
    assert kept == [f"..generation-{number:06d}" for number in range(6 - keep, 7)]


@each_mode
def test_changed_adds_up_until_acknowledged(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode)
    assert publish(publisher, files(a="1", b="1")).changed == ("a", "b")
    publisher.acknowledge(1)
    assert publish(publisher, files(a="2", b="1")).changed == ("a",)
    assert publish(publisher, files(a="2", c="1")).changed == ("a", "b", "c")
    publisher.acknowledge(2)
    assert (publisher.state.acknowledged, publisher.state.changed) == (2, ("a", "b", "c"))
    publisher.acknowledge(3)
    assert (publisher.state.acknowledged, publisher.state.changed) == (3, ())


@each_mode
def test_reload_progress_outlives_the_process(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode)
    publish(publisher, files(a="1"), acknowledged=True)
    publish(publisher, files(a="2"))
    publisher.note_step(1, 7)
    publisher.note_step(2, 1)
    publisher.close()
    reopened = opened(tmp_path, mode)
    state = reopened.state
    assert (state.current, state.acknowledged, state.step, state.changed) == (2, 1, 1, ("a",))
    reopened.acknowledge(2)
    reopened.close()
    assert opened(tmp_path, mode).state.is_acknowledged


@each_mode
def test_published_as_acknowledged_is_known_after_a_restart(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode)
    change = publish(publisher, files(a="1"), acknowledged=True)
    publisher.close()
    assert change.changed == ("a",)
    assert (opened(tmp_path, mode).state.acknowledged, publisher.state.changed) == (1, ())


@each_mode
def test_absolute_destinations_are_placed_and_removed(tmp_path: Path, mode: PublishMode) -> None:
    outside = tmp_path / "etc" / "new folder" / "app.conf"
    publisher = opened(tmp_path / "web", mode)
    publish(publisher, [file("a", "1"), file(outside, "1", mode=0o600)])
    assert (outside.read_text(), stat.S_IMODE(outside.stat().st_mode), outside.is_symlink()) == ("1", 0o600, False)
    assert stat.S_IMODE(outside.parent.stat().st_mode) == 0o755
    publish(publisher, files(a="1"))
    assert not outside.exists()
    assert visible(tmp_path / "web") == {"a": "1"}


@each_mode
def test_foreign_content_is_left_alone(tmp_path: Path, mode: PublishMode) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("x")
    (tmp_path / "link").symlink_to("..data/other")
    publisher = opened(tmp_path, mode)
    publish(publisher, files(a="1"))
    publish(publisher, files(b="1"))
    assert (tmp_path / "mine" / "notes").read_text() == "x"
    assert (tmp_path / "link").is_symlink()


@each_mode
def test_plain_file_in_the_way_is_adopted(tmp_path: Path, mode: PublishMode) -> None:
    (tmp_path / "a").write_text("theirs")
    publisher = opened(tmp_path, mode)
    assert publisher.compare(files(a="theirs")) == ("a",)
    publish(publisher, files(a="ours"))
    assert visible(tmp_path) == {"a": "ours"}


@each_mode
def test_folder_in_the_way_is_refused_with_words(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode)
    publish(publisher, files(a="1"))
    (tmp_path / "b").mkdir()
    with pytest.raises(PublishError, match="cannot publish b: is a directory") as caught:
        publisher.stage(files(a="2", b="1"))
    assert caught.value.exit_code == 6
    assert visible(tmp_path) == {"a": "1"}


@each_mode
def test_directory_is_created_with_its_parents(tmp_path: Path, mode: PublishMode) -> None:
    directory = tmp_path / "not" / "there" / "yet"
    publish(opened(directory, mode), files(a="1"))
    assert visible(directory) == {"a": "1"}
    assert stat.S_IMODE(directory.parent.stat().st_mode) == 0o755


@each_mode
def test_directory_may_be_a_link_and_may_move(tmp_path: Path, mode: PublishMode) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "web").symlink_to("real")
    publish(opened(tmp_path / "web", mode), files(a="1"))
    assert (tmp_path / "web").is_symlink()
    (tmp_path / "real").rename(tmp_path / "elsewhere")
    assert visible(tmp_path / "elsewhere") == {"a": "1"}


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_something_else_where_the_directory_must_stand_is_an_error_with_words(tmp_path: Path, kind: str) -> None:
    if kind == "file":
        (tmp_path / "web").write_text("")
    else:
        (tmp_path / "web").symlink_to("nowhere")
    with pytest.raises(PublishError, match="a file or link stands where a folder must"):
        opened(tmp_path / "web")


@each_mode
def test_directory_deleted_under_the_publisher_is_made_anew(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path / "web", mode)
    publish(publisher, files(a="1"))
    (tmp_path / "web").rename(tmp_path / "gone")
    assert publisher.compare(files(a="1")) == ("a",)
    assert publish(publisher, files(a="1")).generation == 2
    assert visible(tmp_path / "web") == {"a": "1"}


@each_mode
def test_reading_what_is_published_writes_nothing(tmp_path: Path, mode: PublishMode) -> None:
    outside = tmp_path / "out.conf"
    publisher = opened(tmp_path / "web", mode)
    publish(publisher, [file("a", "classified", secret=True), file("d/b", "2", mode=0o600), file(outside, "3")])
    before = sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*"))
    found = Publisher("web", tmp_path / "web", mode=mode, keep=2).read_published()
    assert {name: (each.content, each.mode, each.secret) for name, each in found.items()} == {
        "a": (b"classified", 0o640, True),
        "d/b": (b"2", 0o600, False),
        str(outside): (b"3", 0o640, False),
    }
    assert "classified" not in repr(found)
    assert sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


@each_mode
def test_reading_where_nothing_is_published_finds_nothing(tmp_path: Path, mode: PublishMode) -> None:
    assert Publisher("web", tmp_path / "none", mode=mode, keep=2).read_published() == {}


def test_data_read_once_stays_readable_while_its_generation_is_kept(tmp_path: Path) -> None:
    publisher = opened(tmp_path, keep=1)
    publish(publisher, files(a="1", b="1"))
    held = os.open(tmp_path / "..data", os.O_RDONLY)
    publish(publisher, files(a="2", b="2"))
    assert Path(f"/proc/self/fd/{held}/a").read_text() == Path(f"/proc/self/fd/{held}/b").read_text() == "1"
    os.close(held)
    assert behind_data(tmp_path) == {"a": "2", "b": "2"}
