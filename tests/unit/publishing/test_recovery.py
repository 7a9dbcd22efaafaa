"""What the start mends: links, a missing `..data`, a lost generation, leftovers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from confcar.errors import PublishError
from confcar.publishing.layout import PublishMode, temporary_name
from tests.unit.publishing.samples import MODES, files, leftovers, opened, publish, visible

each_mode = pytest.mark.parametrize("mode", MODES)


def _published(directory: Path, mode: PublishMode = "swap") -> None:
    publisher = opened(directory, mode, keep=1)
    for text in "123":
        publish(publisher, files(a=text, d__b=text))
    publisher.acknowledge(3)
    publisher.close()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda root: (root / "a").unlink(), id="link-gone"),
        pytest.param(lambda root: ((root / "a").unlink(), (root / "a").symlink_to("elsewhere")), id="link-elsewhere"),
        pytest.param(lambda root: ((root / "a").unlink(), (root / "a").write_text("x")), id="file-for-link"),
        pytest.param(lambda root: (root / "old").symlink_to("..data/old"), id="stale-link"),
        pytest.param(lambda root: (root / "..data").unlink(), id="data-gone"),
        pytest.param(
            lambda root: ((root / "..data").unlink(), (root / "..data").symlink_to("..generation-000002")),
            id="data-to-older",
        ),
        pytest.param(
            lambda root: ((root / "..data").unlink(), (root / "..data").symlink_to("..generation-000099")),
            id="data-to-nothing",
        ),
        pytest.param(lambda root: ((root / "..data").unlink(), (root / "..data").write_text("")), id="data-is-file"),
        pytest.param(lambda root: (root / "..data.tmp").symlink_to("..generation-000009"), id="stray-data-tmp"),
        pytest.param(lambda root: (root / "..confcar-0123456789abcdef").symlink_to("..data/a"), id="stray-link-tmp"),
        pytest.param(lambda root: (root / "..confcar.json.tmp").write_text("{"), id="stray-state-tmp"),
        pytest.param(lambda root: (root / "..generation-000004" / "d").mkdir(parents=True), id="half-staged"),
    ],
)
def test_start_mends_the_directory(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    _published(tmp_path)
    spoil(tmp_path)
    publisher = opened(tmp_path, keep=1)
    assert visible(tmp_path) == {"a": "3", "d/b": "3"}
    assert publisher.state.is_acknowledged
    assert publisher.compare(files(a="3", d__b="3")) == ()
    assert leftovers(tmp_path) == []
    assert sorted(path.name for path in tmp_path.glob("..generation-*")) == [
        "..generation-000002",
        "..generation-000003",
    ]


def test_generation_deleted_under_the_data_link_is_published_anew(tmp_path: Path) -> None:
    _published(tmp_path)
    shutil.rmtree(tmp_path / "..generation-000003")
    publisher = opened(tmp_path, keep=1)
    assert (publisher.state.current, publisher.state.highest) == (None, 3)
    assert publisher.compare(files(a="3", d__b="3")) == ("a", "d/b")
    assert publish(publisher, files(a="3", d__b="3")).generation == 4
    assert visible(tmp_path) == {"a": "3", "d/b": "3"}


def test_folder_in_place_of_data_is_an_error_with_words(tmp_path: Path) -> None:
    _published(tmp_path)
    (tmp_path / "..data").unlink()
    (tmp_path / "..data").mkdir()
    with pytest.raises(PublishError, match="is a directory; a folder stands where a file must"):
        opened(tmp_path)


@each_mode
def test_colliding_leftover_of_the_next_number_is_replaced(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode)
    publish(publisher, files(a="1"))
    store = tmp_path if mode == "swap" else tmp_path / "..confcar"
    (store / "..generation-000002" / "junk").mkdir(parents=True)
    publish(publisher, files(a="2"))
    assert [path.name for path in (store / "..generation-000002").iterdir()] == ["a"]


def _file(path: Path) -> None:
    path.write_text("stray")


def _link(path: Path) -> None:
    path.symlink_to("/nonexistent/elsewhere")


def _folder(path: Path) -> None:
    (path / "below").mkdir(parents=True)


@each_mode
@pytest.mark.parametrize("make", [_file, _link, _folder])
@pytest.mark.parametrize("is_restarted", [True, False], ids=["at-a-start", "while-running"])
@pytest.mark.parametrize(
    "name",
    ["..generation-000002", "..generation-000009", "..confcar.json.tmp", "..data.tmp", temporary_name("a")],
)
def test_whatever_bears_a_name_of_confcars_own_is_no_obstacle(
    tmp_path: Path, mode: PublishMode, make: Callable[[Path], None], name: str, *, is_restarted: bool
) -> None:
    publisher = opened(tmp_path, mode)
    publish(publisher, files(a="1"))
    store = tmp_path if mode == "swap" or not name.startswith(("..gen", "..confcar.json")) else tmp_path / "..confcar"
    (store / name).unlink(missing_ok=True)
    make(store / name)
    if is_restarted:
        publisher.close()
        publisher = opened(tmp_path, mode)
    publish(publisher, files(a="2"))
    assert visible(tmp_path) == {"a": "2"}
    assert publisher.compare(files(a="2")) == ()


@each_mode
def test_drift_of_placed_files_is_left_to_the_comparison(tmp_path: Path, mode: PublishMode) -> None:
    _published(tmp_path, mode)
    (tmp_path / "a").write_text("edited")
    publisher = opened(tmp_path, mode)
    assert publisher.compare(files(a="3", d__b="3")) == ("a",)


def test_data_missing_and_state_lost_keeps_older_generations(tmp_path: Path) -> None:
    _published(tmp_path)
    (tmp_path / "..data").unlink()
    (tmp_path / "..confcar.json").unlink()
    publisher = opened(tmp_path, keep=1)
    assert (publisher.state.current, publisher.state.highest) == (None, 3)
    assert publish(publisher, files(a="4")).generation == 4
    assert visible(tmp_path) == {"a": "4"}
