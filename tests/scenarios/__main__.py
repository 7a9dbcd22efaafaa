"""`make soak`: the full counts of the large trials; prints what was seen and ends with 1 where a promise was broken."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.scenarios.election import lose_servers
from tests.scenarios.fleet import roll_out
from tests.scenarios.kills import kill_repeatedly
from tests.scenarios.outage import cut_off
from tests.scenarios.publishes import READERS, publish_beside_readers
from tests.scenarios.reloads import reload_repeatedly
from tests.servers.consul import ConsulServer
from tests.servers.obtain import find_program
from tests.servers.openbao import OpenBaoServer

KILLS = 500
PUBLISHES = 10_000
RELOADS = 100
OUTAGE_SECONDS = 60.0
ELECTION_ROUNDS = 10
FLEET, SLOTS = 20, 2
ONE_BACKOFF_STEP_SECONDS = 10.0


@dataclass(frozen=True)
class Trial:
    """One large trial.

    Attributes:
        title: What is done, for the person who waits.
        run: Does it in a folder of its own and returns what was seen, and whether every promise was kept.
    """

    title: str
    run: Callable[[Path], tuple[object, bool]]


def _kills(folder: Path) -> tuple[object, bool]:
    seen = kill_repeatedly(folder, kills=KILLS, seed=int(time.time()))
    return seen, not any((seen.mixed, seen.torn, seen.gone, seen.missed, seen.unexplained))


def _publishes(folder: Path) -> tuple[object, bool]:
    seen = publish_beside_readers(folder, publishes=PUBLISHES)
    return seen, not any((seen.mixed, seen.torn, seen.gone))


def _outage(folder: Path) -> tuple[object, bool]:
    with _servers(folder) as (consul, openbao):
        seen = cut_off(folder, consul, openbao, seconds=OUTAGE_SECONDS)
    is_caught_up = max(seen.consul_seconds, seen.vault_seconds) <= ONE_BACKOFF_STEP_SECONDS
    return seen, seen.noticed and seen.stayed and is_caught_up


def _reloads(folder: Path) -> tuple[object, bool]:
    with _servers(folder) as (consul, openbao):
        seen = reload_repeatedly(folder, consul, openbao, reloads=RELOADS)
    return seen, seen.is_flat and seen.logins == 1 and not seen.refused and seen.unchanged == (1, 1)


def _fleet(folder: Path) -> tuple[object, bool]:
    with _servers(folder) as (consul, _):
        seen = roll_out(folder, consul, count=FLEET, slots=SLOTS, seconds=0.5, kills=True)
    return seen, seen.most <= SLOTS and seen.done == FLEET


def _election(folder: Path) -> tuple[object, bool]:
    seen = lose_servers(folder, find_program("consul").path, rounds=ELECTION_ROUNDS)
    return seen, not seen.backwards and not seen.lost


TRIALS = {
    "kills": Trial(f"{KILLS} kills at random moments", _kills),
    "publishes": Trial(f"{PUBLISHES} publishes beside {READERS} readers", _publishes),
    "outage": Trial(f"Consul and OpenBao away for {OUTAGE_SECONDS:.0f} s", _outage),
    "reloads": Trial(f"{RELOADS} config reloads", _reloads),
    "fleet": Trial(f"{FLEET} processes that reload in turns, one of them killed", _fleet),
    "election": Trial(f"three Consul servers, {ELECTION_ROUNDS} times each fault", _election),
}


@contextmanager
def _servers(folder: Path) -> Iterator[tuple[ConsulServer, OpenBaoServer]]:
    with (
        ConsulServer(folder / "consul", find_program("consul").path, durable=True) as consul,
        OpenBaoServer(folder / "openbao", find_program("bao").path, durable=True) as openbao,
    ):
        yield consul, openbao


def main(names: Sequence[str]) -> int:
    """Run the trials of these names, all where there is none, and return 1 where a promise was broken."""
    broken = []
    for name in names or TRIALS:
        print(TRIALS[name].title, flush=True)
        with tempfile.TemporaryDirectory(prefix=f"confcar-soak-{name}-") as folder:
            seen, is_kept = TRIALS[name].run(Path(folder))
        print(f"{'ok    ' if is_kept else 'BROKEN'}  {seen}", flush=True)
        broken += [] if is_kept else [name]
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
