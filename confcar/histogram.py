"""Observations in buckets, as Prometheus counts them."""

from __future__ import annotations

from dataclasses import dataclass

LATENCY_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts per bucket of LATENCY_BUCKETS_SECONDS plus one for everything above, and the sum in seconds."""

    counts: tuple[int, ...] = (0,) * (len(LATENCY_BUCKETS_SECONDS) + 1)
    total: float = 0.0

    def with_value(self, seconds: float) -> Histogram:
        """Return this histogram with one more observation."""
        index = next((i for i, bound in enumerate(LATENCY_BUCKETS_SECONDS) if seconds <= bound), -1)
        counts = list(self.counts)
        counts[index] += 1
        return Histogram(tuple(counts), self.total + seconds)
