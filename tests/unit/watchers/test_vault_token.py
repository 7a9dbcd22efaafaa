"""The clock of a token's life, and what the server's answers say of it."""

from __future__ import annotations

import math
import random

import pytest

from confcar.clients.vault_answer import VaultAnswer
from confcar.errors import SourceDataError, SourceDeniedError
from confcar.watchers.vault_token import Token, clock_of, is_sendable, token_of_login, token_of_lookup

SERVICE = {"client_token": "s.abc", "lease_duration": 3600, "renewable": True, "token_type": "service", "num_uses": 0}


def answer(**body: object) -> VaultAnswer:
    return VaultAnswer("http://v", 200, body)


def found(life: float, *, renewable: bool, uses: int = 0) -> Token:
    return Token("s.abc", life, renewable, life, uses)


def token(life: float = 100.0, *, renewable: bool = True, full: float = 100.0) -> Token:
    return Token("s.abc", life, renewable, full)


@pytest.mark.parametrize("seed", range(20))
def test_renewal_comes_at_two_thirds_and_the_new_login_after_80_to_90_percent(seed: int) -> None:
    clock = clock_of(token(), now=1000.0, can_replace=True, jitter=random.Random(seed))

    assert 1070.0 <= clock.renew_at <= 1073.4
    assert 1080.0 <= clock.replace_at <= 1090.0
    assert clock.ends_at == 1100.0


@pytest.mark.parametrize(
    ("made", "can_replace", "renews", "replaces"),
    [
        pytest.param(token(), True, True, True, id="renewable login"),
        pytest.param(token(renewable=False), True, False, True, id="batch or not renewable"),
        pytest.param(token(), False, True, False, id="a token from outside"),
        pytest.param(token(math.inf), True, False, False, id="without an end"),
    ],
)
def test_what_is_due_depends_on_the_token(made: Token, *, can_replace: bool, renews: bool, replaces: bool) -> None:
    clock = clock_of(made, now=0.0, can_replace=can_replace, jitter=random.Random(1))

    assert (clock.renew_at < math.inf, clock.replace_at < math.inf) == (renews, replaces)


def test_token_with_one_second_left_is_renewed_before_it_ends() -> None:
    clock = clock_of(token(1.0), now=0.0, can_replace=False, jitter=random.Random(1))

    assert clock.renew_at < clock.ends_at


def test_fleet_that_logged_in_together_does_not_renew_together() -> None:
    moments = {clock_of(token(), now=0.0, can_replace=True, jitter=random.Random(n)).renew_at for n in range(50)}
    assert len(moments) == 50


@pytest.mark.parametrize(
    ("now", "delay", "expected"),
    [
        pytest.param(40.0, 1.0, 41.0, id="much left"),
        pytest.param(40.0, 300.0, 55.0, id="tries fit in"),
        pytest.param(99.9, 300.0, 100.9, id="nothing left"),
    ],
)
def test_failed_renewal_is_tried_again_while_there_is_time(now: float, delay: float, expected: float) -> None:
    clock = clock_of(token(), now=0.0, can_replace=False, jitter=random.Random(1))
    clock.put_off_renewal(delay, now=now)

    assert clock.renew_at == pytest.approx(expected)


@pytest.mark.parametrize(
    ("granted", "warnings", "can_replace", "renewable"),
    [
        pytest.param(100, None, True, True, id="all of it"),
        pytest.param(95, None, True, True, id="a little less"),
        pytest.param(40, None, True, False, id="max ttl met"),
        pytest.param(100, ["TTL of x exceeded; capped accordingly"], True, False, id="the server says capped"),
        pytest.param(40, None, False, True, id="nobody can replace it"),
    ],
)
def test_renewal_that_gives_less_than_asked_ends_renewing(
    granted: int, warnings: list[str] | None, *, can_replace: bool, renewable: bool
) -> None:
    renewed = token().renewed(
        answer(auth={**SERVICE, "lease_duration": granted}, warnings=warnings), can_replace=can_replace
    )
    assert (renewed.life_seconds, renewed.is_renewable, renewed.full_seconds) == (granted, renewable, 100.0)


def test_renewal_that_leaves_nothing_is_not_a_token_without_an_end() -> None:
    renewed = token().renewed(answer(auth={**SERVICE, "lease_duration": 0}), can_replace=False)
    assert renewed.life_seconds == 1.0


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        pytest.param({}, found(3600.0, renewable=True), id="service"),
        pytest.param({"token_type": "batch"}, found(3600.0, renewable=False), id="batch"),
        pytest.param({"renewable": False}, found(3600.0, renewable=False), id="not renewable"),
        pytest.param({"lease_duration": 0}, found(math.inf, renewable=True), id="without an end"),
        pytest.param({"num_uses": 3}, found(3600.0, renewable=True, uses=3), id="few uses"),
    ],
)
def test_login_tells_the_life_of_its_token(auth: dict[str, object], expected: Token) -> None:
    assert token_of_login(answer(auth={**SERVICE, **auth})) == expected


@pytest.mark.parametrize(
    ("auth", "error", "text"),
    [
        pytest.param({"client_token": "", "mfa_requirement": {"id": 1}}, SourceDeniedError, "second factor", id="MFA"),
        pytest.param({"client_token": ""}, SourceDataError, "without a token", id="no token"),
        pytest.param({"client_token": "a\nb"}, SourceDataError, "without a token", id="not printable"),
        pytest.param({"lease_duration": "1h"}, SourceDataError, "lease_duration", id="no number"),
    ],
)
def test_login_without_a_usable_token_is_an_error(auth: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        token_of_login(answer(auth={**SERVICE, **auth}))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param({"ttl": 40, "creation_ttl": 100, "renewable": True}, token(40.0), id="half its life gone"),
        pytest.param({"ttl": 40, "creation_ttl": 9, "period": 100, "renewable": True}, token(40.0), id="periodic"),
        pytest.param({"ttl": 0, "creation_ttl": 0}, token(math.inf, renewable=False, full=0.0), id="root"),
        pytest.param({"ttl": 0, "creation_ttl": 100, "expire_time": "now"}, token(1.0, renewable=False), id="ending"),
        pytest.param(
            {"ttl": 40, "creation_ttl": 100, "renewable": True, "type": "batch"},
            token(40.0, renewable=False),
            id="batch",
        ),
    ],
)
def test_lookup_tells_the_life_of_a_token(data: dict[str, object], expected: Token) -> None:
    told = token_of_lookup("s.abc", answer(data=data))
    assert (told.life_seconds, told.is_renewable) == (expected.life_seconds, expected.is_renewable)
    assert told.full_seconds in {expected.full_seconds, expected.life_seconds}


def test_token_is_not_shown() -> None:
    assert "s.abc" not in repr(token())


@pytest.mark.parametrize(
    ("text", "expected"),
    [("s.abc", True), ("", False), ("a b", False), ("a\n", False), ("é", False), ("a\x7f", False)],
)
def test_only_one_printable_line_is_a_token(text: str, *, expected: bool) -> None:
    assert is_sendable(text) is expected
