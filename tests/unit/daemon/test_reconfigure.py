"""Taking over a changed config while everything runs: what begins, what ends, and what is not touched."""

from __future__ import annotations

import logging
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from confcar.publishing.publisher import Publisher
from tests.unit.daemon.place import WEB_AND_API, Place, bundle
from tests.unit.daemon.script import Running, eventually, play


def test_a_changed_bundle_is_published_anew_and_the_other_one_is_left_alone(place: Place) -> None:
    place.configure(bundles=WEB_AND_API)

    def script(running: Running) -> None:
        running.wait_for_text("first")
        running.wait_for_text("FIRST", "api")
        web, api = running.threads("web"), running.threads("api")
        assert running.reload(bundles=WEB_AND_API | {"web": bundle("web", "{{ key('name') }}!")}) is None
        running.wait_for_text("first!")
        eventually(lambda: running.seen().generation == 2)
        assert running.threads("api") == api
        assert running.threads("web") != web
        place.write("name: second\n")
        running.wait_for_text("second!")
        running.wait_for_text("SECOND", "api")

    context = play(place, script)
    assert context.status.bundle("api").generation == 2


def test_a_reload_that_changes_nothing_touches_nothing(place: Place) -> None:
    def script(running: Running) -> None:
        running.wait_for_state("published")
        threads = running.threads()
        for _ in range(3):
            assert running.reload() is None
        assert running.threads() == threads
        assert running.seen().generation == 1

    play(place, script)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"bundles": {"web": bundle("web", directry="x")}}, "confcar.json:1:", id="an unknown key"),
        pytest.param({"bundles": {"web": bundle("web", "{% if %}")}}, "content of name:1: ", id="a broken template"),
        pytest.param({"pid_file": "no/such/folder/pid"}, "pid_file: cannot write ", id="a PID file in no folder"),
    ],
)
def test_a_broken_config_is_refused_as_a_whole_and_the_old_one_lives_on(
    place: Place, settings: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    def script(running: Running) -> None:
        running.wait_for_state("published")
        threads = running.threads()
        error = running.reload(**{"bundles": WEB_AND_API, **settings} if "bundles" not in settings else settings)
        assert words in str(error)
        assert running.threads() == threads
        assert running.threads("api") == []
        place.write("name: second\n")
        running.wait_for_text("second")
        place.configure()
        eventually(lambda: running.context.status.copy().config.error is None)

    play(place, script)
    assert "config refused, the old one stays" in caplog.text
    assert place.text("api") is None


def test_a_refused_config_leaves_no_descriptor_and_no_thread_behind(place: Place) -> None:
    sources = {name: {"type": "file", "path": "data.yaml"} for name in ("local", "other", "third")}
    broken = {"web": bundle("web", "{% if %}"), "api": bundle("api")}

    def script(running: Running) -> None:
        running.wait_for_state("published")
        assert running.reload(sources=sources, bundles=broken) is not None
        threads, descriptors = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
        for number in range(5):
            running.reload(sources=sources, bundles=broken | {"api": bundle("api", f"{{{{ 1 | no{number} }}}}")})
        assert threading.active_count() <= threads
        assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors

    play(place, script)


def test_a_removed_bundle_ends_and_its_files_stay(place: Place) -> None:
    place.configure(bundles=WEB_AND_API)

    def script(running: Running) -> None:
        running.wait_for_state("published", "web")
        running.wait_for_state("published", "api")
        assert running.reload(bundles={"web": bundle("web")}) is None
        eventually(lambda: not running.threads("api"))
        assert list(running.context.status.copy().bundles) == ["web"]
        other = Publisher("other", place.folder / "api", mode="swap", keep=2)
        eventually(other.open)
        other.close()
        place.write("name: second\n")
        running.wait_for_text("second")
        counted = {key[1] for key in running.context.status.copy().counters if key[0] == "render_total"}
        assert counted == {"web"}

    play(place, script)
    assert place.text("api") == "FIRST"


def test_a_bundle_under_another_name_takes_the_directory_over(place: Place) -> None:
    def script(running: Running) -> None:
        running.wait_for_state("published")
        assert running.reload(bundles={"site": bundle("web")}) is None
        running.wait_for_state("published", "site")
        assert running.seen("site").generation == 1
        place.write("name: second\n")
        running.wait_for_text("second")

    play(place, script)


def test_bundles_can_swap_their_directories(place: Place) -> None:
    place.configure(bundles={"a": bundle("one", "a"), "b": bundle("two", "b")})

    def script(running: Running) -> None:
        running.wait_for_text("a", "one")
        running.wait_for_text("b", "two")
        assert running.reload(bundles={"a": bundle("two", "a"), "b": bundle("one", "b")}) is None
        running.wait_for_text("b", "one")
        running.wait_for_text("a", "two")

    play(place, script)


def test_a_bundle_whose_check_hangs_does_not_hold_up_the_reload_of_the_others(place: Place) -> None:
    go = place.folder / "go"
    hangs = {"command": ["sh", "-c", f"touch {go}.begun; while ! test -e {go}; do sleep 0.05; done"], "timeout": "30s"}
    place.configure(bundles={"web": bundle("web", check=hangs), "api": bundle("api")})

    def script(running: Running) -> None:
        running.wait_for_text("first", "api")
        eventually((place.folder / "go.begun").exists)
        assert running.reload(bundles={"web": bundle("web", "web"), "api": bundle("api", "api")}) is None
        running.wait_for_text("api", "api")
        assert place.text("web") is None
        go.touch()
        running.wait_for_text("web")

    play(place, script)


def test_the_reload_that_was_owed_is_owed_by_the_changed_bundle(place: Place) -> None:
    told = place.folder / "told"
    place.configure(bundles={"web": bundle("web", reload={"command": ["false"]})})

    def script(running: Running) -> None:
        eventually(lambda: running.seen().reload.attempts > 0)
        assert running.reload(bundles={"web": bundle("web", reload={"command": ["touch", str(told)]})}) is None
        eventually(lambda: running.seen().reload.acknowledged_generation == 1)

    play(place, script)
    assert told.exists()


def test_a_directory_that_another_confcar_holds_refuses_the_config(place: Place) -> None:
    holder = Publisher("held", place.folder / "held", mode="swap", keep=2)
    holder.open()

    def script(running: Running) -> None:
        running.wait_for_state("published")
        error = running.reload(bundles={"web": bundle("web", "new"), "held": bundle("held"), "free": bundle("free")})
        assert "bundles.held.directory: " in str(error)
        assert "is held by another confcar" in str(error)
        assert list(running.context.status.copy().bundles) == ["web"]
        free = Publisher("free", place.folder / "free", mode="swap", keep=2)
        free.open()
        free.close()

    play(place, script)
    holder.close()
    assert place.text() == "first"


def test_the_log_level_is_taken_over(place: Place) -> None:
    def script(running: Running) -> None:
        running.wait_for_state("published")
        assert running.reload(log={"level": "error"}) is None
        assert logging.getLogger("confcar").level == logging.ERROR
        assert running.reload(log={"level": "info"}) is None

    play(place, script)


def test_the_pid_file_moves(place: Place) -> None:
    place.configure(pid_file="one.pid")

    def script(running: Running) -> None:
        running.wait_for_state("published")
        assert running.reload(pid_file="two.pid") is None
        assert not (place.folder / "one.pid").exists()
        assert (place.folder / "two.pid").read_text() == f"{os.getpid()}\n"

    play(place, script)
    assert not (place.folder / "two.pid").exists()


def test_usr1_has_all_read_and_repaired(place: Place) -> None:
    def script(running: Running) -> None:
        running.wait_for_state("published")
        (place.folder / "web" / "name").resolve().write_text("edited")
        for _ in range(3):
            running.tell(signal.SIGUSR1)
        running.wait_for_text("first")

    play(place, script)


def test_a_reload_that_fails_by_a_bug_does_not_end_the_sidecar(place: Place, tmp_path: Path) -> None:
    def script(running: Running) -> None:
        running.wait_for_state("published")
        place.config.write_bytes(b"\xff\xfe")
        running.tell(signal.SIGHUP)
        eventually(lambda: running.context.status.copy().config.error)
        place.config.unlink()
        place.configure()
        assert running.reload() is None

    play(place, script)
