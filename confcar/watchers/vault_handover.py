"""A login that first takes over the token which an earlier process left, and leaves its own for the next one.

Whether a token from the handover lives is asked of the server, never of the clock.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from confcar.clients.vault import VaultClient
from confcar.config.sources import VaultOptions
from confcar.handover.handover import Handover
from confcar.handover.records import HandedToken, SourceKey
from confcar.log import fields
from confcar.watchers.vault_login import Login, look_up
from confcar.watchers.vault_token import Token, is_sendable, token_of_lookup

# What tells two logins by one method apart; the first that is set stands for it.
_ROLE_FIELDS = ("role", "role_id", "role_id_file", "username", "name", "path")
_log = logging.getLogger(__name__)


def key_of(name: str, options: VaultOptions) -> SourceKey:
    """Return what the handover knows a source by, from its name and its options with all defaults filled in."""
    auth = options.auth
    roles: list[str | Path] = [found for field in _ROLE_FIELDS if (found := getattr(auth, field, None))]
    return SourceKey(
        source=name,
        address=(options.address or "").rstrip("/"),
        namespace=(options.namespace or "").strip("/"),
        method=auth.method,
        mount=getattr(auth, "mount", ""),
        role=str(roles[0]) if roles else "",
    )


class HandedLogin:
    """Another login, with the handover before it. A token that was given from outside is not handed over.

    Args:
        login: The one to fall back on.
        handover: Where to take from and to leave to.
        key: Of the source.
    """

    def __init__(self, login: Login, *, handover: Handover, key: SourceKey) -> None:
        self.can_replace = login.can_replace
        self.follows_file = login.follows_file
        self._login = login
        self._handover = handover
        self._key = key
        self._is_first = login.can_replace

    def log_in(self, client: VaultClient) -> Token:
        """Return the token handed over if it lives, else one of a login.

        Raises:
            SourceError: The server does not answer, or what the login raises.
        """
        token = self._take_over(client) if self._is_first else None
        self._is_first = False
        if token is None:
            token = self._login.log_in(client)
            if self.can_replace:
                self._handover.put_token(self._key, HandedToken(token.value))
        return token

    def remember(self) -> None:
        """Let the login take its files as they are."""
        self._login.remember()

    def has_changed(self) -> bool:
        """Whether the files of the login differ from what it read last."""
        return self._login.has_changed()

    def _take_over(self, client: VaultClient) -> Token | None:
        held = self._handover.take(self._key)
        value = held.token.value if held is not None and held.token is not None else ""
        if not is_sendable(value):
            return None
        answer = look_up(value, client)
        if answer.is_ok:
            self._login.remember()
            return replace(token_of_lookup(value, answer), is_handed=True)
        if not answer.is_denied:
            raise answer.error(f"lookup-self of the token that was handed over to {self._key.source}")
        reason = "its token is dead, or may not look itself up"
        _log.warning("handover ignored", extra=fields(source=self._key.source, reason=reason))
        return None
