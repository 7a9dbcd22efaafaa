"""The config of a rollout: its defaults, and what it has to name."""

from __future__ import annotations

import pytest

from tests.unit.config.workbench import BUNDLE, Workbench

_SOURCES = "sources:\n  consul: {type: consul}\n  local: {type: file, path: .}\n"
_RELOAD = "    reload: {signal: HUP, pid: 7}\n"


def _rollout(text: str, *, reload: str = _RELOAD) -> str:
    return f"{_SOURCES}{BUNDLE}{reload}    rollout: {text}\n"


def test_a_rollout_is_one_at_a_time_and_waits_ten_minutes_for_consul(bench: Workbench) -> None:
    rollout = bench.load(_rollout("{source: consul, key: confcar/web}")).settings.bundles["web"].rollout
    assert rollout is not None
    assert rollout.model_dump() == {"source": "consul", "key": "confcar/web", "slots": 1, "timeout_seconds": 600.0}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("{key: a}", "10:5: bundles.web.rollout.source: is required", id="no source"),
        pytest.param("{source: consul}", "10:5: bundles.web.rollout.key: is required", id="no key"),
        pytest.param(
            "{source: konsul, key: a}",
            "10:15: bundles.web.rollout.source: there is no source named konsul",
            id="unknown source",
        ),
        pytest.param(
            "{source: local, key: a}",
            "10:15: bundles.web.rollout.source: local is a file source; slots are had in Consul only",
            id="other source",
        ),
    ],
)
def test_what_it_names_has_to_be_there(bench: Workbench, text: str, problem: str) -> None:
    assert bench.problems(_rollout(text)) == [f"c.yaml:{problem}"]


@pytest.mark.parametrize("key", ["/confcar/web", "confcar/web/", "confcar//web", "a/../b", '""'])
def test_a_key_is_a_plain_path(bench: Workbench, key: str) -> None:
    (found,) = bench.problems(_rollout(f"{{source: consul, key: {key}}}"))
    assert "bundles.web.rollout.key: a key is a path such as confcar/web" in found


@pytest.mark.parametrize("more", ["slots: 0", "slots: -1", "slots: many", "timeout: 500ms", "timeout: 0s"])
def test_there_is_at_least_one_slot_and_a_second_to_wait(bench: Workbench, more: str) -> None:
    (found,) = bench.problems(_rollout(f"{{source: consul, key: a, {more}}}"))
    assert f"bundles.web.rollout.{more.partition(':')[0]}: " in found


def test_a_rollout_without_a_reload_is_a_mistake(bench: Workbench) -> None:
    found = bench.problems(_rollout("{source: consul, key: a}", reload=""))
    assert found == ["c.yaml:9:5: bundles.web.rollout: paces reloads, and the bundle has no `reload`"]
