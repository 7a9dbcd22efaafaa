"""What /status and /readyz say, made from a copy of the status board. Its shape is stable: keys may come, none go."""

from __future__ import annotations

import time
from dataclasses import asdict

from confcar.admin.times import rfc3339
from confcar.bundle_status import BundleStatus, RefusedStatus
from confcar.primary_status import PrimaryStatus
from confcar.source_status import LeaseStatus, SourceStatus
from confcar.status import StatusCopy

_REASONS = {
    "waiting": "nothing was rendered yet",
    "pending": "data is missing",
    "refused": "the check refused it",
    "failed": "it failed",
}


def status_document(copy: StatusCopy, version: str) -> dict[str, object]:
    """Return the document of /status."""
    return {
        "version": version,
        "ready": copy.is_ready,
        "config": {
            "path": copy.config.path,
            "loaded_at": rfc3339(copy.config.loaded_at),
            "error": copy.config.error,
        },
        "sources": {name: _source(source) for name, source in copy.sources.items()},
        "bundles": {name: _bundle(bundle) for name, bundle in copy.bundles.items()},
        "primary": {} if copy.primary is None else _primary(copy.primary),
    }


def readiness(copy: StatusCopy) -> tuple[bool, list[str]]:
    """Return whether every bundle has a published generation, and a line for each one that has not, saying why."""
    reasons = []
    for name, bundle in copy.bundles.items():
        if bundle.generation is None:
            reasons.append(f"{name}: nothing is published, {_REASONS.get(bundle.state, bundle.state)}{_why(bundle)}")
    return copy.is_ready, reasons


def _why(bundle: BundleStatus) -> str:
    if bundle.error:
        return f": {bundle.error}"
    if bundle.missing:
        first = bundle.missing[0]
        more = f" and {len(bundle.missing) - 1} more" if len(bundle.missing) > 1 else ""
        where = f"{first.template}:{first.line}"
        return f": {first.function}({first.path!r}) from {first.source}, {first.reason} ({where}){more}"
    return ""


def _source(source: SourceStatus) -> dict[str, object]:
    return {
        "type": source.type,
        "up": source.up,
        "last_success": rfc3339(source.last_success),
        "error": source.error,
        "connections": source.connections,
        "polled": source.polled,
        **dict(source.details),
        **({} if source.leases is None else {"leases": [_lease(lease) for lease in source.leases]}),
    }


def _lease(lease: LeaseStatus) -> dict[str, object]:
    left = None if lease.ends_at is None else round(max(0.0, lease.ends_at - time.time()))
    return {"path": lease.path, "renewable": lease.renewable, "seconds_left": left}


def _refused(refused: RefusedStatus | None) -> dict[str, object] | None:
    return None if refused is None else {**asdict(refused), "since": rfc3339(refused.since)}


def _primary(primary: PrimaryStatus) -> dict[str, object]:
    last, environment = primary.last_exit, primary.environment
    return {
        "mode": primary.mode,
        "state": primary.state,
        "pid": primary.pid,
        "started_at": rfc3339(primary.started_at),
        "restarts": primary.restarts,
        "last_exit": None if last is None else {"code": last.code, "signal": last.signal, "at": rfc3339(last.at)},
        "waits_for": primary.waits_for,
        "error": primary.error,
        "environment": None if environment is None else asdict(environment),
    }


def _bundle(bundle: BundleStatus) -> dict[str, object]:
    reload = asdict(bundle.reload)
    reload["acknowledged_at"] = rfc3339(bundle.reload.acknowledged_at)
    if (slot := bundle.reload.slot) is not None:
        reload["slot"] |= {"since": rfc3339(slot.since), "without_at": rfc3339(slot.without_at)}
    check = asdict(bundle.check)
    check["at"] = rfc3339(bundle.check.at)
    return {
        "directory": bundle.directory,
        "generation": bundle.generation,
        "published_at": rfc3339(bundle.published_at),
        "state": bundle.state,
        "error": bundle.error,
        "missing": [asdict(item) for item in bundle.missing],
        "check": check,
        "reload": reload,
        "refused": _refused(bundle.refused),
    }
