"""The logins that are none: a token that somebody else made, by environment or file. The server says how it lives."""

from __future__ import annotations

from confcar.clients.vault import VaultClient
from confcar.config.sources import VaultOptions
from confcar.config.vault_auth import TokenFileAuth
from confcar.errors import SourceDataError, SourceDeniedError
from confcar.watchers.vault_credentials import read_credential
from confcar.watchers.vault_login import FileLogin, prove
from confcar.watchers.vault_token import Token, is_sendable

_NOTHING_SET = "no token: set VAULT_TOKEN, or choose another `auth` method"
_NOT_PRINTABLE = "VAULT_TOKEN is no token: it must be one line of printable ASCII"


class TokenLogin(FileLogin):
    """The token of `VAULT_TOKEN`: a login only asks the server how long it lives."""

    can_replace = False

    def __init__(self, options: VaultOptions) -> None:
        super().__init__()
        self._token = options.token

    def log_in(self, client: VaultClient) -> Token:
        """Return the token with what the server knows of it."""
        value = self._token.get_secret_value().strip() if self._token else ""
        if not value:
            raise SourceDeniedError(_NOTHING_SET)
        if not is_sendable(value):
            raise SourceDataError(_NOT_PRINTABLE)
        return prove(value, client, "the token of VAULT_TOKEN")


class TokenFileLogin(FileLogin):
    """A token that somebody else writes to a file."""

    can_replace = False
    follows_file = True

    def __init__(self, options: VaultOptions) -> None:
        assert isinstance(options.auth, TokenFileAuth)
        self._path = options.auth.path
        super().__init__(self._path)

    def log_in(self, client: VaultClient) -> Token:
        """Return the token that the file holds now."""
        self.remember()
        return prove(read_credential(self._path, "token"), client, f"the token in {self._path}")
