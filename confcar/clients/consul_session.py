"""Consul sessions, and the keys that are held by them: what a semaphore among many clients is made of.

Every read is consistent, whatever the source's `consistency` says: who holds a slot is decided by it. Waiting has a
connection of its own, so that renewing a session never queues behind it, and so that it can be ended alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from confcar.clients.consul import DEFAULT_ADDRESS
from confcar.clients.consul_answer import Reply
from confcar.clients.consul_errors import not_consul
from confcar.clients.consul_http import MILLISECONDS, Http, Library
from confcar.clients.transport import Transport
from confcar.config.sources import ConsulOptions

SESSION_SECONDS = 15
"""How long a session lives without being renewed, at least; Consul may take twice as long to end it."""
# Far below a session's time: who waits for an answer has to decide something before that is over.
_REQUEST_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One key.

    Attributes:
        value: May be empty.
        flags: 0 to 2**64 - 1.
        session: The session that holds the key; empty where none does.
        modify_index: What the key may be changed against; at least 1.
    """

    value: bytes = field(repr=False)
    flags: int
    session: str
    modify_index: int


@dataclass(frozen=True, slots=True)
class Listing:
    """All keys below a folder, by their full names, and the index to wait on; 0 must not be waited on."""

    index: int
    entries: Mapping[str, Entry]


class ConsulSessions:
    """Sessions and held keys in one Consul. Thread-safe; a call blocks for at most 5 s, a wait for as long as it says.

    All methods raise SourceUnavailableError (no leader, no answer, not Consul; worth a retry), SourceDeniedError (the
    token may not, is unknown, or cannot be read) and SourceDataError (refused for another reason, or redirected).

    Args:
        options: The source, as configured.

    Raises:
        ValueError: The address is no URL.
    """

    def __init__(self, options: ConsulOptions) -> None:
        address = options.address or DEFAULT_ADDRESS
        self._waiting = Transport(address, tls=options.tls, max_connections=1)
        self._acting = Transport(address, tls=options.tls, max_connections=1)
        self._waits, self._acts = (
            Library(
                Http(transport, options, "consistent", on_request=_uncounted, timeout_seconds=_REQUEST_SECONDS),
                options.datacenter,
            )
            for transport in (self._waiting, self._acting)
        )

    def create(self, name: str) -> str:
        """Make a session of SESSION_SECONDS, whose keys are deleted when it ends, and return its id.

        It also ends when the node of the agent that is asked leaves, but not when that is only taken for failed: the
        time is enough to notice who is dead, and a cluster that is wrong about a node must not free what it holds.
        There is no lock-delay: it would keep a key from its next holder for a while, and the keys of a semaphore's
        contenders never have a next one.
        """
        create = self._acts.session.create
        reply = create(name, checks=[], behavior="delete", ttl=SESSION_SECONDS, lock_delay=0)
        return _text(reply, self._acting.server)

    def renew(self, session: str) -> bool:
        """Let a session live on for SESSION_SECONDS from now; return False where it is no longer there."""
        return cast("Reply", self._acts.session.renew(session)).result is not None

    def destroy(self, session: str) -> None:
        """End a session and delete its keys; nothing where it has ended."""
        self._acts.session.destroy(session)

    def acquire(self, key: str, value: bytes, *, flags: int, session: str) -> bool:
        """Write a key that *session* holds from now on; return False where it cannot."""
        return _is_done(self._acts.kv.put(key, value, flags=flags, acquire=session))

    def put(self, key: str, value: bytes, *, flags: int, unchanged_since: int) -> bool:
        """Write a key where its index still is *unchanged_since* (0: it is not there); return whether that was so."""
        return _is_done(self._acts.kv.put(key, value, flags=flags, cas=unchanged_since))

    def delete(self, key: str, *, unchanged_since: int) -> bool:
        """Delete a key where its index still is *unchanged_since*, above 0; return whether that was so."""
        return _is_done(self._acts.kv.delete(key, cas=unchanged_since))

    def list(self, folder: str) -> Listing:
        """Return all keys below a folder, as the leader has them now."""
        return self._list(self._acts, folder, {})

    def wait(self, folder: str, *, after: int, wait_seconds: float) -> Listing:
        """Return all keys below a folder once its index is not *after* any more, or after *wait_seconds*.

        Blocks for a little more than a second longer at most, then the server is taken for stuck.
        """
        wait = f"{max(1, round(wait_seconds * 1000))}{MILLISECONDS}"
        return self._list(self._waits, folder, {"index": str(after), "wait": wait})

    def interrupt(self) -> None:
        """End the wait that is under way, and every later one, at once."""
        self._waiting.close()

    def close(self) -> None:
        """End every call under way at once and hold no connection any more; may be called twice."""
        self._waiting.close()
        self._acting.close()

    def _list(self, library: Library, folder: str, blocking: Mapping[str, str]) -> Listing:
        reply = library.kv.get(f"{folder}/", recurse=True, **blocking)
        try:
            index, found = reply.result
            return Listing(max(0, int(index)), {item["Key"]: _entry(item) for item in found or ()})
        except (LookupError, TypeError, ValueError, AttributeError):
            raise not_consul(self._acting.server, "unknown content") from None


def _entry(item: Mapping[str, Any]) -> Entry:
    return Entry(item["Value"] or b"", int(item["Flags"]), item.get("Session", ""), int(item["ModifyIndex"]))


def _is_done(reply: Reply) -> bool:
    return reply.result is True


def _text(reply: Reply, server: str) -> str:
    if isinstance(reply.result, str) and reply.result:
        return reply.result
    raise not_consul(server, "no session id")


def _uncounted(code: str) -> None:
    """Not counted as the source's requests: they say nothing of its data."""
    del code
