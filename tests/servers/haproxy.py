"""A real HAProxy, master and worker: starts new workers on SIGUSR2, and keeps the old ones where that fails."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tests.servers.api import Answer, request
from tests.servers.process import Server


class HaproxyServer(Server):
    """One master with one worker, in the foreground, serving on `port`.

    Attributes:
        config_file: The configuration it is started with.
        pid_file: Where the master writes its process id.
    """

    def __init__(self, folder: Path, program: Path, *, config_file: Path) -> None:
        """Prepare one; its port is chosen now, so that configurations can be made before it starts."""
        super().__init__(folder, program)
        self.choose_ports()
        self.config_file = config_file
        self.pid_file = folder / "haproxy.pid"

    def command(self) -> Sequence[str | Path]:
        """Return the command line."""
        return [self.program, "-W", "-f", self.config_file, "-p", self.pid_file]

    def is_ready(self) -> bool:
        """Return whether the master has written its pid file and a worker answers."""
        return self.pid_file.exists() and self.fetch("/").status > 0

    def main_config(self, text: str, *, more: str = "") -> str:
        """Return a whole configuration that answers every request with *text*, and *more* lines of its frontend."""
        user = "    user root\n" if os.geteuid() == 0 else ""
        return (
            f"global\n{user}    hard-stop-after 2s\n"
            "defaults\n    mode http\n    timeout client 5s\n    timeout server 5s\n    timeout connect 5s\n"
            f"frontend web\n    bind 127.0.0.1:{self.port}\n{more}"
            f'    http-request return status 200 content-type text/plain string "{text}"\n'
        )

    def fetch(self, path: str) -> Answer:
        """Return the answer to a GET."""
        return request("GET", self.address + path)
