"""One template, many files, as a person sees it: files come and go with their items, and each change is one reload."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.sidecar import Sidecar, run_confcar
from tests.primaries.start import HupPrimary
from tests.servers.consul import ConsulServer
from tests.servers.openbao import OpenBaoServer
from tests.waiting import wait_until

MODES = pytest.mark.parametrize("mode", ["swap", "rename"])


class Place:
    """A folder with a config whose template is rendered for each child of `sites`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "confcar.yaml"
        self.out = folder / "out"
        self.outside = folder / "outside"

    def configure(self, mode: str, *, reload: object = (), source: str = "type: file, path: data.yaml") -> None:
        self.config.write_text(
            f"sources:\n  local: {{{source}}}\n"
            f"admin: {{listen: off}}\nbundles:\n  web:\n    directory: out\n    publish: {mode}\n"
            "    wait: {quiet: 20ms, max: 1s}\n    templates:\n"
            """      - {content: "{{ item.value }}", for_each: "{{ ls('sites') }}", """
            """destination: "sites/{{ item.key }}.conf"}\n"""
            """      - {content: "{{ item.key }}", for_each: "{{ ls('sites') }}", """
            f"""destination: "{self.outside}/{{{{ item.key }}}}"}}\n"""
            f"    reload: {json.dumps(reload)}\n"
        )

    def write(self, **sites: str) -> None:
        temporary = self.folder / "data.new"
        temporary.write_text(json.dumps({"sites": sites, "other": "x"}))
        temporary.replace(self.folder / "data.yaml")

    def published(self) -> dict[str, str]:
        found = {}
        for path in sorted([*self.out.glob("sites/*"), *self.outside.glob("*")]):
            with suppress(FileNotFoundError):  # it went since it was listed
                found[path.name] = path.read_text()
        return found

    def run(self, name: str, *arguments: str) -> tuple[int, str]:
        ended = run_confcar(name, "-c", self.config, *arguments)
        return ended.returncode, ended.stdout + ended.stderr


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.configure("swap")
    place.write(a="1", b="1")
    return place


@MODES
def test_files_come_and_go_with_their_items_and_each_change_is_one_reload(place: Place, mode: str) -> None:
    place.out.mkdir()
    with HupPrimary(place.folder / "primary", place.out, "sites/a.conf", "sites/c.conf") as primary:
        place.configure(mode, reload={"signal": "HUP", "pid_file": str(primary.pid_file)})
        with Sidecar(place.config) as sidecar:
            assert place.published() == {"a.conf": "1", "b.conf": "1", "a": "a", "b": "b"}
            place.write(b="2", c="1")
            wait_until(lambda: place.published() == {"b.conf": "2", "c.conf": "1", "b": "b", "c": "c"})
            wait_until(lambda: len(primary.reloads()) == 2)
            assert primary.reloads()[-1].files == {"sites/a.conf": None, "sites/c.conf": "1"}
            place.write()
            wait_until(lambda: place.published() == {})
            wait_until(lambda: len(primary.reloads()) == 3)
            wait_until(lambda: sidecar.bundle()["reload"]["acknowledged_generation"] == 3)
            assert (sidecar.bundle()["generation"], len(primary.reloads())) == (3, 3)
            assert place.outside.is_dir()


@MODES
def test_file_whose_item_went_while_confcar_was_down_is_gone_after_the_next_start(place: Place, mode: str) -> None:
    place.configure(mode)
    assert place.run("once")[0] == 0
    place.write(b="1")
    assert place.run("once")[0] == 0
    assert place.published() == {"b.conf": "1", "b": "b"}


@MODES
def test_no_items_are_a_published_generation_without_files(place: Place, mode: str) -> None:
    place.configure(mode)
    place.write()
    assert place.run("once")[0] == 0
    assert place.run("diff") == (0, "")
    with Sidecar(place.config) as sidecar:
        wait_until(lambda: sidecar.bundle()["state"] == "published")
        place.write(a="1")
        wait_until(lambda: place.published() == {"a.conf": "1", "a": "a"})


def test_render_and_diff_show_the_files_of_the_items(place: Place) -> None:
    code, printed = place.run("render")
    assert (code, printed.count("# web: ")) == (0, 4)
    assert "# web: sites/a.conf (0640)\n1\n" in printed
    place.run("once")
    place.write(b="1", c="1")
    code, printed = place.run("diff")
    assert code == 10
    assert "web: sites/a.conf: would go" in printed
    assert "web: sites/c.conf: would be new" in printed
    assert "sites/b.conf" not in printed


def test_check_is_offline_and_tells_what_lies_outside_the_directory(place: Place) -> None:
    (place.folder / "data.yaml").unlink()
    code, printed = place.run("check")
    assert code == 0
    outside = f"web: {place.outside}/{{{{ item.key }}}}: outside the directory, published by rename"
    assert f"{outside}, not part of the atomic set\n" in printed


def test_start_tells_what_lies_outside_the_directory(place: Place) -> None:
    (line,) = {line for line in place.run("once")[1].splitlines() if "outside the directory" in line}
    assert "not part of the atomic set" in line
    assert str(place.outside) in line


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("sites/{{ item.key }}.conf", "sites/{{ item.value }}.conf", "have the same destination 'sites/1.conf'"),
        ("{{ ls('sites') }}", "{{ key('other') }}", "for_each must give a list or a mapping, not text"),
        ("sites/{{ item.key }}.conf", "{{ '../' ~ item.key }}", "'../a' of item 'a' is refused"),
    ],
)
def test_items_that_cannot_be_files_are_4_and_nothing_is_published(
    place: Place, before: str, after: str, words: str
) -> None:
    place.config.write_text(place.config.read_text().replace(before, after))
    code, printed = place.run("once")
    assert code == 4
    assert words in printed
    assert place.published() == {}


def test_children_of_a_folder_in_consul(place: Place, consul: ConsulServer, kv_prefix: str) -> None:
    place.configure("swap", source=f"type: consul, address: '{consul.address}'")
    place.config.write_text(place.config.read_text().replace("ls('sites')", f"ls('{kv_prefix}/sites')"))
    consul.put(f"{kv_prefix}/sites/a", "1")
    consul.put(f"{kv_prefix}/sites/b", "1")
    with Sidecar(place.config):
        assert place.published() == {"a.conf": "1", "b.conf": "1", "a": "a", "b": "b"}
        consul.delete(f"{kv_prefix}/sites/a")
        consul.put(f"{kv_prefix}/sites/c", "2")
        wait_until(lambda: place.published() == {"b.conf": "1", "c.conf": "2", "b": "b", "c": "c"}, timeout=30.0)


def test_names_of_secrets_in_openbao(place: Place, openbao: OpenBaoServer, kv_mount: str) -> None:
    token = place.folder / "token"
    token.write_text(openbao.token)
    place.config.write_text(
        f"sources:\n  vault: {{type: vault, address: '{openbao.address}', refresh: 100ms,"
        " auth: {method: token_file, path: token}}\n"
        "bundles:\n  web:\n    directory: out\n    templates:\n"
        f"""      - {{for_each: "{{{{ secrets('{kv_mount}/apps') }}}}", destination: "sites/{{{{ item }}}}.conf","""
        f""" content: "{{{{ secret('{kv_mount}/apps/' ~ item).password }}}}"}}\n"""
    )
    openbao.put_kv("apps/a", {"password": "one"}, mount=kv_mount)
    openbao.put_kv("apps/b", {"password": "two"}, mount=kv_mount)
    with Sidecar(place.config):
        assert place.published() == {"a.conf": "one", "b.conf": "two"}
        openbao.put_kv("apps/c", {"password": "three"}, mount=kv_mount)
        openbao.delete(f"{kv_mount}/metadata/apps/a")
        wait_until(lambda: place.published() == {"b.conf": "two", "c.conf": "three"}, timeout=30.0)
