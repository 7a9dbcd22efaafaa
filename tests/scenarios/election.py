"""Three Consul servers lose their leader, a minority and all of them, while numbers grow that confcar publishes."""

from __future__ import annotations

import json
import threading
import time
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.integration.sidecar import Sidecar
from tests.servers.api import UnexpectedAnswerError
from tests.servers.consul import ConsulServer
from tests.servers.consul_cluster import ConsulCluster
from tests.waiting import wait_until

KEYS = 5
_CAUGHT_UP_SECONDS = 60.0
_CONFIG = """
sources:
  strict: {{type: consul, address: "{address}"}}
  stale: {{type: consul, address: "{address}", consistency: stale}}
bundles:
  strict:
    directory: strict
    wait: {{quiet: 5ms, max: 50ms}}
    templates: [{{source: numbers.j2, destination: numbers}}]
  stale:
    directory: stale
    wait: {{quiet: 5ms, max: 50ms}}
    templates: [{{source: stale.j2, destination: numbers}}]
"""
_TEMPLATE = """{% for name, number in tree('numbers') | items %}{{ name }} {{ number }}
{% endfor %}{{ key('single') }}
{% for instance in service('web') %}{{ instance.meta.round }}{% endfor %}
"""
BUNDLES = ("strict", "stale")


@dataclass(frozen=True)
class ElectionReport:
    """What was seen.

    Attributes:
        rounds: How often each of the faults was made.
        written: How many numbers were written while servers came and went.
        shown: How many different files were published, both bundles together.
        backwards: How often a number in a file was lower than before.
        lost: Numbers written last before or in a fault that were not on disk a minute after it.
        slowest_seconds: The longest from the end of a fault to both files showing what was written last.
    """

    rounds: int
    written: int
    shown: int
    backwards: int
    lost: int
    slowest_seconds: float


class _Writer:
    """Writes growing numbers by whichever server answers, each by check-and-set: none comes late over a newer one."""

    def __init__(self, cluster: ConsulCluster) -> None:
        # The one that answered last goes first.
        self._members = list(cluster.members)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._is_idle = threading.Event()
        self._may_go_on = threading.Event()
        self._may_go_on.set()
        self.numbers = {f"numbers/k{number}": 0 for number in range(KEYS)} | {"single": 0}
        self.written = 0

    def __enter__(self) -> None:
        for key in self.numbers:
            self._write_next(key)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._may_go_on.set()
        self._thread.join()

    def rest(self) -> None:
        """Write no more until `go_on`, and return when the last write is known to have happened."""
        self._is_idle.clear()
        self._may_go_on.clear()
        wait_until(self._is_idle.is_set, timeout=_CAUGHT_UP_SECONDS)

    def go_on(self) -> None:
        """Write again."""
        self._may_go_on.set()

    def _write(self) -> None:
        while True:
            for key in self.numbers:
                if not self._may_go_on.is_set():
                    self._is_idle.set()
                    self._may_go_on.wait()
                if self._stop.wait(0.02):
                    return
                self._write_next(key)

    def _write_next(self, key: str) -> None:
        number = self.numbers[key] + 1
        while not self._stop.is_set():
            if self._try(self._members[0], key, number):
                self.numbers[key] = number
                self.written += 1
                return
            self._members.append(self._members.pop(0))
            self._stop.wait(0.05)

    @staticmethod
    def _try(member: ConsulServer, key: str, number: int) -> bool:
        """Return whether the key has the number now."""
        try:
            found = member.call("GET", f"/v1/kv/{key}?consistent", timeout_seconds=1.0).expect(200, 404)
            index = 0
            if found.status == 200:
                (entry,) = found.json
                if b64decode(entry["Value"]) == str(number).encode():
                    return True
                index = entry["ModifyIndex"]
            path = f"/v1/kv/{key}?cas={index}"
            return bool(member.call("PUT", path, str(number).encode(), timeout_seconds=1.0).expect(200).json)
        except (OSError, UnexpectedAnswerError, json.JSONDecodeError):
            return False  # killed, paused or without a leader: the next one may do


class _Reader:
    """Reads both files all the time and counts what went backwards in them."""

    def __init__(self, folder: Path) -> None:
        self._files = [folder / bundle / "numbers" for bundle in BUNDLES]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self.shown = 0
        self.backwards = 0

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        before: dict[Path, dict[str, int]] = {}
        while not self._stop.wait(0.005):
            for file in self._files:
                now = numbers_in(file.read_text())
                last = before.get(file, {})
                if now != last:
                    self.shown += 1
                    self.backwards += sum(number > now.get(name, -1) for name, number in last.items())
                    before[file] = now


def numbers_in(text: str) -> dict[str, int]:
    """Return the numbers that a published file shows, by their keys; the round of the service by its name."""
    *numbers, single, round_ = text.splitlines()
    found = {f"numbers/{name}": int(number) for name, number in (line.split() for line in numbers)}
    return found | {"single": int(single), "web": int(round_ or -1)}


def lose_servers(folder: Path, program: Path, *, rounds: int) -> ElectionReport:
    """Make every fault *rounds* times and return what was on disk meanwhile and in the end."""
    with ConsulCluster(folder / "cluster", program) as cluster:
        writer, reader = _Writer(cluster), _Reader(folder)
        own = cluster.members[0]
        own.register("node", "web", Meta={"round": "0"})
        (folder / "confcar.yaml").write_text(_CONFIG.format(address=own.address))
        (folder / "numbers.j2").write_text(_TEMPLATE)
        (folder / "stale.j2").write_text(_TEMPLATE.replace("')", "', source='stale')"))
        slowest, lost = 0.0, 0
        with writer, Sidecar(folder / "confcar.yaml"), reader:
            faults = (_kill_leader, _cut_off_the_followed_one, _cut_off_the_leader, _restart_all)
            for number in range(rounds * len(faults)):
                writer.go_on()
                faults[number % len(faults)](cluster, writer)
                cluster.wait_until_whole()
                cluster.leader().register("node", "web", Meta={"round": str(number + 1)})
                writer.rest()
                seconds, missing = _catch_up(folder, writer.numbers | {"web": number + 1})
                slowest, lost = max(slowest, seconds), lost + missing
        return ElectionReport(rounds, writer.written, reader.shown, reader.backwards, lost, slowest)


def _kill_leader(cluster: ConsulCluster, writer: _Writer) -> None:
    cluster.leader().kill()
    _write_meanwhile(writer)
    cluster.start()


def _cut_off_the_followed_one(cluster: ConsulCluster, writer: _Writer) -> None:
    _pause(cluster.members[0], writer)


def _cut_off_the_leader(cluster: ConsulCluster, writer: _Writer) -> None:
    _pause(cluster.leader(), writer)


def _pause(member: ConsulServer, writer: _Writer) -> None:
    member.pause()
    try:
        _write_meanwhile(writer)
    finally:
        member.resume()


def _restart_all(cluster: ConsulCluster, writer: _Writer) -> None:
    written = writer.written
    cluster.stop()
    cluster.start()
    wait_until(lambda: writer.written > written, timeout=_CAUGHT_UP_SECONDS)


def _write_meanwhile(writer: _Writer) -> None:
    """Return when the others have a leader and have taken all keys some more times."""
    goal = writer.written + 3 * len(writer.numbers)
    wait_until(lambda: writer.written >= goal, timeout=_CAUGHT_UP_SECONDS)


def _catch_up(folder: Path, numbers: dict[str, int]) -> tuple[float, int]:
    """Return how long it took until both files showed these, and how many they did not show in the end."""

    def shown() -> list[dict[str, int]]:
        return [numbers_in((folder / bundle / "numbers").read_text()) for bundle in BUNDLES]

    started = time.monotonic()
    with suppress(AssertionError):
        wait_until(lambda: all(each == numbers for each in shown()), timeout=_CAUGHT_UP_SECONDS)
    return time.monotonic() - started, sum(each[key] != numbers[key] for each in shown() for key in numbers)
