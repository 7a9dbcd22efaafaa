"""Links laid in the way by whoever else may write to the directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcar.errors import PublishError
from confcar.publishing.layout import PublishMode, temporary_name
from tests.unit.publishing.samples import MODES, file, files, opened, publish, visible


def test_folder_that_is_a_link_out_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    publisher = opened(tmp_path / "web", "rename")
    (tmp_path / "web" / "d").symlink_to(tmp_path / "victim")
    with pytest.raises(PublishError, match=r"cannot publish d/a: .*a file or link stands where a folder must"):
        publisher.stage([file("d/a")])
    assert list((tmp_path / "victim").iterdir()) == []


def test_folder_turned_into_a_link_after_staging_is_refused(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    publisher = opened(tmp_path / "web", "rename")
    publish(publisher, [file("d/a", "1")])
    staged = publisher.stage([file("d/a", "2")])
    (tmp_path / "web" / "d").rename(tmp_path / "web" / "moved")
    (tmp_path / "web" / "d").symlink_to(tmp_path / "victim")
    with pytest.raises(PublishError, match="cannot publish d/a"):
        publisher.publish(staged, acknowledged=False)
    assert list((tmp_path / "victim").iterdir()) == []
    assert (tmp_path / "web" / "moved" / "a").read_text() == "1"


def test_stale_file_behind_a_link_is_not_removed_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "a").write_text("theirs")
    publisher = opened(tmp_path / "web", "rename")
    publish(publisher, [file("d/a", "1"), file("b", "1")])
    (tmp_path / "web" / "d").rename(tmp_path / "web" / "moved")
    (tmp_path / "web" / "d").symlink_to(tmp_path / "victim")
    publish(publisher, [file("b", "2")])
    assert (tmp_path / "victim" / "a").read_text() == "theirs"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("place", ["destination", "temporary"])
def test_link_in_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path, mode: PublishMode, place: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    for folder in (tmp_path / "web", tmp_path / "out"):
        folder.mkdir()
        (folder / ("a" if place == "destination" else temporary_name("a"))).symlink_to(victim)
    publish(opened(tmp_path / "web", mode), [file("a", "ours"), file(tmp_path / "out" / "a", "ours")])
    assert victim.read_text() == "theirs"
    assert (tmp_path / "web" / "a").read_text() == (tmp_path / "out" / "a").read_text() == "ours"
    assert not (tmp_path / "out" / "a").is_symlink()


def test_generation_that_is_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "keep").write_text("theirs")
    publisher = opened(tmp_path / "web")
    (tmp_path / "web" / "..generation-000001").symlink_to(tmp_path / "victim")
    publish(publisher, files(a="1"))
    assert not (tmp_path / "web" / "..generation-000001").is_symlink()
    assert [path.name for path in (tmp_path / "victim").iterdir()] == ["keep"]
    assert visible(tmp_path / "web") == {"a": "1"}


def test_store_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "..confcar").symlink_to(tmp_path / "victim")
    with pytest.raises(PublishError, match="a file or link stands where a folder must"):
        opened(tmp_path / "web", "rename")
    assert list((tmp_path / "victim").iterdir()) == []


def test_stored_copy_that_was_changed_is_not_placed(tmp_path: Path) -> None:
    outside = tmp_path / "out"
    publisher = opened(tmp_path / "web")
    staged = publisher.stage([file(outside, "ours")])
    (staged.directory / "..outside" / str(outside).lstrip("/")).write_text("evil")
    with pytest.raises(PublishError, match=r"stored copy in .* was changed"):
        publisher.publish(staged, acknowledged=False)
    assert not outside.exists()


def test_absolute_destination_may_lie_behind_links_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "etc").symlink_to("real")
    publish(opened(tmp_path / "web"), [file(tmp_path / "etc" / "a", "1")])
    assert (tmp_path / "real" / "a").read_text() == "1"
