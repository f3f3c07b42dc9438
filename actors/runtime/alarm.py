"""A limit on how long one piece of pure work may keep its process from everything else.

Guarantees: `within` ends with what the work returns, or with TookTooLong when its thread has used that much
processor time: Python code and the matching of regular expressions both look at signals. Within each other the outer
limit holds. Work on another thread than the main one is not limited (nothing can interrupt it there), nor is a call
that runs in C without looking at signals. Uses SIGVTALRM, which nobody else in our processes does.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final, TypeVar

from actors.core.limiting import Interrupted, TookTooLong

T = TypeVar("T")

#: Seconds of processor time to plan one resource: a hundred times what the largest honest one takes. A small share of
#: it is never less than the other.
PLAN_MAX_S: Final = 1.0
PLAN_MIN_S: Final = 0.05
#: It rings again and again: what is raised where nobody can catch it (in a callback of the collector) is lost. Python
#: would print that with a traceback; nothing is wrong, so nothing is said.
AGAIN_S: Final = 0.05


def within(limit_s: float, work: Callable[[], T]) -> T:
    """The result of `work`. Raises TookTooLong."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 0:
        return work()
    ends_s, armed = time.thread_time() + limit_s, True

    def ring(_signal: int, _frame: FrameType | None) -> None:
        if not armed:
            return
        # the timer counts what all threads use
        if time.thread_time() >= ends_s:
            raise Interrupted

    def unraised(lost: sys.UnraisableHookArgs) -> None:
        if not isinstance(lost.exc_value, Interrupted):
            hook(lost)

    before, hook = signal.signal(signal.SIGVTALRM, ring), sys.unraisablehook
    sys.unraisablehook = unraised
    try:
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, limit_s, AGAIN_S)
            return work()
        finally:
            armed = False
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    except Interrupted as one:  # may also come a moment late, out of what is `finally` above
        raise TookTooLong(one.parameter, one.line) from one
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        sys.unraisablehook = hook


def limited(work: Callable[[], T], share: float = 1.0) -> T:
    """The result of planning something, within that share of PLAN_MAX_S. Raises TookTooLong."""
    return within(max(PLAN_MIN_S, share * PLAN_MAX_S), work)
