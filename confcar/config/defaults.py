"""What sources take from the usual variables of Vault and Consul, where the config does not say.

A token from the environment serves only a source whose address comes from there too, or the only source of its type: it
must never reach a server it was not meant for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from confcar.config.document import Location
from confcar.config.settings import Settings
from confcar.config.sources import ConsulOptions, FileOptions, TlsOptions, VaultOptions
from confcar.config.vault_auth import CertAuth, TokenAuth
from confcar.errors import ConfigError

_VAULT_ADDRESS = "https://127.0.0.1:8200"
_CONSUL_HOST = "127.0.0.1:8500"
_URL = re.compile(r"https?://(?:\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]]+)(?::(?P<port>[0-9]{1,5}))?(?:/[^\s?#]*)?")
_PROXY = re.compile(r"http://(?:[^\s/?#@]*@)?(?:\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]]+)(?::(?P<port>[0-9]{1,5}))?/?")
_PROXIES = ("VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY")
_MAX_PORT = 65535
_TRUE = {"1", "t", "true"}
_FALSE = {"0", "f", "false"}

Place = Callable[[Location], str]


def fill_in(settings: Settings, environ: Mapping[str, str], place: Place) -> Settings:
    """Return *settings* with every source complete.

    Raises:
        ConfigError: An address is none, or a Vault source has no way to log in; every such fault.
    """
    problems: list[str] = []
    kinds = [source.type for source in settings.sources.values()]
    sources: dict[str, Any] = {}
    for name, source in settings.sources.items():
        variable = {"vault": "VAULT_ADDR", "consul": "CONSUL_HTTP_ADDR"}.get(source.type, "")
        is_from_variable = (
            not isinstance(source, FileOptions) and source.address is None and bool(environ.get(variable))
        )
        stands = f"environment {variable}" if is_from_variable else place(("sources", name, "address"))
        where = f"{stands}: sources.{name}"
        # Else the built-in address would get a token that somebody meant for another server.
        may_have_token = is_from_variable or kinds.count(source.type) == 1
        sources[name] = source
        if isinstance(source, VaultOptions):
            sources[name] = vault = _vault(source, environ, may_have_token=may_have_token)
            problems += _address_problems(vault.address, where, is_consul=False)
            problems += _token_problems(vault, name, place(("sources", name, "auth")), environ)
            problems += _certificate_problems(vault, name, place(("sources", name, "auth")))
            problems += _proxy_problems(source, vault, name, place(("sources", name, "proxy")))
        elif isinstance(source, ConsulOptions):
            sources[name] = consul = _consul(source, environ, may_have_token=may_have_token)
            problems += _address_problems(consul.address, where, is_consul=True)
    if problems:
        raise ConfigError(*problems)
    return settings.model_copy(update={"sources": sources})


def _vault(source: VaultOptions, environ: Mapping[str, str], *, may_have_token: bool) -> VaultOptions:
    token = environ.get("VAULT_TOKEN", "").strip()
    tls = source.tls or _tls(
        environ,
        ca_file="VAULT_CACERT",
        cert_file="VAULT_CLIENT_CERT",
        key_file="VAULT_CLIENT_KEY",
        server_name="VAULT_TLS_SERVER_NAME",
        verify=environ.get("VAULT_SKIP_VERIFY", "").lower() not in _TRUE,
    )
    changes = {
        "address": source.address or environ.get("VAULT_ADDR") or _VAULT_ADDRESS,
        "namespace": source.namespace or environ.get("VAULT_NAMESPACE") or None,
        "tls": tls,
        "proxy": source.proxy or next((environ[name] for name in _PROXIES if environ.get(name)), None),
        "token": source.token or (SecretStr(token) if token and may_have_token else None),
    }
    return source.model_copy(update=changes)


def _consul(source: ConsulOptions, environ: Mapping[str, str], *, may_have_token: bool) -> ConsulOptions:
    token = environ.get("CONSUL_HTTP_TOKEN", "").strip()
    token_file = environ.get("CONSUL_HTTP_TOKEN_FILE")
    has_own = source.token is not None or source.token_file is not None
    tls = source.tls or _tls(
        environ,
        ca_file="CONSUL_CACERT",
        cert_file="CONSUL_CLIENT_CERT",
        key_file="CONSUL_CLIENT_KEY",
        server_name="CONSUL_TLS_SERVER_NAME",
        verify=environ.get("CONSUL_HTTP_SSL_VERIFY", "").lower() not in _FALSE,
    )
    changes = {
        "address": source.address or _consul_address(environ),
        "namespace": source.namespace or environ.get("CONSUL_NAMESPACE") or None,
        "partition": source.partition or environ.get("CONSUL_PARTITION") or None,
        "tls": tls,
        "token": source.token or (SecretStr(token) if token and may_have_token and not has_own else None),
        "token_file": source.token_file
        or (Path(token_file).absolute() if token_file and may_have_token and not has_own else None),
    }
    return source.model_copy(update=changes)


def _consul_address(environ: Mapping[str, str]) -> str:
    address = environ.get("CONSUL_HTTP_ADDR") or _CONSUL_HOST
    if "://" in address:
        return address
    scheme = "https" if environ.get("CONSUL_HTTP_SSL", "").lower() in _TRUE else "http"
    return f"{scheme}://{address}"


def _tls(
    environ: Mapping[str, str], *, ca_file: str, cert_file: str, key_file: str, server_name: str, verify: bool
) -> TlsOptions | None:
    files = {"ca_file": ca_file, "cert_file": cert_file, "key_file": key_file}
    found: dict[str, Any] = {
        field: Path(environ[variable]).absolute() for field, variable in files.items() if environ.get(variable)
    }
    if environ.get(server_name):
        found["server_name"] = environ[server_name]
    if not verify:
        found["verify"] = False
    return TlsOptions.model_construct(**found) if found else None


def _token_problems(source: VaultOptions, name: str, where: str, environ: Mapping[str, str]) -> list[str]:
    if not isinstance(source.auth, TokenAuth) or source.token is not None:
        return []
    ways = "set VAULT_TOKEN, or choose auth: {method: token_file, path: ...} or another method"
    if environ.get("VAULT_TOKEN", "").strip():
        ways = (
            "VAULT_TOKEN goes to the address in VAULT_ADDR, or to an only Vault source; "
            "choose auth: {method: token_file, path: ...} or another method"
        )
    return [f"{where}: sources.{name}.auth: there is no token to log in with; {ways}"]


def _certificate_problems(source: VaultOptions, name: str, where: str) -> list[str]:
    if not isinstance(source.auth, CertAuth):
        return []
    is_secure = (source.address or "").startswith("https://")
    if is_secure and source.tls is not None and source.tls.cert_file is not None:
        return []
    cure = "give tls: {cert_file: ..., key_file: ...} and an https address"
    return [f"{where}: sources.{name}.auth: method cert shows the certificate of the connection; {cure}"]


def _proxy_problems(given: VaultOptions, source: VaultOptions, name: str, where: str) -> list[str]:
    found = _PROXY.fullmatch(source.proxy or "")
    if source.proxy is None or (found and int(found["port"] or 0) <= _MAX_PORT):
        return []
    stands = where if given.proxy else "environment VAULT_PROXY_ADDR or VAULT_HTTP_PROXY"
    return [f"{stands}: sources.{name}.proxy: must be the URL of an HTTP proxy, such as http://proxy:3128"]


def _address_problems(address: str | None, where: str, *, is_consul: bool) -> list[str]:
    is_socket = is_consul and address is not None and address.startswith("unix:///")
    url = _URL.fullmatch(address or "")
    if is_socket or (url and int(url["port"] or 0) <= _MAX_PORT):
        return []
    example = "http://127.0.0.1:8500 or unix:///path" if is_consul else _VAULT_ADDRESS
    return [f"{where}.address: must be a URL without credentials, such as {example}"]
