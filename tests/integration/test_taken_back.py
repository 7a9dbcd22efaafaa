"""Real primaries that accept a configuration and then cannot use it: the one before comes back by itself."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.sidecar import Sidecar, run_confcar
from tests.servers.haproxy import HaproxyServer
from tests.servers.nginx import NginxServer
from tests.servers.process import unused_ports
from tests.waiting import wait_until

# What the primary serves must be what was published: one that keeps its old configuration goes on answering.
_SERVES_WHAT_WAS_PUBLISHED = """
import pathlib, sys, urllib.request
served = urllib.request.urlopen(sys.argv[1], timeout=2).read().decode()
published = pathlib.Path(sys.argv[2]).read_text()
sys.exit(f"serves {served} where {published} was published" if served != published else 0)
"""
_DELIMITERS = {"variable": ["<<", ">>"], "block": ["<%", "%>"], "comment": ["<#", "#>"]}


class Trial:
    """One primary, its config with a word and a port from a data file, and a sidecar that verifies what it serves."""

    def __init__(self, folder: Path, primary: NginxServer | HaproxyServer, text: str, *, check: list[str]) -> None:
        self.folder = folder
        self.primary = primary
        signal = "HUP" if isinstance(primary, NginxServer) else "USR2"
        verify = [sys.executable, "-c", _SERVES_WHAT_WAS_PUBLISHED, primary.address, "{directory}/word"]
        bundle = {
            "directory": "out",
            "wait": {"quiet": "10ms", "max": "1s"},
            "templates": [
                {"content": text, "destination": primary.config_file.name, "delimiters": _DELIMITERS},
                {"content": "<< key('word') >>", "destination": "word", "delimiters": _DELIMITERS},
            ],
            "check": {"command": check},
            "reload": {"signal": signal, "pid_file": str(primary.pid_file)},
            "verify": {"command": verify, "within": "8s", "stable_for": "500ms"},
        }
        self.config = folder / "confcar.json"
        source = {"type": "file", "path": "data.json"}
        self.config.write_text(json.dumps({"sources": {"local": source}, "bundles": {"web": bundle}}))

    def write(self, word: str, port: int) -> None:
        temporary = self.folder / "data.new"
        temporary.write_text(json.dumps({"word": word, "port": str(port)}))
        temporary.replace(self.folder / "data.json")

    def served(self) -> str:
        return self.primary.fetch("/").text


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Give a port that somebody else listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        yield port


def _nginx_trial(folder: Path, request: pytest.FixtureRequest) -> Trial:
    program: Path = request.getfixturevalue("nginx_program")
    nginx = NginxServer(folder / "nginx", program, config_file=folder / "out" / "nginx.conf")
    text = nginx.main_config("listen 127.0.0.1:<< key('port') >>; location / { return 200 \"<< key('word') >>\"; }")
    check = [str(program), "-t", "-p", f"{nginx.folder}/", "-e", "stderr", "-c", "{directory}/nginx.conf"]
    return Trial(folder, nginx, text, check=check)


def _haproxy_trial(folder: Path, request: pytest.FixtureRequest) -> Trial:
    del request
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("haproxy is not installed; Debian has it in the package haproxy")
    haproxy = HaproxyServer(folder / "haproxy", Path(program), config_file=folder / "out" / "haproxy.cfg")
    text = haproxy.main_config("<< key('word') >>", more="    bind 127.0.0.1:<< key('port') >>\n")
    return Trial(folder, haproxy, text, check=[program, "-c", "-f", "{directory}/haproxy.cfg"])


@pytest.mark.servers
@pytest.mark.parametrize("make", [pytest.param(_nginx_trial, id="nginx"), pytest.param(_haproxy_trial, id="haproxy")])
def test_a_port_that_is_taken_brings_the_configuration_before_back_and_a_broken_one_never_arrives(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    taken_port: int,
    make: Callable[[Path, pytest.FixtureRequest], Trial],
) -> None:
    trial = make(tmp_path, request)
    first, other = unused_ports(2)
    trial.write("first", first)
    assert run_confcar("once", "-c", trial.config).returncode == 0
    with trial.primary, Sidecar(trial.config) as sidecar:
        assert trial.served() == "first"
        trial.write('broken"', first)
        wait_until(lambda: sidecar.bundle()["state"] == "refused", timeout=30.0)
        assert sidecar.bundle()["check"]["result"] == "refused"
        assert (sidecar.bundle()["generation"], sidecar.bundle()["refused"]) == (1, None)
        trial.write("second", taken_port)
        wait_until(lambda: sidecar.bundle()["refused"] is not None, timeout=30.0)
        wait_until(lambda: not sidecar.bundle()["reload"]["pending"], timeout=30.0)
        bundle = sidecar.bundle()
        assert (bundle["state"], bundle["generation"], bundle["refused"]["generation"]) == ("refused", 1, 2)
        assert "serves first where second was published" in bundle["refused"]["reason"]
        assert "verify did not hold for 0.5 s within 8 s" in bundle["refused"]["reason"]
        assert trial.served() == "first"
        assert 'confcar_rollback_total{bundle="web"} 1.0' in sidecar.get("/metrics")[1]
        trial.write("third", other)
        wait_until(lambda: sidecar.bundle()["reload"]["acknowledged_generation"] == 3, timeout=30.0)
        assert trial.served() == "third"
        assert sidecar.bundle()["refused"] is None
