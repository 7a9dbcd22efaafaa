"""`make soak`: the full counts of the large trials; prints what was seen and ends with 1 where a promise was broken."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.scenarios.election import lose_servers
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
ONE_BACKOFF_STEP_SECONDS = 10.0


def main() -> int:
    """Run everything once."""
    with tempfile.TemporaryDirectory(prefix="confcar-soak-") as name:
        folder = Path(name)
        for each in ("kills", "outage", "reloads", "election", "publishes"):
            (folder / each).mkdir()
        seed = int(time.time())
        print(f"{KILLS} kills at random moments, seed {seed}", flush=True)
        kills = kill_repeatedly(folder / "kills", kills=KILLS, seed=seed)
        print(kills, flush=True)
        print(f"{PUBLISHES} publishes beside {READERS} readers", flush=True)
        publishes = publish_beside_readers(folder / "publishes", publishes=PUBLISHES)
        print(publishes, flush=True)
        print(f"Consul and OpenBao away for {OUTAGE_SECONDS:.0f} s", flush=True)
        with (
            ConsulServer(folder / "consul", find_program("consul").path, durable=True) as consul,
            OpenBaoServer(folder / "openbao", find_program("bao").path, durable=True) as openbao,
        ):
            outage = cut_off(folder / "outage", consul, openbao, seconds=OUTAGE_SECONDS)
            print(outage, flush=True)
            print(f"{RELOADS} config reloads", flush=True)
            reloads = reload_repeatedly(folder / "reloads", consul, openbao, reloads=RELOADS)
        print(reloads, flush=True)
        print(f"three Consul servers, {ELECTION_ROUNDS} times each fault", flush=True)
        election = lose_servers(folder / "election", find_program("consul").path, rounds=ELECTION_ROUNDS)
        print(election, flush=True)
    is_kept = not any((kills.mixed, kills.torn, kills.gone, kills.missed, kills.unexplained))
    is_kept = is_kept and not any((publishes.mixed, publishes.torn, publishes.gone))
    is_caught_up = max(outage.consul_seconds, outage.vault_seconds) <= ONE_BACKOFF_STEP_SECONDS
    is_quiet = reloads.is_flat and reloads.logins == 1 and not reloads.refused and reloads.unchanged == (1, 1)
    is_in_order = not election.backwards and not election.lost
    is_noticed = outage.noticed and outage.stayed and is_caught_up
    return 0 if is_kept and is_in_order and is_noticed and is_quiet else 1


if __name__ == "__main__":
    sys.exit(main())
