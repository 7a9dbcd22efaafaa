"""`make bench`: figures that a timed test would only make flaky, each beside its peer's or its budget in one run."""
