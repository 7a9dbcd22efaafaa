"""One template, many files: a `for_each` expression and the files of its items.

When what the expression reads changes, it is evaluated again and its items are compared with those before: only the
files of items that are new or have changed are rendered again.
"""

from __future__ import annotations

from confcar.config.bundles import TemplateOptions
from confcar.model import Dependency
from confcar.rendering.executable import Executable
from confcar.rendering.functions import Functions, Notes
from confcar.rendering.items import Name, find_items
from confcar.rendering.reader import Reader
from confcar.rendering.unit import Item, Unit
from confcar.store import View


class ForEach(Reader):
    """A template that gives one file for each item of an expression.

    Args:
        options: The template as the config describes it.
        expression: What gives the items.
        body: The template.
        placing: The template of the destination.
        static: What the expression reads by its text alone.
        shared: What body and destination read by their texts alone, whatever the item.
        literal: What they read besides for items that stand in the expression itself.
    """

    def __init__(  # noqa: PLR0913 - three templates with what each of them reads
        self,
        options: TemplateOptions,
        *,
        expression: Executable,
        body: Executable,
        placing: Executable,
        static: frozenset[Dependency],
        shared: frozenset[Dependency],
        literal: frozenset[Dependency],
    ) -> None:
        super().__init__(expression, static)
        self.is_complete = False
        """Whether the last evaluation gave the items that `units` are for."""
        self._options = options
        self._body = body
        self._placing = placing
        self._shared = shared
        self._literal = literal
        self._units: dict[Name, Unit] = {}
        self._carried: frozenset[Dependency] = frozenset()

    @property
    def units(self) -> tuple[Unit, ...]:
        """The files, in the order of the items."""
        return tuple(self._units.values())

    @property
    def foreseen(self) -> frozenset[Dependency]:
        """What has to be followed although no item's file may have read it yet."""
        return self._shared | self._literal | self._carried

    def take_over(self, before: Reader) -> None:
        """Go on following what the same template read before it was compiled again, for all its items."""
        super().take_over(before)
        if isinstance(before, ForEach):
            self._carried = before.foreseen.union(*(unit.dependencies for unit in before.units))

    def settle(self) -> None:
        """Let go of what only the template before it was compiled again has read: all files are complete."""
        self._carried = frozenset()

    def execute(self, functions: Functions, view: View) -> list[Unit]:
        """Evaluate the expression; return the files that went with their items.

        Raises:
            TemplateError: It fails on data that is there, or gives no list; `units` are as they were.
        """
        self.is_complete = False
        items = self._execute(functions, view, self._items)
        if items is None:
            return []
        self.is_complete = True
        before = self._units
        self._units = {name: self._unit(before.get(name), item) for name, item in items.items()}
        return [unit for name, unit in before.items() if name not in items]

    def _items(self, notes: Notes) -> dict[Name, Item]:
        value = self.main.value()
        return find_items(value, secret=notes.secret, leased_until=notes.leased_until)

    def _unit(self, unit: Unit | None, item: Item) -> Unit:
        if unit is None:
            return Unit(self._options, self._body, self._shared, placing=self._placing, item=item)
        if not item.renders_like(unit.item):
            unit.output = None
        # Also where it renders alike: its place in the list may be another.
        unit.item = item
        return unit
