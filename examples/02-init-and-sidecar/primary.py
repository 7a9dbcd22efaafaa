"""A primary that cannot start without its files and reloads by HTTP on a unix socket: `primary.py SHARED_DIRECTORY`."""

import json
import signal
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer

shared = Path(sys.argv[1])


def read(event: str) -> None:
    folder = (shared / "..data").resolve()  # once, so that both files are of one generation
    settings = json.loads((folder / "app.json").read_text())
    print(f"primary: {event}: {settings} {(folder / 'motd.txt').read_text().strip()}", flush=True)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        if self.path == "/-/reload":
            read(f"reload for generation {self.headers['Confcar-Generation']}")
        self.send_response(204 if self.path == "/-/reload" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
read("start")
(shared / "app.sock").unlink(missing_ok=True)
with UnixStreamServer(str(shared / "app.sock"), Handler) as server:
    server.serve_forever()
