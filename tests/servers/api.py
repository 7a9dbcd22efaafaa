"""One HTTP request by the standard library: no proxy, no redirect, a deadline, every status an answer."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

DEADLINE_SECONDS = 10.0


class UnexpectedAnswerError(Exception):
    """A server answered something else than the test needs."""


@dataclass(frozen=True)
class Answer:
    """A complete answer. Header names are as the server wrote them."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    @property
    def json(self) -> Any:  # noqa: ANN401 -- what the server sends
        """The body as JSON."""
        return json.loads(self.body)

    def expect(self, *statuses: int) -> Answer:
        """Return itself.

        Raises:
            UnexpectedAnswerError: The status is none of these; 200 and 204 where none is given.
        """
        if self.status not in (statuses or (200, 204)):
            raise UnexpectedAnswerError(f"HTTP {self.status}: {self.body[:500]!r}")
        return self


def request(
    method: str,
    url: str,
    *,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    timeout_seconds: float = DEADLINE_SECONDS,
) -> Answer:
    """Return the server's answer, whatever its status.

    Args:
        method: `GET`, `PUT`, …
        url: A plain `http://` URL.
        body: Bytes or text as they are; None for none; anything else as JSON.
        headers: More header fields.
        timeout_seconds: For connecting, and for each read.

    Raises:
        OSError: No connection or no answer in time; a retry may help.
        http.client.HTTPException: An answer that is not HTTP or breaks off.
    """
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    fields = dict(headers or {})
    if body is not None and not isinstance(body, bytes | str):
        body = json.dumps(body)
        fields.setdefault("Content-Type", "application/json")
    content = body.encode() if isinstance(body, str) else body
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_seconds)
    try:
        connection.request(method, target, body=content, headers=fields)
        response = connection.getresponse()
        return Answer(response.status, response.read(), dict(response.getheaders()))
    finally:
        connection.close()
