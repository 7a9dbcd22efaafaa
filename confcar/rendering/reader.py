"""What reads data when it is executed, and the index from data back to its readers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from confcar.errors import TemplateError
from confcar.model import Dependency, Missing
from confcar.rendering.executable import Executable
from confcar.rendering.functions import Functions, Notes
from confcar.store import View

Result = TypeVar("Result")


class Reader:
    """Remembers what its executions read and what the last one waits for.

    Attributes:
        main: What is executed; its label stands in messages that have no better place.
        static: What it reads by its text alone.
        read: What its executions read: the last complete one, and what those after it added.
        missing: What the last execution waits for.
    """

    def __init__(self, main: Executable, static: frozenset[Dependency]) -> None:
        self.main = main
        self.static = static
        self.read: frozenset[Dependency] = frozenset()
        self.missing: tuple[Missing, ...] = ()
        self._complete: frozenset[Dependency] = frozenset()

    @property
    def dependencies(self) -> frozenset[Dependency]:
        """What has to be followed for it, and a change of which executes it again."""
        return self.static | self.read

    def take_over(self, before: Reader) -> None:
        """Go on following what the same reader read before it was compiled again."""
        self.read = before.read
        self._complete = before._complete

    def _execute(self, functions: Functions, view: View, run: Callable[[Notes], Result]) -> Result | None:
        """Return what *run* gives; None where data is missing, which is then in `missing`.

        Raises:
            TemplateError: It fails on data that is there.
        """
        notes = functions.begin(view)
        self.missing = ()
        result, failure = None, None
        try:
            result = run(notes)
        except Exception as error:  # noqa: BLE001 - a template can raise anything
            # With data missing the placeholder may be the cause, and the output is thrown away anyhow.
            failure = "" if notes.missing else self.main.explanation(error)
        # What was read before an interruption is not all there is to read: do not stop following the rest.
        is_complete = not notes.missing and failure is None
        self.read = frozenset(notes.dependencies) | (frozenset() if is_complete else self._complete)
        if notes.missing:
            self.missing = tuple(dict.fromkeys(notes.missing))
            return None
        if failure is not None:
            # Not chained: the texts of what templates raise can hold secrets.
            raise TemplateError(failure)
        self._complete = self.read
        return result


class ReaderIndex:
    """Which readers a change touches."""

    def __init__(self) -> None:
        self._readers: dict[Dependency, set[Reader]] = {}
        self._known: dict[Reader, frozenset[Dependency]] = {}
        self._foreseen: frozenset[Dependency] = frozenset()
        self._dependencies: frozenset[Dependency] | None = None

    @property
    def dependencies(self) -> frozenset[Dependency]:
        """All that any reader reads, and what is foreseen; the same object until that changes."""
        if self._dependencies is None:
            self._dependencies = self._foreseen.union(self._readers)
        return self._dependencies

    def foresee(self, dependencies: frozenset[Dependency]) -> None:
        """Count as read what readers will read that are not there yet; replaces what was foreseen before."""
        if dependencies != self._foreseen:
            self._foreseen, self._dependencies = dependencies, None

    def readers_of(self, dependencies: Iterable[Dependency]) -> set[Reader]:
        """Return all that read any of *dependencies*."""
        return set().union(*(self._readers.get(dependency, ()) for dependency in dependencies))

    def read_of(self, dependencies: Iterable[Dependency]) -> frozenset[Dependency]:
        """Return those of *dependencies* that an execution has read, not only a text names."""
        return frozenset(
            each for each in dependencies if any(each in reader.read for reader in self._readers.get(each, ()))
        )

    def note(self, reader: Reader) -> None:
        """Take over what a reader reads now."""
        self._replace(reader, reader.dependencies)

    def drop(self, reader: Reader) -> None:
        """Forget a reader that is executed no more."""
        self._replace(reader, frozenset())
        self._known.pop(reader, None)

    def _replace(self, reader: Reader, after: frozenset[Dependency]) -> None:
        before = self._known.get(reader, frozenset())
        self._known[reader] = after
        if before == after:
            return
        self._dependencies = None
        for dependency in before - after:
            readers = self._readers[dependency]
            readers.discard(reader)
            if not readers:
                del self._readers[dependency]
        for dependency in after - before:
            self._readers.setdefault(dependency, set()).add(reader)
