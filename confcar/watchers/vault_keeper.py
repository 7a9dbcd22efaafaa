"""Keeps one token alive: logs in when there is none, renews it, replaces it before it ends. No error ends that.

The first reader that needs a token logs in while the others wait; later steps are taken by the thread that calls `run`.
A failed login is remembered until its back-off is over, so that many readers in trouble cost no more than one.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from confcar.backoff import Backoff
from confcar.clients.vault import VaultClient
from confcar.errors import SourceError, SourceUnavailableError
from confcar.log import fields
from confcar.status import Status
from confcar.watchers.vault_attempts import LoginAttempts
from confcar.watchers.vault_auth import Login
from confcar.watchers.vault_proof import TokenProof
from confcar.watchers.vault_token import Token, TokenClock, clock_of

# How often the thread looks around where nothing is due: for a changed token file, and for the metric.
IDLE_SECONDS = 15.0
_LEAST_IDLE_SECONDS = 0.05
_RENEWAL_BACKOFF = (1.0, 300.0)
# Where a standby answers, it may not know a token yet that the active node has just given.
_YOUNG_SECONDS = 1.0
_YOUNG_PAUSE_SECONDS = 0.3
_log = logging.getLogger(__name__)


class TokenKeeper:
    """The token of one source. Thread-safe.

    Args:
        name: The source's name.
        client: Where to log in.
        login: How.
        status: Where the token's remaining life is shown.
        clock: Monotonic seconds.
        jitter: Spreads a fleet that logged in together.
    """

    def __init__(
        self,
        name: str,
        client: VaultClient,
        *,
        login: Login,
        status: Status,
        clock: Callable[[], float] = time.monotonic,
        jitter: random.Random | None = None,
    ) -> None:
        self._name = name
        self._client = client
        self._login = login
        self._status = status
        self._clock = clock
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._changed = threading.Condition()
        self._token: Token | None = None
        self._life = TokenClock(0.0, math.inf, math.inf, math.inf)
        self._is_logging_in = False
        self._attempts = LoginAttempts(self._jitter)
        self._renewal = Backoff(*_RENEWAL_BACKOFF, random=self._jitter)
        self._proof = TokenProof(name, client, clock=clock)
        self._closed = threading.Event()

    def token(self) -> Token:
        """Return a token that lives, after a login where there is none.

        Raises:
            SourceError: What the login raised: the last one, without another request, while its back-off lasts.
        """
        with self._changed:
            while True:
                if self._closed.is_set():
                    raise SourceUnavailableError(f"Vault at {self._client.server}: no longer followed")
                now = self._clock()
                token = self._living(now)
                has_changed = self._login.has_changed()
                is_outdated = self._login.follows_file and (has_changed or self._attempts.has_failed)
                if token is not None and (self._is_logging_in or not is_outdated):
                    return token
                if not self._is_logging_in:
                    break
                self._changed.wait()
            failure = None if has_changed else self._attempts.standing_failure(now)
            if failure is not None:
                if token is not None:
                    return token
                raise failure
            self._is_logging_in = True
        return self._log_in()

    def is_young(self, token: Token) -> bool:
        """Whether a refusal may be due to the token being too new; then waits a moment, and the caller tries again."""
        with self._changed:
            is_young = self._is_current(token) and self._clock() - self._life.born_at < _YOUNG_SECONDS
        return is_young and not self._closed.wait(_YOUNG_PAUSE_SECONDS)

    def is_alive(self, token: Token, *, refused_at: float) -> bool:
        """Whether a token that was refused something still lives, by one request where that is not known already.

        Args:
            token: The one refused; one that was replaced in the meantime counts as dead.
            refused_at: When the refused request began.

        Raises:
            SourceError: The server does not say.
        """
        with self._changed:
            if not self._is_current(token):
                return False
            born_at = self._life.born_at
        return self._proof.is_alive(token, born_at=born_at, refused_at=refused_at)

    def drop(self, token: Token) -> None:
        """Forget a token that is dead; the next one who needs one logs in."""
        with self._changed:
            if not self._is_current(token):
                return
            self._token = None
        _log.warning("token is dead", extra=fields(source=self._name))

    def distrust_lookup(self) -> None:
        """Note that even a new token may not look itself up, so that a refusal of that proves nothing."""
        self._proof.distrust()

    def tend(self) -> float:
        """Do what is due and return after how many seconds to call again, above 0."""
        now = self._clock()
        with self._changed:
            token, life = self._token, self._life
        if token is not None and now >= min(life.replace_at, life.ends_at):
            self._replace(now)
        elif token is not None and now >= life.renew_at:
            self._renew(token, life)
        elif token is not None and self._login.follows_file:
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
                delay = _RENEWAL_BACKOFF[0]
            self._status.beat(beat, delay + 2 * IDLE_SECONDS)
            with self._changed:
                if not self._closed.is_set():
                    self._changed.wait(delay)
        self._status.beat(beat, None)

    def close(self) -> None:
        """Let everything that waits go. May be called twice, any thread."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()

    def _is_current(self, token: Token) -> bool:
        return self._token is not None and self._token.value == token.value

    def _living(self, now: float) -> Token | None:
        return self._token if self._token is not None and now < self._life.ends_at else None

    def _log_in(self) -> Token:
        """Log in and return the new token, or the one before where that fails and it still lives."""
        try:
            token = self._login.log_in(self._client)
        except SourceError as error:
            if (living := self._login_failed(error)) is not None:
                return living
            raise
        except Exception as error:
            _log.exception("unexpected error in a login", extra=fields(source=self._name))
            unexpected = SourceError(f"unexpected {type(error).__name__} in the login, see the log")
            if (living := self._login_failed(unexpected)) is not None:
                return living
            raise unexpected from error
        self._logged_in(token)
        return token

    def _logged_in(self, token: Token) -> None:
        with self._changed:
            is_same = self._is_current(token)
            self._is_logging_in = False
            self._attempts.succeeded()
            self._adopt(token)
        self._report()
        if is_same:
            return
        ttl = None if token.life_seconds == math.inf else round(token.life_seconds)
        _log.info("logged in", extra=fields(source=self._name, ttl_seconds=ttl, renewable=token.is_renewable))
        if token.uses > 0:
            text = "token is good for a few requests only; take a role with num_uses 0"
            _log.warning(text, extra=fields(source=self._name, uses=token.uses))
        if ttl is not None and not (token.is_renewable or self._login.can_replace):
            _log.warning("token cannot be renewed", extra=fields(source=self._name, ends_in_seconds=ttl))

    def _login_failed(self, error: SourceError) -> Token | None:
        with self._changed:
            now = self._clock()
            is_news = self._attempts.failed(error, now=now)
            self._is_logging_in = False
            self._changed.notify_all()
            living = self._living(now)
        if is_news and not self._closed.is_set():
            _log.warning("login failed", extra=fields(source=self._name, error=str(error)))
        return living

    def _adopt(self, token: Token) -> None:
        self._token = token
        self._life = clock_of(token, now=self._clock(), can_replace=self._login.can_replace, jitter=self._jitter)
        self._renewal.reset()
        self._changed.notify_all()

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
                self.drop(token)
                self.token()
            else:
                life.renew_at = math.inf
                text = str(answer.error("renew-self of the token"))
                _log.warning("token cannot be renewed", extra=fields(source=self._name, error=text))
        except SourceError as error:
            self._put_off_renewal(life, error)

    def _put_off_renewal(self, life: TokenClock, error: SourceError) -> None:
        delay = self._renewal.next_seconds(getattr(error, "retry_after_seconds", None))
        life.put_off_renewal(delay, now=self._clock())
        if self._renewal.attempts == 1 and not self._closed.is_set():
            _log.warning("token not renewed yet", extra=fields(source=self._name, error=str(error)))

    def _next_due_seconds(self) -> float:
        with self._changed:
            now = self._clock()
            if self._token is None:
                return IDLE_SECONDS
            replace_at = max(min(self._life.replace_at, self._life.ends_at), self._attempts.retry_at)
            is_over = now >= self._life.ends_at
            due_at = replace_at if is_over else min(self._life.renew_at, replace_at)
            return min(max(due_at - now, _LEAST_IDLE_SECONDS), IDLE_SECONDS)

    def _report(self) -> None:
        with self._changed:
            ends_at = self._life.ends_at
            left = round(max(ends_at - self._clock(), 0.0), 1) if self._token is not None else 0.0
        if ends_at < math.inf:  # a token without an end has no time to show
            self._status.set_gauge("vault_token_ttl_seconds", self._name, value=left)
            self._status.update_source(self._name, details=(("token_ttl_seconds", left),))
