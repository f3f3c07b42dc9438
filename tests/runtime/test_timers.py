"""Timers of process actors and in-process actors."""

from __future__ import annotations

import random

from actors.runtime.host import Timer
from actors.runtime.timers import TimerQueue
from tests.runtime import cast_io
from tests.runtime.cast import Answer, Ask
from tests.runtime.conftest import Stage


def test_timers_fire_in_order(stage: Stage) -> None:
    """Timers fire in the order of their times, equal ones in the order of their making, in both kinds."""
    system = stage.start(cast_io.Timekeeper)
    inner = system.ask(Ask("inner_address"), 5, Answer).value
    delays = [random.Random(1).choice([0.0, 0.01, 0.05, 0.1]) for _ in range(300)] + [0.15]
    expected = sorted(range(len(delays)), key=lambda number: delays[number])
    for to in (None, inner):
        fired = system.ask(Ask("schedule", delays), 10, Answer, to=to).value
        assert len(fired) == len(delays)
        by_delay = [delays[number] for number in fired]
        assert by_delay == sorted(by_delay)
        assert fired == expected


def test_cancelled_timers_do_not_fire(stage: Stage) -> None:
    """Neither a timer cancelled at once nor one cancelled when it is nearly due is delivered."""
    system = stage.start(cast_io.Timekeeper)
    inner = system.ask(Ask("inner_address"), 5, Answer).value
    for to in (None, inner):
        fired = system.ask(Ask("schedule_and_cancel", 100), 10, Answer, to=to).value
        assert fired == [number for number in range(100) if number % 2 and number != 1] + [100]


def test_endless_timers_starve_nobody(stage: Stage) -> None:
    """An actor that sets a timer of zero seconds in every timer still answers."""
    system = stage.start(cast_io.Timekeeper)
    system.ask(Ask("spin"), 5, Answer)
    for _ in range(20):
        assert system.ask(Ask("pid"), 10, Answer).value > 0


def test_cancelled_timers_are_forgotten() -> None:
    """A queue of cancelled timers does not grow without bound."""
    queue = TimerQueue()
    for number in range(50_000):
        timer = Timer(1e9 + number, None)
        queue.add(0, timer)
        timer.cancel()
    assert len(queue) < 3_000
    assert queue.next_due() is None
