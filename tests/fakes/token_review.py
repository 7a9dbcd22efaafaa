"""The corner of Kubernetes' API that a Vault asks: whose is this service account token?

A fake, because a Kubernetes API server comes as no package. The Vault that asks it is a real one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"


@dataclass
class TokenReviews:
    """What it knows and was asked.

    Attributes:
        port: On 127.0.0.1.
        accounts: `namespace:name:uid` by token; any other token is not authenticated.
        asked: The tokens it was asked for.
    """

    port: int = 0
    accounts: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def review(self, token: str) -> dict[str, object]:
        """Return the status of a review."""
        self.asked.append(token)
        if token not in self.accounts:
            return {"authenticated": False, "error": "invalid bearer token"}
        namespace, name, uid = self.accounts[token].split(":")
        user = {
            "username": f"system:serviceaccount:{namespace}:{name}",
            "uid": uid,
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"],
        }
        return {"authenticated": True, "user": user}


@contextmanager
def running_token_reviews() -> Iterator[TokenReviews]:
    """Yield one on a free port."""
    reviews = TokenReviews()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
            pass

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = reviews.review(asked["spec"]["token"])
            answer = {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status}
            data = json.dumps(answer).encode()
            self.send_response(201 if self.path == _PATH else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    reviews.port = server.server_port
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield reviews
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
