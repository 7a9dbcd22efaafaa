"""`make soak`: the full counts of the large trials; prints what was seen and ends with 1 where a promise was broken."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.scenarios.election import lose_servers
from tests.scenarios.fleet import roll_out
from tests.scenarios.kills import kill_repeatedly
from tests.scenarios.outage import cut_off
from tests.servers.consul import ConsulServer
from tests.servers.obtain import find_program
from tests.servers.openbao import OpenBaoServer

KILLS = 500
OUTAGE_SECONDS = 60.0
ELECTION_ROUNDS = 10
FLEET, SLOTS = 20, 2
ONE_BACKOFF_STEP_SECONDS = 10.0


def main() -> int:
    """Run everything once."""
    with tempfile.TemporaryDirectory(prefix="confcar-soak-") as name:
        folder = Path(name)
        (folder / "kills").mkdir()
        (folder / "outage").mkdir()
        (folder / "election").mkdir()
        (folder / "fleet").mkdir()
        seed = int(time.time())
        print(f"{KILLS} kills at random moments, seed {seed}", flush=True)
        kills = kill_repeatedly(folder / "kills", kills=KILLS, seed=seed)
        print(kills, flush=True)
        print(f"Consul and OpenBao away for {OUTAGE_SECONDS:.0f} s", flush=True)
        with (
            ConsulServer(folder / "consul", find_program("consul").path, durable=True) as consul,
            OpenBaoServer(folder / "openbao", find_program("bao").path, durable=True) as openbao,
        ):
            outage = cut_off(folder / "outage", consul, openbao, seconds=OUTAGE_SECONDS)
            print(outage, flush=True)
            print(f"{FLEET} processes that reload in turns, one of them killed", flush=True)
            fleet = roll_out(folder / "fleet", consul, count=FLEET, slots=SLOTS, seconds=0.5, kills=True)
        print(fleet, flush=True)
        print(f"three Consul servers, {ELECTION_ROUNDS} times each fault", flush=True)
        election = lose_servers(folder / "election", find_program("consul").path, rounds=ELECTION_ROUNDS)
        print(election, flush=True)
    is_kept = not any((kills.mixed, kills.torn, kills.gone, kills.missed, kills.unexplained))
    is_caught_up = max(outage.consul_seconds, outage.vault_seconds) <= ONE_BACKOFF_STEP_SECONDS
    is_in_turns = fleet.most <= SLOTS and fleet.done == FLEET
    is_in_order = not election.backwards and not election.lost
    is_well = is_kept and is_in_turns and is_in_order and outage.noticed and outage.stayed and is_caught_up
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
