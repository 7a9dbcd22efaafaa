"""What confcar makes of signals."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from confcar.daemon.signals import Signals

ROOT = Path(__file__).parents[3]


def tell(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_the_wait(number: int) -> None:
    with Signals() as signals:
        timer = threading.Timer(0.05, tell, (number,))
        timer.start()
        assert signals.wait_for_stop(5.0) is True
        timer.join()


def test_a_stop_that_came_before_the_wait_is_not_lost() -> None:
    with Signals() as signals:
        tell(signal.SIGTERM)
        assert signals.wait_for_stop() is True
        assert signals.wait_for_stop(0.0) is True


def test_without_a_stop_the_time_is_waited_for() -> None:
    with Signals() as signals:
        began = time.monotonic()
        assert signals.wait_for_stop(0.1) is False
        assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_that_means_nothing_here_is_survived_with_one_line(
    number: int, caplog: pytest.LogCaptureFixture
) -> None:
    with Signals() as signals:
        tell(number)
        assert signals.wait_for_stop(0.05) is False
    assert [record.getMessage() for record in caplog.records] == ["signal ignored"]
    assert caplog.records[0].confcar_fields["signal"] == signal.Signals(number).name  # type: ignore[attr-defined]


def test_what_a_signal_asks_for_is_done_by_the_thread_that_waits() -> None:
    done: list[threading.Thread] = []
    with Signals() as signals:
        signals.on(signal.SIGHUP, lambda: done.append(threading.current_thread()))
        tell(signal.SIGHUP)
        assert done == []
        assert signals.wait_for_stop(0.05) is False
    assert done == [threading.main_thread()]


def test_what_other_threads_ask_for_is_done_in_its_order() -> None:
    done: list[int] = []
    with Signals() as signals:

        def ask() -> None:
            for number in range(3):
                signals.call(functools.partial(done.append, number))

        caller = threading.Thread(target=ask)
        caller.start()
        caller.join()
        signals.wait_for_stop(0.05)
    assert done == [0, 1, 2]


def test_after_a_stop_nothing_more_is_done() -> None:
    done: list[str] = []
    with Signals() as signals:
        tell(signal.SIGTERM)
        signals.call(lambda: done.append("late"))
        assert signals.wait_for_stop() is True
    assert done == []


def test_what_was_before_is_put_back() -> None:
    before = signal.getsignal(signal.SIGHUP)
    with Signals():
        assert signal.getsignal(signal.SIGHUP) is not before
    assert signal.getsignal(signal.SIGHUP) is before


def test_the_second_stop_ends_the_process_at_once() -> None:
    code = (
        "import os, signal; from confcar.daemon.signals import Signals\n"
        "with Signals():\n"
        "    os.kill(os.getpid(), signal.SIGINT); os.kill(os.getpid(), signal.SIGTERM); print('not reached')"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (128 + signal.SIGTERM, "")


def test_a_signal_that_the_kernel_gives_to_another_thread_is_heard_too() -> None:
    waits, is_over, late = threading.Event(), threading.Event(), []
    with Signals() as signals:

        def send() -> None:
            signals.call(waits.set)
            waits.wait(30.0)
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
            if not is_over.wait(20.0):
                late.append("not heard")
                signals.stop()

        thread = threading.Thread(target=send)
        thread.start()
        assert signals.wait_for_stop()
        is_over.set()
        thread.join()
    assert late == []


def test_other_signals_are_heard_where_somebody_wants_them_and_put_back() -> None:
    done: list[str] = []
    before = signal.getsignal(signal.SIGWINCH)
    with Signals() as signals:
        signals.hear([signal.SIGWINCH])
        signals.on(signal.SIGWINCH, lambda: done.append("winch"))
        tell(signal.SIGWINCH)
        assert signals.wait_for_stop(0.05) is False
    assert (done, signal.getsignal(signal.SIGWINCH)) == (["winch"], before)


def test_another_thread_can_ask_for_a_stop() -> None:
    with Signals() as signals:
        thread = threading.Thread(target=signals.stop)
        thread.start()
        assert signals.wait_for_stop(10.0) is True
        thread.join()


def test_a_stop_signal_on_top_of_a_stop_that_a_thread_asked_for_is_the_first_one() -> None:
    with Signals() as signals:
        signals.stop()
        assert signals.wait_for_stop(10.0) is True
        tell(signal.SIGTERM)  # would end the tests
        assert signals.is_stopping
