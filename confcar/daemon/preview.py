"""Renders without publishing, for `render`, `diff` and `check --live`: same sources, same renderer, nothing written."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from confcar.config.bundles import TemplateOptions
from confcar.daemon.assembly import Context, Sources, create_publisher, create_renderer, create_sources
from confcar.errors import ConfcarError
from confcar.model import RenderedFile
from confcar.pipeline.collecting import Collector, PendingError
from confcar.pipeline.inbox import Inbox
from confcar.publishing.publisher import PublishedFile
from confcar.supervisor.environment import environment_templates

PRIMARY_ENVIRONMENT = "primary.environment"
"""What the primary's variables are called among the bundles; no bundle can bear it."""


@dataclass(frozen=True, slots=True)
class Preview:
    """One bundle as it would be published now.

    Attributes:
        bundle: Its name.
        files: What would be published; empty where *error* says why not.
        error: Why it cannot be rendered, None where it can.
    """

    bundle: str
    files: tuple[RenderedFile, ...] = ()
    error: ConfcarError | None = None


def compile_templates(context: Context) -> list[ConfcarError]:
    """Return what is wrong with all templates, the primary's variables included; asks no source. Empty: all compile."""
    problems = []
    with _sources(context) as sources:
        for templates in template_sets(context).values():
            try:
                create_renderer(context, sources, templates).compile()
            except ConfcarError as error:
                problems.append(error)
    return problems


def template_sets(context: Context) -> dict[str, Sequence[TemplateOptions]]:
    """Return what is rendered together: each bundle's templates by its name, and the primary's variables."""
    settings = context.config.settings
    sets: dict[str, Sequence[TemplateOptions]] = {name: options.templates for name, options in settings.bundles.items()}
    if settings.primary is not None and settings.primary.environment:
        sets[PRIMARY_ENVIRONMENT] = environment_templates(settings.primary.environment)
    return sets


def preview(context: Context, bundles: Sequence[str], *, timeout_seconds: float) -> Iterator[Preview]:
    """Yield each of *bundles*, names of `template_sets`, as it would be published now.

    Waits until the time is up for sources that do not answer, but not for data that they say is not there.
    """
    deadline = time.monotonic() + timeout_seconds
    with _sources(context) as sources:
        # All begin before the first is waited for: they share the time.
        for each in [_Waiting(context, sources, name) for name in bundles]:
            yield each.preview(deadline)


def published(context: Context, bundle: str) -> dict[str, PublishedFile]:
    """Return what is published of a bundle now, by destination; needs neither lock nor write permission."""
    return dict(create_publisher(bundle, context.config.settings.bundles[bundle]).read_published())


@contextmanager
def _sources(context: Context) -> Iterator[Sources]:
    sources = create_sources(context, life="preview")
    try:
        yield sources
    finally:
        sources.following.close()


class _Waiting:
    """One bundle whose data is being collected."""

    def __init__(self, context: Context, sources: Sources, name: str) -> None:
        self._name = name
        self._inbox = Inbox()
        renderer = create_renderer(context, sources, template_sets(context)[name])
        self._collector = Collector(name, renderer, sources.following, self._inbox)
        self._fault: ConfcarError | None = None
        try:
            self._collector.start()
        except ConfcarError as error:
            self._fault = error

    def preview(self, deadline: float) -> Preview:
        if self._fault is not None:
            return Preview(self._name, error=self._fault)
        while True:
            try:
                return Preview(self._name, self._collector.render().files)
            except PendingError as error:
                if error.is_final or error.is_absent or time.monotonic() >= deadline:
                    return Preview(self._name, error=error.cause)
            except ConfcarError as error:
                return Preview(self._name, error=error)
            self._inbox.wait(deadline)
