"""A real LDAP server (ldaptor) in a process of its own, with users that may bind."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers.process import Server
from tests.waiting import accepts_connections

BASE = "dc=example,dc=org"
PEOPLE = f"ou=people,{BASE}"
_PROGRAM = Path(__file__).with_name("ldap_program.py")


class LdapServer(Server):
    """Users below `PEOPLE`, each with a password.

    Args:
        folder: Of its own.
        users: Password by user name.
    """

    def __init__(self, folder: Path, users: Mapping[str, str]) -> None:
        super().__init__(folder, Path(sys.executable))
        self._users = dict(users)

    @property
    def address(self) -> str:
        """Its URL."""
        return f"ldap://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str | Path]:
        """Return the command line."""
        (self.folder / "users.json").write_text(json.dumps(self._users))
        return [self.program, "-I", _PROGRAM, str(self.port), self.folder / "users.json"]

    def is_ready(self) -> bool:
        """Return whether it takes connections."""
        return accepts_connections(self.port)
