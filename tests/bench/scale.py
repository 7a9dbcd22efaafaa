"""What size costs: many keys in a folder, many templates, many files in a bundle, and a folder that is too large."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tests.bench.footprint import resident_mebibytes
from tests.integration.sidecar import Sidecar
from tests.servers.consul import ConsulServer
from tests.servers.fault_proxy import FaultProxy
from tests.waiting import pause, wait_until

_KEYS_PER_TEMPLATE = 50
_BETWEEN_SECONDS = 0.1
_START_SECONDS = 120.0
_BIG_KEYS, _BIG_WANTED = 100_000, 20


@dataclass(frozen=True)
class ManyKeys:
    """What following so many keys of one folder takes.

    Attributes:
        connections: At rest.
        memory: Resident mebibytes after the changes.
        median: Milliseconds from the write of one key to the file that holds it.
    """

    connections: int
    memory: float
    median: float


@dataclass(frozen=True)
class LargeFolder:
    """What following a few keys of a large folder takes.

    Attributes:
        whole_reads: How often the whole folder was asked for.
        requests: All requests, from the start over the changes.
        memory: Resident mebibytes after the changes.
    """

    whole_reads: int
    requests: int
    memory: float


def _template(destination: str, paths: Sequence[str]) -> str:
    content = " ".join(f"{{{{ key('{path}') }}}}" for path in paths)
    return f'    - {{destination: {destination}, content: "{content}"}}\n'


def _bundle(name: str, templates: Sequence[str]) -> str:
    head = f"  {name}:\n    directory: out/{name}\n    wait: {{quiet: 0s, max: 0s}}\n    templates:\n"
    return head + "".join(templates)


@contextmanager
def _running(folder: Path, address: str, bundles: Sequence[str]) -> Iterator[Sidecar]:
    folder.mkdir(parents=True)
    config = folder / "confcar.yaml"
    config.write_text(f"sources: {{consul: {{type: consul, address: '{address}'}}}}\nbundles:\n{''.join(bundles)}")
    with Sidecar(config).start(waits=False) as sidecar:
        wait_until(sidecar.is_ready, timeout=_START_SECONDS)
        yield sidecar


def _change(consul: ConsulServer, path: str, published: Path, writes: int) -> list[float]:
    found = []
    for number in range(writes):
        pause(_BETWEEN_SECONDS)
        text = f"v{number:04}"
        started = monotonic()
        consul.put(path, text)
        wait_until(lambda text=text: published.read_text().startswith(text), step=0.0005)  # type: ignore[misc]
        found.append((monotonic() - started) * 1000)
    return found


def measure_many_keys(
    folder: Path, consul: ConsulServer, *, keys: int, writes: int, per_template: int = _KEYS_PER_TEMPLATE
) -> ManyKeys:
    """Return what so many keys of one folder take, read one by one by templates of so many each."""
    paths = [f"scale-{keys}/k{number:05}" for number in range(keys)]
    consul.put_many(dict.fromkeys(paths, "x" * 100))
    starts = range(0, keys, per_template)
    templates = [_template(f"f{start}", paths[start : start + per_template]) for start in starts]
    place = folder / f"keys-{keys}-by-{per_template}"
    with _running(place, consul.address, [_bundle("web", templates)]) as sidecar:
        found = _change(consul, paths[0], place / "out" / "web" / "f0", writes)
        connections = sidecar.status()["sources"]["consul"]["connections"]
        return ManyKeys(connections, resident_mebibytes(sidecar.pid), statistics.median(found))


def measure_processor_time(folder: Path, consul: ConsulServer, *, bundles: int, writes: int) -> float:
    """Return the milliseconds of processor time of one change, in one of so many bundles of ten templates each."""
    names = [f"b{number:03}" for number in range(bundles)]
    paths = {name: [f"cpu-{bundles}/{name}/k{number}" for number in range(10)] for name in names}
    consul.put_many({path: "x" for each in paths.values() for path in each})
    made = [_bundle(name, [_template(f"f{at}", [path]) for at, path in enumerate(paths[name])]) for name in names]
    place = folder / f"cpu-{bundles}"
    with _running(place, consul.address, made) as sidecar:
        first = paths["b000"][0]
        _change(consul, first, place / "out" / "b000" / "f0", 3)
        before = _processor_milliseconds(sidecar.pid)
        _change(consul, first, place / "out" / "b000" / "f0", writes)
        return (_processor_milliseconds(sidecar.pid) - before) / writes


def measure_many_files(folder: Path, consul: ConsulServer, *, files: int, writes: int) -> tuple[float, float]:
    """Return median milliseconds and processor time of one change in a bundle of so many files of one key each."""
    paths = [f"files-{files}/k{number:05}" for number in range(files)]
    consul.put_many(dict.fromkeys(paths, "x" * 100))
    templates = [_template(f"f{at}", [path]) for at, path in enumerate(paths)]
    place = folder / f"files-{files}"
    with _running(place, consul.address, [_bundle("web", templates)]) as sidecar:
        before = _processor_milliseconds(sidecar.pid)
        found = _change(consul, paths[0], place / "out" / "web" / "f0", writes)
        return statistics.median(found), (_processor_milliseconds(sidecar.pid) - before) / writes


def measure_large_folder(folder: Path, consul: ConsulServer, *, writes: int) -> LargeFolder:
    """Return what 20 keys of a folder of 100,000 take."""
    paths = [f"big/k{number:06}" for number in range(_BIG_KEYS)]
    consul.put_many(dict.fromkeys(paths, "x" * 100))
    wanted = paths[:: _BIG_KEYS // _BIG_WANTED]
    place = folder / "big"
    with (
        FaultProxy(consul.port) as proxy,
        _running(place, proxy.address, [_bundle("web", [_template("f", wanted)])]) as sidecar,
    ):
        _change(consul, wanted[0], place / "out" / "web" / "f", writes)
        whole = sum("recurse" in seen.path for seen in proxy.seen("/v1/kv/big/"))
        return LargeFolder(whole, proxy.count(), resident_mebibytes(sidecar.pid))


def _processor_milliseconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")
