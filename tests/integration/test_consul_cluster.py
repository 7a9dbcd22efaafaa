"""A real cluster of three, with the small counts of CI; `make soak` runs the full ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.election import lose_servers


@pytest.mark.timeout(300)
def test_no_number_is_lost_or_goes_backwards_while_servers_come_and_go(consul_program: Path, tmp_path: Path) -> None:
    report = lose_servers(tmp_path, consul_program, rounds=1)
    assert report.written > 50
    assert report.shown > 20
    assert (report.backwards, report.lost) == (0, 0)
    assert report.slowest_seconds <= 30
