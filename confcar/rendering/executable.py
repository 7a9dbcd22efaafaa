"""A compiled template together with what its errors are explained with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jinja2 import TemplateSyntaxError

from confcar.rendering.environment import StrictEnvironment
from confcar.rendering.faults import (
    TemplateFault,
    UndefinedNameError,
    excerpt,
    explain,
    frames_of,
    syntax_message,
)
from confcar.rendering.library import Library
from confcar.rendering.positions import TEMPLATE_GLOBAL, PlacedTemplate

MOST_CHARACTERS = 64 * 1024 * 1024
"""A config file is smaller by orders of magnitude; a loop that runs away would take the machine's memory."""
RESULT = "result"
"""The name that an expression's value is assigned to where it is compiled as a template."""


@dataclass(frozen=True, slots=True)
class Executable:
    """A template, or one expression, that can be executed.

    Attributes:
        template: It compiled; its label is its name in messages.
        environment: What it was compiled in.
        library: Where its source is.
        is_expression: Whether it is one expression, so that whatever is wrong is wrong there.
    """

    template: PlacedTemplate
    environment: StrictEnvironment
    library: Library
    is_expression: bool = False

    @property
    def label(self) -> str:
        """What it is called in messages."""
        return self.template.label

    def text(self, variables: Mapping[str, object]) -> str:
        """Return what the template gives, with *variables* bound in it.

        Raises:
            Exception: A template can raise anything; `explanation` says it in words.
        """
        # Without Jinja's own error handling, whose rewritten tracebacks are not needed.
        parts, size = [], 0
        for part in self.template.root_render_func(self.template.new_context(dict(variables))):
            size += len(part)
            if size > MOST_CHARACTERS:
                message = f"the output is longer than {MOST_CHARACTERS} characters"
                raise TemplateFault(message)
            parts.append(part)
        return "".join(parts)

    def value(self) -> object:
        """Return the value of an expression, not its text.

        Raises:
            Exception: As `text` does.
        """
        context = self.template.new_context()
        for _ in self.template.root_render_func(context):
            pass
        return context.vars[RESULT]

    def explanation(self, error: Exception) -> str:
        """Return place, words and expression for what an execution raised; no value of any source is in it."""
        if isinstance(error, TemplateSyntaxError):
            label = self.library.text(error.name).label if error.name else self.label
            return f"{label}:{error.lineno}: {syntax_message(error)}"
        template, line = self.template, 0
        for namespace, code_line in frames_of(error.__traceback__):
            found = namespace.get(TEMPLATE_GLOBAL)
            if isinstance(found, PlacedTemplate):
                template, line = found, found.line_of(code_line)
        if not line and self.is_expression:
            line = 1
        if not line:
            return f"{self.label}: {explain(error)}"
        name = error.name if isinstance(error, UndefinedNameError) else None
        source = self.library.text(template.name or "").source
        expression = excerpt(self.environment, source, line, name=name)
        return f"{template.label}:{line}: {explain(error, expression=expression)}"
