"""Disks that stop, fail or record: every change that publishing makes goes through one of these in the tests."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confcar.publishing.disk import Disk

CALLS = frozenset(name for name in vars(Disk) if not name.startswith("_"))


class Killed(BaseException):
    """The process is dead: nothing after this reaches the disk, whatever handlers run."""


class HookedDisk(Disk):
    """Calls a hook with the name and arguments before each change."""

    def __init__(self, hook: Callable[[str, tuple[Any, ...], dict[str, Any]], None]) -> None:
        self._hook = hook

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 - whatever the disk has under that name
        value = super().__getattribute__(name)
        if name not in CALLS:
            return value
        hook = self._hook

        def call(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on as they are
            hook(name, args, named)
            return value(*args, **named)

        return call


class KilledDisk(HookedDisk):
    """Dies at the change number *at* (from 0), half-way through it where it has halves; counts the changes."""

    def __init__(self, at: int) -> None:
        super().__init__(self._step)
        self.count = 0
        self._at = at

    @property
    def is_dead(self) -> bool:
        return self.count > self._at

    def _step(self, name: str, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        if self.count == self._at:
            _half(name, args, named)
        self.count += 1
        if self.is_dead:
            raise Killed


def _half(name: str, args: tuple[Any, ...], named: dict[str, Any]) -> None:
    if name == "write":
        os.write(args[0], args[1][: len(args[1]) // 2])
    if name == "remove_tree":
        root = Path(f"/proc/self/fd/{named['at']}/{args[0]}")
        for file in [path for path in root.rglob("*") if path.is_file()][:1]:
            file.unlink()


class FailingDisk(HookedDisk):
    """Lets the change number *at* (from 0) fail; with *lasting* also all later ones that would need space."""

    def __init__(self, at: int, *, error: int = errno.ENOSPC, lasting: bool = False) -> None:
        super().__init__(self._step)
        self.count = 0
        self.failed: str | None = None
        self._at = at
        self._error = error
        self._lasting = lasting

    def _step(self, name: str, *_: object) -> None:
        is_later = self._lasting and self.count > self._at and name in {"create", "write", "make_folder", "link"}
        self.count += 1
        if self.count == self._at + 1 or is_later:
            self.failed = self.failed or name
            raise OSError(self._error, os.strerror(self._error))


def _path_of(descriptor: int) -> str:
    return os.fspath(Path(f"/proc/self/fd/{descriptor}").readlink())


class RecordingDisk(HookedDisk):
    """Knows at any moment what a power cut could lose: files and folders changed since they were last synced."""

    def __init__(self) -> None:
        super().__init__(self._step)
        self.dirty: set[str] = set()
        self.log: list[tuple[str, str, frozenset[str]]] = []
        self.syncs = 0

    def _step(self, name: str, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        if "at" in named:
            folder = _path_of(named["at"])
            path = f"{folder}/{args[1] if name in {'rename', 'link'} else args[0]}"
            self.log.append((name, path, frozenset(self.dirty)))
            if name not in {"remove", "remove_tree"}:
                self.dirty.add(folder)
            if name in {"create", "make_folder"}:
                self.dirty.add(path)
            if name == "rename":
                was_dirty = f"{folder}/{args[0]}" in self.dirty
                self.dirty -= {f"{folder}/{args[0]}", path}
                self.dirty |= {path} if was_dirty else set()
            return
        path = _path_of(args[0])
        self.log.append((name, path, frozenset(self.dirty)))
        if name in {"sync", "sync_folder"}:
            self.syncs += 1
            self.dirty.discard(path)
        elif name == "sync_file_system":
            self.syncs += 1
            self.dirty.clear()
        else:
            self.dirty.add(path)

    def dirty_before(self, name: str, path: Path) -> frozenset[str]:
        """Return what a power cut could lose at the moment of the first such call."""
        return next(dirty for call, at, dirty in self.log if call == name and at == os.fspath(path))
