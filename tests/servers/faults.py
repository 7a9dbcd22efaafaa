"""The switches of the fault proxy, and its memory of the requests it saw. Safe from any thread."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from tests.servers.http_wire import Head


@dataclass(frozen=True)
class Seen:
    """One request that reached the proxy.

    Attributes:
        at: `time.monotonic()` when its head was complete.
        method: Its method.
        path: Its path with the query.
        headers: Its header fields, names in lower case.
    """

    at: float
    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class Fault:
    """What happens to requests whose path matches.

    Attributes:
        pattern: Searched in path and query.
        times: For how many requests more; None until healed.
        delay_seconds: How long a request waits before it goes on.
        answer: A whole answer that is sent instead of the server's; None for the server's.
        cut_after_bytes: After how many bytes of the server's body the connection ends; None for not at all.
        holds: Whether the request is never answered.
    """

    pattern: re.Pattern[str]
    times: int | None = None
    delay_seconds: float = 0.0
    answer: bytes | None = None
    cut_after_bytes: int | None = None
    holds: bool = False


class Faults:
    """Switches that count for the next requests, until `clear`; several that match one request all count."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._faults: list[Fault] = []
        self._seen: list[Seen] = []

    def black_hole(self, path: str = "") -> None:
        """Take requests and never answer them; one that is held now stays so until its client leaves."""
        self._add(Fault(re.compile(path), holds=True))

    def delay(self, seconds: float, *, path: str = "", times: int | None = None) -> None:
        """Pass requests on so much later."""
        self._add(Fault(re.compile(path), times, delay_seconds=seconds))

    def cut(self, after_bytes: int, *, path: str = "", times: int | None = None) -> None:
        """Pass the answer's head and so many bytes of its body on, then end the connection."""
        self._add(Fault(re.compile(path), times, cut_after_bytes=after_bytes))

    def answer(
        self,
        status: int,
        *,
        path: str = "",
        times: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"{}",
    ) -> None:
        """Answer requests here, without the server.

        Args:
            status: Of the answer.
            path: Regular expression that is searched in path and query; empty for every request.
            times: For so many requests; None until `clear`.
            headers: More header fields, such as `{"Retry-After": "2"}`.
            body: Of the answer.
        """
        fields = {"Content-Type": "application/json", **(headers or {}), "Content-Length": str(len(body))}
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {fields[name]}" for name in fields)]
        raw = "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n" + body
        self._add(Fault(re.compile(path), times, answer=raw))

    def clear(self) -> None:
        """Throw all switches back."""
        with self._guard:
            self._faults.clear()

    def seen(self, path: str = "") -> list[Seen]:
        """Return the requests so far, in order; *path* is a regular expression searched in path and query."""
        with self._guard:
            return [request for request in self._seen if re.search(path, request.path)]

    def count(self, path: str = "") -> int:
        """Return how many requests there were so far."""
        return len(self.seen(path))

    def forget(self) -> None:
        """Count from 0 again."""
        with self._guard:
            self._seen.clear()

    def faults_for(self, head: Head) -> list[Fault]:
        """Note the request, and return the faults that it meets, each counted down."""
        with self._guard:
            self._seen.append(Seen(time.monotonic(), head.method, head.path, head.headers))
            met = [fault for fault in self._faults if fault.times != 0 and fault.pattern.search(head.path)]
            for fault in met:
                if fault.times is not None:
                    fault.times -= 1
            return met

    def _add(self, fault: Fault) -> None:
        with self._guard:
            self._faults.append(fault)
