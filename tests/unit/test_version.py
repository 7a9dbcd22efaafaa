"""The version stands in one place; everything that has to repeat it says the same."""

from __future__ import annotations

import re

import confcar
from tests.docs.pages import ROOT


def test_dockerfile_names_this_version() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^ARG VERSION=(.*)$", text, re.MULTILINE) == [confcar.__version__]
    assert set(re.findall(r"confcar:([\d.]+\d)", text)) == {confcar.__version__}


def test_changelog_has_unreleased_changes_first_and_then_no_newer_version() -> None:
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1:2] in ([], [confcar.__version__])


def test_project_takes_its_version_from_the_package() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert 'dynamic = ["version"]' in text
    assert '[tool.hatch.version]\npath = "confcar/__init__.py"' in text


def test_examples_name_the_image_of_this_version() -> None:
    files = [path for path in (ROOT / "examples").rglob("*") if path.suffix in {".yaml", ".hcl"}]
    named = {version for path in files for version in re.findall(r"confcar:(\d[\w.]*)", path.read_text())}
    assert named == {confcar.__version__}
