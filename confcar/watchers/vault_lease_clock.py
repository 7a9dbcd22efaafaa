"""How long what Vault gave lives, and when to renew, replace or read it again. Plain arithmetic, no requests.

Which clock applies is read off the answer, from the top down: a token, a lease that can be renewed, one that cannot, a
certificate, an AppRole secret id, a static role, a signed token; anything else has no end of its own. Moments are
seconds of a monotonic clock, so a step of the wall clock moves none of them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from confcar.watchers.certificate_dates import Life, life_of, life_of_ssh
from confcar.watchers.vault_clocks import poll_seconds

Shape = Literal["renewable", "fixed", "certificate", "static role", "polled", "lasting"]
"""renewable, fixed: it ends after its duration. certificate: it ends by its own dates. static role: somebody changes it
about then, and it is read again. polled: read again every `refresh`. lasting: it has no end, and reading it again would
make another one."""

# Renewal comes at about two thirds: a few tries fit between it and the moment when only a new one helps.
_RENEW_SHARES = (0.62, 0.70)
_LATEST_RENEWAL_SHARE = 0.9
# So much of its first duration is left when a lease that could not be renewed is replaced.
_SPARE_SHARES = (0.08, 0.12)
_REPLACE_SHARES = (0.85, 0.95)
# A render, a check and a reload have to fit in before the old one ends, however short a life it has.
_LEAST_SPARE_SECONDS, _LARGEST_LEAST_SPARE_SHARE = 3.0, 1 / 3
# Nothing is replaced sooner after it was given: what is made with a token that is about to end lives shorter each time.
_LEAST_USE_SECONDS = 1.0
# A renewal that gives clearly less than was asked for has met the lease's max ttl.
_CAPPED_SHARE = 0.9
# Dates of a certificate begin before it is made, for clocks that go slow; one with a short life would be over by them.
_LEAST_USE_SHARE = 0.5
_ROTATION_SECONDS = (0.5, 1.5)
_FIRST_POLL_SECONDS, _LAST_POLL_SECONDS = 1.0, 5.0
# After a planned login the leases of the old token are replaced one by one in this share of the time it has left.
_HAND_OFF_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Grant:
    """What an answer says of its own life.

    Attributes:
        shape: Which clock applies.
        lease_id: For renewing and looking up; empty where there is no lease. Not to be shown.
        life_seconds: From when its life began, above 0; infinite where it has no end.
        age_seconds: How much of it was over when the answer was asked for.
    """

    shape: Shape
    lease_id: str = field(default="", repr=False)
    life_seconds: float = math.inf
    age_seconds: float = 0.0


@dataclass(slots=True)
class LeaseClock:
    """When the next step is due; infinite where there is none.

    Attributes:
        ends_at: When it dies.
        renew_at: When to renew it.
        replace_at: When to ask for a new one.
    """

    ends_at: float = math.inf
    renew_at: float = math.inf
    replace_at: float = math.inf


def grant_of(body: Mapping[str, object], *, wall: float, is_read: bool) -> Grant:
    """Return what an answer says of its own life.

    Args:
        body: The whole answer.
        wall: When it was asked for, in seconds since the epoch.
        is_read: Whether it answers a GET, so that asking again does no harm where there is no lease.
    """
    found = body.get("data")
    data: Mapping[str, object] = found if isinstance(found, Mapping) else {}
    auth = body.get("auth")
    if isinstance(auth, Mapping):
        return _fixed(_seconds(auth.get("lease_duration")))
    lease_id = body.get("lease_id")
    if isinstance(lease_id, str) and lease_id:
        return _fixed(
            _seconds(body.get("lease_duration")), lease_id=lease_id, is_renewable=body.get("renewable") is True
        )
    # What KV v1 and others say of a `lease_duration` without a lease is the mount's default and means nothing.
    return _grant_of_data(data, wall=wall, is_read=is_read)


def _grant_of_data(data: Mapping[str, object], *, wall: float, is_read: bool) -> Grant:
    certificate = _certificate(data, wall) if not is_read or "expiration" in data else None
    if certificate is not None and certificate.not_after > wall:
        return Grant("certificate", "", certificate.seconds, max(0.0, wall - certificate.not_before))
    if "secret_id" in data:
        return _fixed(_seconds(data.get("secret_id_ttl")))
    if is_read and "last_vault_rotation" in data and ("ttl" in data or "rotation_period" in data):
        return Grant("static role", "", _seconds(data.get("ttl")))
    if "token" in data and _seconds(data.get("ttl")):
        return _fixed(_seconds(data.get("ttl")))
    return Grant("polled" if is_read else "lasting")


def _fixed(seconds: float, *, lease_id: str = "", is_renewable: bool = False) -> Grant:
    if not seconds:
        return Grant("lasting", lease_id)
    return Grant("renewable" if is_renewable else "fixed", lease_id, seconds)


def _certificate(data: Mapping[str, object], wall: float) -> Life | None:
    signed = data.get("signed_key")
    if isinstance(signed, str):
        return life_of_ssh(signed)
    certificate = data.get("certificate")
    if not isinstance(certificate, str):
        return None
    life = life_of(certificate)
    ends = _seconds(data.get("expiration"))
    if life is None and ends > wall:
        begins = _seconds(data.get("not_before"))
        life = Life(begins or wall, ends)
    return life


def clock_of(grant: Grant, *, now: float, jitter: random.Random) -> LeaseClock:
    """Return the clock of what was asked for *now*."""
    left = grant.life_seconds - grant.age_seconds
    if grant.shape in {"static role", "polled", "lasting"}:
        return LeaseClock(now + left)
    ends_at = now + left
    soonest, latest = now + min(left, _LEAST_USE_SECONDS), ends_at - _least_spare(left)
    if grant.shape == "renewable":
        replace_at = max(min(ends_at - left * jitter.uniform(*_SPARE_SHARES), latest), soonest)
        renew_at = min(now + left * jitter.uniform(*_RENEW_SHARES), now + (replace_at - now) * _LATEST_RENEWAL_SHARE)
        return LeaseClock(ends_at, renew_at, replace_at)
    planned = now - grant.age_seconds + grant.life_seconds * jitter.uniform(*_REPLACE_SHARES)
    return LeaseClock(ends_at, math.inf, max(min(planned, latest), now + left * _LEAST_USE_SHARE, soonest))


def renewed_clock(
    full_seconds: float, granted_seconds: float, *, now: float, jitter: random.Random, is_last: bool = False
) -> LeaseClock:
    """Return the clock after a renewal.

    Args:
        full_seconds: What the lease was given for at first.
        granted_seconds: What the renewal gave.
        now: When it was asked for.
        jitter: Spreads a fleet.
        is_last: Whether the server says that it will give no more.
    """
    if not (is_last or granted_seconds < _CAPPED_SHARE * full_seconds):
        return clock_of(Grant("renewable", "", granted_seconds), now=now, jitter=jitter)
    # It ends at its max ttl whatever is asked for: replaced while as much is left as of any other.
    spare = max(full_seconds * jitter.uniform(*_SPARE_SHARES), _least_spare(full_seconds))
    return LeaseClock(now + granted_seconds, math.inf, max(now, now + granted_seconds - spare))


def not_renewable(clock: LeaseClock, *, now: float, jitter: random.Random) -> LeaseClock:
    """Return the clock of a lease whose renewal is refused for good: the rest of its life is all there is."""
    return clock_of(Grant("fixed", "", max(clock.ends_at - now, 0.0)), now=now, jitter=jitter)


def token_cap(token_ends_at: float, *, now: float, jitter: random.Random) -> LeaseClock:
    """Return what bounds a lease whose token was replaced *now* and dies at *token_ends_at*, its leases with it."""
    if token_ends_at == math.inf:
        return LeaseClock()
    hand_off = now + max(0.0, token_ends_at - now) * jitter.uniform(0.0, _HAND_OFF_SHARE)
    return LeaseClock(ends_at=token_ends_at, replace_at=hand_off)


def capped_clock(clock: LeaseClock, cap: LeaseClock) -> LeaseClock:
    """Return a clock that is bounded by another one; renewals are not."""
    return LeaseClock(min(clock.ends_at, cap.ends_at), clock.renew_at, min(clock.replace_at, cap.replace_at))


def rotation_poll_seconds(
    ttl_seconds: float, refresh_seconds: float, *, overdue_polls: int, jitter: random.Random
) -> float:
    """Return when to read a static role's credentials again.

    Args:
        ttl_seconds: When the server plans to change them, from now; 0 where it is about to.
        refresh_seconds: The source's; somebody may change them by hand in between.
        overdue_polls: How often the same credentials were read since they should have changed.
        jitter: Spreads a fleet.
    """
    if ttl_seconds <= 0 or overdue_polls:
        longest = min(_LAST_POLL_SECONDS, _FIRST_POLL_SECONDS * 2.0 ** min(overdue_polls, 10))
        return jitter.uniform(_FIRST_POLL_SECONDS, max(longest, _FIRST_POLL_SECONDS))
    return min(ttl_seconds + jitter.uniform(*_ROTATION_SECONDS), poll_seconds(refresh_seconds, jitter=jitter))


def _least_spare(seconds: float) -> float:
    return min(_LEAST_SPARE_SECONDS, seconds * _LARGEST_LEAST_SPARE_SHARE)


def _seconds(found: object) -> float:
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return max(0.0, float(found)) if is_number else 0.0  # type: ignore[arg-type] # a number, says the line above
