"""A limit on how long one piece of pure work may keep its process from everything else.

Guarantees: `within` ends with what the work returns, or with TookTooLong when the process has used that much
processor time: Python code and the matching of regular expressions both look at signals. Within each other the outer
limit holds. Work on another thread than the main one is not limited (nothing can interrupt it there), nor is a call
that runs in C without looking at signals. Uses SIGVTALRM, which nobody else in our processes does.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final, TypeVar

from actors.core.limiting import TookTooLong

T = TypeVar("T")

#: Seconds of processor time to plan one resource: a hundred times what the largest honest one takes.
PLAN_MAX_S: Final = 2.0


def within(limit_s: float, work: Callable[[], T]) -> T:
    """The result of `work`. Raises TookTooLong."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 0:
        return work()
    before = signal.signal(signal.SIGVTALRM, _ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
    try:
        return work()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def limited(work: Callable[[], T]) -> T:
    """The result of planning something, within PLAN_MAX_S. Raises TookTooLong."""
    return within(PLAN_MAX_S, work)


def _ring(_signal: int, _frame: FrameType | None) -> None:
    raise TookTooLong
