"""Options of `verify`: what must hold after a reload before the primary counts as told."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from confcar.config.http import HttpOptions
from confcar.config.types import Command, Duration, Model, PositiveDuration

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\s/\[\]]+)):(?P<port>\d{1,5})")
_MAX_PORT = 65535


def split_address(text: str) -> tuple[str, int]:
    """Return host and port of `host:port` or `[v6]:port`.

    Raises:
        ValueError: It is neither.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 < int(found["port"]) <= _MAX_PORT:
        message = "write host:port or [v6]:port"
        raise ValueError(message)
    return found["v6"] or found["host"], int(found["port"])


def _check_address(text: str) -> str:
    split_address(text)
    return text


class ProbeRequest(HttpOptions):
    """A request that the primary must answer as expected. A redirect is not a success."""

    method: Annotated[str, Field(pattern=r"^[A-Z]+$")] = "GET"
    """How to ask."""


class VerifyOptions(Model):
    """What must hold after a reload: a probe, made again and again until it succeeded for `stable_for`."""

    http: ProbeRequest | None = None
    """Request to make. Exactly one of `http`, `tcp` and `command` is given."""
    tcp: Annotated[str, AfterValidator(_check_address)] | None = None
    """`host:port` that must accept a connection."""
    command: Command | None = None
    """A program and its arguments, run without a shell; status 0 is success."""
    within_seconds: PositiveDuration = Field(default=10.0, alias="within")
    """How long after the reload the probe may take to have succeeded for `stable_for`; a hanging one is cut off."""
    stable_for_seconds: Duration = Field(default=1.0, alias="stable_for")
    """How long it must go on succeeding. 1 s: right after a reload it is often the old configuration that answers."""

    @model_validator(mode="after")
    def _one_probe(self) -> Self:
        if [self.http, self.tcp, self.command].count(None) != 2:  # noqa: PLR2004 - all of them but one
            message = "verify is exactly one of http, tcp or command"
            raise ValueError(message)
        if self.stable_for_seconds >= self.within_seconds:
            message = "stable_for must be shorter than within, or it could never be reached"
            raise ValueError(message)
        return self
