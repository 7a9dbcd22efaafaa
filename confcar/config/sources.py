"""Options of the sources, one model per type, with the defaults and the reason for each default.

Where a default comes from the environment (`VAULT_ADDR`, `CONSUL_HTTP_ADDR`, ...) the field is None here and `defaults`
fills it in, because which source may use which variable depends on the whole config.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from confcar.config.types import ConfigPath, Duration, Flag, Model, Name, PositiveDuration
from confcar.config.vault_auth import TokenAuth, VaultAuth


class TlsOptions(Model):
    """How a server's certificate is checked, and which one is shown to it."""

    ca_file: ConfigPath | None = None
    """PEM file of the certificate authorities to trust. Default: the system's."""
    cert_file: ConfigPath | None = None
    """PEM file of the client certificate, read again when it changes."""
    key_file: ConfigPath | None = None
    """PEM file of the client certificate's key."""
    server_name: str | None = None
    """Name to expect in the server's certificate and to send by SNI. Default: the address's host."""
    verify: Flag = True
    """Whether the server's certificate is checked. Turn off for tests only."""

    @model_validator(mode="after")
    def _key_with_certificate(self) -> Self:
        if self.key_file is not None and self.cert_file is None:
            message = "key_file is the key of cert_file, which is missing"
            raise ValueError(message)
        return self


class VaultOptions(Model):
    """A Vault or OpenBao server."""

    type: Literal["vault"]
    address: str | None = None
    """URL of the server. Default: `VAULT_ADDR`, else https://127.0.0.1:8200."""
    namespace: str | None = None
    """Namespace of every request. Default: `VAULT_NAMESPACE`."""
    tls: TlsOptions | None = None
    """Default: from `VAULT_CACERT`, `VAULT_CLIENT_CERT`, `VAULT_CLIENT_KEY`, `VAULT_TLS_SERVER_NAME` and
    `VAULT_SKIP_VERIFY`."""
    auth: VaultAuth = TokenAuth(method="token")
    """How to log in. Default: the token in `VAULT_TOKEN`."""
    token: SecretStr | None = Field(default=None, exclude=True, json_schema_extra={"writeOnly": True})
    """Filled from `VAULT_TOKEN`; refused in the config file."""
    refresh_seconds: PositiveDuration = Field(default=30.0, alias="refresh")
    """How often a secret without a lease is read again, and a lease looked up, jittered. 30 s: a rotated password is
    noticed before the old one is usually switched off, at two requests per minute and secret."""
    token_check_seconds: Duration = Field(default=4.0, alias="token_check")
    """How long a token may go unused before the server is asked whether it still lives. `0s`: that shows at the next
    read. 4 s: a token that was revoked is replaced within 5 s."""
    revoke_on_exit: Flag = False
    """Whether `run` revokes its token and all its leases when it ends. Of a token that was given by `VAULT_TOKEN` or by
    file only the leases: the token is not confcar's to revoke."""
    proxy: str | None = None
    """URL of an HTTP proxy to the server, such as `http://proxy:3128`. Default: `VAULT_PROXY_ADDR`, else
    `VAULT_HTTP_PROXY`."""
    kv_versions: dict[str, Literal[1, 2]] = Field(default={})
    """KV version by mount, for tokens that may not ask the server. Default: asked for each mount."""
    max_requests_per_second: Annotated[float, Field(gt=0)] = 50.0
    """Ceiling on requests, whatever the templates read. 50 keeps a server's default rate quotas out of reach."""


class ConsulOptions(Model):
    """A Consul agent or server."""

    type: Literal["consul"]
    address: str | None = None
    """URL of the agent. Default: `CONSUL_HTTP_ADDR`, else http://127.0.0.1:8500."""
    token_file: ConfigPath | None = None
    """File with the ACL token, read again on each use. Default: `CONSUL_HTTP_TOKEN_FILE`."""
    token: SecretStr | None = Field(default=None, exclude=True, json_schema_extra={"writeOnly": True})
    """Filled from `CONSUL_HTTP_TOKEN`; refused in the config file."""
    datacenter: str | None = None
    """Datacenter to read from. Default: the agent's own."""
    namespace: str | None = None
    """Consul Enterprise namespace. Default: `CONSUL_NAMESPACE`."""
    partition: str | None = None
    """Consul Enterprise admin partition. Default: `CONSUL_PARTITION`."""
    consistency: Literal["default", "stale", "consistent"] = "default"
    """`stale` lets any server answer: cheaper for the leader, milliseconds behind, and works without a leader too."""
    max_stale_seconds: Duration = Field(default=10.0, alias="max_stale")
    """With `consistency: stale`: an answer of a server that has not heard from the leader for longer is thrown away and
    asked for again consistently. 10 s: no election takes that long, so only a server that is cut off answers so."""
    empty_guard: Flag = True
    """Whether the last data stays where a whole Consul seems to have lost its own: what was there is empty, and the
    index went back or nothing else that is read is left either. An empty list by itself is believed."""
    max_connections: Annotated[int, Field(ge=2)] = 32
    """Hard ceiling on connections, whatever the templates read; what does not fit is polled in turn. Consul closes at
    200 per client address, which the pod's other programs share."""
    tls: TlsOptions | None = None
    """Default: `CONSUL_CACERT`, `CONSUL_CLIENT_CERT`, `CONSUL_CLIENT_KEY`, `CONSUL_TLS_SERVER_NAME`,
    `CONSUL_HTTP_SSL_VERIFY`."""


class FileOptions(Model):
    """A document or a folder on disk: the embedded default, no server needed."""

    type: Literal["file"]
    path: ConfigPath
    """A YAML, JSON, TOML or .env file, or a folder in which one file is one key; Kubernetes volumes work."""


SourceOptions = Annotated[VaultOptions | ConsulOptions | FileOptions, Field(discriminator="type")]
Sources = dict[Name, SourceOptions]
