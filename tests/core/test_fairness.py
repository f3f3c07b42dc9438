"""Turns, breaker and tick: who may call Heat, whether anybody may, and how often."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.breaker import CAP_S, THRESHOLD, Breaker
from actors.core.fairness import FullError, Turns
from actors.core.heat_tick import FIRST_S, next_delay_s


def drain(turns: Turns[int]) -> list[tuple[str, int]]:
    """All that may run now."""
    taken = []
    while (one := turns.take()) is not None:
        taken.append(one)
    return taken


def test_keys_take_turns() -> None:
    """However much one key has, another's single piece comes next."""
    turns: Turns[int] = Turns(1, 1)
    for number in range(10_000):
        turns.add("big", number)
    first = drain(turns)
    turns.add("small", 1)
    turns.done("big")
    assert (first, drain(turns)) == ([("big", 0)], [("small", 1)])
    turns.done("small")
    assert drain(turns) == [("big", 1)]


def test_nobody_has_more_than_the_share_of_a_key() -> None:
    """One key cannot hold all slots; order within it is kept."""
    turns: Turns[int] = Turns(4, 3)
    for number in range(10):
        turns.add("a", number)
    assert drain(turns) == [("a", 0), ("a", 1), ("a", 2)]
    turns.add("b", 0)
    assert drain(turns) == [("b", 0)]
    assert (turns.waiting, turns.under_way, turns.ahead("a"), turns.ahead("b")) == (7, 4, 7, 0)


def test_what_waits_is_bounded() -> None:
    """Beyond the limit nothing is taken in."""
    turns: Turns[int] = Turns(1, 1, waiting_max=2)
    turns.add("a", 0)
    turns.add("b", 0)
    with pytest.raises(FullError):
        turns.add("c", 0)


EVENTS = st.lists(
    st.one_of(st.tuples(st.just("add"), st.sampled_from("abc")), st.just(("end", ""))), max_size=80
)


@given(EVENTS, st.integers(1, 4), st.integers(1, 4))
def test_any_course_keeps_the_bounds_and_loses_nothing(
    events: list[tuple[str, str]], slots: int, share: int
) -> None:
    """Every piece runs once, in order per key, within both bounds; nothing waits that could run."""
    turns: Turns[int] = Turns(slots, share)
    added: Counter[str] = Counter()
    under_way: list[str] = []
    ran: dict[str, list[int]] = {}

    def run() -> None:
        for key, number in drain(turns):
            under_way.append(key)
            ran.setdefault(key, []).append(number)
        assert len(under_way) == turns.under_way <= slots
        busy = Counter(under_way)
        assert max(busy.values(), default=0) <= share
        idle = [key for key in added if len(ran.get(key, ())) < added[key] and busy[key] < share]
        assert not idle or len(under_way) == slots

    for what, key in events:
        if what == "add":
            turns.add(key, added[key])
            added[key] += 1
        elif under_way:
            turns.done(under_way.pop(0))
        run()
    while under_way:
        turns.done(under_way.pop(0))
        run()
    assert ran == {key: list(range(count)) for key, count in added.items()}
    assert turns.waiting == 0


def failing(times: int, now: float = 100.0) -> Breaker:
    """A breaker after that many failures in a row."""
    breaker = Breaker("Heat")
    for _ in range(times):
        breaker = breaker.failed(now, "refused")
    return breaker


def test_a_breaker_opens_after_failures_in_a_row() -> None:
    """Single failures do nothing; an answer in between starts the count anew."""
    assert not failing(THRESHOLD - 1).open
    assert failing(THRESHOLD).open
    assert not failing(THRESHOLD - 1).succeeded().failed(1.0, "x").open
    assert failing(THRESHOLD - 1).allows(100.0)


def test_an_open_breaker_lets_one_request_through_when_it_is_time() -> None:
    """Nothing before the time is over; then one that finds out; its success closes, its failure waits longer."""
    breaker = failing(THRESHOLD)
    assert not breaker.allows(100.0)
    assert 0 < breaker.retry_at - 100.0 <= 0.5
    assert breaker.allows(breaker.retry_at)
    probing = breaker.sent()
    assert not probing.allows(breaker.retry_at + 1000.0)
    assert probing.succeeded() == Breaker("Heat")
    again = probing.failed(200.0, "still")
    assert again.open
    assert again.since == 100.0
    assert again.retry_at - 200.0 > 0.25


def test_the_wait_of_a_breaker_is_bounded_and_told() -> None:
    """However long it lasts, it is asked again within the cap; people see since when and why."""
    breaker, now = failing(THRESHOLD), 100.0
    for _ in range(50):
        now = breaker.retry_at
        breaker = breaker.sent().failed(now, "refused")
        assert breaker.retry_at - now <= CAP_S
    assert "refused" in breaker.told(now)
    assert f"{now - 100.0:.0f} s" in breaker.told(now)
    assert Breaker("Heat").told(now) == ""


def test_answers_from_before_do_not_prolong_the_wait() -> None:
    """Sixteen calls that fail together count as one reason to wait, not as twelve."""
    breaker = failing(THRESHOLD)
    assert breaker.failed(100.1, "another") == replace(breaker, reason="another")


def course(life_s: float, tick_s: float = 1.0, in_flight: int = 1) -> tuple[int, float]:
    """Questions until a stack of that life is seen to have ended, and how late that is."""
    now = delay = 0.0
    count = 0
    while now < life_s:
        delay = next_delay_s(delay, quiet_s=now, in_flight=in_flight, call_s=0.0, tick_s=tick_s)
        now, count = now + delay, count + 1
    return count, now - life_s


@pytest.mark.parametrize(
    ("life_s", "questions", "late_s"), [(0.2, 6, 0.3), (5, 13, 1.0), (60, 50, 3.0), (3600, 780, 5.0)]
)
def test_questions_grow_slower_than_time(life_s: float, questions: int, late_s: float) -> None:
    """Short stacks are seen at once, long ones cost little, and none is seen late by more than five ticks."""
    count, late = course(life_s)
    assert count <= questions
    assert late <= late_s


def test_many_stacks_are_asked_for_less_often() -> None:
    """The answer lists them all: the more there are, the longer until the next question, up to the tick."""
    first = [
        next_delay_s(0.0, quiet_s=0.0, in_flight=count, call_s=0.0, tick_s=1.0) for count in (1, 100, 10_000)
    ]
    assert first == [FIRST_S, 0.5, 1.0]
    assert next_delay_s(0.0, quiet_s=0.0, in_flight=1, call_s=0.5, tick_s=1.0) == 2.0
