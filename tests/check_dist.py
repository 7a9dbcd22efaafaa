"""Check what `make dist` built, as a user would get it: `python -m tests.check_dist dist`.

The wheel must hold the package and its licence and nothing else, the sdist must give the same wheel, and the wheel must
run in an environment that holds nothing but the pinned runtime dependencies.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = "confcar/"
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
        _check_sdist(sdist, names, scratch)
        _check_runs(wheel, scratch)
    print(f"{wheel.name} and {sdist.name}: {len(names)} files, the same in both, installed and run")


def check_names(wheel: Path) -> set[str]:
    """Return the names in the wheel.

    Raises:
        WrongDistError: One is missing, or is neither the package's nor its metadata's.
    """
    names = set(zipfile.ZipFile(wheel).namelist())
    missing = [needed for needed in _NEEDED if not any(name.endswith(needed) for name in names)]
    metadata = f"{wheel.name.removesuffix('-py3-none-any.whl')}.dist-info/"
    strange = sorted(name for name in names if not name.startswith((_PACKAGE, metadata)))
    if missing or strange:
        raise WrongDistError(f"{wheel.name}: missing {missing}, not ours {strange}")
    return names


def _check_sdist(sdist: Path, names: set[str], scratch: Path) -> None:
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(scratch)]
    _run(sys.executable, "-m", "pip", "wheel", *options, str(sdist))
    rebuilt = check_names(_the_only(scratch, "*.whl"))
    if rebuilt != names:
        raise WrongDistError(f"{sdist.name} gives another wheel; they differ in {sorted(rebuilt ^ names)}")


def _check_runs(wheel: Path, scratch: Path) -> None:
    """Install the wheel where nothing else is, and ask it for its help and its schema."""
    environment = scratch / "environment"
    _run(sys.executable, "-m", "venv", str(environment))
    python, confcar = environment / "bin" / "python", environment / "bin" / "confcar"
    lock = _ROOT / "requirements" / "runtime.lock"
    _run(str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock))
    _run(str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel.resolve()))
    for arguments in (["--help"], ["schema"]):
        if not _run(str(confcar), *arguments, folder=scratch):
            raise WrongDistError(f"confcar {arguments[0]} printed nothing")


def _the_only(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise WrongDistError(f"{folder} holds {len(found)} of {pattern}, not one")
    return found[0]


def _run(*command: str, folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise WrongDistError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except WrongDistError as error:
        sys.exit(str(error))
