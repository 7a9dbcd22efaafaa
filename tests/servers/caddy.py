"""A real Caddy: a primary that takes a new configuration by `POST /load`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers.api import Answer, request
from tests.servers.process import Server, unused_ports


class CaddyServer(Server):
    """One Caddy that serves on `port` and is administered on `admin_port`.

    Attributes:
        admin_port: The port of `POST /load`.
        config_file: The JSON configuration it is started with.
    """

    def __init__(self, folder: Path, program: Path) -> None:
        """Prepare one; its ports are chosen now, so that configurations can be made before it starts."""
        super().__init__(folder, program)
        self.port, self.admin_port = unused_ports(2)
        self.config_file = folder / "caddy.json"

    @property
    def admin_address(self) -> str:
        """The base URL of the admin API, without a trailing slash."""
        return f"http://127.0.0.1:{self.admin_port}"

    def command(self) -> Sequence[str | Path]:
        """Return the command line; a server without a configuration gets one that answers `ready`."""
        if not self.config_file.exists():
            self.config_file.write_text(json.dumps(self.main_config("ready")))
        return [self.program, "run", "--config", self.config_file]

    def environment(self) -> Mapping[str, str]:
        """Return its variables, with its state below its own folder."""
        home = str(self.folder)
        return {**super().environment(), "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home}

    def is_ready(self) -> bool:
        """Return whether both listeners answer."""
        return request("GET", f"{self.admin_address}/config/").status == 200 and self.fetch("/").status > 0

    def main_config(self, text: str) -> dict[str, object]:
        """Return a whole configuration that answers every request with this text."""
        route = {"handle": [{"handler": "static_response", "body": text}]}
        server = {"listen": [f"127.0.0.1:{self.port}"], "routes": [route]}
        return {
            "admin": {"listen": f"127.0.0.1:{self.admin_port}", "config": {"persist": False}},
            "apps": {"http": {"servers": {"main": server}}},
        }

    def load(self, config: Mapping[str, object]) -> Answer:
        """Give it a configuration as `POST /load` does, and return its answer: 200, or 400 for a wrong one."""
        return request("POST", f"{self.admin_address}/load", body=dict(config))

    def fetch(self, path: str) -> Answer:
        """Return the answer to a GET."""
        return request("GET", self.address + path)
