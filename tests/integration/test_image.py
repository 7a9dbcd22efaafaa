"""The image, run as its documentation says: no root, a read-only root file system, no capabilities."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

import confcar
from tests.integration.pod import Pod, run, running, terminate
from tests.primaries import hup_primary
from tests.servers.consul import ConsulServer
from tests.servers.image import Image, ImageUnavailableError, find_image
from tests.servers.openbao import OpenBaoServer
from tests.waiting import free_port, wait_until

pytestmark = pytest.mark.timeout(1200)  # the first to come builds the image
_MAY_ADD_BYTES = 90_000_000
_USER = 65532
_WITHIN_SECONDS = 60.0
_UNCHECKED_HASH = 0b01


@pytest.fixture
def pod(image: Image, tmp_path: Path) -> Iterator[Pod]:
    """Give a running pod whose config has one bundle, fed by a file, for a primary that takes SIGHUP."""
    pod = Pod(image, tmp_path / "pod")
    (pod.config / "confcar.yaml").write_text(
        f"""
        sources:
          local: {{type: file, path: data.yaml}}
        bundles:
          web:
            directory: /shared/web
            templates:
              - {{content: "port = {{{{ key('port') }}}}\\n", destination: app.conf}}
            reload: {{signal: HUP, process: {{cmdline: hup_primary}}}}
        admin: {{listen: "127.0.0.1:{free_port()}"}}
        """
    )
    change_port(pod, 8080)
    shutil.copy(hup_primary.__file__, pod.config)
    with pod:
        yield pod


def change_port(pod: Pod, port: int) -> None:
    (pod.config / "new.yaml").write_text(f"port: {port}\n")
    (pod.config / "new.yaml").replace(pod.config / "data.yaml")


def is_published(pod: Pod, port: int) -> bool:
    file = pod.volume / "web" / "..data" / "app.conf"
    return file.exists() and file.read_text() == f"port = {port}\n"


def reads(pod: Pod) -> list[tuple[str, str]]:
    """Return event and text of each time that the primary read its file."""
    log = pod.volume / "reads"
    lines = map(json.loads, log.read_text().splitlines()) if log.exists() else ()
    return [(line["event"], line["files"]["app.conf"]) for line in lines]


def test_image_says_what_it_is_and_runs_confcar_alone_without_root(image: Image) -> None:
    labels = {
        name.rpartition(".")[2]: text for name, text in image.config["Labels"].items() if "opencontainers" in name
    }
    assert image.config["Entrypoint"] == ["confcar"]
    assert image.config["Cmd"] == ["run"]
    assert image.config["User"] == f"{_USER}:{_USER}"
    assert labels["title"] == "confcar"
    assert labels["version"] == confcar.__version__
    assert labels["licenses"] == "Apache-2.0"
    assert labels["description"]


def test_image_adds_less_than_90_mb_to_its_base(image: Image, record_property: Callable[[str, object], None]) -> None:
    record_property("added_megabytes", image.added_bytes / 1e6)
    assert 0 < image.added_bytes < _MAY_ADD_BYTES


def test_every_module_in_the_image_is_compiled_and_is_not_compiled_again_at_the_start(image: Image) -> None:
    modules = list((image.root / "opt" / "confcar" / "lib").rglob("*.py"))
    assert len(modules) > 100
    tags = {path.suffixes[-2] for path in (image.root / "opt" / "confcar" / "lib").rglob("*.pyc")}
    assert len(tags) == 1
    (tag,) = tags
    compiled = {module: module.parent / "__pycache__" / f"{module.stem}{tag}.pyc" for module in modules}
    assert [module for module, path in compiled.items() if not path.exists()] == []
    flags = {struct.unpack("<I", path.read_bytes()[4:8])[0] for path in compiled.values()}
    assert flags == {_UNCHECKED_HASH}


def test_image_holds_no_tool_that_only_its_build_needs(image: Image) -> None:
    (packages,) = (image.root / "opt" / "confcar" / "lib").glob("python3*/site-packages")
    needless = {"pip", "hatchling", "setuptools", "tests", "examples"}
    assert needless & {path.name for path in packages.iterdir()} == set()
    assert not (image.root / "build").exists()


def test_container_has_no_rights_and_cannot_write_to_its_root(pod: Pod) -> None:
    script = "id -u; grep -E '^Cap(Eff|Prm|Bnd)|^NoNewPrivs' /proc/self/status; touch /made /etc/confcar/made /tmp/made"
    ended = run(pod.container("sh", "-c", script))
    lines = ended.stdout.split()
    assert lines[0] == str(_USER)
    assert dict(zip(lines[1::2], lines[2::2], strict=True)) == {
        "CapPrm:": "0" * 16,
        "CapEff:": "0" * 16,
        "CapBnd:": "0" * 16,
        "NoNewPrivs:": "1",
    }
    assert ended.stderr.count("Read-only file system") == 3


def test_once_in_the_image_publishes_as_its_user(pod: Pod) -> None:
    ended = run(pod.confcar("once", "--timeout", "30s"))
    assert ended.returncode == 0, ended.stderr
    assert is_published(pod, 8080)
    assert (pod.volume / "web" / "..data" / "app.conf").stat().st_uid == _USER
    assert "error" not in ended.stderr


def test_sidecar_in_the_image_publishes_a_change_and_reloads_a_primary_beside_it(pod: Pod, tmp_path: Path) -> None:
    assert run(pod.confcar("once")).returncode == 0
    primary = pod.container(
        "python3", "/etc/confcar/hup_primary.py", "/shared/web", "/shared/reads", "/shared/pid", "app.conf"
    )
    with running(primary, tmp_path / "primary.log"), running(pod.confcar("run"), tmp_path / "log") as sidecar:
        wait_until(lambda: run(pod.confcar("healthcheck", "--ready")).returncode == 0, timeout=_WITHIN_SECONDS)
        wait_until(lambda: reads(pod), timeout=_WITHIN_SECONDS)
        change_port(pod, 9090)
        wait_until(lambda: len(reads(pod)) > 1, timeout=_WITHIN_SECONDS)
        assert terminate(sidecar) == 0
    assert reads(pod) == [("start", "port = 8080\n"), ("reload", "port = 9090\n")]


def test_healthcheck_of_the_image_tells_a_running_sidecar_from_none(pod: Pod, tmp_path: Path) -> None:
    kind, *check = image_healthcheck(pod)
    assert kind == "CMD"
    assert run(pod.container(*check)).returncode == 1
    with running(pod.confcar("run"), tmp_path / "log"):
        wait_until(lambda: run(pod.container(*check)).returncode == 0, timeout=_WITHIN_SECONDS)


def test_image_reads_consul_and_vault(
    image: Image, consul: ConsulServer, openbao: OpenBaoServer, kv_prefix: str, kv_mount: str, tmp_path: Path
) -> None:
    consul.put(f"{kv_prefix}/port", "8080")
    openbao.put_kv("web", {"password": "correct-horse"}, mount=kv_mount)
    openbao.create_policy(kv_mount, f'path "{kv_mount}/*" {{ capabilities = ["read"] }}')
    template = f"{{{{ key('{kv_prefix}/port') }}}} {{{{ secret('{kv_mount}/web').password }}}}\n"
    pod = Pod(image, tmp_path / "pod")
    config = {
        "sources": {
            "consul": {"type": "consul", "address": consul.address},
            "vault": {"type": "vault", "address": openbao.address, "auth": {"method": "token"}},
        },
        "bundles": {
            "web": {"directory": "/shared/web", "templates": [{"content": template, "destination": "app.conf"}]}
        },
    }
    (pod.config / "confcar.yaml").write_text(json.dumps(config))
    token = openbao.create_token([kv_mount])
    with pod:
        ended = run(pod.container("env", f"VAULT_TOKEN={token}", "confcar", "once", "--timeout", "30s"))
    assert ended.returncode == 0, ended.stderr
    assert (pod.volume / "web" / "app.conf").read_text() == "8080 correct-horse\n"


def image_healthcheck(pod: Pod) -> Sequence[str]:
    check: Sequence[str] = pod.image.config["Healthcheck"]["Test"]
    return check


def test_container_whose_first_process_is_confcar_ends_well_on_term(pod: Pod, tmp_path: Path) -> None:
    with running(pod.lone_container("run"), tmp_path / "log") as container:
        wait_until(lambda: is_published(pod, 8080), timeout=_WITHIN_SECONDS)
        assert terminate(container) == 0, (tmp_path / "log").read_text()
    assert run(pod.confcar("once")).returncode == 0  # and has left no lock


def test_image_without_a_config_says_where_to_put_one(image: Image, tmp_path: Path) -> None:
    with Pod(image, tmp_path / "pod") as pod:
        ended = run(pod.confcar("run"))
    assert ended.returncode == 2
    assert "/etc/confcar/confcar.yaml" in ended.stderr


def test_machine_without_the_tools_is_told_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(
        ImageUnavailableError, match=r"no image without buildah.*apt install buildah debootstrap util-linux"
    ):
        find_image({"PATH": str(tmp_path), "HOME": str(tmp_path)})


@pytest.mark.skipif(os.geteuid() != 0, reason="without root it is refused before the base is looked for")
def test_machine_without_the_base_is_told_how_to_make_it(image: Image, tmp_path: Path) -> None:
    with pytest.raises(ImageUnavailableError, match="`make servers` makes it"):
        find_image({"PATH": os.environ["PATH"], "HOME": str(tmp_path)})
