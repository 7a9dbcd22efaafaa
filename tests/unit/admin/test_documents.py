"""The shape of /status, which is a promise: keys may come, none may go."""

from __future__ import annotations

import json
from typing import Any

import pytest

from confcar.admin.documents import readiness, status_document
from confcar.admin.times import rfc3339
from confcar.bundle_status import CheckStatus, SlotStatus
from confcar.model import Missing
from confcar.primary_status import EnvironmentStatus, ExitStatus, PrimaryStatus
from confcar.status import Status


@pytest.fixture
def status() -> Status:
    status = Status()
    status.add_source("vault", "vault")
    status.add_bundle("web", "/shared/web")
    return status


def document(status: Status) -> Any:  # noqa: ANN401 - a JSON document
    return json.loads(json.dumps(status_document(status.copy(), "1.2.3")))


def test_before_anything_happened_every_key_is_there_and_null_where_there_is_none(status: Status) -> None:
    assert document(status) == {
        "version": "1.2.3",
        "ready": False,
        "config": {"path": "", "loaded_at": None, "error": None},
        "sources": {
            "vault": {
                "type": "vault",
                "up": None,
                "last_success": None,
                "error": None,
                "connections": 0,
                "polled": 0,
            }
        },
        "bundles": {
            "web": {
                "directory": "/shared/web",
                "generation": None,
                "published_at": None,
                "state": "waiting",
                "error": None,
                "missing": [],
                "check": {"result": None, "at": None, "message": None, "output": ""},
                "reload": {
                    "pending": False,
                    "attempts": 0,
                    "last_error": None,
                    "acknowledged_generation": None,
                    "acknowledged_at": None,
                    "last_successful": None,
                    "slot": None,
                },
                "refused": None,
            }
        },
        "primary": {},
    }


def test_what_happened_is_shown(status: Status) -> None:
    status.source_answered("vault")
    status.update_source("vault", details=(("token_ttl", 60.0),))
    status.update_bundle(
        "web",
        generation=7,
        published_at=1_700_000_000.25,
        state="pending",
        missing=(Missing("site.j2", 3, "secret", "kv/db", "vault", "not found"),),
        check=CheckStatus("accepted", 1_700_000_001.0),
    )
    status.update_reload("web", pending=True, attempts=2, last_error="nobody", acknowledged_generation=6)
    shown = document(status)
    assert shown["ready"] is True
    assert shown["sources"]["vault"]["up"] is True
    assert shown["sources"]["vault"]["token_ttl"] == 60.0
    bundle = shown["bundles"]["web"]
    assert (bundle["generation"], bundle["published_at"]) == (7, "2023-11-14T22:13:20.250Z")
    assert bundle["check"]["at"] == "2023-11-14T22:13:21.000Z"
    assert bundle["missing"] == [
        {
            "template": "site.j2",
            "line": 3,
            "function": "secret",
            "path": "kv/db",
            "source": "vault",
            "reason": "not found",
        }
    ]
    assert bundle["reload"]["acknowledged_generation"] == 6


def test_a_wait_for_a_slot_is_shown_with_its_times(status: Status) -> None:
    slot = SlotStatus("waiting", "cannot get a slot", 1_700_000_000.0, ("a", "b"), "no leader", 1_700_000_600.0)
    status.update_reload("web", slot=slot)
    assert document(status)["bundles"]["web"]["reload"]["slot"] == {
        "state": "waiting",
        "message": "cannot get a slot",
        "since": "2023-11-14T22:13:20.000Z",
        "holders": ["a", "b"],
        "error": "no leader",
        "without_at": "2023-11-14T22:23:20.000Z",
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(None, None, id="none"),
        pytest.param(0.0, "1970-01-01T00:00:00.000Z", id="whole"),
        pytest.param(1_700_000_000.9996, "2023-11-14T22:13:20.999Z", id="cut"),
    ],
)
def test_times_are_rfc_3339_in_utc(seconds: float | None, text: str | None) -> None:
    assert rfc3339(seconds) == text


def test_ready_needs_every_bundle(status: Status) -> None:
    status.add_bundle("api", "/shared/api")
    status.update_bundle("web", generation=1)
    is_ready, reasons = readiness(status.copy())
    assert is_ready is False
    assert [reason.partition(":")[0] for reason in reasons] == ["api"]


def test_a_primary_is_empty_without_one_and_whole_with_one() -> None:
    status = Status()
    assert status_document(status.copy(), "1")["primary"] == {}
    status.show_primary(PrimaryStatus("command", environment=EnvironmentStatus()))
    status.update_primary(state="running", pid=7, started_at=0.0, last_exit=ExitStatus(3, None, 0.0))
    assert status_document(status.copy(), "1")["primary"] == {
        "mode": "command",
        "state": "running",
        "pid": 7,
        "started_at": "1970-01-01T00:00:00.000Z",
        "restarts": 0,
        "last_exit": {"code": 3, "signal": None, "at": "1970-01-01T00:00:00.000Z"},
        "waits_for": None,
        "error": None,
        "environment": {"pending": True, "missing": (), "error": None},
    }
