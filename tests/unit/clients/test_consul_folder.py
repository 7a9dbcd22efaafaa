"""Decoding only what differs between two answers gives the same as decoding all of both."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcar.clients.consul_folder import held_in

# Names that look like the places where a list is cut.
NAMES = ["a", "b", "b/c", "x{y", "p},{q", "},{", "{}", 'q"r', "\\", "k1", "k10", "long" * 9]
LAYOUTS = st.sampled_from([None, 4])
ENTRIES = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([b"", b"1", b"22", b"}" * 40]))


def _body(entries: Mapping[str, bytes], *, indent: int | None = None, index: int = 7) -> bytes:
    items = [
        {
            "LockIndex": 0,
            "Key": key,
            "Flags": 0,
            "Value": base64.b64encode(value).decode() or None,
            "CreateIndex": 1,
            "ModifyIndex": index,
        }
        for key, value in sorted(entries.items())
    ]
    return json.dumps(items, indent=indent, separators=None if indent else (",", ":")).encode()


@given(ENTRIES, ENTRIES, LAYOUTS)
def test_what_differs_is_found_whatever_the_names_hold(
    before: dict[str, bytes], after: dict[str, bytes], indent: int | None
) -> None:
    first = held_in(_body(before, indent=indent), None)
    second = held_in(_body(after, indent=indent), first)
    assert first.changed is None
    assert second.entries == after
    assert second.changed == frozenset(key for key, _ in before.items() ^ after.items())


@given(ENTRIES, st.sampled_from(NAMES), LAYOUTS)
def test_one_change_more_is_found_after_another(entries: dict[str, bytes], name: str, indent: int | None) -> None:
    held = held_in(_body(entries, indent=indent), None)
    for value in (b"new", b"newer", b"newest and longer"):
        held = held_in(_body(entries | {name: value}, indent=indent), held)
        assert held.entries == entries | {name: value}
        assert held.changed == frozenset({name})
    held = held_in(_body(entries, indent=indent), held)
    assert held.entries == entries


def test_unchanged_values_are_the_same_objects() -> None:
    entries = {f"k{number:05}": b"x" * 50 for number in range(3_000)}
    first = held_in(_body(entries), None)
    second = held_in(_body(entries | {"k01500": b"new"}), first)
    assert second.changed == frozenset({"k01500"})
    assert all(second.entries[key] is first.entries[key] for key in entries if key != "k01500")


def test_an_index_that_moved_without_a_value_is_no_change() -> None:
    entries = {"a": b"1", "b": b"2"}
    first = held_in(_body(entries, indent=4), None)
    second = held_in(_body(entries, indent=4, index=8), first)
    assert second.changed == frozenset()
    assert second.entries == entries


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'[{"Key": 1}]', b'[{"Value": ""}]', b"\xff"])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    before = held_in(_body({"a": b"1"}), None)
    for known in (None, before):
        with pytest.raises((LookupError, TypeError, ValueError, AttributeError)):
            held_in(body, known)
