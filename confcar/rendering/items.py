"""The items of a `for_each`: what an expression's value is a list of, and which of them are the same as before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from confcar.rendering.documents import plain
from confcar.rendering.faults import TemplateFault, demand_defined
from confcar.rendering.pending import PENDING
from confcar.rendering.unit import Item
from confcar.rendering.values import Entry, Fields, Tree, mark_of

MOST_ITEMS = 10_000
"""Each is a file of one generation; more is a list of the wrong things."""

_NOT_A_LIST = "for_each must give a list or a mapping"
Name = tuple[str, str, int]


def find_items(value: object, *, secret: bool, leased_until: float | None = None) -> dict[Name, Item]:
    """Return the items of what a `for_each` gave, each under a name that stays its own from one time to the next.

    An entry of a folder and an item of a mapping are known by their keys, so that one that changed is still the same;
    anything else by its value.

    Raises:
        TemplateFault: It is no list and no mapping, or has too many items.
        UndefinedNameError: It or an item is undefined.
    """
    items: dict[Name, Item] = {}
    for number, each in enumerate(_listed(value), 1):
        key, mark = _key(each), _mark(each)
        kind, base = ("key", key) if key is not None else ("value", str(number) if mark is None else mark)
        repeated = 0
        while (kind, base, repeated) in items:
            repeated += 1
        title = repr(key) if key is not None else str(number)
        items[kind, base, repeated] = Item(each, title, mark, secret, leased_until)
    return items


def _listed(value: object) -> list[object]:
    if value is PENDING:
        return []
    demand_defined(value)
    if isinstance(value, str | bytes):
        message = f"{_NOT_A_LIST}, not text; split, from_json or from_yaml makes one of it"
        raise TemplateFault(message)
    if not isinstance(value, Iterable):
        raise TemplateFault(_NOT_A_LIST)
    items = list(islice(_each(value), MOST_ITEMS + 1))
    if len(items) > MOST_ITEMS:
        message = f"for_each gives more than {MOST_ITEMS} items"
        raise TemplateFault(message)
    demand_defined(*items)
    return items


def _each(value: Iterable[object]) -> Iterator[object]:
    if isinstance(value, Tree):
        yield from value.entries()
    elif isinstance(value, Mapping):
        yield from (Fields({"key": key, "value": item}) for key, item in value.items())
    else:
        yield from value


def _key(item: object) -> str | None:
    if isinstance(item, Entry):
        return item.key
    if isinstance(item, Fields) and item.keys() == {"key", "value"}:
        return str(item["key"])
    return None


def _mark(item: object) -> str | None:
    if isinstance(item, Entry):
        return mark_of(item)
    try:
        # The text of plain data tells 1 from true and from "1", which == does not.
        return repr(plain(item))
    except TemplateFault:
        return None
