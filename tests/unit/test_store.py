"""Where watchers hand over and bundles read."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from confcar.errors import SourceDeniedError, SourceUnavailableError
from confcar.model import ABSENT, Dependency, Reading
from confcar.store import UNANSWERED, Answer, Store

A, B = Dependency("s", "key", "a"), Dependency("s", "key", "b")
ONE, TWO = Reading(b"1"), Reading(b"2")


class Bundle:
    """A reader that counts how often it was woken."""

    def __init__(self, store: Store, name: str, *wanted: Dependency) -> None:
        self.store, self.name, self.woken = store, name, 0
        self.wants(*wanted)

    def wants(self, *wanted: Dependency) -> frozenset[Dependency]:
        return self.store.subscribe(self.name, frozenset(wanted), self._wake)

    def changed(self) -> set[Dependency]:
        return set(self.store.take(self.name)[0])

    def knows(self, dependency: Dependency) -> Answer:
        return self.store.take(self.name)[1][dependency]

    def _wake(self) -> None:
        self.woken += 1


def test_first_reading_wakes_its_readers_only() -> None:
    store = Store()
    web, api = Bundle(store, "web", A), Bundle(store, "api", B)
    assert store.put({A: ONE}) == {A}
    assert (web.woken, api.woken) == (1, 0)
    assert web.changed() == {A}
    assert web.knows(A) == Answer(ONE)
    assert web.changed() == set(), "taken once"


def test_same_content_is_no_change() -> None:
    store = Store()
    web = Bundle(store, "web", A)
    store.put({A: ONE})
    assert store.put({A: Reading(b"1")}) == frozenset()
    assert web.woken == 1


@pytest.mark.parametrize(
    ("before", "after", "is_change"),
    [
        pytest.param({"on": 1}, {"on": True}, True, id="one and true are two texts"),
        pytest.param({"on": 1}, {"on": 1.0}, True, id="1 and 1.0 are two texts"),
        pytest.param({"a": [{"b": 0}]}, {"a": [{"b": False}]}, True, id="deep inside"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, True, id="longer list"),
        pytest.param({"a": 1}, {"b": 1}, True, id="other key"),
        pytest.param({"a": float("nan")}, {"a": float("nan")}, False, id="not a number stays not a number"),
        pytest.param({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}, False, id="equal"),
        pytest.param(None, {}, True, id="empty is a value"),
        pytest.param((), ("x",), True, id="names"),
    ],
)
def test_change_is_what_a_template_would_see(before: Any, after: Any, is_change: bool) -> None:  # noqa: ANN401, FBT001 - a table
    store = Store()
    Bundle(store, "web", A)
    store.put({A: Reading(before)})
    assert store.put({A: Reading(after)}) == ({A} if is_change else set())


def test_other_reason_for_nothing_is_a_change() -> None:
    store = Store()
    Bundle(store, "web", A)
    store.put({A: ABSENT})
    assert store.put({A: Reading(None, "deleted")}) == {A}


def test_newest_reading_wins() -> None:
    store = Store()
    web = Bundle(store, "web", A)
    store.put({A: ONE})
    store.put({A: TWO})
    changed, view = store.take("web")
    assert changed == {A}
    assert view == {A: Answer(TWO)}
    assert web.woken == 2


def test_last_good_reading_stays_while_the_source_is_away() -> None:
    store = Store()
    web = Bundle(store, "web", A)
    store.put({A: ONE})
    web.changed()
    away = SourceUnavailableError("away")
    store.fail({A: away})
    assert web.woken == 1, "nothing to do for the reader"
    assert web.knows(A) == Answer(ONE, away)
    assert store.put({A: ONE}) == frozenset(), "back with the same content is no change"
    assert web.knows(A) == Answer(ONE)


def test_first_failure_and_one_for_another_reason_wake_a_reader_that_waits() -> None:
    store = Store()
    web = Bundle(store, "web", A)
    for error in (SourceUnavailableError("away"), SourceUnavailableError("away"), SourceDeniedError("denied")):
        store.fail({A: error})
    assert web.woken == 2
    assert web.knows(A).is_settled
    assert web.knows(A).reading is None


def test_never_answered_is_not_settled() -> None:
    store = Store()
    web = Bundle(store, "web", A)
    assert web.knows(A) == UNANSWERED
    assert not UNANSWERED.is_settled
    assert Answer(ABSENT).is_settled


def test_what_is_known_already_counts_as_changed_for_a_new_reader() -> None:
    store = Store()
    Bundle(store, "web", A)
    store.put({A: ONE})
    late = Bundle(store, "late", A, B)
    assert late.woken == 1
    assert late.changed() == {A}


def test_subscription_returns_what_any_reader_wants() -> None:
    store = Store()
    web, api = Bundle(store, "web", A), Bundle(store, "api", A, B)
    assert web.wants(A) == {A, B}
    assert api.wants() == {A}
    assert web.wants() == frozenset()


def test_what_nobody_wants_any_more_is_forgotten_and_not_taken_over() -> None:
    store = Store()
    web = Bundle(store, "web", A, B)
    store.put({A: ONE, B: ONE})
    web.wants(B)
    assert web.changed() == {B}, "a withdrawn dependency is no change"
    assert store.put({A: TWO}) == frozenset()
    store.fail({A: SourceUnavailableError("late")})
    web.wants(A, B)
    assert web.knows(A) == UNANSWERED


def test_reader_without_a_subscription_gets_nothing() -> None:
    assert Store().take("nobody") == (frozenset(), {})


def test_many_readings_of_one_hand_over_wake_a_reader_once() -> None:
    store = Store()
    web = Bundle(store, "web", A, B)
    assert store.put({A: ONE, B: ONE}) == {A, B}
    assert web.woken == 1


def test_no_change_is_lost_and_no_pair_is_torn_between_threads() -> None:
    store = Store()
    news = threading.Event()
    store.subscribe("web", frozenset({A, B}), news.set)
    last = 2000

    def write() -> None:
        for number in range(1, last + 1):
            reading = Reading(str(number).encode())
            store.put({A: reading, B: reading})

    writer = threading.Thread(target=write)
    writer.start()
    seen = b""
    while seen != str(last).encode():
        assert news.wait(10), "a change was lost"
        news.clear()
        _, view = store.take("web")
        assert view[A] == view[B]
        reading = view[A].reading
        if reading is not None:
            assert isinstance(reading.value, bytes)
            seen = reading.value
    writer.join()
    assert seen == b"2000"


def test_a_view_follows_what_is_wanted_what_changes_and_what_fails() -> None:
    store = Store()
    a, b, c = (Dependency("local", "key", path) for path in "abc")
    store.subscribe("web", frozenset({a, b}), lambda: None)
    store.put({a: Reading(b"1")})
    assert dict(store.take("web")[1]) == {a: Answer(Reading(b"1")), b: UNANSWERED}
    error = SourceUnavailableError("away")
    store.fail({a: error})
    store.subscribe("web", frozenset({a, c}), lambda: None)
    assert dict(store.take("web")[1]) == {a: Answer(Reading(b"1"), error), c: UNANSWERED}
    store.subscribe("web", frozenset({c}), lambda: None)
    store.subscribe("web", frozenset({a, c}), lambda: None)
    assert dict(store.take("web")[1]) == {a: UNANSWERED, c: UNANSWERED}


def test_what_a_source_said_is_forgotten_for_its_readers_too_when_another_place_takes_its_name() -> None:
    store = Store()
    web = Bundle(store, "web", A, B)
    store.put({A: ONE, B: TWO})
    assert web.knows(A) == Answer(ONE)

    store.forget_source({"s"})

    changed, view = store.take("web")
    assert (set(changed), view[A], view[B]) == ({A, B}, UNANSWERED, UNANSWERED)
    assert web.woken == 1


def leased(user: str, until: float) -> Reading:
    return Reading({"user": user}, leased_until=until)


def test_renewed_lease_wakes_nobody_and_its_end_is_known() -> None:
    store = Store()
    web = Bundle(store, "web", A)
    store.put({A: leased("one", 100.0)})
    web.changed()
    assert store.lease_ends("web") == {}
    assert store.put({A: leased("one", 200.0)}) == frozenset()
    assert (web.woken, store.lease_ends("web")) == (1, {A: 200.0})


def test_end_of_what_was_replaced_is_known_until_the_replacement_is_taken() -> None:
    store = Store()
    web = Bundle(store, "web", A)
    store.put({A: leased("one", 100.0)})
    web.changed()
    store.put({A: leased("one", 200.0)})
    for until in (900.0, 950.0):
        store.put({A: leased("two", until)})
    assert store.lease_ends("web") == {A: 200.0}
    assert web.changed() == {A}
    assert store.lease_ends("web") == {}
    assert web.knows(A) == Answer(leased("two", 950.0))
    assert store.lease_ends("nobody") == {}


def test_what_was_revoked_has_ended_however_long_its_lease_was() -> None:
    store = Store()
    Bundle(store, "web", A).changed()
    store.put({A: leased("one", 100.0)})
    store.take("web")
    store.put({A: replace(leased("two", 900.0), follows_dead=True)})
    store.put({A: replace(leased("two", 950.0), follows_dead=True)})
    assert store.lease_ends("web") == {A: 0.0}
