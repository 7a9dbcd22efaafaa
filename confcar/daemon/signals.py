"""What confcar is told by signals. The handlers only note them; whoever waits acts, in the main thread."""

from __future__ import annotations

import logging
import os
import queue
import signal
from types import FrameType, TracebackType
from typing import Self

from confcar.log import fields

_STOP = (signal.SIGTERM, signal.SIGINT)
_IGNORED = {
    signal.SIGHUP: "config and templates are read at the start only: restart confcar",
    signal.SIGUSR1: "sources are followed all the time: there is nothing to ask for",
    signal.SIGUSR2: "it means nothing to confcar",
}
_log = logging.getLogger(__name__)


class Signals:
    """Hears signals while its block lasts. Main thread only.

    The first SIGTERM or SIGINT asks for a stop, the second one ends the process at once. Signals that would end a
    process without need are ignored with a line in the log.
    """

    def __init__(self) -> None:
        # Its `put` may interrupt its own `get` or `put`: made for signal handlers.
        self._heard: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._before: dict[int, signal._HANDLER] = {}
        self._stops = 0

    def wait_for_stop(self, timeout_seconds: float | None = None) -> bool:
        """Block until a stop is asked for, or until the time is up (None: never); return whether one is."""
        try:
            while not self._stops:
                self._note(self._heard.get(timeout=timeout_seconds))
        except queue.Empty:
            pass
        return self._stops > 0

    def __enter__(self) -> Self:
        for number in (*_STOP, *_IGNORED):
            self._before[number] = signal.signal(number, self._handle)
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
                os._exit(128 + number)
        self._heard.put(number)

    @staticmethod
    def _note(number: int) -> None:
        if number not in _STOP:
            heard = signal.Signals(number)
            _log.warning("signal ignored", extra=fields(signal=heard.name, reason=_IGNORED[heard]))
