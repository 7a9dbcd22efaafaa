"""The nouns that travel between the parts: what a template reads, what a source answered, what is to be published.

Plain frozen values only; nothing here opens a file or a socket, and nothing here knows a library.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["key", "ls", "tree", "secret", "secrets", "issue", "file", "service", "services", "nodes", "datacenters"]
"""What is read, by the name of the template function; `key_exists` reads a `key`. An `issue` may create something."""

Version = Hashable
"""Opaque mark of a state of a source; equal versions mean equal data. A Consul index, a hash, a KV v2 version."""

CONFIG_FOLDER = "(config folder)"
"""Name of the built-in source behind the template function `file`; no configured source can bear it."""

BY_READING = (("(by reading)", True),)
"""Params of an `issue` that is a read: what `secret` becomes where an engine makes something new for each read. No
parameter that a template can give bears such a name."""


@dataclass(frozen=True, slots=True, order=True)
class Dependency:
    """One thing a template reads.

    Attributes:
        source: Name of the source in the config, or CONFIG_FOLDER.
        kind: What is read.
        path: Normalised: no leading or trailing slash, no empty, `.` or `..` segment. Empty is everything (ls, tree),
            and what is asked for without a path (services, nodes, datacenters).
        params: What else tells two reads apart, as sorted pairs, e.g. `(("version", 3),)`. A name may stand in several:
            `(("tag", "a"), ("tag", "b"))`.
    """

    source: str
    kind: Kind
    path: str
    params: tuple[tuple[str, str | int | bool], ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source holds for one dependency.

    Attributes:
        value: None where the source confirmed that there is nothing. Otherwise by kind: `key` and `file`: bytes;
            `ls` and `tree`: mapping of relative path to bytes, sorted by path, for `ls` the direct children only;
            `secret`: mapping of str to JSON-like values; `secrets` and `datacenters`: tuple of names, sorted;
            `service`, `services` and `nodes`: tuple of mappings of str to JSON-like values, in the order to show.
        note: Why there is nothing, for people ("deleted", "destroyed"); empty where there is nothing to say.
        is_dynamic: Whether nothing was read because reading would create something: of a `secret`, ask for the
            `issue` in its place; of an `issue`, nothing is created here, as in a preview. The value is None.
        leased_until: When what it holds dies unless it is renewed, in seconds since the epoch; None where it does not.
        follows_dead: Whether what was held before it had died before its time: its lease or token was revoked.
    """

    value: bytes | Mapping[str, object] | tuple[str, ...] | tuple[Mapping[str, object], ...] | None
    note: str = ""
    is_dynamic: bool = False
    leased_until: float | None = None
    follows_dead: bool = False


ABSENT = Reading(None)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The answer to one fetch.

    Attributes:
        version: Pass it to the next fetch. Equal to the one passed in where nothing changed within the wait.
        readings: What the source holds now, for each dependency asked; those that have not changed since the version
            passed in may be left out. Empty where nothing changed.
        again_in_seconds: When to ask again; None where the next fetch may follow at once because it blocks.
        failures: Dependencies that could not be answered although the source was reached, each with its error.
        has_asked: Whether the source was asked for it; False where the watcher knew the answer, which says nothing
            about whether the source is there.
        plans_again: Whether something was learned that makes another plan better.
    """

    version: Version
    readings: Mapping[Dependency, Reading]
    again_in_seconds: float | None = None
    failures: Mapping[Dependency, Exception] = field(default_factory=dict)
    has_asked: bool = True
    plans_again: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Missing:
    """Data that a render waits for, as it stands in status.

    Attributes:
        template: Name of the template as the config gives it.
        line: Line in that template, from 1; 0 where it is not known.
        function: The template function that asked.
        path: The path it asked for.
        source: Name of the source that should have it.
        reason: Why it is not there, for people: "not found", "not read yet", or the source's error.
    """

    template: str
    line: int
    function: str
    path: str
    source: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """One file, complete, as it is to be published.

    Attributes:
        destination: Relative to the bundle's directory (no `..`), or absolute: published there by rename.
        content: The bytes.
        mode: Permission bits, 0 to 0o7777.
        user: Owner's name or number, None for confcar's own.
        group: Group's name or number, None for the directory's where that is setgid, else confcar's own.
        format: Name of a format check, or None.
        secret: Whether the template read a secret, so that its text must not be shown.
        leased_until: When the first of the leased values in it dies, as far as was known when it was rendered, in
            seconds since the epoch; None where it holds none.
    """

    destination: str
    content: bytes
    mode: int = 0o640
    user: str | None = None
    group: str | None = None
    format: str | None = None
    secret: bool = False
    leased_until: float | None = None

    @property
    def is_outside(self) -> bool:
        """Whether the destination is absolute, outside the generations."""
        return Path(self.destination).is_absolute()


@dataclass(frozen=True, slots=True)
class Change:
    """What a reload tells the primary about.

    Attributes:
        bundle: Name of the bundle.
        generation: Number of the published generation, from 1.
        directory: Where the bundle's files lie: the published directory, or for a check the staged generation.
        changed: Destinations that differ from what the primary was last told about, sorted; removed ones too.
        published_at: Seconds since the epoch when it was published; None for a staged one.
    """

    bundle: str
    generation: int
    directory: Path
    changed: tuple[str, ...] = ()
    published_at: float | None = None
