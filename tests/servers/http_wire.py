"""HTTP/1.1 messages as the bytes they are: enough to pass them on, to know where they end, and to see what they ask.

Reads from a buffered binary stream; every function keeps the exact bytes, so that a proxy changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

_PIECE_BYTES = 16 * 1024
_BODILESS_STATUSES = {204, 304}
_FIRST_FINAL_STATUS = 200


class BrokenMessageError(Exception):
    """The stream ended inside a message; says in which part of it."""

    def __init__(self, *, part: str) -> None:
        super().__init__(f"the stream ended inside {part}")


@dataclass(frozen=True)
class Head:
    """The start line and the header fields of one message, *raw* with the empty line that ends them.

    Header names are in lower case; of a repeated one the last counts.
    """

    start: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def method(self) -> str:
        """Of a request: its method."""
        return self.start.split(" ")[0]

    @property
    def path(self) -> str:
        """Of a request: its path with the query."""
        return self.start.split(" ")[1]

    @property
    def status(self) -> int:
        """Of an answer: its status."""
        return int(self.start.split(" ")[1])

    @property
    def closes(self) -> bool:
        """Whether the sender closes the connection after this message."""
        return self.headers.get("connection", "").lower() == "close" or self.start.startswith("HTTP/1.0")


def read_head(stream: BinaryIO) -> Head | None:
    """Return the next message's head, None where the stream ends before it.

    Raises:
        BrokenMessageError: The stream ends inside it.
    """
    lines: list[bytes] = []
    while True:
        line = stream.readline()
        if not line and not lines:
            return None
        if not line.endswith(b"\n"):
            raise BrokenMessageError(part="a head")
        lines.append(line)
        if line.strip() == b"":
            break
    fields = (line.decode("latin-1").partition(":") for line in lines[1:-1])
    headers = {name.strip().lower(): value.strip() for name, _, value in fields}
    return Head(lines[0].decode("latin-1").strip(), headers, b"".join(lines))


def request_body(stream: BinaryIO, head: Head) -> Iterator[bytes]:
    """Yield the pieces of a request's body as they come; none where it has none."""
    if head.headers.get("transfer-encoding", "").lower() == "chunked":
        yield from _chunks(stream)
    else:
        yield from _exactly(stream, int(head.headers.get("content-length", "0")))


def answer_body(stream: BinaryIO, head: Head, *, method: str) -> Iterator[bytes]:
    """Yield the pieces of an answer's body as they come; *method* is that of its request."""
    if method == "HEAD" or head.status in _BODILESS_STATUSES or head.status < _FIRST_FINAL_STATUS:
        return
    if head.headers.get("transfer-encoding", "").lower() == "chunked":
        yield from _chunks(stream)
    elif "content-length" in head.headers:
        yield from _exactly(stream, int(head.headers["content-length"]))
    else:
        while piece := stream.read(_PIECE_BYTES):
            yield piece


def ends_with_the_connection(head: Head, *, method: str) -> bool:
    """Return whether the answer's body ends where the connection does, or the server says that it will close."""
    has_length = "content-length" in head.headers or "transfer-encoding" in head.headers
    is_bodiless = method == "HEAD" or head.status in _BODILESS_STATUSES
    return head.closes or not (has_length or is_bodiless)


def _exactly(stream: BinaryIO, count: int) -> Iterator[bytes]:
    while count:
        piece = stream.read(min(count, _PIECE_BYTES))
        if not piece:
            raise BrokenMessageError(part="a body")
        count -= len(piece)
        yield piece


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while True:
        line = stream.readline()
        if not line.endswith(b"\n"):
            raise BrokenMessageError(part="a chunked body")
        yield line
        size = int(line.split(b";")[0], 16)
        if size == 0:
            break
        yield from _exactly(stream, size + len(b"\r\n"))
    while (line := stream.readline()).strip():  # trailers
        yield line
    yield line
