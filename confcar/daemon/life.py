"""The two lives: `run`, the sidecar, until it is told to stop; `once`, the init container, until all is published."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import confcar
from confcar.daemon.assembly import Context, create_pipeline, create_sources
from confcar.errors import LockedError, PublishError
from confcar.log import fields
from confcar.pipeline.bundle import BundlePipeline

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_log = logging.getLogger(__name__)


def run(context: Context) -> None:
    """Follow, publish and reload until SIGTERM or SIGINT; a second one ends the process at once. Main thread only.

    Raises:
        LockedError: Another confcar has one of the directories.
        ConfigError: The admin address cannot be bound.
    """
    settings = context.config.settings
    stopped = threading.Event()
    with _stopping_on_signals(stopped), _pid_file(settings.pid_file):
        sources = create_sources(context)
        pipelines = [create_pipeline(context, sources, name, reloads=True) for name in settings.bundles]
        _open_all(pipelines)
        with _admin(context):
            _log.info("started", extra=fields(version=confcar.__version__, config=str(context.config.path)))
            threads = _start(pipelines, lambda pipeline: pipeline.run())
            try:
                stopped.wait()
            finally:
                _log.info("stopping")
                for pipeline in pipelines:
                    pipeline.stop()
                sources.following.close()
                for thread in threads:
                    thread.join()
    _log.info("stopped")


def once(context: Context, *, timeout_seconds: float) -> None:
    """Publish every bundle once, never reload. Main thread only; blocks for at most about *timeout_seconds*.

    Raises:
        ConfcarError: Of the bundles that failed, the error with the lowest exit code; all are in the log.
        SourceUnavailableError: Data could not be read in time.
        MissingDataError: Data was still missing when the time was up.
    """
    deadline = time.monotonic() + timeout_seconds
    stopped = threading.Event()
    with _stopping_on_signals(stopped):
        sources = create_sources(context)
        pipelines = [create_pipeline(context, sources, name, reloads=False) for name in context.config.settings.bundles]
        threads = _start(pipelines, lambda pipeline: pipeline.run(until_published=True, deadline=deadline))
        _join_or_stop(threads, pipelines, stopped)
        sources.following.close()
    errors = [pipeline.outcome.error for pipeline in pipelines if pipeline.outcome.error is not None]
    for pipeline in pipelines:
        if pipeline.outcome.error is not None:
            _log.error("not published", extra=fields(bundle=pipeline.name, error=str(pipeline.outcome.error)))
    if errors:
        raise min(errors, key=lambda error: error.exit_code)


def _open_all(pipelines: Sequence[BundlePipeline]) -> None:
    for pipeline in pipelines:
        try:
            pipeline.open()
        except LockedError:
            raise
        except PublishError as error:
            # Not ours to give up on: the volume may be mounted late. The bundle's own thread tries again.
            _log.error("cannot open the directory yet", extra=fields(bundle=pipeline.name, error=str(error)))


def _start(pipelines: Sequence[BundlePipeline], body: Callable[[BundlePipeline], None]) -> list[threading.Thread]:
    threads = [
        threading.Thread(target=body, args=(pipeline,), name=f"confcar-bundle-{pipeline.name}", daemon=True)
        for pipeline in pipelines
    ]
    for thread in threads:
        thread.start()
    return threads


def _join_or_stop(
    threads: Sequence[threading.Thread], pipelines: Sequence[BundlePipeline], stopped: threading.Event
) -> None:
    for thread in threads:
        while thread.is_alive():
            thread.join(timeout=0.1)
            if stopped.is_set():
                for pipeline in pipelines:
                    pipeline.stop()


@contextmanager
def _stopping_on_signals(stopped: threading.Event) -> Iterator[None]:
    """Set *stopped* on the first SIGTERM or SIGINT and end the process on the second."""

    def handle(number: int, _: FrameType | None) -> None:
        if stopped.is_set():
            os._exit(128 + number)
        stopped.set()

    before = {number: signal.signal(number, handle) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _pid_file(path: Path | None) -> Iterator[None]:
    if path is None:
        yield
        return
    try:
        path.write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise PublishError(f"cannot write pid_file {path}: {error.strerror}") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


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
