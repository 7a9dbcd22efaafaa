"""What every test gets: a clean environment, an empty HOME, and a check that no thread of ours outlives it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.waiting import wait_until

# What would reach the code under test from the machine the tests run on.
_SCRUBBED_PREFIXES = ("VAULT_", "BAO_", "CONSUL_", "CONFCAR_")
_SCRUBBED_NAMES = {
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("FORCE_COLOR", "PY_COLORS", "NO_COLOR", "GITHUB_ACTIONS"),  # they change how help is printed
}
_THREADS_END_WITHIN_SECONDS = 5.0
_SERVER_FIXTURES = {
    "consul_program",
    "openbao_program",
    "nginx_program",
    "caddy_program",
    "compose_program",
    "kustomize_program",
    "image",
}

# A busy machine makes single examples slow, and a database of examples would be written beside the sources.
settings.register_profile("confcar", deadline=None, database=None)
settings.load_profile("confcar")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses a real server, tool or image; one that asks for it late carries the mark itself."""
    for item in items:
        if _SERVER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.servers)


@pytest.fixture(autouse=True)
def default_signals() -> None:
    """Let the programs of a test take signals as if started by hand.

    `nohup`, background jobs and the workers of a parallel run hand down that they are ignored.
    """
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that is HOME for all tests of this worker."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, empty_home: Path) -> None:
    """Take away what the caller's environment would tell confcar."""
    for name in list(os.environ):
        if name.startswith(_SCRUBBED_PREFIXES) or name.upper() in _SCRUBBED_NAMES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(empty_home))


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Fail a test that leaves a thread of confcar's behind."""
    before = set(threading.enumerate())
    yield

    def left() -> list[str]:
        return [each.name for each in threading.enumerate() if each.name.startswith("confcar") and each not in before]

    try:
        wait_until(lambda: not left(), timeout=_THREADS_END_WITHIN_SECONDS)
    except AssertionError:
        pytest.fail(f"left running: {', '.join(left())}")
