"""An OpenBao cluster of three nodes in one process, over TLS: one active node and two standbys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.servers.openbao import OpenBaoServer
from tests.servers.process import unused_ports
from tests.waiting import accepts_connections

_NODES = 3


class OpenBaoCluster(OpenBaoServer):
    """In memory; the nodes listen on `port` and the two after it, the first one is active.

    Its certificates bear the name of their issuer, so OpenSSL takes them for self-signed: not to be verified.
    """

    def choose_ports(self) -> None:
        """Choose three ports in a row."""
        while not self.port or any(accepts_connections(self.port + number) for number in range(_NODES)):
            self.port = unused_ports(1)[0]

    def command(self) -> Sequence[str | Path]:
        """Return the command line."""
        return [*super().command(), "-dev-three-node"]

    def is_ready(self) -> bool:
        """Return whether it says so, and the standbys have found the active node."""
        said = self.log_file.read_text(errors="replace")
        return "server started!" in said and said.count("new leader found") >= _NODES - 1

    def node(self, number: int) -> str:
        """Return the URL of a node, from 0."""
        return f"https://127.0.0.1:{self.port + number}"
