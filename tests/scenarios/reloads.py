"""Config reloads in a row, with hundreds of Consul keys and an AppRole login: what is flat, and what is left alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.integration.sidecar import Sidecar
from tests.servers.consul import ConsulServer
from tests.servers.fault_proxy import FaultProxy
from tests.servers.openbao import OpenBaoServer
from tests.waiting import wait_until

_LOGIN = "auth/approle/login"
_KEYS = 300
# Threads come with requests of the moment, and a thread that ends takes a moment to.
_SLACK = 2


@dataclass(frozen=True)
class Usage:
    """What a process holds."""

    threads: int
    descriptors: int
    consul_connections: int
    kilobytes: int


@dataclass(frozen=True)
class ReloadsReport:
    """What was seen.

    Attributes:
        reloads: How many config reloads there were; each changed one bundle of three.
        refused: How many of them were refused.
        logins: How many logins there were in all.
        before: What the process held after the first few.
        after: The same at the end.
        unchanged: Generations of the two bundles that no reload changed.
        changed: Generation of the one that each did.
    """

    reloads: int
    refused: int
    logins: int
    before: Usage
    after: Usage
    unchanged: tuple[int, int]
    changed: int

    @property
    def is_flat(self) -> bool:
        """Whether threads, descriptors and connections are what they were."""
        return (
            self.after.threads <= self.before.threads + _SLACK
            and self.after.descriptors <= self.before.descriptors + _SLACK
            and self.after.consul_connections <= self.before.consul_connections
        )


def reload_repeatedly(folder: Path, consul: ConsulServer, openbao: OpenBaoServer, *, reloads: int) -> ReloadsReport:
    """Reload *reloads* times and return what was seen."""
    prefix = folder.name
    consul.put_many({f"{prefix}/{number}": str(number) for number in range(_KEYS)})
    openbao.create_policy(prefix, 'path "secret/*" { capabilities = ["read", "list"] }')
    openbao.put_kv(prefix, {"password": "long enough"})
    ids = openbao.create_approle(prefix, [prefix])
    for name, value in zip(("role-id", "secret-id"), ids, strict=True):
        (folder / name).write_text(value)
    with FaultProxy(openbao.port) as proxy:
        config = folder / "confcar.json"
        _configure(config, consul, proxy.address, prefix=prefix, turn=0)
        with Sidecar(config) as sidecar:
            wait_until(lambda: sidecar.status()["sources"]["consul"]["connections"] > 0)
            refused, before = 0, _usage(sidecar)
            for turn in range(1, reloads + 1):
                _configure(config, consul, proxy.address, prefix=prefix, turn=turn)
                refused += json.loads(sidecar.post("/-/reload")[1])["code"] != 0
                wait_until(lambda: _text(folder) == str(turn))  # noqa: B023 - used at once
                if turn == min(5, reloads // 2):
                    before = _usage(sidecar)
            wait_until(lambda: _is_settled(sidecar, before), timeout=20.0, step=0.2)
            bundles = sidecar.status()["bundles"]
            return ReloadsReport(
                reloads,
                refused,
                proxy.count(_LOGIN),
                before,
                _usage(sidecar),
                (bundles["keys"]["generation"], bundles["secret"]["generation"]),
                bundles["turning"]["generation"],
            )


def _configure(config: Path, consul: ConsulServer, vault: str, *, prefix: str, turn: int) -> None:
    auth = {"method": "approle", "role_id_file": "role-id", "secret_id_file": "secret-id"}
    names = "".join(f"{{{{ key('{prefix}/{number}') }}}}\n" for number in range(_KEYS))
    whole = {
        "sources": {
            "consul": {"type": "consul", "address": consul.address, "max_connections": 16},
            "vault": {"type": "vault", "address": vault, "auth": auth},
        },
        "bundles": {
            "keys": _bundle("keys", names),
            "secret": _bundle("secret", f"{{{{ secret('secret/{prefix}').password }}}}"),
            "turning": _bundle("turning", str(turn)),
        },
    }
    new = config.with_suffix(".new")
    new.write_text(json.dumps(whole))
    new.replace(config)


def _bundle(directory: str, content: str) -> dict[str, object]:
    templates = [{"content": content, "destination": "file"}]
    return {"directory": directory, "templates": templates, "wait": {"quiet": "10ms", "max": "1s"}}


def _text(folder: Path) -> str:
    path = folder / "turning" / "file"
    return path.read_text() if path.exists() else ""


def _usage(sidecar: Sidecar) -> Usage:
    process = Path(f"/proc/{sidecar.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line)
    connections = int(sidecar.status()["sources"]["consul"]["connections"])
    descriptors = len(list((process / "fd").iterdir()))
    return Usage(int(status["Threads"]), descriptors, connections, int(status["VmRSS"].split()[0]))


def _is_settled(sidecar: Sidecar, before: Usage) -> bool:
    now = _usage(sidecar)
    return now.threads <= before.threads + _SLACK and now.descriptors <= before.descriptors + _SLACK
