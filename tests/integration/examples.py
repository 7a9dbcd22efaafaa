"""The examples that run by one command: what each needs, how it is run, and how it is switched to production."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.integration.sidecar import command, environment
from tests.servers.installed import installed

FOLDER = ROOT / "examples"
PROGRAMS: Mapping[str, Mapping[str, str]] = {
    "01-file-to-hup": {},
    "02-init-and-sidecar": {},
    "batch-job": {},
    "caddy-http": {"CADDY": "caddy"},
    "dotenv": {},
    "haproxy-consul": {"HAPROXY": "haproxy"},
    "java-app": {"JAVA": "java"},
    "nginx-tls": {"NGINX": "nginx"},
    "node-app": {"NODE": "node"},
    "prometheus-http": {"PROMETHEUS": "prometheus", "PROMTOOL": "promtool"},
    "python-db": {"POSTGRES": "postgres"},
}
"""Which variable of an example's `run.sh` names which program, by example."""

_SERVERS = ("caddy", "nginx", "postgres")  # those that `make servers` gets; the others are the system's
_ENDS_WITHIN_SECONDS = 300.0  # on a busy machine; a few seconds on an idle one
_RECORDED = re.compile(r"(?<=^```text\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)
_LAPTOP = re.compile(r"^.*(# laptop|\{# laptop #\})\n", re.MULTILINE)
_PRODUCTION = re.compile(r"^( *)(?:# (.*) # production.*|\{# production: (.*) #\})$", re.MULTILINE)


def programs_of(name: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the variables that name an example's programs; skips where one cannot be had."""
    return {
        variable: str(request.getfixturevalue(f"{program}_program") if program in _SERVERS else installed(program))
        for variable, program in PROGRAMS[name].items()
    }


def run_example(name: str, temporary: Path, programs: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run an example's one command in the folder for temporary files."""
    more = {"CONFCAR": " ".join(command()), "PYTHON": sys.executable, "TMPDIR": str(temporary), **programs}
    return subprocess.run(
        [FOLDER / name / "run.sh"],
        env=environment(more),
        text=True,
        capture_output=True,
        timeout=_ENDS_WITHIN_SECONDS,
        check=False,
    )


def recorded(name: str) -> str:
    """Return the output that an example's README shows."""
    found = _RECORDED.findall((FOLDER / name / "README.md").read_text())
    assert len(found) == 1, f"the README of {name} has one block of recorded output"
    return str(found[0])


def record(name: str, output: str) -> None:
    """Write an example's output into its README."""
    readme = FOLDER / name / "README.md"
    readme.write_text(_RECORDED.sub(lambda _: output, readme.read_text(), count=1))


def in_production(name: str, folder: Path, changes: Mapping[str, str]) -> Path:
    """Copy an example, put its lines marked `production` in the place of those marked `laptop`, and return the config.

    Args:
        name: Of the example.
        folder: Where the copy is made; must not exist.
        changes: What is replaced by what, then: addresses and mounts of the test's servers.
    """
    shutil.copytree(FOLDER / name, folder)
    (folder / "run.sh").unlink()
    for path in (folder / "confcar.yaml", *folder.glob("*.j2")):
        text = _PRODUCTION.sub(r"\1\2\3", _LAPTOP.sub("", path.read_text()))
        for old, new in changes.items():
            text = text.replace(old, new)
        path.write_text(text)
    return folder / "confcar.yaml"
