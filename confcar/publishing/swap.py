"""The switch of `publish: swap`: one rename of `..data`, and the visible links that lead through it.

Links are relative, so that the directory may be mounted elsewhere under another path.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable

from confcar import log
from confcar.errors import PublishError
from confcar.publishing.disk import Disk, remove_if_there, remove_leftover
from confcar.publishing.layout import DATA, DATA_TEMPORARY, generation_name, generation_number, temporary_name

_LOG = logging.getLogger(__name__)


def read_current(directory: int) -> int | None:
    """Return the number of the generation behind `..data`, there or not; None without such a link."""
    target = _read_link(DATA, at=directory)
    return generation_number(target) if target is not None else None


def switch(disk: Disk, directory: int, number: int | None) -> bool:
    """Let `..data` lead to the generation, in one rename; None takes it away. Return whether anything changed.

    Raises:
        OSError: `..data` is as it was.
    """
    if number is None:
        remove_if_there(disk, DATA, at=directory)
        return True
    target = generation_name(number)
    if _read_link(DATA, at=directory) == target:
        return False
    remove_leftover(disk, DATA_TEMPORARY, at=directory)
    disk.link(target, DATA_TEMPORARY, at=directory)
    disk.rename(DATA_TEMPORARY, DATA, at=directory)
    return True


def find_wrong_links(directory: int, names: Iterable[str]) -> frozenset[str]:
    """Return those of the visible links that are missing, or are something else."""
    return frozenset(name for name in names if _read_link(name, at=directory) != f"{DATA}/{name}")


def prepare_links(disk: Disk, directory: int, names: Iterable[str]) -> list[str]:
    """Make the visible links that are missing or wrong, under temporary names; return the names they are for.

    Raises:
        OSError: Some may be left; the next start sweeps them.
    """
    wrong = sorted(find_wrong_links(directory, names))
    for name in wrong:
        remove_leftover(disk, temporary_name(name), at=directory)
        disk.link(f"{DATA}/{name}", temporary_name(name), at=directory)
    return wrong


def commit_links(disk: Disk, directory: int, prepared: Iterable[str]) -> None:
    """Put prepared links in place; a plain file of that name is replaced.

    Raises:
        OSError: EISDIR where a folder stands in the way.
    """
    for name in prepared:
        kind = _kind(name, at=directory)
        disk.rename(temporary_name(name), name, at=directory)
        if kind is not None and stat.S_ISREG(kind):
            _LOG.info("file replaced by a link into the current generation", extra=log.fields(name=name))


def remove_stale_links(disk: Disk, directory: int, names: frozenset[str]) -> None:
    """Remove the visible links that are confcar's and not among *names*. A link is ours if it has our one form."""
    for name in os.listdir(directory):
        if name not in names and not name.startswith("..") and _read_link(name, at=directory) == f"{DATA}/{name}":
            remove_if_there(disk, name, at=directory)


def check_links_fit(directory: int, names: Iterable[str]) -> None:
    """Refuse a publish whose links could not be made.

    Raises:
        PublishError: A folder stands where a link must.
    """
    for name in (DATA, *sorted(names)):
        kind = _kind(name, at=directory)
        if kind is not None and stat.S_ISDIR(kind):
            raise PublishError(
                f"cannot publish {name}: is a directory, and a link must stand there; move it away,"
                " or give the bundle a directory of its own"
            )


def _kind(name: str, *, at: int) -> int | None:
    try:
        return os.stat(name, dir_fd=at, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None


def _read_link(name: str, *, at: int) -> str | None:
    try:
        return os.readlink(name, dir_fd=at)
    except OSError:
        return None
