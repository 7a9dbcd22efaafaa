"""Eight bundles that are well, alone and beside two in trouble: what the trouble of one costs the others."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from time import monotonic_ns

from tests.bench.latency import Latency
from tests.integration.sidecar import Sidecar
from tests.primaries.start import HupPrimary
from tests.waiting import pause, wait_until

WELL = 8
_BETWEEN_SECONDS = 0.15


def measure_isolation(folder: Path, *, writes: int, rounds: int) -> tuple[Latency, Latency]:
    """Return the latency from a change of a file to the SIGHUP handled, over eight bundles: alone, and beside trouble.

    The trouble is a bundle whose check hangs until it is killed, and one whose primary is gone; every write changes
    both too. Rounds alternate.
    """
    found: dict[bool, list[float]] = {False: [], True: []}
    for number in range(rounds):
        for in_trouble in (False, True):
            place = folder / f"{number}-{in_trouble}"
            place.mkdir()
            found[in_trouble] += _round(place, writes // rounds, in_trouble=in_trouble)
    return Latency(tuple(sorted(found[False]))), Latency(tuple(sorted(found[True])))


def _round(place: Path, writes: int, *, in_trouble: bool) -> list[float]:
    _write(place, 0)
    found = []
    with ExitStack() as stack:
        primaries = []
        for number in range(WELL):
            directory = place / f"well-{number}"
            directory.mkdir()
            primaries.append(stack.enter_context(HupPrimary(place / f"primary-{number}", directory, "value")))
        sidecar = stack.enter_context(Sidecar(_config(place, primaries, in_trouble=in_trouble)).start(waits=False))
        # The one whose check hangs never gets ready.
        wait_until(lambda: all((place / f"well-{number}" / "value").exists() for number in range(WELL)), timeout=30.0)
        for number in range(1, writes + 1):
            pause(_BETWEEN_SECONDS)
            started = monotonic_ns()
            _write(place, number)
            for primary in primaries:
                reads = wait_until(
                    lambda primary=primary, text=f"{number}": [  # type: ignore[misc]
                        read for read in primary.reloads() if read.files["value"] == text
                    ],
                    step=0.01,
                )
                found.append((reads[0].monotonic_ns - started) / 1e6)
        if in_trouble:
            bundles = sidecar.status()["bundles"]
            assert bundles["gone"]["reload"]["last_error"], "its primary was there"
            assert bundles["hanging"]["generation"] is None, "its check ended"
    return found


def _write(place: Path, number: int) -> None:
    temporary = place / "data.new"
    temporary.write_text(json.dumps({"value": f"{number}"}))
    temporary.replace(place / "data.json")


def _config(place: Path, primaries: list[HupPrimary], *, in_trouble: bool) -> Path:
    def bundle(name: str, **more: object) -> dict[str, object]:
        template = {"content": "{{ key('value') }}", "destination": "value"}
        return {"directory": name, "wait": {"quiet": "0s", "max": "0s"}, "templates": [template], **more}

    bundles = {
        f"well-{number}": bundle(f"well-{number}", reload={"signal": "HUP", "pid_file": str(primary.pid_file)})
        for number, primary in enumerate(primaries)
    }
    if in_trouble:
        bundles["hanging"] = bundle("hanging", check={"command": ["sleep", "600"], "timeout": "2s"})
        bundles["gone"] = bundle("gone", reload={"signal": "HUP", "pid_file": str(place / "nobody.pid")})
    config = place / "confcar.json"
    source = {"type": "file", "path": "data.json"}
    config.write_text(json.dumps({"sources": {"local": source}, "bundles": bundles}))
    return config
