"""A real Consul: in memory (`-dev`), or durable, with or without ACLs."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from tests.servers.api import DEADLINE_SECONDS, Answer, request
from tests.servers.process import Server, unused_ports

_TXN_OPERATIONS = 64  # the most that one transaction takes
_PORT_NAMES = ("http", "server", "serf_lan", "serf_wan")
_PORTS_OFF = {"dns": -1, "grpc": -1, "https": -1}


class ConsulServer(Server):
    """One Consul agent that is a cluster of itself.

    Attributes:
        token: The management token, empty where ACLs are off.
    """

    def __init__(
        self,
        folder: Path,
        program: Path,
        *,
        durable: bool = False,
        acl: bool = False,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        """Prepare one.

        Args:
            folder: For its data, configuration and output.
            program: The `consul` to run.
            durable: Whether it keeps its data over a restart and a kill.
            acl: Whether it denies everything without a token.
            settings: More of Consul's own configuration, by its names; wins over what is set here.
        """
        super().__init__(folder, program)
        self.token = str(uuid.uuid4()) if acl else ""
        self._durable = durable
        self._settings = dict(settings or {})
        self._ports: dict[str, int] = {}

    def choose_ports(self) -> None:
        """Choose the API's port and the three that a server needs besides."""
        if not self._ports:
            self._ports = dict(zip(_PORT_NAMES, unused_ports(len(_PORT_NAMES)), strict=True))
        self.port = self.port or self._ports["http"]
        self._ports["http"] = self.port

    def command(self) -> Sequence[str | Path]:
        """Return the command line; everything but the mode is in a file of mode 0600, the token included."""
        config = self.folder / "consul.json"
        config.touch(mode=0o600)
        config.write_text(json.dumps(self._config()))
        mode = ["-server", "-bootstrap-expect=1", f"-data-dir={self.folder / 'data'}"] if self._durable else ["-dev"]
        return [self.program, "agent", *mode, f"-config-file={config}"]

    def is_ready(self) -> bool:
        """Return whether there is a leader that serves consistent reads."""
        return self.call("GET", "/v1/kv/ready?consistent").status in {200, 404}

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        timeout_seconds: float = DEADLINE_SECONDS,
    ) -> Answer:
        """Return the answer of an API call with the management token, or with *token*."""
        token = self.token if token is None else token
        headers = {"X-Consul-Token": token} if token else {}
        return request(method, self.address + path, body=body, headers=headers, timeout_seconds=timeout_seconds)

    @property
    def wan_address(self) -> str:
        """Where servers of other datacenters join it."""
        return f"127.0.0.1:{self._ports['serf_wan']}"

    def put(self, key: str, value: str | bytes) -> None:
        """Write one key."""
        content = value.encode() if isinstance(value, str) else value
        self.call("PUT", f"/v1/kv/{quote(key)}", content).expect(200)

    def get(self, key: str) -> bytes | None:
        """Return the value of one key as the leader has it, None where it is not there."""
        answer = self.call("GET", f"/v1/kv/{quote(key)}?raw&consistent").expect(200, 404)
        return answer.body if answer.status == 200 else None

    def delete(self, key: str, *, recurse: bool = False) -> None:
        """Delete one key, or everything that starts with it."""
        self.call("DELETE", f"/v1/kv/{quote(key)}{'?recurse' if recurse else ''}").expect(200)

    def txn(self, operations: Sequence[Mapping[str, object]]) -> None:
        """Do up to 64 operations of Consul's own form at once, or none of them."""
        self.call("PUT", "/v1/txn", list(operations)).expect(200)

    def put_many(self, values: Mapping[str, str]) -> None:
        """Write many keys, at once for each 64 of them."""
        operations = [_set_operation(key, value) for key, value in values.items()]
        for start in range(0, len(operations), _TXN_OPERATIONS):
            self.txn(operations[start : start + _TXN_OPERATIONS])

    def register(self, node: str, service: str, *, status: str = "passing", **fields: object) -> None:
        """Put an instance on a node of its own name into the catalogue, or replace it.

        Args:
            node: The node's name; its address is 10.0.0.1.
            service: The service's name, and the instance's id unless *fields* has `ID`.
            status: Of the instance's only check.
            fields: More of the instance by Consul's own names: `ID`, `Address`, `Port`, `Tags`, `Meta`.
        """
        instance = {"ID": service, "Service": service, **fields}
        check = {"CheckID": f"check-{instance['ID']}", "Name": "test", "Status": status, "ServiceID": instance["ID"]}
        body = {"Node": node, "Address": "10.0.0.1", "SkipNodeUpdate": True, "Service": instance, "Check": check}
        self.call("PUT", "/v1/catalog/register", body).expect(200)

    def deregister(self, node: str) -> None:
        """Take a node and all its instances out of the catalogue."""
        self.call("PUT", "/v1/catalog/deregister", {"Node": node}).expect(200)

    def create_token(self, rules: str) -> str:
        """Return a new token with just these rules (HCL or JSON); needs `acl=True`."""
        name = f"test-{uuid.uuid4()}"
        self.call("PUT", "/v1/acl/policy", {"Name": name, "Rules": rules}).expect(200)
        token: str = self.call("PUT", "/v1/acl/token", {"Policies": [{"Name": name}]}).expect(200).json["SecretID"]
        return token

    def delete_token(self, token: str) -> None:
        """Delete a token, so that it is refused from now on."""
        accessor = self.call("GET", "/v1/acl/token/self", token=token).expect(200).json["AccessorID"]
        self.call("DELETE", f"/v1/acl/token/{accessor}").expect(200)

    def _config(self) -> dict[str, object]:
        config: dict[str, object] = {
            "bind_addr": "127.0.0.1",
            "client_addr": "127.0.0.1",
            "node_name": "test",
            "ports": {**self._ports, **_PORTS_OFF},
            "performance": {"raft_multiplier": 1},
            "disable_update_check": True,
        }
        if self.token:
            tokens = {"initial_management": self.token, "agent": self.token}
            config["acl"] = {"enabled": True, "default_policy": "deny", "tokens": tokens}
        return {**config, **self._settings}


def _set_operation(key: str, value: str) -> dict[str, object]:
    return {"KV": {"Verb": "set", "Key": key, "Value": base64.b64encode(value.encode()).decode()}}
