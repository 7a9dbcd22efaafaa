"""confcar killed at random moments while a writer changes two files that must agree; readers and a primary look on."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.integration.sidecar import Sidecar
from tests.primaries.start import HttpPrimary, Request
from tests.scenarios import set_reader
from tests.waiting import pause, wait_until

_READERS = 2
_LINES = 2000
# A request sent before the kill may be noted by the primary a moment after it, on a busy machine.
_IN_FLIGHT_NS = 500_000_000
_CONFIG = """
sources: {{local: {{type: file, path: data.yaml}}}}
bundles:
  pair:
    directory: out
    wait: {{quiet: 2ms, max: 20ms}}
    templates:
      - {{source: pair.j2, destination: a}}
      - {{source: pair.j2, destination: b}}
    reload: {{http: {{url: "{url}"}}}}
"""
_TEMPLATE = "{% for _ in range(" + str(_LINES) + ") %}{{ key('n') }}\n{% endfor %}end {{ key('n') }}\n"


@dataclass(frozen=True)
class KillReport:
    """What was seen.

    Attributes:
        kills: How often confcar was killed.
        generations: How many generations were published.
        reads: How often the readers read a pair.
        mixed: Pairs of two generations among them.
        torn: Files that were not whole among them.
        gone: Reads that found no file after the first publish.
        reloads: Reloads that the primary saw.
        repeated: Those of them that told a generation again.
        unexplained: Repeated ones with no kill between the two.
        missed: Restarts after which the owed reload did not happen.
    """

    kills: int
    generations: int
    reads: int
    mixed: int
    torn: int
    gone: int
    reloads: int
    repeated: int
    unexplained: int
    missed: int


class _Writer:
    """Changes the number about fifty times a second, each time by one rename."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._number = 0
        self._write_next()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        while not self._stop.wait(0.02):
            self._write_next()

    def _write_next(self) -> None:
        self._number += 1
        temporary = self._path.with_suffix(".new")
        temporary.write_text(f"n: {self._number}\n")
        temporary.replace(self._path)


def kill_repeatedly(folder: Path, *, kills: int, seed: int) -> KillReport:
    """Kill confcar *kills* times at moments drawn from *seed*, and return what readers and primary saw."""
    out, stop = folder / "out", folder / "stop"
    out.mkdir()
    (folder / "pair.j2").write_text(_TEMPLATE)
    value = folder / "value"
    value.write_text("")
    with HttpPrimary(folder / "primary", value) as primary:
        config = folder / "confcar.yaml"
        config.write_text(_CONFIG.format(url=primary.reload_url))
        with _Writer(folder / "data.yaml"):
            sidecar = Sidecar(config).start()
            readers = [
                subprocess.Popen([sys.executable, set_reader.__file__, out, stop], stdout=subprocess.PIPE, text=True)
                for _ in range(_READERS)
            ]
            try:
                killed_at, missed = _kill(sidecar, primary, out, kills=kills, chance=random.Random(seed))
            finally:
                stop.touch()
                counts = sum((Counter(json.loads(reader.communicate()[0])) for reader in readers), Counter())
        wait_until(sidecar.is_ready)
        wait_until(lambda: not sidecar.bundle("pair")["reload"]["pending"])
        generations = sidecar.bundle("pair")["generation"]
        sidecar.stop()
        repeated, unexplained = _repeated(primary.reloads(), killed_at)
        return KillReport(
            kills=len(killed_at),
            generations=generations,
            reads=counts["reads"],
            mixed=counts["mixed"],
            torn=counts["torn"],
            gone=counts["gone"],
            reloads=len(primary.reloads()),
            repeated=repeated,
            unexplained=unexplained,
            missed=missed,
        )


def _kill(
    sidecar: Sidecar, primary: HttpPrimary, out: Path, *, kills: int, chance: random.Random
) -> tuple[list[int], int]:
    killed_at, missed = [], 0
    for number in range(kills):
        # Every third one is killed in its start, the others while they publish and reload.
        if number % 3 == 0:
            pause(chance.uniform(0.0, 0.5))
        else:
            wait_until(sidecar.is_ready, timeout=30.0)
            pause(chance.uniform(0.0, 0.3))
        sidecar.kill()
        killed_at.append(time.monotonic_ns())
        published, acknowledged = _standing(out)
        sidecar.start(waits=False)
        if number % 3 and published != acknowledged:
            missed += not _is_told(primary, published, killed_at[-1])
    return killed_at, missed


def _standing(out: Path) -> tuple[int, int | None]:
    """Return the number of the generation that readers see, and of the one that the primary is known to have."""
    published = int((out / "..data").readlink().name.removeprefix("..generation-"))
    acknowledged: int | None = json.loads((out / "..confcar.json").read_text())["acknowledged"]
    return published, acknowledged


def _is_told(primary: HttpPrimary, generation: int, after_ns: int) -> bool:
    def told() -> bool:
        return any(
            request.monotonic_ns > after_ns and int(request.headers["confcar-generation"]) >= generation
            for request in primary.reloads()
        )

    try:
        return wait_until(told, timeout=20.0, step=0.05)
    except AssertionError:
        return False


def _repeated(reloads: list[Request], killed_at: list[int]) -> tuple[int, int]:
    repeated = unexplained = 0
    told: dict[str, int] = {}
    for request in reloads:
        generation = request.headers["confcar-generation"]
        if generation in told:
            repeated += 1
            first_sent = told[generation] - _IN_FLIGHT_NS
            unexplained += not any(first_sent < moment < request.monotonic_ns for moment in killed_at)
        told[generation] = request.monotonic_ns
    return repeated, unexplained
