"""Free checks: whether a rendered file parses as what it claims to be.

A fault is told by line and column and in fixed words; no piece of the content ever gets into the message. Parsers are
imported when a file first asks for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from confcar.model import RenderedFile
from confcar.publishing import pem
from confcar.publishing.located import FormatError

_AT_LINE = re.compile(r"\s*\(?at line (\d+),? column (\d+)\)?$")
_QUOTED = re.compile(r"""(['"])(.*?)\1""")
_TOKEN = re.compile(r"<[a-z ]+>|[^\w\s]{1,3}")
_INI_LINE = re.compile(r"\s*([#;].*)?|\[[^\]]+\]\s*([#;].*)?|[^=:\s\[][^=:]*[=:].*|[^=:\s\[]+\s*([#;].*)?")
_ENV_LINE = re.compile(r"\s*(#.*)?|\s*(export\s+)?[A-Za-z_][\w.-]*=(?P<value>.*)", re.DOTALL)

_BEHIND_QUOTE = re.compile(r"\s+[^\s#]")


def _without_content(message: str) -> str:
    """Return a parser's message with what it quotes from the text left out, tokens of the grammar apart."""
    return _QUOTED.sub(lambda found: found.group() if _TOKEN.fullmatch(found.group(2)) else "…", message)


def _decoded(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise FormatError.at_byte(content, error.start, "not UTF-8") from None


def _from_message(content: bytes, message: str) -> FormatError:
    """Return the error for a message that ends in `at line 1 column 2`; the end of the text where it does not."""
    found = _AT_LINE.search(message)
    if found is None:
        return FormatError.at_byte(content, len(content), _without_content(message.partition(" (")[0]))
    return FormatError(int(found.group(1)), int(found.group(2)), _without_content(message[: found.start()]))


def _check_json(content: bytes) -> None:
    from pydantic_core import from_json

    try:
        from_json(content, allow_inf_nan=False, cache_strings="none")
    except ValueError as error:
        raise _from_message(content, str(error)) from None


def _check_yaml(content: bytes) -> None:
    import yaml

    text = _decoded(content)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        # Composed, not constructed: tags of other programs are their own business.
        for _ in yaml.compose_all(text, Loader=loader):
            pass
    except yaml.reader.ReaderError as error:
        raise FormatError.at_byte(content, len(text[: error.position].encode()), "a character YAML forbids") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = _without_content(error.problem or "it cannot be parsed")
        raise FormatError(mark.line + 1 if mark else 1, mark.column + 1 if mark else 1, problem) from None
    except RecursionError:
        raise FormatError(1, 1, "it is nested too deeply") from None


def _check_toml(content: bytes) -> None:
    import tomllib

    try:
        tomllib.loads(_decoded(content))
    except tomllib.TOMLDecodeError as error:
        raise _from_message(content, str(error)) from None
    except RecursionError:
        raise FormatError(1, 1, "it is nested too deeply") from None


def _check_ini(content: bytes) -> None:
    """Sections, `key = value`, lone keys and indented continuations: what the programs with INI files agree on.

    configparser refuses keys before a section, or lone keys, that Grafana and MySQL have, and tells no column.
    """
    may_continue = False
    for number, line in enumerate(_decoded(content).splitlines(), 1):
        if may_continue and line[:1].isspace():
            continue
        if not _INI_LINE.fullmatch(line.strip()):
            raise FormatError(number, 1, "neither a [section] nor key = value")
        may_continue = bool(line.strip()) and not line.startswith("[")


def _check_env(content: bytes) -> None:
    lines = _decoded(content).split("\n")
    number = 0
    while number < len(lines):
        found = _ENV_LINE.fullmatch(lines[number].removesuffix("\r"))
        if not found:
            raise FormatError(number + 1, 1, "not NAME=value")
        value = (found.group("value") or "").lstrip()
        if value[:1] in {"'", '"'}:
            number = _closing_line(lines, number, value)
        number += 1


def _closing_line(lines: list[str], start: int, value: str) -> int:
    """Return the index of the line on which the quote that opens *value* is closed."""
    quote, rest = value[0], value[1:]
    pattern = re.compile(rf"(?:[^{quote}\\]|\\.|\\$)*{quote}" if quote == '"' else rf"[^{quote}]*{quote}")
    for number in range(start, len(lines)):
        line = rest if number == start else lines[number]
        found = pattern.match(line)
        if found is None:
            continue
        if _BEHIND_QUOTE.match(line, found.end()):
            # A shell would run it as a command.
            raise FormatError(number + 1, len(lines[number]) - len(line) + found.end() + 1, "text behind the quote")
        return number
    raise FormatError(start + 1, lines[start].index(quote) + 1, "the quote is not closed")


def _check_xml(content: bytes) -> None:
    from xml.parsers import expat

    parser = expat.ParserCreate()
    # With a default handler expat expands no entity in text; without a handler for external ones it opens none.
    parser.DefaultHandler = lambda _: None
    try:
        parser.Parse(content, True)  # noqa: FBT003 - positional only
    except expat.ExpatError as error:
        raise FormatError(error.lineno, error.offset + 1, expat.ErrorString(error.code) or "malformed") from None


@dataclass(frozen=True, slots=True)
class _Format:
    title: str
    check: Callable[[bytes], None]


_FORMATS: Mapping[str, _Format] = MappingProxyType(
    {
        "json": _Format("JSON", _check_json),
        "yaml": _Format("YAML", _check_yaml),
        "toml": _Format("TOML", _check_toml),
        "ini": _Format("INI", _check_ini),
        "env": _Format("an env file", _check_env),
        "xml": _Format("XML", _check_xml),
        "pem": _Format("PEM", pem.check_pem),
    }
)


def find_format_fault(file: RenderedFile) -> str | None:
    """Return `destination:line:column: not JSON: reason`; None where the file parses, or asks for no check."""
    if file.format is None:
        return None
    known = _FORMATS[file.format]
    try:
        known.check(file.content)
    except FormatError as error:
        return f"{file.destination}:{error.line}:{error.column}: not {known.title}: {error.reason}"
    return None
