"""Puts the parts together. The only module that names concrete classes of several layers."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass

from confcar.config.bundles import BundleOptions
from confcar.config.load import Config
from confcar.config.sources import ConsulOptions
from confcar.log import Redactor, fields
from confcar.model import CONFIG_FOLDER
from confcar.pipeline.bundle import BundleParts, BundlePipeline
from confcar.pipeline.checking import Check
from confcar.pipeline.reloading import OwedReload, Paces
from confcar.publishing.publisher import Publisher
from confcar.reloaders.base import create_reloader
from confcar.reloaders.command import DEFAULT_TIMEOUT_SECONDS
from confcar.reloaders.delivery import Delivery
from confcar.rendering.catalog import SourceCatalog
from confcar.rendering.renderer import Renderer
from confcar.status import Status
from confcar.store import Store
from confcar.watchers.file import ConfigFolderWatcher
from confcar.watchers.following import Following
from confcar.watchers.registry import create_watcher

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sources:
    """The following of all sources, what it fills, and who serves what."""

    store: Store
    following: Following
    catalog: SourceCatalog


@dataclass(frozen=True, slots=True)
class Context:
    """What every part is given: the config, the environment, the board to write on and the secrets to mask."""

    config: Config
    environ: Mapping[str, str]
    status: Status
    redactor: Redactor


def create_sources(context: Context) -> Sources:
    """Return all configured sources, followed from the moment that somebody wants something of them."""
    config, status = context.config, context.status
    watchers = [create_watcher(name, options, status=status) for name, options in config.settings.sources.items()]
    for name, options in config.settings.sources.items():
        status.add_source(name, options.type)
    folder = ConfigFolderWatcher(config.directory, status=status)
    store = Store()
    following = Following([*watchers, folder], store=store, status=status)
    catalog = SourceCatalog([(watcher.name, watcher.kinds) for watcher in watchers] + [(CONFIG_FOLDER, folder.kinds)])
    return Sources(store, following, catalog)


def create_renderer(context: Context, sources: Sources, options: BundleOptions) -> Renderer:
    """Return the renderer of one bundle; nothing is compiled yet."""
    return Renderer(
        options.templates,
        catalog=sources.catalog,
        config_directory=context.config.directory,
        redactor=context.redactor,
        environ=context.environ,
    )


def create_publisher(name: str, options: BundleOptions) -> Publisher:
    """Return the publisher of one bundle; nothing is opened yet."""
    return Publisher(name, options.directory, mode=options.publish, keep=options.keep)


def create_pipeline(context: Context, sources: Sources, name: str, *, reloads: bool) -> BundlePipeline:
    """Return the pipeline of one bundle; with *reloads* it tells the primary, without it never does."""
    options = context.config.settings.bundles[name]
    publisher = create_publisher(name, options)
    context.status.add_bundle(name, str(options.directory))
    for destination in options.outside:
        note = "published by rename, not part of the atomic set"
        _LOG.info("file outside the directory", extra=fields(bundle=name, destination=destination, note=note))
    owed = None
    if reloads and options.reload:
        steps = [
            create_reloader(step, environ=context.environ, redactor=context.redactor, own_pid=os.getpid())
            for step in options.reload
        ]
        pace = create_rollout(context, name)
        owed = OwedReload(Delivery(steps), publisher, context.status, splay_seconds=options.splay_seconds, pace=pace)
    parts = BundleParts(
        directory=options.directory,
        renderer=create_renderer(context, sources, options),
        check=Check(options.check, context.environ, context.redactor),
        publisher=publisher,
        following=sources.following,
        owed=owed,
        limit_seconds=_limit_seconds(options),
    )
    return BundlePipeline(
        name,
        parts,
        context.status,
        quiet_seconds=options.wait.quiet_seconds,
        max_seconds=options.wait.max_seconds,
    )


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
    """Return how long check and reload may take together by their own time limits."""
    steps = (
        step.http.timeout_seconds if step.http else step.timeout_seconds or DEFAULT_TIMEOUT_SECONDS
        for step in options.reload
    )
    return sum(steps, options.check.timeout_seconds if options.check else 0.0)
