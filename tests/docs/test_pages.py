"""What holds for every page: links lead somewhere, config examples load, the README starts with a command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from confcar.config.load import load
from tests.docs.pages import ROOT, all_pages, anchor, code_blocks

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
README_FIRST_COMMAND_BEFORE_LINE = 30
EXAMPLE_LINES = 40
EXAMPLE_HEADS = ["What you get", "Files", "Run", "See it work", "Clean up"]
EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir())


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def headings(page: Path) -> set[str]:
    text = FENCED.sub("", page.read_text())
    return {anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def config_examples() -> list[Any]:
    return [
        pytest.param(block, id=f"{shown(page)}-{number}")
        for page in all_pages()
        for number, block in enumerate(code_blocks(page, "yaml"), 1)
        if "bundles:" in block
    ]


@pytest.mark.parametrize("page", [pytest.param(page, id=shown(page)) for page in all_pages()])
def test_links_lead_to_a_page_and_a_heading(page: Path) -> None:
    wrong = []
    for link in LINK.findall(FENCED.sub("", page.read_text())):
        target, _, heading = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        other = (page.parent / target).resolve() if target else page
        if not other.exists() or (heading and heading not in headings(other)):
            wrong.append(link)
    assert wrong == []


def test_every_page_is_reached_from_the_index() -> None:
    reached: set[Path] = set()
    new = {ROOT / "docs" / "index.md"}
    while new:
        reached |= new
        links = {
            (page.parent / link.partition("#")[0]).resolve()
            for page in new
            if page.suffix == ".md"
            for link in LINK.findall(page.read_text())
        }
        new = {page for page in links if page.is_file() and ROOT in page.parents} - reached
    assert {shown(page) for page in (ROOT / "docs").rglob("*.md") if page not in reached} == set()


@pytest.mark.parametrize("block", config_examples())
def test_config_example_loads(block: str, tmp_path: Path) -> None:
    config = tmp_path / "confcar.yaml"
    config.write_text(block)
    for bundle in yaml.safe_load(block)["bundles"].values():
        for template in bundle["templates"]:
            if "source" in template:
                (tmp_path / template["source"]).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / template["source"]).touch()
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", block), "value")
    assert load(config, environ={"VAULT_TOKEN": "token", **environ}).settings.bundles


def test_readme_has_its_first_command_before_line_30() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    first = next(number for number, line in enumerate(lines, 1) if line == "```sh")
    assert first + 1 < README_FIRST_COMMAND_BEFORE_LINE


def test_readme_names_every_dependency() -> None:
    text = (ROOT / "README.md").read_text().partition("## Dependencies")[2]
    named = {name for row in re.findall(r"^\| ([\w, -]+) \|", text, re.MULTILINE) for name in row.split(", ")}
    project = (ROOT / "pyproject.toml").read_text().partition("\ndependencies = [")[2].partition("]")[0]
    assert named - {"package"} == set(re.findall(r'"([\w-]+)[><=]', project))


@pytest.mark.parametrize("folder", [pytest.param(folder, id=folder.name) for folder in EXAMPLES])
def test_example_has_a_short_readme_with_the_usual_heads(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == EXAMPLE_HEADS
    assert len(text.splitlines()) <= EXAMPLE_LINES
    named = text.partition("## Files")[2].partition("## Run")[0]
    assert [path.name for path in folder.iterdir() if path.name != "README.md" and path.name not in named] == []
