"""An OpenBao that listens with TLS too, and knows clients by their certificates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import trustme

from tests.servers.openbao import OpenBaoServer
from tests.servers.process import unused_ports


class TlsOpenBaoServer(OpenBaoServer):
    """In memory; the plain listener is for the test, the other one for confcar.

    Attributes:
        tls_port: Of the TLS listener.
        authority: Whose certificates it shows and takes.
        ca_file: PEM of that authority.
    """

    def __init__(self, folder: Path, program: Path) -> None:
        super().__init__(folder, program)
        self.tls_port = 0
        self.authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.ca_file))
        certificate = self.authority.issue_cert("127.0.0.1", "vault.example.org")
        certificate.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
        certificate.private_key_pem.write_to_path(str(folder / "server-key.pem"))

    @property
    def tls_address(self) -> str:
        """The URL of the TLS listener."""
        return f"https://127.0.0.1:{self.tls_port}"

    def choose_ports(self) -> None:
        """Choose both ports."""
        super().choose_ports()
        self.tls_port = self.tls_port or unused_ports(1)[0]

    def command(self) -> Sequence[str | Path]:
        """Return the command line."""
        listener = {
            "address": f"127.0.0.1:{self.tls_port}",
            "cluster_address": f"127.0.0.1:{unused_ports(1)[0]}",
            "tls_cert_file": str(self.folder / "server.pem"),
            "tls_key_file": str(self.folder / "server-key.pem"),
        }
        path = self.folder / "tls.json"
        path.write_text(json.dumps({"listener": {"tcp": listener}}))
        return [*super().command(), "-config", path]

    def write_client_certificate(self, folder: Path, name: str, *, authority: trustme.CA | None = None) -> None:
        """Write `client.pem` and `client-key.pem` for a client of that name, each replaced atomically."""
        made = (authority or self.authority).issue_cert(f"{name}.example.org", common_name=name)
        for file, blob in (("client-key.pem", made.private_key_pem), ("client.pem", made.cert_chain_pems[0])):
            blob.write_to_path(str(folder / f"{file}.new"))
            (folder / f"{file}.new").replace(folder / file)
