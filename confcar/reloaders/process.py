"""Tells the primary by a signal, and makes sure that it is the primary that gets it.

Locate, open a handle (pidfd), look at what it is, send through the handle: a recycled PID is never hit, whatever
happens in between.
"""

from __future__ import annotations

import errno
import logging
import os
import pwd
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from confcar.config.bundles import ReloadStep
from confcar.errors import PrimaryNotFoundError, ReloadError
from confcar.log import fields
from confcar.model import Change
from confcar.reloaders.base import FindsProcess, Surroundings
from confcar.reloaders.finder import ProcessFinder
from confcar.reloaders.procfs import ProcessFacts

_log = logging.getLogger(__name__)

# Signals that programs handle to reload and that end those which have not come to that yet.
_RELOAD_SIGNALS = frozenset({signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2})
# A primary installs its handlers within this after it started; after that a missing one is the config's choice.
STARTING_SECONDS = 5.0
# The kernel has no pidfd, or an old seccomp profile refuses the unknown call: neither says anything about the process.
_NO_PIDFD = frozenset({errno.ENOSYS, errno.EPERM})

# No such process, or a number that is none or a thread's: looking at it has the words for each.
_NO_PROCESS = frozenset({errno.ESRCH, errno.EINVAL, errno.ENOENT})


def _open_pidfd(pid: int) -> int:
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):  # a Python built on old headers
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    return os.pidfd_open(pid)


def _has_ended(handle: int) -> bool:
    """Whether the process behind a pidfd is gone, so that what was read of its PID may be another's."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(0))


@dataclass(slots=True)
class SignalReloader:
    """Sends one signal to the one process that `pid`, `pid_file` or `process` means.

    A process that started clearly after the publish has read the new files; it counts as told and gets no signal. That
    holds for what starts, not for a program that reads its files first and forks to the background only then: its start
    is the fork's. Such a one is told too little only where the publish falls between the two.

    Attributes:
        finder: Finds the process, anew at each reload.
        signal_number: The signal.
        open_pidfd: Opens a handle on a PID; raises OSError. Replaceable for kernels without it.
    """

    finder: FindsProcess
    signal_number: int
    open_pidfd: Callable[[int], int] = field(default=_open_pidfd, compare=False, repr=False)
    _said_no_pidfd: bool = field(default=False, init=False, compare=False, repr=False)

    @classmethod
    def from_step(cls, step: ReloadStep, surroundings: Surroundings) -> Self:
        """Return the reloader for a step that has a signal and a target."""
        assert step.signal is not None, "the registry asks for signals only"
        target = step.pid or step.pid_file or step.process
        finder = surroundings.primary if target is None else ProcessFinder(target, surroundings.own_pid)
        assert finder is not None, "the config is checked for a target or a primary"
        return cls(finder, step.signal)

    @property
    def name(self) -> str:
        """Always "signal"."""
        return "signal"

    def send(self) -> ProcessFacts:
        """Send the signal whatever the process has read, and return who got it. Does not block.

        Raises:
            PrimaryNotFoundError: There is no single process to signal; worth a retry.
            ReloadError: The kernel refuses; worth a retry.
        """
        with self._found() as (process, handle):
            self._send(process, handle)
            return process

    def reload(self, change: Change) -> None:
        """Send the signal, unless the process started clearly after the publish. Does not block.

        Raises:
            PrimaryNotFoundError: There is no single process to signal; worth a retry.
            ReloadError: The kernel refuses, or the process is too young to survive the signal; worth a retry.
        """
        with self._found() as (process, handle):
            about = fields(
                bundle=change.bundle,
                generation=change.generation,
                pid=process.pid,
                signal=_signal_name(self.signal_number),
            )
            if self._counts_as_told(process, change):
                _log.info("primary started after the publish, no signal needed", extra=about)
                return
            self._refuse_while_starting(process)
            self._send(process, handle)
            _log.debug("signal sent", extra=about)

    def _counts_as_told(self, process: ProcessFacts, change: Change) -> bool:
        return change.published_at is not None and self.finder.has_started_after(process, change.published_at)

    def _refuse_while_starting(self, process: ProcessFacts) -> None:
        age_seconds = process.age_seconds
        if (
            self.signal_number in _RELOAD_SIGNALS
            and age_seconds < STARTING_SECONDS
            and process.has_default_action(self.signal_number)
        ):
            name = _signal_name(self.signal_number)
            told = f"process {process.label} started {age_seconds:.1f} s ago and does not handle {name} yet"
            raise ReloadError(f"{told}: the signal would end it")

    @contextmanager
    def _found(self) -> Iterator[tuple[ProcessFacts, int | None]]:
        """Yield the process and a handle on it; None for the handle where the kernel has none."""
        pid = self.finder.locate()
        with self._handle(pid) as handle:
            process = self.finder.find(pid)
            if handle is not None and _has_ended(handle):
                raise PrimaryNotFoundError(f"process {pid} ended or became another one while it was looked up")
            yield process, handle

    @contextmanager
    def _handle(self, pid: int) -> Iterator[int | None]:
        """Yield a handle on a PID; None where there is none to be had: `find` then says why, or the kernel has none."""
        try:
            handle = self.open_pidfd(pid)
        except (OSError, OverflowError) as error:
            number = error.errno if isinstance(error, OSError) else errno.ESRCH
            if number in _NO_PROCESS:
                self.finder.find(pid)
                raise PrimaryNotFoundError(f"process {pid} ended while it was looked up") from error
            if number not in _NO_PIDFD:
                raise ReloadError(f"process {pid} cannot be held on to: {error}") from error
            if not self._said_no_pidfd:
                self._said_no_pidfd = True
                _log.debug("no pidfd in this kernel, signals go by PID right after the check")
            yield None
            return
        try:
            yield handle
        finally:
            os.close(handle)

    def _send(self, process: ProcessFacts, handle: int | None) -> None:
        try:
            if handle is None:
                os.kill(process.pid, self.signal_number)
            else:
                signal.pidfd_send_signal(handle, self.signal_number)
        except ProcessLookupError as error:
            raise PrimaryNotFoundError(f"process {process.label} ended before the signal was sent") from error
        except PermissionError as error:
            raise ReloadError(_explain_refusal(process)) from error
        except OSError as error:
            raise ReloadError(f"cannot signal process {process.label}: {error.strerror}") from error


def _explain_refusal(process: ProcessFacts) -> str:
    own = os.geteuid()
    if process.user == own:
        return f"may not signal process {process.label}: a security module or a user namespace stands between"
    return (
        f"may not signal process {process.label}: it runs as {_user_label(process.user)}, "
        f"confcar as {_user_label(own)}; run both as the same user, or give confcar the capability CAP_KILL"
    )


def _user_label(user: int) -> str:
    try:
        return f"uid {user} ({pwd.getpwuid(user).pw_name})"
    except (KeyError, OverflowError):
        return f"uid {user}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals between the first and the last have no name
        return f"signal {number}"
