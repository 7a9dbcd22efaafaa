"""Taking over a changed config while everything runs: all of it, or nothing.

What is equal before and after is not touched: a source keeps its connections, token and leases, a bundle its thread and
what it knows. Everything that can fail is done before the first thing is changed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from confcar import log
from confcar.config.bundles import BundleOptions
from confcar.config.load import load
from confcar.daemon.assembly import Bundle, Context, Served, Sources, create_bundle, create_watchers
from confcar.daemon.fleet import Fleet
from confcar.daemon.outside import Outside
from confcar.errors import ConfcarError, ConfigError, LockedError, PublishError, TemplateError
from confcar.model import CONFIG_FOLDER, Kind
from confcar.watchers.base import Watcher

if TYPE_CHECKING:  # most configs have no primary, and pay nothing for it
    from confcar.daemon.primary import Primary
    from confcar.supervisor.environment import Environment

# Compiling hundreds of templates takes a tenth of a second.
_RETRY_SECONDS = 15.0
_ANOTHER_PRIMARY = "primary: who is started or followed cannot change while confcar runs; restart confcar for that"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a new config changes.

    Attributes:
        context: The context with the new config.
        watchers: Of the sources that begin, in place of one of the same name or not.
        ended: Names of the sources that the config has no more.
        sources: What bundles read from afterwards.
        bundles: Those that begin.
        kept: Names of the bundles that go on.
        environment: The primary's variables, None where there are none.
    """

    context: Context
    watchers: dict[str, Watcher]
    ended: frozenset[str]
    sources: Sources
    bundles: tuple[Bundle, ...]
    kept: frozenset[str]
    environment: Environment | None


class Reconfigurer:
    """Knows the config in force and takes over a new one. Main thread only, but for `is_stale`."""

    def __init__(self, context: Context, fleet: Fleet, outside: Outside, primary: Primary | None = None) -> None:
        self._primary = primary
        self._context = context
        self._fleet = fleet
        self._outside = outside
        self._text = self._read()
        self._refused: str | None = None
        self._retry_at = 0.0
        context.status.config_loaded(str(context.config.path))

    def is_stale(self) -> bool:
        """Return whether what is in force is not what lies on disk, or what lies there was refused. Any thread."""
        if self._refused is not None:
            return True
        renderers = [bundle.renderer for bundle in self._fleet.bundles.values()]
        if self._primary is not None and self._primary.environment is not None:
            renderers.append(self._primary.environment.renderer)
        return self._text != self._read() or any(each.is_compiled and not each.is_current() for each in renderers)

    def is_outdated(self) -> bool:
        """Return whether a reload may change anything: what is in force is stale, or something never compiled."""
        return self.is_stale() or not all(each.renderer.is_compiled for each in self._fleet.bundles.values())

    def is_retry_due(self) -> bool:
        """Return whether what was refused is to be tried again although nobody asks. Any thread."""
        return self._refused is not None and time.monotonic() >= self._retry_at

    def reload(self, *, is_asked: bool) -> None:
        """Take over what the config and the templates say now. Blocks for no bundle and no source.

        Where nobody asks, a fault that was told already is not told again.

        Raises:
            ConfigError: Something of it is wrong, with every fault that was found; all is as it was.
        """
        text = self._read()
        try:
            plan = self._planned()
            self._take_hold(plan)
        except ConfcarError as error:
            refusal = error if isinstance(error, ConfigError) else ConfigError(str(error))
            self._note_refusal(refusal, is_asked=is_asked)
            raise refusal from error
        self._text, self._refused = text, None
        self._commit(plan)

    def _note_refusal(self, error: ConfigError, *, is_asked: bool) -> None:
        is_news = is_asked or self._refused != str(error)
        self._refused, self._retry_at = str(error), time.monotonic() + _RETRY_SECONDS
        self._context.status.config_refused(str(error))
        for problem in error.problems if is_news else ():
            _log.error("config refused, the old one stays", extra=log.fields(error=problem))

    def _planned(self) -> _Plan:
        context = replace(self._context, config=load(self._context.config.path, environ=self._context.environ))
        before, after = self._context.config.settings, context.config.settings
        fresh = [name for name, options in after.sources.items() if before.sources.get(name) != options]
        watchers = create_watchers(context, fresh, handover=self._fleet.sources.handover)
        try:
            return self._planned_around(context, watchers)
        except BaseException:
            for watcher in watchers.values():
                watcher.close()
            raise

    def _planned_around(self, context: Context, watchers: dict[str, Watcher]) -> _Plan:
        before, after = self._context.config.settings, context.config.settings
        served = self._served(context, watchers)
        sources = Sources(self._fleet.sources.handover, self._fleet.sources.following, served)
        ended = frozenset(before.sources.keys() - after.sources.keys())
        bundles, kept, faults = [], set(), []
        for name, options in after.bundles.items():
            if self._is_unchanged(name, options, served):
                kept.add(name)
                continue
            bundle = create_bundle(context, sources, name, reloads=True)
            try:
                bundle.renderer.compile()
            except TemplateError as error:
                faults += str(error).splitlines()
            bundles.append(bundle)
        environment = self._planned_environment(context, sources, faults)
        if faults:
            raise ConfigError(*dict.fromkeys(faults))
        return _Plan(context, watchers, ended, sources, tuple(bundles), frozenset(kept), environment)

    def _planned_environment(self, context: Context, sources: Sources, faults: list[str]) -> Environment | None:
        """Return the primary's variables, those in force where they are the same; add to *faults* what is wrong."""
        before, after = self._context.config.settings.primary, context.config.settings.primary
        if self._primary is None or after is None or not after.is_same_process_as(before):
            if (before, after) != (None, None):
                faults.append(_ANOTHER_PRIMARY)
            return None
        known = self._primary.environment
        is_same = before is not None and before.environment == after.environment
        if (
            known is not None
            and is_same
            and sources.served == self._fleet.sources.served
            and known.renderer.is_current()
        ):
            return known
        environment = self._primary.new_environment(context, sources)
        try:
            if environment is not None:
                environment.renderer.compile()
        except TemplateError as error:
            faults += str(error).splitlines()
        return environment

    def _served(self, context: Context, watchers: dict[str, Watcher]) -> Served:
        known = dict(self._fleet.sources.served)
        names = context.config.settings.sources
        kinds = {name: watchers[name].kinds if name in watchers else known[name] for name in names}
        return (*kinds.items(), (CONFIG_FOLDER, known[CONFIG_FOLDER]))

    def _is_unchanged(self, name: str, options: BundleOptions, served: Served) -> bool:
        bundle = self._fleet.bundles.get(name)
        if bundle is None or bundle.options != options or not bundle.renderer.is_current():
            return False
        before, after, names = _servers(self._fleet.sources.served), _servers(served), dict(served)
        return all(
            each.source in names and (before.get(each.kind) != each.source or after.get(each.kind) == each.source)
            for each in bundle.pipeline.followed
        )

    def _take_hold(self, plan: _Plan) -> None:
        """Hold the new directories and move what others find confcar by; let go of all where that fails."""
        held = {bundle.options.directory for bundle in self._fleet.bundles.values()}
        new = [bundle for bundle in plan.bundles if bundle.options.directory not in held]
        try:
            for bundle in new:
                _reserve(bundle)
            self._outside.move_to(plan.context.config.settings)
        except ConfigError:
            for bundle in new:
                bundle.publisher.close()
            for watcher in plan.watchers.values():
                watcher.close()
            raise

    def _commit(self, plan: _Plan) -> None:
        before, settings = self._context.config, plan.context.config.settings
        self._context = plan.context
        log.configure(plan.context.redactor, level=settings.log.level, format_=settings.log.format)
        status = plan.context.status
        status.arrange(
            {name: options.type for name, options in settings.sources.items()},
            {name: str(options.directory) for name, options in settings.bundles.items()},
            fresh=plan.watchers.keys(),
        )
        bundles = self._fleet.bundles
        for name in plan.kept:
            bundles[name].renderer.catalog.replace(plan.sources.served)
        ended = bundles.keys() - settings.bundles.keys()
        if settings.handover != before.settings.handover:
            _log.warning("handover changes at the next start only")
        plan.sources.handover.serve(settings.sources)
        # The sources first: nothing that begins is to see an answer of a place that it does not read from.
        plan.sources.following.replace(list(plan.watchers.values()), removed=plan.ended)
        self._fleet.replace(plan.bundles, sources=plan.sources, kept=plan.kept)
        if self._primary is not None and settings.primary is not None:
            self._primary.replace(settings.primary, plan.environment)
        status.config_loaded(str(plan.context.config.path))
        for warning in plan.context.config.warnings:
            if warning not in before.warnings:
                _log.warning(warning)
        _tell(plan, ended)

    def _read(self) -> bytes | None:
        try:
            return self._context.config.path.read_bytes()
        except OSError:
            return None


def _tell(plan: _Plan, ended: Sequence[str] | set[str]) -> None:
    said = {
        "sources": sorted(plan.watchers),
        "sources_ended": sorted(plan.ended),
        "bundles": [bundle.name for bundle in plan.bundles],
        "bundles_ended": sorted(ended),
        "bundles_unchanged": len(plan.kept),
    }
    _log.info("config reloaded", extra=log.fields(**{name: value for name, value in said.items() if value}))


def _servers(served: Served) -> dict[Kind, str]:
    """Return which source serves each kind: the first one that can."""
    return {kind: name for name, kinds in reversed(served) for kind in kinds}


def _reserve(bundle: Bundle) -> None:
    try:
        bundle.publisher.reserve()
    except LockedError as error:
        raise ConfigError(f"bundles.{bundle.name}.directory: {error}") from error
    except PublishError as error:
        # The volume may come later, as at the start: the bundle tries again, and says so.
        _log.warning("directory cannot be used yet", extra=log.fields(bundle=bundle.name, error=str(error)))
