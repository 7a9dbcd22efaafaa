"""What the log and the status board are told of a token: never the token itself."""

from __future__ import annotations

import logging
import math

from confcar.log import fields
from confcar.status import Status
from confcar.watchers.vault_token import Token

_log = logging.getLogger(__name__)


def announce(name: str, token: Token, *, can_replace: bool) -> None:
    """Log that a source has another token, and what is unusual about it."""
    ttl = None if token.life_seconds == math.inf else round(token.life_seconds)
    event = "token taken over" if token.is_handed else "logged in"
    _log.info(event, extra=fields(source=name, ttl_seconds=ttl, renewable=token.is_renewable))
    if token.uses > 0:
        text = "token is good for a few requests only; take a role with num_uses 0"
        _log.warning(text, extra=fields(source=name, uses=token.uses))
    if ttl is not None and not (token.is_renewable or can_replace):
        _log.warning("token cannot be renewed", extra=fields(source=name, ends_in_seconds=ttl))


def show_life(status: Status, name: str, seconds: float | None) -> None:
    """Show how long the token still lives: 0 where there is none; None for one without an end, which has no time."""
    if seconds is not None:
        left = round(max(seconds, 0.0), 1)
        status.set_gauge("vault_token_ttl_seconds", name, value=left)
        status.update_source(name, details=(("token_ttl_seconds", left),))
