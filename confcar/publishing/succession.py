"""What follows on what: the state after a publish, a roll-back, an acknowledgement. Pure, without the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from confcar.model import RenderedFile
from confcar.publishing.state import FileRecord, KeptGeneration, PublishedState, Refusal


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a generation comes from.

    Attributes:
        inputs: Digest of what it was made of, without leased values; empty where that is not known.
        leased_until: When the first leased value in it dies, seconds since the epoch; None where it holds none.
        leases: Digest of the leased values in it; empty where there are none, or that is not known.
        is_repair: Whether it holds what was published already, because the published files were changed on disk.
    """

    inputs: str = ""
    leased_until: float | None = None
    leases: str = ""
    is_repair: bool = False


def earliest_end(files: Sequence[RenderedFile]) -> float | None:
    """Return when the first leased value in any of the files dies; None where none holds one."""
    return min((file.leased_until for file in files if file.leased_until is not None), default=None)


def digest_of(records: Mapping[str, FileRecord]) -> str:
    """Return a digest of a whole set of files: names, contents, modes and owners."""
    digest = hashlib.sha256()
    for name, record in sorted(records.items()):
        parts = (name, record.sha256, f"{record.mode:o}", str(record.uid), str(record.gid))
        digest.update("\0".join(parts).encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest()


def published(
    before: PublishedState,
    *,
    records: Mapping[str, FileRecord],
    at: float,
    changed: tuple[str, ...],
    origin: Origin,
    keep: int,
) -> PublishedState:
    """Return the state once the next generation is published, which the primary is not told of yet.

    A repair does not make what it replaces a generation to go back to: the same content would come back, damaged.
    """
    refused = before.refused
    if not origin.is_repair and not (refused and not refused.by_hand and refused.inputs == origin.inputs):
        refused = None
    return PublishedState(
        current=before.highest + 1,
        acknowledged=before.acknowledged,
        highest=before.highest + 1,
        published_at=at,
        changed=changed,
        files=records,
        inputs=origin.inputs,
        leased_until=origin.leased_until,
        is_proven=origin.is_repair and (before.is_acknowledged or before.is_proven),
        leases=origin.leases,
        older=_trimmed(before.older if origin.is_repair else _with_current(before), keep),
        refused=refused,
    )


def _with_current(state: PublishedState) -> tuple[KeptGeneration, ...]:
    if state.current is None:
        return state.older
    current = KeptGeneration(
        state.current,
        state.files,
        state.inputs,
        state.leased_until,
        is_acknowledged=state.is_acknowledged or state.is_proven,
        is_unwell=state.is_unwell,
        leases=state.leases,
    )
    return (current, *state.older)


def _trimmed(older: tuple[KeptGeneration, ...], keep: int) -> tuple[KeptGeneration, ...]:
    """Return the first *keep*, and with them the last one that the primary acknowledged: what would be gone back to."""
    proven = next((kept for kept in older if kept.is_acknowledged), None)
    return tuple(kept for place, kept in enumerate(older) if place < keep or (keep and kept is proven))


def refusal(before: PublishedState, *, reason: str, inputs: str, by_hand: bool, at: float) -> Refusal:
    """Return what is to be remembered of the current generation when it is taken back.

    Args:
        before: What is published.
        reason: Why, for people.
        inputs: Digest of what is refused; empty: what the current generation was made of.
        by_hand: Whether somebody asked for it.
        at: When, seconds since the epoch.
    """
    inputs = inputs or before.inputs
    known = before.refused
    attempts = 1 + (known.attempts if known is not None and known.inputs == inputs else 0)
    return Refusal(before.current or 0, inputs, digest_of(before.files), reason, at, attempts, by_hand)


def rolled_back(
    before: PublishedState, target: KeptGeneration, *, at: float, changed: tuple[str, ...], refused: Refusal
) -> PublishedState:
    """Return the state once an older generation came back under its own number."""
    return PublishedState(
        current=target.number,
        acknowledged=None,
        highest=before.highest,
        published_at=at,
        changed=changed,
        files=target.files,
        inputs=target.inputs,
        leased_until=target.leased_until,
        is_proven=target.is_acknowledged,
        leases=target.leases,
        older=tuple(kept for kept in before.older if kept.number < target.number),
        refused=refused,
    )


def acknowledged(before: PublishedState, number: int) -> PublishedState:
    """Return the state once the primary has acknowledged generation *number*."""
    if number != before.current:
        return replace(before, acknowledged=max(number, before.acknowledged or 0))
    refused = before.refused
    if refused and not refused.by_hand and refused.inputs == before.inputs and refused.generation < number:
        refused = None  # its inputs were tried again, with other leased values, and hold now
    return replace(before, acknowledged=number, step=0, changed=(), is_unwell=False, refused=refused)


def lasting(before: PublishedState, ends: Mapping[str, float]) -> PublishedState:
    """Return the state once it is known when leased values end, by their digest: in all generations that hold them."""
    older = tuple(replace(kept, leased_until=ends.get(kept.leases, kept.leased_until)) for kept in before.older)
    return replace(before, leased_until=ends.get(before.leases, before.leased_until), older=older)


def find_changed(before: PublishedState, target: KeptGeneration) -> tuple[str, ...]:
    """Return the destinations, sorted, that the primary has to hear of when *target* comes back."""
    names = before.files.keys() | target.files.keys()
    differing = {name for name in names if before.files.get(name) != target.files.get(name)}
    return tuple(sorted({*differing, *before.changed}))


def candidates(state: PublishedState) -> tuple[KeptGeneration, ...]:
    """Return what could be gone back to, best first: what the primary had acknowledged, then the rest, newest first.

    What did not hold when it was current is not among them.
    """
    found = [kept for kept in state.older if not kept.is_unwell]
    return tuple(sorted(found, key=lambda kept: not kept.is_acknowledged))
