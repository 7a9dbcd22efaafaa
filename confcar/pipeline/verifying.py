"""Waits after a reload until the primary is well, and stays so for a while; or until its time is up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

from confcar.errors import ReloadError, VerifyFailedError
from confcar.log import fields
from confcar.model import Change

# Between two probes. Often enough to see a primary that falls over in the second that it has to stand.
_EVERY_SECONDS = 0.25
_log = logging.getLogger(__name__)

Pause = Callable[[float], bool]
"""Waits for so many seconds; returns whether to go on: False, at once, where a stop is asked for."""


class Asks(Protocol):
    """Asks the primary once; fulfilled by the classes of `reloaders.probes`."""

    def attempt(self, change: Change, *, timeout_seconds: float) -> None:
        """Ask; blocks for at most *timeout_seconds*. Raises ReloadError where the primary is not well."""
        ...


class Verification:
    """What must hold after a reload. Used by the bundle's thread only.

    Args:
        probe: What asks.
        within_seconds: How long it may take in all, above 0.
        stable_for_seconds: How long the probe must go on succeeding, shorter than *within_seconds*.
        clock: Seconds.
    """

    def __init__(
        self,
        probe: Asks,
        *,
        within_seconds: float,
        stable_for_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probe = probe
        self._within_seconds = within_seconds
        self._stable_for_seconds = stable_for_seconds
        self._clock = clock

    def run(self, change: Change, pause: Pause) -> bool:
        """Ask again and again; return True once it holds, False where a stop came first.

        Gives up as soon as it can hold no more in time.

        Raises:
            VerifyFailedError: It did not hold; says what the primary last said.
        """
        deadline = self._clock() + self._within_seconds
        well_since: float | None = None
        reason: str | None = None
        while True:
            found = self._ask(change, deadline - self._clock())
            now = self._clock()
            if found is None:
                well_since = now if well_since is None else well_since
                if now - well_since >= self._stable_for_seconds:
                    return True
            else:
                well_since = None
                # That the last probe was cut off says less than what the primary had said before.
                reason = found if reason is None or now < deadline else reason
            holds_at = (now if well_since is None else well_since) + self._stable_for_seconds
            if holds_at >= deadline:
                raise VerifyFailedError(self._failure(reason))
            # The last probe falls on the last moment from which it could still hold, or at which it does.
            left = deadline - holds_at if well_since is None else holds_at - now
            if not pause(min(left, _EVERY_SECONDS)):
                return False

    def _ask(self, change: Change, left_seconds: float) -> str | None:
        """Return why the primary is not well, None where it is."""
        try:
            self._probe.attempt(change, timeout_seconds=max(left_seconds, 0.001))
        except ReloadError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - a bug in a probe must not end the bundle
            _log.exception("unexpected error in a probe", extra=fields(bundle=change.bundle))
            return f"unexpected {type(error).__name__} in the probe, see the log"
        return None

    def _failure(self, reason: str | None) -> str:
        held = f" for {self._stable_for_seconds:g} s" if self._stable_for_seconds else ""
        return f"verify did not hold{held} within {self._within_seconds:g} s: {reason or 'the probe took too long'}"
