"""All bundles that run, each with its thread, and the sources under them.

Whoever starts, replaces or ends bundles does so here, from the main thread; any thread may look at them or ask them.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from confcar import children
from confcar.daemon.assembly import Bundle, Context, Sources, create_bundle, create_sources
from confcar.daemon.signals import Signals
from confcar.pipeline.bundle import BundlePipeline
from confcar.status import Status

# How long a bundle may take to end after a stop, or after the end of the reload that was under way.
_END_SECONDS = 0.8
# What a killed command leaves is taken away then: a staged generation, the lock.
_CLEAN_UP_SECONDS = 0.15
_LOOK_SECONDS = 0.05


@dataclass(eq=False, slots=True)
class _Member:
    bundle: Bundle
    thread: threading.Thread | None = None


class Fleet:
    """The bundles of one config after the other.

    Attributes:
        sources: What they read from.
    """

    def __init__(self, context: Context, *, reloads: bool) -> None:
        self.sources: Sources = create_sources(context, life="run" if reloads else "once")
        self._status: Status = context.status
        self._members: dict[str, _Member] = {}
        # Those that were told to end, as long as they take to.
        self._leaving: list[_Member] = []
        for name, options in context.config.settings.bundles.items():
            context.status.add_bundle(name, str(options.directory))
            self._members[name] = _Member(create_bundle(context, self.sources, name, reloads=reloads))

    @property
    def bundles(self) -> Mapping[str, Bundle]:
        """The bundles by name, as the config in force has them. Any thread."""
        return {name: member.bundle for name, member in self._members.items()}

    @property
    def template_files(self) -> frozenset[Path]:
        """The files of all templates and of what they include, as far as that is known. Any thread."""
        return frozenset().union(*(bundle.renderer.files for bundle in self.bundles.values()))

    def start(self, body: Callable[[BundlePipeline], None]) -> None:
        """Give each bundle its thread."""
        self.sources.handover.begin()
        for member in self._members.values():
            self._start(member, functools.partial(body, member.bundle.pipeline))

    def replace(self, bundles: Sequence[Bundle], *, sources: Sources, kept: frozenset[str]) -> None:
        """Run *bundles* and those *kept*, in place of all that ran. Does not wait for what ends.

        A new bundle takes the directory over from the one that has it now, once that one's pass or reload is over.

        Args:
            bundles: Those that begin.
            sources: What they read from.
            kept: Names of those that go on.
        """
        self.sources = sources
        ending = {name: member for name, member in self._members.items() if name not in kept}
        by_directory = {member.bundle.options.directory: member for member in ending.values()}
        members = {name: member for name, member in self._members.items() if name in kept}
        before: dict[str, _Member | None] = {}
        for bundle in bundles:
            members[bundle.name] = _Member(bundle)
            before[bundle.name] = by_directory.pop(bundle.options.directory, None)
        self._members = members
        taken_over = [member for member in before.values() if member is not None]
        self._leaving = [member for member in self._leaving if member.thread is not None and member.thread.is_alive()]
        for member in ending.values():
            member.bundle.pipeline.stop(hands_over=member in taken_over)
            self._leaving.append(member)
        for name, predecessor in before.items():
            self._start(members[name], _succeeding(members[name].bundle.pipeline, predecessor))
        for member in ending.values():
            if member not in taken_over:
                self._withdraw_after(member)

    def wait(self, signals: Signals) -> None:
        """Block until every bundle has ended, or a stop is asked for."""
        for member in self._members.values():
            while _is_running(member) and not signals.wait_for_stop(0.0):
                _join(member, 2 * _LOOK_SECONDS)

    @property
    def is_at_rest(self) -> bool:
        """Whether no bundle is about to publish something, or to tell somebody about it. Any thread."""
        return all(bundle.pipeline.inbox.is_idle for bundle in self.bundles.values())

    def wake(self) -> None:
        """Have every bundle look again at what it owes. Any thread; does not block."""
        for bundle in self.bundles.values():
            bundle.pipeline.inbox.call()

    def end(self) -> None:
        """Stop everything. Waits for reloads that are under way, and only a moment for anything else.

        A check that hangs is killed: what it was to accept is not published.
        """
        members = [*self._members.values(), *self._leaving]
        for member in self._members.values():
            member.bundle.pipeline.stop()
        until = time.monotonic() + _END_SECONDS
        for member in members:
            while _is_running(member) and time.monotonic() < until:
                _join(member, _LOOK_SECONDS)
                if any(each.bundle.pipeline.is_reloading for each in members):
                    until = time.monotonic() + _END_SECONDS
        if any(_is_running(member) for member in members):
            children.kill_groups()
            self._join_all(members)
        for member in members:
            if member.thread is None:
                member.bundle.pipeline.close()
        # Last: what ends with a source may be what a reload has just told the primary of.
        self.sources.handover.end()
        self.sources.following.close()

    def _join_all(self, members: Sequence[_Member]) -> None:
        until = time.monotonic() + _CLEAN_UP_SECONDS
        for member in members:
            while _is_running(member) and time.monotonic() < until:
                _join(member, _LOOK_SECONDS)

    def _start(self, member: _Member, body: Callable[[], None]) -> None:
        name = f"confcar-bundle-{member.bundle.name}"
        member.thread = threading.Thread(target=body, name=name, daemon=True)
        member.thread.start()

    def _withdraw_after(self, member: _Member) -> None:
        """Let nothing be followed for a bundle that is gone, once its thread is too."""

        def withdraw() -> None:
            if member.thread is not None:
                member.thread.join()
            member.bundle.pipeline.withdraw()
            self._status.tidy()

        threading.Thread(target=withdraw, name=f"confcar-leave-{member.bundle.name}", daemon=True).start()


def _succeeding(pipeline: BundlePipeline, before: _Member | None) -> Callable[[], None]:
    def body() -> None:
        if before is not None:
            if before.thread is not None:
                before.thread.join()
            pipeline.take_over(before.bundle.pipeline)
        pipeline.run()

    return body


def _is_running(member: _Member) -> bool:
    return member.thread is not None and member.thread.is_alive()


def _join(member: _Member, seconds: float) -> None:
    if member.thread is not None:
        member.thread.join(seconds)
