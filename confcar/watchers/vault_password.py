"""Logins by user name and password, whoever knows them: Vault itself, or an LDAP server."""

from __future__ import annotations

from urllib.parse import quote

from confcar.clients.vault import VaultClient
from confcar.config.sources import VaultOptions
from confcar.config.vault_auth import LdapAuth, UserpassAuth
from confcar.watchers.vault_credentials import read_password
from confcar.watchers.vault_login import FileLogin, token_in
from confcar.watchers.vault_token import Token


class UserpassLogin(FileLogin):
    """A user that Vault knows."""

    def __init__(self, options: VaultOptions) -> None:
        assert isinstance(options.auth, UserpassAuth)
        self._auth = options.auth
        super().__init__(options.auth.password_file)

    def log_in(self, client: VaultClient) -> Token:
        """Log in with the password that the file holds now."""
        auth = self._auth
        self.remember()
        password = read_password(auth.password_file)
        # hvac puts these two into the URL as they are.
        user, mount = quote(auth.username, safe=""), quote(auth.mount)
        answer = client.log_in(lambda api: api.auth.userpass.login(user, password, use_token=False, mount_point=mount))
        return token_in(answer, f"the userpass login of {auth.username} at auth/{auth.mount}")


class LdapLogin(FileLogin):
    """A user that an LDAP server knows."""

    def __init__(self, options: VaultOptions) -> None:
        assert isinstance(options.auth, LdapAuth)
        self._auth = options.auth
        super().__init__(options.auth.password_file)

    def log_in(self, client: VaultClient) -> Token:
        """Log in with the password that the file holds now."""
        auth = self._auth
        self.remember()
        password = read_password(auth.password_file)
        answer = client.log_in(
            lambda api: api.auth.ldap.login(auth.username, password, use_token=False, mount_point=auth.mount)
        )
        return token_in(answer, f"the ldap login of {auth.username} at auth/{auth.mount}")
