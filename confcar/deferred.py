"""Keeps a module that a library imports, and that confcar never uses, from being loaded.

`importlib.util.LazyLoader` cannot do it: the second `import` of such a module already loads it, and several libraries
import the same ones.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType


class _Deferred(ModuleType):
    def __getattr__(self, name: str) -> object:
        if name == "__spec__":  # asked for by each `import` of it
            return None
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def defer(name: str) -> None:
    """Let `import name` load nothing until something of the module is used; nothing where it is loaded already.

    Call it before the library is imported. Once something is used the module is a normal one, for the others too.
    """
    if name not in sys.modules:
        sys.modules[name] = _Deferred(name)
