"""The corner of Vault's API that confcar uses, for what a real server cannot be made to do on demand.

Tokens, mounts, secrets and an AppRole live in plain attributes; `script` puts any answer in the way of the next
requests to a path. Everything asked is remembered.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.fakes.vault_engines import Engine, Leases

ROLE_ID, SECRET_ID = "the-role-id-4711", "the-secret-id-0815"
_Answer = tuple[int, object, Mapping[str, str]]


@dataclass(frozen=True)
class Asked:
    """One request. *path* is unquoted and without `/v1/`; header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass
class VaultApi:
    """What the server holds and saw.

    Attributes:
        port: On 127.0.0.1.
        tokens: What `lookup-self` says, by token; any other token is refused everything.
        mounts: What the question for a mount says, by mount.
        secrets: What `data` is of a GET, by API path; a list for one asked with `list=true`.
        engines: What makes something new for each request, by API path.
        leases: Of what they made.
        capabilities: What `capabilities-self` says, by path; `root` of any other.
        denied: API paths that no policy allows.
        is_sealed: Whether everything is answered by 503.
        auth: What a login gives, and a renewal; `client_token` is counted up for each login.
        credentials: The body of a login that works, by its API path.
        logins: How many logins worked.
        asked: All requests in order.
    """

    port: int = 0
    tokens: dict[str, dict[str, object]] = field(default_factory=dict)
    mounts: dict[str, dict[str, object]] = field(default_factory=dict)
    secrets: dict[str, object] = field(default_factory=dict)
    engines: dict[str, Engine] = field(default_factory=dict)
    leases: Leases = field(default_factory=Leases)
    capabilities: dict[str, list[str]] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    is_sealed: bool = False
    auth: dict[str, object] = field(
        default_factory=lambda: {"lease_duration": 100, "renewable": True, "token_type": "service", "num_uses": 0}
    )
    credentials: dict[str, object] = field(
        default_factory=lambda: {"auth/approle/login": {"role_id": ROLE_ID, "secret_id": SECRET_ID}}
    )
    logins: int = 0
    asked: list[Asked] = field(default_factory=list)
    _scripts: dict[str, list[_Answer]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def address(self) -> str:
        """URL without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    def script(
        self, path: str, status: int, body: object = None, *, times: int = 1, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer the next *times* requests to an API path so; bytes go out as they are."""
        self._scripts.setdefault(path, []).extend([(status, body, headers or {})] * times)

    def add_token(self, value: str, *, ttl: int = 0, **more: object) -> None:
        """Make a token known."""
        known = {"ttl": ttl, "creation_ttl": ttl, "renewable": ttl > 0, "type": "service", "num_uses": 0}
        self.tokens[value] = {**known, "expire_time": "later" if ttl else None, **more}

    def add_kv(self, mount: str, version: int) -> None:
        """Mount a KV engine."""
        self.mounts[mount] = {"path": f"{mount}/", "type": "kv", "options": {"version": str(version)}}

    def put(self, api_path: str, data: Mapping[str, object]) -> None:
        """Make a KV v2 secret readable."""
        metadata = {"version": 1, "deletion_time": "", "destroyed": False}
        self.secrets[api_path] = {"data": dict(data), "metadata": metadata}

    def kill_token(self, value: str) -> None:
        """Forget a token, and every lease that hangs on it."""
        del self.tokens[value]
        self.leases.die_with(value)

    def count(self, path: str) -> int:
        """Return how many requests an API path got."""
        with self._lock:
            return sum(asked.path == path for asked in self.asked)

    def answer(self, asked: Asked) -> _Answer:
        """Note a request and return what it gets."""
        with self._lock:
            self.asked.append(asked)
            if scripted := self._scripts.get(asked.path):
                return scripted.pop(0)
            if self.is_sealed:
                return 503, {"errors": ["Vault is sealed"]}, {}
            if "/login" in asked.path:
                return self._login(asked)
            token = asked.headers.get("x-vault-token", "")
            if token not in self.tokens or asked.path in self.denied:
                return 403, {"errors": ["permission denied"]}, {}
            return self._known(asked, token)

    def _login(self, asked: Asked) -> _Answer:
        if asked.path not in self.credentials or asked.body != self.credentials[asked.path]:
            return 400, {"errors": ["invalid role or secret ID"]}, {}
        self.logins += 1
        value = f"login-token-{self.logins}"
        self.add_token(value, ttl=int(str(self.auth["lease_duration"])))
        return 200, {"auth": {"client_token": value, **self.auth}}, {}

    def _known(self, asked: Asked, token: str) -> _Answer:
        if asked.path == "auth/token/lookup-self":
            return 200, {"data": {"id": token, **self.tokens[token]}}, {}
        if asked.path == "auth/token/revoke-self":
            del self.tokens[token]
            return 204, None, {}
        if asked.path == "auth/token/renew-self":
            return 200, {"auth": {"client_token": token, **self.auth}}, {}
        if asked.path.startswith("sys/internal/ui/mounts/"):
            wanted = asked.path.removeprefix("sys/internal/ui/mounts/") + "/"
            found = next((known for mount, known in self.mounts.items() if wanted.startswith(f"{mount}/")), None)
            return (200, {"data": found}, {}) if found else (403, {"errors": ["preflight capability check"]}, {})
        return self._held(asked, token)

    def _held(self, asked: Asked, token: str) -> _Answer:
        if asked.path == "sys/capabilities-self":
            return 200, {"capabilities": self.capabilities.get(asked.body["paths"][0], ["root"])}, {}
        if asked.path.startswith("sys/leases/"):
            return self.leases.serve(asked.path.removeprefix("sys/leases/"), asked.body)
        if (engine := self.engines.get(asked.path)) is not None:
            return self.leases.make(engine, asked.path, token)
        held = self.secrets.get(asked.path)
        if held is None:
            return 404, {"errors": []}, {}
        is_gone = isinstance(held, dict) and "metadata" in held and held.get("data") is None
        return 404 if is_gone else 200, {"lease_id": "", "lease_duration": 2764800, "data": held}, {}


@contextmanager
def running_vault() -> Iterator[VaultApi]:
    """Yield a server on a free port."""
    api = VaultApi()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(api))
    server.daemon_threads = True
    api.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler_for(api: VaultApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # the answer leaves in one piece, not head and body apart
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
            pass

        def _serve(self) -> None:
            url = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            path = unquote(url.path).removeprefix("/v1/")
            asked = Asked(self.command, path, dict(parse_qsl(url.query)), headers, json.loads(raw) if raw else None)
            status, body, more = api.answer(asked)
            data = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
            data = b"" if status == HTTPStatus.NO_CONTENT else data
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
            self.wfile.flush()

        do_GET = do_PUT = do_POST = _serve  # noqa: N815 - the names are the library's

    return Handler
