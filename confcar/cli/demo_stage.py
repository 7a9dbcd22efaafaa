"""What `confcar demo` plays on: a folder of its own, and real processes in it that all end with it.

Looks at them only from outside: files, HTTP answers, exit codes, the log.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from confcar.commands import without_credentials
from confcar.errors import ConfcarError

_PACKAGE = Path(__file__).parents[1]
_PRIMARY = Path(__file__).with_name("demo_primary.py")
_PR_SET_PDEATHSIG = 1
_ENDS_WITHIN_SECONDS = 10.0
_ANSWERS_WITHIN_SECONDS = 5.0
_LOG_LINES = 8

CONFIG = """\
sources:
  data: {{type: file, path: data.yaml}}
bundles:
  web:
    directory: published
    templates:
      - {{source: app.conf.j2, destination: app.conf}}
      - {{source: proxy.conf.j2, destination: proxy.conf}}
    check: {{command: [{python}, {primary}, check, "{{directory}}"]}}
    wait: {{quiet: 20ms, max: 1s}}
    reload: {{signal: HUP, pid_file: primary.pid}}
admin: {{listen: "127.0.0.1:0"}}
log: {{format: console}}
"""
TEMPLATES = {
    "app.conf.j2": 'name = {{ key("app/name") }}\nport = {{ key("app/port") }}\n',
    "proxy.conf.j2": 'upstream = 127.0.0.1:{{ key("app/port") }}\n',
}


class DemoFailedError(ConfcarError):
    """Something that the demo counts on was not seen; says what, and what was seen instead."""


class Stage:
    """The folder and the processes. Ends them and removes the folder with the block, whatever ended it.

    Attributes:
        folder: Holds everything.
        sidecar: `confcar run`, None until started.
        primary: The primary, None until started.
    """

    def __init__(self, *, keeps_folder: bool) -> None:
        """Make the folder with config, templates and no data yet; *keeps_folder* leaves it behind.

        Raises:
            DemoFailedError: The folder cannot be made.
        """
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="confcar-demo-"))
        except OSError as error:
            raise DemoFailedError(f"cannot make a folder for the demo: {error.strerror}; set TMPDIR") from error
        self.sidecar: subprocess.Popen[bytes] | None = None
        self.primary: subprocess.Popen[bytes] | None = None
        self._keeps_folder = keeps_folder
        self._address = ""
        config = CONFIG.format(python=json.dumps(sys.executable), primary=json.dumps(str(_PRIMARY)))
        for name, text in {**TEMPLATES, "confcar.yaml": config}.items():
            (self.folder / name).write_text(text)

    def write_data(self, text: str) -> int:
        """Replace data.yaml by one rename; return the moment before it, by the system's monotonic clock."""
        new = self.folder / "data.new"
        new.write_text(text)
        changed_at_ns = time.monotonic_ns()
        new.replace(self.folder / "data.yaml")
        return changed_at_ns

    def once(self) -> int:
        """Run `confcar once` to its end and return its exit code; what it logs goes to the log."""
        with self._log() as log:
            process = self._start([sys.executable, "-m", "confcar", "once", "--timeout", "10s"], log)
            try:
                return process.wait(_ENDS_WITHIN_SECONDS * 2)
            finally:
                _end(process)

    def start_primary(self) -> None:
        """Start the primary; it is up once `answer` answers."""
        files = [self.folder / name for name in ("published", "primary.pid", "primary.address")]
        with self._log() as log:
            self.primary = self._start([sys.executable, str(_PRIMARY), "serve", *map(str, files)], log)

    def start_sidecar(self) -> None:
        """Start `confcar run`; it is up once `status` answers."""
        with self._log() as log:
            self.sidecar = self._start([sys.executable, "-m", "confcar", "run"], log)

    @property
    def url(self) -> str:
        """Where the primary answers; empty until it has said so."""
        with suppress(FileNotFoundError):
            if address := (self.folder / "primary.address").read_text().strip():
                return f"http://{address}/"
        return ""

    def answer(self) -> dict[str, Any]:
        """Return what the primary says that it has read; empty while it does not answer."""
        text = _get(self.url)
        return json.loads(text) if text else {}

    def read_at_ns(self) -> int:
        """Return when the primary last began to read its files, by the system's monotonic clock."""
        return int(_get(f"{self.url}read-at") or 0)

    def status(self) -> dict[str, Any]:
        """Return the bundle's part of the sidecar's /status; empty while it does not answer."""
        if not self._address:
            found = re.search(r"admin listens address=(\S+)", self.log())
            self._address = found.group(1) if found else ""
        text = _get(f"http://{self._address}/status") if self._address else ""
        return json.loads(text)["bundles"]["web"] if text else {}

    def layout(self) -> list[str]:
        """Return what lies in the bundle's directory, links with their targets."""
        directory = self.folder / "published"
        lines = []
        for entry in sorted(directory.iterdir(), key=lambda path: (not path.is_symlink(), path.name)):
            if entry.is_symlink():
                lines.append(f"{entry.name} -> {entry.readlink()}")
            elif entry.is_dir():
                lines.append(f"{entry.name}/  {' '.join(sorted(path.name for path in entry.iterdir()))}")
        return lines

    def log(self) -> str:
        """Return what the processes wrote so far."""
        path = self.folder / "confcar.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def last_log_lines(self) -> str:
        """Return the end of the log, indented."""
        return "\n".join(f"    {line}" for line in self.log().splitlines()[-_LOG_LINES:])

    def expect_alive(self) -> None:
        """Look whether what was started still runs.

        Raises:
            DemoFailedError: One of the processes has ended.
        """
        for name, process in (("confcar run", self.sidecar), ("the primary", self.primary)):
            if process is not None and process.poll() is not None:
                raise DemoFailedError(f"{name}, process {process.pid}, ended with {process.returncode} too early")

    def stop(self, process: subprocess.Popen[bytes]) -> int:
        """Send SIGTERM and return the exit code.

        Raises:
            DemoFailedError: It did not end.
        """
        process.terminate()
        try:
            return process.wait(_ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            raise DemoFailedError(f"process {process.pid} did not end within {_ENDS_WITHIN_SECONDS:g} s") from None

    def close(self) -> None:
        """End what still runs, and remove the folder. May be called twice."""
        for process in (self.sidecar, self.primary):
            if process is not None:
                _end(process)
        if not self._keeps_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A second Ctrl-C in the middle of this would leave processes behind.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self.close()
        finally:
            signal.signal(signal.SIGINT, before)

    def _log(self) -> IO[bytes]:
        return (self.folder / "confcar.log").open("ab")

    def _start(self, command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        paths = [str(_PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**without_credentials(os.environ), "PYTHONPATH": os.pathsep.join(paths)}
        try:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=partial(_end_with, os.getpid()),  # noqa: PLW1509 - no other thread runs here
            )
        except OSError as error:
            raise DemoFailedError(f"cannot start {command[0]}: {error.strerror}") from error


def _end_with(demo: int) -> None:
    """Let the kernel end this process when the demo, its parent, is killed without a chance to clean up."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != demo:  # killed before the kernel knew
        os._exit(1)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(2.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _get(url: str) -> str:
    if not url:
        return ""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_ANSWERS_WITHIN_SECONDS) as answer:
            text: str = answer.read().decode()
            return text
    except OSError:
        return ""
