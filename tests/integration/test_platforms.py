"""The examples for where confcar runs: a tool that knows the platform checks each, and each one's config works."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import hcl2
import kubernetes_validate
import pytest
import yaml

import confcar
from tests.docs.pages import ROOT
from tests.integration.pod import Pod, run, running
from tests.integration.sidecar import run_confcar
from tests.servers.api import request
from tests.servers.image import Image
from tests.servers.process import unused_ports
from tests.waiting import wait_until

_EXAMPLES = ROOT / "examples"
_KUBERNETES, _COMPOSE, _NOMAD = _EXAMPLES / "kubernetes", _EXAMPLES / "compose", _EXAMPLES / "nomad"
_OLDEST_KUBERNETES = "1.29"  # native sidecars are on by default from here on
Document = Mapping[str, Any]


@pytest.fixture(scope="module")
def manifests(kustomize_program: Path) -> Sequence[Document]:
    """Return what `kubectl apply -k` would send."""
    built = subprocess.run([kustomize_program, "build", _KUBERNETES], capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(built.stdout))


def of_kind(manifests: Sequence[Document], kind: str) -> Sequence[Any]:
    return [document for document in manifests if document["kind"] == kind]


@pytest.fixture(scope="module")
def pod_spec(manifests: Sequence[Document]) -> Any:  # noqa: ANN401 - a part of a document
    """Return the pod of the deployment."""
    (deployment,) = of_kind(manifests, "Deployment")
    return deployment["spec"]["template"]["spec"]


def containers(pod_spec: Document) -> Mapping[str, Any]:
    return {each["name"]: each for each in [*pod_spec["initContainers"], *pod_spec["containers"]]}


@pytest.mark.parametrize("version", [_OLDEST_KUBERNETES, kubernetes_validate.latest_version()])
def test_kubernetes_manifests_are_valid_in_the_strict_schema(manifests: Sequence[Document], version: str) -> None:
    for document in manifests:
        kubernetes_validate.validate(dict(document), version, strict=True)
    assert {document["kind"] for document in manifests} == {"ConfigMap", "Deployment", "ServiceAccount"}


def test_pod_of_the_other_example_is_valid_in_the_strict_schema() -> None:
    pod = yaml.safe_load((_EXAMPLES / "02-init-and-sidecar" / "pod.yaml").read_text())
    kubernetes_validate.validate(pod, _OLDEST_KUBERNETES, strict=True)


def test_kubernetes_containers_have_no_rights_and_known_needs(pod_spec: Any) -> None:  # noqa: ANN401
    assert pod_spec["securityContext"]["runAsNonRoot"]
    assert pod_spec["securityContext"]["fsGroup"] == pod_spec["securityContext"]["runAsUser"] == 65532
    for container in containers(pod_spec).values():
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"]
        assert not rights["allowPrivilegeEscalation"]
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


def test_kubernetes_pod_mounts_only_what_is_there(manifests: Sequence[Document], pod_spec: Any) -> None:  # noqa: ANN401
    volumes = {volume["name"]: volume for volume in pod_spec["volumes"]}
    mounts = {mount["name"] for container in containers(pod_spec).values() for mount in container["volumeMounts"]}
    assert mounts == set(volumes)
    maps = {document["metadata"]["name"] for document in of_kind(manifests, "ConfigMap")}
    assert {volume["configMap"]["name"] for volume in volumes.values() if "configMap" in volume} == maps
    (account,) = of_kind(manifests, "ServiceAccount")
    assert pod_spec["serviceAccountName"] == account["metadata"]["name"]


def test_kubernetes_sidecar_is_native_and_probed_where_it_listens(manifests: Sequence[Document], pod_spec: Any) -> None:  # noqa: ANN401
    sidecar = containers(pod_spec)["confcar"]
    config = yaml.safe_load(config_map(manifests, "confcar")["confcar.yaml"])
    assert pod_spec["shareProcessNamespace"]
    assert sidecar["restartPolicy"] == "Always"
    assert config["admin"]["listen"] == f"0.0.0.0:{sidecar['ports'][0]['containerPort']}"
    probes = [sidecar["livenessProbe"]["httpGet"], sidecar["readinessProbe"]["httpGet"]]
    assert probes == [{"path": path, "port": "admin"} for path in ("/healthz", "/readyz")]
    token = config["sources"]["vault"]["auth"]["token_file"]
    (mount,) = [mount for mount in sidecar["volumeMounts"] if mount["name"] == "vault-token"]
    (projected,) = [volume["projected"] for volume in pod_spec["volumes"] if volume["name"] == "vault-token"]
    assert token == f"{mount['mountPath']}/{projected['sources'][0]['serviceAccountToken']['path']}"


def config_map(manifests: Sequence[Document], name: str) -> Mapping[str, str]:
    (found,) = [each for each in of_kind(manifests, "ConfigMap") if each["metadata"]["name"].startswith(name)]
    data: Mapping[str, str] = found["data"]
    return data


def test_kubernetes_config_makes_a_file_that_nginx_takes(
    manifests: Sequence[Document], nginx_program: Path, tmp_path: Path
) -> None:
    settings, shared = tmp_path / "settings", tmp_path / "shared"
    write_files(tmp_path, config_map(manifests, "confcar"))
    write_files(settings, {**config_map(manifests, "settings"), "upstream": "127.0.0.1:1"})  # no cluster, no such name
    readme = (_KUBERNETES / "README.md").read_text()
    (laptop,) = re.findall(r"`vault: (\{type: file, [^`]*\})`", readme)
    (secrets,) = re.findall(r"`(secret: \{[^`]*\})`", readme)
    write_files(tmp_path, {"secrets.yaml": secrets})
    config = yaml.safe_load((tmp_path / "confcar.yaml").read_text())
    config["sources"]["vault"] = yaml.safe_load(laptop)
    config["sources"]["settings"]["path"] = str(settings)
    config["bundles"]["web"]["directory"] = str(shared)
    (tmp_path / "confcar.yaml").write_text(json.dumps(config))

    ended = run_confcar("once", "-c", tmp_path / "confcar.yaml")
    assert ended.returncode == 0, ended.stderr
    made = (shared / "nginx.conf").read_text()
    assert '"Bearer abc"' in made
    (tmp_path / "nginx.conf").write_text(made.replace("/tmp/", f"{tmp_path}/"))
    refuse_nothing(nginx_program, tmp_path / "nginx.conf")


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def refuse_nothing(nginx: Path, config: Path) -> None:
    """Let nginx itself check the configuration."""
    checked = subprocess.run(
        [nginx, "-t", "-p", f"{config.parent}/", "-e", "stderr", "-c", config],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


@pytest.fixture(scope="module")
def services(compose_program: Path) -> Mapping[str, Any]:
    """Return the services as the reference implementation of Compose understands them."""
    options = ["-format", "json", str(_COMPOSE / "compose.yaml")]
    environment = {"PATH": os.defpath, "COMPOSE_PROJECT_NAME": "example"}
    loaded = subprocess.run(
        [compose_program, *options], cwd=_COMPOSE, env=environment, capture_output=True, text=True, check=False
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
    shutil.copytree(_COMPOSE, pod.config, dirs_exist_ok=True)
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


@pytest.fixture(scope="module")
def tasks() -> Mapping[str, Any]:
    """Return the job's tasks by name, as HCL's grammar reads them; strings without their quotes."""
    with (_NOMAD / "prometheus.nomad.hcl").open() as file:
        job = unquoted(hcl2.load(file))["job"][0]["prometheus"]
    return {name: body for task in job["group"][0]["prometheus"]["task"] for name, body in task.items()}


def unquoted(part: Any) -> Any:  # noqa: ANN401 - any part of a document
    if isinstance(part, dict):
        return {unquoted(name): unquoted(value) for name, value in part.items()}
    if isinstance(part, list):
        return [unquoted(value) for value in part]
    return part.strip('"') if isinstance(part, str) else part


def test_nomad_job_has_a_task_before_and_a_task_beside_the_primary(tasks: Mapping[str, Any]) -> None:
    phases = {name: task["lifecycle"][0]["hook"] for name, task in tasks.items() if "lifecycle" in task}
    assert phases == {"confcar-once": "prestart", "confcar": "poststart"}
    assert tasks["confcar"]["lifecycle"][0]["sidecar"] is True
    assert tasks["confcar-once"]["lifecycle"][0]["sidecar"] is False
    commands = {name: tasks[name]["config"][0]["args"][0] for name in phases}
    assert commands == {"confcar-once": "once", "confcar": "run"}


def test_nomad_tasks_get_every_file_of_the_config_and_share_its_directory(tasks: Mapping[str, Any]) -> None:
    for name in ("confcar-once", "confcar"):
        templates = tasks[name]["template"]
        files = {re.sub(r'\$\{file\("(.*)"\)\}', r"\1", each["data"]): each["destination"] for each in templates}
        assert files == {each: f"local/{each}" for each in ("confcar.yaml", "prometheus.yml.j2")}
        assert {each["left_delimiter"] for each in templates} == {"[["}
        assert all("[[" not in (_NOMAD / file).read_text() for file in files)
    (directory,) = {tasks[name]["env"][0]["SHARED_DIRECTORY"] for name in ("confcar-once", "confcar")}
    assert f"--config.file={directory}/prometheus.yml" in tasks["prometheus"]["config"][0]["args"]


def test_nomad_config_renders_on_a_laptop_as_its_readme_says(tmp_path: Path) -> None:
    shutil.copytree(_NOMAD, tmp_path, dirs_exist_ok=True)
    config = (tmp_path / "confcar.yaml").read_text()
    (laptop,) = re.findall(r"# on a laptop: (\{.*\})", config)
    (tmp_path / "confcar.yaml").write_text(re.sub(r"\{type: consul\}", laptop, config))
    ended = run_confcar("render", "-c", tmp_path / "confcar.yaml")
    assert ended.returncode == 0, ended.stderr
    made = yaml.safe_load(re.sub(r"^==.*$", "", ended.stdout, flags=re.MULTILINE))
    assert made["scrape_configs"][0]["static_configs"] == [{"targets": ["127.0.0.1:9090"], "labels": {"name": "self"}}]


def named_images() -> Iterator[tuple[Path, str]]:
    for path in sorted(_EXAMPLES.rglob("*")):
        if path.suffix in {".yaml", ".hcl"}:
            for version in re.findall(r"confcar:(\d[\w.]*)", path.read_text()):
                yield path, version


def test_examples_name_the_image_of_this_version() -> None:
    named = list(named_images())
    assert named
    assert {version for _, version in named} == {confcar.__version__}
