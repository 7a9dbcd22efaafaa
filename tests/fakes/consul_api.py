"""Consul's KV API in this process: blocking queries as they are, and faults that a real Consul never shows."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fakes.tcp import TcpServer, answer, read_request

_LONGEST_WAIT_SECONDS = 300.0


@dataclass(frozen=True)
class Asked:
    """One request: the key as the server reads it, the parameters, and the headers by their names in small letters."""

    target: str
    key: str
    params: Mapping[str, str]
    headers: Mapping[str, str]


Fault = Callable[[Asked], bytes | None]
"""Returns the bytes to answer with instead; empty to close without an answer, None for the normal answer."""


class FakeConsul:
    """One agent. Set the attributes to change its behaviour; a context manager that starts and stops it.

    Attributes:
        fault: Consulted before each answer.
        headers: Replace headers of the answers; None leaves one out.
        hidden: Prefixes whose keys a listing leaves out and a read refuses.
        asked: All requests, in order.
        index: The store's, raised by each write.
    """

    def __init__(self) -> None:
        self.fault: Fault = lambda _: None
        self.headers: dict[str, str | None] = {}
        self.hidden: tuple[str, ...] = ()
        self.asked: list[Asked] = []
        self.index = 10
        self._changed = threading.Condition()
        self._entries: dict[str, tuple[bytes | None, int]] = {}
        self._server: TcpServer | None = None

    def __enter__(self) -> Self:
        self._server = TcpServer(self._converse)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.server.stop()
        with self._changed:
            self._changed.notify_all()

    @property
    def server(self) -> TcpServer:
        """The listener, with its counts of connections."""
        assert self._server is not None
        return self._server

    @property
    def address(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.server.port}"

    def put(self, key: str, value: bytes | None) -> None:
        """Write one key; None is Consul's null, which an empty value is."""
        with self._changed:
            self.index += 1
            self._entries[key] = (value, self.index)
            self._changed.notify_all()

    def delete(self, key: str) -> None:
        """Delete one key."""
        with self._changed:
            self.index += 1
            del self._entries[key]
            self._changed.notify_all()

    def restore(self, entries: Mapping[str, bytes], *, index: int) -> None:
        """Become another server: these keys, this index, whatever they were."""
        with self._changed:
            self.index = index
            self._entries = {key: (value, index) for key, value in entries.items()}
            self._changed.notify_all()

    def end_blocking(self) -> None:
        """Let all queries that block answer now, with what there is."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()

    _is_ending = False

    def _converse(self, sock: socket.socket) -> None:
        while (head := read_request(sock)) is not None:
            asked = _parsed(head)
            self.asked.append(asked)
            canned = self.fault(asked)
            if canned is None:
                self._block(asked)
                canned = self.fault(asked) or self._normal(asked)
            if not canned:
                return
            sock.sendall(canned)

    def _block(self, asked: Asked) -> None:
        after = int(asked.params.get("index", "0"))
        if after <= 0:
            return
        wait = min(_seconds(asked.params.get("wait", "5m")), _LONGEST_WAIT_SECONDS)
        with self._changed:
            self._changed.wait_for(
                lambda: self._index_of(asked) > after or self._is_ending or self.server.stopping.is_set(), wait
            )

    def _found(self, asked: Asked) -> dict[str, tuple[bytes | None, int]]:
        if "recurse" in asked.params:
            return {key: entry for key, entry in self._entries.items() if key.startswith(asked.key)}
        return {asked.key: self._entries[asked.key]} if asked.key in self._entries else {}

    def _index_of(self, asked: Asked) -> int:
        found = self._found(asked)
        # What is not there has the whole store's index, so every write wakes it; so does, here, what a listing lost.
        return max((index for _, index in found.values()), default=self.index) if found else self.index

    def _normal(self, asked: Asked) -> bytes:
        with self._changed:
            found, index = self._found(asked), self._index_of(asked)
        shown = (
            {key: entry for key, entry in found.items() if not key.startswith(self.hidden)} if self.hidden else found
        )
        if self.hidden and "recurse" not in asked.params and asked.key.startswith(self.hidden):
            return answer(b"Permission denied: lacks permission", status="403 Forbidden")
        headers: dict[str, str | None] = {"X-Consul-Index": str(index), "X-Consul-KnownLeader": "true"}
        headers["X-Consul-LastContact"] = "0"
        if len(shown) < len(found) and "x-consul-token" in asked.headers:
            headers["X-Consul-Results-Filtered-By-ACLs"] = "true"
        headers |= self.headers
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
        if not shown:
            return answer(b"", status="404 Not Found", headers=lines)
        return answer(json.dumps([_item(key, *shown[key]) for key in sorted(shown)]).encode(), headers=lines)


def _item(key: str, value: bytes | None, index: int) -> dict[str, object]:
    encoded = None if value is None else base64.b64encode(value).decode()
    return {"Key": key, "Value": encoded, "ModifyIndex": index, "CreateIndex": index, "Flags": 0, "LockIndex": 0}


def _parsed(head: bytes) -> Asked:
    first, *lines = head.decode("latin-1").split("\r\n")
    target = first.split(" ")[1]
    url = urlsplit(target)
    params = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
    return Asked(target, unquote(url.path.removeprefix("/v1/kv/")), params, headers)


def _seconds(duration: str) -> float:
    units = {"ms": 0.001, "s": 1.0, "m": 60.0}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m)", duration))
