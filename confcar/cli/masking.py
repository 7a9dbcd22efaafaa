"""Shows files with their secrets masked, and differences between two versions without giving either's away.

What is masked is every value that a secret function returned in this process. A published file's older secrets are not
known any more, so its lines are shown only where they can be proven to hold none.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from confcar.log import MASK, Redactor

_HIDDEN = "(a line of a file that reads secrets; --show-secrets shows it)"


def shown(content: bytes, redactor: Redactor | None) -> str:
    """Return *content* as text, masked by *redactor* where one is given; bytes that are no text as their count."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return f"({len(content)} bytes that are not UTF-8)\n"
    return text if redactor is None else redactor.mask(text)


def unified_diff(
    name: str, before: bytes, after: bytes, *, redactor: Redactor | None, is_secret: bool
) -> Iterator[str]:
    """Yield the lines of a unified diff of two versions of a file, each with its line end.

    Args:
        name: The destination.
        before: The published bytes, empty where there are none.
        after: The bytes that would be published, empty where the file would go.
        redactor: Masks the known secrets; None shows everything.
        is_secret: Whether either version was made from secrets.
    """
    old, new = shown(before, None).splitlines(keepends=True), shown(after, None).splitlines(keepends=True)
    shapes = _shapes(new, redactor) if redactor is not None and is_secret else None
    common = set(new)
    for number, line in enumerate(difflib.unified_diff(old, new, f"published/{name}", f"rendered/{name}")):
        text = line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        is_header = number < 2 or line.startswith("@@")  # noqa: PLR2004 - the two lines that name the files
        if is_header or redactor is None:
            yield text
        elif shapes is not None and line.startswith("-") and line[1:] not in common:
            yield "-" + _older_line(line[1:], shapes)
        else:
            yield text[0] + redactor.mask(text[1:])


def _shapes(lines: list[str], redactor: Redactor) -> list[list[str]]:
    """Return what stands around the secrets in the lines of the new version: old ones stood where new ones stand."""
    masked = (redactor.mask(line.rstrip("\n")) for line in lines)
    return [line.split(MASK) for line in masked if MASK in line]


def _older_line(line: str, shapes: list[list[str]]) -> str:
    text = line.rstrip("\n")
    if not text.strip():
        return text + "\n"
    return next((MASK.join(shape) for shape in shapes if _has_shape(text, shape)), _HIDDEN) + "\n"


def _has_shape(text: str, shape: list[str]) -> bool:
    """Return whether *text* is the parts of *shape* in order with anything between them. Takes linear time."""
    first, *middle, last = shape
    if not (text.startswith(first) and text.endswith(last) and len(text) >= len(first) + len(last)):
        return False
    start, end = len(first), len(text) - len(last)
    for part in middle:
        start = text.find(part, start, end)
        if start < 0:
            return False
        start += len(part)
    return True
