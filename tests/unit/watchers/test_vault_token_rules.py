"""What a server says of a token, and what is done about it: one row per rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.vault_api import VaultApi, running_vault
from tests.unit.watchers.vault_world import LOOKUP, RENEW, Kept

DENIED = 403, {"errors": ["permission denied"]}


@dataclass(frozen=True)
class Rule:
    """A token of 100 s that is kept for *seconds*, and what that costs.

    Attributes:
        prepare: Makes the server what the rule is about.
        logins: How many are made in all.
        renewals: How many are asked for, the refused ones too.
        lookups: How often the server is asked whether the token lives.
        change: What happens to the server once there is a token.
    """

    prepare: Callable[[VaultApi], object]
    logins: int
    renewals: int
    lookups: int = 0
    change: Callable[[VaultApi], object] = lambda _: None
    seconds: float = 95.0


_CAPPED = {"warnings": ['TTL of "100s" exceeded the effective max_ttl of "95s"; TTL value is capped accordingly']}

RULES = {
    "a renewable one is renewed at two thirds": Rule(lambda _: None, 1, 1),
    "a periodic one is renewed for ever": Rule(lambda _: None, 1, 14, seconds=1000.0),
    "one that is not renewable is replaced": Rule(lambda api: api.auth.update(renewable=False), 2, 0),
    "a batch token is replaced": Rule(lambda api: api.auth.update(token_type="batch"), 2, 0),
    "renewal of one that is not renewable after all": Rule(
        lambda api: api.script(RENEW, 400, {"errors": ["lease is not renewable"]}), 2, 1
    ),
    "renewal of a batch token": Rule(
        lambda api: api.script(RENEW, 400, {"errors": ["batch tokens cannot be renewed"]}), 2, 1
    ),
    "renewal that the policy does not allow": Rule(lambda api: api.denied.add(RENEW), 2, 1, 1),
    "renewal of one that was revoked logs in at once": Rule(
        lambda _: None, 2, 1, 2, change=lambda api: api.tokens.clear()
    ),
    "max ttl near, by a shorter life": Rule(
        lambda _: None, 2, 1, change=lambda api: api.script(RENEW, 200, _renewed(20)), seconds=91.0
    ),
    "max ttl near, by the warning": Rule(
        lambda _: None, 2, 1, change=lambda api: api.script(RENEW, 200, _renewed(95) | _CAPPED), seconds=165.0
    ),
    "one without an end is left alone": Rule(lambda api: api.auth.update(lease_duration=0), 1, 0, seconds=90_000.0),
    "renewal that is not answered is repeated": Rule(lambda api: api.script(RENEW, 503, times=2), 1, 3),
    "renewal at a standby that lags is repeated": Rule(lambda api: api.script(RENEW, 412, times=2), 1, 3),
}


def _renewed(seconds: int) -> dict[str, object]:
    return {"auth": {"client_token": "login-token-1", "lease_duration": seconds, "renewable": True}}


@pytest.fixture
def api() -> Iterator[VaultApi]:
    with running_vault() as api:
        yield api


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_rule(api: VaultApi, tmp_path: Path, rule: Rule) -> None:
    rule.prepare(api)
    kept = Kept(api, tmp_path)
    keeper = kept.keeper()
    keeper.token()
    rule.change(api)
    kept.tend_until(keeper, 1000.0 + rule.seconds)
    kept.close()

    assert (api.logins, api.count(RENEW), api.count(LOOKUP)) == (rule.logins, rule.renewals, rule.lookups)
