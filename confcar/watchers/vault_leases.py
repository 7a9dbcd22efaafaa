"""Everything a Vault source was given that may end: what is held now, and what was superseded and is still in use.

Bookkeeping behind one lock; no request is made here. Values never leave but as readings.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from confcar.backoff import Backoff
from confcar.handover.records import hash_of
from confcar.model import Dependency, Reading
from confcar.source_status import LeaseStatus
from confcar.watchers.vault_clocks import Clocks
from confcar.watchers.vault_lease_clock import Grant, LeaseClock, capped_clock
from confcar.watchers.vault_token import Token

_ENDING = frozenset({"renewable", "fixed", "certificate"})
_READ_AGAIN = frozenset({"polled", "static role"})


@dataclass(eq=False, slots=True)
class Lease:
    """One answer of the server and the clock of its life.

    Attributes:
        dependency: What it answers.
        data: Its fields; never shown.
        grant: What the server said of its life at first.
        clock: When its next step is due.
        cap: What bounds that, whatever a renewal gives: the end of a token that was replaced.
        token_hash: What the token is recognised by that it was made with, and dies with where it is a lease.
        issued_at: When it was asked for, in seconds since the epoch.
        until: When it ends, in whole seconds since the epoch; None where it does not.
        read_at: When to read or look it up again, in monotonic seconds.
        is_last: Whether the server renews it no more.
        is_gone: Whether the server does not know it any more.
        is_failing: Whether its last renewal failed and another may succeed.
        has_had_last_try: Whether one was made when it was to be replaced, since its last renewal that worked.
        follows_dead: Whether it was made because the one before had died before its time.
        overdue_polls: Of a static role: how often it was the same although it should have changed.
        renewal: Of a superseded one: its own pauses after failures.
    """

    dependency: Dependency
    data: Mapping[str, object] = field(repr=False)
    grant: Grant
    clock: LeaseClock = field(default_factory=LeaseClock)
    cap: LeaseClock = field(default_factory=LeaseClock)
    token_hash: str = ""
    issued_at: float = 0.0
    until: float | None = None
    read_at: float = math.inf
    is_last: bool = False
    is_gone: bool = False
    is_failing: bool = False
    has_had_last_try: bool = False
    follows_dead: bool = False
    overdue_polls: int = 0
    renewal: Backoff = field(default_factory=lambda: Backoff(1.0, 60.0), repr=False)

    @property
    def is_ending(self) -> bool:
        """Whether it dies by itself, and so has to be replaced."""
        return self.grant.shape in _ENDING

    @property
    def reading(self) -> Reading:
        """It as the store takes it."""
        return Reading(self.data, leased_until=self.until, follows_dead=self.follows_dead)

    def is_same_as(self, other: Lease) -> bool:
        """Whether reading again gave the same, whatever the server says of the time that is left."""
        is_read_again = self.grant.shape in _READ_AGAIN
        return is_read_again and {**self.data, "ttl": None} == {**other.data, "ttl": None}

    def is_over(self, now: float) -> bool:
        """Whether only a new one helps."""
        return self.is_gone or now >= self.clock.replace_at

    def gets_last_try(self, now: float) -> bool:
        """Whether one more renewal is to be tried before a new one, which is put off then: the server may be back.

        The last one that failed may be a whole back-off step ago.
        """
        is_hopeful = self.is_failing and not self.is_gone and self.clock.renew_at < math.inf
        if not is_hopeful or self.has_had_last_try:
            return False
        self.has_had_last_try = True
        self.clock.replace_at = now + (self.clock.ends_at - now) / 2
        return True

    def due_at(self) -> float:
        """Return when its next step is due, in monotonic seconds; infinite for never."""
        return -math.inf if self.is_gone else min(self.clock.renew_at, self.clock.replace_at, self.read_at)

    def wind(self, clock: LeaseClock, *, now: float, wall: float) -> None:
        """Go by another clock from now on; *now* and *wall* are the same moment by both kinds of clock."""
        self.clock = clock = capped_clock(clock, self.cap)
        self.until = None if clock.ends_at == math.inf else float(round(wall + clock.ends_at - now))


class Leases:
    """The leases of one source. Thread-safe.

    Args:
        clocks: The source's.
        token: The one in use now, None before the first login.
    """

    def __init__(self, clocks: Clocks, *, token: Token | None = None) -> None:
        self._clock = clocks.monotonic
        self._wall = clocks.wall
        self._lock = threading.Lock()
        self._current: dict[Dependency, Lease] = {}
        self._superseded: list[Lease] = []
        self._token_hash = hash_of(token.value) if token is not None else ""

    def current(self, dependency: Dependency) -> Lease | None:
        """Return what answers a dependency now; None where nothing was given yet."""
        with self._lock:
            return self._current.get(dependency)

    def put(self, lease: Lease) -> None:
        """Hold *lease*; what it supersedes is kept while it may be in use."""
        with self._lock:
            before = self._current.get(lease.dependency)
            self._forget_ended()
            self._current[lease.dependency] = lease
            if before is not None and before is not lease and before.grant.lease_id and not before.is_gone:
                self._superseded.append(before)

    def drop(self, dependency: Dependency) -> None:
        """Hold nothing for a dependency any more."""
        with self._lock:
            self._current.pop(dependency, None)

    def superseded(self, dependency: Dependency) -> list[Lease]:
        """Return what answered a dependency before, lives, and may still be in use."""
        with self._lock:
            return [lease for lease in self._living_superseded() if lease.dependency == dependency]

    def retain(self, in_use: Iterable[object]) -> None:
        """Keep no superseded lease alive any more but those whose data is one of these very objects."""
        used = {id(each) for each in in_use}
        with self._lock:
            for lease in self._living_superseded():
                if id(lease.data) not in used:
                    lease.clock.renew_at = math.inf

    def all(self) -> list[Lease]:
        """Return all that live, the superseded ones too."""
        with self._lock:
            now = self._clock()
            held = [lease for lease in self._current.values() if not lease.is_gone and now < lease.clock.ends_at]
            return [*held, *self._living_superseded()]

    def held(self) -> list[Lease]:
        """Return what answers now and lives."""
        with self._lock:
            now = self._clock()
            return [lease for lease in self._current.values() if not lease.is_gone and now < lease.clock.ends_at]

    def token_changed(self, token: Token, *, died: bool, cap: Callable[[], LeaseClock]) -> frozenset[Dependency]:
        """Take over that a source goes on with another token, and return what has to be looked after at once.

        Args:
            token: The new one.
            died: Whether the one before is dead, and all leases that it made with it.
            cap: Gives what bounds a lease whose token lives on for a while but is renewed no more.
        """
        with self._lock:
            before, self._token_hash = self._token_hash, hash_of(token.value)
            if not before or before == self._token_hash:
                return frozenset()
            found = [lease for lease in self._all_leases() if lease.token_hash == before]
            now, wall = self._clock(), self._wall()
            for lease in found:
                if died:
                    lease.is_gone = True
                else:
                    lease.cap = cap()
                    lease.wind(lease.clock, now=now, wall=wall)
            self._living_superseded()
            return frozenset(lease.dependency for lease in found)

    def status(self) -> tuple[LeaseStatus, ...]:
        """Return what may be shown of all that live and end, by path."""
        shown = [
            LeaseStatus(each.dependency.path, each.grant.shape == "renewable", each.until)
            for each in self.all()
            if each.is_ending
        ]
        return tuple(sorted(shown, key=lambda each: (each.path, each.ends_at or 0.0)))

    def _all_leases(self) -> list[Lease]:
        return [lease for lease in (*self._current.values(), *self._superseded) if lease.grant.lease_id]

    def _forget_ended(self) -> None:
        """Forget what has ended and was not replaced: nobody wants it, and paths may change for ever."""
        now = self._clock()
        self._current = {
            key: lease for key, lease in self._current.items() if not lease.is_ending or now < lease.clock.ends_at
        }

    def _living_superseded(self) -> list[Lease]:
        now = self._clock()
        self._superseded = [lease for lease in self._superseded if not lease.is_gone and now < lease.clock.ends_at]
        return list(self._superseded)
