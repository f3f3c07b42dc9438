"""Messages are pickled by position, and read back by anybody who can read pickles."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import Any

import pytest

from actors.core.model import Action, Param, ParamType, Ref
from actors.messages import Commit, Mirror
from actors.ports import Changes, Delete, Entry, Guard, Put, WriteSet
from actors.runtime.pickling import dumps


@dataclass(frozen=True, slots=True)
class Empty:
    """No members."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """Members of kinds that need care."""

    type: type
    action: Action
    several: tuple[int, ...] = ()
    table: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Own:
    """Has a way of its own, which must be respected."""

    value: int

    def __reduce__(self) -> tuple[Any, ...]:
        return (Own, (self.value + 1,))


@dataclass(frozen=True, slots=True, kw_only=True)
class ByName:
    """Cannot be made by position."""

    value: int


@dataclass(slots=True)
class Half:
    """A member that the constructor does not take."""

    value: int
    made: int = field(init=False, default=7)


MESSAGES = [
    Commit("r", WriteSet((Put("/a", b"x"), Delete("/b")), (Guard("/a", 3),)), 7, 9),
    Mirror(1, 1, (Changes(7, (Entry("/a", b"x", 7, 2), Delete("/b"))),)),
    Param("p", ParamType.LIST, [{"a": None}], (Ref("network", "1"),)),
    Empty(),
    Kinds(Action, Action.CREATE, (1, 2), {"x": Ref("port", "2")}),
    ByName(value=3),
    {"plain": [1, "two", b"three", None]},
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_a_message_survives(message: object) -> None:
    """What comes out equals what went in, for every kind of message and member."""
    assert pickle.loads(dumps(message)) == message


def test_a_named_tuple_stays_what_it_is() -> None:
    """It is equal to a plain tuple, but does not become one."""
    assert type(pickle.loads(dumps(Ref("port", "1")))) is Ref


def test_a_message_is_small() -> None:
    """A dataclass by position is not larger than Python's own pickle of it."""
    for message in MESSAGES[:3]:
        assert len(dumps(message)) < len(pickle.dumps(message, protocol=5))


def test_own_ways_are_respected() -> None:
    """A class with `__reduce__` is pickled by that."""
    assert pickle.loads(dumps(Own(1))) == Own(2)


def test_members_that_the_constructor_does_not_take_survive() -> None:
    """A dataclass that cannot be made by its constructor alone is pickled as Python does it."""
    half = Half(1)
    half.made = 8
    assert pickle.loads(dumps(half)).made == 8


def test_what_cannot_be_pickled_raises() -> None:
    """The error is the one that pickle would raise."""
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        dumps(Kinds(int, Action.CREATE, (), {"x": lambda: None}))
