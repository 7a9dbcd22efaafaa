"""Times as people read them: how long ago, how long still."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def rfc3339(seconds: float | None) -> str | None:
    """Return a time since the epoch as RFC 3339 in UTC with milliseconds, None for None."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_since(time: str | None, now: float) -> float | None:
    """Return how many seconds before *now* (since the epoch) an RFC 3339 time was, None for None."""
    return None if time is None else now - datetime.fromisoformat(time).timestamp()


def in_words(seconds: float) -> str:
    """Return a duration in its two largest units: `42 s`, `3 min 5 s`, `2 d 4 h`; never below 0 s."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        # Nothing between the largest unit and the one after it: `1 h`, not `1 h 3 s`.
        if count or parts or size == 1:
            parts.append(f"{count} {unit}" if count or not parts else "")
    return " ".join(part for part in parts[:2] if part)
