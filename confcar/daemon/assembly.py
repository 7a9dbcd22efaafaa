"""Puts the parts together. The only module that names concrete classes of several layers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

from confcar.config.bundles import BundleOptions
from confcar.config.load import Config
from confcar.log import Redactor
from confcar.model import CONFIG_FOLDER
from confcar.pipeline.bundle import BundlePipeline
from confcar.pipeline.checking import Check
from confcar.pipeline.parts import BundleParts
from confcar.pipeline.reloading import OwedReload
from confcar.pipeline.verifying import Verification
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
    owed = None
    if reloads and (options.reload or options.verify is not None):
        steps = [
            create_reloader(step, environ=context.environ, redactor=context.redactor, own_pid=os.getpid())
            for step in options.reload
        ]
        owed = OwedReload(
            Delivery(steps),
            publisher,
            context.status,
            splay_seconds=options.splay_seconds,
            verification=_create_verification(context, options),
        )
    parts = BundleParts(
        directory=options.directory,
        renderer=create_renderer(context, sources, options),
        check=Check(options.check, context.environ, context.redactor),
        publisher=publisher,
        following=sources.following,
        owed=owed,
        limit_seconds=_limit_seconds(options),
        rolls_back=options.rolls_back,
        drift_seconds=options.drift_seconds if reloads else 0.0,
        settings=_settings_digest(options),
    )
    return BundlePipeline(
        name,
        parts,
        context.status,
        quiet_seconds=options.wait.quiet_seconds,
        max_seconds=options.wait.max_seconds,
    )


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


def _limit_seconds(options: BundleOptions) -> float:
    """Return how long check, reload and verify may take together by their own time limits."""
    steps = (
        step.http.timeout_seconds if step.http else step.timeout_seconds or DEFAULT_TIMEOUT_SECONDS
        for step in options.reload
    )
    verify_seconds = options.verify.within_seconds if options.verify else 0.0
    return sum(steps, verify_seconds + (options.check.timeout_seconds if options.check else 0.0))
