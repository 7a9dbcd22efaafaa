"""A semaphore in Consul, in the layout of `consul lock -n` (hashicorp/consul, api/semaphore.go); both can share one.

Below the folder each contender has a key named by its session and held by it; `.lock` is a document
`{"Limit": 2, "Holders": {"<session>": true}}` that is only changed against its index. A holder whose key is gone is
dead and does not count. Knows no time and no thread: `turn` repeats.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from confcar.clients.consul_session import ConsulSessions, Entry, Listing
from confcar.errors import SourceDataError

FLAGS = 0xE0F69A2BAA414DE0
"""Marks a key as part of a semaphore; SemaphoreFlagValue in Consul's library."""
_DOCUMENT = ".lock"
_MOST_TRIES = 5
_MOST_SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with the semaphore.

    Attributes:
        holders: The living holders: session to the name it gave itself, which may be empty.
        is_free: Whether a slot can be taken now.
        conflict: Why no slot can be taken although there may be one; empty where nothing is wrong.
    """

    holders: Mapping[str, str]
    is_free: bool
    conflict: str = ""


class Semaphore:
    """One semaphore. Its methods ask nothing but *sessions*, and raise what that raises.

    Args:
        sessions: The Consul that it is in.
        folder: Its folder, without a slash at either end.
        slots: How many may hold it at once, at least 1.
    """

    def __init__(self, sessions: ConsulSessions, folder: str, *, slots: int) -> None:
        self._sessions = sessions
        self.folder = folder
        """Where it is."""
        self._slots = slots

    def contend(self, session: str, name: str) -> bool:
        """Show that *session* lives and wants a slot; *name* is for people. Return whether Consul took it."""
        return self._sessions.acquire(f"{self.folder}/{session}", name.encode(), flags=FLAGS, session=session)

    def is_contending(self, session: str, listing: Listing) -> bool:
        """Return whether the session was alive, and known to want a slot, when *listing* was made."""
        entry = listing.entries.get(f"{self.folder}/{session}")
        return entry is not None and entry.session == session

    def holds(self, session: str, listing: Listing) -> bool:
        """Return whether *session* lived and had a slot when *listing* was made."""
        return session in self.standing(listing).holders and self._agrees(listing)

    def standing(self, listing: Listing) -> Standing:
        """Return how it stands, by a listing of the folder.

        Raises:
            SourceDataError: The document's key is used for something else.
        """
        entry = self._document(listing)
        if entry is not None and entry.flags != FLAGS:
            return self._foreign(entry)
        limit, sessions = self._content(entry)
        living = {each.session: _shown(each.value) for each in listing.entries.values() if each.session}
        holders = {session: living[session] for session in sessions if session in living}
        if holders and limit != self._slots:
            conflict = (
                f"its holders agreed on {limit} at once and `slots` is {self._slots} here; "
                "give the same number to all that share the key"
            )
            return Standing(holders, is_free=False, conflict=conflict)
        return Standing(holders, is_free=len(holders) < self._slots)

    def take(self, session: str, listing: Listing) -> bool:
        """Take a slot where it still stands as in *listing*, which must show a free one; return whether it did."""
        entry = self._document(listing)
        holders = [*self.standing(listing).holders, session]
        return self._write(entry, self._slots, holders)

    def tidy(self, session: str) -> None:
        """Take a session that has ended out of the document, and the document away where it is the last."""
        for _ in range(_MOST_TRIES):
            listing = self._sessions.list(self.folder)
            entry = self._document(listing)
            if entry is None or entry.flags != FLAGS:
                return
            limit, named = self._content(entry)
            if session not in named:
                return
            # Without a document the next holder sets its own number of slots: that is how a fleet changes it.
            holders = [each for each in self.standing(listing).holders if each != session]
            if self._write(entry, limit, holders) if holders else self._delete(entry):
                return

    def _document(self, listing: Listing) -> Entry | None:
        return listing.entries.get(f"{self.folder}/{_DOCUMENT}")

    def _agrees(self, listing: Listing) -> bool:
        return self._content(self._document(listing))[0] == self._slots

    def _write(self, entry: Entry | None, limit: int, holders: list[str]) -> bool:
        content = json.dumps({"Limit": limit, "Holders": dict.fromkeys(holders, True)}).encode()
        since = 0 if entry is None else entry.modify_index
        return self._sessions.put(f"{self.folder}/{_DOCUMENT}", content, flags=FLAGS, unchanged_since=since)

    def _delete(self, entry: Entry) -> bool:
        return self._sessions.delete(f"{self.folder}/{_DOCUMENT}", unchanged_since=entry.modify_index)

    def _content(self, entry: Entry | None) -> tuple[int, tuple[str, ...]]:
        if entry is None or not entry.value:
            return self._slots, ()
        try:
            document = json.loads(entry.value)
            return int(document["Limit"]), tuple(document["Holders"] or ())
        except (LookupError, TypeError, ValueError):
            raise SourceDataError(f"{self._place} is not the document of a semaphore") from None

    def _foreign(self, entry: Entry) -> Standing:
        if not entry.session:
            raise SourceDataError(f"{self._place} is used for something else than a semaphore")
        conflict = f"{self._place} is held as a plain lock; `consul lock` makes a semaphore with -n 2 or more only"
        return Standing({entry.session: ""}, is_free=False, conflict=conflict)

    @property
    def _place(self) -> str:
        return f"Consul's key {self.folder}/{_DOCUMENT}"


def _shown(value: bytes) -> str:
    """Return what a contender calls itself, fit for a line: anybody may have written it."""
    text = value[:_MOST_SHOWN_CHARACTERS].decode("ascii", "replace")
    return "".join(each for each in text if each.isprintable() and each != "\N{REPLACEMENT CHARACTER}")
