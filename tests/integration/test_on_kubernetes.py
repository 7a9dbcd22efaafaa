"""The example for Kubernetes: kustomize builds it, the strict schemas take it, and what it brings works."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.docs.pages import ROOT
from tests.integration.sidecar import run_confcar

_EXAMPLES = ROOT / "examples"
_EXAMPLE = _EXAMPLES / "kubernetes"
_OLDEST = "1.29"  # native sidecars are on by default from here on
Document = Mapping[str, Any]


@pytest.fixture(scope="module")
def manifests(kustomize_program: Path) -> Sequence[Document]:
    """Return what `kubectl apply -k` would send."""
    built = subprocess.run([kustomize_program, "build", _EXAMPLE], capture_output=True, text=True, check=True)
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


@pytest.mark.parametrize("version", [_OLDEST, kubernetes_validate.latest_version()])
def test_kubernetes_manifests_are_valid_in_the_strict_schema(manifests: Sequence[Document], version: str) -> None:
    for document in manifests:
        kubernetes_validate.validate(dict(document), version, strict=True)
    assert {document["kind"] for document in manifests} == {"ConfigMap", "Deployment", "ServiceAccount"}


def test_pod_of_the_other_example_is_valid_in_the_strict_schema() -> None:
    pod = yaml.safe_load((_EXAMPLES / "02-init-and-sidecar" / "pod.yaml").read_text())
    kubernetes_validate.validate(pod, _OLDEST, strict=True)


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


def test_kubernetes_init_container_and_sidecar_share_what_is_handed_over_and_nginx_does_not(
    manifests: Sequence[Document],
    pod_spec: Any,  # noqa: ANN401
) -> None:
    path = Path(yaml.safe_load(config_map(manifests, "confcar")["confcar.yaml"])["handover"]["path"])
    mounts = {
        name: {mount["mountPath"] for mount in each["volumeMounts"]} for name, each in containers(pod_spec).items()
    }
    assert {name for name, places in mounts.items() if str(path.parent) in places} == {"confcar-once", "confcar"}


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
    readme = (_EXAMPLE / "README.md").read_text()
    (laptop,) = re.findall(r"`vault: (\{type: file, [^`]*\})`", readme)
    (secrets,) = re.findall(r"`(secret: \{[^`]*\})`", readme)
    write_files(tmp_path, {"secrets.yaml": secrets})
    config = yaml.safe_load((tmp_path / "confcar.yaml").read_text())
    config["sources"]["vault"] = yaml.safe_load(laptop)
    config["sources"]["settings"]["path"] = str(settings)
    config["bundles"]["web"]["directory"] = str(shared)
    del config["handover"]
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


def test_kubernetes_config_is_right_as_it_is(manifests: Sequence[Document], pod_spec: Any, tmp_path: Path) -> None:  # noqa: ANN401
    write_files(tmp_path, config_map(manifests, "confcar"))
    environ = {variable["name"]: variable["value"] for variable in containers(pod_spec)["confcar"]["env"]}
    ended = run_confcar("check", "-c", tmp_path / "confcar.yaml", environ=environ)
    assert ended.returncode == 0, ended.stderr
