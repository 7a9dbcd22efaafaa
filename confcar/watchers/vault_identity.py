"""Logins by what the platform says of this process: a signed token in a file, or the connection's certificate."""

from __future__ import annotations

from confcar.clients.vault import VaultClient
from confcar.config.sources import VaultOptions
from confcar.config.vault_auth import CertAuth, JwtAuth, KubernetesAuth
from confcar.watchers.vault_credentials import read_credential
from confcar.watchers.vault_login import FileLogin, token_in
from confcar.watchers.vault_token import Token


class KubernetesLogin(FileLogin):
    """The token of a service account. The kubelet replaces it about once an hour, which is no reason for a login."""

    def __init__(self, options: VaultOptions) -> None:
        assert isinstance(options.auth, KubernetesAuth)
        self._auth = options.auth
        super().__init__(options.auth.token_file)

    def log_in(self, client: VaultClient) -> Token:
        """Log in with the token that the file holds now."""
        auth = self._auth
        self.remember()
        jwt = read_credential(auth.token_file, "service account token")
        answer = client.log_in(
            lambda api: api.auth.kubernetes.login(auth.role, jwt, use_token=False, mount_point=auth.mount)
        )
        return token_in(answer, f"the kubernetes login of role {auth.role} at auth/{auth.mount}")


class JwtLogin(FileLogin):
    """A JSON Web Token that somebody keeps fresh in a file; a fresh one is no reason for a login by itself."""

    def __init__(self, options: VaultOptions) -> None:
        assert isinstance(options.auth, JwtAuth)
        self._auth = options.auth
        super().__init__(options.auth.token_file)

    def log_in(self, client: VaultClient) -> Token:
        """Log in with the JSON Web Token that the file holds now."""
        auth = self._auth
        self.remember()
        jwt = read_credential(auth.token_file, "JSON Web Token")
        # Without a role the server takes the mount's default.
        answer = client.log_in(
            lambda api: api.auth.jwt.jwt_login(auth.role or "", jwt, use_token=False, path=auth.mount)
        )
        return token_in(answer, f"the jwt login at auth/{auth.mount}")


class CertLogin(FileLogin):
    """The client certificate. A new one logs in at once: the server renews a token only for the one it was given to."""

    follows_file = True

    def __init__(self, options: VaultOptions) -> None:
        assert isinstance(options.auth, CertAuth)
        self._auth = options.auth
        tls = options.tls
        super().__init__(*((tls.cert_file, tls.key_file) if tls is not None else ()))

    def log_in(self, client: VaultClient) -> Token:
        """Log in with the certificate that the connection has shown."""
        auth = self._auth
        self.remember()
        # Not hvac's `auth.cert.login`: it wants to open the files and to make the connection itself.
        body = {"name": auth.name} if auth.name else {}
        answer = client.log_in(lambda api: api.login(f"/v1/auth/{auth.mount}/login", use_token=False, json=body))
        return token_in(answer, f"the cert login at auth/{auth.mount}")
