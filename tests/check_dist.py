"""Check what `make dist` built, as a user would get it: `python -m tests.check_dist dist`.

The wheel must hold the package and its licence and nothing else, tell the truth about itself, and show the README. The
sdist must give the same wheel. The wheel must run in an environment that holds nothing but the pinned dependencies,
and where uv or pipx installed it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from email import message_from_bytes
from pathlib import Path

from readme_renderer import markdown

import confcar

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = "confcar/"
_KINDS = {".py", ".typed", ".j2", ".css", ".html", ".js"}  # what the package is made of
_STRAY = ("__pycache__", ".pyc", "/dist/", "/build/", "/.")
_NEEDED = ("confcar/py.typed", "licenses/LICENSE", "entry_points.txt")


class WrongDistError(Exception):
    """A wheel or sdist is not what it should be; says in which way."""


def main(folder: Path) -> None:
    """Check the one wheel and the one sdist in the folder.

    Raises:
        WrongDistError: One of them is not what it should be.
    """
    wheel = _the_only(folder, "confcar-*-py3-none-any.whl")
    sdist = _the_only(folder, "confcar-*.tar.gz")
    names = check_names(wheel)
    with tempfile.TemporaryDirectory(prefix="confcar-dist-") as work:
        scratch = Path(work)
        check_metadata(wheel)
        _check_sdist(sdist, names, scratch)
        for check in (_check_pip, _check_uv, _check_pipx):
            check(wheel.resolve(), scratch)
    print(
        f"{wheel.name} and {sdist.name}: {len(names)} files, the same in both, installed by pip, uv and pipx, and run"
    )


def check_names(wheel: Path) -> set[str]:
    """Return the names in the wheel.

    Raises:
        WrongDistError: One is missing, or is neither the package's nor its metadata's.
    """
    names = set(zipfile.ZipFile(wheel).namelist())
    missing = [needed for needed in _NEEDED if not any(name.endswith(needed) for name in names)]
    metadata = f"{wheel.name.removesuffix('-py3-none-any.whl')}.dist-info/"
    strange = sorted(
        name
        for name in names
        if not name.startswith(metadata) and not (name.startswith(_PACKAGE) and Path(name).suffix in _KINDS)
    )
    if missing or strange:
        raise WrongDistError(f"{wheel.name}: missing {missing}, not ours {strange}")
    return names


def check_metadata(wheel: Path) -> None:
    """Check what the wheel says of itself against the checkout, and that an index can show its README.

    Raises:
        WrongDistError: Something differs, or the README cannot be rendered.
    """
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        told = message_from_bytes(archive.read(name))
        licence = archive.read(f"{name.removesuffix('METADATA')}licenses/LICENSE")
    expected = {
        "Name": "confcar",
        "Version": confcar.__version__,
        "License-Expression": "Apache-2.0",
        "Requires-Python": ">=3.11",
        "Description-Content-Type": "text/markdown",
    }
    wrong = [f"{field}: {told[field]}, not {value}" for field, value in expected.items() if told[field] != value]
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    payload = told.get_payload(decode=True)
    if not isinstance(payload, bytes) or payload.decode().strip() != readme.strip():
        wrong.append("the description is not the README")
    if not markdown.render(readme):
        wrong.append("the README cannot be rendered")
    if licence != (_ROOT / "LICENSE").read_bytes():
        wrong.append("the licence is another")
    if wrong:
        raise WrongDistError(f"{wheel.name}: {'; '.join(wrong)}")


def _check_sdist(sdist: Path, names: set[str], scratch: Path) -> None:
    with tarfile.open(sdist) as archive:
        inside = [name.partition("/")[2] for name in archive.getnames()]
    stray = [name for name in inside if name != ".gitignore" and any(part in f"/{name}" for part in _STRAY)]
    if stray:
        raise WrongDistError(f"{sdist.name}: not ours {stray}")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(scratch)]
    _run(sys.executable, "-m", "pip", "wheel", *options, str(sdist))
    rebuilt = check_names(_the_only(scratch, "*.whl"))
    if rebuilt != names:
        raise WrongDistError(f"{sdist.name} gives another wheel; they differ in {sorted(rebuilt ^ names)}")


def _check_pip(wheel: Path, scratch: Path) -> None:
    """Install the wheel where nothing is but what it is pinned to."""
    environment = scratch / "pip"
    _run(sys.executable, "-m", "venv", str(environment))
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    _run(*pip, "--require-hashes", "-r", str(_ROOT / "requirements" / "runtime.lock"))
    _run(*pip, "--no-deps", str(wheel))
    _check_runs(environment / "bin" / "confcar", scratch)


def _check_uv(wheel: Path, scratch: Path) -> None:
    """Install the wheel as a person with uv does: with the newest dependencies that it allows."""
    environment = scratch / "uv"
    uv = [sys.executable, "-m", "uv"]
    _run(*uv, "venv", "--quiet", "--python", sys.executable, str(environment))
    _run(*uv, "pip", "install", "--quiet", "--python", str(environment / "bin" / "python"), str(wheel))
    _check_runs(environment / "bin" / "confcar", scratch)


def _check_pipx(wheel: Path, scratch: Path) -> None:
    """Install the wheel as a person with pipx does, into a home of its own."""
    home = {
        "PIPX_HOME": str(scratch / "pipx"),
        "PIPX_BIN_DIR": str(scratch / "bin"),
        "PIPX_MAN_DIR": str(scratch / "man"),
    }
    _run(sys.executable, "-m", "pipx", "install", "--quiet", "--python", sys.executable, str(wheel), variables=home)
    _check_runs(scratch / "bin" / "confcar", scratch)


def _check_runs(program: Path, scratch: Path) -> None:
    """Ask the installed program for its version, its help and its schema, far from the checkout."""
    for argument, start in (
        ("--version", f"confcar {confcar.__version__}"),
        ("--help", "Usage: confcar"),
        ("schema", "{"),
    ):
        if not _run(str(program), argument, folder=scratch).startswith(start):
            raise WrongDistError(f"{program} {argument} does not start with {start!r}")


def _the_only(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise WrongDistError(f"{folder} holds {len(found)} of {pattern}, not one")
    return found[0]


def _run(*command: str, folder: Path | None = None, variables: Mapping[str, str] | None = None) -> str:
    # Without the checkout on the import path: what is tried is what was installed.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | dict(variables or {})
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise WrongDistError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except WrongDistError as error:
        sys.exit(str(error))
