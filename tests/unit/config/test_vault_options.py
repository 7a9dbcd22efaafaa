"""What a Vault source refuses before anything is asked: certificates that are none, proxies that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcar.config.sources import VaultOptions
from tests.unit.config.workbench import BUNDLE, Workbench


def problems(bench: Workbench, options: str, environ: dict[str, str] | None = None) -> list[str]:
    return bench.problems(f"sources:\n  v: {{type: vault, {options}}}\n{BUNDLE}", environ or {})


def vault(bench: Workbench, options: str, environ: dict[str, str]) -> VaultOptions:
    source = bench.load(f"sources:\n  v: {{type: vault, {options}}}\n{BUNDLE}", environ).settings.sources["v"]
    assert isinstance(source, VaultOptions)
    return source


@pytest.mark.parametrize(
    "options",
    [
        pytest.param("auth: {method: cert}", id="no certificate"),
        pytest.param("auth: {method: cert}, tls: {ca_file: c}", id="only a CA"),
        pytest.param("auth: {method: cert}, address: 'http://v:8200', tls: {cert_file: c}", id="no TLS"),
    ],
)
def test_login_by_certificate_needs_one_and_https(bench: Workbench, options: str) -> None:
    (problem,) = problems(bench, options)
    assert problem.startswith("c.yaml:2:")
    assert "sources.v.auth: method cert" in problem


def test_login_by_certificate_takes_the_one_of_the_environment(bench: Workbench) -> None:
    environ = {"VAULT_ADDR": "https://v:8200", "VAULT_CLIENT_CERT": "/c.pem"}
    tls = vault(bench, "auth: {method: cert}", environ).tls
    assert tls is not None
    assert tls.cert_file == Path("/c.pem")


@pytest.mark.parametrize(
    ("options", "environ", "proxy"),
    [
        ("auth: {method: token}", {}, None),
        ("auth: {method: token}", {"VAULT_HTTP_PROXY": "http://a:1"}, "http://a:1"),
        ("auth: {method: token}", {"VAULT_HTTP_PROXY": "http://a:1", "VAULT_PROXY_ADDR": "http://b:2"}, "http://b:2"),
        ("proxy: 'http://c:3'", {"VAULT_PROXY_ADDR": "http://b:2"}, "http://c:3"),
        ("auth: {method: token}", {"HTTPS_PROXY": "http://a:1", "HTTP_PROXY": "http://a:1"}, None),
    ],
)
def test_proxy_comes_from_the_config_or_from_vaults_own_variables(
    bench: Workbench, options: str, environ: dict[str, str], proxy: str | None
) -> None:
    assert vault(bench, options, {"VAULT_TOKEN": "t", **environ}).proxy == proxy


@pytest.mark.parametrize(
    "proxy", ["vault-proxy:8080", "https://proxy:3128", "socks5://p:1", "http://p:99999", "http://p/x"]
)
def test_proxy_that_is_no_http_proxy_is_refused_without_being_shown(bench: Workbench, proxy: str) -> None:
    environ = {"VAULT_TOKEN": "t"}
    (in_file,) = problems(bench, f"proxy: '{proxy}'", environ)
    assert in_file.startswith("c.yaml:2:")
    assert "sources.v.proxy: must be the URL of an HTTP proxy" in in_file
    (in_variable,) = problems(bench, "auth: {method: token}", {**environ, "VAULT_PROXY_ADDR": proxy})
    assert in_variable.startswith("environment VAULT_PROXY_ADDR")
    assert proxy not in in_file + in_variable
