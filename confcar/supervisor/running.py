"""One process of the primary, from its start to its end: signals, stop, exit status.

Its end is noticed without reaping it, so that its PID and its process group stay its own until `finish`: a signal or a
kill never reaches a stranger. Any thread may signal, one thread starts and finishes.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Self

from confcar import children
from confcar.errors import ConfcarError
from confcar.log import fields
from confcar.primary_status import ExitStatus

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # as shells have it
_KILL_WAIT_SECONDS = 5.0
_log = logging.getLogger(__name__)


class StartError(ConfcarError):
    """The command could not be started.

    Attributes:
        code: What a shell would end with: 127 where there is no such program, 126 where it cannot be run.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class RunningPrimary:
    """A started process.

    Attributes:
        pid: Its PID, and that of its process group.
        started_at: Seconds since the epoch just before it was started.
    """

    def __init__(self, process: subprocess.Popen[bytes], started_at: float, on_end: Callable[[], None]) -> None:
        self.pid = process.pid
        self.started_at = started_at
        self._process = process
        self._on_end = on_end
        self._ended = threading.Event()
        # While somebody signals it is not reaped; a signal handler may come upon a signal that is being sent.
        self._reaping = threading.RLock()
        self._is_reaped = False
        threading.Thread(target=self._wait, name="confcar-primary-wait", daemon=True).start()

    @classmethod
    def start(cls, argv: Sequence[str], environment: Mapping[str, str], *, on_end: Callable[[], None]) -> Self:
        """Start the command in a process group of its own; *on_end* is called in another thread once it has ended.

        Raises:
            StartError: It cannot be started.
        """
        started_at = time.time()
        try:
            process = children.start(argv, env=dict(environment), process_group=0)
        except OSError as error:
            at_fault = os.fsdecode(error.filename) if error.filename else argv[0]
            code = _NOT_FOUND if error.errno == errno.ENOENT else _NOT_EXECUTABLE
            raise StartError(f"cannot start {at_fault}: {error.strerror}", code) from error
        except ValueError as error:
            what = "the command or a variable of environment holds a zero byte"
            raise StartError(f"cannot start {argv[0]}: {what}", _NOT_EXECUTABLE) from error
        return cls(process, started_at, on_end)

    @property
    def has_ended(self) -> bool:
        """Whether it has, reaped or not."""
        return self._ended.is_set()

    def send(self, number: int) -> None:
        """Send it a signal; nothing where it has ended."""
        with self._reaping:
            if self._is_reaped:
                return
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return
            except PermissionError:
                _log.error(
                    "may not signal the primary; it runs as another user: run both as one, or give confcar CAP_KILL",
                    extra=fields(pid=self.pid, signal=number),
                )

    def kill(self) -> None:
        """Kill it and all that is left in its process group. Does not block; also for signal handlers."""
        if self._reaping.acquire(timeout=0.1):
            try:
                if not self._is_reaped:
                    with suppress(ProcessLookupError, PermissionError):
                        os.killpg(self.pid, signal.SIGKILL)
            finally:
                self._reaping.release()

    def end(self, number: int, within_seconds: float) -> None:
        """Ask it to end by a signal and wait; kill it and its group when the time is up."""
        self.send(number)
        if self._ended.wait(within_seconds):
            return
        _log.warning(
            "the primary did not end in time and is killed", extra=fields(pid=self.pid, seconds=within_seconds)
        )
        self.kill()
        self._ended.wait(_KILL_WAIT_SECONDS)

    def finish(self, *, kills_group: bool) -> ExitStatus:
        """Reap it and return how it ended; with *kills_group* nothing of its process group is left to be in the way."""
        if kills_group:
            self.kill()
        with self._reaping:
            if self._ended.is_set():
                self._process.wait()
            children.release(self._process)
            self._is_reaped = True
        status = self._process.returncode
        if status >= 0:
            return ExitStatus(status, None, time.time())
        return ExitStatus(None, signal_name(-status), time.time())

    def _wait(self) -> None:
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        self._ended.set()
        self._on_end()


def signal_name(number: int) -> str:
    """Return `SIGTERM` for 15; real-time signals between the first and the last have no name but a number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def exit_code(ended: ExitStatus) -> int:
    """Return the exit code that hands this on: the process's own, or 128 and the signal's number."""
    if ended.code is not None:
        return ended.code
    assert ended.signal is not None, "a process ends by itself or by a signal"
    return 128 + (int(ended.signal) if ended.signal.isdecimal() else signal.Signals[ended.signal])
