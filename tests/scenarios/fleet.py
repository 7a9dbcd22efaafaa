"""A fleet of confcar processes that reload in turns, one of them killed while it holds a slot: who reloads when."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.integration.sidecar import Sidecar
from tests.servers.consul import ConsulServer
from tests.waiting import wait_until

# Longer than a reload takes by far: Consul ends a session after one to two times its 15 s.
_ALL_DONE_SECONDS = 240.0
_CONFIG = """
sources:
  consul: {{type: consul, address: "{consul}", max_connections: 4}}
bundles:
  web:
    directory: web
    wait: {{quiet: 10ms, max: 1s}}
    templates: [{{content: "{{{{ key('{prefix}/value') }}}}", destination: value}}]
    reload: {{command: [sh, "{script}", "{number}", "{directory}"]}}
    rollout: {{source: consul, key: "{prefix}/slots", slots: {slots}}}
"""
# One write each, so that the order of the lines is the order of the events.
_SCRIPT = """\
value=$(cat "$2/value")
echo "+ $1 $value" >> {diary}
sleep {seconds}
echo "- $1 $value" >> {diary}
"""


@dataclass(frozen=True)
class FleetReport:
    """What was seen.

    Attributes:
        instances: How many processes took part.
        slots: How many might reload at once.
        most: How many reloaded at once at most.
        reloads: How many reloads were begun after the change.
        done: How many instances reloaded the change to its end, the killed one after its restart.
        seconds: From the change to the last reload's end.
        alone_seconds: How long the same takes without any waiting between reloads.
    """

    instances: int
    slots: int
    most: int
    reloads: int
    done: int
    seconds: float
    alone_seconds: float


class Diary:
    """What all reloads wrote, in its order: `+ 3 after` where instance 3 begins, `- 3 after` where it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[str]:
        """Return every whole line so far."""
        return self.path.read_text().splitlines() if self.path.exists() else []

    def running(self) -> set[str]:
        """Return which instances are in the middle of a reload."""
        found: set[str] = set()
        for line in self.lines():
            sign, number, _ = line.split()
            found = found | {number} if sign == "+" else found - {number}
        return found

    def done(self, value: str) -> set[str]:
        """Return which instances reloaded *value* to its end."""
        return {line.split()[1] for line in self.lines() if line.startswith("- ") and line.endswith(f" {value}")}

    def most(self) -> int:
        """Return how many reloaded at once at most."""
        running: set[str] = set()
        most = 0
        for line in self.lines():
            sign, number, _ = line.split()
            running = running | {number} if sign == "+" else running - {number}
            most = max(most, len(running))
        return most


def prepare(folder: Path, consul: ConsulServer, *, count: int, slots: int, seconds: float) -> list[Sidecar]:
    """Return *count* instances that are not started, each with a reload of *seconds*."""
    script = folder / "reload.sh"
    script.write_text(_SCRIPT.format(diary=folder / "diary", seconds=seconds))
    sidecars = []
    for number in range(count):
        own = folder / f"instance-{number}"
        own.mkdir()
        config = own / "confcar.yaml"
        config.write_text(
            _CONFIG.format(
                consul=consul.address,
                prefix=folder.name,
                script=script,
                number=number,
                slots=slots,
                directory="{directory}",
            )
        )
        sidecars.append(Sidecar(config))
    return sidecars


def roll_out(folder: Path, consul: ConsulServer, *, count: int, slots: int, seconds: float, kills: bool) -> FleetReport:
    """Let *count* instances reload one change in turns; with *kills* one that holds a slot is killed meanwhile."""
    consul.put(f"{folder.name}/value", "before")
    diary = Diary(folder / "diary")
    sidecars = prepare(folder, consul, count=count, slots=slots, seconds=seconds)
    everybody = {str(number) for number in range(count)}
    with ExitStack() as stack:
        for sidecar in sidecars:
            stack.enter_context(sidecar.start(waits=False))
        wait_until(lambda: diary.done("before") == everybody, timeout=_ALL_DONE_SECONDS, step=0.05)
        before, started = len(diary.lines()), time.monotonic()
        consul.put(f"{folder.name}/value", "after")
        if kills:
            _kill_a_holder(sidecars, diary)
        wait_until(lambda: diary.done("after") == everybody, timeout=_ALL_DONE_SECONDS, step=0.05)
        took = time.monotonic() - started
        _until_all_are_acknowledged(sidecars)
    begun = sum(line.startswith("+ ") for line in diary.lines()[before:])
    return FleetReport(count, slots, diary.most(), begun, len(diary.done("after")), took, count * seconds / slots)


def _kill_a_holder(sidecars: Sequence[Sidecar], diary: Diary) -> None:
    """Kill one in the middle of its reload and start it again: the reload that it owed is made once more."""
    number, *_ = wait_until(diary.running, timeout=60.0, step=0.005)
    sidecars[int(number)].kill()
    sidecars[int(number)].start(waits=False)


def _until_all_are_acknowledged(sidecars: Sequence[Sidecar]) -> None:
    def is_acknowledged(sidecar: Sidecar) -> bool:
        reload = sidecar.bundle()["reload"]
        return reload["pending"] is False and reload["slot"] is None

    wait_until(lambda: all(map(is_acknowledged, sidecars)), timeout=_ALL_DONE_SECONDS, step=0.05)
