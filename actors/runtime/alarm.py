"""A limit on how long one piece of pure work may keep its process from everything else.

Guarantees: `within` ends with what the work returns, or with TookTooLong when it has used that much processor time:
Python code and the matching of regular expressions both look at signals. Work on another thread than the main one
is not limited (nothing can interrupt it there). Uses SIGVTALRM, which nobody else in our processes does.
"""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final, TypeVar

from actors.core.errors import TookTooLong

T = TypeVar("T")

#: Seconds of processor time for one regular expression: a thousand times what the slowest honest one takes.
MATCH_MAX_S: Final = 0.5


def within(limit_s: float, work: Callable[[], T]) -> T:
    """The result of `work`. Raises TookTooLong."""
    if threading.current_thread() is not threading.main_thread():
        return work()
    before = signal.signal(signal.SIGVTALRM, _ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
    try:
        return work()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def match(pattern: re.Pattern[str], subject: str) -> bool:
    """`re.match`, within MATCH_MAX_S. Raises TookTooLong."""
    return within(MATCH_MAX_S, lambda: pattern.match(subject) is not None)


def _ring(_signal: int, _frame: FrameType | None) -> None:
    raise TookTooLong
