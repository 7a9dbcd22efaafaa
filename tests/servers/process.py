"""The life of one server process: start, readiness, stop, kill, pause, resume, and restart on the same ports.

A server class derives from `Server`, says its command and when it is ready, and gets the rest.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.waiting import wait_until

READY_SECONDS = 20.0
_STOP_SECONDS = 5.0
_PORTS = range(10_000, 32_000)  # below the kernel's ephemeral ones: a port stays ours while its server is down
_LOG_TAIL_CHARACTERS = 2000
# The servers of other test workers choose at the same time, and pytest-randomly seeds `random` alike in all of them.
_RANDOM = random.SystemRandom()


class ServerError(Exception):
    """A server did not become ready; the message holds the end of its output."""


def unused_ports(count: int) -> list[int]:
    """Return distinct loopback TCP ports that were free a moment ago and are not handed out to outgoing connections."""
    with ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            port = _RANDOM.choice(_PORTS)
            probe = held.enter_context(socket.socket())
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                ports.append(port)
        return ports


class Server(ABC):
    """One server program in a folder of its own.

    Its output goes to `output.log` in the folder, over all its starts. It dies with the thread that started it, so that
    a killed test run leaves nothing behind: start servers in the main thread. Also a context manager: starts, stops.

    Attributes:
        folder: Where its data, configuration and output are; created.
        port: The TCP port it serves on, fixed when it is constructed or given to the first `start`.
    """

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder = folder
        self.program = program
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def address(self) -> str:
        """The base URL, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_file(self) -> Path:
        """The file with everything it printed."""
        return self.folder / "output.log"

    @property
    def pid(self) -> int:
        """The process id; raises `ServerError` where it does not run."""
        if self._process is None:
            raise ServerError(f"{type(self).__name__} does not run")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process is there; also while paused."""
        return self._process is not None and self._process.poll() is None

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Return the command line, and write the configuration that it names."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Return whether it answers as it will from now on; may raise `OSError` for no."""

    def choose_ports(self) -> None:
        """Choose every port that is still 0."""
        self.port = self.port or unused_ports(1)[0]

    def environment(self) -> Mapping[str, str]:
        """Return its variables: none of the caller's but PATH, and HOME in its own folder."""
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), "TMPDIR": str(self.folder)}

    def start(self, port: int = 0) -> Self:
        """Start it and return when it is ready.

        Args:
            port: To serve on; 0 for the one it had before, or a free one at the first start.

        Raises:
            ServerError: It ended, or was not ready within 20 s.
        """
        self.port = port or self.port
        self.choose_ports()
        setpriv = shutil.which("setpriv")
        prefix = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*prefix, *self.command()],
                cwd=self.folder,
                env=dict(self.environment()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until(self._is_ready_or_ended, timeout=READY_SECONDS, step=0.02)
        except AssertionError as error:
            self.kill()
            raise ServerError(f"{self.program.name} is not ready after {READY_SECONDS} s:\n{self._tail()}") from error
        if not self.is_running:
            raise ServerError(f"{self.program.name} ended with {self._process.returncode}:\n{self._tail()}")
        return self

    def stop(self) -> None:
        """End it as a service manager would: SIGTERM, and SIGKILL after 5 s. Nothing where it does not run."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
            self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End it by SIGKILL; nothing is saved. Nothing where it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> Self:
        """Stop it and start it on the same ports; keeps its data where the server's variant does."""
        self.stop()
        return self.start()

    def pause(self) -> None:
        """Stop it by SIGSTOP: it keeps its connections, still accepts new ones, and answers nothing.

        Returns when its last thread has stopped.
        """
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a paused one go on."""
        os.kill(self.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _is_ready_or_ended(self) -> bool:
        if not self.is_running:
            return True
        with suppress(OSError):
            return self.is_ready()
        return False

    def _tail(self) -> str:
        return self.log_file.read_text(errors="replace")[-_LOG_TAIL_CHARACTERS:]
