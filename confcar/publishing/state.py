"""What is published, what it can go back to, and what the primary knows of it: `..confcar.json`, over a restart.

Written whole to a temporary file, synced and renamed. While plain files are placed the file holds the state after it
and the one `before`, so that the next start can finish or undo it. A file that cannot be used is never fatal.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from confcar import log
from confcar.destinations import find_fault
from confcar.publishing.disk import Disk, remove_leftover
from confcar.publishing.layout import STATE, STATE_SET_ASIDE, STATE_TEMPORARY

_LOG = logging.getLogger(__name__)
_WRITABLE_BY_OTHERS = 0o022


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What was published at one destination.

    Attributes:
        sha256: Hexadecimal digest of the content.
        mode: Permission bits.
        secret: Whether the content must not be shown.
        uid: Owner that was asked for; None where none was.
        gid: Group that was asked for; None where none was.
    """

    sha256: str
    mode: int
    secret: bool
    uid: int | None = None
    gid: int | None = None

    def is_like(self, other: FileRecord | None) -> bool:
        """Whether *other* is what this one asks for: content, mode, and the owner where it asks for one."""
        return (
            other is not None
            and (self.sha256, self.mode) == (other.sha256, other.mode)
            and self.uid in {None, other.uid}
            and self.gid in {None, other.gid}
        )


@dataclass(frozen=True, slots=True)
class KeptGeneration:
    """An older generation that can be gone back to.

    Attributes:
        number: Its number.
        files: What it holds, by destination.
        inputs: Digest of what it was made of; empty where that is not known any more.
        leased_until: When the first leased value in it dies, seconds since the epoch; None where it holds none.
        is_acknowledged: Whether the primary had acknowledged it.
        is_unwell: Whether its verify failed and it stayed all the same.
        leases: Digest of the leased values in it; empty where there are none, or that is not known.
    """

    number: int
    files: Mapping[str, FileRecord]
    inputs: str = ""
    leased_until: float | None = None
    is_acknowledged: bool = False
    is_unwell: bool = False
    leases: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A generation that was taken back, and is not to be published again while its inputs stay as they are.

    Attributes:
        generation: Its number.
        inputs: Digest of what it was made of, without leased values.
        content: Digest of its files, leased values included.
        reason: Why, for people.
        since: When, seconds since the epoch.
        attempts: How often generations of these inputs were taken back, from 1.
        by_hand: Whether somebody asked for it; else its verify failed.
    """

    generation: int
    inputs: str
    content: str
    reason: str
    since: float
    attempts: int = 1
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class PublishedState:
    """What is published, and how much of it the primary was told.

    Attributes:
        current: Number of the generation that readers see; None where there is none.
        acknowledged: Number of the last generation that the primary has acknowledged; None where there is none, and
            while `current` is an older one that came back and was not acknowledged anew.
        highest: Highest number ever published; 0 where there is none.
        published_at: When `current` was published, or came back, seconds since the epoch.
        step: How many reload steps were delivered for `current`.
        changed: Destinations, sorted, that changed since the primary was last told; empty once it is.
        files: What `current` holds, by destination.
        inputs: Digest of what `current` was made of, without leased values; empty where that is not known.
        leased_until: When the first leased value in `current` dies, seconds since the epoch; None where it has none.
        is_proven: Whether the primary had acknowledged the same content before: it came back, or was repaired.
        is_unwell: Whether the verify of `current` failed and it stayed all the same, not having held since.
        older: What can be gone back to, newest first.
        leases: Digest of the leased values in `current`; empty where there are none, or that is not known.
        refused: The last generation that was taken back; None once other inputs or a success took its place.
    """

    current: int | None = None
    acknowledged: int | None = None
    highest: int = 0
    published_at: float | None = None
    step: int = 0
    changed: tuple[str, ...] = ()
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    inputs: str = ""
    leased_until: float | None = None
    is_proven: bool = False
    is_unwell: bool = False
    older: tuple[KeptGeneration, ...] = ()
    leases: str = ""
    refused: Refusal | None = None

    @property
    def is_acknowledged(self) -> bool:
        """Whether the primary knows the current generation; true also where there is none."""
        return self.current is None or self.current == self.acknowledged


@dataclass(frozen=True, slots=True)
class _Document(PublishedState):
    before: PublishedState | None = None
    format: Literal[1] = 1


@dataclass(frozen=True, slots=True)
class SavedState:
    """The content of the state file.

    Attributes:
        state: What is published; where `before` is set: what was being published.
        before: What was published before; None where no publish was under way when this was written.
    """

    state: PublishedState
    before: PublishedState | None = None


@cache
def _adapter() -> TypeAdapter[_Document]:
    return TypeAdapter(_Document)


def save_state(disk: Disk, store: int, saved: SavedState) -> None:
    """Replace the state file in the open folder *store*; durable on return.

    Raises:
        OSError: The old file is still whole.
    """
    values = {item.name: getattr(saved.state, item.name) for item in fields(PublishedState)}
    content = _adapter().dump_json(_Document(**values, before=saved.before)) + b"\n"
    remove_leftover(disk, STATE_TEMPORARY, at=store)
    descriptor = disk.create(STATE_TEMPORARY, at=store, mode=0o600)
    try:
        disk.set_mode(descriptor, 0o600)
        disk.write(descriptor, content)
        disk.sync(descriptor)
    finally:
        os.close(descriptor)
    disk.rename(STATE_TEMPORARY, STATE, at=store)
    disk.sync_folder(store)


def load_state(disk: Disk, store: int) -> SavedState | None:
    """Return the saved state; None where there is none, or none that can be used.

    A damaged or foreign file is renamed to `..confcar.json.damaged`, with a line in the log.

    Raises:
        OSError: The file cannot be set aside.
    """
    try:
        return read_state(store)
    except FileNotFoundError:
        return None
    except ValueError as error:
        reason = str(error)
    except OSError as error:
        reason = f"it cannot be read: {error.strerror}"
    disk.rename(STATE, STATE_SET_ASIDE, at=store)
    _LOG.warning("state file set aside", extra=log.fields(renamed_to=STATE_SET_ASIDE, reason=reason))
    return None


def read_state(store: int) -> SavedState:
    """Return the saved state without changing anything.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged, foreign, or from a newer confcar.
        OSError: It cannot be read.
    """
    descriptor = os.open(STATE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=store)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        # Whoever could write this file could have any path named in it replaced or removed.
        if status.st_uid not in {os.geteuid(), 0} or status.st_mode & _WRITABLE_BY_OTHERS:
            message = "it is not confcar's own: another user could have written it"
            raise ValueError(message)
        content = file.read()
    try:
        document = _adapter().validate_json(content, strict=True)
    except ValidationError:
        message = "it is damaged, or from another version of confcar"
        raise ValueError(message) from None
    return _checked(document)


def _checked(document: _Document) -> SavedState:
    state = PublishedState(**{item.name: getattr(document, item.name) for item in fields(PublishedState)})
    for each in (state, document.before or state):
        names = {name for files in (each.files, *(kept.files for kept in each.older)) for name in files}
        if (each.current or 0) > each.highest or any(find_fault(name) for name in names):
            message = "it contradicts itself"
            raise ValueError(message)
    return SavedState(state, document.before)
