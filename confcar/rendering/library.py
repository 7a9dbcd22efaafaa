"""Where templates come from: the file or the text that the config names, and what these include.

An included template lies in the folder of the template that the config names, else in the folder of the config, and
nowhere above either, whatever its name or a link says. Links within are followed: a Kubernetes volume is made of them.
Each file is read once; a new library reads anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import BaseLoader, Environment, Template, TemplateAssertionError, TemplateNotFound, nodes

from confcar.errors import TemplateError
from confcar.rendering.bytecode import BytecodeCache
from confcar.rendering.catalog import did_you_mean
from confcar.rendering.faults import TemplateFault
from confcar.rendering.positions import PlacedTemplate


@dataclass(frozen=True, slots=True)
class TemplateText:
    """A template as it was read.

    Attributes:
        label: What it is called in messages: its path as seen from the config's folder where it lies below that.
        source: Its text, line ends untouched.
        path: Its file, None for a text in the config.
    """

    label: str
    source: str
    path: Path | None = None


class Library(BaseLoader):
    """Loads the templates of one folder for one environment.

    Args:
        folder: The folder of the template that the config names.
        config_directory: The folder of the config.
        cache: Where compiled templates are kept, or None.
    """

    def __init__(self, folder: Path, *, config_directory: Path, cache: BytecodeCache | None) -> None:
        self._folders = list(dict.fromkeys((folder, config_directory)))
        self._config_directory = config_directory
        self._cache = cache
        self._texts: dict[str, TemplateText] = {}
        self._named: set[str] = set()
        self._found: set[Path] = set()
        self._trees: dict[str, nodes.Template] = {}

    def add(self, name: str, text: TemplateText) -> None:
        """Serve *text* under *name*: a template that the config names, wherever it lies."""
        self._texts[name] = text
        self._named.add(name)

    def text(self, name: str) -> TemplateText:
        """Return a template by the name that an include or the config gives it.

        Raises:
            TemplateNotFound: There is none.
            TemplateFault: The name leads out of the folders.
            TemplateError: The file cannot be read.
        """
        if name not in self._texts:
            self._texts[name] = self._find(name)
        return self._texts[name]

    @property
    def files(self) -> frozenset[Path]:
        """Where included templates were found, links on the way not resolved. Any thread."""
        return frozenset(list(self._found))

    def is_current(self) -> bool:
        """Return whether every text that was read would be found and read the same now. Any thread; opens the files."""
        try:
            return all(self._is_same(text, self._read_again(name, text)) for name, text in list(self._texts.items()))
        except (TemplateNotFound, TemplateFault, TemplateError):
            return False

    @staticmethod
    def _is_same(text: TemplateText, other: TemplateText) -> bool:
        # Not the path: Kubernetes brings what did not change in a new folder too.
        return (text.label, text.source) == (other.label, other.source)

    def _read_again(self, name: str, text: TemplateText) -> TemplateText:
        if name not in self._named:
            return self._find(name)
        return text if text.path is None else read_template(text.path, label=text.label)

    def _find(self, name: str) -> TemplateText:
        if name.startswith("/") or "\0" in name or ".." in name.split("/"):
            message = "a template is included by its path below its own folder or the config's, without .."
            raise TemplateFault(message)
        for folder in self._folders:
            path = folder / name
            if path.is_file():
                self._found.add(path)
                return read_template(self._inside(path), label=label_of(path, self._config_directory))
        raise TemplateNotFound(name)

    def _inside(self, path: Path) -> Path:
        resolved = Path(os.path.realpath(path))
        if any(resolved.is_relative_to(os.path.realpath(folder)) for folder in self._folders):
            return resolved
        message = "the included template is a link that leads out of its folder and the config's"
        raise TemplateFault(message)

    @property
    def texts(self) -> tuple[TemplateText, ...]:
        """All that was read so far."""
        return tuple(self._texts.values())

    def tree(self, environment: Environment, name: str) -> nodes.Template:
        """Return the syntax tree of a template; the one it was compiled from where it was."""
        if name not in self._trees:
            text = self.text(name)
            self._trees[name] = environment.parse(text.source, name, str(text.path) if text.path else None)
        return self._trees[name]

    def forget_trees(self) -> None:
        """Let go of the syntax trees, which are many times the size of their texts."""
        self._trees.clear()

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Return text and file of a template, for Jinja."""
        del environment
        text = self.text(template)
        return text.source, str(text.path) if text.path else None, None

    def load(
        self,
        environment: Environment,
        name: str,
        globals: MutableMapping[str, object] | None = None,  # noqa: A002 - Jinja's
    ) -> Template:
        """Compile a template, or take it from the cache; parses once for both the compiler and discovery."""
        source, filename, _ = self.get_source(environment, name)
        bucket = self._cache.get_bucket(environment, name, filename, source) if self._cache else None
        code = bucket.code if bucket else None
        if code is None:
            tree = self.tree(environment, name)
            check_names(environment, tree, name)
            code = environment.compile(tree, name, filename)
            if bucket is not None and self._cache is not None:
                bucket.code = code
                self._cache.set_bucket(bucket)
        template = environment.template_class.from_code(environment, code, globals or {})
        if isinstance(template, PlacedTemplate):
            template.label = self.text(name).label
        return template


def check_names(environment: Environment, tree: nodes.Template, name: str) -> None:
    """Check that every filter and test exists, also in branches where Jinja would ask only when it gets there.

    Raises:
        TemplateAssertionError: One does not.
    """
    for node in tree.find_all((nodes.Filter, nodes.Test)):
        known = environment.filters if isinstance(node, nodes.Filter) else environment.tests
        if node.name not in known:
            what = "filter" if isinstance(node, nodes.Filter) else "test"
            message = f"there is no {what} '{node.name}'{did_you_mean(node.name, list(known))}"
            raise TemplateAssertionError(message, node.lineno, name)


def label_of(path: Path, config_directory: Path) -> str:
    """Return what the template in *path* is called in messages."""
    return str(path.relative_to(config_directory) if path.is_relative_to(config_directory) else path)


def read_template(path: Path, *, label: str) -> TemplateText:
    """Read a template's file.

    Raises:
        TemplateError: It is not there, cannot be read, or is not UTF-8.
    """
    try:
        return TemplateText(label, path.read_bytes().decode(), path)
    except OSError as error:
        message = f"{label}: the template cannot be read: {error.strerror}"
        raise TemplateError(message) from error
    except UnicodeDecodeError as error:
        message = f"{label}: the template is not UTF-8 text (byte {error.start})"
        raise TemplateError(message) from error
