"""The whole line on the file source: a changed document becomes a file, and the primary hears of it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.sidecar import Sidecar, run_confcar
from tests.primaries.start import HttpPrimary, HupPrimary
from tests.waiting import wait_until

CONFIG = """
sources:
  local: {type: file, path: data.yaml}
bundles:
  web:
    directory: out
    wait: {quiet: 20ms, max: 1s}
    templates:
      - {content: "{{ key('app/name') }}\\n", destination: name}
      - {content: "{{ key('app/port') }}\\n", destination: conf/port}
    reload: RELOAD
"""


class Place:
    """A folder with a config, its data and what is published."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "confcar.yaml"
        self.out = folder / "out"

    def configure(self, reload: object, text: str = CONFIG) -> None:
        self.config.write_text(text.replace("RELOAD", json.dumps(reload)))

    def write(self, name: str, port: int) -> None:
        temporary = self.folder / "data.new"
        temporary.write_text(f"app:\n  name: {name}\n  port: {port}\n")
        temporary.replace(self.folder / "data.yaml")

    def published(self) -> tuple[str, str]:
        return (self.out / "name").read_text(), (self.out / "conf" / "port").read_text()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write("first", 1)
    place.configure([])
    return place


@pytest.fixture
def primary(place: Place) -> Iterator[HupPrimary]:
    place.out.mkdir()
    with HupPrimary(place.folder / "primary", place.out, "name", "conf/port") as primary:
        place.configure({"signal": "HUP", "pid_file": str(primary.pid_file)})
        yield primary


def test_once_publishes_everything_and_ends_with_0(place: Place) -> None:
    ended = run_confcar("once", "-c", place.config)
    assert (ended.returncode, place.published()) == (0, ("first\n", "1\n"))


def test_once_never_reloads(place: Place, primary: HupPrimary) -> None:
    assert run_confcar("once", "-c", place.config).returncode == 0
    assert primary.reloads() == []


def test_run_after_once_reloads_nothing_until_something_changes(place: Place, primary: HupPrimary) -> None:
    run_confcar("once", "-c", place.config)
    with Sidecar(place.config) as sidecar:
        wait_until(lambda: sidecar.bundle()["state"] == "published")
        assert primary.reloads() == []
        place.write("second", 2)
        reload = wait_until(primary.reloads)[0]
        assert reload.files == {"name": "second\n", "conf/port": "2\n"}
        assert sidecar.bundle()["generation"] == 2


def test_one_change_of_two_files_is_one_reload(place: Place, primary: HupPrimary) -> None:
    with Sidecar(place.config) as sidecar:
        wait_until(lambda: sidecar.bundle()["reload"]["acknowledged_generation"] == 1)
        before = len(primary.reloads())
        for number in range(2, 12):
            place.write(f"name-{number}", number)
            wait_until(lambda number=number: place.published() == (f"name-{number}\n", f"{number}\n"))  # type: ignore[misc]
            wait_until(lambda: not sidecar.bundle()["reload"]["pending"])
        assert len(primary.reloads()) - before == 10
        assert all(len(set(read.files.values())) == 2 for read in primary.reloads())


def test_missing_data_is_pending_and_says_what_it_waits_for(place: Place) -> None:
    (place.folder / "data.yaml").write_text("app: {name: first}\n")
    with Sidecar(place.config).start(waits=False) as sidecar:
        wait_until(lambda: sidecar.get("/readyz")[0] == 503 and "app/port" in sidecar.get("/readyz")[1], timeout=20)
        missing = sidecar.bundle()["missing"]
        assert [(item["function"], item["path"], item["source"]) for item in missing] == [("key", "app/port", "local")]
        assert not (place.out / "name").exists()
        place.write("first", 1)
        wait_until(sidecar.is_ready)
        assert place.published() == ("first\n", "1\n")


def test_data_that_vanishes_leaves_the_last_good_files(place: Place) -> None:
    with Sidecar(place.config) as sidecar:
        (place.folder / "data.yaml").write_text("app: {name: second}\n")
        wait_until(lambda: sidecar.bundle()["state"] == "pending")
        assert place.published() == ("first\n", "1\n")
        assert sidecar.is_ready()


def test_a_refused_check_publishes_nothing_and_once_ends_with_5(place: Place) -> None:
    check = 'check: {command: ["sh", "-c", "test $(cat {directory}/conf/port) -lt 10"]}'
    place.configure([], CONFIG.replace("reload: RELOAD", check))
    assert run_confcar("once", "-c", place.config).returncode == 0
    place.write("second", 99)
    ended = run_confcar("once", "-c", place.config)
    assert ended.returncode == 5
    assert place.published() == ("first\n", "1\n")


def test_an_http_primary_is_called_once_per_change(place: Place) -> None:
    place.out.mkdir()
    with HttpPrimary(place.folder / "primary", place.out / "name") as primary:
        place.configure({"http": {"url": primary.reload_url}})
        with Sidecar(place.config) as sidecar:
            wait_until(lambda: len(primary.reloads()) == 1)
            primary.answer_with(503, 200)
            place.write("second", 2)
            wait_until(lambda: sidecar.bundle()["reload"]["acknowledged_generation"] == 2)
        generations = [request.headers["confcar-generation"] for request in primary.reloads()]
    assert generations == ["1", "2", "2"]


def test_a_reload_owed_at_a_kill_is_made_after_the_restart(place: Place) -> None:
    place.out.mkdir()
    with HttpPrimary(place.folder / "primary", place.out / "name") as primary:
        place.configure({"http": {"url": primary.reload_url}})
        primary.answer_with(503)
        with Sidecar(place.config) as sidecar:
            wait_until(lambda: sidecar.bundle()["reload"]["attempts"] >= 1)
            sidecar.kill()
            primary.answer_with(200)
            sidecar.start()
            wait_until(lambda: sidecar.bundle()["reload"]["acknowledged_generation"] == 1)
            assert sidecar.bundle()["reload"]["pending"] is False


def test_sigterm_ends_with_0_and_within_a_second(place: Place) -> None:
    with Sidecar(place.config) as sidecar:
        assert sidecar.stop(signal.SIGTERM) == 0
        assert "stopped" in sidecar.log()


def test_a_second_confcar_on_the_directory_refuses_and_names_the_first(place: Place) -> None:
    with Sidecar(place.config) as first:
        with Sidecar(place.config).start(waits=False) as second:
            assert second.process is not None
            assert second.process.wait(20) == 6
        assert str(first.pid) in second.log()


def test_a_secret_is_in_no_output(place: Place) -> None:
    secret = "hunter2-is-not-a-password"
    (place.folder / "data.yaml").write_text(f"app: {{name: a, port: 1}}\ndb: {{password: {secret}}}\n")
    text = CONFIG.replace("key('app/name')", "secret('db').password")
    place.configure([], text)
    with Sidecar(place.config, environ={"CONFCAR_LOG__LEVEL": "debug"}) as sidecar:
        told = [sidecar.get(path)[1] for path in ("/status", "/metrics", "/readyz", "/healthz")]
        told.append(sidecar.log())
    for arguments in (["render"], ["diff"], ["check", "--live"], ["once"]):
        ended = run_confcar(*arguments, "-c", place.config)
        told += [ended.stdout, ended.stderr]
    assert (place.out / "name").read_text() == f"{secret}\n"
    assert not [text for text in told if secret in text]


def test_diff_says_10_and_shows_what_would_change_without_the_secrets(place: Place) -> None:
    place.configure([], CONFIG.replace("key('app/name')", "secret('app').name"))
    run_confcar("once", "-c", place.config)
    assert run_confcar("diff", "-c", place.config).returncode == 0
    place.write("second-secret", 2)
    ended = run_confcar("diff", "-c", place.config)
    assert ended.returncode == 10
    assert "+2" in ended.stdout
    assert "first" not in ended.stdout
    assert "second-secret" not in ended.stdout


def test_the_probes_and_healthcheck_answer(place: Place) -> None:
    with Sidecar(place.config) as sidecar:
        listen = {"CONFCAR_ADMIN__LISTEN": f"127.0.0.1:{sidecar.port}"}
        assert sidecar.get("/healthz")[0] == 200
        assert 'confcar_generation{bundle="web"} 1.0' in sidecar.get("/metrics")[1]
        assert run_confcar("healthcheck", "-c", place.config, environ=listen).returncode == 0
        assert run_confcar("healthcheck", "--ready", "-c", place.config, environ=listen).returncode == 0
    assert run_confcar("healthcheck", "-c", place.config, environ=listen).returncode == 1
