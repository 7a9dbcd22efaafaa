"""The page on HTTP has every path and every key of `/status`, and no others."""

from __future__ import annotations

import json
import re
from typing import Any, cast

import pytest

from confcar.admin.commands import Commands
from confcar.admin.documents import status_document
from confcar.admin.routes import Routes
from confcar.status import Status
from tests.docs.pages import REFERENCE, code_blocks
from tests.unit.admin.boards import every_state

_PAGE = REFERENCE / "http.md"


def test_http_page_has_every_path_and_no_other() -> None:
    page = _PAGE.read_text()
    commands = cast("Commands", object())  # never called: paths are only looked up
    routes = Routes(Status(), version="1", commands=commands)
    gets = re.findall(r"^\| `(/[\w-]*)` \|", page, re.MULTILINE)
    posts = re.findall(r"^\| `(/-/[^`]+)` \|", page, re.MULTILINE)
    assert all("GET" in routes.find(path) for path in gets)
    assert all("POST" in routes.find(path.replace("BUNDLE", "web")) for path in posts)
    # What is not found answers with all that there is.
    there_is = routes.not_found().body.decode()
    assert set(re.findall(r"/[\w/-]*", there_is)) == {*gets, *posts}


@pytest.mark.parametrize("part", ["config", "bundles", "sources", "primary"])
def test_http_page_has_every_key_of_the_status(part: str) -> None:
    document: Any = status_document(every_state().copy(), "1")
    shown = [json.loads(block) for block in code_blocks(_PAGE, "json")]
    example = next(each for each in shown if "bundles" in each)
    primary = next(each for each in shown if "mode" in each)
    for section in [document[part]] if part in {"config", "primary"} else document[part].values():
        known = primary if part == "primary" else example[part]
        keys = known if part in {"config", "primary"} else {key for each in known.values() for key in each}
        # Those that only some sources have stand in the text below.
        assert {key for key in section if f"`{key}`" not in _PAGE.read_text()} <= set(keys)
        assert part == "sources" or set(keys) <= section.keys()


def test_tables_of_keys_name_keys_that_there_are() -> None:
    document: Any = status_document(every_state().copy(), "1")
    sections = {"primary": document["primary"], "config": document["config"], "a bundle": document["bundles"]["web"]}
    for head, keys in sections.items():
        name = f"`{head}`" if head != "a bundle" else head
        table = _PAGE.read_text().partition(f"| key of {name} | says |")[2].partition("\n\n")[0]
        named = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
        assert named, head
        assert {key.split(".")[0] for cell in named for key in re.findall(r"`([^`]+)`", cell)} <= keys.keys(), head
