"""Going back: which generation comes back, what is remembered of the one that went, and what a restart makes of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from confcar.errors import PublishError
from confcar.model import Change, RenderedFile
from confcar.publishing.layout import PublishMode
from confcar.publishing.publisher import Publisher
from tests.unit.publishing.samples import MODES, OPENED, file, files, leftovers, opened, publish, visible

each_mode = pytest.mark.parametrize("mode", MODES)
NOW = 1_800_000_000.0


def go_back(publisher: Publisher, *, reason: str = "unwell", inputs: str = "", by_hand: bool = False) -> Change:
    change = publisher.roll_back(reason=reason, inputs=inputs, by_hand=by_hand)
    publisher.finish()
    return change


def publish_from(publisher: Publisher, wanted: Sequence[RenderedFile], inputs: str, *, told: bool = False) -> Change:
    change = publisher.publish(publisher.stage(wanted), acknowledged=told, inputs=inputs)
    publisher.finish()
    return change


def at(publisher: Publisher, now: float) -> Publisher:
    """Return a publisher of the same directory whose clock shows *now*."""
    publisher.close()
    other = Publisher("web", publisher._layout.directory, mode=publisher._layout.mode, keep=2, clock=lambda: now)
    OPENED.append(other)
    other.open()
    return other


def generations(directory: Path) -> list[int]:
    return sorted(int(path.name.rpartition("-")[2]) for path in directory.rglob("..generation-*"))


@each_mode
def test_the_generation_before_comes_back_under_its_own_number(tmp_path: Path, mode: PublishMode) -> None:
    outside = tmp_path / "etc"
    outside.mkdir()
    old = [file("a", "old"), file("d/gone", "old"), file(outside / "x", "old"), file(outside / "gone", "old")]
    new = [file("a", "new"), file("d/added", "new"), file(outside / "x", "new"), file(outside / "added", "new")]
    publisher = opened(tmp_path / "web", mode)
    publish(publisher, old, acknowledged=True)
    publish(publisher, new)
    change = go_back(publisher)
    assert visible(tmp_path / "web") == {"a": "old", "d/gone": "old"}
    assert visible(outside) == {"x": "old", "gone": "old"}
    assert change.generation == publisher.state.current == 1
    names = ["a", "d/added", "d/gone", *(str(outside / name) for name in ("added", "gone", "x"))]
    assert change.changed == tuple(sorted(names))
    assert (publisher.state.highest, publisher.state.acknowledged) == (2, None)
    assert publisher.compare(old) == ()
    assert leftovers(tmp_path) == []


@each_mode
def test_modes_come_back_too(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode)
    publish(publisher, [file("a", "1", mode=0o604)])
    publish(publisher, [file("a", "1", mode=0o600)])
    go_back(publisher)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o604


@each_mode
def test_the_next_publish_takes_the_number_after_the_highest(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode)
    for text in "12":
        publish(publisher, files(a=text))
    go_back(publisher)
    assert publish(publisher, files(a="3")).generation == 3
    assert visible(tmp_path) == {"a": "3"}


@each_mode
def test_a_restart_stays_where_it_went_back_to_and_remembers_why(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode)
    publish_from(publisher, files(a="1"), "one", told=True)
    publish_from(publisher, files(a="2"), "two")
    publisher.note_step(2, 1)
    go_back(publisher, reason="port taken")
    publisher.close()
    state = opened(tmp_path, mode).state
    assert visible(tmp_path) == {"a": "1"}
    assert (state.current, state.acknowledged, state.step, state.inputs) == (1, None, 0, "one")
    assert state.refused is not None
    assert (state.refused.generation, state.refused.inputs, state.refused.reason) == (2, "two", "port taken")
    assert not state.refused.by_hand


@each_mode
def test_what_went_is_removed_and_what_may_come_back_is_kept(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode, keep=1)
    for text in "123":
        publish(publisher, files(a=text), acknowledged=True)
    go_back(publisher)
    assert generations(tmp_path) == [2]
    publish(publisher, files(a="4"))
    assert generations(tmp_path) == [2, 4]
    assert go_back(publisher).generation == 2


def test_the_last_acknowledged_one_is_kept_however_many_follow_and_comes_back(tmp_path: Path) -> None:
    publisher = opened(tmp_path, keep=1)
    publish(publisher, files(a="1"), acknowledged=True)
    for text in "2345":
        publish(publisher, files(a=text))
    assert generations(tmp_path) == [1, 4, 5]
    assert go_back(publisher).generation == 1


def test_without_an_acknowledged_one_the_newest_comes_back(tmp_path: Path) -> None:
    publisher = opened(tmp_path)
    for text in "123":
        publish(publisher, files(a=text))
    assert go_back(publisher).generation == 2


@each_mode
def test_the_first_generation_has_none_before_it(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode)
    publish(publisher, files(a="1"))
    before = publisher.state
    with pytest.raises(PublishError, match=r"no generation to go back to in .*: there is no older one"):
        go_back(publisher)
    assert publisher.state == before
    assert visible(tmp_path) == {"a": "1"}


def test_nothing_is_kept_to_go_back_to_without_keep(tmp_path: Path) -> None:
    publisher = opened(tmp_path, keep=0)
    for text in "12":
        publish(publisher, files(a=text), acknowledged=True)
    with pytest.raises(PublishError, match="there is no older one"):
        go_back(publisher)


@each_mode
def test_one_whose_leases_have_ended_does_not_come_back(tmp_path: Path, mode: PublishMode) -> None:
    leased = replace(file("a", "1"), leased_until=NOW + 60)
    publisher = opened(tmp_path, mode)
    publish(publisher, [leased, file("b")])
    publish(publisher, files(a="2"))
    publisher = at(publisher, NOW + 61)
    with pytest.raises(PublishError, match="the leases in older ones have ended"):
        go_back(publisher)
    assert go_back(at(publisher, NOW + 59)).generation == 1


def test_renewed_leases_let_it_come_back_for_longer(tmp_path: Path) -> None:
    publisher = opened(tmp_path)
    publish(publisher, [replace(file("a", "1"), leased_until=NOW + 60)])
    publisher.note_origin([replace(file("a", "1"), leased_until=NOW + 600)], "one")
    publish(publisher, files(a="2"))
    assert go_back(at(publisher, NOW + 300)).generation == 1


@each_mode
def test_renewed_leases_let_every_generation_that_holds_them_come_back_for_longer(
    tmp_path: Path, mode: PublishMode
) -> None:
    publisher = opened(tmp_path, mode)
    for number, leases in enumerate(("old", "mine", "mine"), start=1):
        leased = replace(file("a", str(number)), leased_until=NOW + 60)
        publisher.publish(publisher.stage([leased]), acknowledged=True, leases=leases)
        publisher.finish()
    publisher.note_lease_ends({"mine": NOW + 600, "": NOW + 700})
    publish(publisher, files(a="4"))
    publisher = at(publisher, NOW + 300)
    state = publisher.state
    assert (state.leases, state.leased_until) == ("", None)
    found = [(kept.number, kept.leases, kept.leased_until) for kept in state.older]
    assert found == [(3, "mine", NOW + 600), (2, "mine", NOW + 600)]
    assert go_back(publisher).generation == 3
    assert (publisher.state.leases, publisher.state.leased_until) == ("mine", NOW + 600)


@each_mode
def test_one_whose_files_were_changed_does_not_come_back(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode)
    for text in "123":
        publish(publisher, files(a=text), acknowledged=True)
    store = tmp_path if mode == "swap" else tmp_path / "..confcar"
    (store / "..generation-000002" / "a").write_text("edited")
    assert go_back(publisher).generation == 1
    (store / "..generation-000001" / "a").unlink()
    publish(publisher, files(a="4"))
    with pytest.raises(PublishError, match="the files of older ones were changed on disk"):
        go_back(publisher)


def test_a_refusal_counts_its_attempts_and_ends_when_its_inputs_hold(tmp_path: Path) -> None:
    publisher = opened(tmp_path)
    publish_from(publisher, files(a="1"), "one", told=True)
    for number, text in enumerate("23", start=1):
        publish_from(publisher, files(a=text), "two")
        go_back(publisher)
        publisher.acknowledge(1)
        assert publisher.state.refused is not None
        assert publisher.state.refused.attempts == number
    publish_from(publisher, files(a="4"), "two")
    assert publisher.state.refused is not None, "not before it was seen to hold"
    publisher.acknowledge(4)
    assert publisher.state.refused is None


def test_other_inputs_end_a_refusal(tmp_path: Path) -> None:
    publisher = opened(tmp_path)
    publish_from(publisher, files(a="1"), "one", told=True)
    publish_from(publisher, files(a="2"), "two")
    go_back(publisher)
    publish_from(publisher, files(a="3"), "three")
    assert publisher.state.refused is None


@each_mode
def test_by_hand_one_can_go_back_again_and_again(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode)
    for text in "123":
        publish_from(publisher, files(a=text), text, told=True)
    assert [go_back(publisher, inputs="3", by_hand=True).generation for _ in range(2)] == [2, 1]
    assert visible(tmp_path) == {"a": "1"}
    publisher.close()
    refused = opened(tmp_path, mode).state.refused
    assert refused is not None
    assert (refused.inputs, refused.by_hand) == ("3", True)


def test_a_forgotten_refusal_stays_forgotten_over_a_restart(tmp_path: Path) -> None:
    publisher = opened(tmp_path)
    for text in "12":
        publish(publisher, files(a=text))
    go_back(publisher)
    publisher.forget_refusal()
    publisher.close()
    assert opened(tmp_path).state.refused is None


@each_mode
def test_a_folder_in_the_way_refuses_the_way_back_and_changes_nothing(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode)
    publish(publisher, files(a="1", b="1"))
    publish(publisher, files(a="2"))
    (tmp_path / "b").mkdir()
    with pytest.raises(PublishError, match="cannot publish b: is a directory"):
        go_back(publisher)
    assert (tmp_path / "a").read_text() == "2"
    assert publisher.state.current == 2
    (tmp_path / "b").rmdir()
    assert go_back(publisher).generation == 1


def test_an_edit_of_the_current_generation_reaches_no_kept_one(tmp_path: Path) -> None:
    publisher = opened(tmp_path)
    publish(publisher, files(a="same", b="1"), acknowledged=True)
    publish(publisher, files(a="same", b="2"))
    with (tmp_path / "a").open("r+") as opened_file:
        opened_file.write("evil")
    os.truncate(tmp_path / "..generation-000002" / "b", 0)
    go_back(publisher)
    assert visible(tmp_path) == {"a": "same", "b": "1"}
