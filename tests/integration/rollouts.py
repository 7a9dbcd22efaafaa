"""What the tests of the rollout share: one instance's part in it, and a slot that is held by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from confcar.bundle_status import SlotStatus
from confcar.clients.consul_session import ConsulSessions
from confcar.config.rollout import RolloutOptions
from confcar.config.sources import ConsulOptions
from confcar.reloaders.rollout import Rollout
from confcar.reloaders.semaphore import Semaphore
from confcar.status import Status
from tests.waiting import wait_until

LONG_SECONDS = 60.0


def source_at(address: str, **options: object) -> ConsulOptions:
    """Return the options of a Consul source."""
    return ConsulOptions.model_validate({"type": "consul", "address": address} | options)


class Instance:
    """One confcar of the fleet, as far as its rollout goes. `status.bundle("web")` is its board."""

    def __init__(
        self, source: ConsulOptions, key: str, *, slots: int = 1, timeout: str = "10m", bundle: str = "web"
    ) -> None:
        options = {"source": "consul", "key": key, "slots": slots, "timeout": timeout}
        self.status = Status()
        self.status.add_bundle(bundle, "/shared/web")
        self.rollout = Rollout(bundle, RolloutOptions.model_validate(options), source, status=self.status)
        self._bundle = bundle

    def may_reload(self) -> bool:
        """Ask whether to reload now."""
        return self.rollout.may_reload()

    def wait_for_turn(self, timeout: float = LONG_SECONDS) -> None:
        """Wait until it may reload, however that comes."""
        wait_until(self.rollout.may_reload, timeout=timeout)

    def wait_for_error(self) -> SlotStatus:
        """Wait until the board says why no slot can be had, while none is had."""

        def has_error() -> bool:
            assert not self.may_reload()
            return self.slot is not None and self.slot.error is not None

        wait_until(has_error, timeout=LONG_SECONDS)
        assert self.slot is not None
        return self.slot

    def wait_for_holders(self, count: int = 1) -> SlotStatus:
        """Wait until the board names *count* others that have the slots, while none is had."""

        def has_holders() -> bool:
            assert not self.may_reload()
            return self.slot is not None and len(self.slot.holders) == count

        wait_until(has_holders, timeout=LONG_SECONDS)
        assert self.slot is not None
        return self.slot

    @property
    def slot(self) -> SlotStatus | None:
        """What the board says of its slot."""
        return self.status.bundle(self._bundle).reload.slot

    def counted(self, result: str) -> float:
        """Return how many of its reloads came to their slot like this."""
        return self.status.copy().counters.get(("rollout_total", self._bundle, result), 0)


@contextmanager
def instance_of(source: ConsulOptions, key: str, **options: object) -> Iterator[Instance]:
    """Give an instance that is closed at the end."""
    instance = Instance(source, key, **options)  # type: ignore[arg-type]  # by name
    try:
        yield instance
    finally:
        instance.rollout.close()


class HeldSlot:
    """A slot that is held as a process holds it that has stopped: nobody renews its session."""

    def __init__(self, source: ConsulOptions, key: str, *, slots: int = 1, name: str = "by hand") -> None:
        self.sessions = ConsulSessions(source)
        self.semaphore = Semaphore(self.sessions, key, slots=slots)
        self.session = self.sessions.create(name)
        assert self.semaphore.contend(self.session, name)
        assert self.semaphore.take(self.session, self.sessions.list(key))

    def give_back(self) -> None:
        """Give it back as a turn does."""
        self.sessions.destroy(self.session)
        self.semaphore.tidy(self.session)

    def close(self) -> None:
        """Hold no connection any more; the slot stays until the session ends."""
        self.sessions.close()


@contextmanager
def held_slot(source: ConsulOptions, key: str, **options: object) -> Iterator[HeldSlot]:
    """Give a slot that is held; it is free at the end."""
    slot = HeldSlot(source, key, **options)  # type: ignore[arg-type]  # by name
    try:
        yield slot
    finally:
        slot.sessions.destroy(slot.session)
        slot.close()


def with_token(token: str) -> dict[str, SecretStr]:
    """Return the option that gives a source its token."""
    return {"token": SecretStr(token)}
