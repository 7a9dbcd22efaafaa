"""Tells the primary by a command of the config: never a shell, never confcar's credentials, always a time limit."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from confcar.commands import CommandResult, change_environment, fill_in, run_command
from confcar.config.bundles import ReloadStep
from confcar.errors import ReloadError
from confcar.log import Redactor
from confcar.model import Change
from confcar.reloaders.base import Surroundings

DEFAULT_TIMEOUT_SECONDS = 30.0
_OUTPUT_SHOWN = 200


@dataclass(slots=True)
class CommandReloader:
    """Runs one command; status 0 is success.

    Attributes:
        command: Program and arguments; `{directory}` and `{generation}` are filled in.
        timeout_seconds: After this it and all it started is killed.
        environ: confcar's environment, passed on without its credentials.
        redactor: Masks the output in an error.
    """

    command: tuple[str, ...] = field(repr=False)
    timeout_seconds: float
    environ: Mapping[str, str] = field(compare=False, repr=False)
    redactor: Redactor = field(compare=False, repr=False)

    @classmethod
    def from_step(cls, step: ReloadStep, surroundings: Surroundings) -> Self:
        """Return the reloader for a step that has a `command`."""
        assert step.command is not None, "the registry asks for commands only"
        timeout_seconds = DEFAULT_TIMEOUT_SECONDS if step.timeout_seconds is None else step.timeout_seconds
        return cls(tuple(step.command), timeout_seconds, surroundings.environ, surroundings.redactor)

    @property
    def name(self) -> str:
        """Always "command"."""
        return "command"

    def reload(self, change: Change) -> None:
        """Run the command to its end. Blocks for at most its time limit.

        Raises:
            ReloadError: It could not be started, ended with another status than 0, or its time was up; worth a retry.
        """
        with change_environment(change, self.environ) as environment:
            result = run_command(
                fill_in(self.command, change), timeout_seconds=self.timeout_seconds, environment=environment
            )
        if not result.is_success:
            shown = self.redactor.excerpt(result.output, limit=_OUTPUT_SHOWN, from_end=True)
            message = f"the command {self.command[0]} {self._ending(result)}"
            raise ReloadError(f"{message}: {shown}" if shown else message)

    def _ending(self, result: CommandResult) -> str:
        if result.timed_out:
            return f"did not end within {self.timeout_seconds:g} s and was killed with all it started"
        if result.status >= 0:
            return f"ended with status {result.status}"
        try:
            return f"was ended by {signal.Signals(-result.status).name}"
        except ValueError:
            return f"was ended by signal {-result.status}"
