"""Names of what confcar keeps in a bundle's directory, and where each destination's bytes lie.

Only names and paths; nothing here touches the disk.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PublishMode = Literal["swap", "rename"]

DATA = "..data"
DATA_TEMPORARY = "..data.tmp"
STATE = "..confcar.json"
STATE_TEMPORARY = "..confcar.json.tmp"
STATE_SET_ASIDE = "..confcar.json.damaged"
LOCK = "..confcar.lock"
TEMPORARY_PREFIX = "..confcar-"
STORE = "..confcar"
"""Folder for state and generations where the files themselves lie in the directory (`publish: rename`)."""
OUTSIDE = "..outside"
"""Folder within a generation for absolute destinations, each under its own path."""

_GENERATION = re.compile(r"\.\.generation-(\d{6,})")


def generation_name(number: int) -> str:
    """Return the folder name of a generation."""
    return f"..generation-{number:06d}"


def generation_number(name: str) -> int | None:
    """Return the number in a generation's folder name; None for any other name."""
    found = _GENERATION.fullmatch(name)
    number = int(found.group(1)) if found else None
    return number if number is not None and generation_name(number) == name else None


def temporary_name(name: str) -> str:
    """Return the name under which a file or link is made before it is renamed to *name*.

    Derived from the name, so that a later start finds what a crash left; hashed, so that it is never too long.
    """
    return f"{TEMPORARY_PREFIX}{hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()[:16]}"


def top_level(destination: str) -> str:
    """Return the first component of a relative destination: the name of its visible link."""
    return destination.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a bundle's files, generations and state lie.

    Attributes:
        directory: The bundle's directory; may itself be a symbolic link.
        mode: How a generation becomes visible.
    """

    directory: Path
    mode: PublishMode

    @property
    def store(self) -> Path:
        """The folder of state and generations."""
        return self.directory if self.mode == "swap" else self.directory / STORE

    def generation(self, number: int) -> Path:
        """Return the folder of a generation."""
        return self.store / generation_name(number)

    def is_placed(self, destination: str) -> bool:
        """Whether the destination is a plain file put in place by a rename of its own, not seen through `..data`."""
        return self.mode == "rename" or destination.startswith("/")

    def visible_links(self, destinations: frozenset[str]) -> frozenset[str]:
        """Return the names of the links that make the destinations visible; empty without `..data`."""
        return frozenset(top_level(name) for name in destinations if not self.is_placed(name))


def stored_name(destination: str) -> str:
    """Return the path of a destination's bytes within its generation."""
    return OUTSIDE + destination if destination.startswith("/") else destination
