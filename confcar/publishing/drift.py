"""What others did to the published files: content, mode and owner changed, files deleted, links replaced.

Every file is read whole and compared by digest: times and sizes can be set back, and what a bundle publishes is small.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass

from confcar.model import RenderedFile
from confcar.publishing.disk import opened_folder
from confcar.publishing.layout import Layout, stored_name, top_level
from confcar.publishing.rename import has_attributes, parent_folder, read_plain
from confcar.publishing.state import FileRecord, PublishedState
from confcar.publishing.swap import find_wrong_links, read_current

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Drift:
    """How what readers find differs from what was published.

    Attributes:
        differing: Destinations, sorted, at which anything differs.
        content: Those of them at which a reader finds other content, or nothing.
    """

    differing: tuple[str, ...] = ()
    content: tuple[str, ...] = ()


NO_DRIFT = Drift()


def find_drift(layout: Layout, state: PublishedState) -> Drift:
    """Return how the disk differs from what was published. Writes nothing.

    Of a file that confcar may not read only mode and owner are compared.
    """
    differing, content = set(), set()
    try:
        with opened_folder(layout.directory, follow=True) as directory:
            hidden = _hidden(layout, state, directory)
            for name, record in state.files.items():
                is_other, has_other_content = _compare(layout, name, record, directory=directory)
                if is_other or has_other_content or top_level(name) in hidden:
                    differing.add(name)
                if has_other_content:
                    content.add(name)
    except OSError:
        return Drift(*[tuple(sorted(state.files))] * 2)
    return Drift(tuple(sorted(differing)), tuple(sorted(content)))


def _hidden(layout: Layout, state: PublishedState, directory: int) -> frozenset[str]:
    """Return the names of the visible links that do not lead to the current generation."""
    if layout.mode == "rename":
        return frozenset()
    links = layout.visible_links(frozenset(state.files))
    return find_wrong_links(directory, links) if read_current(directory) == state.current else links


def _compare(layout: Layout, name: str, record: FileRecord, *, directory: int) -> tuple[bool, bool]:
    """Return whether kind, mode or owner differ, and whether a reader finds other content."""
    if not layout.is_placed(name):
        # By the visible name, whatever that has become: this is what readers open.
        return _compare_there(name, record, at=directory)
    try:
        with parent_folder(name, directory=directory) as (folder, last):
            is_link = stat.S_ISLNK(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode)
            is_other, has_other_content = _compare_there(last, record, at=folder)
            return is_other or is_link, has_other_content
    except OSError:
        return True, True


def _compare_there(path: str, record: FileRecord, *, at: int) -> tuple[bool, bool]:
    try:
        with os.fdopen(os.open(path, _READ, dir_fd=at), "rb") as file:
            status = os.fstat(file.fileno())
            is_other = not has_attributes(status, record)
            if not stat.S_ISREG(status.st_mode):
                return True, True
            return is_other, hashlib.file_digest(file, "sha256").hexdigest() != record.sha256
    except PermissionError:
        return not has_attributes(os.stat(path, dir_fd=at), record), False
    except OSError:
        return True, True


def recall(layout: Layout, state: PublishedState) -> tuple[RenderedFile, ...] | None:
    """Return the files of the current generation from confcar's own copy; None where that is not whole any more."""
    files = []
    for name, record in state.files.items():
        try:
            _, content = read_plain(layout.generation(state.current or 0) / stored_name(name))
        except OSError:
            return None
        if hashlib.sha256(content).hexdigest() != record.sha256:
            return None
        files.append(
            RenderedFile(
                name,
                content,
                mode=record.mode,
                user=None if record.uid is None else str(record.uid),
                group=None if record.gid is None else str(record.gid),
                secret=record.secret,
                leased_until=state.leased_until,
            )
        )
    return tuple(files)
