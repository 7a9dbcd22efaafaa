"""The first half of a pass: take what changed, render what it touches, and say what is missing.

Shared by `run`, `once`, `render`, `diff` and `check --live`: none of them can see other data than the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Protocol

from confcar.errors import (
    ConfcarError,
    MissingDataError,
    SourceDeniedError,
    SourceError,
    SourceUnavailableError,
)
from confcar.model import Dependency, Missing, Reading
from confcar.pipeline.inbox import Inbox
from confcar.pipeline.inputs import digest_inputs
from confcar.pipeline.lease_ends import LeaseEnds
from confcar.rendering.renderer import Renderer, Rendering
from confcar.store import Listener, View

_NAMED_IN_MESSAGE = 3
_numbers = itertools.count(1)


class PendingError(ConfcarError):
    """A render waits for data.

    Attributes:
        cause: Why, as the error to end with where waiting ends: a source's, or that the data is not there.
        missing: What the render asked for and did not get; empty while sources have not answered at all.
        is_final: Whether waiting cannot help: the source refused.
        is_absent: Whether the sources confirmed that all of what is missing is not there now.
    """

    def __init__(
        self,
        cause: ConfcarError,
        missing: tuple[Missing, ...] = (),
        *,
        is_final: bool = False,
        is_absent: bool = False,
    ) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.missing = missing
        self.is_final = is_final
        self.is_absent = is_absent


class Follows(Protocol):
    """Where the data comes from; fulfilled by `watchers.following.Following`."""

    def want(self, reader: str, dependencies: frozenset[Dependency], listener: Listener) -> None:
        """Replace what *reader* wants; *listener* is called when something of it changed."""
        ...

    def take(self, reader: str) -> tuple[frozenset[Dependency], View]:
        """Return what changed for *reader* since its last call, and what is known of all that it wants."""
        ...

    def lease_ends(self, reader: str) -> Mapping[Dependency, float]:
        """Return when the leases end of what *reader* took last, in seconds since the epoch, where that has moved."""
        ...

    def published(self, reader: str) -> None:
        """Note that what *reader* took last is published: from now on its primary may use it."""
        ...

    def settled(self, reader: str) -> None:
        """Note that *reader*'s primary has acknowledged what was published last, and so uses nothing older."""
        ...


class Collector:
    """Collects the data of one bundle and renders it. Used by one thread."""

    def __init__(self, name: str, renderer: Renderer, following: Follows, inbox: Inbox) -> None:
        # Its own even beside another collector of the same bundle: one takes over from the other without a gap.
        self._reader = f"{name}#{next(_numbers)}"
        self._renderer = renderer
        self._following = following
        self._inbox = inbox
        self.lease_ends = LeaseEnds(lambda: following.lease_ends(self._reader))
        """When the leases end of what was rendered."""
        self._touched: frozenset[Dependency] | None = None
        self.followed: frozenset[Dependency] | None = None
        """What is followed now, None before `start` and after `withdraw`."""
        self._view: View = {}
        self._newest: int | None = None
        self._unanswered: set[Dependency] = set()
        self.changed_at: float | None = None
        """When the oldest change not published yet was noted, by the inbox's clock; None where there is none."""

    def start(self) -> None:
        """Compile the templates where that was not done yet, and begin to follow what they name.

        Raises:
            RenderError: A template does not compile.
        """
        if not self._renderer.is_compiled:
            self._renderer.compile()
        self._follow()

    def withdraw(self) -> None:
        """Follow nothing any more."""
        if self.followed is not None:
            self._following.want(self._reader, frozenset(), self._inbox.note)
            self.followed = None
            self._unanswered = set()

    def render(self) -> Rendering:
        """Return the files of all templates, rendering only those that a change touched. Never waits.

        Raises:
            PendingError: Data is missing or was not read yet; called again after the inbox's next note.
            RenderError: A template fails on data that is there.
        """
        noted_at = self._inbox.take()
        if self.changed_at is None:
            self.changed_at = noted_at
        self.lease_ends.refresh()  # what is taken now may be in the place of what was renewed until a moment ago
        changed, view = self._following.take(self._reader)
        if self._touched is not None:
            self._touched |= changed
        self._unanswered = {each for each in self._unanswered | changed if not view[each].is_settled}
        if self._unanswered:
            raise PendingError(_no_answer(self._unanswered))
        touched, self._touched = self._touched, None
        self._view = view
        try:
            rendering = self._renderer.render(view, touched)
        finally:
            # Also where it failed: what it reads now may make it render the next time.
            self._follow()
        self._touched = frozenset()
        if rendering.missing:
            raise _pending(rendering.missing, view)
        self.lease_ends.rendered(self._leased_in(rendering))
        return rendering

    def _follow(self) -> None:
        wanted = self._renderer.dependencies
        if wanted != self.followed:
            self._following.want(self._reader, wanted, self._inbox.note)
            self._unanswered = self._unanswered & wanted | wanted - (self.followed or frozenset())
            self.followed = wanted

    def _leased_in(self, rendering: Rendering) -> Mapping[Dependency, Reading]:
        """Return the leased values that were read for any of the files."""
        if all(file.leased_until is None for file in rendering.files):
            return {}
        found = {each: answer.reading for each, answer in self._view.items()}
        leased = {each: reading for each, reading in found.items() if reading and reading.leased_until is not None}
        read = self._renderer.read_of(leased)
        return {each: reading for each, reading in leased.items() if each in read}

    def inputs(self, rendering: Rendering, *, settings: str) -> str:
        """Return the digest of what the last rendering was made of, without leased values; see `digest_inputs`."""
        return digest_inputs(rendering.files, self._view, templates=self._renderer.texts_digest, settings=settings)

    def published(self, generation: int | None) -> None:
        """Note that everything collected so far is on disk as *generation*; None: it was looked at and is held back."""
        self.changed_at = None
        if generation is not None:
            self._newest = generation
            self._following.published(self._reader)

    def settled(self, generation: int | None) -> None:
        """Note that the primary was told *generation* last: where that is the newest, nothing older is in use."""
        if generation is not None and generation == self._newest:
            self._following.settled(self._reader)


def _no_answer(unanswered: set[Dependency]) -> SourceUnavailableError:
    first = min(unanswered, key=repr)
    return SourceUnavailableError(f"source {first.source} has not answered yet: {first.kind}({first.path!r})")


def _pending(missing: tuple[Missing, ...], view: View) -> PendingError:
    asked = {(item.source, item.path) for item in missing}
    # What else stands in the view may be read in a branch that was not taken: its errors are nobody's.
    known = {
        each: answer
        for each, answer in view.items()
        if (each.source, each.path) in asked and not (answer.reading and answer.reading.is_dynamic)
    }
    errors = [answer.error for answer in known.values() if answer.reading is None and answer.error is not None]
    denied = next((error for error in errors if isinstance(error, SourceDeniedError)), None)
    source = next((error for error in errors if isinstance(error, SourceError)), None)
    names = [f"{item.function}({item.path!r}) from {item.source}" for item in missing[:_NAMED_IN_MESSAGE]]
    more = f" and {len(missing) - len(names)} more" if len(missing) > len(names) else ""
    cause = denied or source or MissingDataError(f"missing: {', '.join(names)}{more}")
    is_absent = source is None and {(each.source, each.path) for each in known} == asked
    return PendingError(cause, missing, is_final=denied is not None, is_absent=is_absent)
