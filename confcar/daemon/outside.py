"""What others find confcar by while it runs: its PID file and its HTTP listener; both can move to another place."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import confcar
from confcar.admin.commands import Commands
from confcar.config.settings import Settings
from confcar.errors import ConfigError
from confcar.log import fields
from confcar.status import Status

if TYPE_CHECKING:  # the HTTP server's modules are loaded only where something listens
    from confcar.admin.server import AdminServer

_OFF = "off"
_log = logging.getLogger(__name__)


class Outside:
    """PID file and listener, from the first `move_to` to the end of the block. Main thread only."""

    def __init__(self, status: Status, commands: Commands) -> None:
        self._status = status
        self._commands = commands
        self._pid_file: Path | None = None
        self._listen = _OFF
        self._server: AdminServer | None = None

    def move_to(self, settings: Settings) -> None:
        """Be found where *settings* say.

        Raises:
            ConfigError: The address cannot be bound, or the PID file not be written; all is where it was.
        """
        before = self._pid_file
        self._write_pid(settings.pid_file)
        try:
            self._listen_on(settings.admin.listen)
        except ConfigError:
            self._write_pid(before)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self._write_pid(None)

    def _write_pid(self, path: Path | None) -> None:
        own = f"{os.getpid()}\n"
        if path == self._pid_file:
            return
        if path is not None:
            try:
                path.write_text(own)
            except OSError as error:
                raise ConfigError(f"pid_file: cannot write {path}: {error.strerror}") from error
        before, self._pid_file = self._pid_file, path
        if before is not None:
            # Another confcar may have written its own there since.
            with suppress(OSError):
                if before.read_text() == own:
                    before.unlink()

    def _listen_on(self, listen: str) -> None:
        if listen == self._listen:
            return
        before, self._server = self._server, None
        try:
            self._server = self._bound(listen)
        except ConfigError:
            self._server = before
            if before is None or not _may_be_in_the_way(self._listen, listen):
                raise
            self._server = self._bound_instead(listen)
            before = None
        self._listen = listen
        if before is not None:
            before.close()
        if self._server is not None:
            _log.info("admin listens", extra=fields(address=self._server.address))

    def _bound_instead(self, listen: str) -> AdminServer | None:
        """Bind where only the listener of before may be in the way: give that up first, and take it back on failure."""
        assert self._server is not None, "something listens"
        self._server.close()
        try:
            return self._bound(listen)
        except ConfigError:
            self._server = self._bound(self._listen)
            raise

    def _bound(self, listen: str) -> AdminServer | None:
        if listen == _OFF:
            return None
        from confcar.admin.server import AdminServer

        return AdminServer(listen, self._status, version=confcar.__version__, commands=self._commands)


def _may_be_in_the_way(one: str, other: str) -> bool:
    return one.rpartition(":")[2] == other.rpartition(":")[2]
