"""confcar as a process of its own, as a person runs it: started, asked, signalled, killed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.waiting import free_port, wait_until

ROOT = Path(__file__).parents[2]
_ENDS_WITHIN_SECONDS = 20.0


def run_confcar(
    *arguments: str | Path, environ: Mapping[str, str] | None = None, timeout: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end and return its exit code and what it printed."""
    return subprocess.run(
        command(*arguments), env=environment(environ), text=True, capture_output=True, timeout=timeout, check=False
    )


def command(*arguments: str | Path) -> Sequence[str]:
    """Return the command line of confcar with *arguments*."""
    return [sys.executable, "-m", "confcar", *map(str, arguments)]


def environment(more: Mapping[str, str] | None) -> dict[str, str]:
    """Return the test's environment with the checkout importable from any folder."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **(more or {})}


class Sidecar:
    """`confcar run` on a config; ends with the block.

    Attributes:
        process: None until started.
    """

    def __init__(
        self, config: Path, *, environ: Mapping[str, str] | None = None, prefix: Sequence[str | Path] = ()
    ) -> None:
        """Prepare one for *config*, run by the command *prefix*; its admin listener is on a free port of its own."""
        self._prefix = list(map(str, prefix))
        self.config = config
        self.port = free_port()
        self.log_file = config.parent / "confcar.log"
        self._environ = {"CONFCAR_ADMIN__LISTEN": f"127.0.0.1:{self.port}", **(environ or {})}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, waits: bool = True) -> Self:
        """Start it, and with *waits* return once it is ready."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._prefix, *command("run", "-c", self.config)],
                env=environment(self._environ),
                stdout=log,
                stderr=log,
            )
        if waits:
            wait_until(self.is_ready, timeout=30.0)
        return self

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None, "it was not started"
        return self.process.pid

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of a GET of the admin listener; 0 and the reason where it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5.0) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def post(self, path: str) -> tuple[int, str]:
        """Have the sidecar do something, and return status and body of its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=70.0)
        try:
            connection.request("POST", path, headers={"Confcar": "1"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Return whether /readyz says so; fails where the process has ended."""
        assert self.process is not None, "it was not started"
        assert self.process.poll() is None, f"confcar ended with {self.process.returncode}:\n{self.log()}"
        return self.get("/readyz")[0] == 200

    def status(self) -> Any:  # noqa: ANN401 - a JSON document
        """Return the document of /status."""
        return json.loads(self.get("/status")[1])

    def bundle(self, name: str = "web") -> Any:  # noqa: ANN401 - a part of a JSON document
        """Return one bundle's part of /status."""
        return self.status()["bundles"][name]

    def log(self) -> str:
        """Return what it logged so far, over all its starts."""
        return self.log_file.read_text()

    def kill(self) -> None:
        """End it by SIGKILL and reap it."""
        assert self.process is not None, "it was not started"
        self.process.kill()
        self.process.wait()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for its end and return its exit code; that of an earlier end where it has ended."""
        assert self.process is not None, "it was not started"
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(_ENDS_WITHIN_SECONDS)

    def __enter__(self) -> Self:
        return self if self.process is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
                raise
