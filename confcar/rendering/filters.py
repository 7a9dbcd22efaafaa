"""The filters beside Jinja's own. Each has a tested example in docs/reference/filters.md; no error shows a value."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping

from confcar.rendering import documents
from confcar.rendering.faults import TemplateFault, UnmatchedText, demand_defined
from confcar.rendering.pending import PENDING

Filter = Callable[..., object]
_TRUE = frozenset({"true", "yes", "on", "y", "t", "1"})
_FALSE = frozenset({"false", "no", "off", "n", "f", "0"})
_PLAIN_IN_ENV = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")
_CANNOT_STAND = "a zero byte cannot stand in"


def _text(value: object) -> str:
    demand_defined(value)
    return str(value)


def b64encode(value: object) -> str:
    """Encode the UTF-8 bytes of a text as base64."""
    from base64 import b64encode as encode

    return encode(_text(value).encode()).decode()


def b64decode(value: object) -> str:
    """Decode base64, also the URL-safe form and without padding, to text."""
    from base64 import b64decode as decode
    from binascii import Error

    text = "".join(_text(value).split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except UnicodeDecodeError as error:
        message = "b64decode: what is encoded is not UTF-8 text"
        raise TemplateFault(message) from error
    except (Error, ValueError) as error:
        message = "b64decode: not base64"
        raise TemplateFault(message) from error


def _digest(algorithm: str, value: object) -> str:
    from hashlib import new

    return new(algorithm, _text(value).encode(), usedforsecurity=False).hexdigest()


def sha256(value: object) -> str:
    """SHA-256 of a text's UTF-8 bytes, in hex."""
    return _digest("sha256", value)


def sha512(value: object) -> str:
    """SHA-512 of a text's UTF-8 bytes, in hex."""
    return _digest("sha512", value)


def md5(value: object) -> str:
    """MD5 of a text's UTF-8 bytes, in hex: for formats that ask for it, not for security."""
    return _digest("md5", value)


def quote(value: object) -> str:
    """Quote a text so that a shell takes it as one word."""
    from shlex import quote as quote_word

    return quote_word(_without_zero(value, "a word of a shell"))


def env_quote(value: object) -> str:
    """Quote a text as a value in a .env file, as a shell, systemd and Docker Compose read it."""
    text = _without_zero(value, "a .env file")
    if _PLAIN_IN_ENV.fullmatch(text):
        return text
    if "'" not in text:
        return f"'{text}'"
    return '"' + re.sub(r'([\\"$`])', r"\\\1", text) + '"'


def _without_zero(value: object, where: str) -> str:
    text = _text(value)
    if "\0" in text:
        message = f"{_CANNOT_STAND} {where}"
        raise TemplateFault(message)
    return text


def _pattern(filter_name: str, pattern: object, *, ignorecase: bool, multiline: bool) -> re.Pattern[str]:
    flags = (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)
    try:
        return re.compile(_text(pattern), flags)
    except (re.error, OverflowError, RecursionError) as error:
        message = f"{filter_name}: the pattern is not a regular expression"
        raise TemplateFault(message) from error


def regex_replace(
    value: object,
    pattern: object,
    replacement: object = "",
    *,
    count: int = 0,
    ignorecase: bool = False,
    multiline: bool = False,
) -> str:
    r"""Replace what matches; `\1` or `\g<name>` in the replacement is a group. *count* 0 is all."""
    expression = _pattern("regex_replace", pattern, ignorecase=ignorecase, multiline=multiline)
    try:
        return expression.sub(_text(replacement), _text(value), count=count)
    except (re.error, IndexError) as error:
        message = "regex_replace: the replacement names a group that the pattern does not have"
        raise TemplateFault(message) from error


def regex_search(
    value: object,
    pattern: object,
    *,
    group: int | str = 0,
    ignorecase: bool = False,
    multiline: bool = False,
) -> object:
    """Return the first match, or one group of it. Nothing found is false in a test and an error where it is written."""
    found = _pattern("regex_search", pattern, ignorecase=ignorecase, multiline=multiline).search(_text(value))
    try:
        text = found[group] if found else None
    except IndexError as error:
        message = "regex_search: the pattern does not have this group"
        raise TemplateFault(message) from error
    return UnmatchedText() if text is None else text


def regex_findall(value: object, pattern: object, *, ignorecase: bool = False, multiline: bool = False) -> list[object]:
    """Return all matches; where the pattern has groups, these."""
    return list(_pattern("regex_findall", pattern, ignorecase=ignorecase, multiline=multiline).findall(_text(value)))


def split(value: object, separator: str | None = None, maxsplit: int = -1) -> list[str]:
    """Cut a text at each *separator*; without one, at any run of white space."""
    if separator == "":
        message = "split: an empty separator"
        raise TemplateFault(message)
    return _text(value).split(separator, maxsplit)


def to_bool(value: object) -> bool:
    """Turn true, yes, on, y, t, 1 and their opposites, in any case, into true and false; anything else is an error."""
    word = _text(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    message = "to_bool: neither a word for true nor one for false"
    raise TemplateFault(message)


def basename(value: object) -> str:
    """Return what stands behind the last slash of a path."""
    return _text(value).rpartition("/")[2]


def dirname(value: object) -> str:
    """Return what stands before the last slash of a path; empty where there is none."""
    import posixpath

    return posixpath.dirname(_text(value))


OWN_FILTERS: Mapping[str, Filter] = {
    function.__name__: function
    for function in (
        documents.to_json,
        documents.to_yaml,
        documents.to_toml,
        documents.from_json,
        documents.from_yaml,
        documents.from_toml,
        b64encode,
        b64decode,
        sha256,
        sha512,
        md5,
        quote,
        env_quote,
        regex_replace,
        regex_search,
        regex_findall,
        split,
        to_bool,
        basename,
        dirname,
    )
}


@functools.cache
def filter_table() -> dict[str, Filter]:
    """Return all filters by name, Jinja's own too, each giving way to the placeholder."""
    from jinja2.filters import FILTERS

    return {name: _giving_way(function) for name, function in {**FILTERS, **OWN_FILTERS}.items()}


def _giving_way(function: Filter) -> Filter:
    @functools.wraps(function)  # takes over Jinja's mark that asks for the environment or context, too
    def filtered(*args: object, **options: object) -> object:
        for value in args:
            if value is PENDING:
                return PENDING
        for value in options.values():
            if value is PENDING:
                return PENDING
        return function(*args, **options)

    return filtered
