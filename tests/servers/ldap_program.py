"""`python ldap_program.py PORT USERS.json`: serves a tree with these users on loopback until it is killed."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")  # ldaptor's own, about its libraries

from ldaptor.inmemory import ReadOnlyInMemoryLDAPEntry  # noqa: E402 - after the warnings are off
from ldaptor.interfaces import IConnectedLDAPEntry  # noqa: E402
from ldaptor.protocols.ldap.ldapserver import LDAPServer  # noqa: E402
from twisted.internet import reactor as _reactor  # noqa: E402
from twisted.internet.protocol import ServerFactory  # noqa: E402
from twisted.python.components import registerAdapter  # noqa: E402


class _Factory(ServerFactory):  # type: ignore[misc]  # untyped
    protocol = LDAPServer

    def __init__(self, root: Any) -> None:  # noqa: ANN401 - ldaptor has no types
        self.root = root


def _tree(users: dict[str, str]) -> Any:  # noqa: ANN401 - ldaptor has no types
    root = ReadOnlyInMemoryLDAPEntry(b"dc=example,dc=org", {b"objectClass": [b"dcObject"], b"dc": [b"example"]})
    people = root.addChild(b"ou=people", {b"objectClass": [b"organizationalUnit"], b"ou": [b"people"]})
    for name, password in users.items():
        attributes = {
            "objectClass": ["inetOrgPerson"],
            "uid": [name],
            "cn": [name],
            "sn": [name],
            "userPassword": [password],
        }
        encoded = {key.encode(): [each.encode() for each in values] for key, values in attributes.items()}
        people.addChild(f"uid={name}".encode(), encoded)
    return root


def main() -> None:
    """Serve."""
    port, users = int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    registerAdapter(lambda factory: factory.root, _Factory, IConnectedLDAPEntry)
    factory = _Factory(_tree(users))
    reactor: Any = _reactor  # which one is chosen at run time
    reactor.listenTCP(port, factory, interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main()
