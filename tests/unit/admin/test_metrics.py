"""The exposition: the contract's names, what a Prometheus can read, and nothing without bound."""

from __future__ import annotations

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from confcar.admin.metrics import exposition
from confcar.bundle_status import SlotStatus
from confcar.status import Status

# The names and labels that dashboards rely on.
CONTRACT = {
    "confcar_build_info": {"version", "python"},
    "confcar_source_up": {"source"},
    "confcar_source_requests_total": {"source", "code"},
    "confcar_source_last_success_timestamp_seconds": {"source"},
    "confcar_source_connections": {"source"},
    "confcar_vault_token_ttl_seconds": {"source"},
    "confcar_vault_leases": {"source"},
    "confcar_render_total": {"bundle", "result"},
    "confcar_render_duration_seconds": {"bundle"},
    "confcar_render_missing_keys": {"bundle"},
    "confcar_check_total": {"bundle", "result"},
    "confcar_generation": {"bundle"},
    "confcar_publish_timestamp_seconds": {"bundle"},
    "confcar_reload_total": {"bundle", "kind", "result"},
    "confcar_reload_pending": {"bundle"},
    "confcar_rollback_total": {"bundle"},
    "confcar_drift_repaired_total": {"bundle"},
    "confcar_rollout_total": {"bundle", "result"},
    "confcar_rollout_waiting": {"bundle"},
    "confcar_change_to_reload_seconds": {"bundle"},
    "confcar_last_reload_successful": {"bundle"},
}
OURS: dict[str, set[str]] = {
    "confcar_config_loaded_timestamp_seconds": set(),
    "confcar_config_last_reload_successful": set(),
    "confcar_primary_up": set(),
    "confcar_primary_restarts_total": set(),
    "confcar_primary_start_timestamp_seconds": set(),
}


@pytest.fixture
def status() -> Status:
    """Return a board on which everything has happened once."""
    status = Status()
    status.add_source("vault", "vault")
    status.add_bundle("web", "/shared/web")
    status.source_answered("vault")
    status.count("source_requests_total", "vault", "200", by=3)
    status.set_gauge("vault_leases", "vault", value=2)
    status.count("render_total", "web", "rendered")
    status.count("check_total", "web", "accepted")
    status.count("reload_total", "web", "signal", "success")
    status.count("rollback_total", "web")
    status.count("drift_repaired_total", "web")
    status.count("rollout_total", "web", "slot")
    status.set_gauge("vault_token_ttl_seconds", "vault", value=60.0)
    status.set_gauge("render_duration_seconds", "web", value=0.25)
    status.observe("change_to_reload_seconds", "web", seconds=0.007)
    status.observe("change_to_reload_seconds", "web", seconds=100.0)
    status.update_bundle("web", generation=4, published_at=1_700_000_000.0)
    status.update_reload("web", last_successful=True)
    return status


def families(status: Status) -> dict[str, Metric]:
    text = exposition(status.copy(), "1.2.3").decode()
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, f"{family.name} says nothing"
        found[f"{family.name}_total" if family.type == "counter" else family.name] = family
    return found


def value(status: Status, name: str, **labels: str) -> float:
    return next(
        sample.value
        for family in families(status).values()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_the_names_are_the_contracts(status: Status) -> None:
    assert set(families(status)) == {*CONTRACT, *OURS}


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_the_labels_are_the_contracts(status: Status, name: str) -> None:
    samples = families(status)[name].samples
    assert samples
    assert {label for sample in samples for label in sample.labels} - {"le"} == CONTRACT[name]


def test_values_are_those_of_the_board(status: Status) -> None:
    assert value(status, "confcar_build_info", version="1.2.3") == 1
    assert value(status, "confcar_source_up", source="vault") == 1
    assert value(status, "confcar_source_requests_total", source="vault", code="200") == 3
    assert value(status, "confcar_generation", bundle="web") == 4
    assert value(status, "confcar_publish_timestamp_seconds", bundle="web") == 1_700_000_000.0
    assert value(status, "confcar_vault_token_ttl_seconds", source="vault") == 60.0


@pytest.mark.parametrize("name", ["confcar_rollback_total", "confcar_drift_repaired_total"])
def test_what_a_bundle_can_count_begins_at_nought(name: str) -> None:
    status = Status()
    status.add_bundle("web", "/shared/web")
    assert value(status, name, bundle="web") == 0


def test_the_histogram_adds_up(status: Status) -> None:
    assert value(status, "confcar_change_to_reload_seconds_bucket", le="0.005") == 0
    assert value(status, "confcar_change_to_reload_seconds_bucket", le="0.01") == 1
    assert value(status, "confcar_change_to_reload_seconds_bucket", le="60.0") == 1
    assert value(status, "confcar_change_to_reload_seconds_bucket", le="+Inf") == 2
    assert value(status, "confcar_change_to_reload_seconds_count") == 2
    assert value(status, "confcar_change_to_reload_seconds_sum") == pytest.approx(100.007)


def test_a_source_that_nobody_reads_is_not_down() -> None:
    status = Status()
    status.add_source("unused", "consul")
    assert families(status)["confcar_source_up"].samples == []


def test_a_source_that_is_away_is_down_and_says_when_it_last_was_not(status: Status) -> None:
    before = value(status, "confcar_source_last_success_timestamp_seconds", source="vault")
    status.source_failed("vault", "away")
    assert value(status, "confcar_source_up", source="vault") == 0
    assert value(status, "confcar_source_last_success_timestamp_seconds", source="vault") == before


def test_a_bundle_without_a_generation_has_no_number_yet() -> None:
    status = Status()
    status.add_bundle("web", "/shared/web")
    assert families(status)["confcar_generation"].samples == []
    assert value(status, "confcar_reload_pending", bundle="web") == 0


def test_only_who_waits_for_a_slot_is_waiting(status: Status) -> None:
    assert value(status, "confcar_rollout_waiting", bundle="web") == 0
    status.update_reload("web", slot=SlotStatus("waiting", "waiting for a slot", 1.0))
    assert value(status, "confcar_rollout_waiting", bundle="web") == 1
    status.update_reload("web", slot=SlotStatus("held", "holds a slot", 1.0))
    assert value(status, "confcar_rollout_waiting", bundle="web") == 0
