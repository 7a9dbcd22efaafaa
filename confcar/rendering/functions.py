"""The template functions, answering from one consistent view of the store.

They open nothing and wait for nothing. What a template asks for is noted, and where the answer is not there yet the
template gets a placeholder, and the note says where it asked.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from confcar.log import Redactor, secret_strings
from confcar.model import BY_READING, Dependency, Kind, Missing, Reading
from confcar.rendering.calls import SIGNATURES, Call, Signature, parse_call
from confcar.rendering.catalog import SourceCatalog
from confcar.rendering.faults import StrictName, TemplateFault
from confcar.rendering.pending import MARK, PENDING, Pending
from confcar.rendering.positions import calling_place
from confcar.rendering.values import Dynamic, Entry, Fields, Tree, text_of, views_of
from confcar.store import UNANSWERED, View

_NONE_GIVEN = object()
# Paths that data builds may change for ever; what is forgotten here is only worked out again.
_MOST_REMEMBERED = 50_000
Function = Callable[..., object]
Lookup = tuple[Dependency, Call]


@dataclass(slots=True)
class Notes:
    """What one execution of a template asked for.

    Attributes:
        dependencies: All it read or wanted to read.
        missing: What it has to wait for, in the order of asking.
        secret: Whether it read anything secret.
        leased_until: When the first of the leased values it read dies, in seconds since the epoch; None for none.
    """

    dependencies: set[Dependency] = field(default_factory=set)
    missing: list[Missing] = field(default_factory=list)
    secret: bool = False
    leased_until: float | None = None

    def lease(self, until: float | None) -> None:
        """Note one more value and the end of its lease, None where it has none."""
        if until is not None:
            self.leased_until = until if self.leased_until is None else min(until, self.leased_until)


class Functions:
    """The functions of one renderer. Used by one thread; `begin` says what they answer from."""

    def __init__(self, catalog: SourceCatalog, *, environ: Mapping[str, str], redactor: Redactor) -> None:
        self._catalog = catalog
        self._environ = environ
        self._redactor = redactor
        self._view: View = {}
        self._notes = Notes()
        self._plain_lookups: dict[tuple[str, str], Lookup] = {}
        self._taught: dict[Dependency, Reading] = {}

    def begin(self, view: View) -> Notes:
        """Answer from *view* from now on and return the notes that will be taken."""
        self._view = view
        self._notes = Notes()
        if len(self._plain_lookups) + len(self._taught) > _MOST_REMEMBERED:
            self._plain_lookups.clear()
            self._taught.clear()
        return self._notes

    def table(self) -> dict[str, Function]:
        """Return the functions by their names in templates."""
        return {name: getattr(self, f"_{name}") for name in SIGNATURES}

    def dependency(self, name: str, args: tuple[object, ...], options: Mapping[str, object]) -> Dependency | None:
        """Return what a call would read, None where that is no source's.

        Raises:
            TemplateFault: The call can never be served.
            TemplateError: No source serves it.
        """
        signature = SIGNATURES[name]
        call = parse_call(signature, args, options)
        return None if signature.kind is None else self._wanted(signature.kind, call)

    def _wanted(self, kind: Kind, call: Call) -> Dependency:
        return Dependency(self._catalog.resolve(kind, call.source), kind, call.subject, call.params)

    def _lookup(self, name: str, args: tuple[object, ...], options: Mapping[str, object]) -> Lookup | None:
        """Return what a call reads; None where its arguments are not there yet."""
        plain = (name, args[0]) if len(args) == 1 and not options and type(args[0]) is str else None
        known = self._plain_lookups.get(plain) if plain else None
        if known is None:
            if self._waits_for_arguments(args, options):
                return None
            call = parse_call(SIGNATURES[name], args, options)
            kind = SIGNATURES[name].kind
            assert kind is not None
            known = self._wanted(kind, call), call
            if plain:
                self._plain_lookups[plain] = known
        self._notes.dependencies.add(known[0])
        return known

    def _waits_for_arguments(self, args: tuple[object, ...], options: Mapping[str, object]) -> bool:
        given = (*args, *(value for name, value in options.items() if name != "default"))
        return bool(self._notes.missing) and any(
            value is PENDING or (isinstance(value, str) and MARK in value)
            for item in given
            for value in (item if isinstance(item, list | tuple) else (item,))
        )

    def _value(self, name: str, dependency: Dependency) -> object:
        """Return what the source holds, else note that it is missing and return the placeholder."""
        reading = self._view.get(dependency, UNANSWERED).reading
        if reading is None or reading.value is None:
            return self._missing(name, dependency)
        return reading.value

    def _missing(self, name: str, dependency: Dependency) -> Pending:
        answer = self._view.get(dependency, UNANSWERED)
        if answer.reading is not None:
            reason = answer.reading.note or "not found"
        else:
            unasked = "not issued yet" if dependency.kind == "issue" else "not read yet"
            reason = str(answer.error) if answer.error is not None else unasked
        template, line = calling_place()
        mask = self._redactor.mask  # a path can be made of a secret, and an error can name the path
        self._notes.missing.append(
            Missing(template, line, name, mask(dependency.path), dependency.source, mask(reason))
        )
        return PENDING

    def _key(self, *args: object, **options: object) -> object:
        lookup = self._lookup("key", args, options)
        if lookup is None:
            return PENDING
        dependency, call = lookup
        reading = self._view.get(dependency, UNANSWERED).reading
        if reading is None or reading.value is None:
            # An unanswered question is not a "no": the default is for what the source says it does not have.
            use_default = reading is not None and "default" in call.options
            return call.options["default"] if use_default else self._missing("key", dependency)
        value = reading.value
        if call.options.get("binary") and isinstance(value, bytes):
            return b64encode(value).decode()
        return text_of(value, dependency.path)

    def _key_exists(self, *args: object, **options: object) -> object:
        lookup = self._lookup("key_exists", args, options)
        if lookup is None:
            return PENDING
        reading = self._view.get(lookup[0], UNANSWERED).reading
        return self._missing("key_exists", lookup[0]) if reading is None else reading.value is not None

    def _ls(self, *args: object, **options: object) -> object:
        found = self._folder("ls", args, options)
        if found is None:
            return PENDING
        prefix, values = found
        return [Entry(prefix, key, values[key]) for key in sorted(values)]

    def _tree(self, *args: object, **options: object) -> object:
        found = self._folder("tree", args, options)
        if found is None:
            return PENDING
        prefix, values = found
        return Tree(prefix, {path: values[path] for path in sorted(values)})

    def _folder(
        self, name: str, args: tuple[object, ...], options: Mapping[str, object]
    ) -> tuple[str, Mapping[str, object]] | None:
        lookup = self._lookup(name, args, options)
        if lookup is None:
            return None
        value = self._value(name, lookup[0])
        return (lookup[0].path, value) if isinstance(value, Mapping) else None

    def _secret(self, *args: object, **options: object) -> object:
        lookup = self._lookup("secret", args, options)
        if lookup is None:
            return PENDING
        dependency, call = lookup
        reading = self._view.get(dependency, UNANSWERED).reading
        if reading is not None and reading.is_dynamic:
            # Only now that a render has come here: finding the call in the template is no reason to create anything.
            dependency = Dependency(dependency.source, "issue", dependency.path, BY_READING)
            self._notes.dependencies.add(dependency)
        fields = self._fields("secret", dependency)
        if fields is None:
            return PENDING
        name = call.options.get("field", _NONE_GIVEN)
        if not isinstance(name, str):
            return fields
        return fields[name] if name in fields else StrictName(obj=fields, name=name)

    def _secrets(self, *args: object, **options: object) -> object:
        lookup = self._lookup("secrets", args, options)
        value = PENDING if lookup is None else self._value("secrets", lookup[0])
        if not isinstance(value, tuple):
            return PENDING
        self._notes.secret = True
        return list(value)

    def _service(self, *args: object, **options: object) -> object:
        return self._listing("service", args, options)

    def _services(self, *args: object, **options: object) -> object:
        return self._listing("services", args, options)

    def _nodes(self, *args: object, **options: object) -> object:
        return self._listing("nodes", args, options)

    def _datacenters(self, *args: object, **options: object) -> object:
        return self._listing("datacenters", args, options)

    def _listing(self, name: str, args: tuple[object, ...], options: Mapping[str, object]) -> object:
        lookup = self._lookup(name, args, options)
        value = PENDING if lookup is None else self._value(name, lookup[0])
        return views_of(value) if isinstance(value, tuple) else PENDING

    def _issue(self, *args: object, **options: object) -> object:
        lookup = self._lookup("issue", args, options)
        fields = None if lookup is None else self._fields("issue", lookup[0])
        return PENDING if fields is None else fields

    def _fields(self, name: str, dependency: Dependency) -> Fields | Dynamic | None:
        """Return the fields of what a source gives, learnt as secrets; None, noted as missing, where there are none."""
        reading = self._view.get(dependency, UNANSWERED).reading
        if reading is not None and reading.is_dynamic:
            self._notes.secret = True
            return Dynamic()
        value = self._value(name, dependency)
        if reading is None or not isinstance(value, Mapping):
            return None
        self._notes.secret = True
        self._notes.lease(reading.leased_until)
        if self._taught.get(dependency) is not reading:
            self._redactor.learn(secret_strings(reading.value))
            self._taught[dependency] = reading
        return Fields(value)

    def _file(self, *args: object, **options: object) -> object:
        lookup = self._lookup("file", args, options)
        value = PENDING if lookup is None else self._value("file", lookup[0])
        if not isinstance(value, bytes):
            return PENDING
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            message = "the file is not UTF-8 text"
            raise TemplateFault(message) from error

    def _env(self, *args: object, **options: object) -> object:
        if self._waits_for_arguments(args, options):
            return PENDING
        signature: Signature = SIGNATURES["env"]
        call = parse_call(signature, args, options)
        if call.subject in self._environ:
            return self._environ[call.subject]
        if "default" in call.options:
            return call.options["default"]
        message = "the environment variable is not set; set it, or give a default="
        raise TemplateFault(message)
