"""Start a primary of the tests, and read what it noted."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.primaries import http_primary, hup_primary
from tests.servers.process import Server


@dataclass(frozen=True)
class Read:
    """One time that the SIGHUP primary read its files.

    Attributes:
        event: `start`, or `reload` for each SIGHUP that it took.
        monotonic_ns: `time.monotonic_ns()` when it took the signal; comparable with that of other processes.
        clock_ns: `time.time_ns()` of the same moment.
        generation: Name of the directory it read from.
        files: Name to text, None for a file that was not there.
    """

    event: str
    monotonic_ns: int
    clock_ns: int
    generation: str
    files: dict[str, str | None]


@dataclass(frozen=True)
class Request:
    """One request that the HTTP primary took; header names in lower case."""

    monotonic_ns: int
    clock_ns: int
    method: str
    path: str
    headers: dict[str, str]
    body: str


class HupPrimary(Server):
    """A primary that reads its files again on SIGHUP.

    Attributes:
        pid_file: Written once its handler is there.
    """

    def __init__(self, folder: Path, directory: Path, *files: str) -> None:
        """Prepare one; *directory* is the bundle's, *files* are names in it."""
        super().__init__(folder, Path(sys.executable))
        self.pid_file = folder / "pid"
        self._directory = directory
        self._files = files
        self._log = folder / "reads.jsonl"
        self._starts_before = 0

    def choose_ports(self) -> None:
        """It has none."""

    def command(self) -> Sequence[str | Path]:
        """Return the command line."""
        self.pid_file.unlink(missing_ok=True)
        self._starts_before = self._starts()
        script = Path(hup_primary.__file__)
        return [self.program, "-S", "-E", script, self._directory, self._log, self.pid_file, *self._files]

    def is_ready(self) -> bool:
        """Return whether it has read its files for the first time since this start."""
        return self._starts() > self._starts_before

    def reads(self) -> list[Read]:
        """Return every time it read its files, over all its starts."""
        return [Read(**line) for line in _lines(self._log)]

    def reloads(self) -> list[Read]:
        """Return what it read on each SIGHUP."""
        return [read for read in self.reads() if read.event == "reload"]

    def _starts(self) -> int:
        return sum(read.event == "start" for read in self.reads())


class HttpPrimary(Server):
    """A primary that reloads on `POST /-/reload`, over TCP or a unix socket.

    Attributes:
        socket: The unix socket it listens on; None for TCP.
        reload_url: Where to post to; over a unix socket the host in it means nothing.
    """

    def __init__(self, folder: Path, value_file: Path, *, unix_socket: bool = False) -> None:
        """Prepare one that serves the content of *value_file*, as of its last reload, at `/value`."""
        super().__init__(folder, Path(sys.executable))
        self.choose_ports()
        self.socket = folder / "primary.sock" if unix_socket else None
        self.reload_url = f"http://127.0.0.1:{self.port}/-/reload"
        self.pid_file = folder / "pid"
        self._value_file = value_file

    def command(self) -> Sequence[str | Path]:
        """Return the command line."""
        self.pid_file.unlink(missing_ok=True)
        if self.socket is not None:
            self.socket.unlink(missing_ok=True)
        script = Path(http_primary.__file__)
        return [self.program, "-S", "-E", script, self.folder, self._value_file, self.socket or str(self.port)]

    def is_ready(self) -> bool:
        """Return whether it listens."""
        return self.pid_file.exists()

    def answer_with(self, *statuses: int, delay_seconds: float = 0.0, location: str = "") -> None:
        """Answer the next reloads so, one status each, the last one from then on.

        Args:
            statuses: At least one.
            delay_seconds: Before each answer.
            location: Sent as `Location`, for a redirect.
        """
        answers = {"statuses": statuses, "delay_seconds": delay_seconds, "location": location}
        temporary = self.folder / "answers.given"
        temporary.write_text(json.dumps(answers))
        temporary.replace(self.folder / "answers.json")

    def reloads(self) -> list[Request]:
        """Return every reload that was asked for, over all its starts, whatever was answered."""
        return [request for request in self.requests() if request.path == "/-/reload"]

    def requests(self) -> list[Request]:
        """Return every request."""
        return [Request(**line) for line in _lines(self.folder / "requests.jsonl")]


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the complete JSON lines of a file that is being written."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
