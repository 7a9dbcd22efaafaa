"""What the listener answers to which path and method."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from confcar.admin.commands import CommandResult, Commands
from confcar.admin.documents import readiness, status_document
from confcar.status import Status

TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"
_ROLLBACK = "/-/rollback/"
# By exit code: a broken config is the asker's to repair, an absent source another server's.
_STATUS_OF_CODE = {0: 200, 2: 422, 3: 502}
_CODE_OF_USAGE = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back.

    Attributes:
        status: HTTP's.
        content_type: Of the body.
        body: As bytes.
        headers: More of them.
    """

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


Route = Callable[[], Answer]


class Routes:
    """Looks up what answers. Thread-safe.

    Args:
        status: What GETs show.
        version: confcar's.
        commands: What POSTs do; None where nothing can be asked for.
    """

    def __init__(self, status: Status, *, version: str, commands: Commands | None) -> None:
        self._status = status
        self._version = version
        self._commands = commands
        self._get: Mapping[str, Route] = {
            "/": self._page,
            "/healthz": self._healthz,
            "/metrics": self._metrics,
            "/readyz": self._readyz,
            "/status": self._document,
        }

    def find(self, path: str) -> Mapping[str, Route]:
        """Return what answers a path, by method; empty where nothing does."""
        if path in self._get:
            return {"GET": self._get[path], "HEAD": self._get[path]}
        commands = self._commands
        if commands is None:
            return {}
        if path == "/-/sync":
            return {"POST": lambda: _command_answer(commands.sync())}
        if path == "/-/reload":
            return {"POST": lambda: _command_answer(commands.reload())}
        if path.startswith(_ROLLBACK) and len(path) > len(_ROLLBACK):
            name = unquote(path.removeprefix(_ROLLBACK))
            return {"POST": lambda: self._roll_back(commands, name)}
        return {}

    def not_found(self) -> Answer:
        """Return the answer to a path that nothing answers."""
        posts = ", POST /-/reload, /-/rollback/BUNDLE, /-/sync" if self._commands is not None else ""
        return Answer(404, TEXT, f"not found; there is {', '.join(sorted(self._get))}{posts}\n".encode())

    def _page(self) -> Answer:
        from confcar.admin.page import HEADERS, render_page

        return Answer(200, "text/html; charset=utf-8", render_page(self._status.copy(), self._version), HEADERS)

    def _healthz(self) -> Answer:
        late = self._status.copy().late
        if late:
            return Answer(503, TEXT, ("".join(f"{loop}: does not move\n" for loop in late)).encode())
        return Answer(200, TEXT, b"ok\n")

    def _readyz(self) -> Answer:
        is_ready, reasons = readiness(self._status.copy())
        body = "".join(f"{line}\n" for line in reasons) or "ok\n"
        return Answer(200 if is_ready else 503, TEXT, body.encode())

    def _document(self) -> Answer:
        return _json_answer(200, status_document(self._status.copy(), self._version))

    def _metrics(self) -> Answer:
        from confcar.admin.metrics import CONTENT_TYPE, exposition

        return Answer(200, CONTENT_TYPE, exposition(self._status.copy(), self._version))

    def _roll_back(self, commands: Commands, name: str) -> Answer:
        from difflib import get_close_matches

        known = list(self._status.copy().bundles)
        if name in known:
            return _command_answer(commands.roll_back(name))
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else f"; there is {', '.join(known)}"
        result = CommandResult(_CODE_OF_USAGE, (f"there is no bundle of this name{hint}",))
        return _command_answer(result, status=404)


def _command_answer(result: CommandResult, *, status: int | None = None) -> Answer:
    document = {"code": result.code, "errors": list(result.errors)}
    return _json_answer(status or _STATUS_OF_CODE.get(result.code, 500), document)


def _json_answer(status: int, document: Mapping[str, object]) -> Answer:
    return Answer(status, _JSON, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())
