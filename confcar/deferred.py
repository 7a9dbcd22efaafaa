"""Keeps a module that a library imports, and that confcar never uses, from being loaded.

`importlib.util.LazyLoader` cannot do it: the second `import` of such a module already loads it, and several libraries
import the same ones.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType


class _Deferred(ModuleType):
    def __init__(self, name: str, *, has_submodules: bool) -> None:
        super().__init__(name)
        self._has_submodules = has_submodules

    def __getattr__(self, name: str) -> object:
        if name == "__spec__":  # asked for by each `import` of it
            return None
        if name == "__version__":  # asked for by libraries that only want to know whether it is there
            from importlib.metadata import version

            return version(self.__name__)
        if name == "__path__" and not self._has_submodules:  # asked for by each `from` of it
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def defer(name: str, *, has_submodules: bool = True) -> None:
    """Let `import name` load nothing until something of the module is used; nothing where it is loaded already.

    Call it before the library is imported. Once something is used the module is a normal one, for the others too.

    Args:
        name: The module, or the package.
        has_submodules: Whether `from name import …` loads it, as submodules need it. Without, its `__version__` can be
            asked for so, and what lies below it is not found before something of it is used.
    """
    if name not in sys.modules:
        sys.modules[name] = _Deferred(name, has_submodules=has_submodules)
