"""What confcar tells the service manager that started it (systemd's protocol, sd_notify(3)).

READY once everything is published and the primary runs, RELOADING while a config is taken over, STATUS for people,
WATCHDOG as long as all loops move, STOPPING at the end. Where no NOTIFY_SOCKET is set, nothing of this exists.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from confcar.log import fields
from confcar.status import Status, StatusCopy

_LOOK_SECONDS = 0.5
_LOOK_UNTIL_READY_SECONDS = 0.1
_JOIN_SECONDS = 1.0
_NAMED_AT_MOST = 3
_log = logging.getLogger(__name__)


class ServiceManager:
    """Tells the service manager from the beginning of the block to its end. Thread-safe.

    Args:
        environ: Where NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID stand.
        status: What it is told about.
    """

    def __init__(self, environ: Mapping[str, str], status: Status) -> None:
        self._status = status
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._watchdog_seconds = _watchdog_seconds(environ)
        self._stopped = threading.Event()
        self._sending = threading.Lock()
        self._is_ready = False
        self._said = ""
        self._thread = threading.Thread(target=self._run, name="confcar-service", daemon=True)

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Tell that the config is taken over while the block lasts, whatever comes of it."""
        with self._sending:
            is_told = self._is_ready
        if is_told:
            self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            yield
        finally:
            if is_told:
                self._send("READY=1")

    def stopping(self) -> None:
        """Tell that confcar is about to end."""
        self._send("STOPPING=1", "STATUS=stopping")

    def __enter__(self) -> Self:
        if self._address is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        fed_at = 0.0
        while not self._stopped.is_set():
            copy = self._status.copy()
            lines = self._news(copy)
            now = time.monotonic()
            every = self._watchdog_seconds
            if every is not None and now - fed_at >= every / 2 - _LOOK_SECONDS / 2 and not copy.late:
                lines.append("WATCHDOG=1")
                fed_at = now
            if lines:
                self._send(*lines)
            # At least four looks between two that are due.
            wait = _LOOK_SECONDS if self._is_ready else _LOOK_UNTIL_READY_SECONDS
            self._stopped.wait(wait if every is None else min(wait, every / 8))

    def _news(self, copy: StatusCopy) -> list[str]:
        lines = []
        with self._sending:
            if not self._is_ready and is_ready(copy):
                self._is_ready = True
                lines.append("READY=1")
        said = describe(copy)
        if said != self._said:
            self._said = said
            lines.append(f"STATUS={said}")
        return lines

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(_JOIN_SECONDS)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else type(error).__name__
            _log.debug("service manager not told", extra=fields(error=reason))


def is_ready(copy: StatusCopy) -> bool:
    """Return whether others may count on what confcar is to provide: the files, and the primary where it runs it."""
    primary = copy.primary
    is_supervised = primary is not None and primary.mode == "command"
    return copy.is_ready and (not is_supervised or (primary is not None and primary.state != "waiting"))


def describe(copy: StatusCopy) -> str:
    """Return the state in one line for people."""
    if copy.unpublished:
        return f"waiting for the first publish of {_names(copy.unpublished)}"
    troubled = [name for name, bundle in copy.bundles.items() if bundle.state != "published"]
    unacknowledged = [name for name, bundle in copy.bundles.items() if bundle.reload.last_error]
    parts = [f"{len(copy.bundles)} bundle{'' if len(copy.bundles) == 1 else 's'} published"]
    if troubled:
        parts.append(f"not up to date: {_names(troubled)}")
    if unacknowledged:
        parts.append(f"reload pending: {_names(unacknowledged)}")
    if copy.config.error:
        parts.append("the config on disk is refused")
    if copy.primary is not None:
        parts.append(f"primary {copy.primary.state}")
    return "; ".join(parts)


def _names(names: list[str] | tuple[str, ...]) -> str:
    more = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _address(text: str) -> str | None:
    """Return the socket's address; `@` begins the name of an abstract one. None for what is no unix socket."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else None


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    with suppress(ValueError):
        seconds = int(environ.get("WATCHDOG_USEC", "")) / 1e6
        return seconds if seconds > 0 else None
    return None
