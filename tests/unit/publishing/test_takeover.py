"""A bundle whose `publish` was changed in the config."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcar.errors import PublishError
from tests.unit.publishing.samples import file, files, opened, publish, visible


def test_from_swap_to_rename(tmp_path: Path) -> None:
    outside = tmp_path / "out"
    publisher = opened(tmp_path / "web", "swap")
    publish(publisher, [*files(a="1", d__b="1", old="1"), file(outside, "1")])
    publish(publisher, [*files(a="2", d__b="1", old="1"), file(outside, "1")], acknowledged=True)
    publisher.close()
    publisher = opened(tmp_path / "web", "rename")
    wanted = files(a="2", d__b="1")
    assert publisher.compare(wanted) == tuple(sorted(["a", "d/b", "old", str(outside)]))
    assert publish(publisher, wanted).generation == 3
    assert visible(tmp_path / "web") == {"a": "2", "d/b": "1"}
    assert sorted(path.name for path in (tmp_path / "web").iterdir()) == ["..confcar", "..confcar.lock", "a", "d"]
    assert not outside.exists()


def test_from_rename_to_swap(tmp_path: Path) -> None:
    publisher = opened(tmp_path, "rename")
    publish(publisher, files(a="1", old="1"), acknowledged=True)
    publisher.close()
    publisher = opened(tmp_path, "swap")
    assert publish(publisher, files(a="1", b="1")).generation == 2
    assert visible(tmp_path) == {"a": "1", "b": "1"}
    assert not (tmp_path / "..confcar").exists()
    assert (tmp_path / "a").is_symlink()


def test_from_rename_to_swap_with_folders_says_what_is_in_the_way(tmp_path: Path) -> None:
    publisher = opened(tmp_path, "rename")
    publish(publisher, files(d__a="1"))
    publisher.close()
    publisher = opened(tmp_path, "swap")
    with pytest.raises(PublishError, match="cannot publish d: is a directory"):
        publisher.stage(files(d__a="1"))
    assert visible(tmp_path) == {"d/a": "1"}


def test_there_and_back_again_keeps_counting(tmp_path: Path) -> None:
    for number, mode in enumerate(("swap", "rename", "swap", "rename"), 1):
        publisher = opened(tmp_path, "swap" if mode == "swap" else "rename")
        assert publish(publisher, files(a=str(number))).generation == number
        publisher.close()
        assert visible(tmp_path) == {"a": str(number)}
