"""How much processor time a piece of pure work may take: said by whoever runs it, obeyed by whoever plans.

Guarantees nothing by itself: `unlimited` lets work take as long as it likes; `actors.runtime.alarm` does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class TookTooLong(Exception):
    """Work was ended, because nothing says that it would ever end by itself. What it was at, if that is known:
    `parameter` of a mapping, `line` of a template."""

    def __init__(self, parameter: str = "", line: int | None = None) -> None:
        super().__init__(parameter, line)
        self.parameter = parameter
        self.line = line


class Interrupted(BaseException):
    """The same on its way out of the work: no `Exception`, so that nobody on the way takes it for a failure of its
    own and goes on. Whoever knows what the work was at notes it here."""

    def __init__(self) -> None:
        super().__init__()
        self.parameter = ""
        self.line: int | None = None


class CpuLimit(Protocol):
    """Runs work, and may raise TookTooLong."""

    def __call__(self, work: Callable[[], T], share: float = 1.0) -> T:
        """The result of the work. `share`: of what one piece of work usually may take."""


def unlimited(work: Callable[[], T], share: float = 1.0) -> T:
    """However long it takes."""
    return work()
