"""Reads two files that must agree, again and again: `python pair_reader.py DIRECTORY STOP_FILE`; prints counts as JSON.

`mixed` counts pairs read through one opening of `..data` that were of two generations, `torn` single files, read by
their visible names, that were not whole.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

NAMES = ("a", "b")


def is_torn(text: str) -> bool:
    """Return whether a file is not whole: every line is the same number, and the last one says so."""
    lines = text.splitlines()
    return not lines or lines[-1] != f"end {lines[0]}" or len(set(lines[:-1])) != 1


def read_pair(directory: Path) -> tuple[str, ...]:
    """Return both files' texts, read through one opening of `..data`."""
    folder = os.open(directory / "..data", os.O_RDONLY | os.O_DIRECTORY)
    try:
        texts = []
        for name in NAMES:
            with open(os.open(name, os.O_RDONLY, dir_fd=folder), encoding="utf-8") as file:  # noqa: PTH123 - by descriptor
                texts.append(file.read())
        return tuple(texts)
    finally:
        os.close(folder)


def main(directory: Path, stop: Path) -> None:
    """Read until the stop file is there, then print the counts."""
    counts = {"reads": 0, "mixed": 0, "torn": 0, "gone": 0}
    while not stop.exists():
        try:
            pair = read_pair(directory)
            visible = [(directory / name).read_text() for name in NAMES]
        except FileNotFoundError:
            counts["gone"] += 1
            continue
        counts["reads"] += 1
        counts["mixed"] += len(set(pair)) > 1
        counts["torn"] += any(map(is_torn, (*pair, *visible)))
    print(json.dumps(counts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
