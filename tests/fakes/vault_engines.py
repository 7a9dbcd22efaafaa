"""Engines that make something new for each request, and the leases of what they made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Made = tuple[int, object, Mapping[str, str]]
_GONE: Made = (400, {"errors": ["lease not found"]}, {})


@dataclass
class Engine:
    """What one path makes.

    Attributes:
        seconds: What a lease is given for; 0 for no lease.
        renewable: Whether it can be renewed.
        renewed_seconds: What a renewal gives; None for the same again.
        left: What a lookup says is left of a lease; None for all of it.
        data: What each one holds; `password` is a new one each time.
        more: Into the answer as it is, over everything else.
        made: How many were made.
    """

    seconds: int = 100
    renewable: bool = True
    renewed_seconds: int | None = None
    left: Callable[[], int] | None = None
    data: dict[str, object] = field(default_factory=dict)
    more: dict[str, object] = field(default_factory=dict)
    made: int = 0

    def make(self, path: str) -> dict[str, object]:
        """Return one more."""
        self.made += 1
        data = {"password": f"password-{self.made}", **self.data}
        lease_id = f"{path}/lease-{self.made}" if self.seconds else ""
        return {
            "lease_id": lease_id,
            "renewable": self.renewable,
            "lease_duration": self.seconds,
            "data": data,
            **self.more,
        }


@dataclass
class Leases:
    """All leases of a server.

    Attributes:
        living: The engine and the token of each one that lives, by lease id.
    """

    living: dict[str, tuple[Engine, str]] = field(default_factory=dict)

    def make(self, engine: Engine, path: str, token: str) -> Made:
        """Return what *engine* makes."""
        body = engine.make(path)
        if body["lease_id"]:
            self.living[str(body["lease_id"])] = engine, token
        return 200, body, {}

    def serve(self, action: str, body: Any) -> Made:  # noqa: ANN401 - what the client sent
        """Return the answer of `sys/leases/ACTION`."""
        lease_id = body["lease_id"]
        if lease_id not in self.living:
            return _GONE
        engine, _ = self.living[lease_id]
        if action == "revoke":
            del self.living[lease_id]
            return 204, b"", {}
        if action == "lookup":
            left = engine.seconds if engine.left is None else engine.left()
            return 200, {"data": {"id": lease_id, "ttl": left, "renewable": engine.renewable}}, {}
        seconds = engine.seconds if engine.renewed_seconds is None else engine.renewed_seconds
        return 200, {"lease_id": lease_id, "renewable": engine.renewable, "lease_duration": seconds, "data": None}, {}

    def die_with(self, token: str) -> None:
        """Forget all that hang on a token."""
        self.living = {key: held for key, held in self.living.items() if held[1] != token}
