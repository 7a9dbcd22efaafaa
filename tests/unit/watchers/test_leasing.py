"""What the loop and the following do for sources whose answers can die: hurry, try again in time, let go in time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from confcar.errors import SourceDeniedError, SourceUnavailableError
from confcar.model import Dependency, Kind, Reading, Snapshot, Version
from confcar.source_status import SourceStatus
from confcar.status import Status
from confcar.store import Store
from confcar.watchers.base import Hurry, Query
from confcar.watchers.following import Following
from tests.waiting import wait_until

CREDS = Dependency("vault", "issue", "database/creds/web")
OTHER = Dependency("vault", "issue", "database/creds/other")


@dataclass
class Leasing:
    """Answers with what the test has set, and asks to be called again in an hour."""

    name: str = "vault"
    kinds: frozenset[Kind] = frozenset({"issue"})
    max_blocking: int = 0
    max_polling: int = 2
    readings: dict[Dependency, Reading] = field(default_factory=dict)
    error: SourceUnavailableError | None = None
    refused: Mapping[Dependency, SourceDeniedError] = field(default_factory=dict)
    has_asked: bool = True
    fetched: list[Dependency] = field(default_factory=list)
    retained: list[list[object]] = field(default_factory=list)
    hurry: Hurry = lambda _: None
    entered: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def plan(self, wanted: frozenset[Dependency]) -> Mapping[Query, frozenset[Dependency]]:
        return {each: frozenset({each}) for each in wanted}

    def fetch(
        self, query: Query, dependencies: frozenset[Dependency], *, after: Version | None, wait_seconds: float
    ) -> Snapshot:
        del query, after, wait_seconds
        (dependency,) = dependencies
        self.fetched.append(dependency)
        self.entered.set()
        assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        if dependency in self.refused:
            raise self.refused[dependency]
        readings = {dependency: self.readings[dependency]}
        return Snapshot(len(self.fetched), readings, again_in_seconds=3600, has_asked=self.has_asked)

    def interrupt(self, query: Query) -> None:
        pass  # a read that may create something comes to its end

    def close(self) -> None:
        self.gate.set()

    def hurry_by(self, hurry: Hurry) -> None:
        self.hurry = hurry

    def retain(self, in_use: Iterable[object]) -> None:
        self.retained.append(list(in_use))


@dataclass
class Stage:
    watcher: Leasing
    store: Store
    status: Status
    following: Following

    def want(self, *dependencies: Dependency, reader: str = "web") -> None:
        self.following.want(reader, frozenset(dependencies), lambda: None)

    def settle(self, reader: str = "web") -> None:
        """Do what a bundle does that publishes what it takes and is acknowledged."""
        self.following.take(reader)
        self.following.published(reader)
        self.following.settled(reader)

    @property
    def source(self) -> SourceStatus:
        return self.status.copy().sources["vault"]


@contextmanager
def staged(**more: object) -> Iterator[Stage]:
    watcher = Leasing(readings={CREDS: leased("one"), OTHER: leased("two")}, **more)  # type: ignore[arg-type]
    store, status = Store(), Status()
    status.add_source("vault", "vault")
    stage = Stage(watcher, store, status, Following([watcher], store=store, status=status))
    try:
        yield stage
    finally:
        stage.following.close()


def leased(password: str) -> Reading:
    return Reading({"password": password}, leased_until=2_000_000_000.0)


def test_hurried_dependency_is_fetched_at_once_and_the_others_are_not() -> None:
    with staged() as stage:
        stage.want(CREDS, OTHER)
        wait_until(lambda: len(stage.watcher.fetched) == 2)
        stage.watcher.hurry(frozenset({CREDS}))
        wait_until(lambda: len(stage.watcher.fetched) == 3)

        assert stage.watcher.fetched[-1] == CREDS


def test_what_is_hurried_during_its_fetch_is_fetched_once_more() -> None:
    with staged() as stage:
        stage.watcher.gate.clear()
        stage.want(CREDS)
        assert stage.watcher.entered.wait(10)
        stage.watcher.hurry(frozenset({CREDS}))
        stage.watcher.gate.set()

        wait_until(lambda: stage.watcher.fetched == [CREDS, CREDS])


def test_error_is_tried_again_no_later_than_what_is_held_lives() -> None:
    with staged() as stage:
        error = SourceUnavailableError("busy", retry_after_seconds=3600)
        error.retry_within_seconds = 0.05
        stage.watcher.error = error
        stage.want(CREDS)

        wait_until(lambda: len(stage.watcher.fetched) >= 3)


def test_source_whose_only_credential_is_denied_is_not_up_although_its_engine_is_known() -> None:
    engine = Dependency("vault", "secret", CREDS.path)
    readings = {engine: Reading(None, is_dynamic=True), CREDS: leased("one"), OTHER: leased("two")}
    with staged(refused={CREDS: SourceDeniedError("denied")}) as stage:
        stage.watcher.readings = readings
        stage.want(engine, OTHER)
        wait_until(lambda: len(stage.watcher.fetched) == 2)
        wait_until(lambda: stage.source.up is True)
        stage.want(engine, OTHER, CREDS)
        wait_until(lambda: CREDS in stage.store.failures)
        stage.watcher.hurry(frozenset({OTHER}))
        wait_until(lambda: stage.watcher.fetched.count(OTHER) == 2)
        assert stage.source.up is True, "another one is read"

        stage.want(engine, CREDS)
        stage.watcher.hurry(frozenset({CREDS}))
        wait_until(lambda: (stage.source.up, stage.source.error) == (False, "denied"))


def test_answer_from_memory_claims_no_contact() -> None:
    with staged(has_asked=False) as stage:
        stage.want(CREDS)
        wait_until(lambda: stage.following.take("web")[1][CREDS].reading is not None)

        assert (stage.source.up, stage.source.last_success) == (None, None)


def test_answer_from_memory_does_not_say_that_the_source_is_back() -> None:
    with staged() as stage:
        stage.watcher.error = SourceUnavailableError("away")
        stage.want(OTHER)
        wait_until(lambda: stage.source.up is False)
        stage.watcher.error, stage.watcher.has_asked = None, False
        stage.want(CREDS, OTHER)
        wait_until(lambda: stage.following.take("web")[1][CREDS].reading is not None)

        assert stage.source.up is False


def test_superseded_value_is_let_go_when_every_reader_has_been_acknowledged() -> None:
    with staged() as stage:
        for reader in ("web", "api"):
            stage.want(CREDS, reader=reader)
        wait_until(lambda: stage.following.take("web")[1][CREDS].reading is not None)
        old = stage.watcher.readings[CREDS].value
        stage.settle("web")
        stage.settle("api")
        stage.watcher.readings[CREDS] = leased("new")
        new = stage.watcher.readings[CREDS].value
        stage.watcher.hurry(frozenset({CREDS}))
        wait_until(lambda: stage.following.take("web")[1][CREDS].reading == leased("new"))

        stage.settle("web")
        assert any(each is old for each in stage.watcher.retained[-1])
        stage.settle("api")
        assert not any(each is old for each in stage.watcher.retained[-1])
        assert any(each is new for each in stage.watcher.retained[-1])


def test_value_that_is_taken_and_not_published_does_not_replace_the_one_in_use() -> None:
    with staged() as stage:
        stage.want(CREDS)
        wait_until(lambda: stage.following.take("web")[1][CREDS].reading is not None)
        old = stage.watcher.readings[CREDS].value
        stage.following.published("web")
        stage.watcher.readings[CREDS] = leased("new")
        stage.watcher.hurry(frozenset({CREDS}))
        wait_until(lambda: stage.following.take("web")[1][CREDS].reading == leased("new"))
        stage.following.settled("web")

        assert any(each is old for each in stage.watcher.retained[-1])


def test_reader_that_is_gone_uses_nothing() -> None:
    with staged() as stage:
        stage.want(CREDS)
        stage.want(CREDS, reader="gone")
        wait_until(lambda: stage.following.take("gone")[1][CREDS].reading is not None)
        old = stage.watcher.readings[CREDS].value
        stage.settle("gone")
        stage.watcher.readings[CREDS] = leased("new")
        stage.watcher.hurry(frozenset({CREDS}))
        wait_until(lambda: stage.following.take("web")[1][CREDS].reading == leased("new"))
        stage.want(reader="gone")
        stage.settle("web")

        assert not any(each is old for each in stage.watcher.retained[-1])


def test_nothing_is_told_twice() -> None:
    with staged() as stage:
        stage.want(CREDS)
        wait_until(lambda: stage.following.take("web")[1][CREDS].reading is not None)
        for _ in range(3):
            stage.settle()

        assert len(stage.watcher.retained) == 1
