"""What confcar is told by signals. The handlers only note them; whoever waits acts, in the main thread."""

from __future__ import annotations

import logging
import math
import os
import queue
import signal
import time
from collections.abc import Callable, Iterable
from types import FrameType, TracebackType
from typing import Self

from confcar.log import fields

Action = Callable[[], None]
_STOP = (signal.SIGTERM, signal.SIGINT)
_HEARD = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
# Handlers run in this thread only, and a signal that the kernel gives to another one does not wake it: seen under load.
_LOOK_SECONDS = 0.5
_log = logging.getLogger(__name__)


class Signals:
    """Hears signals while its block lasts, and is where other threads leave what the main thread is to do.

    The first SIGTERM or SIGINT asks for a stop, the second one ends the process at once. A signal that would end a
    process without need, and means nothing here, is ignored with a line in the log.
    """

    def __init__(self) -> None:
        # Its `put` may interrupt its own `get` or `put`: made for signal handlers.
        self._heard: queue.SimpleQueue[int | Action] = queue.SimpleQueue()
        self._actions: dict[int, Action] = {}
        self._before: dict[int, signal._HANDLER] = {}
        self._stops = 0
        # Not a signal's: a SIGTERM that comes on top of it is the first one.
        self._is_asked_to_stop = False
        self._at_once: list[Action] = []

    def on(self, number: int, action: Action) -> None:
        """Do *action* when that signal comes. Main thread only, like all but `call`."""
        self._actions[number] = action

    def hear(self, numbers: Iterable[int]) -> None:
        """Hear these signals, too. Main thread only."""
        for number in numbers:
            if number not in self._before:
                self._before[number] = signal.signal(number, self._handle)

    def before_ending_at_once(self, action: Action) -> None:
        """Do *action* too, in the handler, before a second stop ends the process."""
        self._at_once.append(action)

    def stop(self) -> None:
        """Ask for a stop, as the first SIGTERM does. Any thread; does not block."""
        self._is_asked_to_stop = True
        self._heard.put(lambda: None)

    def call(self, action: Action) -> None:
        """Have the main thread do something while it waits. Any thread; does not block."""
        self._heard.put(action)

    @property
    def is_stopping(self) -> bool:
        """Whether a stop was asked for."""
        return self._stops > 0 or self._is_asked_to_stop

    def wait_for_stop(self, timeout_seconds: float | None = None) -> bool:
        """Block until a stop is asked for, or until the time is up (None: never); return whether one is.

        Does meanwhile what signals and other threads ask for.
        """
        until = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
        while not self.is_stopping:
            left = max(0.0, until - time.monotonic())
            try:
                self._act_on(self._heard.get(timeout=min(left, _LOOK_SECONDS)))
            except queue.Empty:
                if left <= _LOOK_SECONDS:
                    break
        return self.is_stopping

    def __enter__(self) -> Self:
        for number in (*_STOP, *_HEARD):
            self._before[number] = signal.signal(number, self._handle)
        # What came since the start of the program waits there.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*_STOP, *_HEARD))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if number in _STOP:
            self._stops += 1
            if self._stops > 1:
                for action in self._at_once:
                    action()
                os._exit(128 + number)
        self._heard.put(number)

    def _act_on(self, heard: int | Action) -> None:
        if not isinstance(heard, int):
            heard()
        elif heard in self._actions:
            self._actions[heard]()
        elif heard not in _STOP:
            _log.warning("signal ignored", extra=fields(signal=signal.Signals(heard).name))
