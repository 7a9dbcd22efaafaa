"""The example of nginx beside confcar under systemd: systemd takes the unit, and its config works."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.integration.sidecar import run_confcar

_EXAMPLE = ROOT / "examples" / "systemd-nginx"


@pytest.mark.parametrize("unit", [pytest.param(path, id=path.name) for path in sorted(_EXAMPLE.glob("*.service"))])
def test_systemd_takes_the_unit_without_a_word(unit: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze") or pytest.skip("no systemd-analyze on this machine")
    (tmp_path / unit.name).write_text(
        unit.read_text().replace("/usr/local/bin/confcar", f"{sys.executable} -m confcar")
    )
    verified = subprocess.run(
        [analyze, "verify", "--man=no", tmp_path / unit.name], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def test_systemd_config_publishes_below_the_units_runtime_directory(tmp_path: Path) -> None:
    shutil.copytree(_EXAMPLE, tmp_path, dirs_exist_ok=True)
    runtime = tmp_path / "run"
    ended = run_confcar("once", "-c", tmp_path / "confcar.yaml", environ={"RUNTIME_DIRECTORY": str(runtime)})
    assert ended.returncode == 0, ended.stderr
    assert (runtime / "web" / "upstreams.conf").read_text().splitlines()[1:3] == [
        "  server 127.0.0.1:8001; # one",
        "  server 127.0.0.1:8002; # two",
    ]


def test_systemd_config_with_the_line_for_consul_is_right(tmp_path: Path) -> None:
    shutil.copytree(_EXAMPLE, tmp_path, dirs_exist_ok=True)
    text = (tmp_path / "confcar.yaml").read_text()
    (consul,) = re.findall(r"`(settings: \{type: consul\})`", text)
    (tmp_path / "confcar.yaml").write_text(re.sub(r"^  settings: .*$", f"  {consul}", text, flags=re.MULTILINE))
    environ = {"CONSUL_HTTP_ADDR": "http://127.0.0.1:8500"}
    ended = run_confcar("check", "-c", tmp_path / "confcar.yaml", environ=environ)
    assert ended.returncode == 0, ended.stderr
