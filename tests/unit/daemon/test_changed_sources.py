"""Sources that a changed config adds, replaces or takes away: whose bundle waits, fails or is served."""

from __future__ import annotations

from tests.unit.daemon.place import Place, bundle
from tests.unit.daemon.script import Running, play
from tests.waiting import free_port

LOCAL = {"type": "file", "path": "data.yaml"}


def test_a_new_source_that_is_down_lets_its_bundle_wait_and_the_old_files_be(place: Place) -> None:
    down = {"local": {"type": "consul", "address": f"http://127.0.0.1:{free_port()}"}}

    def script(running: Running) -> None:
        running.wait_for_state("published")
        assert running.reload(sources=down) is None
        missing = running.wait_for_state("pending").missing
        assert [(each.function, each.path, each.source) for each in missing] == [("key", "name", "local")]
        assert place.text() == "first"
        assert running.reload(sources={"local": LOCAL}) is None
        running.wait_for_state("published")
        assert running.seen().generation == 1

    play(place, script)


def test_the_first_source_of_the_new_config_serves(place: Place) -> None:
    (place.folder / "other.yaml").write_text("name: other\n")
    other = {"type": "file", "path": "other.yaml"}
    bundles = {
        "web": bundle("web"),
        "fixed": bundle("fixed", "{{ key('name', source='local') }}"),
        "plain": bundle("p", "-"),
    }
    place.configure(sources={"local": LOCAL}, bundles=bundles)

    def script(running: Running) -> None:
        running.wait_for_text("first")
        running.wait_for_text("first", "fixed")
        running.wait_for_text("-", "p")
        plain = running.threads("plain")
        assert running.reload(sources={"other": other, "local": LOCAL}, bundles=bundles) is None
        running.wait_for_text("other")
        assert running.threads("plain") == plain
        assert running.reload(sources={"local": LOCAL, "other": other}, bundles=bundles) is None
        running.wait_for_text("first")
        assert place.text("fixed") == "first"

    assert play(place, script).status.bundle("fixed").generation == 1


def test_a_template_that_names_a_source_that_is_gone_fails_alone_and_its_files_stay(place: Place) -> None:
    bundles = {"web": bundle("web", "{{ key('name', source='local') }}"), "api": bundle("api")}
    place.configure(bundles=bundles)

    def script(running: Running) -> None:
        running.wait_for_state("published")
        running.wait_for_state("published", "api")
        assert running.reload(sources={"other": LOCAL}, bundles=bundles) is None
        assert "no source has this name" in str(running.wait_for_state("failed").error)
        assert running.seen("api").state == "published"

    play(place, script)
    assert place.text() == "first"
