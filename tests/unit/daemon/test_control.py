"""Steering over the listener: what the commands answer, and where they are asked from."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any

from tests.unit.admin.listener import ask
from tests.unit.daemon.place import Place, bundle
from tests.unit.daemon.script import Running, eventually, play
from tests.waiting import free_port


@dataclass
class Outcome:
    """What a command answered."""

    status: int
    code: int
    errors: list[str]


def command(address: str, path: str) -> Outcome:
    """Ask for something and return what came of it."""
    answer = ask(address, path, method="POST", headers={"Confcar": "1"})
    document: Any = json.loads(answer.body)
    return Outcome(answer.status, document["code"], document["errors"])


def listening(place: Place, **settings: Any) -> str:  # noqa: ANN401 - a config
    """Configure the place with a listener and return its address."""
    address = f"127.0.0.1:{free_port()}"
    place.configure(admin={"listen": address}, **settings)
    return address


def test_a_sync_answers_once_all_is_read_and_repaired(place: Place) -> None:
    address = listening(place)

    def script(running: Running) -> None:
        running.wait_for_state("published")
        (place.folder / "web" / "name").resolve().write_text("edited")
        assert command(address, "/-/sync") == Outcome(200, 0, [])
        assert place.text() == "first"

    play(place, script)


def test_a_sync_says_which_source_and_which_bundle_failed(place: Place) -> None:
    gone = {"local": {"type": "consul", "address": f"http://127.0.0.1:{free_port()}"}}
    address = listening(place, sources=gone)

    def script(running: Running) -> None:
        running.wait_for_state("pending")
        outcome = command(address, "/-/sync")
        assert (outcome.status, outcome.code) == (502, 3)
        assert [error.partition(": ")[0] for error in outcome.errors] == ["source local", "bundle web"]

    play(place, script)


def test_a_sync_whose_reload_fails_ends_with_7(place: Place) -> None:
    address = listening(place, bundles={"web": bundle("web", reload={"command": ["false"]})})

    def script(running: Running) -> None:
        eventually(lambda: running.seen().reload.attempts > 0)
        outcome = command(address, "/-/sync")
        assert outcome.code == 7
        assert outcome.errors[0].startswith("bundle web: reload by command: ")

    play(place, script)


def test_a_reload_answers_once_the_new_config_is_in_force(place: Place) -> None:
    address = listening(place)

    def script(running: Running) -> None:
        running.wait_for_state("published")
        place.configure(admin={"listen": address}, bundles={"web": bundle("web", "changed"), "new": bundle("new")})
        assert command(address, "/-/reload") == Outcome(200, 0, [])
        assert list(running.context.status.copy().bundles) == ["web", "new"]

    play(place, script)


def test_a_reload_of_a_broken_config_answers_with_every_fault_and_2(place: Place) -> None:
    address = listening(place)

    def script(running: Running) -> None:
        running.wait_for_state("published")
        broken = {"web": bundle("web", directry="x"), "api": bundle("api", "ok", kep=1)}
        place.configure(admin={"listen": address}, bundles=broken)
        outcome = command(address, "/-/reload")
        assert (outcome.status, outcome.code) == (422, 2)
        assert [error.partition(": ")[2].partition(":")[0] for error in outcome.errors] == [
            "bundles.web.directry",
            "bundles.api.kep",
        ]
        document = json.loads(ask(address, "/status").body)
        assert document["config"]["error"] == "\n".join(outcome.errors)
        assert document["config"]["loaded_at"] is not None

    play(place, script)


def test_an_unknown_bundle_is_404_with_the_nearest_name(place: Place) -> None:
    address = listening(place)

    def script(running: Running) -> None:
        running.wait_for_state("published")
        outcome = command(address, "/-/rollback/wbe")
        assert (outcome.status, outcome.code) == (404, 2)
        assert outcome.errors == ["there is no bundle of this name; did you mean 'web'?"]

    play(place, script)


def test_a_bundle_with_one_generation_has_nothing_to_go_back_to(place: Place) -> None:
    address = listening(place)

    def script(running: Running) -> None:
        running.wait_for_state("published")
        outcome = command(address, "/-/rollback/web")
        assert outcome.code == 1
        assert "there is no older one" in outcome.errors[0]
        assert place.text() == "first"

    play(place, script)


def test_a_rollback_answers_once_the_generation_before_is_back_and_is_held_until_a_sync(place: Place) -> None:
    told = place.folder / "told"
    command_line = ["sh", "-c", f"echo x >>{told}"]
    address = listening(place, bundles={"web": bundle("web", reload={"command": command_line})})

    def times_told() -> int:
        return told.read_text().count("x") if told.exists() else 0

    def script(running: Running) -> None:
        running.wait_for_text("first")
        place.write("name: second\n")
        running.wait_for_text("second")
        eventually(lambda: times_told() == 2)
        assert command(address, "/-/rollback/web") == Outcome(200, 0, [])
        assert place.text() == "first"
        assert times_told() == 3
        assert running.reload() is None
        assert place.text() == "first"
        command(address, "/-/sync")
        running.wait_for_text("second")

    play(place, script)


def test_the_listener_moves_to_another_address_and_answers_on_the_old_one_first(place: Place) -> None:
    old, new = listening(place), f"127.0.0.1:{free_port()}"

    def script(running: Running) -> None:
        running.wait_for_state("published")
        place.configure(admin={"listen": new})
        assert command(old, "/-/reload") == Outcome(200, 0, [])
        assert ask(new, "/healthz").status == 200
        assert not _is_listened_on(old)

    play(place, script)


def test_the_listener_moves_to_a_wildcard_on_the_same_port(place: Place) -> None:
    old = listening(place)

    def script(running: Running) -> None:
        running.wait_for_state("published")
        place.configure(admin={"listen": f"0.0.0.0:{old.rpartition(':')[2]}"})
        assert command(old, "/-/reload") == Outcome(200, 0, [])
        assert ask(old, "/healthz").status == 200

    play(place, script)


def test_an_address_that_cannot_be_had_refuses_the_config_and_the_old_listener_stays(place: Place) -> None:
    address = listening(place, pid_file="one.pid")

    def script(running: Running) -> None:
        running.wait_for_state("published")
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = f"127.0.0.1:{other.getsockname()[1]}"
            place.configure(admin={"listen": taken}, pid_file="two.pid", bundles={"web": bundle("web", "changed")})
            outcome = command(address, "/-/reload")
        assert outcome.code == 2
        assert outcome.errors == [f"admin.listen: cannot listen on {taken}: Address already in use"]
        assert ask(address, "/healthz").status == 200
        assert (place.folder / "one.pid").exists()
        assert not (place.folder / "two.pid").exists()

    play(place, script)
    assert place.text() == "first"


def test_the_listener_can_be_turned_off_and_on(place: Place) -> None:
    address = listening(place)

    def script(running: Running) -> None:
        running.wait_for_state("published")
        assert running.reload(admin={"listen": "off"}) is None
        assert not _is_listened_on(address)
        assert running.reload(admin={"listen": address}) is None
        assert ask(address, "/healthz").status == 200

    play(place, script)


def _is_listened_on(address: str) -> bool:
    try:
        return ask(address, "/healthz").status > 0
    except OSError:
        return False
