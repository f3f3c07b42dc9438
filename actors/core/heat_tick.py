"""When to ask next which stacks of a tenant are still in progress.

Guarantees: pure. Soon after something changed, later while nothing does, slower the longer it has been quiet
and the more stacks the answer would list: neither many stacks nor long ones make many questions.
"""

from __future__ import annotations

#: First question after a stack went into progress or one ended.
FIRST_S = 0.005
_GROWTH = 2.0
#: Quiet for so many ticks, the tick begins to grow with the quiet.
_QUIET_PART = 20.0
#: But not beyond so many ticks.
_LONGEST_TICKS = 5.0
#: Heat spends about a millisecond per listed stack: so much time per stack keeps that to a fifth.
_PER_STACK_S = 0.005


def next_delay_s(before_s: float, *, quiet_s: float, in_flight: int, call_s: float, tick_s: float) -> float:
    """Seconds until the next question.

    `before_s`: the delay before the last one (0: something changed since). `quiet_s`: since the last change.
    `in_flight`: stacks waited for. `call_s`: how long the last question took. `tick_s`: the configured tick.
    """
    cap = min(max(tick_s, quiet_s / _QUIET_PART), _LONGEST_TICKS * tick_s)
    grown = min(before_s * _GROWTH, cap) if before_s else min(FIRST_S, cap)
    floor = min(tick_s, in_flight * _PER_STACK_S)
    return max(grown, floor, min(4.0 * call_s, _LONGEST_TICKS * tick_s))
