"""What the kernel says about one process: identity, start time, owner, and what it does with signals.

Read from /proc by hand where psutil does not serve: it has no signal dispositions, and its start time is built on a
boot time in whole seconds (measured 0.7 s off), which is too coarse to tell a primary that started after a publish.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field

_PARENT, _START_TIME = 1, 19  # positions in /proc/<pid>/stat behind the name, which may itself hold spaces and brackets
_ENDED = frozenset("ZXx")
_SIGNAL_MASKS = (b"SigBlk", b"SigIgn", b"SigCgt")
_STATUS_LINE = re.compile(rb"^(Tgid|Uid|SigBlk|SigIgn|SigCgt):\s*(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """One process as it was when it was read.

    Attributes:
        pid: Its PID as this namespace sees it.
        name: What the kernel calls it, cut to 15 characters; for people and for matching.
        parent: PID of its parent, 0 where that is outside this namespace.
        state: The kernel's letter, `Z` for a process that has ended and was not reaped.
        group: PID of the process that it belongs to; another than *pid* where the PID is that of a thread.
        user: Effective user id, -1 where the kernel does not say.
        started_seconds: When it started, by the boot clock; rounded down to the kernel's tick, 10 ms.
        handled: Bits of the signals that it catches, ignores or blocks, None where the kernel does not say.
    """

    pid: int
    name: str
    parent: int
    state: str
    group: int
    user: int
    started_seconds: float
    handled: int | None

    @property
    def has_ended(self) -> bool:
        """Whether it is a zombie: a signal to it would succeed and reach nobody."""
        return self.state in _ENDED

    @property
    def label(self) -> str:
        """`12 (nginx)`, for messages; never the command line, which may hold secrets."""
        return f"{self.pid} ({''.join(letter if letter.isprintable() else '?' for letter in self.name)})"

    @property
    def age_seconds(self) -> float:
        """How long it has been running by now, at least 0; no step of the wall clock changes it."""
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - self.started_seconds)

    def is_same_as(self, other: ProcessFacts) -> bool:
        """Whether both were read of one process, as far as a PID and a start time of 10 ms resolution can tell."""
        return (self.pid, self.started_seconds) == (other.pid, other.started_seconds)

    def has_default_action(self, signal_number: int) -> bool:
        """Whether the signal would do to it what the kernel does by default; False where that is not known.

        A blocked signal counts as handled: that is how programs take signals by `sigwait` or a signalfd.
        """
        return self.handled is not None and not self.handled >> (signal_number - 1) & 1


def _read(path: str) -> bytes:
    # By descriptor: a file object asks the kernel five things more, and one reload reads a dozen of these.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = b""
        while chunk := os.read(descriptor, 65536):
            found += chunk
        return found
    finally:
        os.close(descriptor)


def read_process(pid: int) -> ProcessFacts | None:
    """Return what the kernel says about a process, None where there is none of that PID or it is hidden."""
    try:
        stat = _read(f"/proc/{pid}/stat")
        status = _read(f"/proc/{pid}/status")
    except OSError:
        return None
    head, _, tail = stat.rpartition(b")")
    after_name = tail.decode().split()
    said = {found[1]: found[2] for found in _STATUS_LINE.finditer(status)}
    masks = [int(said[key], 16) for key in _SIGNAL_MASKS if key in said]
    return ProcessFacts(
        pid=pid,
        name=head.partition(b"(")[2].decode(errors="replace"),
        parent=int(after_name[_PARENT]),
        state=after_name[0],
        group=int(said.get(b"Tgid", pid)),
        user=int(said.get(b"Uid", b"-1 -1").split()[1]),
        started_seconds=int(after_name[_START_TIME]) / os.sysconf("SC_CLK_TCK"),
        # gVisor leaves these lines out.
        handled=masks[0] | masks[1] | masks[2] if len(masks) == len(_SIGNAL_MASKS) else None,
    )


def read_name(pid: int) -> str | None:
    """Return what the kernel calls a process, cut to 15 characters; None where there is none of that PID."""
    try:
        return _read(f"/proc/{pid}/comm").removesuffix(b"\n").decode(errors="replace")
    except OSError:
        return None


def read_command_line(pid: int) -> list[str]:
    """Return the words that a process was started with; empty for a kernel thread, a zombie and a dead one.

    A program that wrote its title over them gives one word, or words that never were arguments.
    """
    try:
        words = _read(f"/proc/{pid}/cmdline")
    except OSError:
        return []
    return words.rstrip(b"\0").decode(errors="replace").split("\0") if words.strip(b"\0") else []


def ancestors_of(pid: int) -> tuple[int, ...]:
    """Return the PIDs above a process, its parent first, as far up as this namespace shows; empty for a dead one."""
    found: list[int] = []
    parent = _parent_of(pid)
    while parent > 0 and parent not in found:
        found.append(parent)
        parent = _parent_of(parent)
    return tuple(found)


def _parent_of(pid: int) -> int:
    try:
        stat = _read(f"/proc/{pid}/stat")
    except OSError:
        return 0
    return int(stat.rpartition(b")")[2].split()[_PARENT])


def _wall_offset_seconds() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class WallClock:
    """Start times in the wall clock's time, to be compared with a file's time or a publish's.

    The kernel keeps start times by the boot clock, so a step of the wall clock moves them against everything that was
    noted before the step. The earlier of two readings is taken, one by the offset at construction and one by the
    present offset. A step forward while confcar lives therefore never makes a process look younger than it is, which
    would lose a signal. What remains is a step that fell before confcar started but after a file or state was written:
    it shifts the comparison by its own size.

    Attributes:
        first_offset_seconds: Wall clock minus boot clock when this was made.
    """

    first_offset_seconds: float = field(default_factory=_wall_offset_seconds)

    def started_at(self, process: ProcessFacts) -> float:
        """Return when a process started in seconds since the epoch, the earliest that the clock's steps allow."""
        return process.started_seconds + min(self.first_offset_seconds, _wall_offset_seconds())
