"""Starts confcar's own processes, and reaps those that are not its own. Nothing else of confcar forks or waits.

As PID 1 of a container, and as the reaper of what a supervised primary leaves behind, confcar becomes the parent of
processes that it never started. They have to be waited for, else they stay as zombies until the process table is full.
`wait` for any child would also take the exit status of a check or of the primary away from who waits for it. So every
process of confcar's own is noted here before anybody can reap it, and only others are reaped. The table of children
belongs to the whole process, and so does the list.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_LOOK_SECONDS = 0.02
# What is killed leaves its own children behind, and those theirs.
_KILL_SECONDS = 1.0
_PARENT = 1  # position in /proc/<pid>/stat behind the name
# Also while a process is started: it is to be in the list before its end can be seen.
_lock = threading.Lock()
_own: set[int] = set()
# Those that were started in a session of their own. Read by signal handlers too, so never under the lock.
_groups: dict[int, subprocess.Popen[bytes]] = {}
# Children from before confcar was what this process runs: reaped, but not ended with what the primary has left.
_before: set[int] = set()


def start(argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401 - Popen's
    """Start a process of confcar's own, never by a shell; who starts it waits for it, then calls `release`.

    Raises:
        OSError: It cannot be started.
        ValueError: The command or a variable holds a zero byte.
    """
    with _lock:
        process = subprocess.Popen(argv, **options)
        _own.add(process.pid)
        if options.get("start_new_session"):
            _groups[process.pid] = process
    return process


def release(process: subprocess.Popen[bytes]) -> None:
    """Note that nobody waits for a process any more: it was reaped, or it is left to `reap_others`."""
    with _lock:
        _own.discard(process.pid)
        _groups.pop(process.pid, None)
        if process.returncode is None:
            # Else Popen itself would go on asking for this PID, which may be another child's by then.
            process.returncode = -signal.SIGKILL


def kill_groups() -> None:
    """Kill what was started in a session of its own and is still waited for, with all that it has started.

    For the end of the process: without it a command that is not waited for any more would outlive confcar. Does not
    block; also for signal handlers.
    """
    for process in list(_groups.values()):
        if process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)


def reap_others() -> int:
    """Reap every child that has ended and that nobody waits for; return how many there were. Does not block."""
    reaped = 0
    with _lock:
        while (ended := _next_ended()) is not None:
            if ended in _own:
                # It stands before the others until it is waited for, so each of them is looked for by its PID.
                return reaped + sum(_reap(pid) for pid in _children() if pid not in _own)
            reaped += _reap(ended)
    return reaped


def adopt_orphans(*, is_on: bool = True) -> bool:
    """Let what the processes below confcar leave behind become its children; return whether the kernel agreed."""
    with _lock:
        _before.clear()
        _before.update(_children())
    import ctypes

    try:
        return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(is_on), 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def end_others(number: int, within_seconds: float) -> None:
    """Send a signal to all adopted children, and kill those that are left when the time is up. Blocks until then."""
    until = time.monotonic() + within_seconds
    told: set[int] = set()
    while others := _others():
        is_late = time.monotonic() >= until
        for pid in others if is_late else others - told:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL if is_late else number)
        told |= others
        if time.monotonic() >= until + _KILL_SECONDS:
            break
        time.sleep(_LOOK_SECONDS)
    reap_others()


def _others() -> set[int]:
    reap_others()
    with _lock:
        return {pid for pid in _children() if pid not in _own | _before}


def _next_ended() -> int | None:
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if ended is None else ended.si_pid


def _reap(pid: int) -> int:
    with suppress(ChildProcessError):
        return int(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is not None)
    return 0


def _children() -> list[int]:
    own = os.getpid()
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            with suppress(OSError):
                stat = Path("/proc", entry.name, "stat").read_bytes()
                if int(stat.rpartition(b")")[2].split()[_PARENT]) == own:
                    found.append(int(entry.name))
    return found
