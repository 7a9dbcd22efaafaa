"""Options of a bundle: templates, check, settling, the reload steps, and what a failed verify leads to."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from confcar.config.http import HttpOptions
from confcar.config.rollout import RolloutOptions
from confcar.config.types import Command, ConfigPath, Duration, Mode, Model, PositiveDuration, SignalNumber
from confcar.config.verify import VerifyOptions
from confcar.destinations import find_fault

Format = Literal["json", "yaml", "toml", "ini", "env", "xml", "pem"]


def _check_regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        message = f"not a regular expression: {error}"
        raise ValueError(message) from error
    return text


class Delimiters(Model):
    """Other delimiters, for files that are full of `{{ }}` themselves."""

    variable: tuple[str, str] = ("{{", "}}")
    """What stands around an expression."""
    block: tuple[str, str] = ("{%", "%}")
    """What stands around a statement."""
    comment: tuple[str, str] = ("{#", "#}")
    """What stands around a comment."""

    @property
    def openings(self) -> tuple[str, str, str]:
        """What an expression, a statement and a comment begin with."""
        return self.variable[0], self.block[0], self.comment[0]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.openings)) < len(self.openings) or not all((*self.variable, *self.block, *self.comment)):
            message = "the three opening delimiters must differ, and none may be empty"
            raise ValueError(message)
        return self


class TemplateOptions(Model):
    """One template and the file it becomes."""

    source: ConfigPath | None = None
    """The template's file. Either this or `content`."""
    content: str | None = None
    """The template itself, inline; `${VAR}` is not expanded in it."""
    for_each: str | None = None
    """One expression that gives a list or a mapping, such as `{{ ls('sites') }}`: the template gives a file for each
    of its items, and `item` is one of them, in the template and in `destination`."""
    destination: str
    """Where the file goes: relative to the bundle's directory, or absolute, then published by a rename of its own.
    With `for_each` a template itself, such as `sites/{{ item.key }}.conf`."""
    mode: Mode = 0o640
    """Permission bits in quotes. "0640": secrets are for the owner and the group."""
    user: str | None = None
    """Owner, by name or number. Default: confcar's own user."""
    group: str | None = None
    """Group, by name or number. Default: the directory's where that is setgid, else confcar's own."""
    format: Format | None = None
    """Parse the rendered file as this before it is published."""
    delimiters: Delimiters = Delimiters()
    """Of the template, and of `for_each` and `destination` with it."""

    @model_validator(mode="after")
    def _one_text(self) -> Self:
        if (self.source is None) == (self.content is None):
            message = "give either source (a file) or content (the template itself)"
            raise ValueError(message)
        return self

    @field_validator("destination")
    @classmethod
    def _stays_inside(cls, destination: str, info: ValidationInfo) -> str:
        # What a template makes of the items is known when it is rendered, and checked then.
        fault = None if info.data.get("for_each") is not None else find_fault(destination)
        if fault:
            raise ValueError(fault)
        return destination

    @model_validator(mode="after")
    def _destination_for_items(self) -> Self:
        opening, closing = self.delimiters.variable
        if self.for_each is None:
            if any(mark in self.destination for mark in self.delimiters.openings):
                message = "the destination is a template only with for_each; ${VAR} stands for an environment variable"
                raise ValueError(message)
            return self
        expression = self.for_each.strip()
        if not (expression.startswith(opening) and expression.endswith(closing)):
            message = f'for_each is one expression, such as {opening} ls("sites") {closing}'
            raise ValueError(message)
        if opening not in self.destination or not re.search(r"\bitem\b", self.destination):
            example = f"sites/{opening} item.key {closing}.conf"
            message = f"with for_each the destination must name the item, such as {example}, or all items had one file"
            raise ValueError(message)
        return self


class CheckOptions(Model):
    """A command that must accept the staged generation before it is published."""

    command: Command
    """`{directory}` is the staged generation, `{generation}` its number."""
    timeout_seconds: PositiveDuration = Field(default=10.0, alias="timeout")
    """After this the command and all it started is killed, and the generation refused."""


class WaitOptions(Model):
    """Settling: many changes become one publish."""

    quiet_seconds: Duration = Field(default=0.2, alias="quiet")
    """Publish after this long without a change. 200 ms: one deployment's writes become one reload."""
    max_seconds: Duration = Field(default=5.0, alias="max")
    """Publish at the latest this long after the first change, however many follow."""

    @model_validator(mode="after")
    def _max_above_quiet(self) -> Self:
        if self.max_seconds < self.quiet_seconds:
            message = "max must be at least quiet"
            raise ValueError(message)
        return self


class ProcessOptions(Model):
    """Which process is the primary: all that is given must match, and exactly one process must."""

    name: str | None = None
    """Name of the program, as `ps` shows it or as the base name of what was started."""
    cmdline: Annotated[str, AfterValidator(_check_regex)] | None = None
    """Regular expression that the command line, joined by spaces, must contain."""
    user: str | None = None
    """Owner of the process, by name or number."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.name is None and self.cmdline is None:
            message = "give name or cmdline: a user alone may own many processes"
            raise ValueError(message)
        return self


class ReloadStep(Model):
    """One way of telling the primary: a signal, an HTTP request or a command."""

    signal: SignalNumber | None = None
    """Signal to send: HUP, SIGHUP and 1 are the same. To pid, pid_file or process; to `primary` where none is given."""
    pid: Annotated[int, Field(gt=0)] | None = None
    """The primary's PID, where it never changes."""
    pid_file: ConfigPath | None = None
    """File with the primary's PID, read again at each reload."""
    process: ProcessOptions | None = None
    """What the primary looks like."""
    http: HttpOptions | None = None
    """Request to make."""
    command: Command | None = None
    """A program and its arguments, run without a shell; status 0 is success."""
    timeout_seconds: PositiveDuration | None = Field(default=None, alias="timeout")
    """For `command`: after this it and all it started is killed. Default: 30 s."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [name for name in ("signal", "http", "command") if getattr(self, name) is not None]
        if len(ways) != 1:
            message = "a reload step is exactly one of signal, http or command"
            raise ValueError(message)
        targets = [name for name in ("pid", "pid_file", "process") if getattr(self, name) is not None]
        if ways == ["signal"] and len(targets) > 1:
            message = "a signal needs exactly one of pid, pid_file or process to say whom to signal"
            raise ValueError(message)
        if ways != ["signal"] and targets:
            message = f"{targets[0]} belongs to a signal, not to {ways[0]}"
            raise ValueError(message)
        if self.timeout_seconds is not None and ways != ["command"]:
            message = "timeout here belongs to a command; an http request has its own"
            raise ValueError(message)
        return self

    @property
    def is_for_primary(self) -> bool:
        """Whether it is a signal to the config's own `primary`."""
        return self.signal is not None and self.pid is None and self.pid_file is None and self.process is None


class BundleOptions(Model):
    """The set of files that are checked, published and reloaded together."""

    directory: ConfigPath
    """Relative destinations are published here, all at once."""
    publish: Literal["swap", "rename"] = "swap"
    """`swap`: generations behind one symlink, all files at once. `rename`: plain files, one rename each."""
    keep: Annotated[int, Field(ge=0)] = 2
    """How many older generations are kept beside the current one."""
    templates: Annotated[list[TemplateOptions], Field(min_length=1)]
    """What is rendered, at least one."""
    check: CheckOptions | None = None
    """Default: what renders is published, after the formats that templates name."""
    wait: WaitOptions = WaitOptions()
    splay_seconds: Duration = Field(default=0.0, alias="splay")
    """Wait a random time up to this before each reload, so that a fleet does not reload at once."""
    drift_seconds: Duration = Field(default=30.0, alias="drift")
    """How often the published files are compared with what was published; `0s`: only at a `sync`."""
    reload: list[ReloadStep] = Field(default=[])
    """One step or a list, run in order."""
    verify: VerifyOptions | None = None
    """What must hold after the reload, before it counts as acknowledged."""
    on_failure: Literal["rollback", "keep"] | None = None
    """Where it fails: `rollback` (default where `verify` is set) goes back to the generation before, `keep` stays."""
    rollout: RolloutOptions | None = None
    """Default: each instance reloads when it has published."""

    @property
    def outside(self) -> list[str]:
        """The destinations outside the directory: no switch of a generation can take them along."""
        return [template.destination for template in self.templates if template.destination.startswith("/")]

    @field_validator("reload", mode="before")
    @classmethod
    def _one_or_list(cls, steps: object) -> object:
        return [steps] if isinstance(steps, dict) else steps

    @property
    def rolls_back(self) -> bool:
        """Whether the generation before comes back where verify fails."""
        return self.verify is not None and self.on_failure != "keep"

    @model_validator(mode="after")
    def _can_fail(self) -> Self:
        if self.on_failure is not None and self.verify is None:
            message = "on_failure says what a failed verify leads to: give verify too, or leave it out"
            raise ValueError(message)
        if self.rolls_back and self.keep == 0:
            message = "a failed verify needs a generation to go back to: keep at least 1, or set on_failure: keep"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _distinct_destinations(self) -> Self:
        names = [template.destination for template in self.templates]
        for name in names:
            if names.count(name) > 1:
                message = f"two templates have the destination {name}"
                raise ValueError(message)
            if any(other.startswith(name + "/") for other in names):
                message = f"the destination {name} is a file and a folder of others"
                raise ValueError(message)
        return self
