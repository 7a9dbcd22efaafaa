"""Options of the primary: the process that reads the files, started and supervised by confcar, or followed by it."""

from __future__ import annotations

import re
from signal import SIGCHLD, SIGCONT, SIGSTOP, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from confcar.config.bundles import ProcessOptions
from confcar.config.types import Command, ConfigPath, Duration, Model, SignalNumber

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ENDS_NOTHING = frozenset({SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH})
_WAYS = ("command", "pid_file", "process")

COMMAND_ONLY = ("stop_signal", "stop_timeout", "restart", "environment", "on_change")
"""Keys that only a primary has which confcar starts itself."""


def _check_variables(environment: dict[str, str]) -> dict[str, str]:
    for name in environment:
        if not _VARIABLE.fullmatch(name):
            message = "variables are named by letters, digits and _, no digit first"
            raise ValueError(message)
    return environment


class PrimaryOptions(Model):
    """The process that reads the files, whose life confcar shares. Exactly one of command, pid_file, process."""

    command: Command | None = None
    """Start this after every bundle has a published generation, and supervise it. Run without a shell."""
    pid_file: ConfigPath | None = None
    """Follow the process whose PID stands in this file."""
    process: ProcessOptions | None = None
    """Follow the process that looks like this."""
    stop_signal: SignalNumber = Field(default=SIGTERM, json_schema_extra={"default": "TERM"})
    """Asks the command to end: TERM, SIGTERM and 15 are the same."""
    stop_timeout_seconds: Duration = Field(default=30.0, alias="stop_timeout")
    """How long it may take to end; then it and its process group are killed. Kubernetes waits 30 s, too."""
    restart: Literal["never", "on-failure", "always"] = "never"
    """Start the command again after it has ended by itself: `never`, `on-failure` (another code than 0, or a signal),
    or `always`; with back-off from 1 s to 60 s, which starts over after it has run for a minute."""
    environment: Annotated[
        dict[str, str],
        AfterValidator(_check_variables),
        WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}}),
    ] = Field(default={})
    """Variables of the command beside confcar's own; the values are templates. It starts once all are rendered."""
    on_change: Literal["restart", "none"] = "restart"
    """What a change of `environment` does: `restart` the command (stop_signal, wait, start), or nothing until the next
    start (`none`)."""
    on_exit: Literal["exit", "stay"] = "exit"
    """What confcar does when the primary has ended for good: `exit` with its code (0 for one that is followed), or
    `stay`."""

    @field_validator("stop_signal")
    @classmethod
    def _can_be_sent(cls, number: int) -> int:
        if number in _ENDS_NOTHING:
            message = "this signal ends no process"
            raise ValueError(message)
        return number

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if len([way for way in _WAYS if getattr(self, way) is not None]) != 1:
            message = "give exactly one of command, pid_file and process"
            raise ValueError(message)
        return self

    @property
    def mode(self) -> Literal["command", "pid_file", "process"]:
        """Which of the three ways it is."""
        return "command" if self.command is not None else "pid_file" if self.pid_file is not None else "process"

    def is_same_process_as(self, other: Self | None) -> bool:
        """Whether both mean the same process in the same way: what cannot change while confcar runs."""
        return other is not None and (self.mode, self.pid_file, self.process) == (
            other.mode,
            other.pid_file,
            other.process,
        )
