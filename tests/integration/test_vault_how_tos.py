"""What the how-tos on credentials and certificates show works as it stands there, on real servers."""

from __future__ import annotations

import json
import re
import ssl
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from tests.docs.pages import ROOT, code_blocks
from tests.integration.issuing import database_engine, pki_engine
from tests.integration.sidecar import run_confcar
from tests.servers.openbao import OpenBaoServer
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.servers
HOW_TO = ROOT / "docs" / "how-to"


def write_config(folder: Path, page: str, openbao: OpenBaoServer) -> Path:
    """Write the page's config for the test's server; what it reloads is not there."""
    (block,) = code_blocks(HOW_TO / page, "yaml")
    config = yaml.safe_load(block)
    config["sources"]["vault"] = {"type": "vault", "address": openbao.address}
    config["handover"] = {"path": str(folder / "handover" / "handover.json")}
    for name, bundle in config["bundles"].items():
        bundle["directory"] = str(folder / name)
    path = folder / "confcar.json"
    path.write_text(json.dumps(config))
    return path


def once(config: Path, openbao: OpenBaoServer) -> None:
    ended = run_confcar("once", "-c", config, environ={"VAULT_TOKEN": openbao.token})
    assert ended.returncode == 0, ended.stderr


def test_database_credentials(openbao: OpenBaoServer, postgres: PostgresServer, tmp_path: Path) -> None:
    with database_engine(openbao, postgres) as database:
        config = write_config(tmp_path, "database-credentials.md", openbao)
        config.write_text(config.read_text().replace("database/creds/web", database.path))
        once(config, openbao)

        found = re.fullmatch(r"DATABASE_URL=(\S+)\n?", (tmp_path / "app" / "app.env").read_text())
        assert found
        url = urlsplit(found[1])
        assert (url.hostname, url.path) == ("db.internal", "/shop")
        assert database.works(str(url.username), unquote(str(url.password)))


def test_certificates(openbao: OpenBaoServer, tmp_path: Path) -> None:
    with pki_engine(openbao) as pki:
        config = write_config(tmp_path, "certificates.md", openbao)
        texts = code_blocks(HOW_TO / "certificates.md", "jinja")
        for name, text in zip(("web.j2", "cert.pem.j2", "key.pem.j2"), texts, strict=True):
            (tmp_path / name).write_text(text.replace("pki/issue/web", f"{pki}/issue/web"))
        once(config, openbao)
        files = tmp_path / "tls"
        ssl.create_default_context().load_cert_chain(files / "cert.pem", files / "key.pem")

        assert (files / "cert.pem").read_text().count("BEGIN CERTIFICATE") >= 2
        assert len(openbao.call("LIST", f"{pki}/certs").json["data"]["keys"]) == 2  # the authority's, and this one
