"""The fleet's rollout, as one bundle takes part in it: at most so many instances reload at once.

Asks for a turn when a reload is due, and says on the board and in the log what it waits for. The slot itself is
`turn`'s. While others have the slots the reload waits, however long; where Consul cannot say who has them, or a slot
cannot be taken, it waits for `timeout` and is then made without one.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Literal

from confcar.bundle_status import SlotStatus
from confcar.clients.consul_session import ConsulSessions
from confcar.config.rollout import RolloutOptions
from confcar.config.sources import ConsulOptions
from confcar.log import fields
from confcar.reloaders.semaphore import Semaphore
from confcar.reloaders.turn import RENEW_SECONDS, Turn, TurnView
from confcar.status import Status

_log = logging.getLogger(__name__)


class Rollout:
    """Paces the reloads of one bundle. Used by the bundle's thread; `on_news` is called by another.

    Args:
        bundle: Its name, for the board, the log and the session's name.
        options: As configured.
        source: The source that `options.source` names.
        status: The board.
    """

    def __init__(
        self,
        bundle: str,
        options: RolloutOptions,
        source: ConsulOptions,
        *,
        status: Status,
    ) -> None:
        self._bundle = bundle
        self._options = options
        self._source = source
        self._status = status
        self._turn: Turn | None = None
        self._turn_before: Turn | None = None
        self._is_admitted = False
        self._asked_at = 0.0
        self._said: str | None = None
        self.on_news: Callable[[], None] = lambda: None
        """Called from another thread when `may_reload` is worth another question."""

    @property
    def look_again_at(self) -> float | None:
        """When the reload is made without a slot unless Consul answers before; None while no slot is waited for."""
        if self._turn is None or self._is_admitted:
            return None
        return self._turn.look().answered_at + self._options.timeout_seconds

    def may_reload(self) -> bool:
        """Return whether a slot is held, or no longer waited for; ask for one where that was not done yet.

        Once True it stays so until `done`: what follows a reload, and takes it back, is of the same turn.
        """
        if self._is_admitted:
            return True
        if self._turn is None:
            self._turn = self._begin()
            self._asked_at, self._said = time.monotonic(), None
        if self._turn.use():
            self._show("held", f"holds a slot of {self._options.key}")
            self._is_admitted = True
            return True
        view = self._turn.look()
        self._is_admitted = time.monotonic() >= view.answered_at + self._options.timeout_seconds
        if self._is_admitted:
            self._give_up(view)
        else:
            self._wait(view)
        return self._is_admitted

    def done(self) -> None:
        """Give the slot back, without waiting for that."""
        if self._turn is None:
            return
        turn, self._turn = self._turn, None
        self._turn_before = turn
        turn.end()
        if self._is_admitted:
            self._conclude(turn.look())
        self._is_admitted = False
        self._status.update_reload(self._bundle, slot=None)

    def close(self) -> None:
        """Give the slot back, or wait for none any longer; takes a moment at most."""
        self.done()
        if self._turn_before is not None:
            # Without this moment the process may end before Consul has heard of it.
            self._turn_before.close()
            self._turn_before = None

    def _begin(self) -> Turn:
        sessions = ConsulSessions(self._source)
        semaphore = Semaphore(sessions, self._options.key, slots=self._options.slots)
        name = f"confcar {self._bundle} on {socket.gethostname()} pid {os.getpid()}"
        # A wait that is answered has to be told from a Consul that does not answer.
        wait_seconds = min(RENEW_SECONDS, self._options.timeout_seconds / 3)
        return Turn(sessions, semaphore, name, wait_seconds=wait_seconds, notify=self.on_news)

    def _wait(self, view: TurnView) -> None:
        holders = tuple(f"{name or 'somebody'}, session {session}" for session, name in view.holders)
        key = self._options.key
        by = f" (held by {'; '.join(holders)})" if holders else ""
        message = f"waiting for a slot of {key}{by}"
        without_at = None
        if view.trouble:
            message = f"cannot get a slot of {key}: {view.trouble}"
            if not holders:
                without_at = time.time() + view.answered_at + self._options.timeout_seconds - time.monotonic()
        slot = self._status.bundle(self._bundle).reload.slot
        is_new = slot is None or (slot.message, slot.state) != (message, "waiting")
        if is_new:
            self._show("waiting", message, holders=holders, error=view.trouble, without_at=without_at)
        if is_new and view.trouble and view.trouble != self._said:
            self._said = view.trouble
            _log.warning("cannot get a slot", extra=fields(bundle=self._bundle, key=key, error=view.trouble))
        elif is_new and slot is None:
            _log.info("waiting for a slot", extra=fields(bundle=self._bundle, key=key))

    def _give_up(self, view: TurnView) -> None:
        why = view.trouble or "Consul does not answer"
        waited = f"{time.monotonic() - self._asked_at:.1f}s"
        self._show("without", f"reloads without a slot of {self._options.key}: {why}", error=why)
        extra = fields(bundle=self._bundle, key=self._options.key, after=waited, error=why)
        _log.warning("reloading without a slot", extra=extra)

    def _show(
        self,
        state: Literal["waiting", "held", "without"],
        message: str,
        *,
        holders: tuple[str, ...] = (),
        error: str | None = None,
        without_at: float | None = None,
    ) -> None:
        slot = SlotStatus(state, message, time.time(), holders, error, without_at)
        self._status.update_reload(self._bundle, slot=slot)

    def _conclude(self, view: TurnView) -> None:
        slot = self._status.bundle(self._bundle).reload.slot
        result = "lost" if view.state == "lost" else "timeout" if slot and slot.state == "without" else "slot"
        self._status.count("rollout_total", self._bundle, result)
        if result == "lost":
            extra = fields(bundle=self._bundle, key=self._options.key, error=view.trouble)
            _log.warning("the slot was lost while the reload ran; another instance may have reloaded too", extra=extra)
