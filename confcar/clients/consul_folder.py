"""Everything below a prefix, read again and again: of each answer only what differs from the one before is decoded.

Consul answers a change of one key with all of them. py-consul would decode each value each time: for 5,000 keys ten
times the work of all that follows. Answers are lists of objects in one order, so two of them are alike but for a piece
in the middle, and only that piece is parsed, of both. Where the piece is no list of whole objects (a key may hold a
brace), everything is.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from confcar.clients.consul_answer import Held, Reply
from confcar.clients.consul_errors import not_consul
from confcar.clients.consul_http import Call, Http

_FOUND, _NOT_FOUND = 200, 404
_BLOCK = 64 * 1024


def read_folder(
    http: Http, prefix: str, datacenter: str | None, blocking: Mapping[str, str], *, before: Held | None
) -> Reply:
    """Return what is below a prefix; the result is the index and what is Held.

    Args:
        http: To ask with.
        prefix: What all keys start with.
        datacenter: None for the one in the options.
        blocking: `index` and `wait`, or nothing.
        before: What was held at the answer before, by which the new one is decoded.

    Raises:
        SourceError: As `ConsulClient.read_prefix`.
    """
    name = datacenter or http.options.datacenter
    params = [*blocking.items(), ("recurse", "1"), *([("dc", name)] if name else [])]
    accepted = frozenset({_FOUND, _NOT_FOUND})
    response, had_token = http.exchange(Call("GET", f"/v1/kv/{prefix}", params, accepted=accepted))
    try:
        index = int(response.headers["X-Consul-Index"])
        body = response.data if response.status == _FOUND else b"[]"
        return Reply((index, held_in(body, before)), response.headers, had_token)
    except KeyError:
        raise not_consul(http.server, f"status {response.status}, no X-Consul-Index") from None
    except (LookupError, TypeError, ValueError, AttributeError):
        raise not_consul(http.server, "not its JSON") from None


def held_in(body: bytes, before: Held | None) -> Held:
    """Return what an answer holds.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: It is not what Consul answers.
    """
    if before is not None:
        if before.body == body:
            return Held(before.body, before.entries, frozenset())
        pieces = _differing_pieces(before.body, body)
        if pieces is not None:
            gone, come = map(_entries, pieces)
            changed = frozenset(key for key, _ in gone.items() ^ come.items())
            entries = {key: value for key, value in before.entries.items() if key not in gone} if gone else {}
            return Held(body, entries | come, changed)
    items = json.loads(body)
    if not isinstance(items, list):
        raise TypeError
    found = _entries(items)
    if before is None:
        return Held(body, found)
    return Held(body, found, frozenset(key for key, _ in found.items() ^ before.entries.items()))


def _entries(items: list[Any]) -> dict[str, bytes]:
    return {item["Key"]: b64decode(item["Value"] or "") for item in items if not item["Key"].endswith("/")}


def _differing_pieces(old: bytes, new: bytes) -> tuple[list[Any], list[Any]] | None:
    """Return the objects around all that differs in two lists, old and new; None where they cannot be cut out.

    A cut inside of a text never passes for one between objects: the end of that text would be read as the begin of one.
    """
    start = _common_start(old, new)
    begin = new.rfind(b"{", 0, start + 1)
    if begin < 0:
        return None
    # From the end no further than to where they part at the beginning.
    alike = _common_end(old, new, min(len(old), len(new)) - start)
    close = new.find(b"}", len(new) - alike) + 1
    ends = (len(old) - (len(new) - close), close) if close else (old.rfind(b"}") + 1, new.rfind(b"}") + 1)
    try:
        gone, come = (json.loads(b"[" + text[begin:end] + b"]") for text, end in zip((old, new), ends, strict=True))
    except ValueError:
        return None
    return gone, come


def _common_start(one: bytes, other: bytes) -> int:
    """Return how many bytes two texts begin with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high and one[low : low + _BLOCK] == other[low : low + _BLOCK]:
        low += _BLOCK
    low, high = min(low, high), min(low + _BLOCK, high)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def _common_end(one: bytes, other: bytes, most: int) -> int:
    """Return how many bytes, at most *most*, two texts end with alike."""
    low = 0
    while low < most and _ends_alike(one, other, low, min(low + _BLOCK, most)):
        low += _BLOCK
    low, high = min(low, most), min(low + _BLOCK, most)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _ends_alike(one, other, low, middle) else (low, middle - 1)
    return low


def _ends_alike(one: bytes, other: bytes, after: int, until: int) -> bool:
    """Whether two texts are alike between two distances from their ends."""
    return one[len(one) - until : len(one) - after] == other[len(other) - until : len(other) - after]
