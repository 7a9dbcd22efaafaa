"""What goes to Consul with a request, and what its refusals become."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from confcar.clients.consul import ConsulClient, Terms
from confcar.config.sources import ConsulOptions
from confcar.errors import ConfigError, SourceDataError, SourceDeniedError, SourceError, SourceUnavailableError
from tests.fakes.consul_api import FakeConsul
from tests.fakes.tcp import answer, answer_all, serving
from tests.waiting import free_port

TOKEN = "0badcafe-1111-2222-3333-444455556666"
VALUE = "pa55word-in-the-store"


@contextmanager
def _client(address: str, **options: object) -> Iterator[ConsulClient]:
    secret = {} if "token_file" in options else {"token": SecretStr(TOKEN)}
    made = ConsulOptions.model_validate({"type": "consul", "address": address} | secret | options)
    client = ConsulClient("kv", made, on_request=lambda _: None)
    try:
        yield client
    finally:
        client.close()


def _refused(fault: bytes, **options: object) -> SourceError:
    with FakeConsul() as server, _client(server.address, **options) as client:
        server.fault = lambda _: fault
        with pytest.raises(SourceError) as caught:
            client.read_key("app/port")
        return caught.value


def test_the_token_goes_in_a_header_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "of-another-source")
    with FakeConsul() as server, _client(server.address) as client:
        client.read_key("a")
        (asked,) = server.asked
        assert asked.headers["x-consul-token"] == TOKEN
        assert TOKEN not in asked.target
        assert TOKEN not in repr(client) + repr(vars(client))


def test_no_token_is_sent_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "of-another-source")
    with FakeConsul() as server, _client(server.address, token=None) as client:
        client.read_key("a")
        assert "x-consul-token" not in server.asked[0].headers


def test_the_token_file_is_read_on_each_use(tmp_path: Path) -> None:
    path = tmp_path / "token"
    with FakeConsul() as server, _client(server.address, token_file=path) as client:
        for token in ("first", "second"):
            path.write_text(f"{token}\n")
            client.read_key("a")
        assert [asked.headers["x-consul-token"] for asked in server.asked] == ["first", "second"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "cannot read token_file .*token: No such file", id="missing"),
        pytest.param(b" \n", "token_file .*token is empty", id="empty"),
        pytest.param(b"two words", "is more than one word", id="two-words"),
        pytest.param(b"two\nlines", "is more than one word", id="two-lines"),
        pytest.param(b"\xff\xfe", "is not plain text", id="binary"),
    ],
)
def test_a_token_file_that_cannot_be_used_is_denied_with_words(
    content: bytes | None, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with FakeConsul() as server, _client(server.address, token_file=path) as client:
        with pytest.raises(SourceDeniedError, match=words) as caught:
            client.read_key("a")
        assert "two" not in str(caught.value)
        assert server.asked == []


def test_datacenter_namespace_partition_and_consistency_are_asked_for() -> None:
    options = {"datacenter": "dc 2", "namespace": "team-a", "partition": "p", "consistency": "consistent"}
    with FakeConsul() as server, _client(server.address, **options) as client:
        client.read_prefix("sites/", Terms(after=7, wait_seconds=0.01))
    params = dict(server.asked[0].params)
    assert params.pop("wait")
    tenancy = {"dc": "dc 2", "ns": "team-a", "partition": "p", "consistent": "1"}
    assert params == tenancy | {"index": "7", "recurse": "1"}
    assert server.asked[0].key == "sites/"


def test_the_headers_of_an_answer_are_kept() -> None:
    with FakeConsul() as server, _client(server.address) as client:
        server.put("a", b"1")
        server.headers |= {"X-Consul-LastContact": "250", "X-Consul-Results-Filtered-By-ACLs": "true"}
        found = client.read_key("a")
    assert (found.index, found.last_contact_seconds, found.may_hide) == (11, 0.25, True)
    assert found.entries == {"a": b"1"}
    assert "entries" not in repr(found)


@pytest.mark.parametrize("status", ["301 Moved", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_is_an_error_and_the_token_stays(status: str) -> None:
    with serving(answer_all) as other:
        place = f"Location: http://user:{VALUE}@127.0.0.1:{other.port}/v1/kv/app/port?token={TOKEN}\r\n"
        error = _refused(answer(b"", status=status, headers=place))
        assert other.accepted == 0
        assert f"redirects ({status[:3]} to http://127.0.0.1:{other.port})" in str(error)
    assert isinstance(error, SourceDataError)
    assert TOKEN not in str(error)
    assert VALUE not in str(error)


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        pytest.param(403, "Permission denied", SourceDeniedError, 'key "app/port" { policy = "read" }', id="denied"),
        pytest.param(
            403, "Permission denied: lacks 'key:list'", SourceDeniedError, 'policy = "list"', id="list-denied"
        ),
        pytest.param(403, "ACL not found", SourceDeniedError, "does not know the token", id="unknown-token"),
        pytest.param(500, "rpc error: Permission denied", SourceDeniedError, 'policy = "read"', id="denied-by-rpc"),
        pytest.param(500, "No cluster leader", SourceUnavailableError, "has no leader", id="no-leader"),
        pytest.param(500, "rpc error making call: No cluster leader", SourceUnavailableError, "no leader", id="rpc"),
        pytest.param(500, "No path to datacenter", SourceUnavailableError, "datacenter 'dc9'", id="no-datacenter"),
        pytest.param(429, "Too Many Requests", SourceUnavailableError, "http_max_conns_per_client", id="too-many"),
        pytest.param(502, "Bad Gateway", SourceUnavailableError, "answers 502: Bad Gateway", id="gateway"),
        pytest.param(400, "Client sent an HTTP request to an HTTPS server.", SourceDataError, "HTTPS", id="bad"),
        pytest.param(405, "", SourceDataError, "answers 405", id="other"),
    ],
)
def test_a_refusal_says_what_is_wrong(status: int, body: str, kind: type[SourceError], words: str) -> None:
    error = _refused(answer(body.encode(), status=f"{status} Some Reason"), datacenter="dc9")
    assert type(error) is kind
    assert words in str(error)


def test_what_the_server_asks_to_wait_is_passed_on() -> None:
    error = _refused(answer(b"slow down", status="503 Busy", headers="Retry-After: 7\r\n"))
    assert isinstance(error, SourceUnavailableError)
    assert error.retry_after_seconds == 7


def test_the_servers_text_is_cut_and_shows_no_token() -> None:
    text = f"bad \x1b[31m token {TOKEN} accessor d676d753-df19-878e-4c44-e7a77f008448 {'x' * 9999}\n{VALUE}"
    shown = str(_refused(answer(text.encode(), status="500 Error")))
    assert len(shown) < 300
    for hidden in (TOKEN, "d676d753", VALUE, "\x1b"):
        assert hidden not in shown


INDEX = "X-Consul-Index: 5\r\n"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(answer(b"404 page not found", status="404 Not Found"), id="404-without-index"),
        pytest.param(answer(b"<html>welcome</html>"), id="200-without-index"),
        pytest.param(answer(VALUE.encode(), headers=INDEX), id="no-json"),
        pytest.param(answer(b'[{"Key": "a", "Value": "!%s"}]' % VALUE.encode(), headers=INDEX), id="no-base64"),
        pytest.param(answer(b'[{"%s": 1}]' % VALUE.encode(), headers=INDEX), id="other-json"),
        pytest.param(answer(b'["%s"]' % VALUE.encode(), headers=INDEX), id="strings"),
        pytest.param(answer(b"\xff\xfe", headers=INDEX), id="no-text"),
        pytest.param(answer(b"[]", headers="X-Consul-Index: many\r\n"), id="index-is-no-number"),
    ],
)
def test_what_is_not_consuls_answer_is_an_error_without_its_content(fault: bytes) -> None:
    error = _refused(fault)
    assert isinstance(error, SourceUnavailableError)
    assert "is not Consul's API" in str(error)
    assert VALUE not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__


def test_nobody_there_is_an_outage() -> None:
    port = free_port()
    with _client(f"http://user:{VALUE}@127.0.0.1:{port}") as client:
        with pytest.raises(SourceUnavailableError) as caught:
            client.read_key("a")
        expected = f"cannot reach Consul at http://127.0.0.1:{port}: cannot connect: Connection refused"
        assert str(caught.value) == expected


def test_a_closed_client_says_so() -> None:
    with FakeConsul() as server, _client(server.address) as client:
        client.close()
        with pytest.raises(SourceUnavailableError, match="no longer followed"):
            client.read_key("a")


def test_a_bad_certificate_file_is_an_outage_that_names_it(tmp_path: Path) -> None:
    with (
        _client("https://127.0.0.1:1", tls={"ca_file": tmp_path / "ca.pem"}) as client,
        pytest.raises(SourceUnavailableError, match=r"cannot use ca_file .*ca\.pem"),
    ):
        client.read_key("a")


def test_an_address_that_is_no_url_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"sources\.kv\.address"), _client("ftp://x"):
        pass
