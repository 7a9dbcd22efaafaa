"""Reads PID files as they are found in the wild; knows nothing of processes.

Takes the PID from the first line, because PostgreSQL's `postmaster.pid` goes on with other things. The content is never
quoted: the path in the config may name the wrong file, and that one may hold a secret.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from confcar.errors import PrimaryNotFoundError

_HEAD_BYTES = 4096
_PID = re.compile(rb"0*([1-9][0-9]{0,9})")


@dataclass(frozen=True, slots=True)
class PidFile:
    """What a PID file said.

    Attributes:
        pid: The PID on its first line, above 0; a process of that PID need not exist.
        written_at: When the file was last written, seconds since the epoch by the wall clock of then.
    """

    pid: int
    written_at: float


def read_pid_file(path: Path) -> PidFile:
    """Return the PID that the file holds, and when it was written.

    Never blocks, also where the path names a FIFO.

    Raises:
        PrimaryNotFoundError: No such file, not readable, empty, or its first line is no PID; worth a retry, because the
            primary writes the file when it starts.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            head = os.read(descriptor, _HEAD_BYTES)
            written_at = os.fstat(descriptor).st_mtime
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        message = f"the PID file {path} does not exist: the primary has not written it yet, or writes it elsewhere"
        raise PrimaryNotFoundError(message) from error
    except OSError as error:
        raise PrimaryNotFoundError(f"cannot read the PID file {path}: {error.strerror}") from error
    if not head.strip():
        raise PrimaryNotFoundError(f"the PID file {path} is empty: the primary has not written its PID yet")
    found = _PID.fullmatch(head.partition(b"\n")[0].strip())
    if found is None:
        raise PrimaryNotFoundError(f"the PID file {path} holds no PID: its first line is not a whole number above 0")
    return PidFile(int(found.group(1)), written_at)
