"""The placeholder for data that is not there yet.

A template that meets one goes on, so that one execution finds everything that is missing at its level; what it writes
is thrown away. The placeholder therefore gives way in every operation and stays visible in every text made of it, so
that no function is asked for a path that was built from nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

# A control sequence no path may hold, and one that changing case, trimming and quoting leave as it is.
MARK = "\0\a\0"


class Pending:
    """Stands for a value that is not there yet: chainable, empty, false, and its text is MARK."""

    __slots__ = ()

    def _itself(self, *_args: object, **_options: object) -> Pending:
        return self

    __call__ = __getitem__ = _itself
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _itself
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _itself
    __pow__ = __rpow__ = __neg__ = __pos__ = __abs__ = __round__ = _itself

    def _no(self, _other: object) -> bool:
        return False

    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = _no

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return False

    def __iter__(self) -> Iterator[object]:
        return iter(())

    __reversed__ = __iter__

    def __len__(self) -> int:
        return 0

    def __int__(self) -> int:
        return 0

    __index__ = __int__

    def __float__(self) -> float:
        return 0.0

    def __str__(self) -> str:
        return MARK

    def __format__(self, _spec: str) -> str:
        return MARK

    def __repr__(self) -> str:
        return MARK


PENDING = Pending()
