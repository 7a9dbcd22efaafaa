"""The Prometheus exposition, made from a copy of the status board at each scrape. Imported at the first scrape only."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.exposition import generate_latest

from confcar.histogram import LATENCY_BUCKETS_SECONDS, Histogram
from confcar.status import StatusCopy

__all__ = ["CONTENT_TYPE", "exposition"]

_COUNTERS = {
    "source_requests_total": ("Requests to a source by answer code.", ("source", "code")),
    "render_total": ("Passes over a bundle's templates by result.", ("bundle", "result")),
    "check_total": ("Checks of a staged generation by result.", ("bundle", "result")),
    "reload_total": ("Reload steps, and verify after them, by kind and result.", ("bundle", "kind", "result")),
    "rollback_total": ("How often the generation before came back.", ("bundle",)),
    "drift_repaired_total": ("How often published files were repaired that others had changed.", ("bundle",)),
    "rollout_total": ("Reloads by how they came to a slot of the fleet's rollout.", ("bundle", "result")),
}
_GAUGES = {
    "vault_token_ttl_seconds": ("What was left of the token's life when it was last looked at.", ("source",)),
    "vault_leases": ("Leases and certificates held that live and end.", ("source",)),
    "render_duration_seconds": ("How long the last pass over a bundle's templates took.", ("bundle",)),
}
_HISTOGRAMS = {"change_to_reload_seconds": ("From the first changed datum to the acknowledged reload.", ("bundle",))}


class _Copied:
    def __init__(self, copy: StatusCopy, version: str) -> None:
        self._copy = copy
        self._version = version

    def collect(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("confcar_build_info", "What runs.", labels=("version", "python"))
        build.add_metric((self._version, platform.python_version()), 1)
        yield build
        yield from self._config()
        yield from self._sources()
        yield from self._bundles()
        yield from self._primary()
        for name, (text, labels) in _COUNTERS.items():
            counter = CounterMetricFamily(f"confcar_{name}", text, labels=labels)
            # From nought on where the labels are known before: a rate sees only what it saw the beginning of.
            counts = dict.fromkeys(((bundle,) for bundle in self._copy.bundles if labels == ("bundle",)), 0.0)
            for values, count in (counts | dict(self._of(self._copy.counters, name))).items():
                counter.add_metric(values, count)
            yield counter
        for name, (text, labels) in _GAUGES.items():
            gauge = GaugeMetricFamily(f"confcar_{name}", text, labels=labels)
            for values, value in self._of(self._copy.gauges, name):
                gauge.add_metric(values, value)
            yield gauge
        for name, (text, labels) in _HISTOGRAMS.items():
            histogram = HistogramMetricFamily(f"confcar_{name}", text, labels=labels)
            for key, observed in self._copy.histograms.items():
                if key[0] == name:
                    histogram.add_metric(key[1:], _buckets(observed), observed.total)
            yield histogram

    def _of(self, board: dict[tuple[str, ...], float], name: str) -> Iterator[tuple[tuple[str, ...], float]]:
        return ((key[1:], value) for key, value in board.items() if key[0] == name)

    def _config(self) -> Iterator[Metric]:
        config = self._copy.config
        loaded = GaugeMetricFamily("confcar_config_loaded_timestamp_seconds", "When the config in force was read.")
        successful = GaugeMetricFamily(
            "confcar_config_last_reload_successful", "Whether what config and templates say by now is in force."
        )
        if config.loaded_at is not None:
            loaded.add_metric((), config.loaded_at)
            successful.add_metric((), float(config.error is None))
        yield from (loaded, successful)

    def _primary(self) -> Iterator[Metric]:
        primary = self._copy.primary
        up = GaugeMetricFamily("confcar_primary_up", "Whether the primary that confcar starts or follows runs.")
        restarts = CounterMetricFamily("confcar_primary_restarts_total", "How often the primary was started again.")
        start = GaugeMetricFamily("confcar_primary_start_timestamp_seconds", "When the primary was started.")
        if primary is not None:
            up.add_metric((), float(primary.state in {"running", "stopping"}))
            restarts.add_metric((), primary.restarts)
            if primary.started_at is not None:
                start.add_metric((), primary.started_at)
        yield from (up, restarts, start)

    def _sources(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("confcar_source_up", "Whether the source answers.", labels=("source",))
        success = GaugeMetricFamily(
            "confcar_source_last_success_timestamp_seconds", "When the source last answered.", labels=("source",)
        )
        connections = GaugeMetricFamily("confcar_source_connections", "Open connections.", labels=("source",))
        for name, source in self._copy.sources.items():
            if source.up is not None:  # a source that nobody reads is not down
                up.add_metric((name,), float(source.up))
            connections.add_metric((name,), source.connections)
            if source.last_success is not None:
                success.add_metric((name,), source.last_success)
        yield from (up, success, connections)

    def _bundles(self) -> Iterator[Metric]:
        def gauge(name: str, text: str, values: dict[str, float | None]) -> Metric:
            family = GaugeMetricFamily(f"confcar_{name}", text, labels=("bundle",))
            for bundle, value in values.items():
                if value is not None:
                    family.add_metric((bundle,), value)
            return family

        bundles = self._copy.bundles
        yield gauge("generation", "Published generation.", {n: b.generation for n, b in bundles.items()})
        published = {n: b.published_at for n, b in bundles.items()}
        yield gauge("publish_timestamp_seconds", "When it was published.", published)
        missing: dict[str, float | None] = {n: len(b.missing) for n, b in bundles.items()}
        yield gauge("render_missing_keys", "Data that the bundle waits for.", missing)
        pending: dict[str, float | None] = {n: float(b.reload.pending) for n, b in bundles.items()}
        yield gauge("reload_pending", "Whether the primary is owed a reload.", pending)
        paced = {n: float(b.reload.slot.state == "waiting") if b.reload.slot else 0.0 for n, b in bundles.items()}
        yield gauge("rollout_waiting", "Whether a reload waits for a slot of the fleet's rollout.", {**paced})
        last = {
            n: None if b.reload.last_successful is None else float(b.reload.last_successful) for n, b in bundles.items()
        }
        yield gauge("last_reload_successful", "Whether the last attempt to reload succeeded.", last)


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    buckets, count = [], 0
    for bound, inside in zip((*map(str, LATENCY_BUCKETS_SECONDS), "+Inf"), histogram.counts, strict=True):
        count += inside
        buckets.append((bound, float(count)))
    return buckets


def exposition(copy: StatusCopy, version: str) -> bytes:
    """Return the metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Copied(copy, version))
    return generate_latest(registry)
