"""A real PostgreSQL, for credentials that OpenBao's database engine makes in it. Its data ends with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import pg8000.dbapi

from tests.servers.process import Server

SUPERUSER, PASSWORD = "keeper", "the-keepers-password"
# It refuses to run as root; `nobody` on Debian.
_UNPRIVILEGED = 65534
_CONNECT_SECONDS = 10


class PostgresServer(Server):
    """One PostgreSQL on loopback with the database `postgres`. Every statement that changes a role is in its log."""

    def __init__(self, folder: Path, program: Path) -> None:
        """Prepare one; as root its data lies in a folder of its own that the unprivileged user can reach."""
        super().__init__(folder, program)
        self._home = Path(tempfile.mkdtemp(prefix="confcar-postgres-"))
        self._prefix: list[str] = []
        if os.geteuid() == 0:
            os.chown(self._home, _UNPRIVILEGED, _UNPRIVILEGED)
            ids = [f"--reuid={_UNPRIVILEGED}", f"--regid={_UNPRIVILEGED}", "--clear-groups"]
            self._prefix = [shutil.which("setpriv") or "setpriv", *ids, "--pdeathsig", "KILL", "--"]

    def command(self) -> Sequence[str | Path]:
        """Return the command line, after making the cluster at the first start."""
        data = self._home / "data"
        if not data.exists():
            self._make(data)
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "log_statement": "ddl",
            "max_connections": "50",
            "shared_buffers": "8MB",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [*self._prefix, self.program, "-D", data, "-p", str(self.port), *options]

    def is_ready(self) -> bool:
        """Return whether it lets its superuser in."""
        with suppress(pg8000.dbapi.Error), self.connection():
            return True
        return False

    @contextmanager
    def connection(self, user: str = SUPERUSER, password: str = PASSWORD) -> Iterator[Any]:
        """Yield a connection that is closed afterwards."""
        connection = pg8000.dbapi.connect(
            user, host="127.0.0.1", port=self.port, database="postgres", password=password, timeout=_CONNECT_SECONDS
        )
        try:
            yield connection
        finally:
            with suppress(pg8000.dbapi.Error, OSError):
                connection.close()

    def query(self, statement: str, *, user: str = SUPERUSER, password: str = PASSWORD) -> list[Any]:
        """Return the rows of one statement, on a connection of its own."""
        with self.connection(user, password) as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            rows: list[Any] = list(cursor.fetchall())
            return rows

    def roles_made(self, prefix: str) -> int:
        """Return how many roles whose name begins so were created since the start."""
        return self.log_file.read_text(errors="replace").count(f'CREATE ROLE "{prefix}')

    @property
    def url(self) -> str:
        """What OpenBao's database engine connects to."""
        return f"postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{self.port}/postgres?sslmode=disable"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        shutil.rmtree(self._home, ignore_errors=True)

    def _make(self, data: Path) -> None:
        password = self._home / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        made = subprocess.run(
            [
                *self._prefix,
                self.program.with_name("initdb"),
                *("-D", data, "-U", SUPERUSER, f"--pwfile={password}", "-A", "scram-sha-256", "-E", "UTF8"),
                *("--no-sync", "--no-locale"),
            ],
            cwd=self._home,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self._home)},
            capture_output=True,
            text=True,
            check=False,
        )
        password.unlink()
        assert made.returncode == 0, made.stderr
