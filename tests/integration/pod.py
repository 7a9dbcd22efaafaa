"""A pod made by hand: containers of the image that share a PID namespace and a volume, as a runtime starts them.

The root file system is mounted read-only, /etc/confcar holds the config, /shared is the volume, and every process is
started with the image's user, environment and entry point, without capabilities and without new privileges.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.image import Image
from tests.waiting import wait_until

_ENDS_WITHIN_SECONDS = 30.0
# Arguments: the image, where to mount it, the config, the volume, and what to run then. Runs in namespaces of its own.
_PREPARE = """
image=$1 root=$2 config=$3 volume=$4; shift 4
mount --bind "$image" "$root"
mount --bind "$config" "$root/etc/confcar"
mount --bind "$volume" "$root/shared"
mount -o remount,bind,ro "$root"
mount -o remount,bind,ro "$root/etc/confcar"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
touch "$config/.prepared"
exec "$@"
"""
# Arguments: where, options, and what to run then.
_SCRATCH = 'where=$1 options=$2; shift 2; mount -t tmpfs -o "$options" tmpfs "$where"; exec "$@"'


class Pod:
    """A pod of one image; ends with the block, and everything in it.

    Attributes:
        image: What its containers are made of.
        config: The folder that is /etc/confcar in it; written from outside.
        volume: The folder that is /shared in it; belongs to the image's user.
    """

    def __init__(self, image: Image, folder: Path) -> None:
        self.config = folder / "config"
        self.volume = folder / "shared"
        self.image = image
        self._root = folder / "root"
        for each in (self.config, self.volume, self._root):
            each.mkdir(parents=True)
        user, _, group = str(image.config["User"]).partition(":")
        self._user, self._group = int(user), int(group)
        os.chown(self.volume, self._user, self._group)
        self._pause: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._pause = subprocess.Popen(self._prepared("sleep", "infinity"))
        wait_until((self.config / ".prepared").exists, timeout=_ENDS_WITHIN_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._pause is not None, "it was not started"
        self._pause.kill()  # the first process dies with it, and with that all others in the namespace
        self._pause.wait()

    def confcar(self, *arguments: str) -> Sequence[str]:
        """Return the command line of a container that runs the image's entry point with *arguments*."""
        return self.container(*self.image.config["Entrypoint"], *arguments)

    def container(self, *command: str, has_scratch: bool = False) -> Sequence[str]:
        """Return the command line of a container in the pod that runs *command* instead of the entry point.

        With *has_scratch* it has a /tmp of its own that it may write to.
        """
        scratch = [str(self._root / "tmp"), f"uid={self._user},gid={self._group},mode=0700"]
        own = ["unshare", "--mount", "--", "sh", "-ec", _SCRATCH, "sh", *scratch] if has_scratch else []
        return ["nsenter", "--target", str(self._first()), "--mount", "--pid", "--", *own, *self._inside(command)]

    def lone_container(self, *arguments: str) -> Sequence[str]:
        """Return the command line of one outside of the pod, on its volume, with confcar as the first process."""
        return self._prepared(*self._inside([*self.image.config["Entrypoint"], *arguments]))

    def _prepared(self, *command: str) -> Sequence[str]:
        places = [self.image.root, self._root, self.config, self.volume]
        unshare = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
        return [*unshare, "--", "sh", "-ec", _PREPARE, "sh", *map(str, places), *command]

    def _inside(self, command: Sequence[str]) -> Sequence[str]:
        ids = [f"--reuid={self._user}", f"--regid={self._group}", "--clear-groups"]
        rights = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        return ["chroot", str(self._root), "setpriv", *ids, *rights, "env", "-i", *self.image.config["Env"], *command]

    def _first(self) -> int:
        assert self._pause is not None, "it was not started"
        return only_child(self._pause.pid)


def only_child(pid: int) -> int:
    """Return the process that *pid*, an `nsenter` or `unshare`, has started; waits for it."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return int(wait_until(lambda: children.read_text().split())[0])


def terminate(container: subprocess.Popen[str]) -> int:
    """Send SIGTERM to a container's process, as a runtime does, and return its exit code."""
    os.kill(only_child(container.pid), signal.SIGTERM)
    return container.wait(_ENDS_WITHIN_SECONDS)


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a container to its end."""
    return subprocess.run(command, capture_output=True, text=True, timeout=2 * _ENDS_WITHIN_SECONDS, check=False)


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a container that stays until the block ends; its output goes to *log*."""
    with log.open("w") as out:
        process = subprocess.Popen(command, text=True, stdout=out, stderr=out)
    try:
        yield process
    finally:
        if process.poll() is None:
            terminate(process)
