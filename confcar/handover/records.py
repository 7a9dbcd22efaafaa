"""What is handed over, as plain values, and how it stands in the file.

The file's text is made and understood here; who may read it, and where it lies, is `file`'s matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError


@dataclass(frozen=True, slots=True)
class SourceKey:
    """Which login of which server an entry belongs to; it serves no other.

    Attributes:
        source: The source's name in the config.
        address: URL of the server.
        namespace: Empty for none.
        method: How the source logs in.
        mount: Path of the auth method; empty where the method has none.
        role: Role, user or certificate name, or the file that names it; empty where there is none.
    """

    source: str
    address: str
    namespace: str
    method: str
    mount: str
    role: str


@dataclass(frozen=True, slots=True)
class HandedToken:
    """A token as it was last seen alive; only the server can say whether it still is.

    Attributes:
        value: The token itself, never shown.
    """

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class HandedLease:
    """One answer of the server that is not to be asked for again while it lives.

    Attributes:
        kind: The template function that asked, e.g. `secret`.
        path: What it asked for.
        params: With which parameters, JSON-like.
        lease_id: Empty for an answer without a lease, such as a certificate.
        renewable: Whether the lease can be renewed.
        lease_duration_seconds: What was granted last, at least 0.
        issued_at: When the answer was given, seconds since the epoch.
        expires_at: When it ends unless it is renewed, seconds since the epoch; None where it does not.
        data: The answer, JSON-like; never shown.
        token_hash: `hash_of` the token it hangs on: it dies with that one.
    """

    kind: str
    path: str
    params: Mapping[str, Any]
    lease_id: str
    renewable: bool
    lease_duration_seconds: float
    issued_at: float
    expires_at: float | None
    data: Mapping[str, Any] = field(repr=False)
    token_hash: str


@dataclass(frozen=True, slots=True)
class HandedSource:
    """All that is handed over for one source. *token* is None where there is none to take over."""

    token: HandedToken | None = None
    leases: tuple[HandedLease, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    key: SourceKey
    held: HandedSource


@dataclass(frozen=True, slots=True)
class _Document:
    sources: tuple[_Entry, ...]
    format: Literal[1] = 1


Entries = Mapping[SourceKey, HandedSource]
"""What one file holds."""


def hash_of(token: str) -> str:
    """Return what a token is recognised by, without giving it away."""
    return sha256(token.encode()).hexdigest()


def dump(entries: Entries) -> bytes:
    """Return the file's content."""
    return _adapter().dump_json(_Document(tuple(_Entry(key, held) for key, held in entries.items()))) + b"\n"


def parse(content: bytes) -> dict[SourceKey, HandedSource]:
    """Return what a file's content holds.

    Raises:
        ValueError: It is damaged, or another version's; the text shows nothing of it.
    """
    try:
        document = _adapter().validate_json(content, strict=True)
    except ValidationError:
        message = "it is damaged, or from another version of confcar"
        raise ValueError(message) from None
    return {entry.key: entry.held for entry in document.sources}


@cache
def _adapter() -> TypeAdapter[_Document]:
    return TypeAdapter(_Document)
