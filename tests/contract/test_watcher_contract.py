"""What is true of every watcher, whatever it follows. A new one adds a module to `harnesses`, and nothing here."""

from __future__ import annotations

import pkgutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module

import pytest

from confcar.errors import SourceDeniedError, SourceError, SourceUnavailableError
from confcar.model import Dependency, Reading, Version
from tests.contract import harnesses
from tests.contract.harnesses.base import Harness, OpenHarness
from tests.waiting import wait_until

# Longer than any source takes to notice, shorter than a wait that nobody ended.
_SOON_SECONDS = 10.0
SECRET = "hunter2hunter2"


def _rows() -> Iterator[object]:
    for module in pkgutil.iter_modules(harnesses.__path__):
        yield from getattr(import_module(f"{harnesses.__name__}.{module.name}"), "HARNESSES", ())


@pytest.fixture(params=list(_rows()))
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    open_harness: OpenHarness = request.param
    with open_harness(request) as opened:
        yield opened


@dataclass(frozen=True)
class Outcome:
    """What came of one fetch, for one dependency."""

    version: Version | None = None
    reading: Reading | None = None
    error: Exception | None = None


def fetch(harness: Harness, path: str, *, after: Version | None = None, wait_seconds: float = 0.0) -> Outcome:
    """Fetch once; a failure of the dependency and of the whole fetch are the same here."""
    dependency = harness.dependency(path)
    ((query, dependencies),) = harness.watcher.plan(frozenset({dependency})).items()
    try:
        snapshot = harness.watcher.fetch(query, dependencies, after=after, wait_seconds=wait_seconds)
    except SourceError as error:
        return Outcome(error=error)
    return Outcome(snapshot.version, snapshot.readings.get(dependency), snapshot.failures.get(dependency))


def read_text(harness: Harness, path: str) -> str | None:
    """Return the value at *path*, None where the source confirmed that there is none.

    Raises:
        AssertionError: The fetch failed.
    """
    outcome = fetch(harness, path)
    assert outcome.reading is not None, outcome.error
    return None if outcome.reading.value is None else harness.text(outcome.reading)


def wait_for_text(harness: Harness, path: str, text: str | None) -> None:
    def is_there() -> bool:
        outcome = fetch(harness, path)
        if outcome.reading is None:
            return False
        return (None if outcome.reading.value is None else harness.text(outcome.reading)) == text

    wait_until(is_there, timeout=_SOON_SECONDS)


def test_plan_answers_each_dependency_once(harness: Harness) -> None:
    wanted = frozenset(harness.dependency(path) for path in ("a", "b", "c"))
    planned = list(harness.watcher.plan(wanted).values())
    assert sorted(dependency for group in planned for dependency in group) == sorted(wanted)
    assert harness.watcher.plan(frozenset()) == {}


def test_equal_plans_have_equal_queries(harness: Harness) -> None:
    wanted = frozenset({harness.dependency("a")})
    assert harness.watcher.plan(wanted) == harness.watcher.plan(wanted)


def test_watcher_serves_what_it_says(harness: Harness) -> None:
    dependency = harness.dependency("a")
    assert dependency.kind in harness.watcher.kinds
    assert dependency.source == harness.watcher.name
    assert harness.watcher.max_blocking >= 0
    assert harness.watcher.max_polling >= 1


def test_first_fetch_gives_the_value(harness: Harness) -> None:
    harness.set(a="one")
    assert read_text(harness, "a") == "one"


def test_empty_value_is_a_value(harness: Harness) -> None:
    harness.set(a="")
    assert read_text(harness, "a") == ""


def test_what_is_not_there_is_confirmed_absent(harness: Harness) -> None:
    assert read_text(harness, "a") is None


def test_what_appears_is_given_and_what_goes_is_absent_again(harness: Harness) -> None:
    assert read_text(harness, "a") is None
    harness.set(a="one")
    wait_for_text(harness, "a", "one")
    harness.remove("a")
    wait_for_text(harness, "a", None)


def test_nothing_new_has_the_same_version_and_no_readings(harness: Harness) -> None:
    harness.set(a="one")
    first = fetch(harness, "a")
    again = fetch(harness, "a", after=first.version, wait_seconds=0.2 if harness.watcher.max_blocking else 0.0)
    assert (again.version, again.reading, again.error) == (first.version, None, None)


def test_change_has_another_version(harness: Harness) -> None:
    harness.set(a="one")
    before = fetch(harness, "a").version
    harness.set(a="two")
    wait_until(lambda: fetch(harness, "a", after=before).reading is not None, timeout=_SOON_SECONDS)
    after = fetch(harness, "a", after=before)
    assert after.version != before
    assert after.reading is not None
    assert harness.text(after.reading) == "two"


def test_waiting_does_not_exceed_what_was_asked(harness: Harness) -> None:
    harness.set(a="one")
    version = fetch(harness, "a", wait_seconds=0.3).version
    began = time.monotonic()
    fetch(harness, "a", after=version, wait_seconds=0.3)
    assert time.monotonic() - began < 3.0  # a little jitter and a deadline above it are the source's to add


def test_change_ends_the_waiting(harness: Harness) -> None:
    if not harness.watcher.max_blocking:
        assert fetch(harness, "a", wait_seconds=0.0).error is None  # it polls, and never waits
        return
    harness.set(a="one")
    version = fetch(harness, "a", wait_seconds=30.0).version
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(fetch, harness, "a", after=version, wait_seconds=30.0)
        wait_until(waiting.running)
        harness.set(a="two")
        outcome = waiting.result(timeout=_SOON_SECONDS)
    assert outcome.reading is not None
    assert harness.text(outcome.reading) == "two"


def test_source_that_is_away_is_unavailable_and_comes_back_by_itself(harness: Harness) -> None:
    harness.set(a=SECRET)
    assert read_text(harness, "a") == SECRET
    harness.take_away()
    outcome = fetch(harness, "a")
    harness.bring_back()
    assert isinstance(outcome.error, SourceUnavailableError)
    assert outcome.error.retryable
    assert SECRET not in str(outcome.error)
    wait_for_text(harness, "a", SECRET)


def test_denied_is_told_from_absent_and_can_be_allowed_again(harness: Harness) -> None:
    harness.set(a=SECRET)
    assert read_text(harness, "a") == SECRET
    harness.deny()
    try:
        outcome = fetch(harness, "a")
    finally:
        harness.allow()
    assert isinstance(outcome.error, SourceDeniedError)
    assert not outcome.error.retryable
    assert SECRET not in str(outcome.error)
    wait_for_text(harness, "a", SECRET)


def test_close_ends_a_fetch_that_waits(harness: Harness) -> None:
    harness.set(a="one")
    wait_seconds = 30.0 if harness.watcher.max_blocking else 0.0
    version = fetch(harness, "a", wait_seconds=wait_seconds).version
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(fetch, harness, "a", after=version, wait_seconds=wait_seconds)
        wait_until(lambda: waiting.running() or waiting.done())
        began = time.monotonic()
        harness.watcher.close()
        outcome = waiting.result(timeout=_SOON_SECONDS)
    assert time.monotonic() - began < 1.0
    assert outcome.reading is None
    harness.watcher.close()


def test_interrupting_a_query_ends_its_fetch_and_no_later_one(harness: Harness) -> None:
    harness.set(a="one")
    wait_seconds = 30.0 if harness.watcher.max_blocking else 0.0
    version = fetch(harness, "a", wait_seconds=wait_seconds).version
    (query,) = harness.watcher.plan(frozenset({harness.dependency("a")}))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(fetch, harness, "a", after=version, wait_seconds=wait_seconds)

        def is_over() -> bool:
            # Again and again: the fetch may not have begun yet.
            harness.watcher.interrupt(query)
            return waiting.done()

        wait_until(is_over, timeout=_SOON_SECONDS)
        assert waiting.result().reading is None
    assert read_text(harness, "a") == "one"


def test_value_is_in_no_representation_of_the_watcher(harness: Harness) -> None:
    harness.set(a=SECRET)
    assert read_text(harness, "a") == SECRET
    assert SECRET not in repr(harness.watcher)
    dependency: Dependency = harness.dependency("a")
    assert SECRET not in repr(harness.watcher.plan(frozenset({dependency})))
