"""The how-to on service discovery as it stands, with real instances, Consul and nginx in front of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.docs.pages import DOCS
from tests.integration.sidecar import Sidecar
from tests.servers.consul import ConsulServer
from tests.servers.nginx import NginxServer
from tests.waiting import wait_until

PAGE = (DOCS / "how-to" / "service-discovery.md").read_text()


def template(name: str) -> str:
    """Return the page's template for a load balancer."""
    found = re.search(rf"^```jinja {name}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


@pytest.fixture
def instances(nginx_program: Path, tmp_path: Path) -> Iterator[list[NginxServer]]:
    """Give two programs that answer with their names."""
    with ExitStack() as stack:
        made = [NginxServer(tmp_path / name, nginx_program) for name in ("one", "two")]
        for each in made:
            each.serve_text(each.folder.name)
            stack.enter_context(each)
        yield made


def test_nginx_passes_requests_on_to_healthy_instances_only(
    own_consul: ConsulServer, instances: list[NginxServer], nginx_program: Path, tmp_path: Path
) -> None:
    balancer = NginxServer(tmp_path / "balancer", nginx_program)
    include = f"http {{\n    include {tmp_path}/out/upstreams.conf;"
    config = balancer.main_config("location / { proxy_pass http://web; }").replace("http {", include)
    balancer.config_file.write_text(config)
    (tmp_path / "upstreams.conf.j2").write_text(template("nginx"))
    bundle = {
        "directory": "out",
        "wait": {"quiet": "10ms", "max": "1s"},
        "templates": [{"source": "upstreams.conf.j2", "destination": "upstreams.conf"}],
        "reload": {"signal": "HUP", "pid_file": str(balancer.pid_file)},
    }
    sources = {"consul": {"type": "consul", "address": own_consul.address, "consistency": "stale"}}
    confcar = tmp_path / "confcar.json"
    confcar.write_text(json.dumps({"sources": sources, "bundles": {"web": bundle}}))

    def register(server: NginxServer, status: str = "passing") -> None:
        own_consul.register(server.folder.name, "web", Address="127.0.0.1", Port=server.port, status=status)

    def answers() -> set[str]:
        found = [balancer.fetch("/") for _ in range(6)]
        return {answer.text if answer.status == 200 else str(answer.status) for answer in found}

    with Sidecar(confcar), balancer:
        wait_until(lambda: answers() == {"502"})
        register(instances[0])
        wait_until(lambda: answers() == {"one"})
        register(instances[1])
        wait_until(lambda: answers() == {"one", "two"})
        register(instances[0], status="critical")
        wait_until(lambda: answers() == {"two"})
        own_consul.deregister("two")
        wait_until(lambda: answers() == {"502"})


def test_haproxys_backend_has_a_line_for_each_usable_instance(own_consul: ConsulServer, tmp_path: Path) -> None:
    own_consul.register("n1", "web", ID="web-1", Address="10.1.1.1", Port=80, Meta={"weight": "5"})
    own_consul.register("n2", "web", ID="web-2", Port=81, status="warning")
    own_consul.register("n3", "web", ID="web-3", Port=82, status="critical")
    (tmp_path / "backends.cfg.j2").write_text(template("haproxy"))
    bundle = {"directory": "out", "templates": [{"source": "backends.cfg.j2", "destination": "backends.cfg"}]}
    sources = {"consul": {"type": "consul", "address": own_consul.address}}
    confcar = tmp_path / "confcar.json"
    confcar.write_text(json.dumps({"sources": sources, "bundles": {"web": bundle}}))
    with Sidecar(confcar):
        lines = (tmp_path / "out" / "backends.cfg").read_text().split("\n\n")
    assert [line.split() for line in lines[0].strip().splitlines()] == [
        ["backend", "web"],
        ["balance", "roundrobin"],
        ["server", "n1-web-1", "10.1.1.1:80", "check", "weight", "5"],
        ["server", "n2-web-2", "10.0.0.1:81", "check", "weight", "100"],
    ]
    assert "backend api" in lines[1]
