"""The token of one source: given to all who need it, after a login where there is none that lives.

The first reader that needs a token logs in while the others wait. A failed login is remembered until its back-off is
over, so that many readers in trouble cost no more than one.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable

from confcar.backoff import Backoff
from confcar.clients.vault import VaultClient
from confcar.errors import SourceError, SourceUnavailableError
from confcar.log import fields
from confcar.status import Status
from confcar.watchers.vault_announce import announce, show_life
from confcar.watchers.vault_attempts import LoginAttempts
from confcar.watchers.vault_liveness import LifeCheck
from confcar.watchers.vault_login import Login
from confcar.watchers.vault_proof import TokenProof
from confcar.watchers.vault_token import Token, TokenClock, clock_of

RENEWAL_BACKOFF = (1.0, 300.0)
# Where a standby answers, it may not know a token yet that the active node has just given.
_YOUNG_SECONDS = 1.0
_YOUNG_PAUSE_SECONDS = 0.3
_log = logging.getLogger(__name__)


class TokenHolder:
    """The token of one source. Thread-safe.

    Args:
        name: The source's name.
        client: Where to log in.
        login: How.
        status: Where the token's remaining life is shown.
        check_seconds: How long the token may go unused before it is asked after; 0 for any time.
        clock: Monotonic seconds.
        jitter: Spreads a fleet that logged in together.

    Attributes:
        on_new_token: Called with each token that is another one than before, and with whether that one has died (and
            its leases with it); by the thread that logged in, without a lock. To be set before the first login.
        replaced_ends_at: When the token before the current one dies, in monotonic seconds; infinite where it does not.
    """

    def __init__(  # noqa: PLR0913 - parts that tests replace
        self,
        name: str,
        client: VaultClient,
        *,
        login: Login,
        status: Status,
        check_seconds: float = 0.0,
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
        self.on_new_token: Callable[[Token, bool], None] = lambda _token, _has_died: None
        self._token: Token | None = None
        self._has_died = False
        self.replaced_ends_at = math.inf
        self._life = TokenClock(0.0, math.inf, math.inf, math.inf)
        self._is_logging_in = False
        self._attempts = LoginAttempts(self._jitter)
        self._renewal = Backoff(*RENEWAL_BACKOFF, random=self._jitter)
        self._proof = TokenProof(name, client, clock=clock)
        self._check = LifeCheck(client, self._proof, seconds=check_seconds, clock=clock, jitter=self._jitter)
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

    @property
    def current(self) -> Token | None:
        """The token there is, without a login; None where there is none. It may have died."""
        return self._token

    @property
    def has_borrowed(self) -> bool:
        """Whether the token was taken over from another process."""
        token = self._token
        return token is not None and token.is_handed

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
            self._token, self._has_died = None, True
        _log.warning("token is dead", extra=fields(source=self._name))

    def distrust_lookup(self) -> None:
        """Note that even a new token may not look itself up, so that a refusal of that proves nothing."""
        self._proof.distrust()

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
            has_died = self._has_died or (self._token is not None and self._clock() >= self._life.ends_at)
            self._has_died = self._is_logging_in = False
            self._attempts.succeeded()
            if not is_same:
                self.replaced_ends_at = self._life.ends_at
            self._adopt(token)
        self._report()
        if is_same:
            return
        announce(self._name, token, can_replace=self._login.can_replace)
        try:
            self.on_new_token(token, has_died)
        except Exception:  # noqa: BLE001 - whoever listens, the token is good
            _log.exception("unexpected error after a login", extra=fields(source=self._name))

    def _login_failed(self, error: SourceError) -> Token | None:
        with self._changed:
            now = self._clock()
            is_news = self._attempts.failed(error, now=now)
            self._is_logging_in = False
            self._changed.notify_all()
            living = self._living(now)
        if is_news and not self._closed.is_set():
            # What time alone does not cure is somebody's to cure.
            level = logging.WARNING if isinstance(error, SourceUnavailableError) else logging.ERROR
            _log.log(level, "login failed", extra=fields(source=self._name, error=str(error)))
        return living

    def _adopt(self, token: Token) -> None:
        self._token = token
        self._life = clock_of(token, now=self._clock(), can_replace=self._login.can_replace, jitter=self._jitter)
        self._renewal.reset()
        self._changed.notify_all()

    def _report(self) -> None:
        with self._changed:
            ends_at = self._life.ends_at
            left = ends_at - self._clock() if self._token is not None else 0.0
        show_life(self._status, self._name, left if ends_at < math.inf else None)
