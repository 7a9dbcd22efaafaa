"""How `confcar demo` shows itself: colour, a pace to read at and progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Callable
from typing import IO, TypeVar

Result = TypeVar("Result")

_BOLD, _DIM, _GREEN, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[0m"
_CLEAR_LINE = "\r\x1b[K"
_STEP_SECONDS = 0.01
_TURN_SECONDS = 0.1
_SIGNS = "|/-\\"
_READING_SECONDS = 0.9


class Screen:
    """Prints to one stream."""

    def __init__(self, out: IO[str] | None = None) -> None:
        """Print to *out*, standard output where None."""
        self._out = out or sys.stdout
        self._is_terminal = self._out.isatty()
        self._has_colour = self._is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._steps = 0

    def step(self, text: str) -> None:
        """Begin the next step; on a terminal the one before is left a moment to be read."""
        if self._is_terminal and self._steps:
            time.sleep(_READING_SECONDS)
        self._steps += 1
        self._print("\n" + self._in(_BOLD, f"{self._steps}. {text}"))

    def say(self, text: str) -> None:
        """Print one line below the step."""
        self._print(f"   {text}")

    def show(self, title: str, text: str) -> None:
        """Print what was seen, as it is, below what it is."""
        self._print(f"   {self._in(_DIM, title)}")
        self._print(textwrap.indent(text.rstrip("\n"), "     "))

    def good(self, text: str) -> None:
        """Print that something expected was seen."""
        self._print(f"   {self._in(_GREEN, 'ok')} {text}")

    def wait_for(self, what: str, predicate: Callable[[], Result], *, seconds: float) -> Result | None:
        """Return the predicate's first truthy result, None where there was none in time; on a terminal show *what*."""
        began = time.monotonic()
        shown = 0
        while not (result := predicate()):
            passed = time.monotonic() - began
            if passed > seconds:
                self._clear()
                return None
            turn = int(passed / _TURN_SECONDS)
            if self._is_terminal and turn > shown:
                shown = turn
                self._out.write(f"\r   {_SIGNS[turn % len(_SIGNS)]} {what} ...")
                self._out.flush()
            time.sleep(_STEP_SECONDS)
        self._clear()
        return result

    def _clear(self) -> None:
        if self._is_terminal:
            self._out.write(_CLEAR_LINE)

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._has_colour else text

    def _print(self, text: str) -> None:
        print(text, file=self._out, flush=True)
