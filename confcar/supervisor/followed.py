"""The primary as a process that somebody else starts: found, watched, and missed when it has ended.

A binary upgrade and a restart put another process in its place, so it has ended only when none appears for a moment.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from confcar.config.primary import PrimaryOptions
from confcar.errors import PrimaryNotFoundError, ReloadError
from confcar.log import fields
from confcar.reloaders.finder import ProcessFinder
from confcar.reloaders.pid_file import read_pid_file
from confcar.reloaders.process import SignalReloader
from confcar.reloaders.procfs import ProcessFacts, read_process
from confcar.status import Status
from confcar.supervisor.report import PrimaryReport
from confcar.supervisor.running import signal_name

# Longer than a binary upgrade or a quick restart takes, short enough for a Job to complete at once.
SUCCESSOR_SECONDS = 2.0
_LOOK_SECONDS = 0.25
_BEAT_SECONDS = 60.0
_log = logging.getLogger(__name__)


class FollowedPrimary:
    """Follows one target, in a thread of its own from `start` to `stop`.

    Attributes:
        finder: Finds the process; bundles that tell the primary use it too.
        exit_code: Always 0: how somebody else's process ended is not confcar's to know.
    """

    def __init__(self, options: PrimaryOptions, *, status: Status, own_pid: int) -> None:
        target = options.pid_file or options.process
        assert target is not None, "that is what tells it from a command"
        self.finder = ProcessFinder(target, own_pid)
        self.exit_code = 0
        self._on_exit = options.on_exit
        self._status = status
        self._report = PrimaryReport(options.mode, status)
        self._ended: Callable[[int], None] = lambda _: None
        self._began_at = time.time()
        self._is_stopped = threading.Event()
        # Readable once stopped: what a wait for the process's end can be ended by.
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="confcar-primary", daemon=True)

    def start(self, ended: Callable[[int], None]) -> None:
        """Begin; *ended* hears, with 0, that the primary has ended, where confcar is to end with it."""
        self._ended = ended
        self._thread.start()

    def replace(self, options: PrimaryOptions) -> None:
        """Take over another `on_exit`. Any thread."""
        self._on_exit = options.on_exit

    def send(self, number: int) -> None:
        """Pass a signal on; a line in the log where that cannot be done. Any thread."""
        name = signal_name(number)
        try:
            process = SignalReloader(self.finder, number).send()
        except ReloadError as error:
            _log.warning("signal not passed on", extra=fields(signal=name, error=str(error)))
        else:
            _log.info("signal passed on", extra=fields(signal=name, pid=process.pid))

    def stop(self) -> None:
        """Follow it no more; it runs on. Blocks for a moment."""
        self._is_stopped.set()
        os.write(self._wake_write, b"\0")
        if self._thread.is_alive():
            self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def kill(self) -> None:
        """Nothing: who started it ends it."""

    def _run(self) -> None:
        try:
            while not self._is_stopped.is_set():
                self._status.beat("primary", _BEAT_SECONDS)
                process = self._awaited()
                if process is not None:
                    self._follow(process)
        except Exception:  # noqa: BLE001 - without it confcar would never end
            _log.exception("unexpected error while following the primary")
            self._ended(1)
        self._status.beat("primary", None)

    def _awaited(self) -> ProcessFacts | None:
        """Return the process, looked for once; None where it is not there: then some time has gone by."""
        try:
            return self.finder.find()
        except ReloadError as error:
            self._report.waits(str(error))
            if self._was_missed():
                self._has_ended()
            self._is_stopped.wait(_LOOK_SECONDS)
            return None

    def _was_missed(self) -> bool:
        """Return whether it came and went between two looks: its PID file is new, and it is gone for good."""
        target = self.finder.target
        if not isinstance(target, Path):
            return False
        with suppress(PrimaryNotFoundError):
            named = read_pid_file(target)
            process = read_process(named.pid)
            is_gone = process is None or process.has_ended
            return is_gone and self._began_at < named.written_at < time.time() - SUCCESSOR_SECONDS
        return False

    def _follow(self, process: ProcessFacts) -> None:
        """Return once it has ended and has no successor, or a stop is asked for."""
        self._report.found(process.pid, process.label, self.finder.clock.started_at(process))
        self._wait_for_end(process)
        until = time.monotonic() + SUCCESSOR_SECONDS
        while not self._is_stopped.is_set() and time.monotonic() < until:
            with suppress(ReloadError):
                self.finder.find()
                return  # the loop finds it again and follows it
            self._is_stopped.wait(_LOOK_SECONDS / 2)
        if not self._is_stopped.is_set():
            self._has_ended()

    def _has_ended(self) -> None:
        shown = self._status.primary
        if shown is not None and shown.state != "ended":
            _log.info("primary ended", extra=fields(pid=shown.pid))
            self._status.update_primary(state="ended", pid=None)
            if self._on_exit == "exit":
                self._ended(0)

    def _wait_for_end(self, process: ProcessFacts) -> None:
        """Block until it has ended or a stop is asked for."""
        try:
            handle = os.pidfd_open(process.pid)
        except (OSError, AttributeError):  # it has ended, or there is none in this kernel or Python
            handle = None
        try:
            while not self._is_stopped.is_set() and self._is_alive(process):
                self._status.beat("primary", _BEAT_SECONDS)
                if handle is None:
                    self._is_stopped.wait(_LOOK_SECONDS)
                    continue
                poll = select.poll()
                poll.register(handle, select.POLLIN)
                poll.register(self._wake_read, select.POLLIN)
                poll.poll(_BEAT_SECONDS / 2 * 1000)
        finally:
            if handle is not None:
                os.close(handle)

    @staticmethod
    def _is_alive(process: ProcessFacts) -> bool:
        now = read_process(process.pid)
        return now is not None and not now.has_ended and now.is_same_as(process)
