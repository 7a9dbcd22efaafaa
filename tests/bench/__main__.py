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
from tests.bench.scale import measure_large_folder, measure_many_files, measure_many_keys, measure_processor_time
from tests.servers.consul import ConsulServer
from tests.servers.obtain import find_program
from tests.servers.openbao import OpenBaoServer

SIGNAL_BUDGET_MS = 10.0
SECRET_BUDGET_MS = 2000.0
MEMORY_BUDGET_MIB = 56.0
ISOLATION_BUDGET = 1.5
DRIFT_BUDGET_MS = 250.0
START_BUDGET_MS = 350.0
# Of so many keys in one folder: connections, resident memory, and how much longer than with one key a change may take.
MANY_KEYS_BUDGETS = {1_000: (4, 60.0, 3.0), 5_000: (4, 90.0, 10.0)}
PROCESSOR_RATIO_BUDGET = 2.0
MANY_FILES_BUDGET_MS = 1000.0


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
            for part in ("start", "signal", "secret", "memory", "isolation", "drift", "scale", "consul", "openbao")
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
            kept += _measure_scale(places["scale"], consul)
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


def _measure_scale(place: Path, consul: ConsulServer) -> list[bool]:
    kept = []
    one = measure_many_keys(place, consul, keys=1, writes=40)
    print(f"      KV write to file, one key: median {one.median:.2f} ms")
    for keys, (connections, mebibytes, ratio) in MANY_KEYS_BUDGETS.items():
        for per_template in (50, keys):
            many = measure_many_keys(place, consul, keys=keys, writes=40, per_template=per_template)
            times = many.median / one.median
            taken = f"{many.connections} connections, {many.memory:.1f} MiB"
            figure = f"{taken}, median {many.median:.2f} ms ({times:.1f} times)"
            budget = f"{connections} connections, {mebibytes:.0f} MiB, {ratio:.0f} times one key's"
            is_kept = many.connections <= connections and many.memory < mebibytes and times <= ratio
            name = f"{keys} keys of one folder, {per_template} in a template"
            kept.append(_row(name, figure, budget=budget, is_kept=is_kept))
    few, all_ = (measure_processor_time(place, consul, bundles=bundles, writes=100) for bundles in (1, 100))
    figure = f"{all_:.2f} ms of processor time, with 10 templates {few:.2f} ms: {all_ / few:.2f} times"
    budget = f"{PROCESSOR_RATIO_BUDGET:.0f} times"
    is_kept = all_ <= few * PROCESSOR_RATIO_BUDGET
    kept.append(_row("one change, 1000 templates in 100 bundles", figure, budget=budget, is_kept=is_kept))
    milliseconds, processor = measure_many_files(place, consul, files=1000, writes=20)
    figure = f"median {milliseconds:.0f} ms from write to file, {processor:.0f} ms of processor time"
    budget = f"{MANY_FILES_BUDGET_MS:.0f} ms"
    is_kept = milliseconds <= MANY_FILES_BUDGET_MS
    kept.append(_row("one change in a bundle of 1000 files", figure, budget=budget, is_kept=is_kept))
    large = measure_large_folder(place, consul, writes=20)
    figure = f"{large.whole_reads} reads of all of it, {large.requests} requests, {large.memory:.1f} MiB"
    is_kept = large.whole_reads == 0
    kept.append(_row("20 of 100000 keys, 20 changes", figure, budget="no read of all of it", is_kept=is_kept))
    return kept


if __name__ == "__main__":
    sys.exit(main())
