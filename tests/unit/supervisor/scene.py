"""A supervised primary of one scripted source, whose processes note what they see."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from confcar.backoff import Backoff
from confcar.config.primary import PrimaryOptions
from confcar.log import Redactor
from confcar.primary_status import PrimaryStatus
from confcar.rendering.catalog import SourceCatalog
from confcar.rendering.renderer import Renderer
from confcar.status import Status
from confcar.store import Store
from confcar.supervisor.environment import Environment, environment_templates
from confcar.supervisor.restarts import Restarts
from confcar.supervisor.supervised import SupervisedPrimary, Surroundings
from confcar.watchers.following import Following
from tests.fakes.scripted_watcher import ScriptedWatcher
from tests.waiting import wait_until

# Notes each start with its variables and each signal; ends by TERM with 0, or as its second argument says.
_PROGRAM = """
import json, os, signal, sys, time
def note(text):
    with open(sys.argv[1], "a") as log:
        log.write(text + "\\n")
for name in ("HUP", "USR2"):
    signal.signal(getattr(signal, "SIG" + name), lambda number, _: note(signal.Signals(number).name))
signal.signal(signal.SIGTERM, lambda *_: (note("SIGTERM"), os._exit(0)))
told = ("APP_", "VAULT", "CONFCAR", "NOTIFY")
note("start " + json.dumps({name: value for name, value in os.environ.items() if name.startswith(told)}))
if len(sys.argv) > 2:
    sys.exit(int(sys.argv[2]))
while True:
    time.sleep(0.02)
"""


class Scene:
    """One primary; `start` begins, `close` ends it."""

    def __init__(self, folder: Path, **options: Any) -> None:  # noqa: ANN401 - a config
        self.log = folder / "primary.log"
        self.log.touch()
        self.watcher = ScriptedWatcher()
        self.status = Status()
        self.status.add_bundle("web", str(folder))
        self.following = Following([self.watcher], store=Store(), status=self.status)
        self.codes: list[int] = []
        self.came_up = 0
        self.is_at_rest = True
        self._folder = folder
        self.options = self.make(**options)
        environ = {
            "PATH": os.environ["PATH"],
            "VAULT_TOKEN": "t",
            "CONFCAR_X": "x",
            "NOTIFY_SOCKET": "/s",
            "APP_A": "a",
        }
        restarts = Restarts(Backoff(0.05, 0.2), stable_seconds=60.0)
        self.primary = SupervisedPrimary(self.options, environ=environ, status=self.status, restarts=restarts)

    def make(self, *, code: int | None = None, **options: Any) -> PrimaryOptions:  # noqa: ANN401 - a config
        """Return options whose command ends at once with *code*, or runs until it is told to end where that is None."""
        command = [sys.executable, "-S", "-E", "-c", _PROGRAM, str(self.log), *([] if code is None else [str(code)])]
        return PrimaryOptions.model_validate({"command": command, "stop_timeout": "5s"} | options)

    def environment(self, values: Mapping[str, str]) -> Environment | None:
        """Return variables that are rendered from the source."""
        if not values:
            return None
        renderer = Renderer(
            environment_templates(values),
            catalog=SourceCatalog([(self.watcher.name, self.watcher.kinds)]),
            config_directory=self._folder,
            redactor=Redactor(),
            environ={},
        )
        return Environment(renderer, self.following, self.status)

    def start(self, *, published: bool = True) -> None:
        """Begin, with a published generation or without."""

        def hear() -> None:
            self.came_up += 1

        surroundings = Surroundings(lambda: self.is_at_rest, hear, self.codes.append)
        self.primary.start(surroundings, self.environment(self.options.environment))
        if published:
            self.publish()

    def publish(self) -> None:
        """Let the bundle have a generation."""
        self.status.update_bundle("web", generation=1)

    def lines(self) -> list[str]:
        """Return what the processes have noted."""
        return self.log.read_text().splitlines()

    def starts(self) -> int:
        """Return how many processes have begun."""
        return sum(line.startswith("start ") for line in self.lines())

    def wait_for_starts(self, count: int) -> None:
        """Wait until that many have."""
        wait_until(lambda: self.starts() >= count, timeout=30.0)

    @property
    def shown(self) -> PrimaryStatus:
        """What the board says."""
        assert self.status.primary is not None, "shown from the beginning"
        return self.status.primary

    def close(self) -> None:
        """End it."""
        self.primary.stop()
        self.following.close()
