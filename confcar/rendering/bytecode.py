"""Jinja's bytecode cache on disk, in a folder that only confcar can write to."""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket, FileSystemBytecodeCache

import confcar
from confcar.log import fields

_LOG = logging.getLogger(__name__)
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class BytecodeCache(FileSystemBytecodeCache):
    """Keeps compiled templates; equal source under other delimiters or another confcar is another entry."""

    def __init__(self, directory: Path, *, fingerprint: str) -> None:
        super().__init__(str(directory), "%s.cache")
        self._fingerprint = f"{confcar.__version__}|{jinja2.__version__}|{fingerprint}|"

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        """Return the name of the entry, other for each dialect."""
        return sha256(f"{self._fingerprint}{name}|{filename}".encode()).hexdigest()

    def get_source_checksum(self, source: str) -> str:
        """Return what tells one version of the source from another."""
        return sha256((self._fingerprint + source).encode()).hexdigest()

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read an entry; one that is broken, as a crash of the machine can leave it, is as good as none."""
        try:
            super().load_bytecode(bucket)
        except Exception:  # noqa: BLE001 - pickle and marshal raise nearly anything on broken data
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Write an entry; a full or read-only disk only costs the time of compiling again."""
        with suppress(OSError):
            super().dump_bytecode(bucket)


def open_bytecode_cache(directory: Path | None, *, fingerprint: str) -> BytecodeCache | None:
    """Return the cache in *directory*, made where it is not there; None where it cannot be used.

    What is cached is run as code, so a folder that others own or can write to is not used, and the log says so.
    """
    if directory is None:
        return None
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
    except OSError as error:
        _LOG.warning("bytecode cache not used", extra=fields(directory=str(directory), reason=error.strerror))
        return None
    if found.st_uid != os.geteuid() or found.st_mode & _OTHERS_WRITE:
        reason = "others own it or can write to it"
        _LOG.warning("bytecode cache not used", extra=fields(directory=str(directory), reason=reason))
        return None
    return BytecodeCache(directory, fingerprint=fingerprint)
