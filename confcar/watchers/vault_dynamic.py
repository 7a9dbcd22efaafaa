"""The part of a Vault source that has things issued and keeps them alive, put together.

Loaded where a template reads something dynamic, or an earlier process left leases: most configs pay nothing for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from confcar.clients.vault_answer import VaultAnswer
from confcar.handover.handover import Handover
from confcar.handover.records import SourceKey, hash_of
from confcar.model import Dependency
from confcar.source_status import LeaseStatus
from confcar.watchers.vault_asking import Answered, Asking
from confcar.watchers.vault_clocks import Clocks
from confcar.watchers.vault_inheritance import Inheritance
from confcar.watchers.vault_issuer import Issuer
from confcar.watchers.vault_kv import SecretReader
from confcar.watchers.vault_lease_clock import LeaseClock, token_cap
from confcar.watchers.vault_leases import Leases
from confcar.watchers.vault_token import Token


class DynamicSecrets:
    """What one source has issued. Thread-safe, as long as one dependency is read by one thread at a time.

    Args:
        asking: How the server is asked.
        reader: Reads static secrets, which may come with leases too.
        handover: What earlier processes left, and where this one's is left.
        key: Of the source in it.
        refresh_seconds: How often what has no end is read again, and a lease looked up.
        clocks: The source's.
    """

    def __init__(
        self,
        asking: Asking,
        reader: SecretReader,
        *,
        handover: Handover,
        key: SourceKey,
        refresh_seconds: float,
        clocks: Clocks,
    ) -> None:
        self.leases = Leases(clocks, token=asking.token_in_use)
        self._clocks = clocks
        self._issuer = Issuer(
            asking,
            reader,
            self.leases,
            inheritance=Inheritance(handover, key, clocks=clocks),
            refresh_seconds=refresh_seconds,
            clocks=clocks,
        )

    def holds(self, dependency: Dependency) -> bool:
        """Whether something is held for a dependency, or was left for it by an earlier process."""
        return self._issuer.holds(dependency)

    def read(self, dependency: Dependency) -> Answered:
        """Return the credential of a dependency, after whatever was due.

        Raises:
            SourceError: As `Issuer.read`.
        """
        return self._issuer.read(dependency)

    def hold(
        self, dependency: Dependency, answer: VaultAnswer, data: Mapping[str, object], *, token: Token, asked_at: float
    ) -> Answered:
        """Hold what the read of a static secret, begun at *asked_at*, gave where it came with a lease."""
        return self._issuer.hold(dependency, answer, data, token=token, asked_at=asked_at)

    def token_changed(self, token: Token, *, has_died: bool, old_ends_at: float) -> frozenset[Dependency]:
        """Take over that the source goes on with another token, and return what has to be looked after at once.

        Args:
            token: The new one.
            has_died: Whether the one before is dead, and its leases with it.
            old_ends_at: When it dies otherwise, in monotonic seconds.
        """

        def cap() -> LeaseClock:
            return token_cap(old_ends_at, now=self._clocks.monotonic(), jitter=self._clocks.jitter)

        return self.leases.token_changed(token, died=has_died, cap=cap)

    def retain(self, in_use: Iterable[object]) -> None:
        """Renew no superseded lease any more but those whose data is among *in_use*."""
        self.leases.retain(in_use)

    def revoke(self, token: Token, *, is_of_older_tokens: bool, limit_seconds: float) -> None:
        """Revoke all leases that live, or those that hang on other tokens only, within the time limit."""
        of_this = hash_of(token.value) if is_of_older_tokens else ""
        found = [lease for lease in self.leases.all() if lease.token_hash != of_this]
        self._issuer.revoke(found, token=token, limit_seconds=limit_seconds)

    def status(self) -> tuple[LeaseStatus, ...]:
        """Return what may be shown of all that live and end."""
        return self.leases.status()
