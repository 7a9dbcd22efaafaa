"""A real OpenBao (or Vault): in memory (`-dev`), or durable on raft storage and unsealed at each start."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.servers.api import Answer, request
from tests.servers.process import Server, unused_ports
from tests.waiting import wait_until

_DEV_TOKEN = "root"
_HEALTHY, _UNINITIALISED, _SEALED = 200, 501, 503


class OpenBaoServer(Server):
    """One OpenBao; both variants have KV v2 at `secret/` from the first start.

    Attributes:
        token: The root token.
    """

    def __init__(self, folder: Path, program: Path, *, durable: bool = False, leased_kv: bool = False) -> None:
        """Prepare one.

        Args:
            folder: Of its own.
            program: To run.
            durable: Whether it keeps its data over a restart and a kill; it is sealed after each of them.
            leased_kv: Whether `secret/` is KV v1 that gives leases; only for one in memory.
        """
        super().__init__(folder, program)
        self.token = _DEV_TOKEN
        self._durable = durable
        self._leased_kv = leased_kv
        self._unseal_key = ""
        self._cluster_port = 0

    def command(self) -> Sequence[str | Path]:
        """Return the command line."""
        if self._durable:
            return [self.program, "server", "-config", self._write_config()]
        return [
            self.program,
            "server",
            "-dev",
            f"-dev-root-token-id={_DEV_TOKEN}",
            f"-dev-listen-address=127.0.0.1:{self.port}",
            "-dev-no-store-token",
            *(["-dev-leased-kv"] if self._leased_kv else []),
        ]

    def is_ready(self) -> bool:
        """Return whether it is unsealed; initialises and unseals a durable one."""
        status = self.call("GET", "sys/health").status
        if self._durable and status == _UNINITIALISED:
            self._initialise()
        elif self._durable and status == _SEALED:
            self.unseal()
        elif self._durable and status == _HEALTHY and not self._has_secret_mount():
            self.mount("secret", "kv", options={"version": "2"})
        # The dev server is healthy a moment before its KV mount is there.
        return status == _HEALTHY and self._has_secret_mount()

    def choose_ports(self) -> None:
        """Choose the API's port, and the one that a durable server keeps for its cluster."""
        if not self.port:
            self.port = unused_ports(1)[0]
        if not self._cluster_port:
            self._cluster_port = unused_ports(1)[0]

    def call(self, method: str, path: str, body: object = None, *, token: str | None = None, wrap: str = "") -> Answer:
        """Return the answer of an API call on *path* below `/v1/`.

        Args:
            method: `GET`, `POST`, `LIST`, …
            path: Without a leading slash.
            body: Sent as JSON; None for none.
            token: None for the root token, empty for none.
            wrap: Duration such as `60s` for a wrapped answer; empty for none.
        """
        token = self.token if token is None else token
        headers = {"X-Vault-Token": token} if token else {}
        if wrap:
            headers["X-Vault-Wrap-TTL"] = wrap
        return request(method, f"{self.address}/v1/{path}", body=body, headers=headers)

    def read(self, path: str) -> Any:  # noqa: ANN401 -- what the server sends
        """Return the `data` of a read."""
        return self.call("GET", path).expect(200).json["data"]

    def write(self, path: str, data: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 -- what the server sends
        """Write to a path and return the whole answer, None where it has no body."""
        answer = self.call("POST", path, data or {}).expect()
        return answer.json if answer.body else None

    def delete(self, path: str) -> None:
        """Delete a path."""
        self.call("DELETE", path).expect()

    def put_kv(self, path: str, data: Mapping[str, object], *, mount: str = "secret") -> int:
        """Write a secret to a KV v2 mount and return its version."""
        version: int = self.write(f"{mount}/data/{path}", {"data": dict(data)})["data"]["version"]
        return version

    def mount(self, path: str, kind: str, *, options: Mapping[str, str] | None = None) -> None:
        """Mount a secrets engine; KV v2 is kind `kv` with `options={"version": "2"}`."""
        self.write(f"sys/mounts/{path}", {"type": kind, "options": dict(options or {})})
        if kind == "kv" and dict(options or {}).get("version") == "2":
            self._wait_for_kv(path)

    def unmount(self, path: str) -> None:
        """Remove a secrets engine and its data."""
        self.delete(f"sys/mounts/{path}")

    def create_policy(self, name: str, rules: str) -> None:
        """Create or replace a policy, rules in HCL."""
        self.call("PUT", f"sys/policies/acl/{name}", {"policy": rules}).expect()

    def create_token(self, policies: Sequence[str], *, ttl: str = "1h", **more: object) -> str:
        """Return a new token; *more* goes into the request as it is (`period`, `renewable`, `num_uses` …)."""
        body = {"policies": list(policies), "ttl": ttl, "no_default_policy": False, **more}
        token: str = self.write("auth/token/create", body)["auth"]["client_token"]
        return token

    def revoke_token(self, token: str) -> None:
        """Revoke a token and all its leases."""
        self.write("auth/token/revoke", {"token": token})

    def enable_auth(self, path: str, kind: str) -> None:
        """Enable an auth method at `auth/PATH`."""
        self.write(f"sys/auth/{path}", {"type": kind})

    def create_approle(
        self, name: str, policies: Sequence[str], *, mount: str = "approle", **more: object
    ) -> tuple[str, str]:
        """Create a role, enabling the method where needed, and return its role id and a secret id.

        Args:
            name: Of the role.
            policies: Of the tokens it gives.
            mount: Of the auth method.
            more: Into the role as it is (`token_ttl`, `token_max_ttl`, `secret_id_num_uses` …).
        """
        if f"{mount}/" not in self.read("sys/auth"):
            self.enable_auth(mount, "approle")
        role = f"auth/{mount}/role/{name}"
        self.write(role, {"token_policies": list(policies), **more})
        role_id: str = self.read(f"{role}/role-id")["role_id"]
        return role_id, self.create_secret_id(name, mount=mount)

    def create_secret_id(self, name: str, *, mount: str = "approle") -> str:
        """Return a new secret id of a role."""
        secret_id: str = self.write(f"auth/{mount}/role/{name}/secret-id")["data"]["secret_id"]
        return secret_id

    def seal(self) -> None:
        """Seal it: it answers 503 to everything until `unseal`. Only for the durable variant."""
        self.write("sys/seal")

    def unseal(self) -> None:
        """Unseal the durable variant."""
        self.call("PUT", "sys/unseal", {"key": self._unseal_key}, token="").expect(200)

    def _initialise(self) -> None:
        answer = self.call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1}, token="").expect(200).json
        self.token, self._unseal_key = answer["root_token"], answer["keys"][0]

    def _has_secret_mount(self) -> bool:
        return self.call("GET", "sys/mounts/secret").status == _HEALTHY

    def _wait_for_kv(self, mount: str) -> None:
        """A new KV v2 mount refuses writes for a moment while it is set up."""
        wait_until(lambda: self.call("GET", f"{mount}/config").status == _HEALTHY)

    def _write_config(self) -> Path:
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        cluster = f"127.0.0.1:{self._cluster_port}"
        listener = {"address": f"127.0.0.1:{self.port}", "cluster_address": cluster, "tls_disable": True}
        config = {
            "storage": {"raft": {"path": str(data), "node_id": "test", "performance_multiplier": 1}},
            "listener": {"tcp": listener},
            "api_addr": self.address,
            "cluster_addr": f"https://{cluster}",
            "disable_mlock": True,  # Vault asks for it, OpenBao ignores it
        }
        path = self.folder / "openbao.json"
        path.write_text(json.dumps(config))
        return path
