"""Every event that confcar's code can log, with its levels, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.docs.pages import ROOT

_LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
_LOGGERS = {"_log", "_LOG"}
# What a name in an event's f-string stands for.
_FILLED = {"state": ("refused", "failed")}
# Events that are a text made elsewhere: warnings about the config, a whole sentence each.
_SENTENCES = {("reconfigure.py", "warning"), ("context.py", "warning")}


class UnknownEventError(AssertionError):
    """An event cannot be read off the source: give it a fixed phrase."""


def logged_events() -> dict[str, set[str]]:
    """Return the levels of each event.

    Raises:
        UnknownEventError: A call logs something that is no fixed phrase.
    """
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "confcar").rglob("*.py")):
        for event, levels in _Module(path).events():
            found.setdefault(event, set()).update(levels)
    return found


class _Module:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._tree = ast.parse(path.read_text())
        self._assigned: dict[str, list[ast.expr]] = {}
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self._assigned.setdefault(node.targets[0].id, []).append(node.value)

    def events(self) -> Iterator[tuple[str, set[str]]]:
        for function in ast.walk(self._tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            for node in ast.walk(function):
                levels = self._levels(node) if isinstance(node, ast.Call) else set()
                if isinstance(node, ast.Call) and node.args and levels:
                    for event in self._texts(node.args[_is_log(node)], function):
                        yield event, levels

    def _levels(self, call: ast.Call) -> set[str]:
        """Return the levels that a call logs at; empty where it is no call of a logger."""
        if _is_log(call):
            return {name.lower() for name in _attributes(self._values(call.args[0])) if name.lower() in _LEVELS}
        if isinstance(call.func, ast.Attribute) and _is_logger(call.func.value):
            return {_LEVELS[call.func.attr]}
        if isinstance(call.func, ast.Name):  # a method of the logger that was chosen before
            values = self._assigned.get(call.func.id, [])
            methods = [node for value in values for node in ast.walk(value) if isinstance(node, ast.Attribute)]
            return {_LEVELS[method.attr] for method in methods if _is_logger(method.value) and method.attr in _LEVELS}
        return set()

    def _texts(self, event: ast.expr, function: ast.FunctionDef) -> Iterator[str]:
        if isinstance(event, ast.Constant):
            yield str(event.value)
        elif isinstance(event, ast.JoinedStr):
            start, filled = event.values
            assert isinstance(start, ast.Constant)
            assert isinstance(start.value, str)
            assert isinstance(filled, ast.FormattedValue)
            assert isinstance(filled.value, ast.Name)
            yield from (start.value + word for word in _FILLED[filled.value.id])
        elif isinstance(event, ast.Name) and (self._path.name, event.id) in _SENTENCES:
            return
        elif isinstance(event, ast.Name):
            found = [*self._given(event.id, function), *self._values(event)]
            texts = [node.value for value in found for node in _results(value) if isinstance(node, ast.Constant)]
            if not texts:
                raise UnknownEventError(f"{self._path.name}:{event.lineno}: the event {event.id}")
            yield from map(str, texts)
        else:
            raise UnknownEventError(f"{self._path.name}:{event.lineno}: the event {ast.unparse(event)}")

    def _given(self, name: str, function: ast.FunctionDef) -> list[ast.expr]:
        """Return what the calls of *function* in this module give for its parameter *name*."""
        parameters = [argument.arg for argument in function.args.args if argument.arg != "self"]
        if name not in parameters:
            return []
        calls = [node for node in ast.walk(self._tree) if isinstance(node, ast.Call)]
        named = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == function.name]
        return [call.args[parameters.index(name)] for call in named]

    def _values(self, node: ast.expr) -> list[ast.expr]:
        return self._assigned.get(node.id, []) if isinstance(node, ast.Name) else [node]


def _is_logger(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in _LOGGERS


def _is_log(call: ast.Call) -> bool:
    """Return whether it is `_log.log(level, event)`, whose event is the second argument."""
    return isinstance(call.func, ast.Attribute) and call.func.attr == "log" and _is_logger(call.func.value)


def _attributes(values: list[ast.expr]) -> set[str]:
    return {node.attr for value in values for node in ast.walk(value) if isinstance(node, ast.Attribute)}


def _results(value: ast.expr) -> list[ast.expr]:
    return [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
