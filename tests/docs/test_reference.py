"""The reference pages say what the code says: commands, config keys, metrics, exit codes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer

from confcar.admin.metrics import exposition
from confcar.cli.app import app
from confcar.errors import ConfcarError
from confcar.status import Status
from tests.docs.config_tables import config_keys
from tests.docs.generate import PARTS, _tree, import_everything
from tests.docs.pages import REFERENCE, ROOT, with_part

_CONFCAR = ROOT / "confcar"


@pytest.mark.parametrize("page", [pytest.param(page, id=page.stem) for page in PARTS])
def test_generated_part_equals_what_the_code_gives(page: Path) -> None:
    name, make = PARTS[page]
    text = page.read_text()
    assert with_part(text, name, make()) == text, "run `python -m tests.docs.generate`"


def test_cli_page_names_every_command_and_option_and_no_other() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    options = {
        option
        for command in [group, *group.commands.values()]
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    } | {"--help"}
    page = (REFERENCE / "cli.md").read_text()
    assert set(re.findall(r"^## `confcar ([\w-]+)`$", page, re.MULTILINE)) == set(group.commands)
    assert set(re.findall(r"(?<![\w-])(--[a-z][\w-]+)", page)) - {"--live"} == options - {"--live"}
    assert set(re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE)) == set(group.commands)


def test_help_of_every_command_has_an_example_and_explains_every_option() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    for name, command in group.commands.items():
        assert f"Example: confcar {name}" in (command.help or ""), name
    unexplained = [
        parameter.name
        for command in [group, *group.commands.values()]
        for parameter in command.params
        if not getattr(parameter, "help", "")
    ]
    assert unexplained == []


def test_config_page_has_every_key() -> None:
    page = (REFERENCE / "config.md").read_text()
    for way in config_keys():
        section, _, key = way.rpartition(".")
        heading = rf"^### .*`{re.escape(section)}`.*$" if section else r"^### Top level$"
        bodies = [part.split("\n### ")[0] for part in re.split(heading, page, flags=re.MULTILINE)[1:]]
        assert any(f"| `{key}` |" in body for body in bodies), way


def emitted_metrics() -> set[str]:
    """Return the names that the code writes to the board as literals."""
    found = set()
    for path in _CONFCAR.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            names = [node.func.attr] if isinstance(node.func, ast.Attribute) else []
            names += [argument.attr for argument in node.args if isinstance(argument, ast.Attribute)]
            texts = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            if {"count", "set_gauge", "observe"} & set(names):
                found |= {text for text in texts if isinstance(text, str) and "_" in text}
    return found


def test_metrics_page_has_every_metric_that_the_code_counts() -> None:
    page = (REFERENCE / "metrics.md").read_text()
    exposed = {
        line.split()[2] for line in exposition(Status().copy(), "0").decode().splitlines() if line.startswith("# TYPE")
    }
    assert set(re.findall(r"^\| `(confcar_\w+)` \|", page, re.MULTILINE)) == exposed
    assert {f"confcar_{name}" for name in emitted_metrics()} <= exposed
    assert set(re.findall(r"confcar_[a-z_]+", page)) <= exposed


def test_exit_code_page_has_the_codes_of_the_errors() -> None:
    import_everything()
    page = (REFERENCE / "exit-codes.md").read_text().partition("## Errors")[0]
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert documented == {0, 10} | {kind.exit_code for kind in _tree(ConfcarError)}


def test_help_names_the_same_exit_codes() -> None:
    page = (REFERENCE / "exit-codes.md").read_text().partition("130 is")[0]
    assert app.info.epilog
    assert re.findall(r"(\d+) ", app.info.epilog) == re.findall(r"^\| (\d+) \|", page, re.MULTILINE)
