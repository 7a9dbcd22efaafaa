"""Which line of a TOML document each key stands on; the standard library's parser does not tell.

Works on documents that the parser has accepted, so it need not find faults, only keys.
"""

from __future__ import annotations

import re
from collections import Counter

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"\s*{_KEY}(?:\s*\.\s*{_KEY})*\s*"
_HEADER = re.compile(rf"\s*(\[\[|\[)({_DOTTED})(?:\]\]|\])")
_ASSIGNMENT = re.compile(rf"({_DOTTED})=")
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"""|\'\'\'.*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}]|\n', re.DOTALL
)


def key_lines(text: str) -> dict[tuple[str | int, ...], int]:
    """Return the line, from 1, of every key and table by its way from the top; keys of inline tables by their start."""
    lines: dict[tuple[str | int, ...], int] = {}
    tables: Counter[tuple[str | int, ...]] = Counter()
    prefix: tuple[str | int, ...] = ()
    for number, line in _statements(text):
        if header := _HEADER.match(line):
            prefix = _table(_parts(header.group(2)), tables, is_array=header.group(1) == "[[")
            lines.setdefault(prefix, number)
        elif assignment := _ASSIGNMENT.match(line):
            location = prefix + tuple(_parts(assignment.group(1)))
            lines.setdefault(location, number)
            for key in re.findall(rf"[{{,]\s*({_KEY})\s*=", line[assignment.end() :]):
                lines.setdefault((*location, *_parts(key)), number)
    return lines


def _statements(text: str) -> list[tuple[int, str]]:
    """Return each statement with its first line's number; a value over several lines belongs to its key."""
    found, start, begin, depth, number = [], 0, 1, 0, 1
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if mark == "\n" and depth == 0:
            found.append((begin, text[start : token.start()]))
            start, begin = token.end(), number + 1
        elif mark in {"[", "{"}:
            depth += 1
        elif mark in {"]", "}"}:
            depth -= 1
        number += mark.count("\n")
    found.append((begin, text[start:]))
    return found


def _parts(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(_KEY, dotted)]


def _table(parts: list[str], tables: Counter[tuple[str | int, ...]], *, is_array: bool) -> tuple[str | int, ...]:
    """Return the way to a table: below an array of tables it is that array's last one."""
    location: tuple[str | int, ...] = ()
    for position, part in enumerate(parts):
        location = (*location, part)
        if is_array and position == len(parts) - 1:
            tables[location] += 1
        if tables[location]:
            location = (*location, tables[location] - 1)
    return location
