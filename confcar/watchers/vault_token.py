"""A token as the server describes it, and the clock of its life: when to renew it, when to log in anew.

Plain values and arithmetic; no request is made here. Moments are seconds of a monotonic clock.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from confcar.clients.vault_answer import VaultAnswer
from confcar.errors import SourceDataError, SourceDeniedError

# The last tenth to fifth of a life is for a new login, and renewal comes at about two thirds: a few tries fit between.
_SPARE_SHARES = (0.1, 0.2)
_RENEW_SHARE = 2 / 3
# A renewal that gives clearly less than was asked for has met the token's max ttl.
_CAPPED_SHARE = 0.9
# Servers count in whole seconds, rounded down: a token that still answers has this much, whatever they say.
_LEAST_LIFE_SECONDS = 1.0
# Tries of a failing renewal that fit into what is left.
_TRIES_LEFT = 4


@dataclass(frozen=True, slots=True)
class Token:
    """A token that the server has vouched for.

    Attributes:
        value: The token itself, never shown.
        life_seconds: How long it lives from now, above 0; infinite where it does not end.
        is_renewable: Whether renewing it is worth a try.
        full_seconds: What to ask for at a renewal.
        uses: How many requests it may make; 0 for any number.
        is_handed: Whether it was taken over from an earlier process.
    """

    value: str = field(repr=False)
    life_seconds: float
    is_renewable: bool
    full_seconds: float
    uses: int = 0
    is_handed: bool = False

    def renewed(self, answer: VaultAnswer, *, can_replace: bool) -> Token:
        """Return the token as a renewal left it; one that has met its max ttl and can be replaced is renewed no more.

        Raises:
            SourceDataError: The answer has no `auth` with numbers in it.
        """
        granted = _life_of(answer.section("auth"), "lease_duration", answer.server)
        is_capped = granted < _CAPPED_SHARE * self.full_seconds or "capped" in answer.warnings
        renewable = answer.section("auth").get("renewable") is True and not (is_capped and can_replace)
        if self.life_seconds < math.inf and granted == math.inf:
            granted = _LEAST_LIFE_SECONDS
        return replace(self, life_seconds=granted, is_renewable=renewable)


def token_of_login(answer: VaultAnswer) -> Token:
    """Return the token that a login gave.

    Raises:
        SourceDataError: The answer holds none.
        SourceDeniedError: The server wants a second factor, which nobody is there to give.
    """
    auth = answer.section("auth")
    if auth.get("mfa_requirement"):
        raise SourceDeniedError(
            f"Vault at {answer.server} wants a second factor (MFA) for this login; use a role without"
        )
    life = _life_of(auth, "lease_duration", answer.server)
    is_renewable = auth.get("renewable") is True and auth.get("token_type") != "batch"
    uses = auth.get("num_uses")
    return Token(_text(auth, answer.server), life, is_renewable, life, uses if isinstance(uses, int) else 0)


def token_of_lookup(value: str, answer: VaultAnswer) -> Token:
    """Return what `lookup-self` tells of a token that came from elsewhere.

    Raises:
        SourceDataError: The answer has no `data` with numbers in it.
    """
    data = answer.section("data")
    life = _life_of(data, "ttl", answer.server)
    if life == math.inf and data.get("expire_time"):
        life = _LEAST_LIFE_SECONDS
    full = _seconds(data.get("period")) or _seconds(data.get("creation_ttl")) or life
    is_renewable = data.get("renewable") is True and data.get("type") != "batch"
    uses = data.get("num_uses")
    return Token(value, life, is_renewable, full, uses if isinstance(uses, int) else 0)


@dataclass(slots=True)
class TokenClock:
    """When a token's next step is due; infinite where there is none.

    Attributes:
        born_at: When the token was given, or renewed last.
        ends_at: When it dies.
        renew_at: When to renew it.
        replace_at: When to log in anew.
    """

    born_at: float
    ends_at: float
    renew_at: float
    replace_at: float

    def put_off_renewal(self, delay_seconds: float, *, now: float) -> None:
        """Renew it in about *delay_seconds*, sooner where little is left of its life, so that several tries fit in."""
        left = max(_LEAST_LIFE_SECONDS, (min(self.ends_at, self.replace_at) - now) / _TRIES_LEFT)
        self.renew_at = now + min(delay_seconds, left)


def clock_of(token: Token, *, now: float, can_replace: bool, jitter: random.Random) -> TokenClock:
    """Return the clock of a token given *now*: renewal at 70 to 74 % of its life, a new login at 80 to 90 %."""
    life = token.life_seconds
    if life == math.inf:
        return TokenClock(now, math.inf, math.inf, math.inf)
    spare = life * jitter.uniform(*_SPARE_SHARES)
    return TokenClock(
        born_at=now,
        ends_at=now + life,
        renew_at=now + life * _RENEW_SHARE + spare / 3 if token.is_renewable else math.inf,
        replace_at=now + life - spare if can_replace else math.inf,
    )


def is_sendable(value: str) -> bool:
    """Whether a text can be a token: not empty, printable ASCII without blanks."""
    return value.isascii() and value.isprintable() and bool(value) and " " not in value


def _life_of(section: Mapping[str, object], name: str, server: str) -> float:
    found = _seconds(section.get(name))
    if found is None:
        raise SourceDataError(f"Vault at {server} answers without a number in `{name}`")
    return found or math.inf


def _seconds(found: object) -> float | None:
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) and found >= 0 else None


def _text(auth: Mapping[str, object], server: str) -> str:
    found = auth.get("client_token")
    if not isinstance(found, str) or not is_sendable(found):
        raise SourceDataError(f"Vault at {server} answers the login without a token")
    return found
