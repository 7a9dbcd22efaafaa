"""What a bundle is asked to do by somebody outside its thread, and how the answer gets back.

Asked from any thread, done by the bundle's own between two passes: nobody else ever touches its state.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal

from confcar.errors import ConfcarError

Request = Literal["sync", "rollback"]
"""sync: render, compare with the disk, publish and reload what is owed, now. rollback: back to the one before."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request and the promise of its answer: None where it went well, else a ConfcarError."""

    request: Request
    answer: Future[None] = field(default_factory=Future)

    def conclude(self, error: ConfcarError | None) -> None:
        """Answer; nothing where who asked has been answered already."""
        if self.answer.done():
            return
        if error is None:
            self.answer.set_result(None)
        else:
            self.answer.set_exception(error)


class Requests:
    """The open requests of one bundle. Thread-safe.

    Args:
        bundle: Its name, for messages.
        wake: Ends the wait of the bundle's thread.
    """

    def __init__(self, bundle: str, wake: Callable[[], None]) -> None:
        self._bundle = bundle
        self._wake = wake
        self._lock = threading.Lock()
        self._open: list[Asked] = []
        self._is_closed = False

    def ask(self, request: Request) -> Future[None]:
        """Note a request and return the promise of its answer. Does not block."""
        asked = Asked(request)
        with self._lock:
            if not self._is_closed:
                self._open.append(asked)
                self._wake()
                return asked.answer
        asked.conclude(self._ended())
        return asked.answer

    def take(self) -> list[Asked]:
        """Return what is open, in the order in which it was asked; whoever takes it answers it."""
        with self._lock:
            taken, self._open = self._open, []
            return taken

    def close(self) -> None:
        """Refuse what is open and what is still asked: nobody is left to do it."""
        with self._lock:
            self._is_closed = True
        for asked in self.take():
            asked.conclude(self._ended())

    def _ended(self) -> ConfcarError:
        return ConfcarError(f"bundle {self._bundle} is no longer followed by this thread: ask again")
