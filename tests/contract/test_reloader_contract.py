"""What every reloader keeps to, whatever it tells the primary by. A new kind adds a row to `HARNESSES`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from confcar.config.bundles import ReloadStep
from confcar.errors import ReloadError
from confcar.log import Redactor
from confcar.model import Change
from confcar.reloaders.base import Reloader, create_reloader
from tests.fakes.processes import running_primary
from tests.fakes.reload_endpoint import running_endpoint
from tests.waiting import free_port, wait_until

SECRET = 'se"cret-of-the-primary'
TIMEOUT_SECONDS = 0.3
# Ending what hangs takes a moment on a busy machine.
OVERRUN_SECONDS = 1.5
CHANGE = Change("web", 3, Path("/nowhere"), ("a.conf",))


@dataclass(frozen=True)
class Harness:
    """One reloader with what it tells.

    Attributes:
        works: A reloader whose primary takes what it is told.
        fails: Reloaders that must fail, by the reason.
        told: How often the primary of `works` was told so far.
    """

    works: Reloader
    fails: dict[str, Reloader]
    told: Callable[[], int]


def create(step: dict[str, Any]) -> Reloader:
    redactor = Redactor()
    redactor.learn([SECRET])
    return create_reloader(
        ReloadStep.model_validate(step), environ={"PATH": os.defpath}, redactor=redactor, own_pid=os.getpid()
    )


@contextmanager
def signals(folder: Path) -> Iterator[Harness]:
    (folder / "secret").write_text(SECRET)
    with (
        running_primary(folder, handles="HUP", marker="contract") as primary,
        running_primary(folder, handles="", marker="deaf") as deaf,
    ):
        fails: dict[str, dict[str, Any]] = {
            "no pid file": {"signal": "HUP", "pid_file": folder / "gone"},
            "a secret in its place": {"signal": "HUP", "pid_file": folder / "secret"},
            "nobody of that PID": {"signal": "HUP", "pid": 2**22 + 1},
            "confcar itself": {"signal": "HUP", "pid": os.getpid()},
            "would end it": {"signal": "HUP", "pid": deaf.pid},
            "no such program": {"signal": "HUP", "process": {"name": "no-such-program"}},
        }
        works = create({"signal": "HUP", "pid": primary.pid})
        yield Harness(works, {why: create(step) for why, step in fails.items()}, lambda: len(primary.signals()))


@contextmanager
def requests(folder: Path) -> Iterator[Harness]:
    (folder / "bearer").write_text(SECRET)
    with running_endpoint() as endpoint, running_endpoint() as refusing, running_endpoint() as hanging:
        refusing.status, refusing.body = 500, f"the token was {SECRET}".encode()
        hanging.behaviour = "hang"
        bearer, timeout = folder / "bearer", f"{TIMEOUT_SECONDS * 1000:.0f}ms"
        fails: dict[str, dict[str, Any]] = {
            "nobody there": {"url": f"http://user:{SECRET}@127.0.0.1:{free_port()}/?t={SECRET}"},
            "refused": {"url": refusing.url, "bearer_file": bearer},
            "no answer": {"url": hanging.url, "bearer_file": bearer, "timeout": timeout},
            "no bearer file": {"url": endpoint.url, "bearer_file": folder / "gone"},
            "no header": {"url": endpoint.url, "headers": {"X-Token": f"{SECRET}\n"}},
        }
        works = create({"http": {"url": endpoint.url, "bearer_file": bearer}})
        failing = {why: create({"http": options}) for why, options in fails.items()}
        yield Harness(works, failing, lambda: len(endpoint.requests))


@contextmanager
def commands(folder: Path) -> Iterator[Harness]:
    log = folder / "log"
    fails: dict[str, dict[str, Any]] = {
        "status": {"command": ["sh", "-c", f"echo '{SECRET}'; exit 1"]},
        "no such program": {"command": ["no-such-program", SECRET]},
        "no end": {"command": ["sleep", "60", SECRET], "timeout": f"{TIMEOUT_SECONDS * 1000:.0f}ms"},
    }
    log.touch()
    works = create({"command": ["sh", "-c", 'echo "$CONFCAR_GENERATION" >> "$0"', str(log)]})
    yield Harness(works, {why: create(step) for why, step in fails.items()}, lambda: len(log.read_text().split()))


HARNESSES: dict[str, Callable[[Path], AbstractContextManager[Harness]]] = {
    "signal": signals,
    "http": requests,
    "command": commands,
}


@pytest.fixture(params=HARNESSES)
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    with HARNESSES[request.param](tmp_path) as ready:
        assert ready.works.name == request.param
        yield ready


def test_one_call_tells_the_primary_once(harness: Harness) -> None:
    harness.works.reload(CHANGE)
    wait_until(lambda: harness.told() == 1)
    harness.works.reload(CHANGE)
    wait_until(lambda: harness.told() == 2)
    assert harness.told() == 2


def test_failure_is_an_error_of_the_tree_that_is_worth_a_retry(harness: Harness) -> None:
    for why, reloader in harness.fails.items():
        with pytest.raises(ReloadError) as caught:
            reloader.reload(CHANGE)
        assert caught.value.exit_code == 7, why
        assert caught.value.retryable, why


def test_failure_says_something_and_no_secret(harness: Harness) -> None:
    for why, reloader in harness.fails.items():
        with pytest.raises(ReloadError) as caught:
            reloader.reload(CHANGE)
        assert len(str(caught.value)) > 20, why
        assert "cret-of-the-primary" not in f"{caught.value} {caught.value!r} {reloader!r}", why
        assert "\n" not in str(caught.value), why


def test_failure_comes_within_the_time_limit(harness: Harness) -> None:
    for why, reloader in harness.fails.items():
        started = time.monotonic()
        with pytest.raises(ReloadError):
            reloader.reload(CHANGE)
        assert time.monotonic() - started < TIMEOUT_SECONDS + OVERRUN_SECONDS, why


def test_failure_does_not_keep_a_later_call_from_succeeding(harness: Harness) -> None:
    for reloader in harness.fails.values():
        with pytest.raises(ReloadError):
            reloader.reload(CHANGE)
    harness.works.reload(CHANGE)
    wait_until(lambda: harness.told() == 1)
    assert harness.told() == 1
