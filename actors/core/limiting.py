"""How much processor time a piece of pure work may take: said by whoever runs it, obeyed by whoever plans.

Guarantees nothing by itself: `unlimited` lets work take as long as it likes; `actors.runtime.alarm` does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class TookTooLong(Exception):
    """Pure work was interrupted, because nothing says that it would ever end. `parameter`: what it was at, if known."""

    parameter = ""


class Limiter(Protocol):
    """Runs work, and may raise TookTooLong."""

    def __call__(self, work: Callable[[], T]) -> T:
        """The result of the work."""


def unlimited(work: Callable[[], T]) -> T:
    """However long it takes."""
    return work()
