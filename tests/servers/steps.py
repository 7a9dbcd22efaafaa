"""What long work for the tests shares: a cache folder, steps that say how far they are, one process at a time."""

from __future__ import annotations

import fcntl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_PROGRESS_SECONDS = 20.0
_STEP_DEADLINE_SECONDS = 1500.0
_LOG_TAIL_CHARACTERS = 1500


class BuildError(Exception):
    """Something could not be built; the message says which step failed and how."""


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder that keeps built programs, each below `NAME-VERSION/NAME`; it may not exist yet."""
    base = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or Path.home(), ".cache")
    return Path(base, "confcar", "servers")


def run_step(what: str, command: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> None:
    """Run one step, with a line at its start, every 20 seconds, and at its end.

    Raises:
        BuildError: It failed or took longer than any machine should need; holds the end of its output.
    """
    say(f"{what} …")
    started = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(command, cwd=folder, env=dict(environment), stdout=output, stderr=output)
        try:
            code = _wait_saying_progress(process, what, started=started)
        except BaseException:  # also an interrupt must not leave a compiler behind
            process.kill()
            process.wait()
            raise
        if code != 0:
            output.seek(0)
            tail = output.read()[-_LOG_TAIL_CHARACTERS:].strip()
            raise BuildError(f"{what} failed with exit code {code}:\n{tail}")
    say(f"{what}: done in {time.monotonic() - started:.0f} s")


def _wait_saying_progress(process: subprocess.Popen[bytes], what: str, *, started: float) -> int:
    while True:
        try:
            return process.wait(timeout=_PROGRESS_SECONDS)
        except subprocess.TimeoutExpired:
            elapsed = time.monotonic() - started
            if elapsed > _STEP_DEADLINE_SECONDS:
                raise BuildError(f"{what} is not done after {elapsed:.0f} s") from None
            say(f"{what}: {elapsed:.0f} s so far")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file; says so where another process has it."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is building it: waiting for that")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say(line: str) -> None:
    print(f"  … {line}", flush=True)
