"""Which source serves which template function."""

from __future__ import annotations

from collections.abc import Sequence

from confcar.errors import TemplateError
from confcar.model import CONFIG_FOLDER, Kind

_CONSUL_ONLY: frozenset[Kind] = frozenset({"service", "services", "nodes", "datacenters"})


class SourceCatalog:
    """The first source in the config that has the capability serves a function; there is no falling through.

    Args:
        sources: Name of each source and what it can serve, in the order of the config. CONFIG_FOLDER serves `file`
            and need not be named.
    """

    def __init__(self, sources: Sequence[tuple[str, frozenset[Kind]]]) -> None:
        self._kinds = dict(sources)

    def replace(self, sources: Sequence[tuple[str, frozenset[Kind]]]) -> None:
        """Resolve by other sources from now on. Any thread."""
        self._kinds = dict(sources)

    def resolve(self, kind: Kind, source: str | None) -> str:
        """Return the name of the source that serves *kind*: *source* where that is given.

        Raises:
            TemplateError: No source can, none has that name, or that one cannot. Without template and line. The name
                that was asked for is not repeated: it may come from data.
        """
        if source is not None:
            return self._named(kind, source)
        if kind == "file":
            return CONFIG_FOLDER
        for name, kinds in self._kinds.items():
            if kind in kinds:
                return name
        needs = "; give it one of type consul" if kind in _CONSUL_ONLY else ""
        message = f"no source in the config serves {kind}(); it has {self._listed() or 'no sources'}{needs}"
        raise TemplateError(message)

    def _named(self, kind: Kind, source: str) -> str:
        kinds = self._kinds.get(source)
        if kinds is None:
            hint = did_you_mean(source, list(self._kinds))
            message = f"no source has this name{hint}; the config has {self._listed() or 'no sources'}"
            raise TemplateError(message)
        if kind not in kinds:
            able = ", ".join(name for name, kinds in self._kinds.items() if kind in kinds)
            message = f"the source {source} cannot serve {kind}()" + (f"; these can: {able}" if able else "")
            raise TemplateError(message)
        return source

    def _listed(self) -> str:
        return ", ".join(self._kinds)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return `; did you mean 'x'?` with the nearest of *known*, or nothing where none is near."""
    from difflib import get_close_matches

    near = get_close_matches(word, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
