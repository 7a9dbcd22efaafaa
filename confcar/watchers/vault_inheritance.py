"""Leases over the end of a process: what an earlier one left, and what this one leaves.

Nothing is proven here: what is found is what the file says, by the clock. What nobody has asked for yet stays in the
file until it ends.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from confcar.handover.handover import Handover
from confcar.handover.records import HandedLease, SourceKey
from confcar.model import BY_READING, Dependency
from confcar.watchers.vault_clocks import Clocks
from confcar.watchers.vault_lease_clock import LeaseClock, clock_of, grant_of
from confcar.watchers.vault_leases import Lease

# Reading these creates nothing, so that there is nothing to save for the next process.
_READ_AGAIN = frozenset({"polled", "static role"})


class Inheritance:
    """The leases in the handover of one source. Thread-safe."""

    def __init__(self, handover: Handover, key: SourceKey, *, clocks: Clocks) -> None:
        self._handover = handover
        self._key = key
        self._clocks = clocks
        self._lock = threading.Lock()
        self._unclaimed: dict[tuple[str, str, str], HandedLease] | None = None

    @property
    def is_preview(self) -> bool:
        """Whether this process only shows what would be, so that it may create nothing."""
        return self._handover.life == "preview"

    def find(self, dependency: Dependency) -> Lease | None:
        """Return what was left for a dependency and has not ended by its clock; None for nothing."""
        with self._lock:
            handed = self._left().get(_key_of(dependency.kind, dependency.path, dict(dependency.params)))
        if handed is None or not self._lasts(handed):
            return None
        return self._lease_of(dependency, handed)

    def claim(self, dependency: Dependency) -> None:
        """Note that what was left for a dependency is somebody's now, or of no use."""
        with self._lock:
            self._left().pop(_key_of(dependency.kind, dependency.path, dict(dependency.params)), None)

    def leave(self, leases: Iterable[Lease]) -> None:
        """Leave these for the next process, and what was left for this one and is not claimed yet."""
        if not self._handover.is_on or self.is_preview:
            return
        with self._lock:
            # Under the lock: an older set of leases must not be written over a newer one.
            left = [handed for handed in self._left().values() if self._lasts(handed)]
            left += [_handed(lease) for lease in leases if lease.grant.shape not in _READ_AGAIN]
            self._handover.put_leases(self._key, left)

    def _left(self) -> dict[tuple[str, str, str], HandedLease]:
        if self._unclaimed is None:
            held = self._handover.take(self._key)
            found = held.leases if held is not None else ()
            self._unclaimed = {_key_of(each.kind, each.path, each.params): each for each in found}
        return self._unclaimed

    def _lasts(self, handed: HandedLease) -> bool:
        return handed.expires_at is None or handed.expires_at > self._clocks.wall()

    def _lease_of(self, dependency: Dependency, handed: HandedLease) -> Lease:
        now, wall, jitter = self._clocks.monotonic(), self._clocks.wall(), self._clocks.jitter
        is_read = dependency.kind == "secret" or dependency.params == BY_READING
        # An answer without a lease that gave a token has the fields of `auth` in its data.
        section = "auth" if "client_token" in handed.data and not handed.lease_id else "data"
        body = {
            "lease_id": handed.lease_id,
            "renewable": handed.renewable,
            "lease_duration": handed.lease_duration_seconds,
            section: handed.data,
        }
        grant = grant_of(body, wall=handed.issued_at, is_read=is_read)
        began_at = now - (wall - handed.issued_at)
        if handed.expires_at is not None and grant.lease_id:
            # It may have been renewed since it was issued: its clock goes back from its end.
            began_at = now + (handed.expires_at - wall) - grant.life_seconds
        clock = clock_of(grant, now=began_at, jitter=jitter)
        lease = Lease(dependency, handed.data, grant, token_hash=handed.token_hash, issued_at=handed.issued_at)
        if grant.shape == "renewable" and clock.replace_at <= now:
            # Nobody was there to renew it in time. That is tried first, in half of the time that is left.
            clock = LeaseClock(clock.ends_at, now, now + max(clock.ends_at - now, 0.0) / 2)
        lease.wind(clock, now=now, wall=wall)
        return lease


def _key_of(kind: str, path: str, params: Mapping[str, object]) -> tuple[str, str, str]:
    return kind, path, repr(sorted(params.items()))


def _handed(lease: Lease) -> HandedLease:
    grant = lease.grant
    return HandedLease(
        kind=lease.dependency.kind,
        path=lease.dependency.path,
        params=dict(lease.dependency.params),
        lease_id=grant.lease_id,
        renewable=grant.shape == "renewable" and not lease.is_last,
        lease_duration_seconds=0.0 if grant.lease_id and lease.until is None else _finite(grant.life_seconds),
        issued_at=lease.issued_at,
        expires_at=lease.until,
        data=lease.data,
        token_hash=lease.token_hash,
    )


def _finite(seconds: float) -> float:
    return seconds if seconds < float("inf") else 0.0
