"""The pages of the documentation, and the parts of them that are made from the code, between two markers each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"


def all_pages() -> list[Path]:
    """Return every Markdown page for users, README and examples included."""
    top = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    return sorted([*top, *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md")])


def with_part(page: str, name: str, text: str) -> str:
    """Return *page* with what stands between the markers of *name* replaced by *text*.

    Raises:
        ValueError: The page has no such markers.
    """
    begin, end = f"<!-- {name}: made by `python -m tests.docs.generate` -->", f"<!-- end of {name} -->"
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        message = f"there is no {begin} … {end}"
        raise ValueError(message)
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; `|` in a cell is escaped."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [list(head), ["---"] * len(head), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def code_blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a page that are marked with exactly this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def anchor(heading: str) -> str:
    """Return the anchor that a heading gets, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
