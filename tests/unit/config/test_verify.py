"""`verify` and what it leads to: defaults, and what makes no sense together."""

from __future__ import annotations

import pytest

from confcar.config.verify import split_address
from tests.unit.config.workbench import BUNDLE, Workbench


def test_defaults_of_a_verify(bench: Workbench) -> None:
    bundle = bench.load(BUNDLE + "    verify: {http: {url: 'http://a/healthz'}}\n").settings.bundles["web"]
    assert bundle.verify is not None
    assert bundle.verify.http is not None
    assert (bundle.verify.http.method, bundle.verify.http.expect) == ("GET", "2xx")
    assert (bundle.verify.within_seconds, bundle.verify.stable_for_seconds) == (10.0, 1.0)
    assert bundle.rolls_back


@pytest.mark.parametrize(
    ("more", "rolls_back"),
    [
        pytest.param("", False, id="no-verify"),
        pytest.param("    verify: {tcp: 'a:1'}\n    on_failure: rollback\n", True, id="said"),
        pytest.param("    verify: {tcp: 'a:1'}\n    on_failure: keep\n    keep: 0\n", False, id="keep"),
    ],
)
def test_rolling_back_is_the_default_only_where_something_is_verified(
    bench: Workbench, more: str, *, rolls_back: bool
) -> None:
    assert bench.load(BUNDLE + more).settings.bundles["web"].rolls_back is rolls_back


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        pytest.param("    verify: {within: 5s}\n", "verify is exactly one of http, tcp or command", id="none"),
        pytest.param(
            "    verify: {tcp: 'a:1', command: ['true']}\n", "verify is exactly one of http, tcp or command", id="two"
        ),
        pytest.param("    verify: {tcp: 'a'}\n", "write host:port or [v6]:port", id="no-port"),
        pytest.param("    verify: {tcp: ':80'}\n", "write host:port or [v6]:port", id="no-host"),
        pytest.param("    verify: {tcp: 'a:0'}\n", "write host:port or [v6]:port", id="port-zero"),
        pytest.param(
            "    verify: {tcp: 'a:1', within: 1s}\n", "stable_for must be shorter than within", id="stable-too-long"
        ),
        pytest.param(
            "    on_failure: keep\n", "on_failure says what a failed verify leads to", id="failure-of-nothing"
        ),
        pytest.param(
            "    keep: 0\n    verify: {tcp: 'a:1'}\n",
            "a failed verify needs a generation to go back to",
            id="nothing-kept",
        ),
    ],
)
def test_what_makes_no_sense_is_told(bench: Workbench, lines: str, problem: str) -> None:
    (found,) = bench.problems(BUNDLE + lines)
    assert problem in found


@pytest.mark.parametrize(
    ("text", "address"),
    [
        pytest.param("localhost:80", ("localhost", 80), id="name"),
        pytest.param("127.0.0.1:8080", ("127.0.0.1", 8080), id="v4"),
        pytest.param("[::1]:443", ("::1", 443), id="v6"),
    ],
)
def test_an_address_is_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert split_address(text) == address
