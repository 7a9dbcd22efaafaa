"""AppRole: a role id and a secret id, the latter perhaps wrapped.

A wrapping token is good for one unwrapping. Whoever finds it used has to think of theft, so it is proven to come from
the right place before it is spent, and one that was refused is never tried again.
"""

from __future__ import annotations

from http import HTTPStatus

from confcar.clients.vault import VaultClient
from confcar.clients.vault_answer import VaultAnswer
from confcar.config.sources import VaultOptions
from confcar.config.vault_auth import ApproleAuth
from confcar.errors import SourceDataError, SourceDeniedError, SourceUnavailableError
from confcar.handover.records import hash_of
from confcar.watchers.vault_credentials import read_credential
from confcar.watchers.vault_login import FileLogin, token_in
from confcar.watchers.vault_token import Token, is_sendable

_NO_ROLE_ID = "approle needs `role_id` or `role_id_file`"


class ApproleLogin(FileLogin):
    """Role id and secret id."""

    def __init__(self, options: VaultOptions) -> None:
        assert isinstance(options.auth, ApproleAuth)
        self._auth = options.auth
        super().__init__(options.auth.role_id_file, options.auth.secret_id_file)
        self._wrapping = _Wrapping(options.auth) if options.auth.wrapped else None

    def log_in(self, client: VaultClient) -> Token:
        """Log in with the ids as they are now."""
        auth = self._auth
        self.remember()
        role_id = read_credential(auth.role_id_file, "role id") if auth.role_id_file else auth.role_id
        if not role_id:
            raise SourceDataError(_NO_ROLE_ID)
        if self._wrapping is not None:
            secret_id: str | None = self._wrapping.secret_id(client)
        else:
            secret_id = read_credential(auth.secret_id_file, "secret id") if auth.secret_id_file else None
        answer = client.log_in(
            lambda api: api.auth.approle.login(role_id, secret_id, use_token=False, mount_point=auth.mount)
        )
        return token_in(answer, f"the approle login at auth/{auth.mount}")


class UnwrappableLogin(FileLogin):
    """A wrapped AppRole in a process that only shows things: it must not spend what the sidecar logs in with."""

    def __init__(self, options: VaultOptions) -> None:
        assert isinstance(options.auth, ApproleAuth)
        super().__init__()
        self._path = options.auth.secret_id_file

    def log_in(self, _client: VaultClient) -> Token:
        """Refuse.

        Raises:
            SourceDeniedError: Always.
        """
        raise SourceDeniedError(
            f"the wrapping token in {self._path} is good for one login and is left to `once` and `run`; "
            "with `handover` their token is used here"
        )


class _Wrapping:
    """The secret id within a wrapping token: taken out once, and kept in memory."""

    def __init__(self, auth: ApproleAuth) -> None:
        assert auth.secret_id_file is not None
        self._path = auth.secret_id_file
        self._creation_path = auth.creation_path
        self._secret_id = ""
        self._unwrapped = ""
        self._refused: tuple[str, str] | None = None
        self._unanswered = ""

    def secret_id(self, client: VaultClient) -> str:
        """Return the secret id; another content of the file is another wrapping token, which is unwrapped then.

        Raises:
            SourceUnavailableError: There is no file or no answer; worth a retry.
            SourceDeniedError: The wrapping token was used, has expired or was made elsewhere; only a new one helps.
        """
        try:
            wrapping = read_credential(self._path, "wrapping token")
        except SourceUnavailableError:
            if self._secret_id:  # whoever put it there may take it away
                return self._secret_id
            raise
        mark = hash_of(wrapping)
        if mark == self._unwrapped:
            return self._secret_id
        if self._refused is not None and self._refused[0] == mark:
            raise SourceDeniedError(self._refused[1])
        self._prove(wrapping, mark, client)
        self._secret_id, self._unwrapped = self._unwrap(wrapping, mark, client), mark
        return self._secret_id

    def _prove(self, wrapping: str, mark: str, client: VaultClient) -> None:
        answer = client.call("GET", "sys/wrapping/lookup", token=wrapping)
        self._raise_if_gone(answer, mark)
        if answer.section("data").get("creation_path") != self._creation_path:
            raise self._refusal(
                mark,
                "comes from another place than `creation_path` says: it may be somebody's substitute, and was not used",
            )

    def _unwrap(self, wrapping: str, mark: str, client: VaultClient) -> str:
        self._unanswered = mark
        # The wrapping token goes into the header only: given in the body too, the server loses what it wraps.
        answer = client.call("PUT", "sys/wrapping/unwrap", token=wrapping)
        self._raise_if_gone(answer, mark)
        self._unanswered = ""
        found = answer.section("data").get("secret_id")
        if not isinstance(found, str) or not is_sendable(found):
            raise self._refusal(mark, "holds no secret id; it is used up now")
        return found

    def _raise_if_gone(self, answer: VaultAnswer, mark: str) -> None:
        if answer.is_ok:
            return
        if answer.is_denied or answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}:
            own = ", perhaps by an unwrapping of confcar's own that got no answer" if self._unanswered == mark else ""
            raise self._refusal(
                mark,
                f"was used already{own} or has expired: somebody else may have the secret id. Find out who, and "
                "write a new wrapping token",
            )
        raise answer.error(f"the question for the wrapping token in {self._path}")

    def _refusal(self, mark: str, reason: str) -> SourceDeniedError:
        text = f"POSSIBLE THEFT: the wrapping token in {self._path} {reason}"
        self._refused = (mark, text)
        return SourceDeniedError(text)
