"""Follows a Vault or OpenBao server: static secrets of KV v1 and v2, read again every `refresh`.

One query per secret, polled by the loop in `follow`; the token they are read with is the keeper's, on a thread of its
own. A refusal is looked into here: a dead token is replaced and the read made again, a policy's refusal is an error.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections.abc import Callable, Mapping

from confcar.clients.vault import VaultClient
from confcar.config.sources import VaultOptions
from confcar.errors import SourceDeniedError
from confcar.handover.handover import Handover
from confcar.model import Dependency, Kind, Reading, Snapshot, Version
from confcar.status import Status
from confcar.watchers.base import Query
from confcar.watchers.vault_auth import create_login
from confcar.watchers.vault_handover import HandedLogin, key_of
from confcar.watchers.vault_keeper import TokenKeeper
from confcar.watchers.vault_kv import SecretReader
from confcar.watchers.vault_mounts import Mounts
from confcar.watchers.vault_token import Token

MAX_POLLING = 4
# Never later than `refresh` says, and a fleet that started together drifts apart.
_REFRESH_SHARES = (0.85, 0.95)
_JOIN_SECONDS = 2.0
# For the last request of all: an end within a second is promised.
_REVOKE_SECONDS = 0.5


class VaultWatcher:
    """Follows one configured server; see `Watcher` for the members.

    Args:
        name: The source's name in the config.
        options: As configured, with the defaults from the environment filled in.
        status: Where requests are counted and the token's remaining life is shown.
        handover: What an earlier process left, and what this one is; None for nothing, and `run`.
        clock: Monotonic seconds.
        jitter: Spreads reads and renewals.

    Raises:
        ConfigError: The address is no URL.
    """

    kinds: frozenset[Kind] = frozenset({"secret", "secrets"})
    max_blocking = 0
    max_polling = MAX_POLLING

    def __init__(
        self,
        name: str,
        options: VaultOptions,
        *,
        status: Status,
        handover: Handover | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: random.Random | None = None,
    ) -> None:
        self.name = name
        self._refresh_seconds = options.refresh_seconds
        self._clock = clock
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._client = VaultClient(
            name,
            options,
            max_connections=MAX_POLLING + 1,  # the keeper's is never in the queue behind the reads
            on_request=lambda code: status.count("source_requests_total", name, code),
            on_connections=lambda count: status.update_source(name, connections=count),
            clock=clock,
        )
        self._handover = handover or Handover(None, life="run")
        self._key = key_of(name, options)
        self._revokes = options.revoke_on_exit
        login = create_login(options, is_preview=self._handover.life == "preview")
        self._keeper = TokenKeeper(
            name,
            self._client,
            login=HandedLogin(login, handover=self._handover, key=self._key),
            status=status,
            check_seconds=options.token_check_seconds,
            clock=clock,
            jitter=self._jitter,
        )
        mounts = Mounts(self._client, namespace=options.namespace, kv_versions=options.kv_versions)
        self._reader = SecretReader(self._client, mounts)
        self._lock = threading.Lock()
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def plan(self, wanted: frozenset[Dependency]) -> Mapping[Query, frozenset[Dependency]]:
        """Return one query per secret: the server has no way to read several at once."""
        return {dependency: frozenset({dependency}) for dependency in wanted}

    def fetch(
        self, query: Query, dependencies: frozenset[Dependency], *, after: Version | None, wait_seconds: float
    ) -> Snapshot:
        """Read a secret or list a folder; never blocks for a change, so *wait_seconds* plays no part.

        Raises:
            SourceUnavailableError: The server does not answer or is in trouble, or a credential file is not there yet.
            SourceDeniedError: The login or the policy refuses.
            SourceDataError: The path or the answer cannot be used.
        """
        del query, wait_seconds
        self._start_keeper()
        readings = {dependency: self._read(dependency) for dependency in dependencies}
        version = _version_of(readings)
        again = self._refresh_seconds * self._jitter.uniform(*_REFRESH_SHARES)
        return Snapshot(version, {} if version == after else readings, again_in_seconds=again)

    def close(self) -> None:
        """End every fetch and the keeping of the token at once.

        The token lives on until its time is over, unless `revoke_on_exit` is set and the process ends; then this blocks
        for a moment.
        """
        with self._lock:
            is_first, self._is_closed = not self._is_closed, True
            thread = self._thread
        self._keeper.close()
        if is_first and self._revokes and not self._handover.is_going_on:
            self._revoke()
        self._client.close()
        if thread is not None:
            thread.join(_JOIN_SECONDS)

    def _start_keeper(self) -> None:
        with self._lock:
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(target=self._keeper.run, name=f"confcar-{self.name}-token", daemon=True)
                self._thread.start()

    def _revoke(self) -> None:
        """Revoke what is this process's own: not what `once` made for the files, nor what a preview has borrowed."""
        life = self._handover.life
        held = self._handover.take(self._key) if life == "run" else None
        left = held.token.value if held is not None and held.token is not None else ""
        is_own = life == "run" or (life == "preview" and not self._keeper.has_borrowed)
        if is_own and self._keeper.revoke(limit_seconds=_REVOKE_SECONDS, left=left):
            self._handover.remove(self._key)

    def _read(self, dependency: Dependency) -> Reading:
        """Read with the token there is; where it turns out to be dead, once more with a new one."""
        dead: Token | None = None
        has_waited = False
        while True:
            token, asked_at = self._keeper.token(), self._clock()
            try:
                return self._reader.read(dependency, token=token.value)
            except SourceDeniedError:
                if not has_waited and self._keeper.is_young(token):
                    has_waited = True
                    continue
                if self._keeper.is_alive(token, refused_at=asked_at):
                    raise
                if dead is not None:
                    if dead.value != token.value:
                        self._keeper.distrust_lookup()
                    raise
                self._keeper.drop(token)
                dead = token


def _version_of(readings: Mapping[Dependency, Reading]) -> str:
    """Return a mark that is the same for the same data, whatever the server counts, and that gives nothing away."""
    held = [[dependency.path, reading.value, reading.note] for dependency, reading in sorted(readings.items())]
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()
