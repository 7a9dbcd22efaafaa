"""Turns of a fleet on a real Consul: who may reload, who waits for whom, and what is left behind."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

import pytest

from confcar.clients.consul_session import SESSION_SECONDS
from confcar.reloaders.semaphore import FLAGS
from confcar.reloaders.turn import FRESH_SECONDS
from tests.integration.rollouts import held_slot, instance_of, source_at, with_token
from tests.servers.consul import ConsulServer
from tests.waiting import pause, wait_until


def _below(consul: ConsulServer, folder: str) -> Sequence[str]:
    answer = consul.call("GET", f"/v1/kv/{folder}/?keys&consistent").expect(200, 404)
    return answer.json if answer.status == 200 else ()


def test_one_slot_lets_one_reload_and_the_next_when_it_is_done(consul: ConsulServer, kv_prefix: str) -> None:
    source, key = source_at(consul.address), f"{kv_prefix}/slots"
    with instance_of(source, key) as first, instance_of(source, key) as second:
        first.wait_for_turn()
        assert first.slot is not None
        assert first.slot.state == "held"
        waiting = second.wait_for_holders()
        who = f"confcar web on {socket.gethostname()} pid {os.getpid()}"
        assert waiting.message.startswith(f"waiting for a slot of {key} (held by {who}, session ")
        assert (waiting.state, waiting.error, waiting.without_at) == ("waiting", None, None)
        first.rollout.done()
        second.wait_for_turn()
        assert first.status.bundle("web").reload.slot is None
        assert first.counted("slot") == 1


def test_a_turn_lasts_until_it_is_done_whatever_happens_to_the_slot(consul: ConsulServer, kv_prefix: str) -> None:
    source, key = source_at(consul.address), f"{kv_prefix}/slots"
    with instance_of(source, key) as instance:
        instance.wait_for_turn()
        consul.delete(f"{key}/", recurse=True)
        pause(2 * FRESH_SECONDS)
        assert instance.rollout.look_again_at is None, "nothing is waited for"
        assert instance.may_reload(), "what takes a reload back is of the same turn"
        instance.rollout.done()
        assert instance.counted("slot") + instance.counted("lost") == 1


def test_as_many_reload_at_once_as_there_are_slots(consul: ConsulServer, kv_prefix: str) -> None:
    source, key = source_at(consul.address), f"{kv_prefix}/slots"
    with (
        instance_of(source, key, slots=2) as first,
        instance_of(source, key, slots=2) as second,
        instance_of(source, key, slots=2) as third,
    ):
        first.wait_for_turn()
        second.wait_for_turn()
        third.wait_for_holders(2)
        second.rollout.done()
        third.wait_for_turn()


def test_who_waits_for_others_waits_beyond_the_timeout(consul: ConsulServer, kv_prefix: str) -> None:
    source, key = source_at(consul.address), f"{kv_prefix}/slots"
    with held_slot(source, key), instance_of(source, key, timeout="1s") as instance:
        instance.wait_for_holders()
        pause(2.5)
        instance.wait_for_holders()


def test_nothing_is_left_in_consul_when_all_are_done(consul: ConsulServer, kv_prefix: str) -> None:
    source, key = source_at(consul.address), f"{kv_prefix}/slots"
    with instance_of(source, key) as instance:
        instance.wait_for_turn()
        assert f"{key}/.lock" in _below(consul, key)
        instance.rollout.done()
        wait_until(lambda: not _below(consul, key))


@pytest.mark.parametrize("is_done", [True, False])
def test_closing_waits_until_the_slot_is_given_back(consul: ConsulServer, kv_prefix: str, *, is_done: bool) -> None:
    source, key = source_at(consul.address), f"{kv_prefix}/slots"
    with instance_of(source, key) as instance:
        instance.wait_for_turn()
        if is_done:
            instance.rollout.done()
        instance.rollout.close()
        assert not _below(consul, key)


def test_the_keys_are_those_of_consul_lock(consul: ConsulServer, kv_prefix: str) -> None:
    key = f"{kv_prefix}/slots"
    with instance_of(source_at(consul.address), key, slots=3) as instance:
        instance.wait_for_turn()
        found = {item["Key"]: item for item in consul.call("GET", f"/v1/kv/{key}/?recurse").expect(200).json}
        document = consul.call("GET", f"/v1/kv/{key}/.lock?raw").expect(200).json
        (session,) = document["Holders"]
        assert document == {"Limit": 3, "Holders": {session: True}}
        assert found.keys() == {f"{key}/.lock", f"{key}/{session}"}
        assert {item["Flags"] for item in found.values()} == {FLAGS} == {16210313421097356768}
        assert found[f"{key}/{session}"]["Session"] == session
        (held,) = consul.call("GET", f"/v1/session/info/{session}").expect(200).json
        assert (held["TTL"], held["Behavior"], held["LockDelay"]) == (f"{SESSION_SECONDS}s", "delete", 0)
        assert (held["NodeChecks"], held["ServiceChecks"]) == ([], None), "only its own time ends it"


def test_who_gives_up_waiting_leaves_nothing(consul: ConsulServer, kv_prefix: str) -> None:
    source, key = source_at(consul.address), f"{kv_prefix}/slots"
    with held_slot(source, key) as held:
        with instance_of(source, key) as waiting:
            waiting.wait_for_holders()
            assert len(_below(consul, key)) == 3
        assert _below(consul, key) == [f"{key}/.lock", f"{key}/{held.session}"]


def test_a_slot_that_is_not_used_is_kept_over_its_session_s_time(consul: ConsulServer, kv_prefix: str) -> None:
    source, key = source_at(consul.address), f"{kv_prefix}/slots"
    with held_slot(source, key) as held, instance_of(source, key) as kept:
        kept.wait_for_holders()
        held.give_back()
        wait_until(lambda: kept.rollout._turn is not None and kept.rollout._turn.look().state == "held")
        with instance_of(source, key) as other:
            pause(SESSION_SECONDS * 1.2)
            other.wait_for_holders()
            kept.wait_for_turn()


@pytest.mark.timeout(120)
def test_the_slot_of_a_dead_holder_is_free_when_its_session_has_ended(consul: ConsulServer, kv_prefix: str) -> None:
    source, key = source_at(consul.address), f"{kv_prefix}/slots"
    with held_slot(source, key, name="dead"), instance_of(source, key) as instance:
        assert "dead" in instance.wait_for_holders().message
        instance.wait_for_turn(timeout=4 * SESSION_SECONDS)


def test_a_session_that_an_operator_ends_before_the_reload_lets_none_reload_on_it(
    consul: ConsulServer, kv_prefix: str
) -> None:
    source, key = source_at(consul.address), f"{kv_prefix}/slots"
    with instance_of(source, key) as first, instance_of(source, key) as second:
        first.may_reload()
        wait_until(lambda: first.rollout._turn is not None and first.rollout._turn.look().state == "held")
        (session,) = consul.call("GET", f"/v1/kv/{key}/.lock?raw").expect(200).json["Holders"]
        consul.call("PUT", f"/v1/session/destroy/{session}").expect(200)
        second.wait_for_turn()
        pause(FRESH_SECONDS)
        first.wait_for_holders()
        second.rollout.done()
        first.wait_for_turn()


def test_a_session_that_ends_during_the_reload_is_told(consul: ConsulServer, kv_prefix: str) -> None:
    source, key = source_at(consul.address), f"{kv_prefix}/slots"
    with instance_of(source, key) as instance:
        instance.wait_for_turn()
        (session,) = consul.call("GET", f"/v1/kv/{key}/.lock?raw").expect(200).json["Holders"]
        consul.call("PUT", f"/v1/session/destroy/{session}").expect(200)
        turn = instance.rollout._turn
        assert turn is not None
        wait_until(lambda: turn.look().state == "lost")
        instance.rollout.done()
        assert instance.counted("lost") == 1
        instance.wait_for_turn()


def test_another_number_of_slots_is_an_error_while_others_hold_and_taken_over_then(
    consul: ConsulServer, kv_prefix: str
) -> None:
    source, key = source_at(consul.address), f"{kv_prefix}/slots"
    with held_slot(source, key, slots=3) as held, instance_of(source, key, slots=2, timeout="1s") as instance:
        error = instance.wait_for_error()
        assert "its holders agreed on 3 at once and `slots` is 2 here" in error.message
        pause(2.0)  # the time-out does not run while others hold
        assert not instance.may_reload()
        held.give_back()
        instance.wait_for_turn()
        assert consul.call("GET", f"/v1/kv/{key}/.lock?raw").expect(200).json["Limit"] == 2
        instance.rollout.done()
        assert instance.counted("slot") == 1


def test_a_key_that_is_something_else_is_an_error_and_the_reload_is_made_after_the_timeout(
    consul: ConsulServer, kv_prefix: str
) -> None:
    key = f"{kv_prefix}/slots"
    consul.put(f"{key}/.lock", "s3cret-value")
    with instance_of(source_at(consul.address), key, timeout="2s") as instance:
        error = instance.wait_for_error()
        assert error.message.endswith(f"Consul's key {key}/.lock is used for something else than a semaphore")
        assert error.without_at is not None
        instance.wait_for_turn()
        assert instance.slot is not None
        assert instance.slot.state == "without"
        assert "s3cret" not in instance.slot.message
    assert consul.get(f"{key}/.lock") == b"s3cret-value"


@pytest.mark.parametrize(
    ("rules", "needs"),
    [
        pytest.param('key_prefix "" { policy = "write" }', 'session_prefix "" { policy = "write" }', id="sessions"),
        pytest.param(
            'session_prefix "" { policy = "write" } key_prefix "" { policy = "read" }',
            'key_prefix "denied/slots/" { policy = "write" }',
            id="keys",
        ),
    ],
)
def test_a_token_that_may_not_is_told_what_it_needs_and_the_reload_is_made_after_the_timeout(
    consul_acl: ConsulServer, rules: str, needs: str
) -> None:
    token = consul_acl.create_token(rules)
    source = source_at(consul_acl.address, **with_token(token))
    with instance_of(source, "denied/slots", timeout="2s") as instance:
        assert needs in instance.wait_for_error().message
        instance.wait_for_turn()
        assert instance.slot is not None
        assert instance.slot.state == "without"
        assert needs in instance.slot.message
        instance.rollout.done()
        assert instance.counted("timeout") == 1


@pytest.mark.parametrize("sessions", ['session_prefix ""', 'session "test"'])
def test_a_token_that_may_write_sessions_and_the_folder_is_enough(consul_acl: ConsulServer, sessions: str) -> None:
    rules = f'{sessions} {{ policy = "write" }} key_prefix "allowed/slots/" {{ policy = "write" }}'
    source = source_at(consul_acl.address, **with_token(consul_acl.create_token(rules)))
    with instance_of(source, "allowed/slots") as instance:
        instance.wait_for_turn()
        assert instance.slot is not None
        assert instance.slot.state == "held"
