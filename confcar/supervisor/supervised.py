"""The primary as a process that confcar starts, stops and starts again.

One thread does all of it: it waits until the files are published and the variables rendered, starts the command,
renders the variables again when their data changes, and decides what its end means. While it does not run, or is about
to be started anew, what bundles owe it is held back: a process that starts reads the files as they are.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from confcar.config.primary import PrimaryOptions
from confcar.log import fields
from confcar.pipeline.inbox import Inbox
from confcar.primary_status import ExitStatus
from confcar.status import Status
from confcar.supervisor.environment import Environment, environment_of_primary
from confcar.supervisor.report import PrimaryReport
from confcar.supervisor.restarts import Restarts
from confcar.supervisor.running import RunningPrimary, StartError, exit_code, signal_name

# One change that touches files and variables is published first. A check may take its ten seconds; more is trouble,
# and a bundle in trouble does not hold up the primary.
_REST_WAIT_SECONDS = 15.0
_REST_LOOK_SECONDS = 0.02
_BEAT_SECONDS = 60.0
_UNEXPECTED = 1
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the primary is told and asks of the rest. All are called from the primary's thread.

    Attributes:
        are_at_rest: Returns whether no bundle is about to publish something.
        came_up: Hears that what was held back can be told now.
        ended: Hears that the primary has ended for good, and the exit code.
    """

    are_at_rest: Callable[[], bool]
    came_up: Callable[[], None]
    ended: Callable[[int], None]


class SupervisedPrimary:
    """Starts and supervises one command, in a thread of its own from `start` to `stop`.

    Attributes:
        exit_code: What the last process that ended hands on; None before the first.
    """

    def __init__(
        self, options: PrimaryOptions, *, environ: Mapping[str, str], status: Status, restarts: Restarts | None = None
    ) -> None:
        self.exit_code: int | None = None
        self._options = options
        self._environ = environ
        self._status = status
        self._report = PrimaryReport("command", status)
        self._restarts = restarts or Restarts()
        self._inbox = Inbox()
        self._around = Surroundings(lambda: True, lambda: None, lambda _: None)
        self._environment: Environment | None = None
        # What `replace` has left; its `append` and `popleft` are atomic.
        self._next: deque[tuple[PrimaryOptions, Environment | None]] = deque(maxlen=1)
        self._process: RunningPrimary | None = None
        self._started_with: tuple[list[str] | None, Mapping[str, str]] = (None, {})
        self._due_at: float | None = None
        self._wanted_at: float | None = None
        self._is_busy = False
        self._has_held = False
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="confcar-primary", daemon=True)

    @property
    def options(self) -> PrimaryOptions:
        """The options in force. Any thread."""
        return next((options for options, _ in self._next.copy()), self._options)

    @property
    def environment(self) -> Environment | None:
        """The variables in force, None where there are none. Any thread."""
        return next((environment for _, environment in self._next.copy()), self._environment)

    def is_away(self) -> bool:
        """Return whether nothing can be told now, because a start is to come that tells it all. Any thread.

        Who was told so hears by `came_up` when that has changed.
        """
        # First: what is asked while the answer changes is to hear of it.
        self._has_held = True
        return self._is_away

    @property
    def _is_away(self) -> bool:
        return self._process is None or self._process.has_ended or self._is_busy or self._has_news

    @property
    def process(self) -> RunningPrimary | None:
        """The process that runs, None where none does. Any thread."""
        process = self._process
        return None if process is None or process.has_ended else process

    def start(self, surroundings: Surroundings, environment: Environment | None) -> None:
        """Begin; does not wait for the first start."""
        self._around = surroundings
        self._next.append((self._options, environment))
        self._status.call_on_publish(self._inbox.call)
        self._thread.start()

    def replace(self, options: PrimaryOptions, environment: Environment | None) -> None:
        """Take over other options; another command or other variables have it started anew. Does not block."""
        self._next.append((options, environment))
        self._inbox.call()

    def send(self, number: int) -> None:
        """Pass a signal on; a line in the log where there is nobody to get it. Any thread."""
        process = self.process
        if process is None:
            _log.warning("signal not passed on, the primary does not run", extra=fields(signal=signal_name(number)))
        else:
            _log.info("signal passed on", extra=fields(signal=signal_name(number), pid=process.pid))
            process.send(number)

    def stop(self) -> None:
        """End it: stop_signal, then the kill after stop_timeout. Blocks until it has ended; nothing starts again."""
        self._status.call_on_publish(lambda: None)
        self._inbox.stop()
        if self._thread.is_alive():
            self._thread.join()

    def kill(self) -> None:
        """Kill it and its process group at once. Also for signal handlers."""
        if (process := self._process) is not None:
            process.kill()

    @property
    def _has_news(self) -> bool:
        return self._environment is not None and self._options.on_change == "restart" and self._inbox.has_news

    def _run(self) -> None:
        try:
            while not self._inbox.is_stopped:
                self._step()
                if self._has_held and not self._is_away:
                    self._has_held = False
                    self._around.came_up()
                self._beat(None if self._due_at is None else self._due_at - time.monotonic())
                self._inbox.wait(self._due_at)
            self._end()
        except Exception:  # noqa: BLE001 - without a supervisor confcar is not what the config asks for
            _log.exception("unexpected error while supervising the primary")
            self.kill()
            self.exit_code = _UNEXPECTED
            self._around.ended(_UNEXPECTED)
        self._beat(None)

    def _step(self) -> None:
        self._inbox.answer()
        self._is_busy = self._options.on_change == "restart" and self._inbox.has_news
        self._adopt()
        if self._environment is not None and (self._inbox.has_news or self._environment.values is None):
            self._environment.refresh()
        if self._process is not None and self._process.has_ended:
            self._has_exited(self._process)
        if self._process is None:
            self._start_if_due()
        else:
            self._restart_if_changed(self._process)

    def _adopt(self) -> None:
        """Take over what `replace` has left."""
        if not self._next:
            return
        options, environment = self._next.popleft()
        before = self._environment
        self._options, self._environment = options, environment
        if environment is before:
            return
        if environment is not None:
            environment.begin(self._inbox, before)
        elif before is not None:
            before.close()
            self._status.update_primary(environment=None)

    def _start_if_due(self) -> None:
        self._is_busy = False
        waits_for = self._waits_for()
        self._report.waits(waits_for)
        now = time.monotonic()
        if self._is_over or waits_for is not None or (self._due_at is not None and now < self._due_at):
            return
        self._due_at = None
        values = self._values
        self._started_with = self._options.command, values
        assert self._options.command is not None, "that is what tells it from one that is followed"
        try:
            process = RunningPrimary.start(
                self._options.command,
                environment_of_primary(self._environ, values),
                on_end=self._inbox.call,
            )
        except StartError as error:
            self._decide(ExitStatus(error.code, None, time.time()), ran_seconds=0.0, error=str(error))
            return
        self._process = process
        if self._environment is not None:
            self._environment.given()
        self._report.started(process.pid, process.started_at, program=self._options.command[0])

    def _changed(self) -> str | None:
        """Return for what the process that runs is to be started anew; None where it is to run on."""
        command, values = self._started_with
        if command != self._options.command:
            return "its command"
        if self._options.on_change == "none" or values == self._values:
            return None
        # What waits for data, after its templates have changed, says nothing yet.
        return None if self._environment is not None and self._environment.values is None else "its environment"

    @property
    def _values(self) -> dict[str, str]:
        return dict((self._environment.values if self._environment is not None else None) or {})

    def _waits_for(self) -> str | None:
        if self._is_over:
            return None
        if unpublished := self._status.copy().unpublished:
            return f"the first publish of {', '.join(unpublished)}"
        if self._environment is not None and self._environment.values is None:
            return "the data of its environment"
        return None

    def _restart_if_changed(self, process: RunningPrimary) -> None:
        changed = self._changed()
        if changed is None:
            self._is_busy, self._wanted_at, self._due_at = False, None, None
            return
        now = time.monotonic()
        self._is_busy = True
        self._wanted_at = self._wanted_at or now
        if not self._around.are_at_rest() and now - self._wanted_at < _REST_WAIT_SECONDS:
            self._due_at = now + _REST_LOOK_SECONDS
            return
        self._wanted_at = self._due_at = None
        _log.info("restarting the primary", extra=fields(pid=process.pid, changed=changed))
        ended = self._ended_by_us(process)
        if not self._inbox.is_stopped:
            self._report.ended(ended, "restarting")
            self._start_if_due()

    def _ended_by_us(self, process: RunningPrimary) -> ExitStatus:
        self._status.update_primary(state="stopping")
        self._beat(self._options.stop_timeout_seconds)
        process.end(self._options.stop_signal, self._options.stop_timeout_seconds)
        # At the very end what it has left behind is asked to end, too; before another start nothing may be in the way.
        ended = process.finish(kills_group=not self._inbox.is_stopped)
        self._process = None
        self.exit_code = exit_code(ended)
        return ended

    def _has_exited(self, process: RunningPrimary) -> None:
        ended = process.finish(kills_group=self._options.restart != "never")
        self._process = None
        ran_seconds = max(0.0, ended.at - process.started_at)
        _log.info("primary ended", extra=fields(pid=process.pid, code=ended.code, signal=ended.signal))
        self._decide(ended, ran_seconds=ran_seconds)

    def _decide(self, ended: ExitStatus, *, ran_seconds: float, error: str | None = None) -> None:
        self.exit_code = code = exit_code(ended)
        delay = self._restarts.delay_after(self._options.restart, code=code, ran_seconds=ran_seconds)
        if delay is not None:
            self._due_at = time.monotonic() + delay
            self._report.ended(ended, "restarting", error=error)
            _log.warning("primary is started again", extra=fields(code=code, error=error, again_in=f"{delay:.1f}s"))
            return
        if error is not None:
            _log.error("primary not started", extra=fields(error=error))
        self._is_over = True
        self._report.ended(ended, "ended", error=error)
        if self._options.on_exit == "exit":
            self._around.ended(code)

    def _end(self) -> None:
        if self._environment is not None:
            self._environment.close()
        if (process := self._process) is None:
            return
        ended = self._ended_by_us(process)
        _log.info("primary ended", extra=fields(pid=process.pid, code=ended.code, signal=ended.signal))
        self._report.ended(ended, "ended")

    def _beat(self, due_in_seconds: float | None) -> None:
        self._status.beat("primary", None if due_in_seconds is None else due_in_seconds + _BEAT_SECONDS)
