"""The clock of every kind of answer, as tables: which applies, when to renew, when to replace, how a fleet spreads."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcar.watchers.vault_clocks import poll_seconds
from confcar.watchers.vault_lease_clock import (
    Grant,
    LeaseClock,
    Shape,
    capped_clock,
    clock_of,
    grant_of,
    not_renewable,
    renewed_clock,
    rotation_poll_seconds,
    token_cap,
)
from tests.unit.watchers.certificates import certificate

WALL = 1_800_000_000.0
NOW = 5000.0
LEASE = {"lease_id": "database/creds/web/abc", "lease_duration": 100}
CERTIFICATE = {"certificate": "not one", "expiration": WALL + 100, "not_before": WALL - 30}
STATIC = {"last_vault_rotation": "2026-11-27T08:00:00Z", "rotation_period": 60}


def seeded(number: int = 7) -> random.Random:
    return random.Random(number)


@pytest.mark.parametrize(
    ("body", "shape", "life"),
    [
        pytest.param({"auth": {"lease_duration": 60}, **LEASE}, "fixed", 60, id="a token comes before its lease"),
        pytest.param({**LEASE, "renewable": True}, "renewable", 100, id="renewable lease"),
        pytest.param({**LEASE, "renewable": False}, "fixed", 100, id="lease that is not renewable"),
        pytest.param({**LEASE, "data": CERTIFICATE}, "fixed", 100, id="certificate with a lease"),
        pytest.param({"data": CERTIFICATE}, "certificate", 130, id="certificate"),
        pytest.param({"data": {"secret_id": "s", "secret_id_ttl": 60}}, "fixed", 60, id="secret id"),
        pytest.param({"data": {"secret_id": "s", "secret_id_ttl": 0}}, "lasting", math.inf, id="endless secret id"),
        pytest.param({"data": {"token": "jwt", "ttl": 90}}, "fixed", 90, id="signed token"),
        pytest.param({"data": {"ciphertext": "vault:v1:x"}}, "lasting", math.inf, id="transit"),
        pytest.param({"lease_id": "", "lease_duration": 2764800, "data": {}}, "lasting", math.inf, id="nothing said"),
        pytest.param({**LEASE, "lease_duration": 0}, "lasting", math.inf, id="lease without an end"),
    ],
)
def test_first_row_that_fits_a_written_answer_decides(body: dict[str, object], shape: Shape, life: float) -> None:
    grant = grant_of(body, wall=WALL, is_read=False)

    assert (grant.shape, grant.life_seconds) == (shape, life)


@pytest.mark.parametrize(
    ("body", "shape", "life"),
    [
        pytest.param({**LEASE, "renewable": True}, "renewable", 100, id="dynamic credentials"),
        pytest.param({"data": {**STATIC, "ttl": 30}}, "static role", 30, id="static role"),
        pytest.param({"data": {**STATIC, "ttl": 0}}, "static role", 0, id="static role that is being rotated"),
        pytest.param(
            {"data": {"last_vault_rotation": "x", "ttl": 9}}, "static role", 9, id="static role by a schedule"
        ),
        pytest.param({"lease_duration": 2764800, "data": {"password": "p"}}, "polled", math.inf, id="KV v1"),
        pytest.param({"data": {"certificate": certificate()}}, "polled", math.inf, id="the authority's certificate"),
        pytest.param({"data": {"keys": {"1": 2}}}, "polled", math.inf, id="a transit key"),
    ],
)
def test_first_row_that_fits_a_read_answer_decides(body: dict[str, object], shape: Shape, life: float) -> None:
    grant = grant_of(body, wall=WALL, is_read=True)

    assert (grant.shape, grant.life_seconds) == (shape, life)


def test_dates_of_a_certificate_come_from_the_certificate_itself() -> None:
    begin, end = datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 1, 11, tzinfo=UTC)
    pem = certificate(begin, end)
    wall = datetime(2027, 1, 3, tzinfo=UTC).timestamp()

    grant = grant_of({"data": {"certificate": pem}}, wall=wall, is_read=False)

    assert grant == Grant("certificate", "", 10 * 86400.0, 2 * 86400.0)


def spread(shape: Shape, life: float, age: float = 0.0, runs: int = 200) -> tuple[LeaseClock, LeaseClock]:
    """Return the earliest and the latest of each moment, from when it was asked for."""
    jitter = seeded()
    clocks = [clock_of(Grant(shape, "id", life, age), now=NOW, jitter=jitter) for _ in range(runs)]
    return tuple(  # type: ignore[return-value] # one for each of the two
        LeaseClock(*(pick(getattr(each, name) - NOW for each in clocks) for name in LeaseClock.__slots__))
        for pick in (min, max)
    )


@pytest.mark.parametrize(
    ("shape", "life", "age", "renew", "replace"),
    [
        pytest.param("renewable", 100, 0, (62, 70), (88, 92), id="renewable"),
        pytest.param("renewable", 10, 0, (6.2, 6.4), (6.9, 7.1), id="renewable and short"),
        pytest.param("fixed", 100, 0, None, (85, 95), id="fixed"),
        pytest.param("fixed", 10, 0, None, (6.9, 7.1), id="fixed and short"),
        pytest.param("certificate", 1000, 30, None, (820, 920), id="certificate"),
        pytest.param("certificate", 1000, 500, None, (350, 450), id="certificate of half its life"),
        pytest.param("certificate", 40, 30, None, (5, 7), id="certificate whose dates begin long before"),
        pytest.param("static role", 30, 0, None, None, id="static role"),
        pytest.param("lasting", math.inf, 0, None, None, id="lasting"),
    ],
)
def test_renewal_at_two_thirds_and_replacement_near_the_end(
    shape: Shape, life: float, age: float, renew: tuple[float, float] | None, replace: tuple[float, float] | None
) -> None:
    first, last = spread(shape, life, age)

    assert first.ends_at == last.ends_at == life - age
    for span, low, high in ((renew, first.renew_at, last.renew_at), (replace, first.replace_at, last.replace_at)):
        if span is None:
            assert low == math.inf
        else:
            assert span[0] <= low <= high <= span[1]


@given(st.floats(0.01, 1e8), st.floats(0.0, 1.0), st.sampled_from(["renewable", "fixed", "certificate"]), st.integers())
def test_every_step_falls_between_now_and_the_end(life: float, share: float, shape: Shape, seed: int) -> None:
    clock = clock_of(Grant(shape, "id", life, life * share * 0.999), now=NOW, jitter=seeded(seed))

    assert NOW <= clock.replace_at <= clock.ends_at
    assert clock.renew_at == math.inf or NOW <= clock.renew_at <= clock.replace_at


@pytest.mark.parametrize("shape", ["renewable", "fixed", "certificate"])
@pytest.mark.parametrize(("life", "soonest"), [(10, 1.0), (1.2, 1.0), (0.4, 0.4)])
def test_what_lives_ever_shorter_is_not_replaced_ever_faster(shape: Shape, life: float, soonest: float) -> None:
    first, _ = spread(shape, life)

    assert first.replace_at >= soonest - 1e-6


@pytest.mark.parametrize(
    ("granted", "is_last", "renew", "replace"),
    [
        pytest.param(100, False, (62, 70), (88, 92), id="all"),
        pytest.param(95, False, (58, 67), (83, 88), id="about all"),
        pytest.param(60, False, None, (48, 52), id="less: the end is near"),
        pytest.param(100, True, None, (88, 92), id="the server says it is the last"),
        pytest.param(5, False, None, (0, 0), id="less than is left for a replacement"),
    ],
)
def test_renewal_that_gives_less_is_the_last_one(
    granted: float, *, is_last: bool, renew: tuple[float, float] | None, replace: tuple[float, float]
) -> None:
    clock = renewed_clock(100, granted, now=NOW, jitter=seeded(), is_last=is_last)

    assert clock.ends_at == NOW + granted
    assert replace[0] <= clock.replace_at - NOW <= replace[1]
    assert clock.renew_at == math.inf if renew is None else renew[0] <= clock.renew_at - NOW <= renew[1]


def test_lease_that_may_not_be_renewed_goes_by_the_rest_of_its_life() -> None:
    clock = not_renewable(LeaseClock(NOW + 100, NOW, NOW + 90), now=NOW, jitter=seeded())

    assert 85 <= clock.replace_at - NOW <= 95
    assert clock.renew_at == math.inf


def test_lease_of_a_replaced_token_is_replaced_in_the_first_half_of_what_the_token_has_left() -> None:
    jitter = seeded()
    made = LeaseClock(NOW + 1000, NOW + 600, NOW + 900)
    capped = [capped_clock(made, token_cap(NOW + 100, now=NOW, jitter=jitter)) for _ in range(100)]

    assert all(each.ends_at == NOW + 100 and NOW <= each.replace_at <= NOW + 50 for each in capped)
    assert max(each.replace_at for each in capped) - min(each.replace_at for each in capped) > 40
    assert capped_clock(made, token_cap(math.inf, now=NOW, jitter=jitter)) == made


def test_fleet_of_fifty_with_certificates_of_one_age_renews_over_a_twentieth_of_their_life() -> None:
    life = 24 * 3600.0
    grant = Grant("certificate", "", life, 0.0)
    moments = [clock_of(grant, now=NOW, jitter=seeded(number)).replace_at for number in range(50)]

    assert max(moments) - min(moments) >= 0.05 * life
    assert all(0.85 * life <= moment - NOW <= 0.95 * life for moment in moments)


@pytest.mark.parametrize(
    ("ttl", "overdue", "low", "high"),
    [
        pytest.param(10, 0, 10.5, 11.5, id="a moment after it"),
        pytest.param(3600, 0, 25.5, 28.5, id="somebody may do it by hand before"),
        pytest.param(0, 0, 1, 1, id="being rotated"),
        pytest.param(60, 1, 1, 2, id="counted anew, and the same still"),
        pytest.param(0, 9, 1, 5, id="being rotated for long"),
    ],
)
def test_static_role_is_read_when_it_should_change_and_often_until_it_has(
    ttl: float, overdue: int, low: float, high: float
) -> None:
    jitter = seeded()
    delays = [rotation_poll_seconds(ttl, 30.0, overdue_polls=overdue, jitter=jitter) for _ in range(100)]

    assert low <= min(delays) <= max(delays) <= high


def test_poll_is_never_later_than_refresh_says() -> None:
    jitter = seeded()
    delays = [poll_seconds(30.0, jitter=jitter) for _ in range(100)]

    assert 25.5 <= min(delays) < max(delays) <= 28.5


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": []}, {"lease_id": None}, {"auth": None, "data": "x"}])
def test_answer_of_odd_form_has_no_end(body: Mapping[str, object]) -> None:
    assert grant_of(body, wall=WALL, is_read=False) == Grant("lasting")
