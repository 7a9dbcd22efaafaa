"""Runs the commands that a config names: checks, reloads. Never a shell, never without a time limit.

A command gets a process group of its own, and the whole group is killed when its time is up, so that nothing it
started stays behind. Credentials and settings of confcar's own never reach it. Works on a read-only root without /tmp.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from confcar import children
from confcar.model import Change

OUTPUT_LIMIT_BYTES = 64 * 1024
CHANGED_LIMIT_BYTES = 64 * 1024
# Any case, because the config takes its variables in any case.
_CREDENTIALS = re.compile(
    r"VAULT_TOKEN|CONSUL_HTTP_TOKEN|BAO_TOKEN|VAULT_WRAPPED.*|CONFCAR_.*", re.IGNORECASE | re.DOTALL
)
# A killed process that is another user's, or that hangs in the kernel, may not end; it is not waited for.
_KILL_WAIT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended.

    Attributes:
        status: Its exit status; negative where a signal ended it, -9 after a time-out; 127 where it could not be
            started.
        output: Standard output and error together, its last OUTPUT_LIMIT_BYTES, undecodable bytes replaced.
        timed_out: Whether it was killed because its time was up.
    """

    status: int
    output: str
    timed_out: bool = False

    @property
    def is_success(self) -> bool:
        """Whether the command ended by itself with status 0."""
        return self.status == 0 and not self.timed_out


def without_credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* without confcar's own credentials and settings, as other programs may see it."""
    return {name: value for name, value in environ.items() if not _CREDENTIALS.fullmatch(name)}


def fill_in(argv: Sequence[str], change: Change) -> list[str]:
    """Return the command with `{directory}` and `{generation}` replaced; all other braces stay as they are."""
    values = {"{directory}": str(change.directory), "{generation}": str(change.generation)}
    return [re.sub(r"\{directory\}|\{generation\}", lambda found: values[found.group()], word) for word in argv]


@contextmanager
def change_environment(change: Change, environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield the environment of a check or reload command; the file with all changed names lives as long as the block.

    CONFCAR_CHANGED is cut to whole lines within CHANGED_LIMIT_BYTES, because the kernel refuses longer ones.
    """
    names = "\n".join(change.changed)
    encoded = os.fsencode(names)
    if len(encoded) > CHANGED_LIMIT_BYTES:
        names = os.fsdecode(encoded[: CHANGED_LIMIT_BYTES + 1].rpartition(b"\n")[0])
    with _new_scratch("confcar-changed-", encoded + b"\n" if encoded else b"") as complete:
        yield {
            **without_credentials(environ),
            "CONFCAR_BUNDLE": change.bundle,
            "CONFCAR_GENERATION": str(change.generation),
            "CONFCAR_CHANGED": names,
            "CONFCAR_CHANGED_FILE": _name_for_children(complete),
        }


def run_command(
    argv: Sequence[str], *, timeout_seconds: float, environment: Mapping[str, str], cwd: Path | None = None
) -> CommandResult:
    """Run a command to its end and return how it ended; never raises for what the command does.

    Blocks for at most *timeout_seconds* and the moment it takes to kill the group. Output goes through a file, so a
    child that outlives the command and holds its output open does not hold confcar up. Where the kernel refuses the
    kill (a command that changed its user), the command is left behind after that moment.
    """
    with _new_scratch("confcar-output-") as output:
        try:
            process = children.start(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=cwd,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a valid command"
            # Where the folder is at fault, the error names it in place of the program.
            at_fault = error.filename if isinstance(error, OSError) and error.filename else argv[0]
            return CommandResult(127, f"{os.fsdecode(at_fault)}: {reason}")
        try:
            status = _wait_for(process, timeout_seconds)
            timed_out = status is None
            if status is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                status = _wait_for(process, _KILL_WAIT_SECONDS) or -signal.SIGKILL
        finally:
            children.release(process)
        return CommandResult(status, _tail(output.fileno()), timed_out)


def _wait_for(process: subprocess.Popen[bytes], timeout_seconds: float) -> int | None:
    """Return the status, None where the time was up. Popen's own wait would notice the end up to 50 ms late."""
    with suppress(OSError, AttributeError):  # no pidfd in this kernel or this Python: wait as Popen does
        handle = os.pidfd_open(process.pid)
        try:
            poller = select.poll()
            poller.register(handle, select.POLLIN)
            if not poller.poll(max(0.0, timeout_seconds) * 1000):
                return None
            return process.wait()
        finally:
            os.close(handle)
    try:
        return process.wait(timeout_seconds)
    except subprocess.TimeoutExpired:
        return None


def _new_scratch(prefix: str, content: bytes = b"") -> IO[bytes]:
    """Return a file that is gone when it is closed; in memory where no folder for temporary files can be written to."""
    try:
        return _filled(tempfile.NamedTemporaryFile(prefix=prefix), content)
    except OSError:
        return _filled(os.fdopen(os.memfd_create(prefix), "w+b"), content)


def _filled(file: IO[bytes], content: bytes) -> IO[bytes]:
    try:
        file.write(content)
        file.flush()
    except OSError:
        with suppress(OSError):
            file.close()
        raise
    return file


def _name_for_children(file: IO[bytes]) -> str:
    return file.name if isinstance(file.name, str) else f"/proc/{os.getpid()}/fd/{file.fileno()}"


def _tail(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    start = max(0, size - OUTPUT_LIMIT_BYTES)
    return os.pread(descriptor, OUTPUT_LIMIT_BYTES, start).decode(errors="replace").strip()
