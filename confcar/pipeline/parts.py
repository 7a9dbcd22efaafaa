"""What a bundle's pass is made of, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from confcar.errors import ConfcarError
from confcar.pipeline.checking import Check
from confcar.pipeline.collecting import Follows
from confcar.pipeline.reloading import OwedReload
from confcar.publishing.publisher import Publisher
from confcar.rendering.renderer import Renderer


@dataclass(frozen=True, slots=True)
class BundleParts:
    """What a bundle's pass is made of; the daemon puts them together.

    Attributes:
        directory: The bundle's directory.
        renderer: Renders its templates.
        check: Accepts or refuses what is staged.
        publisher: Stages and publishes.
        following: Where the data comes from.
        owed: What the primary is owed; None where nobody is told: in `once`, and where the config names no reload.
        limit_seconds: Sum of the time limits of the check, all reload steps and verify.
        rolls_back: Whether the generation before comes back where what was published does not hold.
        drift_seconds: How often the published files are compared with what was published; 0 for never.
        settings: What a generation holds by beside its data: one that was refused is tried again where this changed.
    """

    directory: Path
    renderer: Renderer
    check: Check
    publisher: Publisher
    following: Follows
    owed: OwedReload | None
    limit_seconds: float = 0.0
    rolls_back: bool = False
    drift_seconds: float = 0.0
    settings: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a pass ended.

    Attributes:
        error: None where the newest data is on disk; otherwise why not.
        is_final: Whether waiting for the sources cannot help, so that `once` gives up.
    """

    error: ConfcarError | None = None
    is_final: bool = True
