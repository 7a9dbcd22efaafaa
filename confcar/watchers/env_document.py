"""`.env` documents, as the common dotenv libraries read them.

`NAME=value` lines, with `export` before and spaces around the `=` if one likes, comments, single quotes (nothing in
them is special) and double quotes (a backslash stands before n, t, r, a quote, a dollar sign or a backslash), either
over several lines. Nothing is expanded: a `$` is a `$`.
"""

from __future__ import annotations

import re

from confcar.errors import SourceDataError
from confcar.watchers.nodes import Leaf, Node

_SKIPPED = re.compile(r"(?:[ \t\r]*(?:#[^\n]*)?\n)*[ \t\r]*(?:#[^\n]*\Z|\Z)?")
_NAME = re.compile(r"(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
_SINGLE_QUOTED = re.compile(r"'([^']*)'")
_DOUBLE_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_BARE = re.compile(r"[^\n]*")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
_REST = re.compile(r"[ \t\r]*(?:#[^\n]*)?(?:\n|\Z)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "$": "$", "\n": ""}


def parse_env(text: str, shown: str) -> Node:
    """Return the variables as a mapping of strings; of two with one name the later counts, as in a shell.

    Args:
        text: The document.
        shown: The file's path, for messages.

    Raises:
        SourceDataError: A line is not `NAME=value`, or a quote is not closed; with `file:line:column`.
    """
    text = text.replace("\r\n", "\n")
    variables: dict[str, Node] = {}
    position = _skip(text, 0)
    while position < len(text):
        name = _NAME.match(text, position)
        if name is None:
            raise _error(text, position, shown, "expected NAME=value")
        value, position = _read_value(text, name.end(), shown)
        variables[name["name"]] = Leaf(value.encode(), value)
        position = _skip(text, position)
    return variables


def _read_value(text: str, start: int, shown: str) -> tuple[str, int]:
    quote = text[start : start + 1]
    if quote not in {"'", '"'}:
        bare = _BARE.match(text, start)
        assert bare is not None
        return _COMMENT.sub("", bare[0]).strip(), bare.end()
    quoted = (_SINGLE_QUOTED if quote == "'" else _DOUBLE_QUOTED).match(text, start)
    if quoted is None:
        raise _error(text, start, shown, "a quote that is not closed")
    rest = _REST.match(text, quoted.end())
    if rest is None:
        raise _error(text, quoted.end(), shown, "something follows the closing quote")
    value = quoted[1]
    if quote == '"':
        value = _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[0]), value)
    return value, rest.end()


def _skip(text: str, position: int) -> int:
    skipped = _SKIPPED.match(text, position)
    return skipped.end() if skipped is not None else position


def _error(text: str, position: int, shown: str, problem: str) -> SourceDataError:
    line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
    return SourceDataError(f"{shown}:{line}:{column}: {problem}")
