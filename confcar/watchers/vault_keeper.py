"""Keeps one token alive: renews it, asks after it, replaces it before it ends or once it is dead. No error ends that.

All of it is done by the thread that calls `run`.
"""

from __future__ import annotations

import logging
import math
from contextlib import suppress

from confcar.errors import SourceError
from confcar.log import fields
from confcar.watchers.vault_holder import RENEWAL_BACKOFF, TokenHolder
from confcar.watchers.vault_token import Token, TokenClock

# How often the thread looks around where nothing is due: for a changed token file, and for the metric.
IDLE_SECONDS = 15.0
_LEAST_IDLE_SECONDS = 0.05
# The same while no login works: a changed credential file is to be tried at once.
_LOOK_SECONDS = 1.0
_log = logging.getLogger(__name__)


class TokenKeeper(TokenHolder):
    """The token of one source, kept alive while a thread is in `run`. Thread-safe. Made as its base is."""

    def tend(self) -> float:
        """Do what is due and return after how many seconds to call again, above 0."""
        now = self._clock()
        with self._changed:
            token, life = self._token, self._life
        if token is not None and now >= min(life.replace_at, life.ends_at):
            self._replace(now)
        elif token is not None and now >= life.renew_at:
            self._renew(token, life)
        elif token is not None:
            self._look_after(token, life)
        elif self._attempts.has_failed:
            # Whoever needs it may be waiting far longer than the login has to.
            with suppress(SourceError):
                self.token()
        self._report()
        return self._next_due_seconds()

    def run(self) -> None:
        """Tend the token until `close`."""
        beat = f"{self._name} token"
        while not self._closed.is_set():
            try:
                delay = self.tend()
            except Exception:  # noqa: BLE001 - no error, not even one of our own making, may end the renewal
                _log.exception("unexpected error while keeping the token", extra=fields(source=self._name))
                delay = RENEWAL_BACKOFF[0]
            self._status.beat(beat, delay + 2 * IDLE_SECONDS)
            with self._changed:
                if not self._closed.is_set():
                    self._changed.wait(delay)
        self._status.beat(beat, None)

    def revoke(self, *, limit_seconds: float, left: str = "") -> bool:
        """Revoke the token, and so all leases that hang on it; returns whether it is gone. To be called after `close`.

        A token that was given from outside is left alone. Blocks for at most about *limit_seconds*.

        Args:
            limit_seconds: For the one request.
            left: The token to revoke where none was needed yet; empty for none.
        """
        with self._changed:
            value = self._token.value if self._token is not None else left
        if not value or not self._login.can_replace:
            return False
        try:
            answer = self._client.call("POST", "auth/token/revoke-self", token=value, timeout_seconds=limit_seconds)
            error = None if answer.is_ok else answer.error("revoke-self of the token")
        except SourceError as failure:
            error = failure
        if error is not None:
            _log.warning("token not revoked", extra=fields(source=self._name, error=str(error)))
            return False
        _log.info("token revoked", extra=fields(source=self._name))
        return True

    def prepare(self, seconds: float) -> None:
        """Log in before it is time, where something is to be made that dies with the token and should live *seconds*.

        Only a token that is renewed no more and has lived more than half of its life is replaced so; it is soon anyhow.
        Where the login fails, the token stays as it is.
        """
        now = self._clock()
        with self._changed:
            life = self._life if self._token is not None else None
        if life is None or life.renew_at < math.inf or life.replace_at == math.inf:
            return
        if life.ends_at - now < min(seconds, (life.ends_at - life.born_at) / 2):
            self._replace(now)

    def _replace(self, now: float) -> None:
        """Log in anew although the token still lives, unless that is under way or backing off."""
        with self._changed:
            if self._is_logging_in or self._attempts.standing_failure(now) is not None:
                return
            self._is_logging_in = True
        with suppress(SourceError):  # remembered and logged already
            self._log_in()

    def _renew(self, token: Token, life: TokenClock) -> None:
        body = {"increment": round(token.full_seconds)}
        try:
            answer = self._client.call("PUT", "auth/token/renew-self", token=token.value, body=body)
            if answer.is_ok:
                renewed = token.renewed(answer, can_replace=self._login.can_replace)
                with self._changed:
                    if self._is_current(token):
                        self._adopt(renewed)
                _log.debug("token renewed", extra=fields(source=self._name, ttl_seconds=renewed.life_seconds))
            elif answer.is_transient:
                self._put_off_renewal(life, answer.error("renew-self of the token"))
            elif answer.is_denied and not self.is_alive(token, refused_at=self._clock()):
                self._renew_login(token)
            else:
                life.renew_at = math.inf
                text = str(answer.error("renew-self of the token"))
                _log.warning("token cannot be renewed", extra=fields(source=self._name, error=text))
        except SourceError as error:
            self._put_off_renewal(life, error)

    def _look_after(self, token: Token, life: TokenClock) -> None:
        """Notice what happens to a token although nothing of it is due."""
        if self._login.follows_file:
            with suppress(SourceError):
                token = self.token()
        if self._clock() >= self._check.due_at(token, life):
            self._ask_after(token)

    def _ask_after(self, token: Token) -> None:
        """Ask whether the token lives; a dead one is replaced at once."""
        try:
            if not self.is_alive(token, refused_at=self._clock()):
                self._renew_login(token)
            self._check.succeeded()
        except SourceError as error:
            self._check.failed(getattr(error, "retry_after_seconds", None))

    def _renew_login(self, token: Token) -> None:
        """Replace a token that is dead by what `lookup-self` says, unless the new one is refused the same.

        Raises:
            SourceError: There is no new one, or the server does not say.
        """
        self.drop(token)
        fresh = self.token()

        def is_alive() -> bool:
            return self.is_alive(fresh, refused_at=self._clock())

        if not (is_alive() or (self.is_young(fresh) and is_alive())):
            self._proof.distrust()

    def _put_off_renewal(self, life: TokenClock, error: SourceError) -> None:
        delay = self._renewal.next_seconds(getattr(error, "retry_after_seconds", None))
        life.put_off_renewal(delay, now=self._clock())
        if self._renewal.attempts == 1 and not self._closed.is_set():
            _log.warning("token not renewed yet", extra=fields(source=self._name, error=str(error)))

    def _next_due_seconds(self) -> float:
        with self._changed:
            now = self._clock()
            if self._token is None:
                left = self._attempts.retry_at - now
                return min(max(left, _LEAST_IDLE_SECONDS), _LOOK_SECONDS) if self._attempts.has_failed else IDLE_SECONDS
            replace_at = max(min(self._life.replace_at, self._life.ends_at), self._attempts.retry_at)
            is_over = now >= self._life.ends_at
            check_at = self._check.due_at(self._token, self._life)
            due_at = replace_at if is_over else min(self._life.renew_at, replace_at, check_at)
            return min(max(due_at - now, _LEAST_IDLE_SECONDS), IDLE_SECONDS)
