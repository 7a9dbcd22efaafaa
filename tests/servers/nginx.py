"""A real nginx: a primary that reads its configuration and files again on SIGHUP."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from tests.servers.api import Answer, request
from tests.servers.process import Server

_PATHS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class NginxServer(Server):
    """One nginx master with one worker, in the foreground, serving on `port`.

    Attributes:
        config_file: The configuration it is started with; `folder/nginx.conf` unless given.
        pid_file: Where the master writes its process id.
    """

    def __init__(self, folder: Path, program: Path, *, config_file: Path | None = None) -> None:
        """Prepare one; its port is chosen now, so that configurations can be made before it starts."""
        super().__init__(folder, program)
        self.choose_ports()
        self.config_file = config_file or folder / "nginx.conf"
        self.pid_file = folder / "nginx.pid"

    def command(self) -> Sequence[str | Path]:
        """Return the command line."""
        return [self.program, "-p", f"{self.folder}/", "-e", "stderr", "-c", self.config_file]

    def is_ready(self) -> bool:
        """Return whether the master has written its pid file and a worker answers."""
        return self.pid_file.exists() and self.fetch("/").status > 0

    def main_config(self, locations: str) -> str:
        """Return a whole configuration for this server around some `location` blocks.

        It writes nothing outside the server's folder and can be checked with `nginx -t -p FOLDER -e stderr -c FILE`.
        """
        temporary = "\n".join(f"    {name}_temp_path {self.folder}/temp_{name};" for name in _PATHS)
        # As root the worker would drop to `nobody`, who cannot read below a test's folder.
        user = "user root;\n" if os.geteuid() == 0 else ""
        return (
            f"{user}daemon off;\nmaster_process on;\nworker_processes 1;\n"
            f"pid {self.pid_file};\nerror_log stderr notice;\n"
            "events { worker_connections 64; }\n"
            "http {\n"
            f"    access_log off;\n{temporary}\n"
            f"    server {{\n        listen 127.0.0.1:{self.port};\n        {locations}\n    }}\n"
            "}\n"
        )

    def serve_text(self, text: str) -> None:
        """Write a configuration that answers every request with this text; it counts from the next start or reload."""
        self.config_file.write_text(self.main_config(f'location / {{ return 200 "{text}"; }}'))

    def reload(self) -> None:
        """Send the master SIGHUP; returns before the new configuration counts."""
        os.kill(self.pid, signal.SIGHUP)

    def fetch(self, path: str) -> Answer:
        """Return the answer to a GET."""
        return request("GET", self.address + path)
