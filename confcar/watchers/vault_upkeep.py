"""Keeps leases alive: renews them, looks whether somebody revoked them, and revokes them at the end.

One step costs one request. What goes wrong is raised; who called decides when to try again.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from confcar.clients.vault_answer import VaultAnswer
from confcar.errors import SourceDeniedError, SourceError, SourceUnavailableError
from confcar.log import fields
from confcar.watchers.vault_asking import Asking
from confcar.watchers.vault_clocks import Clocks, poll_seconds
from confcar.watchers.vault_lease_clock import (
    Grant,
    LeaseClock,
    Shape,
    clock_of,
    not_renewable,
    renewed_clock,
)
from confcar.watchers.vault_leases import Lease
from confcar.watchers.vault_token import Token

_NOT_RENEWABLE_TEXT = "not renewable"
# The lease lives, but its engine could not prolong it: its database is down (`expiration.go` of OpenBao and Vault).
_ENGINE_FAILED_TEXT = "failed to renew entry"
# A lookup may say so much less than there is: OpenBao rounds the moment to a whole second and what is left down.
_ROUNDED_SECONDS = 2.0
_log = logging.getLogger(__name__)


class LeaseCallDeniedError(SourceDeniedError):
    """The policy does not allow a call about leases; a login that is refused is another error."""


class Upkeep:
    """Looks after leases. Thread-safe, as long as one lease is looked after by one thread at a time."""

    def __init__(self, asking: Asking, *, refresh_seconds: float, clocks: Clocks) -> None:
        self._name = asking.name
        self._asking = asking
        self._refresh_seconds = refresh_seconds
        self._clocks = clocks
        self._may_look_up = True

    def tend(self, lease: Lease) -> bool:
        """Renew a lease or look it up, where one of them is due; returns whether the server was asked.

        Raises:
            SourceError: The server does not answer, or the login fails; nothing is known about the lease then.
        """
        now = self._clocks.monotonic()
        if now >= lease.clock.renew_at:
            self.renew(lease)
            return True
        return now >= lease.read_at and self._look_up(lease)

    def look_up(self, lease: Lease) -> bool:
        """Find out whether a lease lives, by one request; returns False where the policy does not let confcar ask.

        Raises:
            SourceError: The server does not answer, or the login fails.
        """
        now, action = self._clocks.monotonic(), f"lookup of the lease of {lease.dependency.path}"
        try:
            answer = self._ask(lease, "sys/leases/lookup", {"lease_id": lease.grant.lease_id}, action)
        except LeaseCallDeniedError:
            return False
        if answer is not None and answer.is_transient:
            raise answer.error(action)
        if answer is None or answer.status == HTTPStatus.BAD_REQUEST:
            self._is_gone(lease)
        elif answer.is_ok:
            self._shorten(lease, _ttl(answer), now)
        return True

    def tend_superseded(self, lease: Lease) -> None:
        """Renew what is still in use although there is a new one; where that fails it lives as long as it lives."""
        now = self._clocks.monotonic()
        if now < lease.clock.renew_at:
            return
        try:
            self.renew(lease)
        except SourceError:
            lease.clock.renew_at = now + lease.renewal.next_seconds()

    def revoke(self, leases: Iterable[Lease], *, token: Token, limit_seconds: float) -> int:
        """Revoke leases, as far as that can be done within the time limit, and return how many were."""
        until, revoked = time.monotonic() + limit_seconds, 0
        for lease in leases:
            if time.monotonic() >= until:
                break
            try:
                body = {"lease_id": lease.grant.lease_id}
                answer = self._asking.client.call(
                    "PUT", "sys/leases/revoke", token=token.value, body=body, timeout_seconds=limit_seconds
                )
            except SourceError:
                break
            lease.is_gone = answer.is_ok
            revoked += answer.is_ok
        return revoked

    def renew(self, lease: Lease) -> None:
        """Renew a lease by one request; where the server renews it no more, it goes by the rest of its life.

        Raises:
            SourceError: The server does not answer, or the login fails.
        """
        now = self._clocks.monotonic()
        body = {"lease_id": lease.grant.lease_id, "increment": math.ceil(lease.grant.life_seconds)}
        action = f"renewal of the lease of {lease.dependency.path}"
        try:
            answer = self._ask(lease, "sys/leases/renew", body, action)
        except LeaseCallDeniedError as error:
            cure = 'its policy needs: path "sys/leases/renew" { capabilities = ["update"] }'
            _log.warning("lease cannot be renewed", extra=fields(source=self._name, error=str(error), cure=cure))
            self._end(lease, now)
            return
        if answer is not None and answer.status == HTTPStatus.BAD_REQUEST and _ENGINE_FAILED_TEXT in answer.text:
            raise SourceUnavailableError(str(answer.error(action)))
        if answer is None or (answer.status == HTTPStatus.BAD_REQUEST and _NOT_RENEWABLE_TEXT not in answer.text):
            self._is_gone(lease)
        elif answer.is_ok:
            granted = _duration(answer)
            is_last = answer.body.get("renewable") is False or "capped" in answer.warnings
            full = lease.grant.life_seconds
            clock = renewed_clock(full, granted, now=now, jitter=self._clocks.jitter, is_last=is_last)
            lease.is_last = clock.renew_at == math.inf
            self._wind(lease, clock, now)
            lease.renewal.reset()
            lease.is_failing = lease.has_had_last_try = False
            self._take_data(lease, answer)
            _log.debug("lease renewed", extra=fields(source=self._name, path=lease.dependency.path, seconds=granted))
        elif answer.is_transient:
            raise answer.error(action)
        else:
            self._end(lease, now)

    def poll(self, lease: Lease) -> None:
        """Renew the lease of a static secret every `refresh`, since a renewal tells what was written there since."""
        if lease.dependency.kind == "secret" and lease.clock.renew_at < math.inf:
            delay = poll_seconds(self._refresh_seconds, jitter=self._clocks.jitter)
            lease.clock.renew_at = min(lease.clock.renew_at, self._clocks.monotonic() + delay)

    def _take_data(self, lease: Lease, answer: VaultAnswer) -> None:
        data = answer.body.get("data")
        if lease.dependency.kind == "secret" and isinstance(data, Mapping) and data != lease.data:
            lease.data = data
        self.poll(lease)

    def _look_up(self, lease: Lease) -> bool:
        lease.read_at = math.inf
        if not self._may_look_up:
            return False
        now = self._clocks.monotonic()
        try:
            # Where it is denied, a revoked one is noticed at its renewal; the docs name the line that a policy needs.
            self._may_look_up = self.look_up(lease)
        except SourceError:
            lease.read_at = now
            raise
        if self._may_look_up:
            lease.read_at = now + poll_seconds(self._refresh_seconds, jitter=self._clocks.jitter)
        return True

    def _shorten(self, lease: Lease, ttl_seconds: float, now: float) -> None:
        """Take over that a lease ends sooner than was granted; a renewal may still give it more."""
        if now + ttl_seconds + _ROUNDED_SECONDS >= lease.clock.ends_at:
            return
        shape: Shape = "renewable" if lease.clock.renew_at < math.inf else "fixed"
        clock = clock_of(Grant(shape, "", ttl_seconds), now=now, jitter=self._clocks.jitter)
        clock.renew_at = min(clock.renew_at, lease.clock.renew_at)
        self._wind(lease, clock, now)

    def _ask(self, lease: Lease, path: str, body: Mapping[str, object], action: str) -> VaultAnswer | None:
        """Return the answer of a call about a lease; None where it turned out that it died with its token.

        Raises:
            LeaseCallDeniedError: The policy refuses.
            SourceError: The server does not answer, or the login fails.
        """

        def request(token: Token) -> VaultAnswer | None:
            if lease.is_gone:
                return None
            answer = self._asking.client.call("PUT", path, token=token.value, body=body)
            if answer.is_denied:
                raise LeaseCallDeniedError(str(answer.error(action)))
            return answer

        return self._asking.ask(request)

    def _wind(self, lease: Lease, clock: LeaseClock, now: float) -> None:
        lease.wind(clock, now=now, wall=self._clocks.wall() - (self._clocks.monotonic() - now))

    def _end(self, lease: Lease, now: float) -> None:
        lease.is_last = True
        self._wind(lease, not_renewable(lease.clock, now=now, jitter=self._clocks.jitter), now)

    def _is_gone(self, lease: Lease) -> None:
        lease.is_gone = True
        _log.warning("lease is gone", extra=fields(source=self._name, path=lease.dependency.path))


def _duration(answer: VaultAnswer) -> float:
    found = answer.body.get("lease_duration")
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else 0.0


def _ttl(answer: VaultAnswer) -> float:
    found = answer.section("data").get("ttl")
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else math.inf
