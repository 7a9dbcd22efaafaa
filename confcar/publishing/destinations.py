"""Refuses sets of files that would leave the bundle's directory, or get in each other's way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from confcar.destinations import find_fault
from confcar.errors import PublishError
from confcar.model import RenderedFile


def check_destinations(files: Sequence[RenderedFile]) -> None:
    """Refuse a set of files that cannot stand beside each other or would leave the directory.

    Raises:
        PublishError: Names the destination and what is wrong with it.
    """
    seen: set[str] = set()
    for file in files:
        fault = find_fault(file.destination)
        if fault:
            raise PublishError(f"cannot publish {file.destination!r}: {fault}")
        if file.destination in seen:
            raise PublishError(f"cannot publish {file.destination!r}: two files have this destination")
        seen.add(file.destination)
    for name in seen:
        for folder in PurePosixPath(name).parents:
            if str(folder) in seen:
                raise PublishError(f"cannot publish {str(folder)!r}: it is a file and the folder of {name!r}")
