"""Each template of templates/ gives, on its data from a file source, exactly its golden files."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from confcar.publishing.checks import check_formats
from tests.unit.templates.ready import HERE, TEMPLATES, rendered, template_for

GOLDEN = HERE / "golden"
each_template = pytest.mark.parametrize("template", [pytest.param(path, id=path.stem) for path in TEMPLATES])


@each_template
def test_template_gives_its_golden_files(template: Path) -> None:
    files = rendered(template)
    check_formats(list(files.values()))
    expected = [
        path for path in GOLDEN.rglob("*") if path.is_file() and template.stem in path.relative_to(GOLDEN).parts
    ]
    assert {name: file.content.decode() for name, file in files.items()} == {
        str(path.relative_to(GOLDEN)): path.read_text() for path in expected
    }


@each_template
def test_template_begins_with_a_comment_that_names_its_data(template: Path) -> None:
    comment, end, _ = template.read_text().partition("#}")
    assert comment.startswith("{#")
    assert end
    assert "Reads" in comment


def test_every_golden_file_has_its_template() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {path.stem for path in TEMPLATES}


def test_every_template_is_listed_in_the_docs() -> None:
    page = (HERE.parents[2] / "docs" / "reference" / "templates.md").read_text()
    assert [path.name for path in TEMPLATES if f"`{path.name}`" not in page] == []


def test_envoy_clusters_are_what_the_discovery_service_has() -> None:
    # Debian has no Envoy: the shape is checked here, not by the program.
    (file,) = rendered(template_for("envoy-clusters.yaml")).values()
    mail, shop = yaml.safe_load(file.content)["resources"]
    assert {one["@type"] for one in (mail, shop)} == {"type.googleapis.com/envoy.config.cluster.v3.Cluster"}
    assert shop["name"] == shop["load_assignment"]["cluster_name"] == "shop"
    found = [
        endpoint["endpoint"]["address"]["socket_address"]
        for cluster in (mail, shop)
        for group in cluster["load_assignment"]["endpoints"]
        for endpoint in group["lb_endpoints"]
    ]
    assert found == [
        {"address": "::1", "port_value": 25},
        {"address": "10.0.0.11", "port_value": 8080},
        {"address": "shop-2.internal", "port_value": 8080},
    ]


@pytest.mark.parametrize("name", ["envoy-clusters.yaml", "prometheus.yml"])
def test_no_data_is_an_empty_list_and_no_broken_file(name: str, tmp_path: Path) -> None:
    data = tmp_path / "data.yaml"
    data.write_text("secret: {prometheus: {tokens: {}}}\n")
    (file,) = rendered(template_for(name), data).values()
    assert [] in yaml.safe_load(file.content).values()
