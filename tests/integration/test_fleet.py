"""Whole processes of a fleet that reload in turns, with the small counts of CI; `make soak` runs twenty."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.rollouts import held_slot, source_at
from tests.scenarios.fleet import Diary, prepare, roll_out
from tests.servers.consul import ConsulServer
from tests.waiting import wait_until


@pytest.fixture
def folder(tmp_path: Path, kv_prefix: str) -> Path:
    """Return a folder that is named as the test's corner of Consul is: the fleet's keys are named by it."""
    folder = tmp_path / kv_prefix
    folder.mkdir()
    return folder


@pytest.mark.timeout(300)
def test_of_eight_never_more_than_two_reload_at_once_and_all_do_although_one_is_killed(
    consul: ConsulServer, folder: Path
) -> None:
    report = roll_out(folder, consul, count=8, slots=2, seconds=0.2, kills=True)
    assert report.most == 2
    assert report.done == 8
    assert report.reloads == 9, "the killed one's reload is made once more"


@pytest.mark.timeout(300)
def test_the_only_slot_of_a_killed_process_is_free_for_the_others_in_the_end(
    consul: ConsulServer, folder: Path
) -> None:
    report = roll_out(folder, consul, count=3, slots=1, seconds=0.2, kills=True)
    assert (report.most, report.done) == (1, 3)


@pytest.mark.timeout(120)
def test_a_stop_while_waiting_is_at_once_and_the_reload_is_made_after_the_next_start(
    consul: ConsulServer, folder: Path
) -> None:
    consul.put(f"{folder.name}/value", "one")
    (sidecar,) = prepare(folder, consul, count=1, slots=1, seconds=0)
    diary = Diary(folder / "diary")
    with held_slot(source_at(consul.address), f"{folder.name}/slots", name="by hand") as held:
        with sidecar.start():
            slot = wait_until(lambda: sidecar.bundle()["reload"]["slot"])
            wait_until(lambda: "by hand" in sidecar.bundle()["reload"]["slot"]["message"])
            assert (slot["state"], sidecar.bundle()["reload"]["pending"]) == ("waiting", True)
            assert 'confcar_rollout_waiting{bundle="web"} 1.0' in sidecar.get("/metrics")[1]
            assert sidecar.stop() == 0
        assert diary.lines() == []
        left = consul.call("GET", f"/v1/kv/{folder.name}/slots/?keys&consistent").expect(200).json
        assert left == [f"{folder.name}/slots/.lock", f"{folder.name}/slots/{held.session}"]
    with sidecar.start():
        wait_until(lambda: diary.done("one"))
        wait_until(lambda: sidecar.bundle()["reload"]["acknowledged_generation"] == 1)
        assert 'confcar_rollout_total{bundle="web",result="slot"} 1.0' in sidecar.get("/metrics")[1]


@pytest.mark.timeout(120)
def test_a_stop_during_a_reload_gives_the_slot_back_at_once(consul: ConsulServer, folder: Path) -> None:
    consul.put(f"{folder.name}/value", "one")
    (sidecar,) = prepare(folder, consul, count=1, slots=1, seconds=0.5)
    diary = Diary(folder / "diary")
    with sidecar.start(waits=False):
        wait_until(diary.running)
        assert sidecar.stop() == 0
    assert diary.done("one") == {"0"}
    assert consul.call("GET", f"/v1/kv/{folder.name}/slots/?keys&consistent").status == 404


@pytest.mark.timeout(120)
def test_bundles_of_one_process_that_share_a_key_reload_in_turns(consul: ConsulServer, folder: Path) -> None:
    consul.put(f"{folder.name}/value", "one")
    (sidecar,) = prepare(folder, consul, count=1, slots=1, seconds=0.1)
    sidecar.config.write_text(json.dumps(_three_bundles(folder, consul)))
    diary = Diary(folder / "diary")
    with sidecar.start():
        wait_until(lambda: diary.done("one") == {"0", "1", "2"}, timeout=30.0)
    assert diary.most() == 1


def _three_bundles(folder: Path, consul: ConsulServer) -> dict[str, object]:
    bundles = {
        f"web-{number}": {
            "directory": f"web-{number}",
            "templates": [{"content": f"{{{{ key('{folder.name}/value') }}}}", "destination": "value"}],
            "reload": {"command": ["sh", str(folder / "reload.sh"), str(number), "{directory}"]},
            "rollout": {"source": "consul", "key": f"{folder.name}/slots"},
        }
        for number in range(3)
    }
    return {"sources": {"consul": {"type": "consul", "address": consul.address}}, "bundles": bundles}
