"""Real programs as primaries: nginx by SIGHUP, Caddy by HTTP; a secret rotated in OpenBao is what they then serve."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration.sidecar import Sidecar, run_confcar
from tests.servers.caddy import CaddyServer
from tests.servers.nginx import NginxServer
from tests.servers.openbao import OpenBaoServer
from tests.waiting import wait_until


@pytest.fixture
def word(openbao: OpenBaoServer, kv_mount: str) -> str:
    """Return the path of a secret whose word is `first`."""
    openbao.put_kv("app", {"word": "first"}, mount=kv_mount)
    return f"{kv_mount}/app"


def _config(folder: Path, openbao: OpenBaoServer, bundle: Mapping[str, object]) -> Path:
    config = folder / "confcar.json"
    source = {"type": "vault", "address": openbao.address, "refresh": "500ms"}
    wait = {"quiet": "10ms", "max": "1s"}
    document = {"sources": {"vault": source}, "bundles": {"web": {"directory": "out", "wait": wait, **bundle}}}
    config.write_text(json.dumps(document))
    return config


def test_nginx_serves_a_rotated_secret_after_a_hangup_and_never_sees_a_refused_config(
    tmp_path: Path, openbao: OpenBaoServer, kv_mount: str, nginx_program: Path, word: str
) -> None:
    nginx = NginxServer(tmp_path / "nginx", nginx_program, config_file=tmp_path / "out" / "nginx.conf")
    text = nginx.main_config(f"location / {{ return 200 \"<< secret('{word}').word >>\"; }}")
    check = [str(nginx_program), "-t", "-p", f"{nginx.folder}/", "-e", "stderr", "-c", "{directory}/nginx.conf"]
    template = {
        "content": text,
        "destination": "nginx.conf",
        "delimiters": {"variable": ["<<", ">>"], "block": ["<%", "%>"], "comment": ["<#", "#>"]},
    }
    bundle = {
        "templates": [template],
        "check": {"command": check},
        "reload": {"signal": "HUP", "pid_file": str(nginx.pid_file)},
    }
    config = _config(tmp_path, openbao, bundle)
    environ = {"VAULT_TOKEN": openbao.token}
    assert run_confcar("once", "-c", config, environ=environ).returncode == 0
    with nginx, Sidecar(config, environ=environ) as sidecar:
        assert nginx.fetch("/").text == "first"
        openbao.put_kv("app", {"word": "second"}, mount=kv_mount)
        wait_until(lambda: nginx.fetch("/").text == "second")
        openbao.put_kv("app", {"word": 'broken"; }'}, mount=kv_mount)
        wait_until(lambda: sidecar.bundle()["state"] == "refused")
        assert "nginx" in sidecar.bundle()["check"]["message"]
        assert nginx.fetch("/").text == "second"
        openbao.put_kv("app", {"word": "third"}, mount=kv_mount)
        wait_until(lambda: nginx.fetch("/").text == "third")


def test_caddy_takes_a_rotated_secret_by_one_post(
    tmp_path: Path, openbao: OpenBaoServer, kv_mount: str, caddy: CaddyServer, word: str
) -> None:
    template = {"content": f"{{{{ secret('{word}').word }}}}", "destination": "word"}
    site = (
        f"{{\n admin {caddy.admin_address.removeprefix('http://')}\n}}\n"
        f"http://127.0.0.1:{caddy.port} {{\n root * {tmp_path / 'out'}\n file_server\n}}\n"
    )
    http = {"url": f"{caddy.admin_address}/load", "headers": {"Content-Type": "text/caddyfile"}, "body": site}
    config = _config(tmp_path, openbao, {"templates": [template], "reload": {"http": http}})
    with Sidecar(config, environ={"VAULT_TOKEN": openbao.token}) as sidecar:
        wait_until(lambda: sidecar.bundle()["reload"]["acknowledged_generation"] == 1)
        wait_until(lambda: caddy.fetch("/word").text == "first")
        openbao.put_kv("app", {"word": "second"}, mount=kv_mount)
        wait_until(lambda: sidecar.bundle()["reload"]["acknowledged_generation"] == 2)
        wait_until(lambda: caddy.fetch("/word").text == "second")
        assert sidecar.bundle()["reload"]["attempts"] == 1


def test_nginx_is_started_reloaded_and_stopped_by_confcar(
    tmp_path: Path, openbao: OpenBaoServer, kv_mount: str, nginx_program: Path, word: str
) -> None:
    nginx = NginxServer(tmp_path / "nginx", nginx_program, config_file=tmp_path / "out" / "nginx.conf")
    nginx.folder.mkdir(exist_ok=True)
    text = nginx.main_config(f"location / {{ return 200 \"<< secret('{word}').word >>\"; }}")
    template = {
        "content": f"env WORD;\n{text}",
        "destination": "nginx.conf",
        "delimiters": {"variable": ["<<", ">>"], "block": ["<%", "%>"], "comment": ["<#", "#>"]},
    }
    url = f"http://127.0.0.1:{nginx.port}/"
    bundle = {
        "templates": [template],
        "reload": {"signal": "HUP"},
        "verify": {"http": {"url": url}, "within": "10s", "stable_for": "100ms"},
    }
    config = _config(tmp_path, openbao, bundle)
    document = json.loads(config.read_text())
    document["primary"] = {"command": list(map(str, nginx.command())), "stop_signal": "QUIT"}
    config.write_text(json.dumps(document))
    with Sidecar(config, environ={"VAULT_TOKEN": openbao.token}) as sidecar:
        wait_until(lambda: sidecar.bundle()["reload"]["acknowledged_generation"] == 1)
        assert nginx.fetch("/").text == "first"
        openbao.put_kv("app", {"word": "second"}, mount=kv_mount)
        wait_until(lambda: nginx.fetch("/").text == "second")
        wait_until(lambda: sidecar.bundle()["reload"]["acknowledged_generation"] == 2)
        assert sidecar.status()["primary"]["restarts"] == 0
        assert sidecar.stop() == 0
    with pytest.raises(ConnectionRefusedError):
        nginx.fetch("/")
    assert "reload failed" not in sidecar.log()
