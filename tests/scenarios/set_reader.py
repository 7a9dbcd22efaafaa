"""Reads all files of a bundle, which must agree, again and again, and prints counts as JSON.

`python set_reader.py DIRECTORY STOP_FILE`. `mixed` counts sets read through one opening of `..data` that were of two
generations, `torn` single files, read by their visible names too, that were not whole.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def is_torn(text: str) -> bool:
    """Return whether a file is not whole: every line is the same number, and the last one says so."""
    lines = text.splitlines()
    return not lines or lines[-1] != f"end {lines[0]}" or len(set(lines[:-1])) != 1


def read_set(directory: Path) -> dict[str, str]:
    """Return the texts of all files by name, read through one opening of `..data`."""
    folder = os.open(directory / "..data", os.O_RDONLY | os.O_DIRECTORY)
    try:
        texts = {}
        for name in os.listdir(folder):  # noqa: PTH208 - a descriptor, not a path
            with open(os.open(name, os.O_RDONLY, dir_fd=folder), encoding="utf-8") as file:  # noqa: PTH123 - by descriptor
                texts[name] = file.read()
        return texts
    finally:
        os.close(folder)


def main(directory: Path, stop: Path) -> None:
    """Read until the stop file is there, then print the counts."""
    counts = {"reads": 0, "mixed": 0, "torn": 0, "gone": 0}
    while not stop.exists():
        try:
            texts = read_set(directory)
            visible = [(directory / name).read_text() for name in texts]
        except FileNotFoundError:
            counts["gone"] += 1
            continue
        counts["reads"] += 1
        counts["mixed"] += len(set(texts.values())) > 1
        counts["torn"] += any(map(is_torn, (*texts.values(), *visible)))
    print(json.dumps(counts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
