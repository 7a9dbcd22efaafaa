"""The login methods: each turns what the config names into a token. A new method is a class and a row in LOGINS.

A login reads its files anew every time and makes one request. When to log in, and when not, is the keeper's business.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from confcar.clients.vault import VaultClient
from confcar.clients.vault_answer import VaultAnswer
from confcar.config.sources import ApproleAuth, TokenFileAuth, VaultOptions
from confcar.errors import SourceDataError, SourceDeniedError, SourceError, SourceUnavailableError
from confcar.watchers.vault_token import Token, is_sendable, token_of_login, token_of_lookup

_MOST_FILE_BYTES = 64 * 1024
_NOTHING_SET = "no token: set VAULT_TOKEN, or choose another `auth` method"
_NOT_PRINTABLE = "VAULT_TOKEN is no token: it must be one line of printable ASCII"
_NO_ROLE_ID = "approle needs `role_id` or `role_id_file`"
_Mark = tuple[int, int, int] | None


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

    def has_changed(self) -> bool:
        """Whether its files differ from what the last login read, so that another one may end differently."""
        ...


class _Files:
    """Files with credentials, and whether they changed since they were last read."""

    def __init__(self, *paths: Path | None) -> None:
        self._paths = [path for path in paths if path is not None]
        self._marks: list[_Mark] = [None] * len(self._paths)

    def remember(self) -> None:
        """Note what they are now; to be called before they are read, so that no change is missed."""
        self._marks = [_mark_of(path) for path in self._paths]

    def have_changed(self) -> bool:
        """Whether one of them is another file than was remembered, or has another size or time."""
        return [_mark_of(path) for path in self._paths] != self._marks


class TokenLogin:
    """The token of `VAULT_TOKEN`: a login only asks the server how long it lives."""

    can_replace = False
    follows_file = False

    def __init__(self, options: VaultOptions) -> None:
        self._token = options.token

    def log_in(self, client: VaultClient) -> Token:
        """Return the token with what the server knows of it."""
        value = self._token.get_secret_value().strip() if self._token else ""
        if not value:
            raise SourceDeniedError(_NOTHING_SET)
        if not is_sendable(value):
            raise SourceDataError(_NOT_PRINTABLE)
        return _proven(value, client, "the token of VAULT_TOKEN")

    def has_changed(self) -> bool:
        """The environment does not change."""
        return False


class TokenFileLogin:
    """A token that somebody else writes to a file."""

    can_replace = False
    follows_file = True

    def __init__(self, options: VaultOptions) -> None:
        assert isinstance(options.auth, TokenFileAuth)
        self._path = options.auth.path
        self._files = _Files(self._path)

    def log_in(self, client: VaultClient) -> Token:
        """Return the token that the file holds now."""
        self._files.remember()
        return _proven(_read_credential(self._path, "token"), client, f"the token in {self._path}")

    def has_changed(self) -> bool:
        """Whether the file was written since it was read."""
        return self._files.have_changed()


class ApproleLogin:
    """Role id and secret id."""

    can_replace = True
    follows_file = False

    def __init__(self, options: VaultOptions) -> None:
        assert isinstance(options.auth, ApproleAuth)
        self._auth = options.auth
        self._files = _Files(options.auth.role_id_file, options.auth.secret_id_file)

    def log_in(self, client: VaultClient) -> Token:
        """Log in with the ids as they are now."""
        auth = self._auth
        self._files.remember()
        role_id = _read_credential(auth.role_id_file, "role id") if auth.role_id_file else auth.role_id
        if not role_id:
            raise SourceDataError(_NO_ROLE_ID)
        secret_id = _read_credential(auth.secret_id_file, "secret id") if auth.secret_id_file else None
        answer = client.log_in(
            lambda api: api.auth.approle.login(role_id, secret_id, use_token=False, mount_point=auth.mount)
        )
        return _logged_in(answer, f"the approle login at auth/{auth.mount}")

    def has_changed(self) -> bool:
        """Whether one of the ids was written since it was read."""
        return self._files.have_changed()


LOGINS: dict[str, Callable[[VaultOptions], Login]] = {
    "token": TokenLogin,
    "token_file": TokenFileLogin,
    "approle": ApproleLogin,
}


def create_login(options: VaultOptions) -> Login:
    """Return the configured way to log in. Reads and connects to nothing yet."""
    return LOGINS[options.auth.method](options)


def look_up(token: str, client: VaultClient) -> VaultAnswer:
    """Return what the server says of a token; denied is one that is dead, or may not look itself up."""
    return client.call("GET", "auth/token/lookup-self", token=token)


def _proven(value: str, client: VaultClient, name: str) -> Token:
    answer = look_up(value, client)
    if not answer.is_ok:
        cure = "it has expired or was revoked, or its policies lack read on auth/token/lookup-self"
        raise answer.error(name, cure=cure)
    return token_of_lookup(value, answer)


def _logged_in(answer: VaultAnswer, name: str) -> Token:
    if answer.is_ok:
        return token_of_login(answer)
    error: SourceError = answer.error(name, cure="is `mount` right?")
    # 400 is how a login says that the credentials are wrong.
    raise SourceDeniedError(str(error)) if isinstance(error, SourceDataError) else error


def _read_credential(path: Path, what: str) -> str:
    """Return a file's text without surrounding blanks.

    Raises:
        SourceUnavailableError: It is not there or empty; somebody may still be writing it.
        SourceDeniedError: It may not be read.
        SourceDataError: It holds something else than *what*.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_FILE_BYTES).decode("ascii", "replace").strip()
    except FileNotFoundError:
        raise SourceUnavailableError(f"no {what}: {path} does not exist (yet)") from None
    except OSError as error:
        raise SourceDeniedError(f"cannot read the {what} from {path}: {error.strerror}") from error
    if not text:
        raise SourceUnavailableError(f"no {what}: {path} is empty")
    if not is_sendable(text):
        raise SourceDataError(f"{path} holds no {what}: it must be one line of printable ASCII")
    return text


def _mark_of(path: Path) -> _Mark:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
