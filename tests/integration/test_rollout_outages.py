"""Turns of a fleet while Consul is away: killed, paused, back; and what is never done then."""

from __future__ import annotations

import logging

import pytest

from confcar.clients.consul_session import SESSION_SECONDS
from confcar.reloaders.turn import FRESH_SECONDS
from tests.integration.rollouts import Instance, held_slot, instance_of, source_at
from tests.servers.consul import ConsulServer
from tests.waiting import free_port, pause, wait_until

KEY = "fleet/slots"


def _state_of(instance: Instance) -> str | None:
    turn = instance.rollout._turn
    return None if turn is None else turn.look().state


def _assert_made_without(instance: Instance) -> None:
    instance.wait_for_turn()
    assert instance.slot is not None
    assert instance.slot.state == "without"
    assert instance.slot.message == f"reloads without a slot of {KEY}: {instance.slot.error}"
    instance.rollout.done()
    assert instance.counted("timeout") == 1
    assert instance.status.bundle("web").reload.slot is None


def test_without_consul_the_reload_is_made_after_the_timeout_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with instance_of(source_at(f"http://127.0.0.1:{free_port()}"), KEY, timeout="2s") as instance:
        error = instance.wait_for_error()
        assert error.message.startswith(f"cannot get a slot of {KEY}: cannot reach Consul at http://127.0.0.1:")
        _assert_made_without(instance)
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.message for record in told] == ["cannot get a slot", "reloading without a slot"]


def test_consul_killed_while_waiting_lets_the_reload_be_made_after_the_timeout(own_consul: ConsulServer) -> None:
    source = source_at(own_consul.address)
    with held_slot(source, KEY) as held, instance_of(source, KEY, timeout="3s") as instance:
        instance.wait_for_holders()
        own_consul.kill()
        _assert_made_without(instance)
        own_consul.start()
        held.give_back()


def test_consul_paused_while_waiting_lets_the_reload_be_made_after_the_timeout(own_consul: ConsulServer) -> None:
    source = source_at(own_consul.address)
    with held_slot(source, KEY), instance_of(source, KEY, timeout="3s") as instance:
        instance.wait_for_holders()
        own_consul.pause()
        _assert_made_without(instance)
        own_consul.resume()


def test_consul_back_before_the_timeout_lets_it_wait_on(own_consul: ConsulServer) -> None:
    source = source_at(own_consul.address)
    with held_slot(source, KEY) as held, instance_of(source, KEY) as instance:
        instance.wait_for_holders()
        own_consul.kill()
        instance.wait_for_error()
        own_consul.start()
        instance.wait_for_holders()
        held.give_back()
        instance.wait_for_turn()
        assert instance.slot is not None
        assert instance.slot.state == "held"


def test_a_slot_that_cannot_be_proven_starts_no_reload_until_it_can(own_consul: ConsulServer) -> None:
    with instance_of(source_at(own_consul.address), KEY) as instance:
        instance.may_reload()
        wait_until(lambda: _state_of(instance) == "held")
        own_consul.pause()
        pause(1.5 * FRESH_SECONDS)
        instance.wait_for_error()
        own_consul.resume()
        instance.wait_for_turn()
        assert instance.slot is not None
        assert instance.slot.state == "held"


@pytest.mark.timeout(120)
def test_a_slot_that_cannot_be_proven_for_a_session_s_time_is_given_up(own_consul: ConsulServer) -> None:
    with instance_of(source_at(own_consul.address), KEY) as instance:
        instance.may_reload()
        wait_until(lambda: _state_of(instance) == "held")
        own_consul.kill()
        wait_until(lambda: _state_of(instance) == "seeking", timeout=3 * SESSION_SECONDS)
        assert not instance.may_reload()


@pytest.mark.timeout(120)
def test_consul_killed_during_a_reload_is_told_when_the_session_s_time_is_over(own_consul: ConsulServer) -> None:
    with instance_of(source_at(own_consul.address), KEY) as instance:
        instance.wait_for_turn()
        own_consul.kill()
        wait_until(lambda: _state_of(instance) == "lost", timeout=3 * SESSION_SECONDS)
        instance.rollout.done()
        assert instance.counted("lost") == 1


def test_closing_takes_a_moment_only_while_consul_does_not_answer(own_consul: ConsulServer) -> None:
    source = source_at(own_consul.address)
    with held_slot(source, KEY), instance_of(source, KEY) as waiting, instance_of(source, KEY) as other:
        waiting.wait_for_holders()
        other.may_reload()
        turns = [waiting.rollout._turn, other.rollout._turn]
        own_consul.pause()
        waiting.rollout.close()
        other.rollout.close()
        # Far less than the time limit of a request.
        wait_until(lambda: not any(turn is not None and turn._thread.is_alive() for turn in turns), timeout=2.0)
        own_consul.resume()


def test_an_emptied_consul_lets_everybody_contend_again(own_consul: ConsulServer) -> None:
    source = source_at(own_consul.address)
    with held_slot(source, KEY), instance_of(source, KEY) as instance:
        instance.wait_for_holders()
        own_consul.delete(f"{KEY}/", recurse=True)
        instance.wait_for_turn()
        assert instance.slot is not None
        assert instance.slot.state == "held"
