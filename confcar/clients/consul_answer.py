"""What Consul answered, out of what py-consul makes of it and the headers that tell how good it is. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from urllib3 import HTTPHeaderDict

from confcar.clients.consul_catalog import Items, Subject


@dataclass(frozen=True, slots=True)
class Held:
    """What a prefix held.

    Attributes:
        body: The answer as it came.
        entries: Full key to value, without folders.
        changed: The keys that differ from those of the answer before; None where there was none to compare with.
    """

    body: bytes = field(repr=False)
    entries: Mapping[str, bytes] = field(repr=False)
    changed: frozenset[str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the store or the catalogue held for one read.

    Attributes:
        index: Consul's index of this state, at least 0. 0 must not be used to block.
        entries: Full key to value, without folders. Empty where there is nothing.
        items: What a read of the catalogue listed, in the order to show; empty for one of the store.
        may_hide: Whether ACLs may have left keys out without saying which.
        last_contact_seconds: How long the answering server had not heard from the leader.
        had_token: Whether a token was sent.
        knows_leader: Whether the answering server knew who leads.
        is_streamed: Whether the agent answered from what servers stream to it. Such an index may be above the one
            that a server gives for the same state, so the two do not compare.
        held: What a read of a prefix found, to be given to the next one; None for any other.
    """

    index: int
    entries: Mapping[str, bytes] = field(repr=False)
    may_hide: bool
    last_contact_seconds: float
    items: Items = field(default=(), repr=False)
    had_token: bool = False
    knows_leader: bool = True
    is_streamed: bool = False
    held: Held | None = field(default=None, repr=False)

    @property
    def fingerprint(self) -> int:
        """Hash of all it holds; equal within one process where that is equal."""
        return hash((frozenset(self.entries.items()), repr(self.items)))


@dataclass(frozen=True, slots=True)
class Names:
    """What a prefix holds, by name only.

    Attributes:
        keys: Sorted, without folders.
        may_hide: As in Answer.
    """

    keys: Sequence[str] = field(repr=False)
    may_hide: bool


class Reply(NamedTuple):
    """What py-consul made of an answer, its headers, and whether a token went with the request."""

    result: Any
    headers: HTTPHeaderDict
    had_token: bool


def kv_answer(reply: Reply) -> Answer:
    """Return the answer to a read of the store.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: It is not what Consul answers; so for `items_reader`'s.
    """
    index, found = reply.result
    items = found if isinstance(found, list) else [found] if found is not None else []
    entries = {item["Key"]: item["Value"] or b"" for item in items if not item["Key"].endswith("/")}
    return replace(_answer_of(reply, index), entries=entries)


def folder_answer(reply: Reply) -> Answer:
    """Return the answer to a read of a prefix; raises as `kv_answer`."""
    index, held = reply.result
    return replace(_answer_of(reply, index), entries=held.entries, held=held)


def keys_answer(reply: Reply) -> Answer:
    """Return the answer to a transaction that read keys; raises as `kv_answer`."""
    index, entries = reply.result
    return replace(_answer_of(reply, index), entries=entries, may_hide=True)


def names_of(reply: Reply) -> Names:
    """Return the answer to a listing of names; raises as `kv_answer`."""
    index, found = reply.result
    return Names(sorted(name for name in found or () if not name.endswith("/")), _answer_of(reply, index).may_hide)


def items_reader(subject: Subject) -> Callable[[Reply], Answer]:
    """Return what makes the answer to a read of the catalogue."""

    def read(reply: Reply) -> Answer:
        index, found = reply.result if isinstance(reply.result, tuple) else (0, reply.result)
        return replace(_answer_of(reply, index), items=subject.items_of(found))

    return read


def _answer_of(reply: Reply, index: str | int) -> Answer:
    headers = reply.headers
    # A listing leaves out what the token may not read. Consul tells who has a token that it did so, and others nothing.
    is_streamed = headers.get("X-Consul-Query-Backend") == "streaming"
    is_blind = not reply.had_token and headers.get("X-Consul-Default-ACL-Policy") == "deny"
    return Answer(
        index=max(0, int(index)),
        entries={},
        may_hide=is_blind or headers.get("X-Consul-Results-Filtered-By-ACLs") == "true",
        last_contact_seconds=int(headers.get("X-Consul-LastContact", "0")) / 1000,
        had_token=reply.had_token,
        # A streamed answer always says false, whoever leads.
        knows_leader=is_streamed or headers.get("X-Consul-KnownLeader") != "false",
        is_streamed=is_streamed,
    )
