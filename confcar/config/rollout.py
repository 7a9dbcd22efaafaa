"""Options of a bundle's rollout: how many instances of a fleet may reload at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from confcar.config.types import Duration, Model, Name

LEAST_TIMEOUT_SECONDS = 1.0


def _plain_key(key: str) -> str:
    if not key or "\0" in key or any(part in {"", ".", ".."} for part in key.split("/")):
        message = "a key is a path such as confcar/web, without a slash at either end and without empty, . or .. parts"
        raise ValueError(message)
    return key


class RolloutOptions(Model):
    """At most `slots` instances of the fleet reload at once; they agree by a semaphore in Consul."""

    source: Name
    """The Consul source to agree by."""
    key: Annotated[str, AfterValidator(_plain_key)]
    """Folder of the semaphore in Consul, in the layout of `consul lock`: the same for all that take turns."""
    slots: Annotated[int, Field(ge=1)] = 1
    """How many may reload at once; the same number for all that share the key."""
    timeout_seconds: Annotated[Duration, Field(ge=LEAST_TIMEOUT_SECONDS)] = Field(default=600.0, alias="timeout")
    """Reload without a slot once Consul could not be asked, or denied it, for this long. It does not run while others
    have the slots. 10 m: longer than most outages, and than a fleet of usual size needs."""
