"""From a write in the source to the primary that handles it, beside consul-template on the same keys."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic_ns

from tests.integration.sidecar import Sidecar
from tests.primaries.start import HttpPrimary, HupPrimary
from tests.servers.consul import ConsulServer
from tests.servers.obtain import find_program
from tests.servers.openbao import OpenBaoServer
from tests.waiting import pause, wait_until

_KEY = "bench/value"
# consul-template looks at one key at most every 100 ms: writes further apart show neither tool's rate limit.
_BETWEEN_SECONDS = 0.15


@dataclass(frozen=True)
class Latency:
    """Milliseconds of each write, sorted."""

    milliseconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.milliseconds)

    def __str__(self) -> str:
        """Return median, 90th percentile and maximum."""
        values = self.milliseconds
        return f"median {self.median:.2f} ms, p90 {values[int(len(values) * 0.9)]:.2f} ms, max {values[-1]:.2f} ms"


def measure_signal(folder: Path, consul: ConsulServer, *, writes: int, rounds: int) -> tuple[Latency, Latency]:
    """Return confcar's and consul-template's latency from a KV write to the SIGHUP handled, in alternating rounds."""
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(rounds):
        for tool, found in ((_confcar, ours), (_consul_template, theirs)):
            place = folder / f"{tool.__name__}-{number}"
            place.mkdir()
            consul.put(_KEY, "0")
            with HupPrimary(place / "primary", place, "value") as primary, tool(place, consul, primary):
                wait_until(lambda place=place: (place / "value").exists())  # type: ignore[misc]
                found.extend(_write(consul, primary, writes // rounds))
    return Latency(tuple(sorted(ours))), Latency(tuple(sorted(theirs)))


def _write(consul: ConsulServer, primary: HupPrimary, writes: int) -> Iterator[float]:
    # Until both tools' first file is there and has been read, nothing is counted.
    consul.put(_KEY, "1")
    wait_until(lambda: primary.reads()[-1].files["value"] == "1")
    for number in range(100, 100 + writes):
        pause(_BETWEEN_SECONDS)
        text = f"{number}"
        started = monotonic_ns()
        consul.put(_KEY, text)
        reads = wait_until(
            lambda text=text: [read for read in primary.reloads() if read.files["value"] == text],  # type: ignore[misc]
            step=0.005,
        )
        yield (reads[0].monotonic_ns - started) / 1e6


@contextmanager
def _confcar(place: Path, consul: ConsulServer, primary: HupPrimary) -> Iterator[None]:
    config = place / "confcar.yaml"
    config.write_text(
        f"sources: {{consul: {{type: consul, address: '{consul.address}'}}}}\n"
        f"bundles:\n  web:\n    directory: {place}\n    wait: {{quiet: 0s, max: 0s}}\n"
        f"    templates: [{{content: \"{{{{ key('{_KEY}') }}}}\", destination: value}}]\n"
        f"    reload: {{signal: HUP, pid_file: {primary.pid_file}}}\n"
    )
    with Sidecar(config):
        yield


@contextmanager
def _consul_template(place: Path, consul: ConsulServer, primary: HupPrimary) -> Iterator[None]:
    template = place / "value.ctmpl"
    template.write_text(f'{{{{ key "{_KEY}" }}}}')
    command = [
        *(str(find_program("consul-template").path), f"-consul-addr={consul.address}", "-log-level=err"),
        *("-template", f"{template}:{place / 'value'}:kill -HUP {primary.pid}"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()  # it ignores SIGTERM where it has no child
        process.wait()


def measure_secret(folder: Path, openbao: OpenBaoServer, *, writes: int) -> tuple[Latency, int]:
    """Return the latency from a secret's write to the HTTP reload with `refresh: 1s`, and the number of reloads."""
    openbao.put_kv("bench", {"password": "0"})
    value = folder / "out" / "password"
    value.parent.mkdir(parents=True)
    value.touch()
    with HttpPrimary(folder / "primary", value) as primary:
        config = folder / "confcar.yaml"
        config.write_text(
            f"sources: {{vault: {{type: vault, address: '{openbao.address}', refresh: 1s}}}}\n"
            f"bundles:\n  db:\n    directory: {value.parent}\n    wait: {{quiet: 0s, max: 0s}}\n"
            "    templates: [{content: \"{{ secret('secret/bench').password }}\", destination: password}]\n"
            f"    reload: {{http: {{url: '{primary.reload_url}'}}}}\n"
        )
        found = []
        with Sidecar(config, environ={"VAULT_TOKEN": openbao.token}):
            wait_until(primary.reloads)
            for number in range(1, writes + 1):
                before = len(primary.reloads())
                started = monotonic_ns()
                openbao.put_kv("bench", {"password": f"{number}"})
                wait_until(lambda before=before: len(primary.reloads()) > before, step=0.005)  # type: ignore[misc]
                found.append((primary.reloads()[before].monotonic_ns - started) / 1e6)
            return Latency(tuple(sorted(found))), len(primary.reloads()) - 1
