"""What a Vault client follows, asks again, and refuses: redirects, a standby that lags, last successes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from urllib3 import HTTPHeaderDict

from confcar.clients.transport import Response, Transport
from confcar.clients.vault import VaultClient
from confcar.clients.vault_adapter import Nodes
from confcar.clients.vault_answer import VaultAnswer
from confcar.config.sources import VaultOptions
from confcar.errors import SourceUnavailableError
from tests.fakes.vault_api import VaultApi, running_vault

TOKEN, PATH = "a-token-of-the-test", "secret/data/app"


@contextmanager
def client_of(address: str, counts: list[int] | None = None, codes: list[str] | None = None) -> Iterator[VaultClient]:
    options = VaultOptions.model_validate({"type": "vault", "address": address})
    client = VaultClient(
        "vault",
        options,
        max_connections=2,
        on_request=(codes if codes is not None else []).append,
        on_connections=(counts if counts is not None else []).append,
    )
    try:
        yield client
    finally:
        client.close()


def get(client: VaultClient, path: str = PATH) -> VaultAnswer:
    return client.call("GET", path, token=TOKEN, params={"version": "3"})


@pytest.fixture
def standby() -> Iterator[VaultApi]:
    with running_vault() as api:
        api.add_token(TOKEN)
        yield api


@pytest.fixture
def active() -> Iterator[VaultApi]:
    with running_vault() as api:
        api.add_token(TOKEN)
        api.put(PATH, {"a": 1})
        yield api


@pytest.mark.parametrize("status", [307, 308])
def test_standby_is_followed_to_the_active_node_with_token_query_and_body(
    standby: VaultApi, active: VaultApi, status: int
) -> None:
    standby.script(PATH, status, headers={"Location": f"{active.address}/v1/{PATH}?version=3"})
    location = {"Location": f"{active.address}/v1/auth/token/renew-self"}
    standby.script("auth/token/renew-self", status, headers=location)
    counts: list[int] = []
    codes: list[str] = []
    with client_of(standby.address, counts, codes) as client:
        assert get(client).section("data")["data"] == {"a": 1}
        assert client.call("PUT", "auth/token/renew-self", token=TOKEN, body={"increment": 7}).is_ok
        assert max(counts) == 2

    read, renewed = active.asked
    assert (read.method, read.query, read.headers["x-vault-token"]) == ("GET", {"version": "3"}, TOKEN)
    assert (renewed.method, renewed.body) == ("PUT", {"increment": 7})
    assert codes == [str(status), "200"] * 2
    assert counts[-1] == 0


def test_redirect_is_followed_once_only(standby: VaultApi, active: VaultApi) -> None:
    standby.script(PATH, 307, headers={"Location": f"{active.address}/v1/{PATH}?version=3"})
    active.script(PATH, 307, headers={"Location": f"{standby.address}/v1/{PATH}?version=3"})
    with client_of(standby.address) as client, pytest.raises(SourceUnavailableError, match="redirects too"):
        get(client)

    assert (len(standby.asked), len(active.asked)) == (1, 1)


@pytest.mark.parametrize(
    ("status", "location"),
    [
        pytest.param(301, "{active}/v1/secret/data/app?version=3", id="301"),
        pytest.param(302, "{active}/v1/secret/data/app?version=3", id="302"),
        pytest.param(303, "{active}/v1/secret/data/app?version=3", id="303"),
        pytest.param(307, "{active}/login", id="another path"),
        pytest.param(307, "{active}/v1/secret/data/app", id="another query"),
        pytest.param(307, "/v1/secret/data/app?version=3", id="no host"),
        pytest.param(307, "ftp://127.0.0.1/v1/secret/data/app?version=3", id="another scheme"),
        pytest.param(307, "http://user@127.0.0.1/v1/secret/data/app?version=3", id="credentials"),
        pytest.param(307, "http://[::1/v1/secret/data/app?version=3", id="no URL"),
        pytest.param(307, "", id="nothing"),
    ],
)
def test_any_other_redirect_is_an_error_and_the_token_stays_here(
    standby: VaultApi, active: VaultApi, status: int, location: str
) -> None:
    standby.script(PATH, status, headers={"Location": location.format(active=active.address)})
    with client_of(standby.address) as client, pytest.raises(SourceUnavailableError, match="active node") as caught:
        get(client)

    assert f"redirects ({status}" in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert active.asked == []


def test_active_node_that_is_away_is_named(standby: VaultApi) -> None:
    with running_vault() as gone:
        pass
    standby.script(PATH, 307, headers={"Location": f"{gone.address}/v1/{PATH}?version=3"})
    with (
        client_of(standby.address) as client,
        pytest.raises(SourceUnavailableError, match=f"cannot reach Vault at {gone.address}"),
    ):
        get(client)


def test_active_node_that_moves_is_followed_each_time(standby: VaultApi) -> None:
    counts: list[int] = []
    with client_of(standby.address, counts) as client:
        for _ in range(6):
            with running_vault() as active:
                active.add_token(TOKEN)
                active.put(PATH, {"a": 1})
                standby.script(PATH, 307, headers={"Location": f"{active.address}/v1/{PATH}?version=3"})
                assert get(client).is_ok
    assert counts[-1] == 0
    assert max(counts) <= 5


@pytest.mark.parametrize(("times", "status"), [(1, 200), (2, 200), (3, 412)])
def test_standby_that_lags_is_asked_again_for_a_moment(active: VaultApi, times: int, status: int) -> None:
    active.script(PATH, 412, {"errors": ["required index state not present"]}, times=times)
    with client_of(active.address) as client:
        assert get(client).status == status

    assert active.count(PATH) == min(times + 1, 3)


def test_last_success_counts_only_what_was_done_for_this_token(active: VaultApi) -> None:
    with client_of(active.address) as client:
        active.denied.add("secret/data/other")
        get(client, "secret/data/other")
        assert client.last_success(TOKEN) == float("-inf")
        get(client)
        assert client.last_success(TOKEN) > 0
        assert client.last_success("another") == float("-inf")


@pytest.mark.parametrize(
    ("configured", "named", "is_followed"),
    [
        ("https://standby:8200", "https://active:8200", True),
        ("https://standby:8200", "http://active:8200", False),
        ("http://standby:8200", "https://active:8200", True),
        ("https://standby/vault", "https://active", True),
    ],
)
def test_redirect_never_leads_from_https_to_http(configured: str, named: str, is_followed: bool) -> None:  # noqa: FBT001 - a table
    nodes = Nodes(configured, lambda address, _: Transport(address, max_connections=1), on_connections=None)
    answer = Response(307, HTTPHeaderDict({"Location": f"{named}/v1/a?b=c"}), b"")
    node = nodes.named_by(answer, "/v1/a?b=c")
    assert (node[0].server if node else "") == (named if is_followed else "")
    nodes.close()
    assert nodes.named_by(answer, "/v1/a?b=c") is None
