"""Renders the templates of one bundle, and only those that a change touches.

`compile` reads and compiles, `dependencies` says what has to be followed, `render` answers with files or with what is
missing. One renderer per bundle, used by one thread. It opens template files while it compiles and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jinja2 import TemplateError as JinjaError
from jinja2 import TemplateSyntaxError

from confcar.config.bundles import TemplateOptions
from confcar.errors import TemplateError
from confcar.log import Redactor
from confcar.model import Dependency, Missing, RenderedFile
from confcar.rendering.bytecode import open_bytecode_cache
from confcar.rendering.catalog import SourceCatalog
from confcar.rendering.discovery import find_dependencies
from confcar.rendering.environment import Dialect, StrictEnvironment
from confcar.rendering.faults import TemplateFault, explain, syntax_message
from confcar.rendering.functions import Functions
from confcar.rendering.library import Library, TemplateText, label_of, read_template
from confcar.rendering.positions import PlacedTemplate
from confcar.rendering.unit import Unit
from confcar.store import View


@dataclass(frozen=True, slots=True)
class Rendering:
    """What one pass gave.

    Attributes:
        files: All files of the bundle in the order of the config; empty where anything is missing.
        missing: What the templates wait for, sorted, each once; empty where the files are complete.
        rendered: How many templates were executed in this pass.
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
        self._units: list[Unit] = []
        self._libraries: tuple[Library, ...] = ()
        self._readers: dict[Dependency, set[int]] = {}
        self._incomplete: set[int] = set()
        self._dependencies: frozenset[Dependency] | None = None

    @property
    def dependencies(self) -> frozenset[Dependency]:
        """All that has to be followed now; true also after `render` raised. Empty before `compile`."""
        if self._dependencies is None:
            self._dependencies = frozenset(self._readers)
        return self._dependencies

    @property
    def texts_digest(self) -> str:
        """Hexadecimal digest of all templates and of what they include, as they were read last."""
        texts = {repr((text.label, text.source)) for library in self._libraries for text in library.texts}
        return hashlib.sha256("\n".join(sorted(texts)).encode(errors="surrogateescape")).hexdigest()

    @property
    def is_compiled(self) -> bool:
        """Whether `compile` has succeeded."""
        return bool(self._units)

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
        environments: dict[tuple[Path, str], tuple[StrictEnvironment, Library]] = {}
        units, faults = [], []
        for options in self._templates:
            try:
                units.append(self._compiled(options, environments))
            except TemplateError as error:
                faults.append(str(error))
        if faults:
            raise TemplateError("\n".join(dict.fromkeys(faults)))
        for _, library in environments.values():
            library.forget_trees()
        for unit, before in zip(units, self._units, strict=False):
            unit.take_over(before)
        self._libraries = tuple(library for _, library in environments.values())
        self._units, self._readers, self._dependencies = units, {}, None
        self._incomplete = set(range(len(units)))
        for number, unit in enumerate(units):
            self._index(number, frozenset(), unit.dependencies)

    def _compiled(
        self, options: TemplateOptions, environments: dict[tuple[Path, str], tuple[StrictEnvironment, Library]]
    ) -> Unit:
        text = self._text(options)
        dialect = Dialect(options.delimiters, _newline(text.source))
        folder = options.source.parent if options.source else self._config_directory
        key = folder, dialect.fingerprint()
        if key not in environments:
            environments[key] = self._environment(folder, dialect)
        environment, library = environments[key]
        name = options.source.name if options.source else text.label
        library.add(name, text)
        try:
            template = environment.get_template(name)
            assert isinstance(template, PlacedTemplate)
            static = find_dependencies(environment, library, name, resolve=self._functions.dependency)
        except TemplateSyntaxError as error:
            label = library.text(error.name).label if error.name else text.label
            raise TemplateError(f"{label}:{error.lineno}: {syntax_message(error)}") from error
        except (JinjaError, TemplateFault, SyntaxError, RecursionError, MemoryError) as error:
            words = "" if isinstance(error, JinjaError | TemplateFault) else "nested too deeply to be compiled"
            raise TemplateError(f"{text.label}: {explain(error, words=words)}") from error
        return Unit(options, template, environment, library, static)

    def _text(self, options: TemplateOptions) -> TemplateText:
        if options.source is None:
            return TemplateText(f"content of {options.destination}", options.content or "")
        return read_template(options.source, label=label_of(options.source, self._config_directory))

    def _environment(self, folder: Path, dialect: Dialect) -> tuple[StrictEnvironment, Library]:
        cache = open_bytecode_cache(self._bytecode_cache, fingerprint=dialect.fingerprint())
        library = Library(folder, config_directory=self._config_directory, cache=cache)
        return StrictEnvironment(dialect, loader=library, functions=self._functions.table()), library

    def render(self, view: View, touched: frozenset[Dependency] | None) -> Rendering:
        """Execute the templates that read what was touched, and those not complete yet; the others keep their output.

        Args:
            view: What the sources hold now. What is not in it counts as not read yet.
            touched: What changed since the last call; None executes all templates.

        Raises:
            TemplateError: Templates fail on data that is there; one line for each. They are executed again next time.
        """
        numbers = self._stale(touched)
        faults = []
        for number in sorted(numbers):
            try:
                self._execute(number, view)
            except TemplateError as error:
                faults.append(self._redactor.mask(str(error)))
        if faults:
            raise TemplateError("\n".join(dict.fromkeys(faults)))
        missing = {one for number in self._incomplete for one in self._units[number].missing}
        files = () if self._incomplete else tuple(_outputs(self._units))
        return Rendering(files, tuple(sorted(missing)), len(numbers))

    def _stale(self, touched: frozenset[Dependency] | None) -> set[int]:
        if touched is None:
            return set(range(len(self._units)))
        return self._incomplete.union(*(self._readers.get(dependency, ()) for dependency in touched))

    def _execute(self, number: int, view: View) -> None:
        unit = self._units[number]
        before = unit.dependencies
        try:
            unit.execute(self._functions, view)
        finally:
            self._index(number, before, unit.dependencies)
            if unit.output is None:
                self._incomplete.add(number)
            else:
                self._incomplete.discard(number)

    def _index(self, number: int, before: frozenset[Dependency], after: frozenset[Dependency]) -> None:
        if before == after:
            return
        self._dependencies = None
        for dependency in before - after:
            readers = self._readers[dependency]
            readers.discard(number)
            if not readers:
                del self._readers[dependency]
        for dependency in after - before:
            self._readers.setdefault(dependency, set()).add(number)


def _outputs(units: Iterable[Unit]) -> Iterable[RenderedFile]:
    return (unit.output for unit in units if unit.output is not None)


def _newline(source: str) -> Literal["\n", "\r\n"]:
    """Return the line end of the first line: Jinja makes all line ends of a template alike."""
    end = source.find("\n")
    return "\r\n" if end > 0 and source[end - 1] == "\r" else "\n"
