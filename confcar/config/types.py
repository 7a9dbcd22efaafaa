"""Field types of the config: durations, names, paths, file modes, signals, addresses.

Each converts what people write into what the code uses and explains itself in the JSON Schema.
"""

from __future__ import annotations

import os
import re
import signal
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    WithJsonSchema,
)

CONFIG_DIRECTORY: ContextVar[Path] = ContextVar("CONFIG_DIRECTORY")
"""The folder that relative paths start from: the config file's own. Set by `load` while models are validated."""

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
# Ten years: more is a slip, and the system's timers end not far above.
_MAX_DURATION_SECONDS = 3660 * 86400.0
_MODE = re.compile(r"0?[0-7]{3,4}")


class Model(BaseModel):
    """Base of all config models: frozen, unknown keys refused, input never shown in an error (it may be a secret)."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def parse_duration(text: object) -> float:
    """Turn `250ms`, `5s`, `1m30s`, `2h` into seconds, at least 0 and at most ten years.

    Raises:
        ValueError: Not a string, no unit, units that do not add up to the whole string, or too long.
    """
    seconds = _duration_seconds(text)
    if seconds is None:
        message = "a duration is a string with a unit, such as 250ms, 5s, 1m30s or 2h"
        raise ValueError(message)
    if seconds > _MAX_DURATION_SECONDS:
        message = "a duration is at most 3660d"
        raise ValueError(message)
    return seconds


def _duration_seconds(text: object) -> float | None:
    if isinstance(text, str):
        if text == "0":
            return 0.0
        parts = _DURATION_PART.findall(text)
        if parts and "".join(number + unit for number, unit in parts) == text:
            return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
    return None


def _parse_mode(text: object) -> int:
    if not isinstance(text, str):
        message = 'quote the mode: "0640"; without quotes it is read as a number'
        raise ValueError(message)  # noqa: TRY004 - pydantic reports ValueError with its place, and lets TypeError through
    if not _MODE.fullmatch(text):
        message = 'a mode is three or four octal digits in quotes, such as "0640"'
        raise ValueError(message)
    return int(text, 8)


def parse_signal(text: object) -> int:
    """Turn `HUP`, `SIGHUP` or `1` into the signal's number.

    Raises:
        ValueError: No such signal on this system.
    """
    try:
        if isinstance(text, int) and not isinstance(text, bool):
            return int(signal.Signals(text))
        if isinstance(text, str):
            if text.isdigit():
                return int(signal.Signals(int(text)))
            return int(signal.Signals["SIG" + text.upper().removeprefix("SIG")])
    except (KeyError, ValueError):
        pass
    message = "no such signal; write it as HUP, SIGHUP or 1"
    raise ValueError(message)


def from_config_directory(path: Path | str) -> Path:
    """Return *path* as an absolute one, starting from the config file's folder where it is relative."""
    # normpath, not resolve: a symlinked folder keeps the name the user gave it, and the swap under it is followed.
    return Path(os.path.normpath(CONFIG_DIRECTORY.get(Path.cwd()) / path))


def _check_path(text: object) -> object:
    if isinstance(text, str) and (not text or "\0" in text):
        # An empty one, perhaps of a variable that is not set, would be the config's own folder.
        message = "a path may not hold a zero byte" if text else "a path may not be empty"
        raise ValueError(message)
    return text


def _non_empty_command(command: list[str]) -> tuple[str, ...]:
    if not command or not command[0]:
        message = "a command is a list of its program and arguments, such as [nginx, -t]"
        raise ValueError(message)
    return tuple(command)


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": r"^(0|(\d+(\.\d+)?(ms|s|m|h|d))+)$", "examples": ["250ms", "1m30s"]}),
]
Mode = Annotated[
    int,
    BeforeValidator(_parse_mode),
    WithJsonSchema({"type": "string", "pattern": "^0?[0-7]{3,4}$", "examples": ["0640"]}),
]
SignalNumber = Annotated[
    int,
    BeforeValidator(parse_signal),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["HUP", "SIGHUP", 1]}),
]
ConfigPath = Annotated[Path, BeforeValidator(_check_path), AfterValidator(from_config_directory)]
"""A path, relative to the config file's folder; absolute once validated."""
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$")]
"""The name of a source or bundle: small letters, digits and `-`."""
Flag = Annotated[bool, Strict()]
"""true or false; `yes` and `off` are words in YAML 1.2, and words are refused."""
Command = Annotated[
    list[str],
    AfterValidator(_non_empty_command),
    WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 1}),
]
"""A program and its arguments, run without a shell."""
PositiveDuration = Annotated[Duration, Field(gt=0)]
"""A duration above zero."""
