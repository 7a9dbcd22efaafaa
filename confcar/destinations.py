"""Which destinations can be published, whether a config names them or a template makes them of data.

Words only: nothing here looks at the disk.
"""

from __future__ import annotations

import os

NAME_LIMIT_BYTES = 255
# PATH_MAX is 4,096 with the bundle's directory and a generation's name before it.
PATH_LIMIT_BYTES = 3584
# A descriptor is open per level while a generation is staged; nobody's config is this deep.
DEPTH_LIMIT = 100


def find_fault(destination: str) -> str | None:
    """Return why a destination cannot be published, for people; None where it can."""
    parts = destination.removeprefix("/").split("/")
    try:
        encoded = [os.fsencode(part) for part in parts]
    except UnicodeEncodeError:
        return "it cannot be encoded as a file name"
    if any(part in {"", ".", ".."} or "\0" in part for part in parts):
        return "it must be a plain path without empty, . or .. parts"
    if not destination.startswith("/") and parts[0].startswith(".."):
        return "names that begin with .. are confcar's own there"
    if max(map(len, encoded)) > NAME_LIMIT_BYTES:
        return f"a name in it is longer than {NAME_LIMIT_BYTES} bytes"
    if sum(map(len, encoded)) + len(parts) > PATH_LIMIT_BYTES or len(parts) > DEPTH_LIMIT:
        return "it is too long or too deep"
    return None
