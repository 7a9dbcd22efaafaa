"""One template of a bundle and the file it becomes."""

from __future__ import annotations

from dataclasses import dataclass, field

from jinja2 import Template, TemplateSyntaxError

from confcar.config.bundles import TemplateOptions
from confcar.errors import TemplateError
from confcar.model import Dependency, Missing, RenderedFile
from confcar.rendering.environment import StrictEnvironment
from confcar.rendering.faults import (
    TemplateFault,
    UndefinedNameError,
    excerpt,
    explain,
    frames_of,
    syntax_message,
)
from confcar.rendering.functions import Functions, Notes
from confcar.rendering.library import Library
from confcar.rendering.positions import TEMPLATE_GLOBAL, PlacedTemplate
from confcar.store import View

MOST_CHARACTERS = 64 * 1024 * 1024
"""A config file is smaller by orders of magnitude; a loop that runs away would take the machine's memory."""


@dataclass(slots=True)
class Unit:
    """A compiled template, its last output, and what it reads.

    Attributes:
        options: The template as the config describes it.
        template: It compiled; its label is its name in messages.
        environment: What it was compiled in.
        library: Where its source is.
        static: What it reads by its text alone.
        read: What its executions read: the last complete one, and what those after it added.
        output: What the last execution gave, None where that was not complete.
        missing: What the last execution waits for.
    """

    options: TemplateOptions
    template: PlacedTemplate
    environment: StrictEnvironment
    library: Library
    static: frozenset[Dependency]
    read: frozenset[Dependency] = frozenset()
    output: RenderedFile | None = None
    missing: tuple[Missing, ...] = ()
    _complete: frozenset[Dependency] = field(default=frozenset())

    @property
    def dependencies(self) -> frozenset[Dependency]:
        """What must be followed for this template."""
        return self.static | self.read

    def take_over(self, before: Unit) -> None:
        """Go on following what the same template read before it was compiled again."""
        self.read = before.read
        self._complete = before._complete

    def execute(self, functions: Functions, view: View) -> None:
        """Run the template; sets `output` where all its data was there, else `missing`.

        Raises:
            TemplateError: It fails on data that is there.
        """
        notes = functions.begin(view)
        self.output, self.missing = None, ()
        content, failure = self._content(notes)
        # What was read before an interruption is not all there is to read: do not stop following the rest.
        complete = not notes.missing and failure is None
        self.read = frozenset(notes.dependencies) | (frozenset() if complete else self._complete)
        if notes.missing:
            self.missing = tuple(dict.fromkeys(notes.missing))
        elif failure is not None:
            # Not chained: the texts of what templates raise can hold secrets.
            raise TemplateError(failure)
        else:
            self._complete = self.read
            self.output = self._file(content, notes)

    def _content(self, notes: Notes) -> tuple[bytes, str | None]:
        """Return the output, or the words for what went wrong."""
        try:
            return _joined(self.template).encode(), None
        except Exception as error:  # noqa: BLE001 - a template can raise anything
            # With data missing the placeholder may be the cause, and the output is thrown away anyhow.
            return b"", "" if notes.missing else self.explanation(error)

    def explanation(self, error: Exception) -> str:
        """Return place, words and expression for what the execution raised."""
        if isinstance(error, TemplateSyntaxError):
            label = self.library.text(error.name).label if error.name else self.template.label
            return f"{label}:{error.lineno}: {syntax_message(error)}"
        template, line = self.template, 0
        for namespace, code_line in frames_of(error.__traceback__):
            found = namespace.get(TEMPLATE_GLOBAL)
            if isinstance(found, PlacedTemplate):
                template, line = found, found.line_of(code_line)
        if not line:
            return f"{self.template.label}: {explain(error)}"
        name = error.name if isinstance(error, UndefinedNameError) else None
        source = self.library.text(template.name or "").source
        expression = excerpt(self.environment, source, line, name=name)
        return f"{template.label}:{line}: {explain(error, expression=expression)}"

    def _file(self, content: bytes, notes: Notes) -> RenderedFile:
        options = self.options
        return RenderedFile(
            options.destination,
            content,
            mode=options.mode,
            user=options.user,
            group=options.group,
            format=options.format,
            secret=notes.secret,
            leased_until=notes.leased_until,
        )


def _joined(template: Template) -> str:
    """Run a template without Jinja's own error handling, whose rewritten tracebacks are not needed."""
    parts, size = [], 0
    for part in template.root_render_func(template.new_context()):
        size += len(part)
        if size > MOST_CHARACTERS:
            message = f"the output is longer than {MOST_CHARACTERS} characters"
            raise TemplateFault(message)
        parts.append(part)
    return "".join(parts)
