"""What a reloader is, and the one place that knows which kinds there are.

A reloader tells the primary once. It never retries, waits or remembers; the pipeline does, once for all kinds. A new
kind is one module with a class, one line in `_CLASSES`, and one row in the contract test.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from confcar.config.bundles import ReloadStep
from confcar.log import Redactor
from confcar.model import Change
from confcar.reloaders.procfs import ProcessFacts

ReloaderKind = Literal["signal", "http", "command"]
_CLASSES: Mapping[ReloaderKind, str] = {
    "signal": "confcar.reloaders.process:SignalReloader",
    "http": "confcar.reloaders.endpoint:EndpointReloader",
    "command": "confcar.reloaders.command:CommandReloader",
}


class FindsProcess(Protocol):
    """Finds the one process to signal; fulfilled by `finder.ProcessFinder`, and by whoever runs the primary."""

    def locate(self) -> int:
        """Return the PID to open a handle on. Raises PrimaryNotFoundError."""
        ...

    def find(self, pid: int | None = None) -> ProcessFacts:
        """Return the process as it is now; with *pid* no other than that. Raises PrimaryNotFoundError."""
        ...

    def has_started_after(self, process: ProcessFacts, moment: float) -> bool:
        """Return whether it has certainly started after *moment*, seconds since the epoch."""
        ...


class Reloader(Protocol):
    """Tells one primary in one way.

    Two reloaders made of equal options are equal: that is how a step that the config gives twice is recognised.
    """

    @property
    def name(self) -> str:
        """The kind, "signal", "http" or "command"; used in logs and as the metrics' label."""
        ...

    def reload(self, change: Change) -> None:
        """Tell the primary about a published generation, and return once it was told.

        Blocks for at most the step's own time limit. Called from one thread of the bundle. A call that raised may or
        may not have reached the primary; a repeated one must do no harm.

        Raises:
            PrimaryNotFoundError: No single process is the one that is to be signalled; worth a retry.
            EndpointRefusedError: The endpoint cannot be reached or did not answer as expected; worth a retry.
            ReloadError: Any other failure; worth a retry, because its cause lies outside confcar.
        """
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a reloader may need beside its own options.

    Attributes:
        environ: confcar's environment; commands get it without confcar's credentials.
        redactor: Masks what a primary or a command answers, and learns the credentials that a request carries.
        own_pid: confcar's PID, which is never signalled, nor any process above it.
        primary: Finds the config's `primary`, for a signal without a target; None where there is none.
    """

    environ: Mapping[str, str]
    redactor: Redactor
    own_pid: int
    primary: FindsProcess | None = None


class _ReloaderClass(Protocol):
    def from_step(self, step: ReloadStep, surroundings: Surroundings) -> Reloader: ...


def create_reloader(
    step: ReloadStep,
    *,
    environ: Mapping[str, str],
    redactor: Redactor,
    own_pid: int,
    primary: FindsProcess | None = None,
) -> Reloader:
    """Return the reloader for one step of the config, loading the module of its kind only. No I/O."""
    kind: ReloaderKind = "signal" if step.signal is not None else "http" if step.http is not None else "command"
    module_name, _, class_name = _CLASSES[kind].partition(":")
    reloader_class: _ReloaderClass = getattr(importlib.import_module(module_name), class_name)
    return reloader_class.from_step(step, Surroundings(environ, redactor, own_pid, primary))
