"""Filters between data and documents: JSON, YAML, TOML. No error of theirs shows a value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from typing import NoReturn

from confcar.rendering.faults import TemplateFault, demand_defined
from confcar.rendering.pending import MARK, PENDING
from confcar.rendering.values import Entry

_UNWRITABLE = "only text, numbers, true, false, none, dates, lists and mappings can be written"


def plain(value: object) -> object:
    """Return *value* as dicts, lists and scalars of Python; dates stay dates.

    Raises:
        TemplateFault: It holds something that no document can.
    """
    if value is PENDING:
        return MARK
    demand_defined(value)
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, bool | int | float | date | time):
        return value
    if isinstance(value, Entry):
        return {"key": value.key, "value": value.value, "path": value.path}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, bytes | bytearray):
        return [plain(item) for item in value]
    raise TemplateFault(_UNWRITABLE)


def _without_dates(value: object) -> object:
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _without_dates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_dates(item) for item in value]
    return value


def _refuse(filter_name: str, why: str, cause: Exception) -> NoReturn:
    message = f"{filter_name}: {why}"
    raise TemplateFault(message) from cause


def to_json(value: object, indent: int | None = None, *, sort_keys: bool = False) -> str:
    """Write as JSON, on one line unless *indent* says by how many spaces."""
    data = _without_dates(plain(value))
    try:
        return json.dumps(data, indent=indent, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        _refuse("to_json", "JSON cannot hold this value (infinite, or mixed or unusual keys)", error)


def to_yaml(value: object, indent: int = 2, *, sort_keys: bool = False) -> str:
    """Write as YAML without a final newline; texts that a reader could mistake are quoted."""
    data = _without_dates(plain(value))
    import yaml

    from confcar.rendering.yaml_dialect import QuotingDumper

    try:
        text = yaml.dump(
            data,
            Dumper=QuotingDumper,
            indent=indent,
            sort_keys=sort_keys,
            allow_unicode=True,
            default_flow_style=False,
            width=2**31,  # a folded line is the same to YAML, but not to the people who compare files
        )
    except (yaml.YAMLError, TypeError, ValueError) as error:
        _refuse("to_yaml", "YAML cannot hold this value", error)
    return text.removesuffix("\n").removesuffix("\n...")


def to_toml(value: object) -> str:
    """Write a mapping as TOML without a final newline."""
    data = plain(value)
    if not isinstance(data, dict):
        message = "to_toml: a TOML document is a mapping"
        raise TemplateFault(message)
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.dumps(data).removesuffix("\n")
    except (TOMLKitError, TypeError, ValueError, AttributeError) as error:
        _refuse("to_toml", "TOML cannot hold this value (it has no null, and its keys are text)", error)


def from_json(text: object) -> object:
    """Read a JSON document."""
    demand_defined(text)
    try:
        return json.loads(str(text), parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        _refuse("from_json", f"not JSON (line {error.lineno}, column {error.colno})", error)
    except ValueError as error:
        _refuse("from_json", "not JSON (a number that it does not have, or one that is too long)", error)


def _refuse_constant(_word: str) -> NoReturn:
    raise ValueError  # NaN and Infinity: Python's own additions to JSON


def from_yaml(text: object) -> object:
    """Read a YAML document by the rules of YAML 1.2: `on`, `off`, `yes` and `no` are words."""
    demand_defined(text)
    import yaml

    from confcar.rendering.yaml_dialect import plain_loader

    try:
        return yaml.load(str(text), Loader=plain_loader())  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        _refuse("from_yaml", f"not plain YAML{place}", error)
    except (yaml.YAMLError, ValueError, TypeError) as error:
        _refuse("from_yaml", "not plain YAML", error)


def from_toml(text: object) -> object:
    """Read a TOML document."""
    demand_defined(text)
    import tomllib

    try:
        return tomllib.loads(str(text))
    except (tomllib.TOMLDecodeError, ValueError) as error:
        place = _place_in(str(error))
        _refuse("from_toml", f"not TOML{place}", error)


def _place_in(message: str) -> str:
    """Return the ` (line 1, column 2)` of a message of tomllib, which has it nowhere else; else nothing."""
    found = re.search(r"\(at (line \d+, column \d+)\)$", message)
    return f" ({found[1]})" if found else ""
