"""YAML by the core schema of YAML 1.2, once for everything that reads it: config, file sources, filters.

PyYAML reads YAML 1.1, where `country: no` is false and `port: 22:22` is 1342. Here `on`, `off`, `yes`, `no` and dates
are text. PyYAML is imported at the first use: a config in TOML with no YAML anywhere never pays for it.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

STANDARD = "tag:yaml.org,2002:"
MERGE = STANDARD + "merge"
Native = str | int | float | bool | None
_CORE_SCHEMA = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("merge", r"<<", ["<"]),
)
# Python refuses to convert longer ones; nobody means a number then.
_MAX_DIGITS = 4000


@cache
def core_schema_loader() -> Any:  # noqa: ANN401 - PyYAML's stubs have no common type for the C and the Python loader
    """Return a loader class for `yaml.compose` that tags scalars by the core schema; by libyaml where it is there."""
    import yaml

    # libyaml is ten times as fast; wheels of PyYAML for some platforms come without it.
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader: Any = type("CoreSchemaLoader", (base,), {"yaml_implicit_resolvers": {}})
    for tag, pattern, first in _CORE_SCHEMA:
        # The resolver asks only whether the pattern matches at the start.
        loader.add_implicit_resolver(STANDARD + tag, re.compile(f"(?:{pattern})\\Z"), first)
    return loader


def native_scalar(text: str, tag: str) -> Native:
    """Return what a scalar means.

    Args:
        text: The scalar as written.
        tag: Its tag; one that is not the core schema's is text.

    Raises:
        ValueError: The text is none of what its tag says.
        KeyError: The same, for `bool`.
    """
    kind = tag.removeprefix(STANDARD)
    if kind == "null":
        return None
    if kind == "bool":
        return {"true": True, "false": False}[text.lower()]
    if kind == "int" and len(text) < _MAX_DIGITS:
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if kind == "float":
        bare = text.lower()
        return float(bare.replace(".", "", 1) if bare.endswith(("inf", "nan")) else bare)
    return text
