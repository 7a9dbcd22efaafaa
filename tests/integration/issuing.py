"""Engines of a real OpenBao that make something for each request: roles in PostgreSQL, certificates."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.servers.openbao import OpenBaoServer
from tests.servers.postgres import PASSWORD, SUPERUSER, PostgresServer

_MAKE = "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"


@dataclass(frozen=True)
class Database:
    """A database engine with one role.

    Attributes:
        mount: Of the engine.
        path: What a read of makes a credential.
    """

    openbao: OpenBaoServer
    postgres: PostgresServer
    mount: str

    @property
    def path(self) -> str:
        return f"{self.mount}/creds/web"

    def make_role(self, ttl: str, max_ttl: str) -> None:
        """Let credentials live so long."""
        self.openbao.write(
            f"{self.mount}/roles/web",
            {"db_name": "pg", "creation_statements": [_MAKE], "default_ttl": ttl, "max_ttl": max_ttl},
        )

    @property
    def roles_made(self) -> int:
        """How many credentials were made since the server's start, by this engine."""
        return self.postgres.roles_made(f"{self.mount}-")

    def roles(self) -> list[str]:
        """Return the roles that this engine made and that exist now."""
        found = self.postgres.query("SELECT rolname FROM pg_roles")
        return [name for (name,) in found if name.startswith(f"{self.mount}-")]

    def policy(self) -> str:
        """Return the rules that a sidecar needs."""
        return f'path "{self.path}" {{ capabilities = ["read"] }}'

    def works(self, user: str, password: str) -> bool:
        """Return whether credentials let somebody in."""
        return self.postgres.query("SELECT 1", user=user, password=password) == [[1]]


@contextmanager
def database_engine(
    openbao: OpenBaoServer, postgres: PostgresServer, *, ttl: str = "1h", max_ttl: str = "24h"
) -> Iterator[Database]:
    """Yield a database engine of the test's own."""
    made = Database(openbao, postgres, f"db{uuid.uuid4().hex[:8]}")
    openbao.mount(made.mount, "database")
    try:
        openbao.write(
            f"{made.mount}/config/pg",
            {
                "plugin_name": "postgresql-database-plugin",
                "allowed_roles": ["*"],
                "connection_url": postgres.url,
                "username": SUPERUSER,
                "password": PASSWORD,
                "username_template": f"{made.mount}-{{{{random 12}}}}",
            },
        )
        made.make_role(ttl, max_ttl)
        yield made
    finally:
        openbao.write(f"sys/leases/revoke-prefix/{made.mount}")
        openbao.unmount(made.mount)


@contextmanager
def pki_engine(openbao: OpenBaoServer, *, ttl: str = "1h", leases: bool = False) -> Iterator[str]:
    """Yield the mount of a certificate authority whose role `web` issues for any name."""
    mount = f"pki{uuid.uuid4().hex[:8]}"
    openbao.mount(mount, "pki")
    try:
        openbao.write(f"{mount}/root/generate/internal", {"common_name": "test authority", "ttl": "700h"})
        role = {"allow_any_name": True, "enforce_hostnames": False, "ttl": ttl, "max_ttl": "100h", "key_type": "ec"}
        openbao.write(f"{mount}/roles/web", {**role, "key_bits": 256, "generate_lease": leases})
        yield mount
    finally:
        openbao.unmount(mount)
