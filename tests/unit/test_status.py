"""The board: who is shown, what is forgotten, and what a part that ends late may still say."""

from __future__ import annotations

import pytest

from confcar.status import Status


@pytest.fixture
def status() -> Status:
    status = Status()
    for name in ("vault", "consul"):
        status.add_source(name, name)
        status.source_answered(name)
        status.count("source_requests_total", name, "200")
    for name in ("web", "api"):
        status.add_bundle(name, f"/shared/{name}")
        status.update_bundle(name, generation=3)
        status.count("render_total", name, "rendered")
        status.observe("change_to_reload_seconds", name, seconds=0.1)
    return status


def test_another_arrangement_keeps_what_is_known_of_what_stays(status: Status) -> None:
    status.arrange({"consul": "consul", "new": "file"}, {"new": "/n", "web": "/shared/web"}, fresh=set())
    copy = status.copy()
    assert list(copy.sources) == ["consul", "new"]
    assert list(copy.bundles) == ["new", "web"]
    assert copy.sources["consul"].up is True
    assert (copy.bundles["web"].generation, copy.bundles["new"].generation) == (3, None)
    assert set(copy.counters) == {("source_requests_total", "consul", "200"), ("render_total", "web", "rendered")}
    assert set(copy.histograms) == {("change_to_reload_seconds", "web")}


def test_of_a_source_that_is_another_one_now_nothing_is_known(status: Status) -> None:
    status.arrange({"vault": "file", "consul": "consul"}, {"web": "/other", "api": "/shared/api"}, fresh={"vault"})
    copy = status.copy()
    assert (copy.sources["vault"].type, copy.sources["vault"].up) == ("file", None)
    assert (copy.bundles["web"].directory, copy.bundles["web"].generation) == ("/other", 3)


def test_what_a_bundle_says_after_its_end_is_not_shown(status: Status) -> None:
    status.arrange({}, {"web": "/shared/web"}, fresh=set())
    status.update_bundle("api", state="failed")
    status.update_reload("api", pending=True)
    status.count("render_total", "api", "failed")
    assert list(status.copy().bundles) == ["web"]
    assert status.bundle("api").generation is None
    status.tidy()
    assert set(status.copy().counters) == {("render_total", "web", "rendered")}


def test_a_refused_config_is_said_until_one_is_in_force(status: Status) -> None:
    status.config_loaded("/etc/confcar.yaml")
    loaded_at = status.copy().config.loaded_at
    status.config_refused("line 3")
    assert (status.copy().config.error, status.copy().config.loaded_at) == ("line 3", loaded_at)
    status.config_loaded("/etc/confcar.yaml")
    assert status.copy().config.error is None
