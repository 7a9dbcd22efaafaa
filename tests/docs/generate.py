"""Write the parts of the documentation that are made from the code: `python -m tests.docs.generate`."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import typer

import confcar
from confcar import errors
from confcar.cli.app import app
from confcar.errors import ConfcarError
from confcar.status import Status
from tests.docs.config_tables import config_tables
from tests.docs.pages import REFERENCE, table, with_part

_WIDTH = 100


def cli_help() -> str:
    """Return the help of confcar and of each command, as it is printed on a wide terminal."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    options = {**group.context_settings, "terminal_width": _WIDTH, "max_content_width": _WIDTH}
    context = typer.Context(group, info_name="confcar", **options)
    parts = [_help("confcar", group.get_help(context))]
    for name, command in group.commands.items():
        below = typer.Context(command, info_name=name, parent=context, **{**command.context_settings, **options})
        parts.append(_help(f"confcar {name}", command.get_help(below)))
    return "\n\n".join(parts)


def _help(title: str, text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return f"## `{title}`\n\n```text\n{lines}\n```"


def metrics_table() -> str:
    """Return a table of every metric that the exposition knows."""
    from confcar.admin.metrics import _Copied

    rows = []
    for metric in _Copied(Status().copy(), "").collect():
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # type: ignore[attr-defined]
        rows.append((f"`{name}`", metric.type, labels, metric.documentation))
    return table(("metric", "type", "labels", "what it says"), sorted(rows))


def errors_table() -> str:
    """Return a table of confcar's errors with the code that each ends a command with."""
    rows = []
    for kind in sorted(_tree(ConfcarError), key=lambda kind: kind.exit_code):
        text = (kind.__doc__ or "").strip().split("\n\n")[0]
        again = "yes" if kind.retryable else "no"
        rows.append((str(kind.exit_code), f"`{kind.__name__}`", again, " ".join(text.split())))
    return table(("code", "error", "may a retry help", "when"), rows)


def _tree(kind: type[ConfcarError]) -> Iterator[type[ConfcarError]]:
    if kind.__module__ == errors.__name__:
        yield kind
    for below in kind.__subclasses__():
        yield from _tree(below)


def import_everything() -> list[str]:
    """Import every module of confcar and return their names."""
    names = [found.name for found in pkgutil.walk_packages(confcar.__path__, "confcar.")]
    for name in names:
        if not name.endswith("__main__"):
            importlib.import_module(name)
    return names


PARTS: dict[Path, tuple[str, Callable[[], str]]] = {
    REFERENCE / "cli.md": ("help", cli_help),
    REFERENCE / "config.md": ("keys", config_tables),
    REFERENCE / "metrics.md": ("metrics", metrics_table),
    REFERENCE / "exit-codes.md": ("errors", errors_table),
}


def main() -> None:
    """Write every part and say what changed."""
    for page, (name, make) in PARTS.items():
        before = page.read_text()
        after = with_part(before, name, make())
        if after != before:
            page.write_text(after)
        sys.stdout.write(f"{page.relative_to(REFERENCE.parents[1])}: {'written' if after != before else 'is right'}\n")


if __name__ == "__main__":
    main()
