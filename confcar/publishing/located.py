"""Where in a file a format check found a fault."""

from __future__ import annotations


class FormatError(Exception):
    """A file is not in its format; caught within the package.

    Attributes:
        line: From 1.
        column: From 1, in characters.
        reason: In fixed words, without any of the content.
    """

    def __init__(self, line: int, column: int, reason: str) -> None:
        super().__init__(reason)
        # Some parsers count from 0 where the text is empty.
        self.line = max(line, 1)
        self.column = max(column, 1)
        self.reason = reason

    @classmethod
    def at_byte(cls, content: bytes, offset: int, reason: str) -> FormatError:
        """Return the error for a byte offset of *content*."""
        before = content[:offset]
        line_start = before.rfind(b"\n") + 1
        return cls(before.count(b"\n") + 1, len(before[line_start:].decode(errors="replace")) + 1, reason)
