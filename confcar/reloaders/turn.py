"""One turn at reloading: a thread that gets a slot of the fleet's semaphore, keeps it, and gives it back.

Consul can prove that a slot was held a moment ago, never that it is held now. So a turn counts as had only while the
last proof is fresh, and is proven again otherwise. Nobody waits for this thread: `notify` says that `look` has news.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from confcar.backoff import Backoff
from confcar.clients.consul_session import SESSION_SECONDS, ConsulSessions
from confcar.errors import SourceError, SourceUnavailableError
from confcar.log import fields
from confcar.reloaders.semaphore import Semaphore

RENEW_SECONDS = SESSION_SECONDS / 3
FRESH_SECONDS = 1.0
"""How old a proof may be when a reload starts. Each proof renews the session: by itself Consul ends it no sooner than
SESSION_SECONDS after that."""
_BACKOFF = (0.25, 4.0)
_END_SECONDS = 0.4
_log = logging.getLogger(__name__)

TurnState = Literal["seeking", "held", "lost"]
"""lost: the session ended while the slot was in use; nothing is sought any more."""


@dataclass(frozen=True, slots=True)
class TurnView:
    """What is known of a turn.

    Attributes:
        state: See TurnState.
        proven_at: When the slot was last proven, in monotonic seconds; minus infinity where it never was.
        answered_at: When Consul last said how it stands, or the turn began, in monotonic seconds.
        holders: Who has the slots: session to its name, which may be empty.
        trouble: Why a slot cannot be had although nobody may have it; None where nothing is wrong.
    """

    state: TurnState
    answered_at: float
    proven_at: float = -math.inf
    holders: tuple[tuple[str, str], ...] = field(default=())
    trouble: str | None = None


class Turn:
    """One turn, from now until `end`. Its methods may be called from any thread, and do not block.

    Args:
        sessions: The Consul to ask; closed when the turn is over.
        semaphore: The semaphore in it.
        name: Who wants a slot, for people: in the session's name and in the contender's key.
        wait_seconds: How long Consul may say nothing while nothing changes, above 0 and at most RENEW_SECONDS.
        notify: Called by the turn's thread when `look` has news.
    """

    def __init__(
        self,
        sessions: ConsulSessions,
        semaphore: Semaphore,
        name: str,
        *,
        wait_seconds: float = RENEW_SECONDS,
        notify: Callable[[], None],
    ) -> None:
        self._sessions = sessions
        self._semaphore = semaphore
        self._name = name
        self._notify = notify
        self._wait_seconds = wait_seconds
        self._changed = threading.Condition()
        self._view = TurnView("seeking", time.monotonic())
        self._is_ended = False
        self._is_in_use = False
        self._is_doubted = False
        self._backoff = Backoff(*_BACKOFF)
        self._session = ""
        self._renew_at = -math.inf
        self._alive_until = -math.inf
        self._is_contending = False
        self._index = 0
        self._thread = threading.Thread(target=self._run, name=f"confcar-rollout {name}", daemon=True)
        self._thread.start()

    def look(self) -> TurnView:
        """Return what is known now."""
        with self._changed:
            return self._view

    def use(self) -> bool:
        """Return whether the slot is held by a fresh proof, and from now on in use; where not, it is proven again."""
        with self._changed:
            is_held = self._view.state == "held"
            self._is_in_use = is_held and time.monotonic() - self._view.proven_at <= FRESH_SECONDS
            if is_held and not self._is_in_use and not self._is_doubted:
                # Nothing was wrong until now: only from here on it may turn out that Consul does not answer.
                self._is_doubted, self._view = True, replace(self._view, answered_at=time.monotonic())
                self._changed.notify_all()
            return self._is_in_use

    def end(self) -> None:
        """Give the slot back, in the turn's thread; nobody has to wait for that."""
        with self._changed:
            self._is_ended = True
            self._changed.notify_all()
        self._sessions.interrupt()

    def close(self) -> None:
        """End the turn, wait a moment for the slot to be given back, and leave it to its session's end otherwise."""
        self.end()
        self._thread.join(_END_SECONDS)
        self._sessions.close()

    def _run(self) -> None:
        while not self._is_ended and self._view.state != "lost":
            try:
                if self._view.state == "held":
                    self._keep()
                else:
                    self._seek()
                self._backoff.reset()
            except SourceError as error:
                self._failed(error)
            except Exception as error:  # noqa: BLE001 - a thread that dies without a word would look like one that waits
                _log.exception("unexpected error in a rollout", extra=fields(who=self._name))
                self._failed(SourceUnavailableError(f"unexpected {type(error).__name__} in the rollout, see the log"))
        with self._changed:
            self._changed.wait_for(lambda: self._is_ended)
        self._give_back()

    def _seek(self) -> None:
        self._renew_or_begin()
        if not self._is_contending:
            self._is_contending = self._semaphore.contend(self._session, self._name)
            self._index = 0
        folder = self._semaphore.folder
        if self._index == 0:
            listing = self._sessions.list(folder)
        else:
            listing = self._sessions.wait(folder, after=self._index, wait_seconds=self._wait_seconds)
        self._index = listing.index
        standing = self._semaphore.standing(listing)
        self._show(
            answered_at=time.monotonic(), holders=tuple(standing.holders.items()), trouble=standing.conflict or None
        )
        self._is_contending = self._semaphore.is_contending(self._session, listing)
        if self._semaphore.holds(self._session, listing):
            self._prove()  # a slot was taken, and then something failed before that was seen
        elif self._is_contending and standing.is_free:
            self._index = 0  # whatever comes of it, the listing is no longer how it stands
            if self._semaphore.take(self._session, listing):
                self._prove()

    def _renew_or_begin(self) -> None:
        now = time.monotonic()
        if self._session and now < self._renew_at:
            return
        if not self._session or not self._sessions.renew(self._session):
            self._session, self._is_contending = "", False
            self._session = self._sessions.create(self._name)
        self._renew_at, self._alive_until = now + RENEW_SECONDS, now + SESSION_SECONDS

    def _keep(self) -> None:
        with self._changed:
            left = max(0.0, self._renew_at - time.monotonic())
            self._changed.wait_for(lambda: self._is_ended or self._is_doubted, left)
            if self._is_ended:
                return
        self._prove()

    def _prove(self) -> None:
        """Renew, and ask for the slot once more: that a document was written proves nothing of the session it names."""
        now = time.monotonic()
        if not self._sessions.renew(self._session):
            self._lose("the session was ended")
            return
        self._renew_at, self._alive_until = now + RENEW_SECONDS, now + SESSION_SECONDS
        listing = self._sessions.list(self._semaphore.folder)
        if self._semaphore.holds(self._session, listing):
            self._is_doubted = False
            self._show(state="held", proven_at=now, answered_at=now, holders=(), trouble=None)
        elif self._view.state == "held":
            self._lose("it is no longer among the holders")

    def _lose(self, why: str) -> None:
        with self._changed:
            is_in_use = self._is_in_use
        self._session, self._is_contending, self._index, self._is_doubted = "", False, 0, False
        self._show(state="lost" if is_in_use else "seeking", proven_at=-math.inf, trouble=why)

    def _failed(self, error: SourceError) -> None:
        if self._is_ended:
            return
        delay = self._backoff.next_seconds(getattr(error, "retry_after_seconds", None))
        self._renew_at, self._index = -math.inf, 0
        self._show(trouble=str(error))
        if self._view.state == "held" and time.monotonic() >= self._alive_until:
            self._lose(str(error))
        with self._changed:
            self._changed.wait_for(lambda: self._is_ended, delay)

    def _show(self, **changes: object) -> None:
        with self._changed:
            before, self._view = self._view, replace(self._view, **changes)  # type: ignore[arg-type]  # fields by name
            is_news = before != replace(self._view, answered_at=before.answered_at)
        if is_news and not self._is_ended:
            self._notify()

    def _give_back(self) -> None:
        try:
            if self._session:
                # Its end deletes the contender's key, and with that the slot is free; the rest is tidiness.
                self._sessions.destroy(self._session)
                self._semaphore.tidy(self._session)
        except SourceError as error:
            _log.debug("a slot is left to its session's end", extra=fields(who=self._name, error=str(error)))
        finally:
            self._sessions.close()
