"""Where a bundle's thread waits: for notes, for an appointment, for quiet, for the end."""

from __future__ import annotations

import threading

import pytest

from confcar.pipeline.inbox import Inbox
from tests.fakes.clock import FakeClock, FakeCondition
from tests.waiting import wait_until


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def inbox(clock: FakeClock) -> Inbox:
    return Inbox(clock, condition=FakeCondition(clock))


def test_wait_ends_with_a_note(inbox: Inbox, clock: FakeClock) -> None:
    clock.after(3.0, inbox.note)
    inbox.wait(None)
    assert (clock.now, inbox.has_news) == (103.0, True)


def test_wait_ends_at_the_appointment(inbox: Inbox, clock: FakeClock) -> None:
    inbox.wait(105.0)
    assert (clock.now, inbox.has_news) == (105.0, False)


def test_wait_for_an_appointment_that_has_passed_returns_at_once(inbox: Inbox, clock: FakeClock) -> None:
    inbox.wait(99.0)
    assert clock.now == 100.0


def test_wait_returns_at_once_where_something_was_noted_before(inbox: Inbox, clock: FakeClock) -> None:
    inbox.note()
    inbox.wait(None)
    assert clock.now == 100.0


def test_wake_ends_one_wait_and_is_no_news(inbox: Inbox, clock: FakeClock) -> None:
    clock.after(1.0, inbox.wake)
    inbox.wait(110.0)
    assert (clock.now, inbox.has_news) == (101.0, False)
    inbox.wait(110.0)
    assert clock.now == 110.0


def test_wake_before_the_wait_ends_it_at_once(inbox: Inbox, clock: FakeClock) -> None:
    inbox.wake()
    inbox.wait(110.0)
    assert clock.now == 100.0


def test_stop_ends_this_and_every_later_wait(inbox: Inbox, clock: FakeClock) -> None:
    clock.after(1.0, inbox.stop)
    inbox.wait(None)
    inbox.wait(None)
    assert (clock.now, inbox.is_stopped) == (101.0, True)


def test_settling_lasts_until_it_was_quiet_for_long_enough(inbox: Inbox, clock: FakeClock) -> None:
    inbox.note()
    for seconds in (0.1, 0.25, 0.3):
        clock.after(seconds, inbox.note)
    inbox.settle(quiet_seconds=0.2, max_seconds=5.0)
    assert clock.now == pytest.approx(100.5)


def test_settling_ends_at_the_maximum_however_many_changes_follow(inbox: Inbox, clock: FakeClock) -> None:
    inbox.note()
    for number in range(1, 100):
        clock.after(number * 0.1, inbox.note)
    inbox.settle(quiet_seconds=0.2, max_seconds=1.0)
    assert clock.now == pytest.approx(101.0)


def test_the_maximum_counts_from_the_first_note_that_was_not_taken(inbox: Inbox, clock: FakeClock) -> None:
    inbox.note()
    clock.advance(0.9)
    inbox.note()
    inbox.settle(quiet_seconds=0.5, max_seconds=1.0)
    assert clock.now == pytest.approx(101.0)


@pytest.mark.parametrize(("quiet", "longest"), [(0.0, 5.0), (0.0, 0.0)])
def test_settling_without_a_quiet_time_takes_none(inbox: Inbox, clock: FakeClock, quiet: float, longest: float) -> None:
    inbox.note()
    inbox.settle(quiet_seconds=quiet, max_seconds=longest)
    assert clock.now == 100.0


def test_settling_without_news_returns_at_once(inbox: Inbox, clock: FakeClock) -> None:
    inbox.settle(quiet_seconds=1.0, max_seconds=5.0)
    assert clock.now == 100.0


def test_stop_ends_the_settling(inbox: Inbox, clock: FakeClock) -> None:
    inbox.note()
    clock.after(0.05, inbox.stop)
    inbox.settle(quiet_seconds=1.0, max_seconds=5.0)
    assert clock.now == pytest.approx(100.05)


def test_take_tells_when_it_was_first_noted_and_forgets_it(inbox: Inbox, clock: FakeClock) -> None:
    inbox.note()
    clock.advance(1.0)
    inbox.note()
    assert inbox.take() == 100.0
    assert (inbox.has_news, inbox.take()) == (False, None)


def test_no_note_of_many_threads_is_lost() -> None:
    inbox, seen, written = Inbox(), [0], [0] * 4

    def write(number: int) -> None:
        for _ in range(500):
            written[number] += 1
            inbox.note()

    def read() -> None:
        while not inbox.is_stopped:
            inbox.wait(None)
            inbox.take()
            seen[0] = sum(written)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    reader = threading.Thread(target=read)
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    wait_until(lambda: not inbox.has_news)
    inbox.stop()
    reader.join()
    assert seen[0] == 2000, "what was written before the last note was read after it"


def test_a_pause_lasts_whatever_is_noted_meanwhile(inbox: Inbox, clock: FakeClock) -> None:
    clock.after(1.0, inbox.note)
    clock.after(2.0, inbox.call)
    assert inbox.pause(3.0)
    assert (clock.now, inbox.has_news) == (103.0, True)


def test_a_stop_ends_a_pause_and_says_so(inbox: Inbox, clock: FakeClock) -> None:
    clock.after(1.0, inbox.stop)
    assert not inbox.pause(3.0)
    assert clock.now == 101.0


def test_it_is_idle_only_while_its_thread_waits_for_nothing_that_has_come() -> None:
    inbox = Inbox()
    assert not inbox.is_idle
    thread = threading.Thread(target=inbox.wait, args=(None,))
    thread.start()
    wait_until(lambda: inbox.is_idle)
    inbox.note()
    assert not inbox.is_idle
    thread.join()
    assert not inbox.is_idle
