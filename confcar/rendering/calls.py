"""The signatures of the template functions: what a call asks for, and what is wrong with it.

Shared by the functions, which run a call, and by discovery, which reads it in the template.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from confcar.model import Kind
from confcar.rendering.catalog import did_you_mean
from confcar.rendering.faults import TemplateFault, demand_defined
from confcar.rendering.selection import SELECTING, select

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Signature:
    """How a template function is called.

    Attributes:
        name: Its name in templates.
        kind: What it reads; None where it reads no source.
        argument: Name of its one plain argument; empty where it takes none.
        options: What may be given by name besides.
        takes_params: Whether anything else may be given by name, too: it goes to the source.
    """

    name: str
    kind: Kind | None
    argument: str
    options: tuple[str, ...]
    takes_params: bool = False


SIGNATURES: Mapping[str, Signature] = {
    signature.name: signature
    for signature in (
        Signature("key", "key", "path", ("default", "binary", "dc", "source")),
        Signature("key_exists", "key", "path", ("dc", "source")),
        Signature("ls", "ls", "prefix", ("dc", "source")),
        Signature("tree", "tree", "prefix", ("dc", "source")),
        Signature("secret", "secret", "path", ("version", "field", "source")),
        Signature("secrets", "secrets", "path", ("source",)),
        Signature("issue", "issue", "path", ("source",), takes_params=True),
        Signature("service", "service", "name", ("tag", "dc", "near", "status", "source")),
        Signature("services", "services", "", ("dc", "source")),
        Signature("nodes", "nodes", "", ("dc", "source")),
        Signature("datacenters", "datacenters", "", ("source",)),
        Signature("file", "file", "path", ()),
        Signature("env", None, "name", ("default",)),
    )
}
DATA_OPTIONS = frozenset({"version", "source", *SELECTING})
"""Options that decide what is read; the others only decide what is made of it."""
_OPTIONAL_PATH = frozenset({"ls", "tree"})


@dataclass(frozen=True, slots=True)
class Call:
    """A call that can be served.

    Attributes:
        subject: The normalised path, or the name of an environment variable.
        options: What was given by name, checked.
        params: The part of it that belongs to the dependency.
    """

    subject: str
    options: Mapping[str, object] = field(default_factory=dict)
    params: tuple[tuple[str, str | int | bool], ...] = ()

    @property
    def source(self) -> str | None:
        """Name of the source that was asked for, or None."""
        source = self.options.get("source")
        return source if isinstance(source, str) else None


def parse_call(signature: Signature, args: tuple[object, ...], options: Mapping[str, object]) -> Call:
    """Check the arguments of a call and return what it asks for.

    Raises:
        TemplateFault: The call cannot be served, whatever the data.
    """
    demand_defined(*args, *options.values())
    check_shape(signature, len(args), options)
    named = dict(options)
    subject = args[0] if args else named.pop(signature.argument) if signature.argument else ""
    if not isinstance(subject, str):
        message = f"the {signature.argument} of {signature.name}() must be text"
        raise TemplateFault(message)
    _check_options(signature, named)
    return Call(_subject(signature, subject), named, _params(signature, named))


def check_shape(signature: Signature, positional: int, names: Iterable[str]) -> None:
    """Check how many arguments are given plainly and which ones by name.

    Raises:
        TemplateFault: Too many, too few, or a name that the function does not take.
    """
    given = set(names)
    plain = f"{signature.name}() takes one plain argument, its {signature.argument}"
    most = 1
    if not signature.argument:
        plain, most = f"{signature.name}() takes no plain argument", 0
    if positional + (signature.argument in given) > most:
        rest = f"; by name it takes {_listed(signature)}" if signature.options else ""
        raise TemplateFault(plain + rest)
    for name in sorted(given - {signature.argument, *signature.options}):
        if signature.takes_params and name.isidentifier():
            continue
        hint = did_you_mean(name, signature.options)
        takes = f"it takes {_listed(signature)}" if signature.options else "it takes none"
        message = f"{signature.name}() has no such option{hint}; {takes}"
        raise TemplateFault(message)
    if positional + (signature.argument in given) < most:
        raise TemplateFault(plain)


def _listed(signature: Signature) -> str:
    return ", ".join(f"{name}=" for name in signature.options)


def _params(signature: Signature, options: Mapping[str, object]) -> tuple[tuple[str, str | int | bool], ...]:
    if not signature.takes_params:
        version = options.get("version")
        return (("version", version),) if isinstance(version, int) else select(signature.name, options)
    return tuple((name, _param(signature, name, options[name])) for name in sorted(options.keys() - {"source"}))


def _param(signature: Signature, name: str, value: object) -> str | int | bool:
    """Return a parameter as the source gets it: lists become text with commas, which is how Vault reads lists."""
    if isinstance(value, list | tuple):
        demand_defined(*value)
        if all(isinstance(item, str | int) for item in value):
            return ",".join(str(item).lower() if isinstance(item, bool) else str(item) for item in value)
    if isinstance(value, str | int):
        return str(value) if isinstance(value, str) else value
    message = f"{signature.name}(): {name} must be text, a whole number, true or false, or a list of these"
    raise TemplateFault(message)


def _check_options(signature: Signature, options: Mapping[str, object]) -> None:
    wrong = ""
    if signature.takes_params:
        options = {name: value for name, value in options.items() if name in signature.options}
    version = options.get("version", 1)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        wrong = "version must be a number from 1"
    elif not isinstance(options.get("binary", False), bool):
        wrong = "binary must be true or false"
    elif not isinstance(options.get("field", ""), str):
        wrong = "field must be text"
    elif not isinstance(options.get("source", ""), str):
        wrong = "source must be the name of a source"
    if wrong:
        message = f"{signature.name}(): {wrong}"
        raise TemplateFault(message)


def _subject(signature: Signature, text: str) -> str:
    if _CONTROL.search(text):
        message = f"the {signature.argument} of {signature.name}() holds control characters"
        raise TemplateFault(message)
    if signature.kind is None or not signature.argument:
        return text
    if signature.kind == "file":
        if text.startswith("/"):
            message = "file() reads below the folder of the config only: give a path relative to it"
            raise TemplateFault(message)
        path = text
    else:
        path = text.removeprefix("/").removesuffix("/")
    if (not path and signature.name in _OPTIONAL_PATH) or not {"", ".", ".."} & set(path.split("/")):
        return path
    what = "is empty or has" if signature.name not in _OPTIONAL_PATH else "has"
    message = f"the {signature.argument} of {signature.name}() {what} an empty, . or .. part"
    raise TemplateFault(message)
