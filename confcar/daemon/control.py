"""What can be asked of the running daemon, by signal, over HTTP, or by a change of its own files."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTimeError
from contextlib import AbstractContextManager, nullcontext

from confcar.admin.commands import CommandResult
from confcar.daemon.fleet import Fleet
from confcar.daemon.reconfigure import Reconfigurer
from confcar.daemon.signals import Signals
from confcar.errors import ConfcarError, ConfigError
from confcar.log import fields

# Long enough for checks and reloads with the time limits that configs usually have.
ANSWER_SECONDS = 60.0
_log = logging.getLogger(__name__)


class Control:
    """The commands. Any thread but the main one, unless a method says otherwise.

    Args:
        fleet: The bundles.
        signals: Where the main thread hears of what it is to do.
        answer_seconds: How long anything may take before it is answered that it goes on.
        reloading: Returns what is to be entered while a config is taken over.
    """

    def __init__(
        self,
        fleet: Fleet,
        signals: Signals,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        reloading: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._reloading = reloading
        self._fleet = fleet
        self._signals = signals
        self._answer_seconds = answer_seconds
        self._reconfigurer: Reconfigurer | None = None
        self._syncing = threading.Lock()
        self._syncs_wanted = 0
        self._is_syncing = False

    def use(self, reconfigurer: Reconfigurer) -> None:
        """Reload by this one; before that there is nothing to reload."""
        self._reconfigurer = reconfigurer

    def sync(self) -> CommandResult:
        """Read all sources now, then have every bundle render, compare, publish and reload; wait until all have."""
        until = time.monotonic() + self._answer_seconds
        failed = self._fleet.sources.following.read_all(until)
        promises = {name: bundle.pipeline.ask("sync") for name, bundle in self._fleet.bundles.items()}
        faults = [(f"source {name}", _as_error(error)) for name, error in failed.items()]
        for name, promise in promises.items():
            error = self._outcome(promise, until)
            if error is not None:
                faults.append((f"bundle {name}", error))
        errors = [f"{who}: {error}" for who, error in faults]
        _log.info("synced", extra=fields(bundles=len(promises), errors=errors))
        return CommandResult(min((error.exit_code for _, error in faults), default=0), tuple(errors))

    def reload(self) -> CommandResult:
        """Have the main thread take over config and templates as they are now, and wait until it has."""
        promise: Future[None] = Future()

        def reload() -> None:
            try:
                self._reload()
            except ConfcarError as error:
                promise.set_exception(error)
            else:
                promise.set_result(None)

        self._signals.call(reload)
        error = self._outcome(promise, time.monotonic() + self._answer_seconds)
        if error is None:
            return CommandResult()
        return CommandResult(error.exit_code, tuple(str(error).splitlines()))

    def roll_back(self, bundle: str) -> CommandResult:
        """Have a bundle go back to the generation before, reload included, and wait until it has."""
        known = self._fleet.bundles.get(bundle)
        if known is None:
            return CommandResult(ConfigError.exit_code, (f"there is no bundle {bundle!r}",))
        error = self._outcome(known.pipeline.ask("rollback"), time.monotonic() + self._answer_seconds)
        return CommandResult() if error is None else CommandResult(error.exit_code, (str(error),))

    def reload_heard(self, *, is_asked: bool = True) -> None:
        """Reload because of a signal; what is wrong stands in log and status. Main thread only."""
        try:
            self._reload(is_asked=is_asked)
        except ConfcarError:
            return

    def reload_noticed(self) -> None:
        """Reload because own files have changed, unless somebody has asked for it meanwhile."""

        def reload() -> None:
            if self._reconfigurer is not None and self._reconfigurer.is_outdated():
                self.reload_heard(is_asked=False)

        self._signals.call(reload)

    def reload_if_stale(self) -> None:
        """Reload where own files are not what is in force."""
        if self._reconfigurer is not None and self._reconfigurer.is_stale():
            self.reload_noticed()

    def reload_if_refused(self) -> None:
        """Try again what was refused: not every file that it is about is known and watched."""
        if self._reconfigurer is not None and self._reconfigurer.is_retry_due():
            self.reload_noticed()

    def sync_heard(self) -> None:
        """Sync because of a signal, in a thread of its own; one that comes meanwhile is done afterwards. Any thread."""
        with self._syncing:
            self._syncs_wanted += 1
            if self._is_syncing:
                return
            self._is_syncing = True
        threading.Thread(target=self._sync_until_done, name="confcar-sync", daemon=True).start()

    def _sync_until_done(self) -> None:
        while True:
            with self._syncing:
                if not self._syncs_wanted:
                    self._is_syncing = False
                    return
                self._syncs_wanted = 0
            self.sync()

    def _reload(self, *, is_asked: bool = True) -> None:
        assert self._reconfigurer is not None, "signals and commands come after the start"
        try:
            with self._reloading():
                self._reconfigurer.reload(is_asked=is_asked)
        except ConfcarError:
            raise
        except Exception as error:
            # The main thread is to live on: it is what hears the signals.
            _log.exception("unexpected error while the config was reloaded")
            raise ConfcarError(f"unexpected {type(error).__name__} while reloading, see the log") from error

    def _outcome(self, promise: Future[None], until: float) -> ConfcarError | None:
        try:
            promise.result(max(0.0, until - time.monotonic()))
        except ConfcarError as error:
            return error
        except NotInTimeError:
            return ConfcarError(f"not done after {self._answer_seconds:g} s; it goes on")
        return None


def _as_error(error: Exception) -> ConfcarError:
    return error if isinstance(error, ConfcarError) else ConfcarError(str(error))
