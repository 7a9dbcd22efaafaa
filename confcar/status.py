"""What confcar knows about itself, for probes, metrics and people.

Parts write here and never ask each other; the admin side reads copies and never the daemon. Everything is safe to show:
names, paths, counts, times and error texts, never a value. Thread-safe; wall-clock times are seconds since the epoch.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from confcar.bundle_status import BundleStatus
from confcar.histogram import Histogram
from confcar.model import CONFIG_FOLDER
from confcar.primary_status import PrimaryStatus
from confcar.source_status import SourceStatus

# The metrics whose first label is a source; that of all others is a bundle.
_SOURCE_METRICS = ("source_", "vault_", "consul_")


@dataclass(frozen=True, slots=True)
class ConfigStatus:
    """confcar's own config: the file, when what is in force was read, and why what lies there now is not in force."""

    path: str = ""
    loaded_at: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class StatusCopy:
    """Everything at one moment. *counters* and *gauges* are keyed by metric name (without prefix) and label values."""

    sources: dict[str, SourceStatus]
    bundles: dict[str, BundleStatus]
    counters: dict[tuple[str, ...], float]
    gauges: dict[tuple[str, ...], float]
    histograms: dict[tuple[str, ...], Histogram]
    late: tuple[str, ...]
    config: ConfigStatus = ConfigStatus()
    primary: PrimaryStatus | None = None

    @property
    def is_ready(self) -> bool:
        """Whether every bundle has a published generation."""
        return all(bundle.generation is not None for bundle in self.bundles.values())

    @property
    def unpublished(self) -> tuple[str, ...]:
        """The bundles that have no published generation, in the order of the config."""
        return tuple(name for name, bundle in self.bundles.items() if bundle.generation is None)


@dataclass(slots=True)
class _Beat:
    due: float


@dataclass(slots=True)
class Status:
    """The board that all parts write to."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _sources: dict[str, SourceStatus] = field(default_factory=dict)
    _bundles: dict[str, BundleStatus] = field(default_factory=dict)
    _counters: Counter[tuple[str, ...]] = field(default_factory=Counter)
    _gauges: dict[tuple[str, ...], float] = field(default_factory=dict)
    _histograms: dict[tuple[str, ...], Histogram] = field(default_factory=dict)
    _beats: dict[str, _Beat] = field(default_factory=dict)
    _config: ConfigStatus = ConfigStatus()
    _primary: PrimaryStatus | None = None
    _on_publish: Callable[[], None] = field(default=lambda: None)

    def show_primary(self, primary: PrimaryStatus) -> None:
        """Show this of the primary from now on."""
        with self._lock:
            self._primary = primary

    def update_primary(self, **changes: object) -> None:
        """Replace fields of the PrimaryStatus; nothing where no primary is shown."""
        with self._lock:
            if self._primary is not None:
                self._primary = replace(self._primary, **changes)  # type: ignore[arg-type]  # fields by name

    @property
    def primary(self) -> PrimaryStatus | None:
        """What is shown of the primary now, None where there is none."""
        return self._primary

    def call_on_publish(self, listener: Callable[[], None]) -> None:
        """Call *listener* in whatever thread shows another generation of a bundle, and when other bundles are shown."""
        self._on_publish = listener

    def config_loaded(self, path: str) -> None:
        """Note that the config at *path* is in force from now on."""
        with self._lock:
            self._config = ConfigStatus(path, time.time())

    def config_refused(self, error: str) -> None:
        """Note that what the config says by now is not in force, and why."""
        with self._lock:
            self._config = replace(self._config, error=error)

    def arrange(self, sources: Mapping[str, str], bundles: Mapping[str, str], *, fresh: Collection[str]) -> None:
        """Show exactly these, in this order, and forget all others with their numbers.

        Args:
            sources: Type of each source.
            bundles: Directory of each bundle.
            fresh: Sources of which nothing is known any more, because they are others under an old name.
        """
        with self._lock:
            known = {name: source for name, source in self._sources.items() if name not in fresh}
            self._sources = {name: known.get(name, SourceStatus(type_)) for name, type_ in sources.items()}
            self._bundles = {
                name: replace(self._bundles.get(name, BundleStatus()), directory=directory)
                for name, directory in bundles.items()
            }
        self.tidy()
        self._on_publish()

    def tidy(self) -> None:
        """Forget the numbers of what is not shown: a thread that ended late may have left some."""
        with self._lock:
            for board in (self._counters, self._gauges, self._histograms):
                for key in [key for key in board if not self._is_shown(*key[:2])]:
                    del board[key]

    def _is_shown(self, metric: str, name: str = "") -> bool:
        if metric.startswith(_SOURCE_METRICS):
            return name in self._sources or name == CONFIG_FOLDER
        return name in self._bundles

    def add_source(self, name: str, type_: str) -> None:
        """Make a source known before anything was read from it."""
        with self._lock:
            self._sources.setdefault(name, SourceStatus(type_))

    def add_bundle(self, name: str, directory: str) -> None:
        """Make a bundle known before anything was rendered."""
        with self._lock:
            self._bundles.setdefault(name, BundleStatus(directory=directory))

    def source_answered(self, name: str) -> None:
        """Note that a source answered a request as it should; a trouble that stands is not over by that."""
        with self._lock:
            if (source := self._sources.get(name)) is not None:
                is_up, error = source.trouble is None, source.trouble
                self._sources[name] = replace(source, up=is_up, last_success=time.time(), error=error)

    def source_failed(self, name: str, error: str) -> None:
        """Note that a source could not be reached or refused."""
        with self._lock:
            if (source := self._sources.get(name)) is not None:
                self._sources[name] = replace(source, up=False, error=error)

    def source_in_trouble(self, name: str, trouble: str | None) -> None:
        """Note what is wrong with a source although it answers, from now on; None where it is over."""
        with self._lock:
            if (source := self._sources.get(name)) is not None:
                self._sources[name] = replace(source, up=trouble is None, error=trouble, trouble=trouble)

    def update_source(self, name: str, **changes: object) -> None:
        """Replace fields of a source's SourceStatus."""
        with self._lock:
            if (source := self._sources.get(name)) is not None:
                self._sources[name] = replace(source, **changes)  # type: ignore[arg-type]  # fields by name

    def bundle(self, name: str) -> BundleStatus:
        """Return what is known of one bundle now; nothing of one that is not shown any more."""
        with self._lock:
            return self._bundles.get(name, BundleStatus())

    def update_bundle(self, name: str, **changes: object) -> None:
        """Replace fields of a bundle's BundleStatus."""
        with self._lock:
            if (bundle := self._bundles.get(name)) is not None:
                self._bundles[name] = replace(bundle, **changes)  # type: ignore[arg-type]  # fields by name
        if changes.get("generation") is not None:
            self._on_publish()

    def update_reload(self, name: str, **changes: object) -> None:
        """Replace fields of a bundle's ReloadStatus."""
        with self._lock:
            if (bundle := self._bundles.get(name)) is not None:
                reload = replace(bundle.reload, **changes)  # type: ignore[arg-type]  # fields by name
                self._bundles[name] = replace(bundle, reload=reload)

    def count(self, metric: str, *labels: str, by: float = 1) -> None:
        """Add to a counter, e.g. `count("render_total", bundle, "rendered")`."""
        with self._lock:
            self._counters[(metric, *labels)] += by  # type: ignore[assignment]  # Counter is typed for int only

    def set_gauge(self, metric: str, *labels: str, value: float) -> None:
        """Set a gauge that is no field of a source or bundle, e.g. `render_duration_seconds`."""
        with self._lock:
            self._gauges[(metric, *labels)] = value

    def observe(self, metric: str, *labels: str, seconds: float) -> None:
        """Add an observation to a histogram."""
        with self._lock:
            key = (metric, *labels)
            self._histograms[key] = self._histograms.get(key, Histogram()).with_value(seconds)

    def beat(self, loop: str, due_in_seconds: float | None) -> None:
        """Say that a loop moves, and by when it will say so again; None when the loop has ended on purpose."""
        with self._lock:
            if due_in_seconds is None:
                self._beats.pop(loop, None)
            else:
                self._beats[loop] = _Beat(time.monotonic() + due_in_seconds)

    def copy(self) -> StatusCopy:
        """Return everything at one moment; *late* names the loops that did not move when they said they would."""
        now = time.monotonic()
        with self._lock:
            return StatusCopy(
                dict(self._sources),
                dict(self._bundles),
                dict(self._counters),
                dict(self._gauges),
                dict(self._histograms),
                tuple(sorted(name for name, beat in self._beats.items() if beat.due < now)),
                self._config,
                self._primary,
            )
