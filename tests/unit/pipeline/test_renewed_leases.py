"""Leases that are renewed after they were rendered: no pass, no reload, and their generations can be gone back to."""

from __future__ import annotations

import time

import pytest

from confcar.errors import PublishError
from confcar.pipeline.bundle import BundlePipeline
from tests.unit.pipeline.stage import Primary, Stage
from tests.waiting import wait_until

FILES = ("{{ key('name') }}", "{{ secret('db').user }}")
USER = {"user": "one"}


def start(stage: Stage, primary: Primary) -> BundlePipeline:
    """Publish `good` with a credential whose first lease has ended by now."""
    stage.watcher.set(name=b"good")
    stage.watcher.grant("db", USER, until=time.time() - 1.0)
    pipeline = stage.bundle(*FILES, primary=primary, health=stage.health("bad"))
    stage.start(pipeline)
    wait_for(stage, 1)
    return pipeline


def wait_for(stage: Stage, generation: int) -> None:
    """Wait until a generation is current and acknowledged, and nothing else is under way."""

    def is_there() -> bool:
        seen = stage.seen()
        return (seen.generation, seen.reload.acknowledged_generation) == (generation,) * 2 and not seen.reload.pending

    wait_until(is_there)


def renew(stage: Stage, pipeline: BundlePipeline, *, seconds: float = 600.0) -> None:
    until = time.time() + seconds
    stage.watcher.grant("db", USER, until=until)
    wait_until(lambda: until in stage.following.lease_ends(pipeline._collector._reader).values())


def heard(primary: Primary) -> list[int]:
    return [change.generation for change in primary.heard]


def passes(stage: Stage) -> float:
    return stage.status.copy().counters[("render_total", "web", "rendered")]


def test_what_does_not_hold_is_taken_back_to_a_generation_whose_lease_was_renewed(stage: Stage) -> None:
    primary = Primary()
    renew(stage, start(stage, primary))
    stage.watcher.set(name=b"bad")
    wait_until(lambda: heard(primary) == [1, 2, 1])
    wait_for(stage, 1)
    assert (stage.text(), stage.seen().state) == ("good", "refused")


def test_to_one_whose_lease_has_ended_it_is_not(stage: Stage) -> None:
    primary = Primary()
    start(stage, primary)
    stage.watcher.set(name=b"bad")
    wait_until(lambda: "the leases in older ones have ended" in (stage.seen().error or ""))
    assert (heard(primary), stage.text()) == ([1, 2], "bad")


def test_renewal_that_was_followed_by_another_credential_counts(stage: Stage) -> None:
    primary = Primary()
    pipeline = start(stage, primary)
    renew(stage, pipeline)
    stage.watcher.grant("db", {"user": "two"}, until=time.time() + 900.0)
    wait_until(lambda: stage.text("1") == "two")
    wait_for(stage, 2)
    stage.watcher.set(name=b"bad")
    wait_until(lambda: heard(primary) == [1, 2, 3, 2])
    older = pipeline._parts.publisher.state.older
    assert [kept.number for kept in older] == [1]
    assert (older[0].leased_until or 0.0) > time.time() + 300


def test_credential_that_was_revoked_is_not_gone_back_to(stage: Stage) -> None:
    primary = Primary()
    pipeline = start(stage, primary)
    renew(stage, pipeline)
    stage.watcher.grant("db", {"user": "two"}, until=time.time() + 900.0, follows_dead=True)
    wait_for(stage, 2)
    with pytest.raises(PublishError, match="the leases in older ones have ended"):
        pipeline.ask("rollback").result(10.0)
    assert (heard(primary), stage.text("1")) == ([1, 2], "two")


def test_older_generation_with_the_same_lease_comes_back_by_hand_as_long_as_that_lives(stage: Stage) -> None:
    primary = Primary()
    pipeline = start(stage, primary)
    stage.watcher.set(name=b"better")
    wait_for(stage, 2)
    renew(stage, pipeline)
    pipeline.ask("rollback").result(10.0)
    wait_for(stage, 1)
    assert (heard(primary), stage.text()) == ([1, 2, 1], "good")


def test_renewals_cost_no_pass_and_no_reload(stage: Stage) -> None:
    primary = Primary()
    pipeline = start(stage, primary)
    before = passes(stage)
    for seconds in (100.0, 200.0, 300.0):
        renew(stage, pipeline, seconds=seconds)
    stage.watcher.set(name=b"better")
    wait_for(stage, 2)
    assert passes(stage) == before + 1
    assert heard(primary) == [1, 2]


def test_lease_that_a_text_names_and_no_file_read_does_not_count(stage: Stage) -> None:
    primary = Primary()
    stage.watcher.set(name=b"good")
    stage.watcher.grant("db", USER, until=time.time() + 600.0)
    stage.watcher.grant("other", {"user": "x"}, until=time.time() - 1.0)
    texts = ("{{ key('name') }}", "{{ secret('db').user if true else secret('other').user }}")
    stage.start(stage.bundle(*texts, primary=primary, health=stage.health("bad")))
    wait_for(stage, 1)
    stage.watcher.set(name=b"bad")
    wait_until(lambda: heard(primary) == [1, 2, 1])


def test_what_came_back_by_hand_is_replaced_by_itself_when_its_lease_ends(stage: Stage) -> None:
    primary = Primary()
    stage.watcher.set(name=b"good")
    stage.watcher.grant("db", USER, until=time.time() + 3.0)
    pipeline = stage.bundle(*FILES, primary=primary)
    stage.start(pipeline)
    wait_for(stage, 1)
    stage.watcher.grant("db", {"user": "two"}, until=time.time() + 600.0)
    wait_for(stage, 2)
    pipeline.ask("rollback").result(10.0)
    wait_until(lambda: heard(primary) == [1, 2, 1])
    wait_until(lambda: heard(primary) == [1, 2, 1, 3])
    assert stage.text("1") == "two"
