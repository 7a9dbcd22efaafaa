"""The example for Nomad: HCL's grammar takes the job, its tasks fit together, and its config works."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from tests.docs.pages import ROOT
from tests.integration.sidecar import run_confcar

_EXAMPLE = ROOT / "examples" / "nomad"


@pytest.fixture(scope="module")
def tasks() -> Mapping[str, Any]:
    """Return the job's tasks by name, as HCL's grammar reads them; strings without their quotes."""
    with (_EXAMPLE / "prometheus.nomad.hcl").open() as file:
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
        assert all("[[" not in (_EXAMPLE / file).read_text() for file in files)
    (directory,) = {tasks[name]["env"][0]["SHARED_DIRECTORY"] for name in ("confcar-once", "confcar")}
    assert f"--config.file={directory}/prometheus.yml" in tasks["prometheus"]["config"][0]["args"]


def test_nomad_config_renders_on_a_laptop_as_its_readme_says(tmp_path: Path) -> None:
    shutil.copytree(_EXAMPLE, tmp_path, dirs_exist_ok=True)
    config = (tmp_path / "confcar.yaml").read_text()
    (laptop,) = re.findall(r"# on a laptop: (\{.*\})", config)
    (tmp_path / "confcar.yaml").write_text(re.sub(r"\{type: consul\}", laptop, config))
    ended = run_confcar("render", "-c", tmp_path / "confcar.yaml")
    assert ended.returncode == 0, ended.stderr
    made = yaml.safe_load(re.sub(r"^==.*$", "", ended.stdout, flags=re.MULTILINE))
    assert made["scrape_configs"][0]["static_configs"] == [{"targets": ["127.0.0.1:9090"], "labels": {"name": "self"}}]


def test_nomad_config_is_right_as_it_is() -> None:
    environ = {"CONSUL_HTTP_ADDR": "http://127.0.0.1:8500"}
    assert run_confcar("check", "-c", _EXAMPLE / "confcar.yaml", environ=environ).returncode == 0
