"""Small child processes that note the signals they get."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import wait_until

_SCRIPT = """
import os, signal, sys
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
def note(number, frame):
    os.write(log, (signal.Signals(number).name + "\\n").encode())
for name in sys.argv[2].split(","):
    if name:
        signal.signal(getattr(signal, "SIG" + name), note)
for _ in range(int(sys.argv[3])):
    if os.fork() == 0:
        break
os.write(1, b"ready\\n")
while True:
    signal.pause()
"""


class Primary:
    """A running child process.

    Attributes:
        pid: Its PID.
        log: Where it notes its signals.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self.pid = process.pid
        self.log = log

    def signals(self) -> list[str]:
        """Return the names of the signals it noted so far."""
        return self.log.read_text().split()

    def is_running(self) -> bool:
        """Return whether it has not ended; reaps it where it has."""
        return self._process.poll() is None

    def end_unreaped(self) -> None:
        """Kill it and leave the zombie."""
        os.kill(self.pid, signal.SIGKILL)
        wait_until(lambda: Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")


@contextmanager
def running_primary(
    folder: Path, *, handles: str = "HUP", workers: int = 0, prefix: Sequence[str] = (), marker: str = "primary"
) -> Iterator[Primary]:
    """Yield a process that is ready and notes the signals in *handles*; it and its workers are killed at the end.

    Args:
        folder: Where its log is written; all users must be able to write there where *prefix* changes the user.
        handles: Names of signals, separated by commas; empty for none.
        workers: How many children of the same command line it forks.
        prefix: A command that runs it, such as setpriv.
        marker: A word on its command line, to find it by.
    """
    log = folder / f"{marker}.signals"
    log.touch()
    log.chmod(0o666)
    argv = [*prefix, sys.executable, "-S", "-E", "-c", _SCRIPT, str(log), handles, str(workers), marker]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            for _ in range(workers + 1):
                assert process.stdout.readline() == b"ready\n"
            yield Primary(process, log)
        finally:
            if process.poll() is None:  # else its PID may be another group's by now
                os.killpg(process.pid, signal.SIGKILL)
