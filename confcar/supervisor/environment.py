"""The variables that are rendered for the primary: a bundle without files, rendered and followed like any other.

The values live in memory only: they reach the primary's environment and no file, log, argument list or status.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from confcar.commands import without_credentials
from confcar.config.bundles import TemplateOptions
from confcar.errors import ConfcarError
from confcar.log import fields
from confcar.model import RenderedFile
from confcar.pipeline.collecting import Collector, Follows, PendingError
from confcar.pipeline.inbox import Inbox
from confcar.primary_status import EnvironmentStatus
from confcar.rendering.renderer import Renderer
from confcar.status import Status

_QUIET_SECONDS, _MAX_SECONDS = 0.2, 5.0
# What the service manager says to confcar alone.
_OWN_VARIABLES = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"})
_PREFIX = "primary.environment."
_log = logging.getLogger(__name__)


def environment_templates(environment: Mapping[str, str]) -> Sequence[TemplateOptions]:
    """Return the values as templates, named so that messages lead to the config."""
    return [TemplateOptions(content=text, destination=f"{_PREFIX}{name}") for name, text in environment.items()]


def environment_of_primary(environ: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Return what the primary gets: confcar's environment without what is its alone, and the rendered values."""
    kept = {name: value for name, value in without_credentials(environ).items() if name not in _OWN_VARIABLES}
    return kept | dict(values)


class Environment:
    """Renders the variables. Used by the primary's thread, but for `renderer`.

    Attributes:
        renderer: Their templates, for those who want to know whether they are still what lies on disk.
        values: The last complete ones by name, None before the first.
    """

    def __init__(self, renderer: Renderer, following: Follows, status: Status) -> None:
        self.renderer = renderer
        self.values: Mapping[str, str] | None = None
        self._following = following
        self._status = status
        self._collector: Collector | None = None
        self._inbox: Inbox | None = None
        self._version = 0

    def begin(self, inbox: Inbox, before: Environment | None = None) -> None:
        """Follow what the templates name; changes are noted in *inbox*. Takes the place of *before*."""
        self._inbox = inbox
        self._collector = Collector("primary environment", self.renderer, self._following, inbox)
        self._status.update_primary(environment=EnvironmentStatus())
        try:
            self._collector.start()
        except ConfcarError as error:
            self._failed(error)
        if before is not None:
            before.close()

    def close(self) -> None:
        """Follow nothing any more."""
        if self._collector is not None:
            self._collector.withdraw()

    def given(self) -> None:
        """Note that a primary was started with `values`: credentials of older ones are in nobody's use any more."""
        if self._collector is not None:
            self._collector.settled(self._version)

    def refresh(self) -> None:
        """Render what has changed into `values`; where data is missing or a template fails, they stay as they were.

        Blocks while changes go on coming, for at most five seconds, once there are values.
        """
        assert self._collector is not None, "begin comes first"
        assert self._inbox is not None, "the same"
        if self._collector.followed is None:
            return
        if self.values is not None:
            self._inbox.settle(quiet_seconds=_QUIET_SECONDS, max_seconds=_MAX_SECONDS)
        try:
            files = self._collector.render().files
        except PendingError as error:
            self._pending(error)
        except ConfcarError as error:
            self._failed(error)
        else:
            self._take_over(files)

    def _take_over(self, files: Sequence[RenderedFile]) -> None:
        values = {file.destination.removeprefix(_PREFIX): file.content.decode() for file in files}
        if self.values is not None and self.values != values:
            changed = [name for name in values if self.values.get(name) != values[name]]
            _log.info("environment of the primary changed", extra=fields(variables=changed))
        self.values = values
        assert self._collector is not None, "it has rendered"
        self._version += 1
        self._collector.published(self._version)
        self._status.update_primary(environment=EnvironmentStatus(pending=False))

    def _pending(self, error: PendingError) -> None:
        shown = self._shown()
        if error.missing and shown.missing != error.missing:
            first = error.missing[0]
            _log.warning(
                "the primary's environment waits for data",
                extra=fields(
                    missing=len(error.missing),
                    first=f"{first.function}({first.path!r}) from {first.source}: {first.reason}",
                    at=f"{first.template}:{first.line}",
                ),
            )
        self._status.update_primary(environment=EnvironmentStatus(missing=error.missing))

    def _failed(self, error: ConfcarError) -> None:
        if self._shown().error != str(error):
            _log.error("the primary's environment cannot be rendered", extra=fields(error=str(error)))
        self._status.update_primary(environment=EnvironmentStatus(error=str(error)))

    def _shown(self) -> EnvironmentStatus:
        primary = self._status.primary
        return (primary.environment if primary is not None else None) or EnvironmentStatus()
