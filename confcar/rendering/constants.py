"""What an expression of a template can be, as far as the template alone tells.

A value is the tuple of its candidates: one for a literal, several after branches, none where data decides. Jinja's own
constant folding does the computing, with the candidates in the place of names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product

from jinja2 import nodes
from jinja2.nodes import EvalContext

MOST_CANDIDATES = 64
_LONGEST_RANGE = 1000
_FOLDABLE = (
    nodes.List,
    nodes.Tuple,
    nodes.Dict,
    nodes.Pair,
    nodes.Keyword,
    nodes.Concat,
    nodes.Add,
    nodes.Sub,
    nodes.Mod,
    nodes.Filter,
    nodes.Getitem,
    nodes.Getattr,
    nodes.Slice,
)
_PLAIN = (str, int, float, bool, type(None), list, tuple, dict)

Value = tuple[object, ...]
Scope = dict[str, Value]
UNKNOWN: Value = ()


@dataclass(frozen=True, slots=True)
class FunctionName:
    """A template function, under whatever name the template gave it."""

    name: str


@dataclass(frozen=True, eq=False, slots=True)
class MacroName:
    """A macro, with the names it sees."""

    node: nodes.Macro
    scope: Scope

    def __repr__(self) -> str:
        return f"<macro {id(self.node)}>"  # what tells two calls apart, and short: a node's own is its whole subtree


@dataclass(frozen=True, eq=False, slots=True)
class ModuleName:
    """An imported template, with what it exports."""

    scope: Scope

    def __repr__(self) -> str:
        return f"<module {id(self.scope)}>"


RANGE = FunctionName("range")


def candidates(node: nodes.Node, scope: Scope, context: EvalContext) -> Value:
    """Return what *node* can be; UNKNOWN where only data tells."""
    match node:
        case nodes.Const():
            found: Value = (node.value,)
        case nodes.TemplateData():
            found = (node.data,)
        case nodes.Name():
            found = scope.get(node.name, UNKNOWN)
        case nodes.CondExpr() | nodes.And() | nodes.Or():
            found = merged(*(candidates(branch, scope, context) for branch in _branches(node)))
        case nodes.Call():
            found = _range(node, scope, context)
        case nodes.Getattr():
            found = _attribute(node, scope, context)
        case _:
            found = _folded(node, scope, context) if isinstance(node, _FOLDABLE) else UNKNOWN
    return found


def literal_items(node: nodes.Node, context: EvalContext) -> Value:
    """Return the items of a list or mapping that stands literally in *node*, as `for_each` gives them; else UNKNOWN."""
    found: list[object] = []
    for value in candidates(node, {"range": (RANGE,)}, context):
        if isinstance(value, dict):
            found.extend({"key": key, "value": item} for key, item in value.items())
        elif isinstance(value, list | tuple):
            found.extend(value)
    return tuple(found[:_LONGEST_RANGE])


def _branches(node: nodes.CondExpr | nodes.And | nodes.Or) -> list[nodes.Expr]:
    if isinstance(node, nodes.CondExpr):
        return [node.expr1, node.expr2] if node.expr2 else [node.expr1]
    return [node.left, node.right]


def merged(*values: Value) -> Value:
    """Return all candidates of several values, each once."""
    found: list[object] = []
    for candidate in (candidate for value in values for candidate in value):
        if not any(candidate is known or _equal(candidate, known) for known in found):
            found.append(candidate)
    return tuple(found[:MOST_CANDIDATES])


def _equal(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def _range(node: nodes.Call, scope: Scope, context: EvalContext) -> Value:
    if candidates(node.node, scope, context) != (RANGE,) or node.kwargs or node.dyn_args or node.dyn_kwargs:
        return UNKNOWN
    bounds = [candidates(argument, scope, context) for argument in node.args]
    if not bounds or any(len(bound) != 1 or not isinstance(bound[0], int) for bound in bounds):
        return UNKNOWN
    try:
        numbers = range(*(bound[0] for bound in bounds))  # type: ignore[call-overload] # checked to be ints
    except (TypeError, ValueError):
        return UNKNOWN
    return (list(numbers),) if len(numbers) <= _LONGEST_RANGE else UNKNOWN


def _attribute(node: nodes.Getattr, scope: Scope, context: EvalContext) -> Value:
    owners = candidates(node.node, scope, context)
    modules = [owner for owner in owners if isinstance(owner, ModuleName)]
    if modules:
        return merged(*(module.scope.get(node.attr, UNKNOWN) for module in modules))
    return _folded(node, scope, context) if owners else UNKNOWN


def _folded(node: nodes.Node, scope: Scope, context: EvalContext) -> Value:
    """Put the candidates of its parts into copies of *node*, and let Jinja compute them."""
    parts = [list(_alternatives(value, scope, context)) for _, value in node.iter_fields()]
    found = []
    for combination in islice(product(*parts), MOST_CANDIDATES):
        copy = type(node)(*combination, lineno=node.lineno, environment=node.environment)
        try:
            result = copy.as_const(context)  # type: ignore[attr-defined] # all of _FOLDABLE have it
        except Exception:  # noqa: BLE001, S112 - filters and operators raise what they like; then data must decide
            continue
        if isinstance(result, _PLAIN):
            found.append(result)
    return merged(tuple(found))


def _alternatives(value: object, scope: Scope, context: EvalContext) -> Iterator[object]:
    if isinstance(value, nodes.Node):
        yield from (nodes.Const(candidate) for candidate in candidates(value, scope, context))
    elif isinstance(value, list):
        choices = [list(_alternatives(item, scope, context)) for item in value]
        yield from (list(choice) for choice in islice(product(*choices), MOST_CANDIDATES))
    else:
        yield value
