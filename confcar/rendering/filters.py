"""The filters beside Jinja's own. Each has a tested example in docs/reference/filters.md; no error shows a value."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping

from confcar.rendering import conversions, documents, encodings
from confcar.rendering.faults import TemplateFault, UnmatchedText, demand_defined, text_of_value
from confcar.rendering.pending import PENDING

Filter = Callable[..., object]


def _pattern(filter_name: str, pattern: object, *, ignorecase: bool, multiline: bool) -> re.Pattern[str]:
    flags = (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)
    try:
        return re.compile(text_of_value(pattern), flags)
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
        return expression.sub(text_of_value(replacement), text_of_value(value), count=count)
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
    found = _pattern("regex_search", pattern, ignorecase=ignorecase, multiline=multiline).search(text_of_value(value))
    try:
        text = found[group] if found else None
    except IndexError as error:
        message = "regex_search: the pattern does not have this group"
        raise TemplateFault(message) from error
    return UnmatchedText() if text is None else text


def regex_findall(value: object, pattern: object, *, ignorecase: bool = False, multiline: bool = False) -> list[object]:
    """Return all matches; where the pattern has groups, these."""
    return list(
        _pattern("regex_findall", pattern, ignorecase=ignorecase, multiline=multiline).findall(text_of_value(value))
    )


def split(value: object, separator: str | None = None, maxsplit: int = -1) -> list[str]:
    """Cut a text at each *separator*; without one, at any run of white space."""
    if separator == "":
        message = "split: an empty separator"
        raise TemplateFault(message)
    return text_of_value(value).split(separator, maxsplit)


def basename(value: object) -> str:
    """Return what stands behind the last slash of a path."""
    return text_of_value(value).rpartition("/")[2]


def dirname(value: object) -> str:
    """Return what stands before the last slash of a path; empty where there is none."""
    import posixpath

    return posixpath.dirname(text_of_value(value))


def path_join(parts: object) -> str:
    """Put parts of a path together with one slash between them; a slash at the very beginning stays."""
    demand_defined(parts)
    if isinstance(parts, str) or not isinstance(parts, Iterable):
        message = "path_join: takes a list of parts"
        raise TemplateFault(message)
    words = [word for word in map(text_of_value, parts) if word]
    start = "/" if words and words[0].startswith("/") else ""
    return start + "/".join(stripped for word in words if (stripped := word.strip("/")))


OWN_FILTERS: Mapping[str, Filter] = {
    function.__name__: function
    for function in (
        documents.to_json,
        documents.to_yaml,
        documents.to_toml,
        documents.from_json,
        documents.from_yaml,
        documents.from_toml,
        encodings.b64encode,
        encodings.b64decode,
        encodings.sha256,
        encodings.sha512,
        encodings.md5,
        encodings.hmac_sha256,
        encodings.url_quote,
        encodings.quote,
        encodings.env_quote,
        regex_replace,
        regex_search,
        regex_findall,
        split,
        conversions.to_bool,
        conversions.to_int,
        conversions.to_float,
        conversions.format_time,
        conversions.combine,
        conversions.explode,
        basename,
        dirname,
        path_join,
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
