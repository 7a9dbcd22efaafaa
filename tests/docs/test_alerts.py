"""What Prometheus' own checker says of the metrics and of the alert rules in the documentation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from confcar.admin.metrics import exposition
from confcar.status import Status
from tests.docs.pages import ROOT, code_blocks
from tests.unit.admin.boards import every_state

_PAGE = ROOT / "docs" / "how-to" / "watch-with-prometheus.md"
_IN_CI = bool(os.environ.get("CI") or os.environ.get("CONFCAR_TEST_REQUIRE_SERVERS"))


@pytest.fixture
def promtool() -> str:
    """Return Prometheus' checker."""
    found = shutil.which("promtool")
    if found is None:
        if _IN_CI:
            pytest.fail("no promtool on PATH; install Debian's prometheus (it is required here)", pytrace=False)
        pytest.skip("no promtool on PATH; Debian's package is called prometheus")
    return found


def board() -> Status:
    """Return a board on which every metric has a value."""
    status = every_state()
    status.count("source_requests_total", "consul", "200", by=3)
    status.count("render_total", "web", "rendered")
    status.count("check_total", "checked", "refused")
    status.count("reload_total", "web", "signal", "failure")
    status.set_gauge("vault_token_ttl_seconds", "vault", value=60.0)
    status.set_gauge("render_duration_seconds", "web", value=0.25)
    status.observe("change_to_reload_seconds", "web", seconds=0.007)
    return status


def rules() -> str:
    return next(block for block in code_blocks(_PAGE, "yaml") if block.startswith("groups:"))


def test_promtool_accepts_the_metrics(promtool: str) -> None:
    text = exposition(board().copy(), "1.2.3")
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_promtool_accepts_the_alert_rules(promtool: str, tmp_path: Path) -> None:
    file = tmp_path / "confcar.rules.yaml"
    file.write_text(rules())
    checked = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{rules().count('- alert:')} rules found" in checked.stdout


def test_every_metric_of_an_alert_is_one_that_confcar_gives() -> None:
    given = set(re.findall(r"^# TYPE (\w+)", exposition(board().copy(), "1").decode(), re.MULTILINE))
    assert set(re.findall(r"confcar_\w+", rules())) <= given
