"""What a query to Consul has seen, and what of the next answer that makes news."""

from __future__ import annotations

from dataclasses import dataclass, field

from confcar.clients.consul import Terms
from confcar.clients.consul_answer import Answer, Held
from confcar.model import Dependency

# Policies change without waking a query.
DENIED_AGAIN_SECONDS = 5.0
"""How soon a dependency that may not be read is looked at again while others of its query may."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The version of a Consul snapshot: what the last answer of a query was.

    Attributes:
        index: Consul's, at least 0.
        content: Hash of keys and values.
        held: What a prefix held, so that of the next answer only what differs is decoded and taken.
        is_complete: Whether every dependency had its reading; where not, the next answer is looked at again.
        settled_at: Monotonic time from which on the same content may be answered again.
    """

    index: int
    content: int = field(repr=False)
    held: Held | None = field(repr=False, compare=False)
    is_complete: bool
    settled_at: float = field(compare=False)


def terms_after(seen: Seen | None, wait_seconds: float) -> Terms:
    """Return how to ask for what comes after that; at once where nothing was seen yet."""
    if seen is None:
        return Terms()
    wait = wait_seconds if seen.is_complete else min(wait_seconds, DENIED_AGAIN_SECONDS)
    return Terms(seen.index, wait, before=seen.held)


def content_of(answer: Answer, seen: Seen | None) -> int:
    """Return a mark of all that the answer holds; for the same data the same as before."""
    held = answer.held
    if held is None or held.changed is None or seen is None:
        return answer.fingerprint
    if not held.changed:
        return seen.content
    return hash((seen.content, frozenset((key, held.entries.get(key)) for key in held.changed)))


def differing(dependencies: frozenset[Dependency], answer: Answer) -> frozenset[Dependency]:
    """Return what may read otherwise than before: of single keys, which may be many, the changed ones."""
    changed = None if answer.held is None else answer.held.changed
    if changed is None:
        return dependencies
    return frozenset(each for each in dependencies if each.kind != "key" or each.path in changed)
