"""Finds the one process that a config means by `pid`, `pid_file` or `process`, and never confcar or what is above it.

A PID is a number that the kernel gives out again. So `locate` is only good for opening a handle on the process; `find`
then looks at it, and because an open handle that still leads to a living process proves that its PID was not given out
again, what it finds is what the handle leads to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from confcar.config.bundles import ProcessOptions
from confcar.errors import PrimaryNotFoundError
from confcar.reloaders.pid_file import read_pid_file
from confcar.reloaders.procfs import ProcessFacts, WallClock, ancestors_of, read_process

Target = int | Path | ProcessOptions
"""A PID, the path of a PID file, or what a process looks like."""

# A primary writes its PID file after it started. 2 s are for clocks that tick apart and for small steps of the wall
# clock. A larger step forward before confcar started makes an honest file look stale (the message says so); a step
# backwards, or forwards while confcar lives, hides as much of the difference as it is large.
START_AFTER_FILE_SECONDS = 2.0
# Start times have 10 ms resolution, and confcar notes the publish after the rename. A start within this of the publish
# may have read the files before it: a signal too many harms less than one too few.
STARTED_CLEARLY_AFTER_SECONDS = 0.05
_NAMED_AT_MOST = 5
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # a constant of the kernel's
_SHARING_HINT = (
    "; confcar sees only the processes of its own container: in Kubernetes set shareProcessNamespace: true on the pod, "
    "elsewhere let both containers share one PID namespace"
)


@dataclass(frozen=True, slots=True)
class ProcessFinder:
    """Finds one target's process.

    Attributes:
        target: Whom to find.
        own_pid: confcar's PID; it and the processes above it are never found.
        clock: Turns start times into wall-clock time.
        above: confcar's PID and those above it, looked up once: an orphan goes to one of its ancestors, so that the set
            only ever shrinks.
        own_start_seconds: When confcar started, by the boot clock; infinite where that cannot be seen.
    """

    target: Target
    own_pid: int = field(compare=False)
    clock: WallClock = field(default_factory=WallClock, compare=False)
    above: frozenset[int] = field(init=False, compare=False)
    own_start_seconds: float = field(init=False, compare=False)

    def __post_init__(self) -> None:
        own = read_process(self.own_pid)
        object.__setattr__(self, "above", frozenset({self.own_pid, *ancestors_of(self.own_pid)}))
        object.__setattr__(self, "own_start_seconds", math.inf if own is None else own.started_seconds)

    def locate(self) -> int:
        """Return the PID to open a handle on; `find` then says whether it is the one.

        Cheap for a PID and a PID file. What a process looks like is searched among all.

        Raises:
            PrimaryNotFoundError: None or several fit. Worth a retry: primaries start and restart.
            ReloadError: The user to look for is not known here.
        """
        if isinstance(self.target, int):
            return self.target
        if isinstance(self.target, Path):
            return read_pid_file(self.target).pid
        return self._fitting(self.target).pid

    def find(self, pid: int | None = None) -> ProcessFacts:
        """Return the process as it is now. Reads files below /proc only, so it does not block.

        Args:
            pid: What `locate` returned, with a handle opened on it since: nothing else is accepted then. While the
                handle leads to a living process its PID cannot have been given out again, so what is found here is
                what the handle leads to. None searches anew.

        Raises:
            PrimaryNotFoundError: None or several fit, it has ended, it is not the one that the PID file names, or it is
                confcar itself or above it. Worth a retry: primaries start and restart.
            ReloadError: The user to look for is not known here.
        """
        if isinstance(self.target, int):
            found = self._living(self.target, "pid")
        elif isinstance(self.target, Path):
            found = self._named_by_file(self.target)
        elif pid is None:
            found = self._fitting(self.target)
        else:
            found = self._still_fitting(pid, self.target)
        if pid is not None and found.pid != pid:
            raise PrimaryNotFoundError(f"process {pid} was replaced by {found.label} while it was looked up")
        return found

    def has_started_after(self, process: ProcessFacts, moment: float) -> bool:
        """Return whether a process started clearly after *moment*, seconds since the epoch."""
        return self.clock.started_at(process) - moment > STARTED_CLEARLY_AFTER_SECONDS

    def _still_fitting(self, pid: int, options: ProcessOptions) -> ProcessFacts:
        from confcar.reloaders.matching import fits

        process = read_process(pid)
        if process is None or process.has_ended or not fits(process, options):
            raise PrimaryNotFoundError(f"process {pid} ended or became another one while it was looked up")
        return process

    def _named_by_file(self, path: Path) -> ProcessFacts:
        named = read_pid_file(path)
        process = self._living(named.pid, f"the PID file {path}")
        late_seconds = self.clock.started_at(process) - named.written_at
        if late_seconds > START_AFTER_FILE_SECONDS:
            message = (
                f"the PID file {path} is stale: process {process.label} started {late_seconds:.0f} s after it was "
                "written, so it is another process that was given the PID (or the clock was set since: write it again)"
            )
            raise PrimaryNotFoundError(message)
        return process

    def _living(self, pid: int, origin: str) -> ProcessFacts:
        process = read_process(pid)
        # A dead ancestor's PID may have been given to a primary since; whoever started after confcar is not above it.
        if pid in self.above and (process is None or process.started_seconds <= self.own_start_seconds):
            what = "confcar itself" if pid == self.own_pid else "a process above confcar"
            hint = _sharing_hint(self.own_pid, self.above)
            raise PrimaryNotFoundError(f"{origin} names {pid}, which is {what} and is never signalled{hint}")
        if process is None:
            hint = _sharing_hint(self.own_pid, self.above)
            raise PrimaryNotFoundError(f"{origin} names {pid}, but no such process is running{hint}")
        if process.group != pid:
            raise PrimaryNotFoundError(f"{origin} names {pid}, which is a thread of process {process.group}")
        if process.has_ended:
            raise PrimaryNotFoundError(
                f"{origin} names {process.label}, which has ended and was not reaped by its parent"
            )
        return process

    def _fitting(self, options: ProcessOptions) -> ProcessFacts:
        from confcar.reloaders.matching import describe, find_topmost, visible_pids

        others = [pid for pid in visible_pids() if pid not in self.above]
        found = find_topmost(options, others)
        if len(found) == 1:
            return found[0]
        if not found:
            hint = _sharing_hint(self.own_pid, self.above)
            message = f"no process with {describe(options)} is running; looked at {len(others)} processes{hint}"
            raise PrimaryNotFoundError(message)
        names = ", ".join(process.label for process in found[:_NAMED_AT_MOST])
        more = f" and {len(found) - _NAMED_AT_MOST} more" if len(found) > _NAMED_AT_MOST else ""
        message = f"{len(found)} processes have {describe(options)}: {names}{more}; narrow it by name, cmdline or user"
        raise PrimaryNotFoundError(message)


def _sharing_hint(own_pid: int, above: frozenset[int]) -> str:
    # In a namespace that containers share, PID 1 is the pod's own process and not above confcar.
    return _SHARING_HINT if own_pid == 1 or (1 in above and not _is_initial_namespace()) else ""


def _is_initial_namespace() -> bool:
    try:
        return str(Path("/proc/self/ns/pid").readlink()) == _INITIAL_PID_NAMESPACE
    except OSError:
        return True  # not known: give no advice that may be wrong
