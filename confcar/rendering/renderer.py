"""Renders the templates of one bundle, and only those that a change touches.

`compile` reads and compiles, `dependencies` says what has to be followed, `render` answers with files or with what is
missing. One renderer per bundle, used by one thread. It opens template files while it compiles and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from confcar.config.bundles import TemplateOptions
from confcar.errors import TemplateError
from confcar.log import Redactor
from confcar.model import Dependency, Missing, RenderedFile
from confcar.rendering.catalog import SourceCatalog
from confcar.rendering.compiling import Compiler
from confcar.rendering.for_each import ForEach
from confcar.rendering.functions import Functions
from confcar.rendering.library import Library
from confcar.rendering.reader import Reader, ReaderIndex
from confcar.rendering.unit import Unit
from confcar.store import View


@dataclass(frozen=True, slots=True)
class Rendering:
    """What one pass gave.

    Attributes:
        files: All files of the bundle in the order of the config, those of a `for_each` in the order of its items;
            empty where anything is missing.
        missing: What the templates wait for, sorted, each once; empty where the files are complete.
        rendered: How many files were rendered in this pass.
    """

    files: tuple[RenderedFile, ...]
    missing: tuple[Missing, ...]
    rendered: int


class Renderer:
    """The templates of one bundle.

    Args:
        templates: As the config gives them.
        catalog: Which source serves which function.
        config_directory: The folder of the config; absolute.
        redactor: Learns every secret that a template reads.
        environ: What the template function `env` reads.
        bytecode_cache: Folder for compiled templates, made where it is not there; None for no cache.
    """

    def __init__(
        self,
        templates: Sequence[TemplateOptions],
        *,
        catalog: SourceCatalog,
        config_directory: Path,
        redactor: Redactor,
        environ: Mapping[str, str],
        bytecode_cache: Path | None = None,
    ) -> None:
        self._templates = tuple(templates)
        self._config_directory = config_directory
        self._redactor = redactor
        self._bytecode_cache = bytecode_cache
        self.catalog = catalog
        """Which source serves which function: what it is told counts from the next execution on."""
        self._functions = Functions(catalog, environ=environ, redactor=redactor)
        self._libraries: tuple[Library, ...] = ()
        self._parts: list[Unit | ForEach] = []
        self._index = ReaderIndex()

    @property
    def dependencies(self) -> frozenset[Dependency]:
        """All that has to be followed now; true also after `render` raised. Empty before `compile`."""
        return self._index.dependencies

    def read_of(self, dependencies: Iterable[Dependency]) -> frozenset[Dependency]:
        """Return those of *dependencies* that the files were made of, not only a template names."""
        return self._index.read_of(dependencies)

    @property
    def texts_digest(self) -> str:
        """Hexadecimal digest of all templates and of what they include, as they were read last."""
        texts = {repr((text.label, text.source)) for library in self._libraries for text in library.texts}
        return hashlib.sha256("\n".join(sorted(texts)).encode(errors="surrogateescape")).hexdigest()

    @property
    def is_compiled(self) -> bool:
        """Whether `compile` has succeeded."""
        return bool(self._parts)

    def is_current(self) -> bool:
        """Return whether the files of all templates, and of all that they include, are what was compiled.

        False before `compile`. May be called from any thread; opens the files.
        """
        return self.is_compiled and all(library.is_current() for library in self._libraries)

    @property
    def files(self) -> frozenset[Path]:
        """The files that the templates come from, those that they include among them. Any thread."""
        included = (library.files for library in self._libraries)
        return frozenset(options.source for options in self._templates if options.source).union(*included)

    def compile(self) -> None:
        """Read and compile all templates and what they include; the next render executes all of them.

        Called again, it takes over what has changed in the files. Where it raises, everything stays as it was.

        Raises:
            TemplateError: Templates cannot be read or do not compile; one line for each.
        """
        compiler = Compiler(
            self._functions, config_directory=self._config_directory, bytecode_cache=self._bytecode_cache
        )
        parts: list[Unit | ForEach] = []
        faults = []
        for options in self._templates:
            try:
                parts.append(compiler.compile(options))
            except TemplateError as error:
                faults.append(str(error))
        if faults:
            raise TemplateError("\n".join(dict.fromkeys(faults)))
        compiler.close()
        self._libraries = compiler.libraries
        self._take_over(parts)

    def _take_over(self, parts: list[Unit | ForEach]) -> None:
        for part, before in zip(parts, self._parts, strict=False):
            part.take_over(before)
        self._parts, self._index = parts, ReaderIndex()
        for part in parts:
            self._index.note(part)
        self._foresee()

    def _foresee(self) -> None:
        self._index.foresee(frozenset().union(*(family.foreseen for family in self._families())))

    def _families(self) -> Iterator[ForEach]:
        return (part for part in self._parts if isinstance(part, ForEach))

    def render(self, view: View, touched: frozenset[Dependency] | None) -> Rendering:
        """Execute the templates that read what was touched, and those not complete yet; the others keep their output.

        Args:
            view: What the sources hold now. What is not in it counts as not read yet.
            touched: What changed since the last call; None executes all templates.

        Raises:
            TemplateError: Templates fail on data that is there, or give two files one place; one line for each. They
                are executed again next time.
        """
        one_pass = _Pass(self._functions, self._index, view, touched)
        units = [unit for part in self._parts for unit in one_pass.execute(part)]
        outputs = [(unit, unit.output) for unit in units if unit.output is not None]
        faults = one_pass.faults
        if len(outputs) == len(units) and any(self._families()):
            faults = faults or list(_find_collisions(outputs))
        if faults:
            raise TemplateError("\n".join(dict.fromkeys(map(self._redactor.mask, faults))))
        if one_pass.missing:
            return Rendering((), tuple(sorted(one_pass.missing)), one_pass.rendered)
        for family in self._families():
            family.settle()
        self._foresee()
        return Rendering(tuple(output for _, output in outputs), (), one_pass.rendered)


class _Pass:
    """One pass over the templates.

    Attributes:
        faults: What failed on data that is there, a line each.
        missing: What is waited for.
        rendered: How many files were rendered.
    """

    def __init__(
        self, functions: Functions, index: ReaderIndex, view: View, touched: frozenset[Dependency] | None
    ) -> None:
        self.faults: list[str] = []
        self.missing: set[Missing] = set()
        self.rendered = 0
        self._functions = functions
        self._index = index
        self._view = view
        self._stale = None if touched is None else index.readers_of(touched)

    def execute(self, part: Unit | ForEach) -> Sequence[Unit]:
        """Bring a template up to date; return its files, complete or not."""
        units: Sequence[Unit] = (part,) if isinstance(part, Unit) else self._evaluated(part)
        for unit in units:
            if unit.output is None or self._is_stale(unit):
                self.rendered += 1
                self._attempt(unit)
        return units

    def _is_stale(self, reader: Reader) -> bool:
        return self._stale is None or reader in self._stale

    def _evaluated(self, family: ForEach) -> Sequence[Unit]:
        if not family.is_complete or self._is_stale(family):
            for unit in self._attempt(family) or ():
                self._index.drop(unit)
        if family.is_complete:
            return family.units
        # Which items there are is not known: what changed for those there were is to be rendered once it is.
        for unit in family.units:
            if self._is_stale(unit):
                unit.output = None
        return ()

    def _attempt(self, reader: Unit | ForEach) -> Sequence[Unit] | None:
        try:
            return reader.execute(self._functions, self._view)
        except TemplateError as error:
            self.faults.append(str(error))
            return None
        finally:
            self._index.note(reader)
            self.missing.update(reader.missing)


def _find_collisions(outputs: Iterable[tuple[Unit, RenderedFile]]) -> Iterator[str]:
    """Yield a line for each place that two files would have, or a file and the folder of another."""
    owners: dict[str, Unit] = {}
    for unit, output in outputs:
        first = owners.setdefault(output.destination, unit)
        if first is not unit:
            yield f"{first.title} and {unit.title} have the same destination {output.destination!r}"
    for destination, unit in owners.items():
        folder = destination.rpartition("/")[0]
        while folder:
            if folder in owners:
                yield f"{unit.title} has the destination {destination!r}, below {folder!r} of {owners[folder].title}"
            folder = folder.rpartition("/")[0]
