"""Which secrets engine serves a path: asked of the server, or told by `kv_versions`.

Only an answer is remembered, never a failure: one 5xx at the start must not decide for the life of the process. What
is known of a mount is forgotten when a read on it finds nothing, since it may have been moved or upgraded.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from confcar.clients.vault import VaultClient
from confcar.clients.vault_answer import VaultAnswer
from confcar.errors import SourceDataError

_KV_TYPES = frozenset({"kv", "generic"})


@dataclass(frozen=True, slots=True)
class Mount:
    """A secrets engine.

    Attributes:
        path: Without surrounding slashes; may be nested.
        version: 1 or 2 where it holds what somebody wrote, so that reading creates nothing; a cubbyhole reads like
            KV v1. None for any other engine.
        is_configured: Whether it comes from `kv_versions`.
    """

    path: str
    version: int | None
    is_configured: bool = False

    def rest_of(self, path: str) -> str:
        """Return what follows the mount in a path below it; empty for the mount itself."""
        return path.removeprefix(self.path).removeprefix("/")


class Mounts:
    """The mounts of one server. Thread-safe.

    Args:
        client: Where to ask.
        namespace: Of the source; None for none.
        kv_versions: Version by mount, as configured.
    """

    def __init__(self, client: VaultClient, *, namespace: str | None, kv_versions: Mapping[str, int]) -> None:
        self._client = client
        self._namespace = (namespace or "").strip("/")
        self._lock = threading.Lock()
        self._known = {
            path.strip("/"): Mount(path.strip("/"), version, is_configured=True)
            for path, version in kv_versions.items()
        }

    def find(self, path: str, *, token: str) -> Mount:
        """Return the mount that serves a path; at most one request.

        Raises:
            SourceUnavailableError: The server does not answer; worth a retry.
            SourceDeniedError: It does not say: the token is dead, may read nothing there, or there is no such mount.
            SourceDataError: The answer cannot be used.
        """
        with self._lock:
            known = self._longest(path)
        if known is None:
            known = self._ask(path, token)
            with self._lock:
                self._known[known.path] = known
        return known

    def forget(self, mount: Mount) -> None:
        """Ask again before the next read, unless the config tells."""
        with self._lock:
            if not mount.is_configured and self._known.get(mount.path) == mount:
                del self._known[mount.path]

    def knows(self, path: str) -> bool:
        """Whether `find` would answer without a request."""
        with self._lock:
            return self._longest(path) is not None

    def _longest(self, path: str) -> Mount | None:
        below = [mount for mount in self._known.values() if f"{path}/".startswith(f"{mount.path}/")]
        return max(below, key=lambda mount: len(mount.path), default=None)

    def _ask(self, path: str, token: str) -> Mount:
        answer = self._client.call("GET", f"sys/internal/ui/mounts/{path}", token=token)
        if not answer.is_ok:
            cure = (
                "no engine is mounted there, or the token may read nothing of it; a token that may read but not ask "
                "needs the mount in `kv_versions`"
            )
            raise answer.error(f"the question which engine serves {path}", cure=cure)
        return self._mount_of(path, answer)

    def _mount_of(self, path: str, answer: VaultAnswer) -> Mount:
        data = answer.section("data")
        mount = self._without_namespace(path, str(data.get("path", "")).strip("/"))
        options = data.get("options")
        version = options.get("version") if isinstance(options, Mapping) else None
        kind = data.get("type")
        if kind in _KV_TYPES:
            return Mount(mount, 2 if str(version) == "2" else 1)
        if kind == "cubbyhole":
            return Mount(mount, 1)
        return Mount(mount, None)

    def _without_namespace(self, path: str, mount: str) -> str:
        """Return the mount as the path spells it: some servers put the namespace before it."""
        for candidate in (mount, mount.removeprefix(f"{self._namespace}/")):
            if candidate and f"{path}/".startswith(f"{candidate}/"):
                return candidate
        raise SourceDataError(f"Vault at {self._client.server} names another mount than that of {path}")
