"""What confcar costs: resident memory with one Consul and one Vault source, and a cold `once` on the file source."""

from __future__ import annotations

import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from confcar.model import RenderedFile
from confcar.publishing.publisher import Publisher
from tests.integration.sidecar import Sidecar, command, environment
from tests.servers.consul import ConsulServer
from tests.servers.openbao import OpenBaoServer
from tests.waiting import wait_until


@dataclass(frozen=True)
class Memory:
    """Resident mebibytes once everything is published, and after ten changes and a scrape of the metrics."""

    at_rest: float
    after_changes_and_scrape: float


def measure_memory(folder: Path, consul: ConsulServer, openbao: OpenBaoServer) -> Memory:
    """Return the resident memory of `confcar run` with one source of each kind."""
    consul.put("bench/memory", "0")
    openbao.put_kv("memory", {"password": "0"})
    config = folder / "confcar.yaml"
    config.write_text(
        f"sources:\n  consul: {{type: consul, address: '{consul.address}'}}\n"
        f"  vault: {{type: vault, address: '{openbao.address}', refresh: 1s}}\n"
        "bundles:\n  web:\n    directory: out\n    wait: {quiet: 0s, max: 0s}\n"
        "    templates:\n    - destination: f\n"
        "      content: \"{{ key('bench/memory') }} {{ secret('secret/memory').password }}\"\n"
    )
    published = folder / "out" / "f"
    with Sidecar(config, environ={"VAULT_TOKEN": openbao.token}) as sidecar:
        at_rest = resident_mebibytes(sidecar.pid)
        for number in range(1, 11):
            consul.put("bench/memory", f"{number}")
            wait_until(lambda number=number: published.read_text().startswith(f"{number} "))  # type: ignore[misc]
        sidecar.get("/metrics")
        return Memory(at_rest, resident_mebibytes(sidecar.pid))


def measure_drift_look(folder: Path, *, files: int, size: int) -> float:
    """Return how many milliseconds it takes, at the median of 15, to compare a bundle with what was published."""
    publisher = Publisher("drift", folder, mode="swap", keep=0)
    publisher.open()
    wanted = [RenderedFile(f"d/{number}", b"x" * size) for number in range(files)]
    publisher.publish(publisher.stage(wanted), acknowledged=True, inputs="known")
    times = []
    for _ in range(15):
        began = monotonic()
        assert not publisher.find_drift().differing
        times.append((monotonic() - began) * 1000)
    publisher.close()
    return statistics.median(times)


def resident_mebibytes(pid: int) -> float:
    """Return how much memory a process has in use."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1024


def measure_start(folder: Path, *, runs: int) -> tuple[float, float]:
    """Return median and minimum milliseconds of a whole `confcar once` of one file, directory empty each time."""
    (folder / "data.yaml").write_text("name: bench\n")
    config = folder / "confcar.yaml"
    found = []
    for number in range(runs + 1):
        config.write_text(
            "sources: {local: {type: file, path: data.yaml}}\n"
            f"bundles: {{web: {{directory: out-{number}, templates: [{{content: \"{{{{ key('name') }}}}\","
            " destination: name}]}}\n"
        )
        started = monotonic()
        subprocess.run(command("once", "-c", config), env=environment(None), check=True, capture_output=True)
        found.append((monotonic() - started) * 1000)
    return statistics.median(found[1:]), min(found[1:])
