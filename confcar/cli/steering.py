"""`sync`, `reload` and `rollback`: ask the running sidecar, print what went wrong, end with its code."""

from __future__ import annotations

import json
import sys
from urllib.parse import quote

from confcar.cli.asking import NoAnswerError, Reply, Sidecar

# The sidecar answers after a minute at the latest.
_TIMEOUT_SECONDS = 75.0
_NO_ANSWER = 3
_REFUSED = 1


def sync(sidecar: Sidecar) -> int:
    """Have all sources read now and return the exit code."""
    return _command(sidecar, "/-/sync", done="synced: all sources are read, and all bundles are up to date")


def reload(sidecar: Sidecar) -> int:
    """Have config and templates read again and return the exit code."""
    return _command(sidecar, "/-/reload", done="reloaded: the config and the templates are in force")


def roll_back(sidecar: Sidecar, bundle: str) -> int:
    """Have a bundle go back to the generation before and return the exit code."""
    path = f"/-/rollback/{quote(bundle, safe='')}"
    return _command(sidecar, path, done=f"rolled back: {bundle} is at the generation before")


def _command(sidecar: Sidecar, path: str, *, done: str) -> int:
    try:
        reply = sidecar.ask(path, method="POST", timeout_seconds=_TIMEOUT_SECONDS)
    except NoAnswerError as error:
        print(f"confcar: {error}", file=sys.stderr)
        return _NO_ANSWER
    code, errors = _result(reply)
    for line in errors:
        print(line, file=sys.stderr)
    if not code:
        print(done)
    return code


def _result(reply: Reply) -> tuple[int, list[str]]:
    """Return exit code and errors of an answer; those that are no result, because it was refused, are an error too."""
    try:
        document = json.loads(reply.body)
        return int(document["code"]), [str(error) for error in document["errors"]]
    except (ValueError, KeyError, TypeError):
        return _REFUSED, [f"confcar: refused with {reply.status}: {reply.body.strip()}"]
