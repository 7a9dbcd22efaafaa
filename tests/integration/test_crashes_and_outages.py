"""The promises over kills and outages, with the small counts of CI; `make soak` runs the full ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.kills import kill_repeatedly
from tests.scenarios.outage import cut_off
from tests.scenarios.publishes import publish_beside_readers
from tests.servers.consul import ConsulServer
from tests.servers.openbao import OpenBaoServer

ONE_BACKOFF_STEP_SECONDS = 10.0


@pytest.mark.timeout(300)
def test_kills_at_random_moments_never_show_a_mixed_pair_or_a_torn_file_and_lose_no_reload(tmp_path: Path) -> None:
    report = kill_repeatedly(tmp_path, kills=100, seed=1)
    assert report.generations > 20
    assert report.reads > 100
    assert (report.mixed, report.torn, report.gone) == (0, 0, 0)
    assert (report.missed, report.unexplained) == (0, 0)


@pytest.mark.timeout(180)
def test_readers_beside_many_publishes_never_see_a_mixed_set_or_a_torn_file(tmp_path: Path) -> None:
    report = publish_beside_readers(tmp_path, publishes=1000)
    assert report.reads > 1000
    assert (report.mixed, report.torn, report.gone) == (0, 0, 0)


@pytest.mark.timeout(180)
def test_an_outage_of_both_servers_leaves_the_files_and_is_caught_up_within_one_backoff_step(
    tmp_path: Path, own_consul: ConsulServer, own_openbao: OpenBaoServer
) -> None:
    report = cut_off(tmp_path, own_consul, own_openbao, seconds=20.0)
    assert (report.noticed, report.stayed) == (True, True)
    assert report.consul_seconds <= ONE_BACKOFF_STEP_SECONDS
    assert report.vault_seconds <= ONE_BACKOFF_STEP_SECONDS
