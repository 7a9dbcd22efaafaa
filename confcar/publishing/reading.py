"""Reads what is published, as it lies on disk: to compare it with what should be, and for `diff`.

Needs no lock and writes nothing.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from confcar.model import RenderedFile
from confcar.publishing.disk import opened_folder
from confcar.publishing.faults import publishing
from confcar.publishing.generation import list_generations
from confcar.publishing.layout import DATA, OUTSIDE, Layout, generation_name, stored_name, top_level
from confcar.publishing.owners import find_owner
from confcar.publishing.rename import has_attributes, holds, parent_folder, read_plain
from confcar.publishing.state import FileRecord, PublishedState, SavedState, read_state
from confcar.publishing.swap import find_wrong_links, read_current


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A published file as it lies on disk.

    Attributes:
        content: The bytes.
        mode: Permission bits.
        secret: Whether the content must not be shown; true also where that is not known any more.
    """

    content: bytes = field(repr=False)
    mode: int
    secret: bool


def find_differences(layout: Layout, state: PublishedState, files: Sequence[RenderedFile]) -> tuple[str, ...]:
    """Return the destinations, sorted, at which the disk differs from *files*.

    That is content, mode, owner where one is asked for, a missing visible link, and files published that are no longer
    wanted. A file that confcar may not read is compared with what was recorded when it was published.

    Raises:
        PublishError: An unknown user or group.
    """
    wanted = frozenset(file.destination for file in files)
    gone = set(state.files) - wanted
    try:
        with opened_folder(layout.directory, follow=True) as directory:
            hidden = frozenset[str]()
            if layout.mode == "swap":
                links = layout.visible_links(wanted)
                is_current = state.current is not None and read_current(directory) == state.current
                hidden = find_wrong_links(directory, links) if is_current else links
            differing = {
                file.destination for file in files if _differs(layout, state, file, directory=directory, hidden=hidden)
            }
    except OSError:
        return tuple(sorted(wanted | gone))
    return tuple(sorted(differing | gone))


def _differs(
    layout: Layout, state: PublishedState, file: RenderedFile, *, directory: int, hidden: frozenset[str]
) -> bool:
    if not layout.is_placed(file.destination):
        if top_level(file.destination) in hidden:
            return True
        return _differs_there(f"{DATA}/{file.destination}", file, state, at=directory)
    try:
        with parent_folder(file.destination, directory=directory) as (folder, name):
            return _differs_there(name, file, state, at=folder)
    except OSError:
        return True


def _differs_there(path: str, file: RenderedFile, state: PublishedState, *, at: int) -> bool:
    uid, gid = find_owner(file)
    wanted = FileRecord("", file.mode, file.secret, uid, gid)
    try:
        status, content = read_plain(path, at=at)
    except PermissionError:
        known = state.files.get(file.destination)
        return (
            known is None
            or known.sha256 != hashlib.sha256(file.content).hexdigest()
            or not has_attributes(os.stat(path, dir_fd=at, follow_symlinks=False), wanted)
        )
    except OSError:
        return True
    return not has_attributes(status, wanted) or content != file.content


def read_published(layout: Layout) -> dict[str, PublishedFile]:
    """Return what is published, by destination; empty where nothing is.

    Raises:
        PublishError: It is there and cannot be read.
    """
    with publishing("read", layout.directory):
        try:
            with opened_folder(layout.directory, follow=True) as directory:
                return _read_all(layout, directory)
        except FileNotFoundError:
            return {}


def _read_all(layout: Layout, directory: int) -> dict[str, PublishedFile]:
    current = read_current(directory) if layout.mode == "swap" else None
    records = _find_records(layout, current)
    found = {}
    for destination, record in records.items():
        path: str | os.PathLike[str] = destination
        if not layout.is_placed(destination):
            # The generation's own name, not `..data`: a switch meanwhile must not mix two of them.
            path = f"{generation_name(current or 0)}/{destination}"
        try:
            status, content = read_plain(path, at=directory)
        except (FileNotFoundError, NotADirectoryError):
            continue
        found[destination] = PublishedFile(content, stat.S_IMODE(status.st_mode), record.secret)
    return found


def _find_records(layout: Layout, current: int | None) -> Mapping[str, FileRecord]:
    saved = _read_saved(layout)
    if saved is not None:
        for state in (saved.state, saved.before):
            if state is not None and (layout.mode == "rename" or state.current == current):
                return state.files
    if current is None:
        return {}
    return scan_generation(layout, current)


def _read_saved(layout: Layout) -> SavedState | None:
    try:
        with opened_folder(layout.store, follow=layout.mode == "swap") as store:
            return read_state(store)
    except (OSError, ValueError):
        return None


def is_whole(layout: Layout, number: int, files: Mapping[str, FileRecord]) -> bool:
    """Whether a stored generation holds all of *files*, byte by byte."""
    root = layout.generation(number)
    for destination, record in files.items():
        try:
            _, content = read_plain(root / stored_name(destination))
        except PermissionError:
            continue  # given to another user; its presence is all that can be seen
        except OSError:
            return False
        if hashlib.sha256(content).hexdigest() != record.sha256:
            return False
    return root.is_dir()


def scan_generation(layout: Layout, number: int) -> dict[str, FileRecord]:
    """Return the records of a generation from its files alone; all count as secret, owners are unknown.

    A file that cannot be read has an empty digest; a missing generation has no files.
    """
    root = os.fspath(layout.generation(number))
    records = {}
    for path in _walk(root):
        name = os.path.relpath(path, root)
        destination = name.removeprefix(OUTSIDE) if name.startswith(OUTSIDE + "/") else name
        try:
            status, content = read_plain(path)
        except OSError:
            continue
        digest = hashlib.sha256(content).hexdigest()
        records[destination] = FileRecord(digest, stat.S_IMODE(status.st_mode), secret=True)
    return records


def _walk(root: str) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        for name in names:
            yield f"{folder}/{name}"


def rebuild_state(layout: Layout) -> PublishedState:
    """Return what the disk alone tells: the state file is lost, so nothing counts as known to the primary."""
    with opened_folder(layout.directory, follow=True) as directory:
        try:
            with opened_folder(layout.store, follow=layout.mode == "swap") as store:
                numbers = list_generations(store)
        except FileNotFoundError:
            numbers = []
        current = read_current(directory) if layout.mode == "swap" else _find_placed(layout, numbers, directory)
    highest = max([*numbers, current or 0])
    if current not in numbers:
        return PublishedState(highest=highest)
    files = scan_generation(layout, current)
    published_at = layout.generation(current).stat().st_mtime
    return PublishedState(current, None, highest, published_at, changed=tuple(sorted(files)), files=files)


def _find_placed(layout: Layout, numbers: Sequence[int], directory: int) -> int | None:
    """Return the newest generation whose files all lie at their destinations; the others may never have got there."""
    for number in numbers:
        records = scan_generation(layout, number)
        if records and all(holds(name, record, directory=directory) for name, record in records.items()):
            return number
    return None
