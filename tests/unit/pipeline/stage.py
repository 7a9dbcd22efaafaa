"""A bundle's whole pass on real parts: renderer, publisher and following; only source and primary are scripted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from confcar.bundle_status import BundleStatus
from confcar.config.bundles import CheckOptions, TemplateOptions
from confcar.errors import EndpointRefusedError
from confcar.log import Redactor
from confcar.model import Change, RenderedFile
from confcar.pipeline.bundle import BundlePipeline
from confcar.pipeline.checking import Check
from confcar.pipeline.parts import BundleParts
from confcar.pipeline.reloading import OwedReload
from confcar.pipeline.roles import Paces
from confcar.pipeline.verifying import Verification
from confcar.publishing.publisher import Publisher
from confcar.rendering.catalog import SourceCatalog
from confcar.rendering.renderer import Renderer
from confcar.status import Status
from confcar.store import Store
from confcar.watchers.following import Following
from tests.fakes.scripted_watcher import ScriptedWatcher
from tests.waiting import wait_until

NAME = "{{ key('name') }}"
ANSWERS_WITHIN_SECONDS = 10.0


@dataclass
class Primary:
    """Remembers of which generations it heard; raises what it was told to, first."""

    heard: list[Change] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    hold: threading.Event | None = None
    kinds: tuple[str, ...] = ("signal",)

    def deliver(self, change: Change, step: int, on_step: Callable[[int], None]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        if step >= len(self.kinds):
            return
        self.heard.append(change)
        if self.hold is not None:
            self.hold.wait(10.0)
        on_step(1)


@dataclass
class Health:
    """A probe: the primary is unwell while a file holds one of these texts."""

    path: Path
    unwell: set[str] = field(default_factory=set)
    asked: int = 0
    within_seconds: float = 0.3
    stable_for_seconds: float = 0.0
    rolls_back: bool = True

    def attempt(self, change: Change, *, timeout_seconds: float) -> None:
        del change, timeout_seconds
        self.asked += 1
        if self.path.read_text() in self.unwell:
            message = "the primary is unwell"
            raise EndpointRefusedError(message)

    def verification(self) -> Verification:
        return Verification(self, within_seconds=self.within_seconds, stable_for_seconds=self.stable_for_seconds)


class Stage:
    """One source, any number of bundles, one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.watcher = ScriptedWatcher()
        self.reset()

    def reset(self) -> None:
        """Begin as a new process on the same folder; what ran before was closed."""
        self.watcher.reopen()
        self.status = Status()
        self.status.add_source(self.watcher.name, "scripted")
        self.following = Following([self.watcher], store=Store(), status=self.status)
        self._catalog = SourceCatalog([(self.watcher.name, self.watcher.kinds)])
        self._running: list[tuple[BundlePipeline, threading.Thread]] = []

    def bundle(  # noqa: PLR0913 - a config in short
        self,
        *contents: str,
        name: str = "web",
        command: str | None = None,
        check: Check | None = None,
        primary: Primary | None = None,
        pace: Paces | None = None,
        splay: float = 0.0,
        quiet: float = 0.02,
        templates: list[TemplateOptions] | None = None,
        publisher: Publisher | None = None,
        health: Health | None = None,
        drift: float = 0.0,
        settings: str = "",
    ) -> BundlePipeline:
        """Return a bundle whose files are named 0, 1, ... after their templates; `command` is a shell's."""
        inline = [TemplateOptions(content=text, destination=str(number)) for number, text in enumerate(contents)]
        renderer = Renderer(
            templates or inline,
            catalog=self._catalog,
            config_directory=self.folder,
            redactor=Redactor(),
            environ={},
        )
        publisher = publisher or Publisher(name, self.folder / name, mode="swap", keep=2)
        options = CheckOptions(command=["sh", "-c", command]) if command else None
        verification = None if health is None else health.verification()
        owed = None
        if primary is not None:
            owed = OwedReload(
                primary, publisher, self.status, splay_seconds=splay, verification=verification, pace=pace
            )
        self.status.add_bundle(name, str(self.folder / name))
        parts = BundleParts(
            directory=self.folder / name,
            renderer=renderer,
            check=check or Check(options, {"PATH": "/usr/bin:/bin"}, Redactor()),
            publisher=publisher,
            following=self.following,
            owed=owed,
            rolls_back=health is not None and health.rolls_back,
            drift_seconds=drift,
            settings=settings,
        )
        return BundlePipeline(name, parts, self.status, quiet_seconds=quiet, max_seconds=1.0)

    def health(self, *unwell: str, name: str = "web") -> Health:
        """Return a probe that fails on these texts in the file 0 of a bundle."""
        return Health(self.folder / name / "0", set(unwell))

    def start(
        self, pipeline: BundlePipeline, *, until_published: bool = False, deadline: float | None = None
    ) -> threading.Thread:
        """Give it a thread; ended with the stage."""
        thread = threading.Thread(
            target=lambda: pipeline.run(until_published=until_published, deadline=deadline),
            name=f"confcar-bundle-{pipeline.name}",
        )
        self._running.append((pipeline, thread))
        thread.start()
        return thread

    def close(self) -> None:
        """End everything."""
        for pipeline, _ in self._running:
            pipeline.stop()
        self.following.close()
        for _, thread in self._running:
            thread.join(5.0)
            assert not thread.is_alive()

    def seen(self, name: str = "web") -> BundleStatus:
        """Return what the status says of a bundle."""
        return self.status.bundle(name)

    def text(self, destination: str = "0", name: str = "web") -> str | None:
        """Return what is published at a destination, None where nothing is."""
        path = self.folder / name / destination
        return path.read_text() if path.exists() else None

    def wait_for_text(self, text: str, destination: str = "0", name: str = "web") -> None:
        """Wait until that is published."""
        wait_until(lambda: self.text(destination, name) == text, timeout=5.0)

    def wait_for_state(self, state: str, name: str = "web") -> BundleStatus:
        """Wait until the status says so, and return it."""
        wait_until(lambda: self.seen(name).state == state, timeout=5.0)
        return self.seen(name)


@dataclass(frozen=True)
class BrokenCheck(Check):
    """A check with a bug in it, as often as it has errors; then it accepts everything."""

    errors: list[Exception] = field(default_factory=list)

    def run(self, change: Change, files: Sequence[RenderedFile]) -> bool:
        """Raise the next error."""
        del change, files
        if self.errors:
            raise self.errors.pop(0)
        return True


def heard(primary: Primary) -> list[int]:
    return [change.generation for change in primary.heard]


def acknowledged(stage: Stage, generation: int) -> Callable[[], bool]:
    return lambda: stage.seen().reload.acknowledged_generation == generation and not stage.seen().reload.pending


def restarted(stage: Stage, primary: Primary, health: Health | None, *, settings: str = "") -> BundlePipeline:
    stage.close()
    stage.reset()
    pipeline = stage.bundle(NAME, primary=primary, health=health, settings=settings)
    stage.start(pipeline)
    return pipeline


def elapsed(since: float) -> float:
    return time.monotonic() - since
