"""What the tests of the loop share: a scripted watcher that is followed, and what a reader knows of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from confcar.model import Dependency
from confcar.status import Status
from confcar.store import Store
from confcar.watchers.following import Following
from tests.fakes.scripted_watcher import ScriptedWatcher


def key(path: str, source: str = "local") -> Dependency:
    return Dependency(source, "key", path)


@dataclass
class Stage:
    watcher: ScriptedWatcher
    store: Store
    status: Status
    following: Following

    def want(self, *paths: str, reader: str = "web") -> None:
        self.following.want(reader, frozenset(map(key, paths)), lambda: None)

    def value(self, path: str, reader: str = "web") -> object:
        answer = self.following.take(reader)[1].get(key(path))
        return None if answer is None or answer.reading is None else answer.reading.value

    def error(self, path: str) -> Exception | None:
        return self.following.take("web")[1][key(path)].error


def make_stage(watcher: ScriptedWatcher) -> Stage:
    store, status = Store(), Status()
    status.add_source(watcher.name, "scripted")
    return Stage(watcher, store, status, Following([watcher], store=store, status=status))


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("confcar-local")]
