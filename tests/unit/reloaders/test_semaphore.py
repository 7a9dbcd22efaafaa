"""What the keys below a semaphore's folder say: who holds it, who is dead, what is no semaphore at all."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from confcar.clients.consul_session import ConsulSessions, Entry, Listing
from confcar.config.sources import ConsulOptions
from confcar.errors import SourceDataError
from confcar.reloaders.semaphore import FLAGS, Semaphore

FOLDER = "fleet/slots"
PLAIN_LOCK_FLAGS = 0x2DDCCBC058A50C18


@pytest.fixture
def semaphore() -> Iterator[Semaphore]:
    # Nothing here asks it.
    sessions = ConsulSessions(ConsulOptions(type="consul", address="http://127.0.0.1:1"))
    yield Semaphore(sessions, FOLDER, slots=2)
    sessions.close()


def listing(document: object, *living: str, flags: int = FLAGS, session: str = "", name: bytes = b"web-1") -> Listing:
    entries = {f"{FOLDER}/{each}": Entry(name, FLAGS, each, 5) for each in living}
    if document is not None:
        value = document if isinstance(document, bytes) else json.dumps(document).encode()
        entries[f"{FOLDER}/.lock"] = Entry(value, flags, session, 7)
    return Listing(9, entries)


def holders(*sessions: str, limit: int = 2) -> dict[str, object]:
    return {"Limit": limit, "Holders": dict.fromkeys(sessions, True)}


@pytest.mark.parametrize(
    ("document", "living", "held", "is_free"),
    [
        pytest.param(None, (), (), True, id="nothing there"),
        pytest.param(holders("a"), ("a", "b"), ("a",), True, id="one of two"),
        pytest.param(holders("a", "b"), ("a", "b", "c"), ("a", "b"), False, id="both"),
        pytest.param(holders("a", "b"), ("b", "c"), ("b",), True, id="a dead holder"),
        pytest.param({"Limit": 2, "Holders": None}, ("a",), (), True, id="an empty map of Go"),
        pytest.param(b"", ("a",), (), True, id="an empty document"),
    ],
)
def test_only_the_living_hold_a_slot(
    semaphore: Semaphore, document: object, living: tuple[str, ...], held: tuple[str, ...], *, is_free: bool
) -> None:
    standing = semaphore.standing(listing(document, *living))
    assert (tuple(standing.holders), standing.is_free, standing.conflict) == (held, is_free, "")


def test_another_limit_is_a_conflict_while_somebody_living_holds_by_it(semaphore: Semaphore) -> None:
    standing = semaphore.standing(listing(holders("a", limit=5), "a"))
    assert not standing.is_free
    assert "agreed on 5 at once and `slots` is 2 here" in standing.conflict
    assert semaphore.standing(listing(holders("a", limit=5), "b")).is_free


def test_who_holds_by_another_limit_holds_nothing_here(semaphore: Semaphore) -> None:
    assert semaphore.holds("a", listing(holders("a"), "a"))
    assert not semaphore.holds("a", listing(holders("a", limit=5), "a"))
    assert not semaphore.holds("a", listing(holders("a")))


def test_a_plain_lock_is_held_by_its_session(semaphore: Semaphore) -> None:
    standing = semaphore.standing(listing(b"", "a", flags=PLAIN_LOCK_FLAGS, session="l"))
    assert (tuple(standing.holders), standing.is_free) == (("l",), False)
    assert "is held as a plain lock" in standing.conflict


@pytest.mark.parametrize(
    ("document", "flags"),
    [
        pytest.param(b"s3cret", FLAGS, id="not JSON"),
        pytest.param([1], FLAGS, id="a list"),
        pytest.param({"Limit": "many", "Holders": {}}, FLAGS, id="no number"),
        pytest.param({"Limit": 2}, FLAGS, id="no holders"),
        pytest.param({"Limit": 2, "Holders": 3}, FLAGS, id="a number of holders"),
        pytest.param(holders(), 0, id="other flags"),
    ],
)
def test_a_key_that_is_no_document_of_a_semaphore_is_an_error_without_its_content(
    semaphore: Semaphore, document: object, flags: int
) -> None:
    with pytest.raises(SourceDataError, match=r"^Consul's key fleet/slots/\.lock is ") as caught:
        semaphore.standing(listing(document, flags=flags))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param(b"confcar web on web-1 pid 7", "confcar web on web-1 pid 7", id="as it is"),
        pytest.param(b"a\x1b[31m\nb\xff", "a[31mb", id="what a terminal would take"),
        pytest.param(b"x" * 500, "x" * 80, id="long"),
    ],
)
def test_a_holder_s_name_is_fit_for_a_line(semaphore: Semaphore, name: bytes, shown: str) -> None:
    assert semaphore.standing(listing(holders("a"), "a", name=name)).holders == {"a": shown}
