"""What sources take from VAULT_... and CONSUL_... variables, and what they must not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.config.workbench import BUNDLE, Workbench


def _source(bench: Workbench, options: str, environ: dict[str, str], name: str = "s") -> Any:  # noqa: ANN401 - of any type
    return bench.load(f"sources:\n{options}\n{BUNDLE}", environ).settings.sources[name]


def _token(source: Any) -> str | None:  # noqa: ANN401 - of any type
    return source.token.get_secret_value() if source.token is not None else None


def test_vault_variables_are_the_defaults(bench: Workbench) -> None:
    environ = {
        "VAULT_ADDR": "https://v:8200",
        "VAULT_TOKEN": " s3cret\n",
        "VAULT_NAMESPACE": "team",
        "VAULT_CACERT": "/ca",
        "VAULT_CLIENT_CERT": "/cert",
        "VAULT_CLIENT_KEY": "/key",
        "VAULT_TLS_SERVER_NAME": "vault",
        "VAULT_SKIP_VERIFY": "1",
    }
    source = _source(bench, "  s: {type: vault}", environ)
    assert (source.address, source.namespace, _token(source)) == ("https://v:8200", "team", "s3cret")
    tls = source.tls
    assert [str(each) for each in (tls.ca_file, tls.cert_file, tls.key_file)] == ["/ca", "/cert", "/key"]
    assert (tls.server_name, tls.verify) == ("vault", False)
    assert "s3cret" not in repr(source)


def test_consul_variables_are_the_defaults(bench: Workbench) -> None:
    environ = {
        "CONSUL_HTTP_ADDR": "c:8500",
        "CONSUL_HTTP_SSL": "true",
        "CONSUL_HTTP_TOKEN_FILE": "/token",
        "CONSUL_CACERT": "/ca",
        "CONSUL_TLS_SERVER_NAME": "consul",
        "CONSUL_HTTP_SSL_VERIFY": "false",
        "CONSUL_NAMESPACE": "ns",
        "CONSUL_PARTITION": "part",
    }
    source = _source(bench, "  s: {type: consul}", environ)
    assert (source.address, source.namespace, source.partition) == ("https://c:8500", "ns", "part")
    assert (str(source.token_file), source.token) == ("/token", None)
    assert (str(source.tls.ca_file), source.tls.server_name, source.tls.verify) == ("/ca", "consul", False)


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, "http://127.0.0.1:8500"),
        ({"CONSUL_HTTP_SSL": "true"}, "https://127.0.0.1:8500"),
        ({"CONSUL_HTTP_ADDR": "c:1"}, "http://c:1"),
        ({"CONSUL_HTTP_ADDR": "unix:///run/consul.sock"}, "unix:///run/consul.sock"),
        ({"CONSUL_HTTP_ADDR": "https://c:1"}, "https://c:1"),
    ],
    ids=["none", "ssl", "without-scheme", "socket", "https"],
)
def test_consul_address_may_lack_its_scheme(bench: Workbench, environ: dict[str, str], address: str) -> None:
    assert _source(bench, "  s: {type: consul}", environ).address == address


def test_what_the_config_says_wins(bench: Workbench) -> None:
    options = "  s: {type: vault, address: 'https://mine', namespace: mine}"
    source = _source(bench, options, {"VAULT_ADDR": "https://v", "VAULT_NAMESPACE": "v", "VAULT_TOKEN": "t"})
    assert (source.address, source.namespace, _token(source)) == ("https://mine", "mine", "t")


def test_token_goes_only_to_the_address_it_belongs_to(bench: Workbench) -> None:
    options = "  s: {type: consul}\n  other: {type: consul, address: 'http://other:1'}"
    environ = {"CONSUL_HTTP_ADDR": "c:1", "CONSUL_HTTP_TOKEN": "t"}
    assert _token(_source(bench, options, environ)) == "t"
    assert _token(_source(bench, options, environ, "other")) is None


def test_token_without_its_address_goes_to_no_server_of_several(bench: Workbench) -> None:
    options = "  s: {type: consul}\n  other: {type: consul, address: 'http://other:1'}"
    assert _token(_source(bench, options, {"CONSUL_HTTP_TOKEN": "t"})) is None
    assert _token(_source(bench, options, {"CONSUL_HTTP_TOKEN": "t"}, "other")) is None


def test_own_token_file_wins_over_the_variable(bench: Workbench) -> None:
    source = _source(bench, "  s: {type: consul, token_file: t}", {"CONSUL_HTTP_TOKEN": "x"})
    assert (source.token_file, source.token) == (bench.folder / "t", None)


def test_vault_without_a_token_says_what_to_do(bench: Workbench) -> None:
    found = bench.problems("sources:\n  v:\n    type: vault\n" + BUNDLE)
    ways = "set VAULT_TOKEN, or choose auth: {method: token_file, path: ...} or another method"
    assert found == [f"c.yaml:2:3: sources.v.auth: there is no token to log in with; {ways}"]


def test_vault_whose_token_is_meant_for_another_says_so(bench: Workbench) -> None:
    text = "sources:\n  a: {type: vault}\n  b: {type: vault, address: 'https://b'}\n" + BUNDLE
    (found,) = bench.problems(text, {"VAULT_TOKEN": "s3cret", "VAULT_ADDR": "https://a"})
    assert found.startswith("c.yaml:3:3: sources.b.auth: there is no token to log in with; VAULT_TOKEN goes to")
    assert "s3cret" not in found


def test_vault_with_another_login_needs_no_token(bench: Workbench) -> None:
    text = "sources:\n  v: {type: vault, auth: {method: token_file, path: t}}\n" + BUNDLE
    assert bench.problems(text) == []


@pytest.mark.parametrize(
    "wrong", ["vault:8200", "ftp://v", "https://", "https://u:p@v", "https://v:99999", "https://v/?a"]
)
def test_address_from_a_variable_is_checked_and_named(bench: Workbench, wrong: str) -> None:
    found = bench.problems("sources: {v: {type: vault}}\n" + BUNDLE, {"VAULT_TOKEN": "t", "VAULT_ADDR": wrong})
    text = "must be a URL without credentials, such as https://127.0.0.1:8200"
    assert found == [f"environment VAULT_ADDR: sources.v.address: {text}"]


def test_address_in_the_file_is_located(bench: Workbench) -> None:
    found = bench.problems("sources:\n  c: {type: consul, address: consul:8500}\n" + BUNDLE)
    text = "must be a URL without credentials, such as http://127.0.0.1:8500 or unix:///path"
    assert found == [f"c.yaml:2:21: sources.c.address: {text}"]
