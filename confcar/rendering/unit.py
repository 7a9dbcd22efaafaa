"""One file of a bundle: the template that gives it, its last output, and what it reads."""

from __future__ import annotations

import re
from dataclasses import dataclass

from confcar.config.bundles import TemplateOptions
from confcar.destinations import find_fault
from confcar.model import Dependency, RenderedFile
from confcar.rendering.executable import Executable
from confcar.rendering.faults import TemplateFault
from confcar.rendering.functions import Functions, Notes
from confcar.rendering.reader import Reader
from confcar.store import View

# What was changed is handed on as a list of lines: a name that data makes must not be able to add one.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a `for_each`, for which its template gives a file.

    Attributes:
        value: What the template sees as `item`.
        title: What it is called in messages: its key where it has one, else its place in the list.
        mark: Equal for items that render alike; None where that cannot be told.
        secret: Whether a secret was read to find it.
        leased_until: When the first of the leased values that were read to find it dies; None for none.
    """

    value: object
    title: str
    mark: str | None
    secret: bool
    leased_until: float | None = None

    def renders_like(self, other: Item | None) -> bool:
        """Whether a file that was rendered for *other* is right for this one."""
        return other is not None and self.mark is not None and (self.mark, self.secret) == (other.mark, other.secret)


class Unit(Reader):
    """A compiled template and the file it becomes.

    Attributes:
        output: What the last execution gave, None where that was not complete or is out of date.
        item: The item it is rendered for, None outside of `for_each`.
    """

    def __init__(
        self,
        options: TemplateOptions,
        main: Executable,
        static: frozenset[Dependency],
        *,
        placing: Executable | None = None,
        item: Item | None = None,
    ) -> None:
        super().__init__(main, static)
        self.output: RenderedFile | None = None
        self.item = item
        self._options = options
        self._placing = placing

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return self.main.label if self.item is None else f"item {self.item.title} of {self.main.label}"

    def execute(self, functions: Functions, view: View) -> None:
        """Run the template; sets `output` where all its data was there, else `missing`.

        Raises:
            TemplateError: It fails on data that is there.
        """
        self.output = None
        self.output = self._execute(functions, view, self._file)

    def _file(self, notes: Notes) -> RenderedFile:
        options = self._options
        variables = {} if self.item is None else {"item": self.item.value}
        content = self.main.text(variables).encode()
        destination = self._destination(variables, notes)
        notes.lease(None if self.item is None else self.item.leased_until)
        return RenderedFile(
            destination,
            content,
            mode=options.mode,
            user=options.user,
            group=options.group,
            format=options.format,
            secret=notes.secret or (self.item is not None and self.item.secret),
            leased_until=notes.leased_until,
        )

    def _destination(self, variables: dict[str, object], notes: Notes) -> str:
        written = self._options.destination
        if self._placing is None or self.item is None:
            return written
        destination = self._placing.text(variables)
        if notes.missing:
            return destination  # made of placeholders, and thrown away
        fault = find_fault(destination)
        if not fault and destination.startswith("/") != written.startswith("/"):
            # Else data would decide whether a file lies in the bundle's directory or anywhere.
            fault = "only the config can say that it is absolute, with a / as its first character"
        if not fault and any(part.startswith("..") for part in destination.split("/")):
            # Also in a folder elsewhere, which may be a way to a bundle's directory.
            fault = "names that begin with .. are confcar's own"
        if not fault and _CONTROL.search(destination):
            fault = "it holds control characters"
        if fault:
            message = f"the destination {destination!r} of item {self.item.title} is refused: {fault}"
            raise TemplateFault(message)
        return destination
