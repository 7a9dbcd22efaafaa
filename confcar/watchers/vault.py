"""Follows a Vault or OpenBao server: static secrets, read again every `refresh`, and what is issued and kept alive.

One query per secret or credential, polled by the loop in `follow`; the token they are read with is the keeper's, on a
thread of its own. Where that thread finds the token dead, what died with it is hurried.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from confcar.clients.vault import VaultClient
from confcar.config.sources import VaultOptions
from confcar.handover.handover import Handover
from confcar.model import Dependency, Kind, Reading, Snapshot, Version
from confcar.status import Status
from confcar.watchers.base import Hurry, Query
from confcar.watchers.vault_asking import Answered, Asking
from confcar.watchers.vault_auth import create_login
from confcar.watchers.vault_clocks import Clocks, poll_seconds
from confcar.watchers.vault_handover import HandedLogin, key_of
from confcar.watchers.vault_keeper import TokenKeeper
from confcar.watchers.vault_kv import SecretReader
from confcar.watchers.vault_mounts import Mounts
from confcar.watchers.vault_token import Token

if TYPE_CHECKING:  # loaded only where something dynamic is read
    from confcar.watchers.vault_dynamic import DynamicSecrets

MAX_POLLING = 4
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
        clocks: What everything goes by; None for the machine's.

    Raises:
        ConfigError: The address is no URL.
    """

    kinds: frozenset[Kind] = frozenset({"secret", "secrets", "issue"})
    max_blocking = 0
    max_polling = MAX_POLLING

    def __init__(
        self,
        name: str,
        options: VaultOptions,
        *,
        status: Status,
        handover: Handover | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        self.name = name
        self._status = status
        self._refresh_seconds = options.refresh_seconds
        self._clocks = clocks or Clocks()
        clock = self._clocks.monotonic
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
        self._keeper = self._new_keeper(options)
        self._keeper.on_new_token = self._token_changed
        self._mounts = Mounts(self._client, namespace=options.namespace, kv_versions=options.kv_versions)
        self._reader = SecretReader(self._client, self._mounts)
        self._asking = Asking(name, self._client, self._keeper, clock=clock)
        self._dynamic: DynamicSecrets | None = None
        self._hurry: Hurry = lambda _: None
        self._lock = threading.Lock()
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def _new_keeper(self, options: VaultOptions) -> TokenKeeper:
        login = create_login(options, is_preview=self._handover.life == "preview")
        return TokenKeeper(
            self.name,
            self._client,
            login=HandedLogin(login, handover=self._handover, key=self._key),
            status=self._status,
            check_seconds=options.token_check_seconds,
            clock=self._clocks.monotonic,
            jitter=self._clocks.jitter,
        )

    def plan(self, wanted: frozenset[Dependency]) -> Mapping[Query, frozenset[Dependency]]:
        """Return one query per secret: the server has no way to read several at once."""
        return {dependency: frozenset({dependency}) for dependency in wanted}

    def fetch(
        self, query: Query, dependencies: frozenset[Dependency], *, after: Version | None, wait_seconds: float
    ) -> Snapshot:
        """Read a secret, list a folder or issue a credential and keep it; never blocks for a change.

        Fetched before its time, what was issued stays as it is.

        Raises:
            SourceUnavailableError: The server does not answer or is in trouble, or a credential file is not there yet.
            SourceDeniedError: The login or the policy refuses.
            SourceDataError: The path or the answer cannot be used.
        """
        del query, wait_seconds
        self._start_keeper()
        found = {dependency: self._read(dependency) for dependency in dependencies}
        self._report()
        readings = {dependency: each.reading for dependency, each in found.items()}
        version = _version_of(readings)
        return Snapshot(
            version,
            {} if version == after else readings,
            again_in_seconds=min(each.again_in_seconds for each in found.values()),
            has_asked=any(each.has_asked for each in found.values()),
        )

    def hurry_by(self, hurry: Hurry) -> None:
        """Call *hurry* where a token died, and its leases with it."""
        self._hurry = hurry

    def retain(self, in_use: Iterable[object]) -> None:
        """Renew no superseded lease any more but those whose data is among *in_use*; the others end by themselves."""
        if self._dynamic is not None:
            self._dynamic.retain(in_use)

    def interrupt(self, query: Query) -> None:
        """Let a read under way come to its end: it does not wait for a change, and what it may have created counts."""

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
        life, token = self._handover.life, self._keeper.current
        held = self._handover.take(self._key) if life == "run" else None
        left = held.token.value if held is not None and held.token is not None else ""
        if life == "run" and token is not None and self._dynamic is not None:
            self._dynamic.revoke(token, is_of_older_tokens=True, limit_seconds=_REVOKE_SECONDS)
        is_own = life == "run" or (life == "preview" and not self._keeper.has_borrowed)
        if is_own and self._keeper.revoke(limit_seconds=_REVOKE_SECONDS, left=left):
            self._handover.remove(self._key)
        elif life == "run" and token is not None and self._dynamic is not None:
            # A token that is not confcar's to revoke, with leases that are.
            self._dynamic.revoke(token, is_of_older_tokens=False, limit_seconds=_REVOKE_SECONDS)

    def _token_changed(self, token: Token, has_died: bool) -> None:  # noqa: FBT001 - the keeper calls it so
        with self._lock:
            dynamic = self._dynamic  # one that is made from now on knows of this token
        if dynamic is not None:
            due = dynamic.token_changed(token, has_died=has_died, old_ends_at=self._keeper.replaced_ends_at)
            if due:
                self._hurry(due)

    def _read(self, dependency: Dependency) -> Answered:
        if dependency.kind == "issue" or self._holds(dependency):
            return self._dynamic_secrets().read(dependency)
        was_known, asked_at = self._mounts.knows(dependency.path), self._clocks.monotonic()
        token, found = self._asking.ask(lambda token: (token, self._reader.read(dependency, token=token.value)))
        reading, answer = found
        if answer is not None and answer.body.get("lease_id") and isinstance(reading.value, Mapping):
            dynamic = self._dynamic_secrets()
            return dynamic.hold(dependency, answer, reading.value, token=token, asked_at=asked_at)
        again = poll_seconds(self._refresh_seconds, jitter=self._clocks.jitter)
        return Answered(reading, again, has_asked=not (was_known and reading.is_dynamic))

    def _holds(self, dependency: Dependency) -> bool:
        """Whether something with an end is held for a static secret, or was left for one by an earlier process."""
        if self._dynamic is None:
            held = self._handover.take(self._key) if self._handover.is_on else None
            if held is None or not held.leases:
                return False
        return self._dynamic_secrets().holds(dependency)

    def _dynamic_secrets(self) -> DynamicSecrets:
        from confcar.watchers.vault_dynamic import DynamicSecrets

        with self._lock:
            if self._dynamic is None:
                self._dynamic = DynamicSecrets(
                    self._asking,
                    self._reader,
                    handover=self._handover,
                    key=self._key,
                    refresh_seconds=self._refresh_seconds,
                    clocks=self._clocks,
                )
            return self._dynamic

    def _report(self) -> None:
        leases = self._dynamic.status() if self._dynamic is not None else ()
        self._status.set_gauge("vault_leases", self.name, value=len(leases))
        self._status.update_source(self.name, leases=leases)


def _version_of(readings: Mapping[Dependency, Reading]) -> str:
    """Return a mark that is the same for the same data, whatever the server counts, and that gives nothing away."""
    held = [
        [dependency.path, reading.value, reading.note, reading.is_dynamic, reading.leased_until]
        for dependency, reading in sorted(readings.items())
    ]
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()
