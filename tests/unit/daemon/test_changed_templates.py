"""Template files that change while everything runs: taken over without being told, refused until they are repaired."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.daemon.place import WEB_AND_API, Place, bundle
from tests.unit.daemon.script import Running, eventually, play
from tests.waiting import wait_until


def test_a_template_file_that_changes_is_taken_over_without_being_told(place: Place) -> None:
    template = place.folder / "name.j2"
    template.write_text("{{ key('name') }}")
    options: dict[str, Any] = {"templates": [{"source": "name.j2", "destination": "name"}]}
    place.configure(bundles={"web": bundle("web", **options), "api": WEB_AND_API["api"]})

    def script(running: Running) -> None:
        running.wait_for_text("first")
        running.wait_for_text("FIRST", "api")
        api = running.threads("api")
        template.write_text("changed {{ key('name') }}")
        running.wait_for_text("changed first")
        assert running.threads("api") == api

    assert play(place, script).status.bundle("api").generation == 1


def test_an_included_template_that_changes_is_taken_over_without_being_told(place: Place) -> None:
    included = place.folder / "part.j2"
    included.write_text("{{ key('name') }}")
    place.configure(bundles={"web": bundle("web", "{% include 'part.j2' %}")})

    def script(running: Running) -> None:
        running.wait_for_text("first")
        included.write_text("changed {{ key('name') }}")
        running.wait_for_text("changed first")

    play(place, script)


def test_a_template_that_breaks_is_refused_until_it_is_repaired_and_the_old_output_follows_its_data(
    place: Place,
) -> None:
    template = place.folder / "name.j2"
    template.write_text("{{ key('name') }}")
    options: dict[str, Any] = {"templates": [{"source": "name.j2", "destination": "name"}]}
    place.configure(bundles={"web": bundle("web", **options)})

    def script(running: Running) -> None:
        running.wait_for_text("first")
        template.write_text("{% if %}")
        eventually(lambda: "name.j2:1: " in str(running.context.status.copy().config.error))
        assert running.seen().state == "published"
        place.write("name: second\n")
        running.wait_for_text("second")
        template.write_text("{{ key('name') }}!")
        running.wait_for_text("second!")
        assert running.context.status.copy().config.error is None

    play(place, script)


def test_a_template_file_that_comes_after_the_config_that_names_it_is_found_without_being_told(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    options: dict[str, Any] = {"templates": [{"source": "late.j2", "destination": "name"}]}

    def script(running: Running) -> None:
        running.wait_for_text("first")
        assert "there is no such file" in str(running.reload(bundles={"web": bundle("web", **options)}))
        (place.folder / "late.j2").write_text("late {{ key('name') }}")
        wait_until(lambda: place.text() == "late first", timeout=40.0)

    play(place, script)
    refusals = [record for record in caplog.records if record.getMessage().startswith("config refused")]
    assert len(refusals) == 1, "told when it was asked for, not each time it is tried"


def test_a_volume_that_is_swapped_brings_config_and_templates_together(place: Place) -> None:
    def fill(name: str, suffix: str) -> None:
        (place.folder / name).mkdir()
        (place.folder / name / "name.j2").write_text("{{ key('name') }}" + suffix)
        part = place.folder / name / "confcar.json"
        options: dict[str, Any] = {"templates": [{"source": "name.j2", "destination": f"name{suffix}"}]}
        place.config = part
        place.configure(bundles={"web": bundle(str(place.folder / "web"), **options)})
        part.write_text(part.read_text().replace("data.yaml", str(place.folder / "data.yaml")))

    def turn(name: str) -> None:
        (place.folder / "..new").symlink_to(name)
        (place.folder / "..new").rename(place.folder / "..data")

    fill("..one", "")
    fill("..two", ".new")
    turn("..one")
    (place.folder / "confcar.json").unlink()
    for each in ("confcar.json", "name.j2"):
        (place.folder / each).symlink_to(f"..data/{each}")
    place.config = place.folder / "confcar.json"

    def script(running: Running) -> None:
        running.wait_for_text("first")
        turn("..two")
        eventually(lambda: place.text(name="name.new") == "first.new")

    play(place, script)
