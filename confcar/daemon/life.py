"""The two lives: `run`, the sidecar, until told to stop; `once`, the init container, until all is published."""

from __future__ import annotations

import logging
import signal
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import confcar
from confcar import children
from confcar.daemon.assembly import Context
from confcar.daemon.fleet import Fleet
from confcar.daemon.signals import Signals
from confcar.log import fields

if TYPE_CHECKING:  # only `run` is steered, and every pod pays the start of `once` too
    from confcar.daemon.control import Control
    from confcar.daemon.primary import Primary
    from confcar.daemon.service import ServiceManager

_log = logging.getLogger(__name__)


def run(context: Context) -> int:
    """Follow, publish and reload until SIGTERM or SIGINT; a second one ends the process at once. Main thread only.

    SIGHUP, and a change of its own files, makes it take over config and templates as they are then; SIGUSR1 makes it
    read all sources at once. A primary that the config names is started or followed, and its end is the end of this.

    Returns:
        The code to end with: the primary's where it was started here, else 0.

    Raises:
        LockedError: Another confcar has one of the directories.
        ConfigError: The admin address cannot be bound, or the PID file not be written.
    """
    from confcar.daemon.service import ServiceManager

    primary = _primary_of(context)
    context = replace(context, primary=primary)
    with Signals() as signals, ServiceManager(context.environ, context.status) as manager:
        if not signals.is_stopping:  # else told so before anything had begun
            _live(context, primary, signals=signals, manager=manager)
    code = 0 if primary is None else primary.stop()
    _log.info("stopped", extra=fields(code=code) if code else {})
    return code


def _live(context: Context, primary: Primary | None, *, signals: Signals, manager: ServiceManager) -> None:
    from confcar.daemon.control import Control
    from confcar.daemon.orphans import reap_orphans
    from confcar.daemon.outside import Outside
    from confcar.daemon.reconfigure import Reconfigurer

    with ExitStack() as ending:
        signals.before_ending_at_once(children.kill_groups)
        if primary is not None:
            ending.callback(primary.stop)
        fleet = Fleet(context, reloads=True)
        ending.callback(fleet.end)
        for bundle in fleet.bundles.values():
            bundle.pipeline.open()
        control = Control(fleet, signals, reloading=manager.reloading)
        with Outside(context.status, control) as outside:
            outside.move_to(context.config.settings)
            _log.info("started", extra=fields(version=confcar.__version__, config=str(context.config.path)))
            reap_orphans(signals, is_parent=primary is not None and primary.is_supervised)
            fleet.start(lambda pipeline: pipeline.run())
            if primary is not None:
                primary.start(context, fleet, signals)
            control.use(Reconfigurer(context, fleet, outside, primary))
            _steer(context, fleet, control=control, signals=signals)
            manager.stopping()
            # Before the listener goes: it is asked until the last reload is over, and the primary has ended.
            ending.close()


def _primary_of(context: Context) -> Primary | None:
    options = context.config.settings.primary
    if options is None:
        return None
    from confcar.daemon.primary import Primary

    return Primary(context, options)


def _steer(context: Context, fleet: Fleet, *, control: Control, signals: Signals) -> None:
    """Do what signals, commands and changed files ask for until a stop is."""
    from confcar.daemon.own_files import OwnFiles

    signals.on(signal.SIGHUP, control.reload_heard)
    signals.on(signal.SIGUSR1, control.sync_heard)
    own_files = OwnFiles(
        lambda: fleet.template_files | {context.config.path},
        changed=control.reload_noticed,
        touched=control.reload_if_stale,
        looked=control.reload_if_refused,
        status=context.status,
    )
    own_files.start()
    try:
        signals.wait_for_stop()
        _log.info("stopping")
    finally:
        own_files.close()


def once(context: Context, *, timeout_seconds: float) -> None:
    """Publish every bundle once, never reload. Main thread only; blocks for at most about *timeout_seconds*.

    Raises:
        ConfcarError: Of the bundles that failed, the error with the lowest exit code; all are in the log.
        SourceUnavailableError: Data could not be read in time.
        MissingDataError: Data was still missing when the time was up.
    """
    deadline = time.monotonic() + timeout_seconds
    with Signals() as signals:
        signals.before_ending_at_once(children.kill_groups)
        fleet = Fleet(context, reloads=False)
        try:
            fleet.start(lambda pipeline: pipeline.run(until_published=True, deadline=deadline))
            fleet.wait(signals)
        finally:
            fleet.end()
    errors = []
    for name, bundle in fleet.bundles.items():
        error = bundle.pipeline.outcome.error
        if error is not None:
            _log.error("not published", extra=fields(bundle=name, error=str(error)))
            errors.append(error)
    if errors:
        raise min(errors, key=lambda error: error.exit_code)
