"""Every call of confcar on a page is one that confcar takes: its command exists, and so do its options."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from confcar.cli.app import app
from tests.docs.pages import ROOT, all_pages, code_blocks

_CALL = re.compile(r"(?:^|[\s`(])confcar ((?:--)?[a-z][\w-]*)([^\n`|#&;)]*)")
_OPTION = re.compile(r"(?<!\S)(--?[a-z][\w-]*)")


def known() -> dict[str, set[str]]:
    """Return the options of each command."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    return {
        name: {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
        for name, command in group.commands.items()
    }


def calls(page: Path) -> set[tuple[str, str]]:
    """Return command and arguments of each call in the blocks for a shell and in code in the text."""
    text = page.read_text()
    blocks = [block for language in ("sh", "console") for block in code_blocks(page, language)]
    typed = [
        line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith(("$ ", "confcar"))
    ]
    inline = re.findall(r"`(confcar [^`\n]+)`", text)
    return {found for line in [*typed, *inline] for found in _CALL.findall(line)}


def pages() -> list[Any]:
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in all_pages() if calls(page)]


@pytest.mark.parametrize("page", pages())
def test_calls_on_a_page_are_ones_that_confcar_takes(page: Path) -> None:
    commands = known()
    wrong = []
    for name, arguments in calls(page):
        if name.startswith("--"):
            assert name in {"--version", "--help", "--install-completion", "--show-completion"}, name
        elif name not in commands or not set(_OPTION.findall(arguments)) <= commands[name]:
            wrong.append(f"confcar {name}{arguments}")
    assert wrong == []
