"""Consul and OpenBao both gone for a while and back: what stays, what is said, how soon it catches up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.integration.sidecar import Sidecar
from tests.servers.consul import ConsulServer
from tests.servers.openbao import OpenBaoServer
from tests.waiting import pause, wait_until

_CONFIG = """
sources:
  consul: {{type: consul, address: "{consul}"}}
  vault: {{type: vault, address: "{vault}", refresh: 1s}}
bundles:
  kv:
    directory: kv
    wait: {{quiet: 10ms, max: 1s}}
    templates: [{{content: "{{{{ key('app/name') }}}}", destination: name}}]
  db:
    directory: db
    wait: {{quiet: 10ms, max: 1s}}
    templates: [{{content: "{{{{ secret('secret/db').password }}}}", destination: password}}]
"""


@dataclass(frozen=True)
class OutageReport:
    """What was seen.

    Attributes:
        seconds: How long both servers were away.
        noticed: Whether status and metrics said of both that they are away, and why.
        stayed: Whether confcar ran on, stayed ready, and both files kept their content throughout.
        consul_seconds: From Consul's first answer after it to the new value on disk.
        vault_seconds: The same for OpenBao.
    """

    seconds: float
    noticed: bool
    stayed: bool
    consul_seconds: float
    vault_seconds: float


def cut_off(folder: Path, consul: ConsulServer, openbao: OpenBaoServer, *, seconds: float) -> OutageReport:
    """Kill both servers for *seconds* and return what confcar made of it; both must keep their data."""
    consul.put("app/name", "before")
    openbao.put_kv("db", {"password": "before"})
    config = folder / "confcar.yaml"
    config.write_text(_CONFIG.format(consul=consul.address, vault=openbao.address))
    name, password = folder / "kv" / "name", folder / "db" / "password"
    token = openbao.create_token(["root"], ttl="0")
    with Sidecar(config, environ={"VAULT_TOKEN": token}) as sidecar:
        consul.kill()
        openbao.kill()
        noticed = _is_noticed(sidecar)
        pause(seconds)
        stayed = sidecar.is_ready() and name.read_text() == password.read_text() == "before"
        consul.restart()
        consul.put("app/name", "after")
        consul_seconds = _seconds_until(lambda: name.read_text() == "after")
        openbao.restart()
        openbao.put_kv("db", {"password": "after"})
        vault_seconds = _seconds_until(lambda: password.read_text() == "after")
        return OutageReport(seconds, noticed, stayed, consul_seconds, vault_seconds)


def _is_noticed(sidecar: Sidecar) -> bool:
    def noticed() -> bool:
        sources = sidecar.status()["sources"]
        metrics = sidecar.get("/metrics")[1]
        return all(
            sources[name]["up"] is False and sources[name]["error"] and f'source_up{{source="{name}"}} 0.0' in metrics
            for name in ("consul", "vault")
        )

    try:
        return wait_until(noticed, timeout=15.0, step=0.1)
    except AssertionError:
        return False


def _seconds_until(predicate: Callable[[], bool]) -> float:
    started = time.monotonic()
    wait_until(predicate, timeout=60.0)
    return time.monotonic() - started
