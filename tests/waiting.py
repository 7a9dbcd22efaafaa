"""Waiting for conditions, what to wait for, and free ports: the only place in the tests that may sleep."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")


def wait_until(predicate: Callable[[], Result], *, timeout: float = 10.0, step: float = 0.01) -> Result:
    """Return the predicate's first truthy result, asking every *step* seconds.

    Raises:
        AssertionError: It stayed falsy for *timeout* seconds; names the predicate's last result.
    """
    deadline = time.monotonic() + timeout
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() > deadline:
            message = f"still {result!r} after {timeout} s"
            raise AssertionError(message)
        time.sleep(step)


def free_port() -> int:
    """Return a loopback TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts_connections(port: int) -> bool:
    """Return whether somebody listens on a loopback TCP port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_running(pid: int) -> bool:
    """Return whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def pause(seconds: float) -> None:
    """Let time pass where the moment itself is the point: a kill at a random one, an outage of a given length."""
    time.sleep(seconds)
