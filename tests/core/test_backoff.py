"""Back-off: grows, is capped, spreads, and is the same for the same question."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.backoff import delay_s

ATTEMPTS = st.integers(min_value=1, max_value=10_000)
BASES = st.floats(min_value=0.01, max_value=10)
CAPS = st.floats(min_value=10, max_value=600)


@given(ATTEMPTS, BASES, CAPS, st.text(max_size=20))
def test_within_half_and_whole_of_the_capped_interval(
    attempt: int, base: float, cap: float, salt: str
) -> None:
    """Never less than half the interval of that attempt, never more than it, never above the cap."""
    whole = min(cap, base * 2.0 ** min(attempt - 1, 1000))
    assert whole / 2 <= delay_s(attempt, base, cap, salt) <= whole <= cap


@given(ATTEMPTS, st.text(max_size=20))
def test_the_same_question_has_the_same_answer(attempt: int, salt: str) -> None:
    """There is no hidden randomness."""
    assert delay_s(attempt, 0.5, 60, salt) == delay_s(attempt, 0.5, 60, salt)


def test_different_resources_do_not_come_back_together() -> None:
    """A thousand that failed at once are spread over the second half of the interval, in every tenth of it."""
    delays = [delay_s(4, 0.5, 60, f"port:{n}") for n in range(1000)]
    tenths = [int((delay - 2.0) / 0.2) for delay in delays]
    assert {min(tenth, 9) for tenth in tenths} == set(range(10))
    assert max(tenths.count(tenth) for tenth in set(tenths)) < 200


def test_doubles_until_the_cap() -> None:
    """The lower bounds of successive attempts: base/2, base, 2·base … cap/2."""
    lows = [min(delay_s(n, 1.0, 8.0, f"{salt}") for salt in range(2000)) for n in range(1, 7)]
    assert lows == [pytest.approx(low, rel=0.02) for low in (0.5, 1, 2, 4, 4, 4)]


def test_the_first_try_is_no_retry() -> None:
    """Asking for the delay before attempt 0 is a programming error."""
    with pytest.raises(AssertionError):
        delay_s(0, 1, 1, "")
