"""Print every figure of `make bench`, each with its budget or its peer; ends with 1 where a budget is broken."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from pathlib import Path

from tests.bench.footprint import measure_drift_look, measure_memory, measure_start
from tests.bench.isolation import measure_isolation
from tests.bench.latency import measure_secret, measure_signal
from tests.servers.consul import ConsulServer
from tests.servers.obtain import find_program
from tests.servers.openbao import OpenBaoServer

SIGNAL_BUDGET_MS = 10.0
SECRET_BUDGET_MS = 2000.0
MEMORY_BUDGET_MIB = 56.0
ISOLATION_BUDGET = 1.5
DRIFT_BUDGET_MS = 250.0
START_BUDGET_MS = 350.0


def _row(name: str, figure: str, *, budget: str, is_kept: bool) -> bool:
    print(f"{'ok  ' if is_kept else 'OVER'}  {name}: {figure}  (budget {budget})", flush=True)
    return is_kept


def main() -> int:
    """Measure everything once."""
    print(
        f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} CPUs, {os.uname().release}"
    )
    kept = []
    with tempfile.TemporaryDirectory(prefix="confcar-bench-") as name:
        folder = Path(name)
        places = {
            part: folder / part
            for part in ("start", "signal", "secret", "memory", "isolation", "drift", "consul", "openbao")
        }
        for place in places.values():
            place.mkdir()
        median, least = measure_start(places["start"], runs=15)
        figure = f"median {median:.0f} ms, min {least:.0f} ms of 15"
        budget = f"{START_BUDGET_MS:.0f} ms"
        kept.append(
            _row("cold `once`, one file, file source", figure, budget=budget, is_kept=median <= START_BUDGET_MS)
        )
        kept += _measure_bundles(places)
        with (
            ConsulServer(places["consul"], find_program("consul").path) as consul,
            OpenBaoServer(places["openbao"], find_program("bao").path) as openbao,
        ):
            kept += _measure_servers(places, consul, openbao)
    return 0 if all(kept) else 1


def _measure_bundles(places: dict[str, Path]) -> list[bool]:
    alone, beside = measure_isolation(places["isolation"], writes=60, rounds=2)
    ratio = beside.median / alone.median
    figure = f"{beside}; alone {alone.median:.2f} ms, ratio of medians {ratio:.2f}"
    name = "file change to SIGHUP handled, eight bundles beside two in trouble"
    is_isolated = _row(name, figure, budget=f"{ISOLATION_BUDGET} x alone", is_kept=ratio <= ISOLATION_BUDGET)
    milliseconds = measure_drift_look(places["drift"], files=1000, size=10_000)
    budget = f"{DRIFT_BUDGET_MS:.0f} ms"
    name = "one look for drift, 1,000 files of 10 kB"
    is_kept = milliseconds <= DRIFT_BUDGET_MS
    return [is_isolated, _row(name, f"median {milliseconds:.0f} ms of 15", budget=budget, is_kept=is_kept)]


def _measure_servers(places: dict[str, Path], consul: ConsulServer, openbao: OpenBaoServer) -> list[bool]:
    kept = []
    ours, theirs = measure_signal(places["signal"], consul, writes=100, rounds=4)
    budget = f"{SIGNAL_BUDGET_MS:.0f} ms and no slower than consul-template"
    is_kept = ours.median < SIGNAL_BUDGET_MS and ours.median <= theirs.median
    kept.append(_row("KV write to SIGHUP handled, confcar", f"{ours} of 100", budget=budget, is_kept=is_kept))
    print(f"      the same, consul-template: {theirs} of 100")
    print(f"      ratio of medians, confcar / consul-template: {ours.median / theirs.median:.2f}")
    secret, reloads = measure_secret(places["secret"], openbao, writes=20)
    is_kept = secret.milliseconds[-1] < SECRET_BUDGET_MS and reloads == len(secret.milliseconds)
    figure = f"{secret}, {reloads} reloads for {len(secret.milliseconds)} writes"
    budget = f"every one under {SECRET_BUDGET_MS:.0f} ms, one reload each"
    kept.append(_row("secret write to HTTP reload, refresh 1s", figure, budget=budget, is_kept=is_kept))
    memory = measure_memory(places["memory"], consul, openbao)
    figure = f"{memory.at_rest:.1f} MiB, {memory.after_changes_and_scrape:.1f} MiB after changes and a scrape"
    is_kept = memory.after_changes_and_scrape <= MEMORY_BUDGET_MIB
    budget = f"{MEMORY_BUDGET_MIB:.0f} MiB"
    kept.append(_row("resident, one Consul and one Vault source", figure, budget=budget, is_kept=is_kept))
    return kept


if __name__ == "__main__":
    sys.exit(main())
