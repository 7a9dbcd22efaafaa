"""A status board with every state on it that a bundle and a source can have."""

from __future__ import annotations

import time

from confcar.bundle_status import CheckStatus, RefusedStatus
from confcar.model import Missing
from confcar.primary_status import EnvironmentStatus, ExitStatus, PrimaryStatus
from confcar.status import Status


def every_state() -> Status:
    """Return the board, as it would be some minutes after a start."""
    now = time.time()
    status = Status()
    status.config_loaded("/etc/confcar/confcar.yaml")
    status.config_refused("/etc/confcar/confcar.yaml:3:5: bundles.web.directry: unknown key; did you mean directory?")
    for name, type_ in {"local": "file", "consul": "consul", "vault": "vault", "spare": "consul"}.items():
        status.add_source(name, type_)
    status.source_answered("local")
    status.source_answered("consul")
    status.update_source("consul", connections=9, polled=2)
    status.source_answered("vault")
    status.source_failed("vault", "GET secret/data/app: permission denied; the token's policies do not allow it")
    status.update_source("vault", details=(("token_ttl_seconds", 3590.0), ("leases", 2.0)), connections=1)
    for name in ("web", "new", "site", "checked", "disk", "told"):
        status.add_bundle(name, f"/shared/{name}")
    status.update_bundle("web", state="published", generation=7, published_at=now - 185)
    status.update_reload(
        "web",
        pending=True,
        attempts=3,
        last_error="reload by signal: the PID file /run/nginx.pid does not exist: the primary has not written it yet",
        acknowledged_generation=6,
        acknowledged_at=now - 90000,
    )
    missing = (
        Missing("site.j2", 3, "key", "app/port", "local", "not found"),
        Missing("site.j2", 14, "secret", "secret/team/app", "vault", "permission denied"),
    )
    status.update_bundle("site", state="pending", generation=2, published_at=now - 7200, missing=missing)
    status.update_bundle(
        "checked",
        state="refused",
        generation=3,
        published_at=now - 400000,
        error="check of checked refused generation 4: nginx -t ended with 1",
        check=CheckStatus("refused", now - 12, "nginx -t ended with 1", "nginx: [emerg] unknown directive in line 3"),
    )
    status.update_bundle(
        "disk", state="failed", error="cannot stage a generation in /shared/disk: the volume is read-only"
    )
    status.update_bundle(
        "told", state="published", generation=12, published_at=now - 20, check=CheckStatus("accepted", now - 20)
    )
    status.update_bundle("told", refused=RefusedStatus(13, "verify by http: answered 502", now - 31))
    status.show_primary(
        PrimaryStatus(
            "command",
            state="restarting",
            restarts=3,
            last_exit=ExitStatus(None, "SIGSEGV", now - 4),
            error="cannot start app: Permission denied",
            environment=EnvironmentStatus(missing=(Missing("env", 1, "secret", "secret/db", "vault", "not found"),)),
        )
    )
    status.update_reload("told", acknowledged_generation=12, acknowledged_at=now - 19, last_successful=True)
    return status
