"""Where in a template something happens: from a line of compiled code back to the template's own line."""

from __future__ import annotations

import sys
from bisect import bisect_right

from jinja2 import Template

TEMPLATE_GLOBAL = "__jinja_template__"
"""Jinja puts the template under this name into the globals of its compiled code, for its own tracebacks."""


class PlacedTemplate(Template):
    """A template that knows its name for people, and quickly finds its lines.

    Attributes:
        label: What the template is called in messages; set by the loader.
    """

    label: str = "template"
    _lines: tuple[list[int], list[int]] | None = None

    def line_of(self, code_line: int) -> int:
        """Return the line of the template that *code_line* of its compiled code was made from, from 1."""
        if self._lines is None:
            pairs = self.debug_info  # parsed at each access, hence kept
            self._lines = [code for _, code in pairs], [line for line, _ in pairs]
        code_lines, lines = self._lines
        index = bisect_right(code_lines, code_line) - 1
        return lines[index] if index >= 0 else 1

    def _get_default_module(self, ctx: object = None) -> object:  # type: ignore[override] # narrower in Jinja's stubs
        """Run an imported template at each import; Jinja would keep the first result, and its data, for ever."""
        self._module = None
        return super()._get_default_module(ctx)  # type: ignore[arg-type] # the same


def calling_place() -> tuple[str, int]:
    """Return label and line of the template whose code called; nothing and 0 where none did."""
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way to the caller's frame, and far cheaper than inspect.stack
    while frame is not None:
        template = frame.f_globals.get(TEMPLATE_GLOBAL)
        if isinstance(template, PlacedTemplate):
            return template.label, template.line_of(frame.f_lineno)
        if frame.f_back is None:
            break
        frame = frame.f_back
    return "", 0
