"""What each login method sends where, and that a token handed over comes before a login."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from confcar.clients.vault import VaultClient
from confcar.config.sources import VaultOptions
from confcar.errors import SourceDataError, SourceDeniedError, SourceError, SourceUnavailableError
from confcar.handover.handover import Handover
from confcar.handover.records import HandedToken
from confcar.watchers.vault_auth import LOGINS, create_login
from confcar.watchers.vault_handover import HandedLogin, key_of
from confcar.watchers.vault_login import Login
from tests.fakes.vault_api import VaultApi, running_vault
from tests.unit.watchers.vault_world import RENEW, Kept

LOOKUP = "auth/token/lookup-self"
SENT = {
    "kubernetes": ({"role": "web"}, "auth/kubernetes/login", {"role": "web", "jwt": "a-secret"}),
    "kubernetes nested": (
        {"method": "kubernetes", "role": "web", "mount": "clusters/one"},
        "auth/clusters/one/login",
        {"role": "web", "jwt": "a-secret"},
    ),
    "jwt": ({"role": "web"}, "auth/jwt/login", {"role": "web", "jwt": "a-secret"}),
    "jwt without role": ({"method": "jwt", "mount": "ci/jwt"}, "auth/ci/jwt/login", {"role": "", "jwt": "a-secret"}),
    "userpass": ({"username": "alice"}, "auth/userpass/login/alice", {"password": "a-secret"}),
    "userpass nested": (
        {"method": "userpass", "username": "alice b?c", "mount": "team/users"},
        "auth/team/users/login/alice b?c",
        {"password": "a-secret"},
    ),
    "ldap": ({"username": "alice"}, "auth/ldap/login/alice", {"password": "a-secret"}),
    "ldap nested": (
        {"method": "ldap", "username": "alice@example.org", "mount": "corp/ldap"},
        "auth/corp/ldap/login/alice@example.org",
        {"password": "a-secret"},
    ),
}


@pytest.fixture
def api() -> Iterator[VaultApi]:
    with running_vault() as api:
        yield api


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("a-secret\n")
    return path


def options_of(api: VaultApi, name: str, more: Mapping[str, object], secret: Path) -> VaultOptions:
    method = str(more.get("method", name))
    file = "password_file" if method in {"userpass", "ldap"} else "token_file"
    auth = {"method": method, file: secret, **more}
    return VaultOptions.model_validate({"type": "vault", "address": api.address, "auth": auth})


def log_in(login: Login, options: VaultOptions) -> str:
    client = VaultClient("vault", options, max_connections=1, on_request=lambda _: None)
    try:
        return login.log_in(client).value
    finally:
        client.close()


@pytest.mark.parametrize("name", SENT)
def test_login_goes_to_its_mount_with_what_the_files_hold(api: VaultApi, secret: Path, name: str) -> None:
    more, path, body = SENT[name]
    api.credentials = {path: body}
    options = options_of(api, name, more, secret)

    assert log_in(create_login(options), options) == "login-token-1"
    assert "x-vault-token" not in api.asked[0].headers


@pytest.mark.parametrize("name", SENT)
def test_refused_login_names_method_and_mount_and_no_credential(api: VaultApi, secret: Path, name: str) -> None:
    more, path, _ = SENT[name]
    options = options_of(api, name, more, secret)
    api.script(path, 400, {"errors": ["no match for a-secret"]})
    with pytest.raises(SourceDeniedError) as caught:
        log_in(create_login(options), options)

    assert f"at {path.partition('/login')[0]}" in str(caught.value)
    assert options.auth.method in str(caught.value)
    assert "a-secret" not in str(caught.value)


def test_every_method_of_the_config_has_a_login() -> None:
    methods = VaultOptions.model_json_schema()["properties"]["auth"]["discriminator"]["mapping"]
    assert set(methods) == set(LOGINS)


def test_kubernetes_reads_the_token_where_kubernetes_puts_it() -> None:
    auth = {"method": "kubernetes", "role": "web"}
    options = VaultOptions.model_validate({"type": "vault", "auth": auth})
    assert getattr(options.auth, "token_file", None) == Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@pytest.mark.parametrize("mount", ["", "/jwt", "jwt/", "a//b", "a b"])
def test_mount_that_is_no_path_is_refused(mount: str) -> None:
    with pytest.raises(ValidationError, match="mount"):
        VaultOptions.model_validate({"type": "vault", "auth": {"method": "jwt", "token_file": "/t", "mount": mount}})


def _remove(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _empty(path: Path) -> None:
    path.write_text("\n")


def _link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nothing")


def _link_to_file(path: Path) -> None:
    path.rename(path.with_name("data"))
    path.symlink_to("data")


def _two_lines(path: Path) -> None:
    path.write_text("a-secret\nanother\n")


FILES = {
    "missing": (_remove, SourceUnavailableError),
    "folder": (_folder, SourceDeniedError),
    "empty": (_empty, SourceUnavailableError),
    "link to nothing": (_link_to_nothing, SourceUnavailableError),
    "link to a file": (_link_to_file, None),
    "two lines": (_two_lines, SourceDataError),
}


@pytest.mark.parametrize("method", ["jwt", "userpass"])
@pytest.mark.parametrize("name", FILES)
def test_credential_file_of_any_kind(api: VaultApi, secret: Path, method: str, name: str) -> None:
    spoil, error = FILES[name]
    more, path, body = SENT[method]
    api.credentials = {path: body}
    options = options_of(api, method, more, secret)
    spoil(secret)
    if error is None:
        assert log_in(create_login(options), options) == "login-token-1"
        return
    with pytest.raises(error) as caught:
        log_in(create_login(options), options)
    assert str(secret) in str(caught.value)
    assert api.asked == []


@pytest.mark.parametrize("text", [" blanks count ", "wörd", "\ttab"])
def test_password_is_taken_as_it_is_but_for_the_line_break(api: VaultApi, secret: Path, text: str) -> None:
    api.credentials = {"auth/userpass/login/alice": {"password": text}}
    secret.write_text(f"{text}\r\n")
    options = options_of(api, "userpass", {"username": "alice"}, secret)

    assert log_in(create_login(options), options) == "login-token-1"


class Handed:
    """A login with a handover before it, which holds `handed-token`."""

    def __init__(self, api: VaultApi, secret: Path, method: str = "userpass") -> None:
        more, path, body = SENT[method]
        api.credentials = {path: body}
        self.options = options_of(api, method, more, secret)
        self.key = key_of("vault", self.options)
        self.handover = Handover(secret.parent / "own" / "handover.json", life="run", sources=["vault"])
        self.handover.put_token(self.key, HandedToken("handed-token"))
        self.login = HandedLogin(create_login(self.options), handover=self.handover, key=self.key)

    def log_in(self) -> str:
        return log_in(self.login, self.options)

    @property
    def held(self) -> str:
        held = self.handover.take(self.key)
        return held.token.value if held is not None and held.token is not None else ""


def test_token_handed_over_is_proven_and_used_before_any_login(api: VaultApi, secret: Path) -> None:
    api.add_token("handed-token", ttl=50, creation_ttl=100)
    handed = Handed(api, secret)

    assert handed.log_in() == "handed-token"
    assert [asked.path for asked in api.asked] == [LOOKUP]
    assert not handed.login.has_changed()
    os.utime(secret, ns=(1, 1))
    assert handed.login.has_changed()


def test_token_handed_over_is_used_once_and_then_comes_a_login(api: VaultApi, secret: Path) -> None:
    api.add_token("handed-token", ttl=50)
    handed = Handed(api, secret)

    assert [handed.log_in(), handed.log_in()] == ["handed-token", "login-token-1"]
    assert handed.held == "login-token-1"


def test_dead_token_handed_over_leads_to_a_login(api: VaultApi, secret: Path, caplog: pytest.LogCaptureFixture) -> None:
    handed = Handed(api, secret)

    assert handed.log_in() == "login-token-1"
    assert "handover ignored" in caplog.text
    assert handed.held == "login-token-1"


def test_token_handed_over_is_renewed_and_replaced_like_any_other(api: VaultApi, secret: Path, tmp_path: Path) -> None:
    api.add_token("handed-token", ttl=50, creation_ttl=100)
    handed = Handed(api, secret)
    kept = Kept(api, tmp_path)
    keeper = kept.keeper(login=handed.login)
    keeper.token()
    kept.tend_until(keeper, 1040.0)
    assert api.count(RENEW) == 1
    api.auth["lease_duration"] = 20
    kept.tend_until(keeper, 1130.0)
    kept.close()

    assert kept.heard == [("handed-token", False), ("login-token-1", False)]
    assert handed.held == "login-token-1"


@pytest.mark.parametrize("status", [500, 503, 429])
def test_token_handed_over_is_kept_while_the_server_is_in_trouble(api: VaultApi, secret: Path, status: int) -> None:
    api.add_token("handed-token", ttl=50)
    handed = Handed(api, secret)
    api.script(LOOKUP, status)
    with pytest.raises(SourceError):
        handed.log_in()

    assert handed.held == "handed-token"
    assert handed.log_in() == "handed-token"
    assert api.logins == 0


def test_token_from_outside_is_not_handed_over(api: VaultApi, secret: Path) -> None:
    auth = {"method": "token_file", "path": secret}
    options = VaultOptions.model_validate({"type": "vault", "address": api.address, "auth": auth})
    api.add_token("a-secret")
    handover, key = Handover(secret.parent / "own" / "h.json", life="run", sources=["vault"]), key_of("vault", options)
    handover.put_token(key, HandedToken("handed-token"))

    assert log_in(HandedLogin(create_login(options), handover=handover, key=key), options) == "a-secret"
    held = handover.take(key)
    assert held is not None
    assert held.token == HandedToken("handed-token")


def test_key_tells_roles_mounts_and_servers_apart(api: VaultApi, secret: Path) -> None:
    keys = {key_of("vault", options_of(api, name, SENT[name][0], secret)) for name in SENT}
    assert len(keys) == len(SENT)
