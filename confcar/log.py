"""Logging: one line per event, for people on a terminal and as JSON elsewhere, with known secrets masked.

Events are short fixed phrases; what varies goes into fields by `extra=fields(...)`. Values from sources are never
logged on purpose; the redactor is the last net under that, for library messages and command outputs.
"""

from __future__ import annotations

import errno
import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Mapping
from typing import IO, Literal

MASK = "********"
# Shorter values would blank out half of every log line ("on", "1", "app"); the docs say that they are not caught.
MASKED_FROM_LENGTH = 6
_COLOURS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31;1m"}
_DIM, _RESET = "\x1b[2m", "\x1b[0m"
_FIELDS = "confcar_fields"


def fields(**values: object) -> dict[str, dict[str, object]]:
    """Return *values* in the form that `extra=` takes."""
    return {_FIELDS: values}


class Redactor:
    """Replaces the secrets it has been told of in any text. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: set[str] = set()
        self._ordered: tuple[str, ...] = ()

    def learn(self, secrets: Iterable[str]) -> None:
        """Mask these from now on, and each of their longer lines; values below MASKED_FROM_LENGTH are left out."""
        lines = {line.strip() for secret in secrets for line in (secret, *secret.splitlines())}
        # A value with quotes or line breaks in it looks like this where libraries complain about it, and in JSON files.
        quoted = {form for line in lines for form in (repr(line)[1:-1], *_as_json(line))}
        found = {line for line in lines | quoted if len(line) >= MASKED_FROM_LENGTH}
        with self._lock:
            if not found <= self._secrets:
                self._secrets |= found
                # Longest first: a secret that holds another one is masked as a whole.
                self._ordered = tuple(sorted(self._secrets, key=len, reverse=True))

    def mask(self, text: str) -> str:
        """Return *text* with every known secret replaced."""
        for secret in self._ordered:
            if secret in text:
                text = text.replace(secret, MASK)
        return text

    def excerpt(self, text: str, *, limit: int, from_end: bool = False) -> str:
        """Return what may be shown of another program's text: masked, on one line, printable, at most *limit* long.

        Args:
            text: What the program said, whole: a secret that a cut has halved would not be recognised.
            limit: Characters to show, at least 1; a cut is marked by `...` on top of them.
            from_end: Whether to show the end, where commands say what went wrong, in place of the beginning.
        """
        words = "".join(letter if letter.isprintable() else " " for letter in self.mask(text)).split()
        line = self.mask(" ".join(words))
        if len(line) <= limit:
            return line
        return f"...{line[-limit:]}" if from_end else f"{line[:limit]}..."

    def mask_values(self, value: object) -> object:
        """Return a JSON-like value with every string in it masked, keys too; what is not JSON-like becomes its text."""
        if isinstance(value, Mapping):
            return {self.mask(str(key)): self.mask_values(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.mask_values(item) for item in value]
        if value is None or isinstance(value, bool):
            return value
        text = str(value)
        masked = self.mask(text)
        return value if isinstance(value, int | float) and masked == text else masked


def _as_json(text: str) -> tuple[str, str]:
    return json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]


def secret_strings(value: object) -> Iterable[str]:
    """Yield every string within a JSON-like value; numbers as their text, keys of mappings not at all."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode(errors="replace")
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from secret_strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secret_strings(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def outline(error: BaseException | None) -> str:
    """Return class and frames of an unexpected error and of what led to it; never its text, which may hold values."""
    lines: list[str] = []
    known: set[int] = set()
    while error is not None and id(error) not in known:
        known.add(id(error))
        number = (
            f" {errno.errorcode.get(error.errno, error.errno)}" if isinstance(error, OSError) and error.errno else ""
        )
        lines.append(f"{'after ' if lines else ''}{type(error).__module__}.{type(error).__qualname__}{number}")
        lines += [
            f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
        ]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(lines)


class _Formatter(logging.Formatter):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        extra = getattr(record, _FIELDS, {})
        if record.exc_info and "error" not in extra:
            extra = {**extra, "traceback": outline(record.exc_info[1])}
        # Before they are quoted: a secret that holds a quote or a line break would not be recognised afterwards.
        masked = {key: self._redactor.mask_values(value) for key, value in extra.items()}
        return self.line(record, self._redactor.mask(record.getMessage()), masked)

    def line(self, record: logging.LogRecord, event: str, extra: dict[str, object]) -> str:
        raise NotImplementedError


class JsonFormatter(_Formatter):
    """One JSON object per line: time, level, event, then the event's fields."""

    def line(self, record: logging.LogRecord, event: str, extra: dict[str, object]) -> str:
        """Return the record as JSON."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line = {**extra, "time": at, "level": record.levelname.lower(), "event": event}
        ordered = {key: line[key] for key in ("time", "level", "event", *extra)}
        return json.dumps(ordered, ensure_ascii=False)


class ConsoleFormatter(_Formatter):
    """`12:00:01 event field=value ...`, warnings and errors in colour where the terminal has it."""

    def __init__(self, redactor: Redactor, *, colour: bool) -> None:
        super().__init__(redactor)
        self._colour = colour

    def line(self, record: logging.LogRecord, event: str, extra: dict[str, object]) -> str:
        """Return the record for people."""
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        tail = " ".join(f"{key}={_short(value)}" for key, value in extra.items() if value not in (None, "", []))
        event = event if event.isprintable() else json.dumps(event)[1:-1]
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        if not self._colour:
            return f"{at} {level}{event} {tail}".rstrip()
        colour = _COLOURS.get(record.levelname, "")
        return f"{_DIM}{at}{_RESET} {colour}{level}{event}{_RESET} {_DIM}{tail}{_RESET}".rstrip()


def _short(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    if not text.isprintable():  # line breaks would split the event, control characters could write on the terminal
        return json.dumps(text)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text


def configure(
    redactor: Redactor, *, level: str, format_: Literal["auto", "console", "json"], stream: IO[str] | None = None
) -> None:
    """Send confcar's log to *stream* (stderr where None); replaces what an earlier call set up."""
    out = stream or sys.stderr
    terminal = out.isatty()
    formatter: logging.Formatter
    if format_ == "json" or (format_ == "auto" and not terminal):
        formatter = JsonFormatter(redactor)
    else:
        formatter = ConsoleFormatter(redactor, colour=terminal)
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    logger = logging.getLogger("confcar")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
