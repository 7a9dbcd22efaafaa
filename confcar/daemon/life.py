"""The two lives: `run`, the sidecar, until it is told to stop; `once`, the init container, until all is published."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import confcar
from confcar.daemon.assembly import Context, create_pipeline, create_sources
from confcar.daemon.signals import Signals
from confcar.errors import ConfigError
from confcar.log import fields
from confcar.pipeline.bundle import BundlePipeline

# How long a bundle may take to end after a stop, or after the end of the reload that was under way.
_END_SECONDS = 0.8
_LOOK_SECONDS = 0.05
_log = logging.getLogger(__name__)


def run(context: Context) -> None:
    """Follow, publish and reload until SIGTERM or SIGINT; a second one ends the process at once. Main thread only.

    Raises:
        LockedError: Another confcar has one of the directories.
        ConfigError: The admin address cannot be bound, or the PID file not be written.
    """
    settings = context.config.settings
    with Signals() as signals:
        bundles = _Bundles(context, reloads=True)
        try:
            for pipeline in bundles.pipelines:
                pipeline.open()
            with _pid_file(settings.pid_file), _admin(context):
                _log.info("started", extra=fields(version=confcar.__version__, config=str(context.config.path)))
                bundles.start(lambda pipeline: pipeline.run())
                signals.wait_for_stop()
                _log.info("stopping")
                # Before the listener goes: it is asked until the last reload is over.
                bundles.end()
        except BaseException:
            bundles.end()
            raise
    _log.info("stopped")


def once(context: Context, *, timeout_seconds: float) -> None:
    """Publish every bundle once, never reload. Main thread only; blocks for at most about *timeout_seconds*.

    Raises:
        ConfcarError: Of the bundles that failed, the error with the lowest exit code; all are in the log.
        SourceUnavailableError: Data could not be read in time.
        MissingDataError: Data was still missing when the time was up.
    """
    deadline = time.monotonic() + timeout_seconds
    with Signals() as signals:
        bundles = _Bundles(context, reloads=False)
        try:
            bundles.start(lambda pipeline: pipeline.run(until_published=True, deadline=deadline))
            bundles.wait(signals)
        finally:
            bundles.end()
    errors = []
    for pipeline in bundles.pipelines:
        if pipeline.outcome.error is not None:
            _log.error("not published", extra=fields(bundle=pipeline.name, error=str(pipeline.outcome.error)))
            errors.append(pipeline.outcome.error)
    if errors:
        raise min(errors, key=lambda error: error.exit_code)


class _Bundles:
    """All bundles, each with its thread, and the sources under them."""

    def __init__(self, context: Context, *, reloads: bool) -> None:
        self._sources = create_sources(context, life="run" if reloads else "once")
        self.pipelines = [
            create_pipeline(context, self._sources, name, reloads=reloads) for name in context.config.settings.bundles
        ]
        self._threads: list[threading.Thread] = []

    def start(self, body: Callable[[BundlePipeline], None]) -> None:
        """Give each bundle its thread."""
        self._sources.handover.begin()
        for pipeline in self.pipelines:
            name = f"confcar-bundle-{pipeline.name}"
            thread = threading.Thread(target=body, args=(pipeline,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def wait(self, signals: Signals) -> None:
        """Block until every bundle has ended, or a stop is asked for."""
        for thread in self._threads:
            while thread.is_alive() and not signals.wait_for_stop(0.0):
                thread.join(2 * _LOOK_SECONDS)

    def end(self) -> None:
        """Stop everything. Waits for reloads that are under way, and only a moment for anything else.

        A check that hangs is left behind: what it was to accept is not published.
        """
        for pipeline in self.pipelines:
            pipeline.stop()
        until = time.monotonic() + _END_SECONDS
        for pipeline, thread in zip(self.pipelines, self._threads, strict=False):
            while thread.is_alive() and time.monotonic() < until:
                thread.join(_LOOK_SECONDS)
                if pipeline.is_reloading:
                    until = time.monotonic() + _END_SECONDS
        for pipeline in self.pipelines[len(self._threads) :]:
            pipeline.close()
        # Last: what is given back to a source may be what a reload has just told the primary.
        self._sources.handover.end()
        self._sources.following.close()


@contextmanager
def _pid_file(path: Path | None) -> Iterator[None]:
    if path is None:
        yield
        return
    own = f"{os.getpid()}\n"
    try:
        path.write_text(own)
    except OSError as error:
        raise ConfigError(f"pid_file: cannot write {path}: {error.strerror}") from error
    try:
        yield
    finally:
        # Another confcar may have written its own there since.
        with suppress(OSError):
            if path.read_text() == own:
                path.unlink()


@contextmanager
def _admin(context: Context) -> Iterator[None]:
    listen = context.config.settings.admin.listen
    if listen == "off":
        yield
        return
    from confcar.admin.server import AdminServer

    server = AdminServer(listen, context.status, version=confcar.__version__)
    _log.info("admin listens", extra=fields(address=server.address))
    try:
        yield
    finally:
        server.close()
