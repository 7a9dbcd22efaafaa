"""PID namespaces and users, as containers have them: made by util-linux, ended with the block."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import wait_until

needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "setpriv"))),
    reason="PID namespaces and other users need root, and unshare, nsenter and setpriv of util-linux",
)

OWN_NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
"""Runs a command as PID 1 of a namespace of its own, with a /proc that shows no other."""


def as_user(user: int, *, group: int) -> Sequence[str]:
    """Return what runs a command as a user of its own group, with *group* beside it."""
    return ("setpriv", f"--reuid={user}", f"--regid={user}", f"--groups={group}", "--inh-caps=-all")


def child_of(pid: int) -> int:
    """Return the one child of a process, once there is one."""

    def look() -> int | None:
        words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(words[0]) if words else None

    found = wait_until(look, timeout=30.0)
    assert found is not None, "waited for"
    return found


def states_of_children(pid: int) -> list[str]:
    """Return the kernel's letters for the children of a process: `Z` for one that has ended and was not reaped."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            try:
                found.append(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0])
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


@contextmanager
def shared_namespace() -> Iterator[Sequence[str]]:
    """Yield what runs a command in a PID namespace that is shared, as the containers of a pod may have it."""
    with subprocess.Popen([*OWN_NAMESPACE, "sleep", "infinity"]) as holder:
        try:
            inside = child_of(holder.pid)
            # `sleep` and its /proc are there once unshare has become it.
            wait_until(lambda: Path(f"/proc/{inside}/comm").read_text() == "sleep\n")
            yield ("nsenter", f"--target={inside}", "--pid", "--mount")
        finally:
            holder.send_signal(signal.SIGKILL)
