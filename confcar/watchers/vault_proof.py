"""Is it the token or the policy? Servers refuse a dead token and a forbidden path in the same words.

`lookup-self` tells them apart, asked once for all threads that were refused at about the same time. Where not even a
new token may look itself up, that proves nothing, and a token is suspected only when it is old.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from confcar.clients.vault import VaultClient
from confcar.log import fields
from confcar.watchers.vault_login import look_up
from confcar.watchers.vault_token import Token

# How old a token must be before it is replaced on suspicion alone.
_SUSPICION_SECONDS = 300.0
_log = logging.getLogger(__name__)


class TokenProof:
    """What is known of the current token's life. Thread-safe."""

    def __init__(self, name: str, client: VaultClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._value = ""
        self._alive_at = -math.inf
        self._lookup_is_denied = False

    @property
    def is_in_vain(self) -> bool:
        """Whether asking tells nothing, since even a new token may not look itself up."""
        return self._lookup_is_denied

    def is_alive(self, token: Token, *, born_at: float, refused_at: float) -> bool:
        """Whether a token that was refused something still lives; at most one request.

        Args:
            token: The one refused.
            born_at: When it was given or renewed.
            refused_at: When the refused request began.

        Raises:
            SourceError: The server does not say.
        """
        with self._lock:
            if self._value == token.value and self._alive_at > refused_at:
                return True
            asked_at = self._clock()
            if self._lookup_is_denied and asked_at - born_at < _SUSPICION_SECONDS:
                return True
            answer = look_up(token.value, self._client)
            if answer.is_denied:
                return False
            if not answer.is_ok:
                error = answer.error("lookup-self of the token")
                raise error
            self._value, self._alive_at, self._lookup_is_denied = token.value, asked_at, False
            return True

    def distrust(self) -> None:
        """Note that a token which has just been given may not look itself up."""
        with self._lock:
            is_news, self._lookup_is_denied = not self._lookup_is_denied, True
        if is_news:
            _log.warning(
                "token may not look itself up, so a revoked one is noticed late; allow read on auth/token/lookup-self",
                extra=fields(source=self._name),
            )
