"""The YAML of the filters: read by the core schema of YAML 1.2, written so that readers of 1.1 and 1.2 agree.

Imported by the filters at their first use only, because it imports PyYAML.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import yaml

from confcar.yaml12 import STANDARD, Native, core_schema_loader, native_scalar

# Readers turn these into plain line ends unless they are escaped, which only double quotes can do.
_OTHER_BREAKS = re.compile("[\r\x85\u2028\u2029]")
_DIGITS = "0123456789"
_ALSO_QUOTED = (
    ("bool", r"[yYnN]", "yYnN"),
    ("int", r"[-+]?[0-9][0-9_]*|0o[0-7]+", "-+" + _DIGITS),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+", "-+." + _DIGITS),
)


@cache
def plain_loader() -> Any:  # noqa: ANN401 - PyYAML's stubs have no common type for the C and the Python loader
    """Return a loader class for `yaml.load` that makes plain data only; a tag that asks for more is an error."""
    loader: Any = type("PlainLoader", (core_schema_loader(),), {})
    loader.add_constructor(STANDARD + "int", _construct_int)
    return loader


def _construct_int(_loader: object, node: yaml.ScalarNode) -> Native:
    return native_scalar(node.value, STANDARD + "int")


class QuotingDumper(yaml.SafeDumper):
    """Writes plain data: no anchors, texts of several lines as blocks, doubtful words in quotes."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        """Write what stands in two places twice: many programs cannot read anchors."""
        return True


def _represent_text(dumper: QuotingDumper, text: str) -> yaml.ScalarNode:
    if _OTHER_BREAKS.search(text):
        style: str | None = '"'
    else:
        style = "|" if "\n" in text else None
    return dumper.represent_scalar(STANDARD + "str", text, style=style)


for _name, _pattern, _first in _ALSO_QUOTED:
    QuotingDumper.add_implicit_resolver(STANDARD + _name, re.compile(rf"(?:{_pattern})\Z"), list(_first))
QuotingDumper.add_representer(str, _represent_text)
