"""What counts as different from what is published, as it lies on disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from confcar.errors import PublishError
from confcar.model import RenderedFile
from confcar.publishing.layout import PublishMode
from tests.unit.publishing.samples import MODES, file, files, opened, publish, visible

each_mode = pytest.mark.parametrize("mode", MODES)


def _replace_by_link(path: Path) -> None:
    (path.parent / "copy").write_text("1")
    path.unlink()
    path.symlink_to("copy")


def _replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@each_mode
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.write_text("2"), id="content"),
        pytest.param(lambda path: path.write_text("longer"), id="length"),
        pytest.param(lambda path: path.chmod(0o644), id="mode"),
        pytest.param(lambda path: path.resolve().unlink(), id="gone"),
        pytest.param(lambda path: _replace_by_link(path.resolve()), id="link-to-the-same"),
        pytest.param(lambda path: _replace_by_pipe(path.resolve()), id="pipe"),
        pytest.param(lambda path: path.unlink(), id="visible-name-gone"),
        pytest.param(lambda path: (path.unlink(), path.symlink_to("/etc/hostname")), id="visible-name-elsewhere"),
    ],
)
def test_drift_is_seen_and_mended_by_the_next_publish(
    tmp_path: Path, mode: PublishMode, spoil: Callable[[Path], object]
) -> None:
    publisher = opened(tmp_path, mode)
    publish(publisher, files(a="1", b="1"))
    assert publisher.compare(files(a="1", b="1")) == ()
    spoil(tmp_path / "a")
    assert publisher.compare(files(a="1", b="1")) == ("a",)
    publish(publisher, files(a="1", b="1"))
    assert publisher.compare(files(a="1", b="1")) == ()
    assert {name: text for name, text in visible(tmp_path).items() if name != "copy"} == {"a": "1", "b": "1"}


@each_mode
def test_mode_wanted_otherwise_and_files_wanted_no_longer_differ(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode)
    publish(publisher, files(a="1", b="1", c="1"))
    assert publisher.compare([file("a", "1", mode=0o600), file("b", "1")]) == ("a", "c")


@pytest.mark.parametrize("target", [None, "..generation-000009", "elsewhere"])
def test_data_link_missing_or_wrong_makes_everything_differ(tmp_path: Path, target: str | None) -> None:
    publisher = opened(tmp_path)
    publish(publisher, files(a="1", d__b="1"))
    (tmp_path / "..data").unlink()
    if target is not None:
        (tmp_path / "..data").symlink_to(target)
    assert publisher.compare(files(a="1", d__b="1")) == ("a", "d/b")
    publish(publisher, files(a="1", d__b="1"))
    assert visible(tmp_path) == {"a": "1", "d/b": "1"}


@each_mode
@pytest.mark.parametrize("owner", [{"user": "no-such-user"}, {"group": "no-such-group"}])
def test_unknown_owner_is_named(tmp_path: Path, mode: PublishMode, owner: dict[str, str]) -> None:
    publisher = opened(tmp_path, mode)
    with pytest.raises(PublishError, match=r"unknown (user 'no-such-user'|group 'no-such-group')"):
        publisher.stage([RenderedFile("a", b"1", **owner)])  # type: ignore[arg-type] # one of two text fields
    assert visible(tmp_path) == {}


@each_mode
def test_owner_by_name_and_number_is_the_same(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode)
    publish(publisher, [RenderedFile("a", b"1", user=str(os.getuid()), group=str(os.getgid()))])
    assert publisher.compare([RenderedFile("a", b"1", user=str(os.getuid()))]) == ()
    assert publisher.compare([RenderedFile("a", b"1", user=str(os.getuid() + 1))]) == ("a",)


@each_mode
def test_all_files_may_go_and_come_back(tmp_path: Path, mode: PublishMode) -> None:
    outside = tmp_path / "outside"
    some = [*files(a="1", d__b="1"), file(outside)]
    publisher = opened(tmp_path / "web", mode)
    publish(publisher, some)
    assert publish(publisher, []).changed == tuple(sorted(("a", "d/b", str(outside))))
    assert (visible(tmp_path / "web"), outside.exists(), publisher.compare([])) == ({}, False, ())
    publisher.close()
    publisher = opened(tmp_path / "web", mode)
    assert (publisher.state.current, publisher.compare([])) == (2, ())
    publish(publisher, some)
    assert (visible(tmp_path / "web"), outside.exists()) == ({"a": "1", "d/b": "1"}, True)


def test_generation_deleted_under_a_running_publisher_is_published_anew(tmp_path: Path) -> None:
    publisher = opened(tmp_path)
    publish(publisher, files(a="1", d__b="1"))
    shutil.rmtree(tmp_path / "..generation-000001")
    assert publisher.compare(files(a="1", d__b="1")) == ("a", "d/b")
    assert publish(publisher, files(a="1", d__b="1")).generation == 2
    assert visible(tmp_path) == {"a": "1", "d/b": "1"}
