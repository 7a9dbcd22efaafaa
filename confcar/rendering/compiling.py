"""Makes of the templates that the config names what can be executed, and finds what they read by their texts alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jinja2 import TemplateError as JinjaError
from jinja2 import TemplateSyntaxError, nodes
from jinja2.nodes import EvalContext

from confcar.config.bundles import TemplateOptions
from confcar.errors import TemplateError
from confcar.heap import release_free_memory
from confcar.model import Dependency
from confcar.rendering.bytecode import open_bytecode_cache
from confcar.rendering.constants import literal_items
from confcar.rendering.discovery import find_dependencies
from confcar.rendering.environment import Dialect, StrictEnvironment
from confcar.rendering.executable import RESULT, Executable
from confcar.rendering.faults import TemplateFault, explain, syntax_message
from confcar.rendering.for_each import ForEach
from confcar.rendering.functions import Functions
from confcar.rendering.library import Library, TemplateText, check_names, label_of, read_template
from confcar.rendering.positions import PlacedTemplate
from confcar.rendering.unit import Unit


@dataclass(frozen=True, slots=True)
class _Workshop:
    """Where the templates of one folder and one dialect are compiled."""

    environment: StrictEnvironment
    library: Library


class Compiler:
    """Compiles templates once; another compiler reads their files anew.

    Args:
        functions: What the templates may call.
        config_directory: The folder of the config; absolute.
        bytecode_cache: Folder for compiled templates, or None.
    """

    def __init__(self, functions: Functions, *, config_directory: Path, bytecode_cache: Path | None) -> None:
        self._functions = functions
        self._config_directory = config_directory
        self._bytecode_cache = bytecode_cache
        self._workshops: dict[tuple[Path, str], _Workshop] = {}

    def compile(self, options: TemplateOptions) -> Unit | ForEach:
        """Return what executes one template of the config.

        Raises:
            TemplateError: It cannot be read or does not compile.
        """
        text = self._text(options)
        workshop = self._workshop(options, Dialect(options.delimiters, _newline(text.source)))
        name = options.source.name if options.source else text.label
        main = self._template(workshop, name, text)
        static = self._reads(main)
        if options.for_each is None:
            return Unit(options, main, static)
        # Both are one line of the config, and what stands around them there is nothing of theirs.
        for_each = TemplateText(f"for_each of {options.destination}", options.for_each.strip())
        destination = TemplateText(f"destination {options.destination}", options.destination)
        placing = self._template(workshop, destination.label, destination)
        expression = self._expression(workshop, for_each)
        shared = static | self._reads(placing)
        items = _literal_items(expression)
        literal = self._reads(main, items) | self._reads(placing, items) if items else shared
        return ForEach(
            options,
            expression=expression,
            body=main,
            placing=placing,
            static=self._reads(expression),
            shared=shared,
            literal=literal - shared,
        )

    @property
    def libraries(self) -> tuple[Library, ...]:
        """Where all that was compiled so far was read."""
        return tuple(workshop.library for workshop in self._workshops.values())

    def close(self) -> None:
        """Let go of what only compiling needs."""
        for library in self.libraries:
            library.forget_trees()
        release_free_memory()

    def _text(self, options: TemplateOptions) -> TemplateText:
        if options.source is None:
            return TemplateText(f"content of {options.destination}", options.content or "")
        return read_template(options.source, label=label_of(options.source, self._config_directory))

    def _workshop(self, options: TemplateOptions, dialect: Dialect) -> _Workshop:
        folder = options.source.parent if options.source else self._config_directory
        key = folder, dialect.fingerprint()
        if key not in self._workshops:
            cache = open_bytecode_cache(self._bytecode_cache, fingerprint=dialect.fingerprint())
            library = Library(folder, config_directory=self._config_directory, cache=cache)
            environment = StrictEnvironment(dialect, loader=library, functions=self._functions.table())
            self._workshops[key] = _Workshop(environment, library)
        return self._workshops[key]

    def _template(self, workshop: _Workshop, name: str, text: TemplateText) -> Executable:
        workshop.library.add(name, text)
        with _explained(workshop.library, text.label):
            template = workshop.environment.get_template(name)
        assert isinstance(template, PlacedTemplate)
        return Executable(template, workshop.environment, workshop.library)

    def _expression(self, workshop: _Workshop, text: TemplateText) -> Executable:
        """Compile the only expression of *text* as an assignment: its value is wanted, not its text."""
        environment, library = workshop.environment, workshop.library
        library.add(text.label, text)
        with _explained(library, text.label):
            tree = library.tree(environment, text.label)
            match tree.body:
                case [nodes.Output(nodes=[nodes.Expr() as found])] if not isinstance(found, nodes.TemplateData):
                    tree.body = [nodes.Assign(nodes.Name(RESULT, "store"), found, lineno=found.lineno)]
                case _:
                    mark = environment.variable_start_string, environment.variable_end_string
                    message = f"for_each is one expression between {mark[0]} and {mark[1]}, and nothing else"
                    raise TemplateFault(message)
            check_names(environment, tree, text.label)
            code = environment.compile(tree, text.label)
            template = PlacedTemplate.from_code(environment, code, environment.make_globals(None))
        assert isinstance(template, PlacedTemplate)
        template.label = text.label
        return Executable(template, environment, library, is_expression=True)

    def _reads(self, executable: Executable, items: tuple[object, ...] = ()) -> frozenset[Dependency]:
        name = executable.template.name or ""
        with _explained(executable.library, executable.label):
            return find_dependencies(
                executable.environment,
                executable.library,
                name,
                resolve=self._functions.dependency,
                names={"item": items} if items else {},
            )


def _literal_items(expression: Executable) -> tuple[object, ...]:
    (assigned,) = expression.library.tree(expression.environment, expression.template.name or "").body
    assert isinstance(assigned, nodes.Assign)
    return literal_items(assigned.node, EvalContext(expression.environment))


@contextmanager
def _explained(library: Library, label: str) -> Iterator[None]:
    try:
        yield
    except TemplateSyntaxError as error:
        label = library.text(error.name).label if error.name else label
        raise TemplateError(f"{label}:{error.lineno}: {syntax_message(error)}") from error
    except (JinjaError, TemplateFault, SyntaxError, RecursionError, MemoryError) as error:
        words = "" if isinstance(error, JinjaError | TemplateFault) else "nested too deeply to be compiled"
        raise TemplateError(f"{label}: {explain(error, words=words)}") from error


def _newline(source: str) -> Literal["\n", "\r\n"]:
    """Return the line end of the first line: Jinja makes all line ends of a template alike."""
    end = source.find("\n")
    return "\r\n" if end > 0 and source[end - 1] == "\r" else "\n"
