"""The example for Compose: the specification's own loader takes it, and its services run in the image."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT
from tests.integration.pod import Pod, run, running
from tests.integration.sidecar import run_confcar
from tests.servers.api import request
from tests.servers.image import Image
from tests.servers.process import unused_ports
from tests.waiting import wait_until

_EXAMPLE = ROOT / "examples" / "compose"


@pytest.fixture(scope="module")
def services(compose_program: Path) -> Mapping[str, Any]:
    """Return the services as the reference implementation of Compose understands them."""
    options = ["-format", "json", str(_EXAMPLE / "compose.yaml")]
    environment = {"PATH": os.defpath, "COMPOSE_PROJECT_NAME": "example"}
    loaded = subprocess.run(
        [compose_program, *options], cwd=_EXAMPLE, env=environment, capture_output=True, text=True, check=False
    )
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    found: Mapping[str, Any] = json.loads(loaded.stdout)["services"]
    return found


def test_compose_file_is_valid_and_its_services_have_no_rights(services: Mapping[str, Any]) -> None:
    assert set(services) == {"confcar-once", "confcar", "nginx"}
    for service in services.values():
        assert service["user"] == "65532:65532"
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
    assert services["nginx"]["depends_on"]["confcar-once"]["condition"] == "service_completed_successfully"
    assert services["confcar"]["pid"] == "service:nginx"


def test_compose_builds_the_image_from_the_checkout(services: Mapping[str, Any]) -> None:
    build = services["confcar"]["build"]
    assert (Path(build["context"]) / build["dockerfile"]).samefile(ROOT / "Dockerfile")


@pytest.fixture
def compose_pod(image: Image, nginx_program: Path, tmp_path: Path) -> Iterator[Pod]:
    """Give a pod with the example's folder as its config, and nginx in it."""
    pod = Pod(image, tmp_path / "pod")
    shutil.copytree(_EXAMPLE, pod.config, dirs_exist_ok=True)
    shutil.copy(nginx_program, pod.config / "nginx")
    with pod:
        yield pod


@pytest.mark.timeout(1200)  # the first to come builds the image
def test_compose_services_run_in_the_image_and_nginx_takes_a_change(
    services: Mapping[str, Any], compose_pod: Pod, tmp_path: Path
) -> None:
    pod, (old, new) = compose_pod, unused_ports(2)
    settings = pod.config / "data" / "settings.yaml"
    settings.write_text(f"port: {old}\nupstream: 127.0.0.1:1\n")
    assert run(pod.confcar(*services["confcar-once"]["command"])).returncode == 0
    nginx = [f"/etc/confcar/{services['nginx']['entrypoint'][0]}", *services["nginx"]["entrypoint"][1:]]
    sidecar = [
        "env",
        f"CONFCAR_ADMIN__LISTEN=127.0.0.1:{unused_ports(1)[0]}",
        "confcar",
        *services["confcar"]["command"],
    ]
    with (
        running(pod.container(*nginx, has_scratch=True), tmp_path / "nginx.log"),
        running(pod.container(*sidecar), tmp_path / "confcar.log"),
    ):
        wait_until(lambda: answers(old), timeout=60.0)
        settings.write_text(f"port: {new}\nupstream: 127.0.0.1:1\n")
        wait_until(lambda: answers(new), timeout=60.0)
    assert '"event": "reloaded"' in (tmp_path / "confcar.log").read_text()


def answers(port: int) -> bool:
    try:
        return request("GET", f"http://127.0.0.1:{port}/ready").status == 204
    except OSError:
        return False


def test_compose_config_with_the_lines_for_vault_is_right(tmp_path: Path) -> None:
    shutil.copytree(_EXAMPLE, tmp_path, dirs_exist_ok=True)
    text = (tmp_path / "confcar.yaml").read_text()
    (vault,) = re.findall(r"^#   (secrets: \{.*\})$", text, re.MULTILINE)
    switched = re.sub(r"^  secrets: \{.*\}$", f"  {vault}", text, flags=re.MULTILINE)
    assert "\n  secrets: {type: vault" in switched
    (tmp_path / "confcar.yaml").write_text(switched)
    ended = run_confcar("check", "-c", tmp_path / "confcar.yaml")
    assert ended.returncode == 0, ended.stderr
