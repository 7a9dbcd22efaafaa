"""How to log in to Vault: one model per method, with the names that Vault itself gives the parts.

Secrets stand in files, which are read at each login, or in the environment; never here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from confcar.config.types import ConfigPath, Flag, Model

_SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

Mount = Annotated[str, StringConstraints(pattern=r"^[^/\s]+(/[^/\s]+)*$")]
_Text = Annotated[str, StringConstraints(min_length=1)]


class TokenAuth(Model):
    """A token from `VAULT_TOKEN`; it is renewed but cannot be replaced."""

    method: Literal["token"]


class TokenFileAuth(Model):
    """A token that somebody else keeps fresh in a file."""

    method: Literal["token_file"]
    path: ConfigPath
    """File with the token, read again at each login and when the token is refused."""


class ApproleAuth(Model):
    """Login by AppRole."""

    method: Literal["approle"]
    mount: Mount = "approle"
    """Path of the auth mount, may be nested."""
    role_id: str | None = None
    """The role id, where it is not given by file."""
    role_id_file: ConfigPath | None = None
    """File with the role id, read again at each login."""
    secret_id_file: ConfigPath | None = None
    """File with the secret id, read again at each login. None for roles that need none."""
    wrapped: Flag = False
    """Whether that file holds a wrapping token, from which the secret id is taken once and kept in memory."""
    creation_path: str | None = None
    """Where a wrapped secret id must have been made, such as `auth/approle/role/web/secret-id`. Compared exactly and
    before it is unwrapped: one that was made elsewhere may be somebody's substitute."""

    @model_validator(mode="after")
    def _one_role_id(self) -> Self:
        if (self.role_id is None) == (self.role_id_file is None):
            message = "give either role_id or role_id_file"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _whole_wrapping(self) -> Self:
        if self.wrapped and (self.secret_id_file is None or not self.creation_path):
            message = "wrapped needs secret_id_file, with the wrapping token in it, and creation_path"
            raise ValueError(message)
        if self.creation_path is not None and not self.wrapped:
            message = "creation_path is compared for a wrapped secret id only: set wrapped: true"
            raise ValueError(message)
        return self


class KubernetesAuth(Model):
    """Login by a Kubernetes service account."""

    method: Literal["kubernetes"]
    mount: Mount = "kubernetes"
    """Path of the auth mount, may be nested."""
    role: _Text
    """Role to log in with."""
    token_file: ConfigPath = _SERVICE_ACCOUNT_TOKEN
    """File with the service account's token, read again at each login. Default: where Kubernetes puts it."""


class JwtAuth(Model):
    """Login by a JSON Web Token."""

    method: Literal["jwt"]
    mount: Mount = "jwt"
    """Path of the auth mount, may be nested."""
    role: _Text | None = None
    """Role to log in with. Default: the mount's `default_role`."""
    token_file: ConfigPath
    """File with the JSON Web Token, read again at each login."""


class UserpassAuth(Model):
    """Login by a user name and a password that Vault knows."""

    method: Literal["userpass"]
    mount: Mount = "userpass"
    """Path of the auth mount, may be nested."""
    username: _Text
    """Name of the user."""
    password_file: ConfigPath
    """File with the password, read again at each login."""


class LdapAuth(Model):
    """Login by a user name and a password that an LDAP server knows."""

    method: Literal["ldap"]
    mount: Mount = "ldap"
    """Path of the auth mount, may be nested."""
    username: _Text
    """Name of the user."""
    password_file: ConfigPath
    """File with the password, read again at each login."""


class CertAuth(Model):
    """Login by the client certificate in the source's `tls`."""

    method: Literal["cert"]
    mount: Mount = "cert"
    """Path of the auth mount, may be nested."""
    name: _Text | None = None
    """Name of the certificate role. Default: any one that the certificate fits."""


VaultAuth = Annotated[
    TokenAuth | TokenFileAuth | ApproleAuth | KubernetesAuth | JwtAuth | UserpassAuth | LdapAuth | CertAuth,
    Field(discriminator="method"),
]
