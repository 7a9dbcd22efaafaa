"""Digest of what a generation was made of: tells whether data that was refused has changed since.

Without leased values: a renewed credential is no new data. A file that holds none counts by its own bytes; for one that
does, what the templates may read counts instead, and the texts of the templates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from confcar.model import Dependency, Reading, RenderedFile
from confcar.store import View


def digest_inputs(files: Sequence[RenderedFile], view: View, *, templates: str, settings: str) -> str:
    """Return a hexadecimal digest, the same for the same data over restarts.

    Args:
        files: The complete rendering.
        view: What it was made of.
        templates: Digest of the texts of all templates.
        settings: What else a generation fails or holds by, such as how it is verified.
    """
    digest = hashlib.sha256(settings.encode())
    for file in sorted(files, key=lambda each: each.destination):
        content = "" if file.leased_until is not None else hashlib.sha256(file.content).hexdigest()
        digest.update(repr((file.destination, file.mode, file.user, file.group, content)).encode())
    if any(file.leased_until is not None for file in files):
        digest.update(templates.encode())
        for dependency in sorted(view, key=repr):
            reading = view[dependency].reading
            if reading is not None and reading.leased_until is None:
                digest.update(f"{dependency!r}={_written(reading.value)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def digest_leases(leased: Mapping[Dependency, Reading]) -> str:
    """Return a hexadecimal digest of leased values, the same over restarts where they are; empty where there are none.

    It recognises them in older generations; when they end is no part of it.
    """
    if not leased:
        return ""
    lines = sorted(f"{dependency!r}={_written(reading.value)}" for dependency, reading in leased.items())
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def _written(value: object) -> str:
    """Return a value as text in which mappings are in order."""
    if isinstance(value, Mapping):
        return repr(sorted((repr(key), _written(item)) for key, item in value.items()))
    if isinstance(value, list | tuple):
        return repr([_written(item) for item in value])
    return repr(value)
