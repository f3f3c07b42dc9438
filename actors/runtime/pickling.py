"""Pickles of messages: frozen dataclasses and named tuples by position, everything else as pickle does.

Guarantees: what `dumps` makes is an ordinary pickle, read by `pickle.loads`; either is made anew by its
constructor, so its checks run again. Python's own way for a frozen dataclass with slots walks over
`dataclasses.fields` for every single object and takes two to three times as long.
"""

from __future__ import annotations

import copyreg
import dataclasses
import io
import pickle
from collections.abc import Callable
from operator import attrgetter
from typing import Any

_PROTOCOL = 5
#: What `@dataclass(frozen=True, slots=True)` puts into a class that has no `__getstate__` of its own.
_SLOW_STATE = getattr(dataclasses, "_dataclass_getstate", None)

_Reducer = Callable[[Any], Any]


class _Reducers(dict[type, _Reducer]):
    """How an object of each class is taken apart; found out at its first use."""

    def __missing__(self, cls: type) -> _Reducer:
        reducer = copyreg.dispatch_table.get(cls) or _by_position(cls)
        if reducer is None:
            reducer = _by_name if issubclass(cls, type) else _as_usual
        self[cls] = reducer
        return reducer


def _as_usual(value: Any) -> Any:
    return value.__reduce_ex__(_PROTOCOL)


def _by_name(value: Any) -> Any:
    """Classes are pickled by reference, those with a metaclass (enumerations) too."""
    return value.__qualname__


def _by_position(cls: type) -> _Reducer | None:
    """A reducer to `cls(*members)`; None for a class that is neither of the two or has ways of its own."""
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return lambda value: (cls, tuple(value))
    if _SLOW_STATE is None or cls.__dict__.get("__getstate__") is not _SLOW_STATE:
        return None
    members = dataclasses.fields(cls)
    if any("__reduce" in name for base in cls.__mro__[:-1] for name in vars(base)):
        return None
    if not all(member.init and not member.kw_only for member in members):
        return None
    names = [member.name for member in members]
    if len(names) > 1:
        several = attrgetter(*names)
        return lambda value: (cls, several(value))
    return lambda value: (cls, tuple(getattr(value, name) for name in names))


_REDUCERS = _Reducers()


def dumps(message: object) -> bytes:
    """The pickle of one message. Raises whatever the members' own pickling raises."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, _PROTOCOL)
    pickler.dispatch_table = _REDUCERS
    pickler.dump(message)
    return buffer.getvalue()
