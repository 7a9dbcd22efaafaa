"""Which keys are followed together, by the prefixes they share and what these hold.

A prefix is a whole folder where that is worth following, and else any longer string that keys have in common: Consul
knows no folders. Folders come first because they stay the same when a key more is read, so that their query goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from confcar.watchers.consul_prefix import LEAST_SHARED, Place, Prefixes

# What was followed together stays so down to this.
_LEAST_KEPT = 2


@dataclass(slots=True)
class Sharing:
    """How the keys of one datacenter are to be followed.

    Attributes:
        followed: Prefixes to follow as a whole, each with the wanted keys that it answers.
        unknown: Prefixes to be listed first, each with the keys that wait for that.
        single: Keys to be read one by one.
        listed_again: Prefixes too large or refused, each with the keys that it would answer: one that shrinks or is
            allowed is to be noticed.
    """

    followed: dict[str, list[str]] = field(default_factory=dict)
    unknown: dict[str, list[str]] = field(default_factory=dict)
    single: list[str] = field(default_factory=list)
    listed_again: dict[str, list[str]] = field(default_factory=dict)


def share_keys(keys: Iterable[str], prefixes: Prefixes, datacenter: str | None) -> Sharing:
    """Return which keys are followed together, each key in exactly one place."""
    sharing = Sharing()
    for prefix, group in _split("", sorted(keys)):
        before = len(sharing.followed), len(sharing.unknown)
        _share(prefix, group, _Known(prefixes, datacenter), sharing)
        is_settled = before == (len(sharing.followed), len(sharing.unknown))
        if is_settled and len(group) >= LEAST_SHARED:
            sharing.listed_again[prefix] = group
    return sharing


@dataclass(frozen=True, slots=True)
class _Known:
    prefixes: Prefixes
    datacenter: str | None

    def place(self, prefix: str) -> Place:
        return self.datacenter, prefix


def _share(prefix: str, keys: list[str], known: _Known, sharing: Sharing) -> None:
    place = known.place(prefix)
    if len(keys) < (_LEAST_KEPT if known.prefixes.is_followed(place) else LEAST_SHARED):
        sharing.single.extend(keys)
        return
    is_worth_it = known.prefixes.is_worth_following(place, len(keys))
    if is_worth_it is None:
        sharing.unknown[prefix] = keys
    elif is_worth_it:
        sharing.followed[prefix] = keys
    else:
        for below, group in _split(prefix, keys):
            _share(below, group, known, sharing)


def _split(prefix: str, keys: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the next longer prefixes of sorted keys that all start with *prefix*, each with its keys.

    A key that is the prefix itself comes alone.
    """
    groups: dict[str, list[str]] = {}
    for key in keys:
        groups.setdefault(_next_step(prefix, key), []).append(key)
    for group in groups.values():
        common = _common_start(group[0], group[-1])
        folder = common[: common.rfind("/") + 1]
        yield (folder if len(folder) > len(prefix) else common), group


def _common_start(first: str, last: str) -> str:
    """Return what two strings begin with alike: of a sorted list's ends, what all in it do."""
    length = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), None)
    return first if length is None else first[:length]


def _next_step(prefix: str, key: str) -> str:
    # In the root the next step is a whole folder's name: folders that begin alike have nothing to do with each other.
    end = key.find("/") if not prefix else -1
    return key[: end + 1] if end >= 0 else key[: len(prefix) + 1]


def outline(prefix: str, keys: Sequence[str]) -> Iterator[str]:
    """Yield *prefix* and each longer one that `share_keys` may come upon with these sorted keys."""
    yield prefix
    for below, group in _split(prefix, keys):
        if len(group) >= LEAST_SHARED:
            yield from outline(below, group)
