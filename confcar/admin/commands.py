"""What can be asked of the running sidecar over HTTP; the daemon does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended.

    Attributes:
        code: What the command line ends with: 0 where all went well.
        errors: Why not, a line each; empty where it did.
    """

    code: int = 0
    errors: tuple[str, ...] = ()


class Commands(Protocol):
    """The commands. Each blocks until it is done, in bounded time, and may be called from any thread."""

    def sync(self) -> CommandResult:
        """Read all sources now and bring every bundle up to what they hold."""
        ...

    def reload(self) -> CommandResult:
        """Read config and templates again; where they are broken the old ones stay."""
        ...

    def roll_back(self, bundle: str) -> CommandResult:
        """Bring back the generation before."""
        ...
