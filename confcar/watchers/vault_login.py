"""What a login is, and what all of them need: an answer turned into a token, or into the reason why there is none.

A login reads its files anew every time and makes one request. When to log in, and when not, is the keeper's business.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from confcar.clients.vault import VaultClient
from confcar.clients.vault_answer import VaultAnswer
from confcar.errors import SourceDataError, SourceDeniedError, SourceError
from confcar.watchers.vault_credentials import CredentialFiles
from confcar.watchers.vault_token import Token, token_of_login, token_of_lookup


class Login(Protocol):
    """One way to get a token. Used by one thread at a time, `has_changed` by any.

    Attributes:
        can_replace: Whether another login gives another token, so that one which comes to its end can be replaced.
        follows_file: Whether a change of its files replaces a token that still lives.
    """

    can_replace: bool
    follows_file: bool

    def log_in(self, client: VaultClient) -> Token:
        """Return a token.

        Raises:
            SourceUnavailableError: The server or a file is not there (yet); worth a retry.
            SourceDeniedError: The server refuses; only other credentials help.
            SourceDataError: A file or an answer cannot be used.
        """
        ...

    def remember(self) -> None:
        """Take its files as they are now for those of the token in use, which came without a login."""
        ...

    def has_changed(self) -> bool:
        """Whether its files differ from what the last login read or was told to remember: another may end otherwise."""
        ...


class FileLogin:
    """What logins have in common whose credentials are files: to notice when one changes."""

    can_replace = True
    follows_file = False

    def __init__(self, *paths: Path | None) -> None:
        self._files = CredentialFiles(*paths)

    def remember(self) -> None:
        """Note what the files are now; a login does before it reads them, so that no change is missed."""
        self._files.remember()

    def has_changed(self) -> bool:
        """Whether one of the files was written since."""
        return self._files.have_changed()


def look_up(token: str, client: VaultClient) -> VaultAnswer:
    """Return what the server says of a token; denied is one that is dead, or may not look itself up."""
    return client.call("GET", "auth/token/lookup-self", token=token)


def prove(value: str, client: VaultClient, name: str) -> Token:
    """Return a token that came from elsewhere with what the server knows of it; *name* is for the error.

    Raises:
        SourceError: The server does not vouch for it.
    """
    answer = look_up(value, client)
    if not answer.is_ok:
        cure = "it has expired or was revoked, or its policies lack read on auth/token/lookup-self"
        raise answer.error(name, cure=cure)
    return token_of_lookup(value, answer)


def token_in(answer: VaultAnswer, name: str) -> Token:
    """Return the token that a login was answered with; *name* is for the error, e.g. `the jwt login at auth/jwt`.

    Raises:
        SourceError: It was answered with none.
    """
    if answer.is_ok:
        return token_of_login(answer)
    error: SourceError = answer.error(name, cure="is `mount` right?")
    # 400 is how a login says that the credentials are wrong.
    raise SourceDeniedError(str(error)) if isinstance(error, SourceDataError) else error
