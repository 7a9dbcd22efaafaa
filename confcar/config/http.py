"""Options of an HTTP request to the primary: a reload step's, or a probe's that verifies it."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, WithJsonSchema, field_validator

from confcar.config.sources import TlsOptions
from confcar.config.types import ConfigPath, Model, PositiveDuration

_EXPECT = re.compile(r"[1-5](xx|\d\d)")


class HttpOptions(Model):
    """A request that the primary must answer as expected. A redirect is not a success."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
    """Where to ask."""
    method: Annotated[str, Field(pattern=r"^[A-Z]+$")] = "POST"
    """How to ask."""
    headers: dict[str, str] = Field(default={})
    """Headers to send besides confcar's own."""
    bearer_file: ConfigPath | None = None
    """File with a token for `Authorization: Bearer`, read again at each request."""
    body: str = ""
    """What to send, as UTF-8."""
    expect: Annotated[str, WithJsonSchema({"type": ["string", "integer"], "examples": ["2xx", 204, "200,204"]})] = "2xx"
    """Status codes that count as success: `2xx`, `204`, or several with commas."""
    timeout_seconds: PositiveDuration = Field(default=5.0, alias="timeout")
    """For the whole request."""
    socket: ConfigPath | None = None
    """Unix socket to connect to instead of the URL's host."""
    tls: TlsOptions | None = None
    """For https."""

    @field_validator("expect", mode="before")
    @classmethod
    def _known_expectation(cls, expect: object) -> object:
        text = str(expect) if isinstance(expect, int) and not isinstance(expect, bool) else expect
        if isinstance(text, str) and all(_EXPECT.fullmatch(part.strip()) for part in text.split(",")):
            return text
        message = "write expected status codes as 2xx, 204, or 200,204"
        raise ValueError(message)
