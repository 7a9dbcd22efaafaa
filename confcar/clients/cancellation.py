"""Ends the requests of one thread from another: not all of a transport's, only those made for one purpose.

The libraries on top of the transport have no parameter for it, so it goes with the thread: what a thread asks for
inside `with cancellation:` is ended by `cancel`.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Protocol, Self


class Interruptible(Protocol):
    """What a request waits on, e.g. a connection."""

    def interrupt(self) -> None:
        """Make the waiting fail at once. Any thread."""
        ...


class Cancellation:
    """One purpose whose requests can be ended. Used as a context by one thread; `cancel` may be called by any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting_on: Interruptible | None = None
        self._token: Token[Cancellation | None] | None = None
        self.is_cancelled = False
        """Whether `cancel` was called; it stays."""

    def cancel(self) -> None:
        """End the request under way at once, and refuse every later one. May be called twice."""
        with self._lock:
            self.is_cancelled = True
            if self._waiting_on is not None:
                self._waiting_on.interrupt()

    def raise_if_cancelled(self) -> None:
        """Fail where `cancel` was called.

        Raises:
            ConnectionAbortedError: It was.
        """
        if self.is_cancelled:
            message = "the request was cancelled"
            raise ConnectionAbortedError(message)

    @contextmanager
    def waiting_on(self, target: Interruptible) -> Iterator[None]:
        """Let `cancel` interrupt *target* inside the block, at its beginning where it was called before."""
        with self._lock:
            self._waiting_on = target
            if self.is_cancelled:
                target.interrupt()
        try:
            yield
        finally:
            with self._lock:
                self._waiting_on = None

    def __enter__(self) -> Self:
        self._token = _CURRENT.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._token is not None
        _CURRENT.reset(self._token)


class Cancellations:
    """The purposes that threads follow now, by name, so that each can be ended. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Hashable, list[Cancellation]] = {}

    @contextmanager
    def cancellable(self, purpose: Hashable) -> Iterator[Cancellation]:
        """Let `interrupt` end what this thread asks for inside the block."""
        cancellation = Cancellation()
        with self._lock:
            self._running.setdefault(purpose, []).append(cancellation)
        try:
            with cancellation:
                yield cancellation
        finally:
            with self._lock:
                self._running[purpose].remove(cancellation)
                if not self._running[purpose]:
                    del self._running[purpose]

    def interrupt(self, purpose: Hashable) -> None:
        """End what is under way for a purpose; nothing where nothing is."""
        with self._lock:
            running = list(self._running.get(purpose, ()))
        for cancellation in running:
            cancellation.cancel()


_CURRENT: ContextVar[Cancellation | None] = ContextVar("cancellation", default=None)


def current_cancellation() -> Cancellation:
    """Return that of the block this thread is in; outside of any, one that nobody can cancel."""
    return _CURRENT.get() or Cancellation()
