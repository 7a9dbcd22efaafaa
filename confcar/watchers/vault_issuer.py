"""Asks for credentials and certificates once, has them kept alive, and replaces them before they end.

`read` is called by the loop in `follow` whenever something may be due, takes at most one step of keeping and one of
issuing, and raises what went wrong; the loop's back-off then decides when to try again, never later than the moment
when a new one has to be asked for. While the old one lives, a failing renewal leads to no new one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from confcar.clients.vault_answer import VaultAnswer
from confcar.errors import SourceDeniedError, SourceError
from confcar.handover.records import hash_of
from confcar.log import fields
from confcar.model import ABSENT, BY_READING, Dependency, Reading
from confcar.watchers.vault_asking import Answered, Asking
from confcar.watchers.vault_clocks import Clocks, poll_seconds
from confcar.watchers.vault_inheritance import Inheritance
from confcar.watchers.vault_kv import SecretReader, check_path
from confcar.watchers.vault_lease_clock import clock_of, grant_of, rotation_poll_seconds
from confcar.watchers.vault_leases import Lease, Leases
from confcar.watchers.vault_token import Token
from confcar.watchers.vault_upkeep import Upkeep

_SOONEST_SECONDS = 0.05
# How often something without a nearer step is looked at: the monotonic clock stands still in a suspended machine.
_LATEST_SECONDS = 3600.0
_DYNAMIC = Reading(None, is_dynamic=True)
_log = logging.getLogger(__name__)


class Issuer:
    """Issues and keeps what one source gives. Thread-safe, as long as one dependency is read by one thread at a time.

    Args:
        asking: How the server is asked.
        reader: Reads static secrets, which may come with leases too.
        leases: Where all that is given is held.
        inheritance: What earlier processes left, and where this one's is left.
        refresh_seconds: How often what has no end is read again, and a lease looked up.
        clocks: The source's.
    """

    def __init__(
        self,
        asking: Asking,
        reader: SecretReader,
        leases: Leases,
        *,
        inheritance: Inheritance,
        refresh_seconds: float,
        clocks: Clocks,
    ) -> None:
        self._asking = asking
        self._reader = reader
        self._leases = leases
        self._inheritance = inheritance
        self._refresh_seconds = refresh_seconds
        self._clocks = clocks
        self._upkeep = Upkeep(asking, refresh_seconds=refresh_seconds, clocks=clocks)

    def read(self, dependency: Dependency) -> Answered:
        """Return the credential of a dependency, after whatever was due.

        Raises:
            SourceUnavailableError: The server does not answer or is in trouble; what was given before lives on.
            SourceDeniedError: The login or the policy refuses.
            SourceDataError: The path cannot be used, or the server cannot make sense of the request.
        """
        check_path(dependency.path)
        has_asked = False
        if self._leases.current(dependency) is None:
            has_asked = self._inherit(dependency)
        elif not self._inheritance.is_preview:
            has_asked = self._tend(dependency)
        lease = self._leases.current(dependency)
        if lease is not None and not lease.is_over(self._clocks.monotonic()):
            return self._issued(lease, has_asked=has_asked)
        if self._inheritance.is_preview:
            self._check_capability(dependency)
            return self._issued(None, has_asked=True)
        return self._issued(self._issue(dependency), has_asked=True)

    def hold(
        self, dependency: Dependency, answer: VaultAnswer, data: Mapping[str, object], *, token: Token, asked_at: float
    ) -> Answered:
        """Hold what the read of a static secret, begun at *asked_at*, gave where it came with a lease."""
        self._put(self._lease_of(dependency, answer, data, token=token, asked_at=asked_at))
        return self._issued(self._leases.current(dependency), has_asked=True)

    def holds(self, dependency: Dependency) -> bool:
        """Whether something is held for a dependency, or was left for it by an earlier process."""
        return self._leases.current(dependency) is not None or self._inheritance.find(dependency) is not None

    def revoke(self, leases: Iterable[Lease], *, token: Token, limit_seconds: float) -> None:
        """Revoke these leases, as far as that can be done within the time limit."""
        found = [lease for lease in leases if lease.grant.lease_id]
        if found:
            revoked = self._upkeep.revoke(found, token=token, limit_seconds=limit_seconds)
            self._inheritance.leave(self._leases.held())
            _log.info("leases revoked", extra=fields(source=self._asking.name, count=revoked, of=len(found)))

    def _issued(self, lease: Lease | None, *, has_asked: bool) -> Answered:
        if lease is None:
            nothing = _DYNAMIC if self._inheritance.is_preview else ABSENT
            return Answered(nothing, poll_seconds(self._refresh_seconds, jitter=self._clocks.jitter), has_asked)
        due = [lease.due_at(), *(old.clock.renew_at for old in self._leases.superseded(lease.dependency))]
        left = min(due) - self._clocks.monotonic()
        return Answered(lease.reading, min(max(left, _SOONEST_SECONDS), _LATEST_SECONDS), has_asked)

    def _tend(self, dependency: Dependency) -> bool:
        """Do what is due for what is held, at most one step for each; returns whether the server was asked."""
        for old in self._leases.superseded(dependency):
            self._upkeep.tend_superseded(old)
        lease, now = self._leases.current(dependency), self._clocks.monotonic()
        if lease is None or (lease.is_over(now) and not lease.gets_last_try(now)):
            return False
        try:
            if lease.grant.lease_id:
                has_asked = self._upkeep.tend(lease)
            else:
                has_asked = now >= lease.read_at
                if has_asked:
                    self._issue(dependency)
        except SourceError as error:
            lease.is_failing = True
            error.retry_within_seconds = max(lease.clock.replace_at - self._clocks.monotonic(), _SOONEST_SECONDS)
            raise
        if has_asked:
            self._inheritance.leave(self._leases.held())
        return has_asked

    def _inherit(self, dependency: Dependency) -> bool:
        """Take over what an earlier process left, if it lives; returns whether the server was asked."""
        lease = self._inheritance.find(dependency)
        if lease is None:
            return False
        lives, has_asked = not lease.is_over(self._clocks.monotonic()), False
        if lives and lease.grant.lease_id:
            lives, has_asked = self._lives(lease), True
        self._inheritance.claim(dependency)
        if lives:
            self._look_up_later(lease)
            self._put(lease)
            _log.info("taken over", extra=fields(source=self._asking.name, path=dependency.path))
        return has_asked

    def _lives(self, lease: Lease) -> bool:
        """Whether a lease still lives: the server says so, or where it may not be asked, its token is the same."""
        token = self._asking.ask(lambda token: token)
        if self._upkeep.look_up(lease):
            return not lease.is_gone
        if lease.grant.shape == "renewable" and not self._inheritance.is_preview:
            self._upkeep.renew(lease)
            return not lease.is_gone
        return lease.token_hash == hash_of(token.value)

    def _check_capability(self, dependency: Dependency) -> None:
        """Find out without creating anything whether it could be created.

        Raises:
            SourceDeniedError: The policy does not allow it.
        """
        body, path = {"paths": [dependency.path]}, "sys/capabilities-self"
        needed = {"read"} if dependency.params == BY_READING else {"create", "update"}
        answer = self._asking.ask(
            lambda token: self._asking.client.call("PUT", path, token=token.value, body=body),
        )
        allowed = answer.body.get("capabilities")
        if answer.is_ok and isinstance(allowed, list) and not {"root", *needed} & set(allowed):
            raise SourceDeniedError(f"the token may not use {dependency.path}; {_cure(dependency)}")

    def _issue(self, dependency: Dependency) -> Lease | None:
        """Ask for a new one and hold it; None where there is nothing to be read."""
        before = self._leases.current(dependency)
        if before is not None and before.grant.lease_id and not before.is_gone:
            self._asking.prepare(before.grant.life_seconds)
        lease = self._asking.ask(lambda token: self._request(dependency, token))
        if lease is None:
            self._leases.drop(dependency)
            return None
        lease.follows_dead = before is not None and before.is_gone
        self._schedule(lease, before)
        self._put(lease)
        if lease.is_ending:
            seconds = round(lease.clock.ends_at - self._clocks.monotonic())
            _log.info("issued", extra=fields(source=self._asking.name, path=dependency.path, ends_in_seconds=seconds))
        return lease

    def _put(self, lease: Lease) -> None:
        self._leases.put(lease)
        self._inheritance.leave(self._leases.held())

    def _request(self, dependency: Dependency, token: Token) -> Lease | None:
        path, asked_at, is_read = dependency.path, self._clocks.monotonic(), dependency.params == BY_READING
        if dependency.kind == "secret":
            found = self._reader.read(dependency, token=token.value)
            if not isinstance(found.reading.value, Mapping) or found.answer is None:
                return None
            return self._lease_of(dependency, found.answer, found.reading.value, token=token, asked_at=asked_at)
        body = None if is_read else dict(dependency.params)
        answer = self._asking.client.call("GET" if is_read else "PUT", path, token=token.value, body=body)
        if is_read and answer.status == HTTPStatus.NOT_FOUND and not answer.text:
            return None
        if not answer.is_ok:
            raise answer.error(f"{'read on' if is_read else 'write to'} {path}", cure=_cure(dependency))
        data = answer.body.get("data") or answer.body.get("auth")
        held = data if isinstance(data, Mapping) else {}
        return self._lease_of(dependency, answer, held, token=token, asked_at=asked_at)

    def _lease_of(
        self, dependency: Dependency, answer: VaultAnswer, data: Mapping[str, object], *, token: Token, asked_at: float
    ) -> Lease:
        wall = self._clocks.wall() - (self._clocks.monotonic() - asked_at)
        is_read = dependency.kind == "secret" or dependency.params == BY_READING
        grant = grant_of(answer.body, wall=wall, is_read=is_read)
        lease = Lease(dependency, data, grant, token_hash=hash_of(token.value), issued_at=wall)
        lease.wind(clock_of(grant, now=asked_at, jitter=self._clocks.jitter), now=asked_at, wall=wall)
        self._look_up_later(lease)
        self._upkeep.poll(lease)
        return lease

    def _look_up_later(self, lease: Lease) -> None:
        if lease.grant.lease_id:
            delay = poll_seconds(self._refresh_seconds, jitter=self._clocks.jitter)
            lease.read_at = self._clocks.monotonic() + delay

    def _schedule(self, lease: Lease, before: Lease | None) -> None:
        """Note when to read again what reading does not make anew."""
        now, jitter = self._clocks.monotonic(), self._clocks.jitter
        is_same = before is not None and lease.is_same_as(before)
        if before is not None and is_same:
            lease.data = before.data
        if lease.grant.shape == "polled":
            lease.read_at = now + poll_seconds(self._refresh_seconds, jitter=jitter)
        elif lease.grant.shape == "static role":
            if before is not None and is_same and now >= before.clock.ends_at:
                # The server may count anew before it has changed anything (hashicorp/vault#31918).
                lease.overdue_polls = before.overdue_polls + 1
                lease.wind(before.clock, now=now, wall=self._clocks.wall())
            left = max(lease.clock.ends_at - now, 0.0)
            lease.read_at = now + rotation_poll_seconds(
                left, self._refresh_seconds, overdue_polls=lease.overdue_polls, jitter=jitter
            )


def _cure(dependency: Dependency) -> str:
    capability = "read" if dependency.params == BY_READING else "update"
    return f'if the token is good, its policy needs: path "{dependency.path}" {{ capabilities = ["{capability}"] }}'
