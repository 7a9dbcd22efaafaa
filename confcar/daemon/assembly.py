"""Puts the parts together. The only module that names concrete classes of several layers."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from confcar.config.bundles import BundleOptions, TemplateOptions
from confcar.config.load import Config
from confcar.config.sources import ConsulOptions
from confcar.handover.handover import Handover, Life
from confcar.log import Redactor, fields
from confcar.model import CONFIG_FOLDER, Kind
from confcar.pipeline.bundle import BundlePipeline
from confcar.pipeline.checking import Check
from confcar.pipeline.parts import BundleParts
from confcar.pipeline.reloading import OwedReload
from confcar.pipeline.roles import Paces
from confcar.pipeline.verifying import Verification
from confcar.publishing.publisher import Publisher
from confcar.reloaders.base import FindsProcess, create_reloader
from confcar.reloaders.command import DEFAULT_TIMEOUT_SECONDS
from confcar.reloaders.delivery import Delivery
from confcar.rendering.catalog import SourceCatalog
from confcar.rendering.renderer import Renderer
from confcar.status import Status
from confcar.store import Store
from confcar.watchers.base import Watcher
from confcar.watchers.file import ConfigFolderWatcher
from confcar.watchers.following import Following
from confcar.watchers.registry import create_watcher

Served = tuple[tuple[str, frozenset[Kind]], ...]
"""What each source can serve, in the order of the config."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sources:
    """The following of all sources, who serves what, and what is passed on to the next process."""

    handover: Handover
    following: Following
    served: Served


class PrimaryOfBundles(Protocol):
    """What bundles have to do with the primary; fulfilled by `primary.Primary`."""

    @property
    def finder(self) -> FindsProcess:
        """Finds its process."""
        ...

    def is_away(self) -> bool:
        """Return whether it is about to start, and cannot be told anything now."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What every part is given: the config, the environment, the board to write on and the secrets to mask.

    *primary* is the one that bundles tell by a signal without a target, None where there is none, and in `once`.
    """

    config: Config
    environ: Mapping[str, str]
    status: Status
    redactor: Redactor
    primary: PrimaryOfBundles | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """One bundle, put together.

    Attributes:
        name: Its name in the config.
        options: What the config says of it.
        renderer: Its templates, for those who want to know whether they are still what lies on disk.
        publisher: Its directory, for those who have to hold it before the pipeline runs.
        pipeline: Its pass.
    """

    name: str
    options: BundleOptions
    renderer: Renderer
    publisher: Publisher
    pipeline: BundlePipeline


def create_sources(context: Context, *, life: Life) -> Sources:
    """Return all configured sources, followed from the moment that somebody wants something of them.

    Args:
        context: Of the process.
        life: Which process it is, for what it may use up, leave and take away.
    """
    config, status = context.config, context.status
    path = config.settings.handover.path if config.settings.handover is not None else None
    handover = Handover(path, life=life, sources=config.settings.sources)
    watchers = create_watchers(context, config.settings.sources, handover=handover)
    for name, options in config.settings.sources.items():
        status.add_source(name, options.type)
    folder = ConfigFolderWatcher(config.directory, status=status)
    following = Following([*watchers.values(), folder], store=Store(), status=status)
    served = tuple((name, watcher.kinds) for name, watcher in watchers.items())
    return Sources(handover, following, (*served, (CONFIG_FOLDER, folder.kinds)))


def create_watchers(context: Context, names: Iterable[str], *, handover: Handover) -> dict[str, Watcher]:
    """Return the watchers of some of the configured sources, by name. They connect to nothing yet."""
    sources = context.config.settings.sources
    return {name: create_watcher(name, sources[name], status=context.status, handover=handover) for name in names}


def create_renderer(context: Context, sources: Sources, templates: Sequence[TemplateOptions]) -> Renderer:
    """Return the renderer of a bundle's templates, or of the primary's variables; nothing is compiled yet."""
    return Renderer(
        templates,
        catalog=SourceCatalog(sources.served),
        config_directory=context.config.directory,
        redactor=context.redactor,
        environ=context.environ,
    )


def create_publisher(name: str, options: BundleOptions) -> Publisher:
    """Return the publisher of one bundle; nothing is opened yet."""
    return Publisher(name, options.directory, mode=options.publish, keep=options.keep)


def create_bundle(context: Context, sources: Sources, name: str, *, reloads: bool) -> Bundle:
    """Return one bundle; with *reloads* it tells the primary, without it never does."""
    options = context.config.settings.bundles[name]
    publisher = create_publisher(name, options)
    renderer = create_renderer(context, sources, options.templates)
    for destination in options.outside:
        note = "published by rename, not part of the atomic set"
        _LOG.info("file outside the directory", extra=fields(bundle=name, destination=destination, note=note))
    is_told = reloads and bool(options.reload or options.verify)
    parts = BundleParts(
        directory=options.directory,
        renderer=renderer,
        check=Check(options.check, context.environ, context.redactor),
        publisher=publisher,
        following=sources.following,
        owed=_create_owed(context, name, options, publisher) if is_told else None,
        limit_seconds=_limit_seconds(options),
        rolls_back=options.rolls_back,
        drift_seconds=options.drift_seconds if reloads else 0.0,
        settings=_settings_digest(options),
    )
    pipeline = BundlePipeline(
        name,
        parts,
        context.status,
        quiet_seconds=options.wait.quiet_seconds,
        max_seconds=options.wait.max_seconds,
    )
    return Bundle(name, options, renderer, publisher, pipeline)


def _create_owed(context: Context, name: str, options: BundleOptions, publisher: Publisher) -> OwedReload:
    primary = context.primary
    finder = primary.finder if primary is not None else None
    steps = [
        create_reloader(step, environ=context.environ, redactor=context.redactor, own_pid=os.getpid(), primary=finder)
        for step in options.reload
    ]
    to_primary = [step.is_for_primary for step in options.reload]

    def is_held(step: int) -> bool:
        # Behind the last step stands the verification, which a primary that does not run cannot pass.
        return primary is not None and (step >= len(to_primary) or to_primary[step]) and primary.is_away()

    owed = OwedReload(
        Delivery(steps),
        publisher,
        context.status,
        splay_seconds=options.splay_seconds,
        verification=_create_verification(context, options),
        pace=create_rollout(context, name),
    )
    owed.hold_while(is_held)
    return owed


def _create_verification(context: Context, options: BundleOptions) -> Verification | None:
    verify = options.verify
    if verify is None:
        return None
    from confcar.reloaders.probes import create_probe

    probe = create_probe(verify, environ=context.environ, redactor=context.redactor)
    return Verification(probe, within_seconds=verify.within_seconds, stable_for_seconds=verify.stable_for_seconds)


def _settings_digest(options: BundleOptions) -> str:
    """Return a digest of how a generation is told and verified: what was refused by other settings is tried again."""
    return hashlib.sha256(repr((options.reload, options.verify)).encode()).hexdigest() if options.verify else ""


def create_rollout(context: Context, name: str) -> Paces | None:
    """Return what paces a bundle's reloads among the fleet's; None where nothing does. Connects to nothing yet."""
    options = context.config.settings.bundles[name].rollout
    if options is None:
        return None
    from confcar.reloaders.rollout import Rollout

    source = context.config.settings.sources[options.source]
    assert isinstance(source, ConsulOptions), "the config was checked"
    return Rollout(name, options, source, status=context.status)


def _limit_seconds(options: BundleOptions) -> float:
    """Return how long check, reload and verify may take together by their own time limits."""
    steps = (
        step.http.timeout_seconds if step.http else step.timeout_seconds or DEFAULT_TIMEOUT_SECONDS
        for step in options.reload
    )
    verify_seconds = options.verify.within_seconds if options.verify else 0.0
    return sum(steps, verify_seconds + (options.check.timeout_seconds if options.check else 0.0))
