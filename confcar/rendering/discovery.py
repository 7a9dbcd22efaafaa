"""Finds what a template reads before it is rendered, so that all of it is fetched side by side.

Walks the syntax tree with what is known of each name: through includes, parents, imports and macros, loops over literal
lists and every branch. It may find more than one execution reads, and what depends on data it does not find: the render
itself does that. No data is looked at here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import islice, product

from jinja2 import Environment, TemplateNotFound, nodes
from jinja2.nodes import EvalContext

from confcar.errors import TemplateError
from confcar.model import Dependency
from confcar.rendering.calls import DATA_OPTIONS, SIGNATURES, check_shape
from confcar.rendering.constants import (
    MOST_CANDIDATES,
    RANGE,
    UNKNOWN,
    FunctionName,
    MacroName,
    ModuleName,
    Scope,
    Value,
    candidates,
    merged,
)
from confcar.rendering.faults import TemplateFault, explain
from confcar.rendering.library import Library

_MOST_STEPS = 150_000
_DEEPEST = 24
_MOST_ITEMS = 1000

Resolve = Callable[[str, tuple[object, ...], Mapping[str, object]], Dependency | None]


class _StepsSpentError(Exception):
    """The template is too intricate to be followed further; the render finds the rest."""


def find_dependencies(
    environment: Environment, library: Library, name: str, *, resolve: Resolve, names: Scope
) -> frozenset[Dependency]:
    """Return what the template *name* reads as far as the templates alone tell.

    Args:
        environment: The template's.
        library: Where its syntax tree and those of its includes are.
        name: The template's name in the library.
        resolve: Gives what a call would read.
        names: What is bound in it besides the functions, with what that can be.

    Raises:
        TemplateError: A call with literal arguments can never be served, or a literal include does not exist.
        TemplateSyntaxError: An included template does not compile.
    """
    walk = _Walk(environment, library, resolve)
    with suppress(_StepsSpentError, RecursionError):  # what was found by then is right, and the render finds the rest
        walk.template(name, {**walk.globals(), **names})
    return frozenset(walk.found)


class _Walk:
    """One walk over one template and all it takes in."""

    def __init__(self, environment: Environment, library: Library, resolve: Resolve) -> None:
        self.found: set[Dependency] = set()
        self._environment = environment
        self._context = EvalContext(environment)
        self._library = library
        self._resolve = resolve
        self._open: list[str] = []
        self._called: set[tuple[int, str]] = set()
        self._entered: set[int] = set()
        self._modules: dict[str, Scope] = {}
        self._steps = 0
        self._handlers: dict[type[nodes.Node], Callable[..., None]] = {
            nodes.Call: self._call,
            nodes.Assign: self._assign,
            nodes.AssignBlock: self._assign_block,
            nodes.For: self._for,
            nodes.If: self._if,
            nodes.With: self._with,
            nodes.Macro: self._macro,
            nodes.CallBlock: self._call_block,
            nodes.Include: self._include,
            nodes.Extends: self._extends,
            nodes.Import: self._import,
            nodes.FromImport: self._from_import,
        }

    @staticmethod
    def globals() -> Scope:
        """Return the names every template sees."""
        return {"range": (RANGE,), **{name: (FunctionName(name),) for name in SIGNATURES}}

    def template(self, name: str, scope: Scope) -> None:
        """Walk over a template; *scope* holds its names afterwards."""
        if name in self._open or len(self._open) >= _DEEPEST:
            return
        self._open.append(name)
        tree = self._library.tree(self._environment, name)
        self._all(tree.body, scope)
        if len(self._open) == 1:
            for macro in tree.find_all(nodes.Macro):
                if id(macro) not in self._entered:
                    self._all(macro.body, {**scope, **dict.fromkeys(_names(macro.args), UNKNOWN)})
        self._open.pop()

    def _all(self, parts: Iterable[nodes.Node], scope: Scope) -> None:
        for node in parts:
            self._visit(node, scope)

    def _visit(self, node: nodes.Node, scope: Scope) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise _StepsSpentError
        handler = self._handlers.get(type(node))
        if handler is None:
            self._all(node.iter_child_nodes(), scope)
        else:
            handler(node, scope)

    def _candidates(self, node: nodes.Node, scope: Scope) -> Value:
        return candidates(node, scope, self._context)

    def _call(self, node: nodes.Call, scope: Scope) -> None:
        self._all(node.iter_child_nodes(), scope)
        for callee in self._candidates(node.node, scope):
            if isinstance(callee, MacroName):
                self._enter(callee, node, scope)
            elif isinstance(callee, FunctionName) and callee != RANGE:
                self._lookup(callee.name, node, scope)

    def _lookup(self, name: str, node: nodes.Call, scope: Scope) -> None:
        if node.dyn_args or node.dyn_kwargs:
            return
        try:
            check_shape(SIGNATURES[name], len(node.args), [keyword.key for keyword in node.kwargs])
        except TemplateFault as fault:
            raise self._error(fault, node) from fault
        signature = SIGNATURES[name]
        wanted = DATA_OPTIONS | {signature.argument}
        named = [keyword for keyword in node.kwargs if keyword.key in wanted or signature.takes_params]
        values = [*node.args, *(keyword.value for keyword in named)]
        literal = all(isinstance(value, nodes.Const) for value in values)
        choices = [self._candidates(value, scope) for value in values]
        for choice in islice(product(*choices), MOST_CANDIDATES):
            split = len(node.args)
            options = {keyword.key: value for keyword, value in zip(named, choice[split:], strict=True)}
            try:
                dependency = self._resolve(name, choice[:split], options)
            except TemplateFault as fault:
                if literal:
                    raise self._error(fault, node) from fault
            except TemplateError:
                continue  # no such source: an error only if the render gets here
            else:
                # What creates something is left to the render that really comes here.
                self.found |= {dependency} if dependency and dependency.kind != "issue" else set()

    def _error(self, error: Exception, node: nodes.Node, words: str = "") -> TemplateError:
        text = self._library.text(self._open[-1])
        return TemplateError(f"{text.label}:{node.lineno}: {explain(error, words=words)}")

    def _enter(self, macro: MacroName, call: nodes.Call, scope: Scope) -> None:
        given: Scope = dict.fromkeys(_names(macro.node.args), UNKNOWN)
        names = list(given)
        for name, default in zip(reversed(names), reversed(macro.node.defaults), strict=False):
            given[name] = self._candidates(default, macro.scope)
        given.update(zip(names, (self._candidates(value, scope) for value in call.args), strict=False))
        given.update({keyword.key: self._candidates(keyword.value, scope) for keyword in call.kwargs})
        visit = id(macro.node), repr(sorted(given.items()))
        self._entered.add(id(macro.node))
        if visit not in self._called and len(self._called) < _MOST_ITEMS * _DEEPEST:
            self._called.add(visit)
            self._all(macro.node.body, {**macro.scope, **given})

    def _assign(self, node: nodes.Assign, scope: Scope) -> None:
        self._visit(node.node, scope)
        _bind(node.target, self._candidates(node.node, scope), scope)

    def _assign_block(self, node: nodes.AssignBlock, scope: Scope) -> None:
        self._all(node.body, dict(scope))
        _bind(node.target, UNKNOWN, scope)

    def _for(self, node: nodes.For, scope: Scope) -> None:
        self._visit(node.iter, scope)
        inside = {**scope, "loop": UNKNOWN}
        rounds = 0
        for items in self._candidates(node.iter, scope):
            for item in list(items)[:_MOST_ITEMS] if isinstance(items, list | tuple | dict) else []:
                rounds += 1
                self._round(node, {**inside}, (item,))
        if not rounds:
            self._round(node, inside, UNKNOWN)
        self._all(node.else_, dict(scope))

    def _round(self, node: nodes.For, scope: Scope, item: Value) -> None:
        _bind(node.target, item, scope)
        if node.test:
            self._visit(node.test, scope)
        self._all(node.body, scope)

    def _if(self, node: nodes.If, scope: Scope) -> None:
        self._visit(node.test, scope)
        branches = [dict(scope) for _ in range(2)]
        self._all(node.body, branches[0])
        self._all([*node.elif_, *node.else_], branches[1])
        for name in {*branches[0], *branches[1]}:
            scope[name] = merged(*(branch.get(name, UNKNOWN) for branch in branches))

    def _with(self, node: nodes.With, scope: Scope) -> None:
        inside = dict(scope)
        for target, value in zip(node.targets, node.values, strict=True):
            self._visit(value, scope)
            _bind(target, self._candidates(value, scope), inside)
        self._all(node.body, inside)

    def _macro(self, node: nodes.Macro, scope: Scope) -> None:
        self._all(node.defaults, scope)
        scope[node.name] = (MacroName(node, scope),)

    def _call_block(self, node: nodes.CallBlock, scope: Scope) -> None:
        self._visit(node.call, scope)
        self._all(node.body, {**scope, **dict.fromkeys(_names(node.args), UNKNOWN)})

    def _include(self, node: nodes.Include, scope: Scope) -> None:
        self._visit(node.template, scope)
        for name in self._names_of(node, scope, required=not node.ignore_missing):
            self.template(name, dict(scope) if node.with_context else self.globals())

    def _extends(self, node: nodes.Extends, scope: Scope) -> None:
        self._visit(node.template, scope)
        for name in self._names_of(node, scope, required=True):
            self.template(name, scope)

    def _import(self, node: nodes.Import, scope: Scope) -> None:
        self._visit(node.template, scope)
        scope[node.target] = tuple(ModuleName(module) for module in self._imported(node, scope))

    def _from_import(self, node: nodes.FromImport, scope: Scope) -> None:
        self._visit(node.template, scope)
        modules = self._imported(node, scope)
        for pair in node.names:
            name, alias = pair if isinstance(pair, tuple) else (pair, pair)
            scope[alias] = merged(*(module.get(name, UNKNOWN) for module in modules))

    def _imported(self, node: nodes.Import | nodes.FromImport, scope: Scope) -> list[Scope]:
        modules = []
        for name in self._names_of(node, scope, required=True):
            if node.with_context or name not in self._modules:
                self._modules[name] = dict(scope) if node.with_context else self.globals()
                self.template(name, self._modules[name])
            modules.append(self._modules[name])
        return modules

    def _names_of(
        self, node: nodes.Include | nodes.Extends | nodes.Import | nodes.FromImport, scope: Scope, *, required: bool
    ) -> list[str]:
        """Return the names of templates that exist; one that stands there literally must."""
        found = []
        for choice in self._candidates(node.template, scope):
            for name in choice if isinstance(choice, list | tuple) else (choice,):
                try:
                    self._library.text(str(name))
                except (TemplateNotFound, TemplateFault, TemplateError) as error:
                    if isinstance(choice, str) and isinstance(node.template, nodes.Const) and required:
                        absent = isinstance(error, TemplateNotFound)
                        words = (
                            f"there is no template '{choice}' beside this one or beside the config" if absent else ""
                        )
                        raise self._error(error, node, words) from error
                else:
                    found.append(str(name))
        return found


def _names(arguments: Iterable[nodes.Name]) -> list[str]:
    return [argument.name for argument in arguments]


def _bind(target: nodes.Node, value: Value, scope: Scope) -> None:
    """Give the names in *target* what they can be."""
    if isinstance(target, nodes.Name):
        scope[target.name] = value
    elif isinstance(target, nodes.Tuple):
        for index, item in enumerate(target.items):
            parts = (c[index] for c in value if isinstance(c, list | tuple) and len(c) == len(target.items))
            _bind(item, tuple(parts), scope)
