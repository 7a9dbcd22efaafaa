"""`consul lock` and confcar at one semaphore."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.rollouts import instance_of, source_at
from tests.servers.consul import ConsulServer
from tests.waiting import wait_until


@contextmanager
def _consul_lock(consul: ConsulServer, key: str, *, slots: int, mark: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command under `consul lock`: it makes *mark* when it has a slot and ends when *mark* is gone again."""
    script = f"touch {mark}; while test -e {mark}; do sleep 0.05; done"
    command = [str(consul.program), "lock", f"-http-addr={consul.address}", f"-n={slots}", key, script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            yield process
        finally:
            mark.unlink(missing_ok=True)
            process.terminate()
            process.communicate(timeout=20.0)


def test_confcar_waits_for_the_slots_that_consul_lock_has(consul: ConsulServer, kv_prefix: str, tmp_path: Path) -> None:
    source, key = source_at(consul.address), f"{kv_prefix}/slots"
    first, second = tmp_path / "first", tmp_path / "second"
    with _consul_lock(consul, key, slots=2, mark=first), _consul_lock(consul, key, slots=2, mark=second):
        wait_until(lambda: first.exists() and second.exists())
        with instance_of(source, key, slots=2) as instance:
            assert "held by somebody, session " in instance.wait_for_holders(2).message
            first.unlink()
            instance.wait_for_turn()
            assert instance.slot is not None
            assert instance.slot.state == "held"


def test_consul_lock_waits_for_the_slots_that_confcar_has(consul: ConsulServer, kv_prefix: str, tmp_path: Path) -> None:
    source, key, mark = source_at(consul.address), f"{kv_prefix}/slots", tmp_path / "mark"
    with instance_of(source, key, slots=2) as first, instance_of(source, key, slots=2) as second:
        first.wait_for_turn()
        second.wait_for_turn()
        with _consul_lock(consul, key, slots=2, mark=mark) as process:
            wait_until(lambda: len(consul.call("GET", f"/v1/kv/{key}/?keys").expect(200).json) == 4)
            assert not mark.exists()
            first.rollout.done()
            wait_until(mark.exists)
            mark.unlink()
            process.wait(20.0)
            assert process.returncode == 0
        assert second.rollout._turn is not None
        assert second.rollout._turn.look().state == "held"


def test_a_consul_lock_with_another_number_is_an_error_that_names_both(
    consul: ConsulServer, kv_prefix: str, tmp_path: Path
) -> None:
    source, key, mark = source_at(consul.address), f"{kv_prefix}/slots", tmp_path / "mark"
    with instance_of(source, key, slots=2) as instance:
        with _consul_lock(consul, key, slots=3, mark=mark):
            wait_until(mark.exists)
            assert "agreed on 3 at once and `slots` is 2" in instance.wait_for_error().message
        instance.wait_for_turn()


def test_a_plain_consul_lock_fails_while_confcar_has_a_slot(
    consul: ConsulServer, kv_prefix: str, tmp_path: Path
) -> None:
    source, key, mark = source_at(consul.address), f"{kv_prefix}/slots", tmp_path / "mark"
    with instance_of(source, key) as instance:
        instance.wait_for_turn()
        with _consul_lock(consul, key, slots=1, mark=mark) as process:
            assert process.wait(20.0) == 1
        assert not mark.exists()


def test_a_plain_consul_lock_holds_the_reload_up_and_says_why(
    consul: ConsulServer, kv_prefix: str, tmp_path: Path
) -> None:
    source, key, mark = source_at(consul.address), f"{kv_prefix}/slots", tmp_path / "mark"
    with _consul_lock(consul, key, slots=1, mark=mark), instance_of(source, key) as instance:
        wait_until(mark.exists)
        assert "is held as a plain lock" in instance.wait_for_error().message
        mark.unlink()
        instance.wait_for_turn()
        assert instance.slot is not None
        assert instance.slot.state == "held"
