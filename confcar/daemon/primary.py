"""The primary as the rest of the daemon sees it: started with the bundles, changed with the config, ended last.

Also what being its parent brings with it: signals are passed on, and what it leaves behind is ended.
"""

from __future__ import annotations

import functools
import os
import signal
import time

from confcar import children
from confcar.config.primary import PrimaryOptions
from confcar.daemon.assembly import Context, Sources, create_renderer
from confcar.daemon.fleet import Fleet
from confcar.daemon.signals import Signals
from confcar.reloaders.base import FindsProcess
from confcar.supervisor.environment import Environment, environment_templates
from confcar.supervisor.followed import FollowedPrimary
from confcar.supervisor.supervised import SupervisedPrimary, Surroundings
from confcar.supervisor.target import SupervisedFinder

# Not passed on: confcar's own, those that cannot be caught, those that tell confcar itself of its own faults,
# timers, limits, terminal and children.
_NOT_PASSED_ON = frozenset(
    {
        *(signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGKILL, signal.SIGSTOP),
        *(signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP),
        *(signal.SIGCHLD, signal.SIGCONT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGPIPE),
        *(signal.SIGXCPU, signal.SIGXFSZ, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF),
    }
)
# The C library's own.
_FIRST_REAL_TIME = 32


class Primary:
    """The one primary of a config. Main thread only, unless a method says otherwise."""

    def __init__(self, context: Context, options: PrimaryOptions) -> None:
        self._is_stopped = False
        self._life: SupervisedPrimary | FollowedPrimary
        self.finder: FindsProcess
        """Finds its process. Any thread."""
        if options.command is not None:
            self._life = SupervisedPrimary(options, environ=context.environ, status=context.status)
            self.finder = SupervisedFinder(self._life)
        else:
            self._life = FollowedPrimary(options, status=context.status, own_pid=os.getpid())
            self.finder = self._life.finder

    def is_away(self) -> bool:
        """Return whether it is about to start, and cannot be told anything now. Any thread."""
        return isinstance(self._life, SupervisedPrimary) and self._life.is_away()

    @property
    def is_supervised(self) -> bool:
        """Whether it is confcar's own child."""
        return isinstance(self._life, SupervisedPrimary)

    @property
    def environment(self) -> Environment | None:
        """The variables in force, None where there are none."""
        return self._life.environment if isinstance(self._life, SupervisedPrimary) else None

    def start(self, context: Context, fleet: Fleet, signals: Signals) -> None:
        """Begin to supervise or to follow."""
        numbers = {number for number in signal.valid_signals() if number not in _NOT_PASSED_ON}
        passed_on = {number for number in numbers if number < _FIRST_REAL_TIME or number >= signal.SIGRTMIN}
        signals.hear(passed_on)
        for number in passed_on:
            signals.on(number, functools.partial(self._life.send, int(number)))

        def ended(_: int) -> None:
            signals.stop()

        if isinstance(self._life, FollowedPrimary):
            self._life.start(ended)
            return
        children.adopt_orphans()
        signals.before_ending_at_once(self._life.kill)
        surroundings = Surroundings(are_at_rest=lambda: fleet.is_at_rest, came_up=fleet.wake, ended=ended)
        self._life.start(surroundings, self.new_environment(context, fleet.sources))

    def new_environment(self, context: Context, sources: Sources) -> Environment | None:
        """Return the variables as the config has them now, None where there are none; nothing is followed yet."""
        options = context.config.settings.primary
        if options is None or not options.environment:
            return None
        renderer = create_renderer(context, sources, environment_templates(options.environment))
        return Environment(renderer, sources.following, context.status)

    def replace(self, options: PrimaryOptions, environment: Environment | None) -> None:
        """Take over other options, and other variables where these are not those in force."""
        if isinstance(self._life, SupervisedPrimary):
            self._life.replace(options, environment)
        else:
            self._life.replace(options)

    def stop(self) -> int:
        """End it where it is confcar's own, and what it has left behind; return the code to end with. Blocks."""
        if self._is_stopped:
            return self._life.exit_code or 0
        self._is_stopped = True
        began = time.monotonic()
        self._life.stop()
        if isinstance(self._life, SupervisedPrimary):
            options = self._life.options
            left_seconds = options.stop_timeout_seconds - (time.monotonic() - began)
            children.end_others(options.stop_signal, max(0.0, left_seconds))
            children.adopt_orphans(is_on=False)
        return self._life.exit_code or 0
