"""Slots, probes, walks, flapping, rates: the arithmetic of time."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.cadence import (
    GRID_S,
    GRID_SHARE,
    JITTER,
    WALK_GAP_S,
    WalkBudget,
    fraction,
    next_slot_s,
    probe_delay_s,
)
from actors.core.flapping import FlapRule, Flaps
from actors.core.rates import GAP_MAX_S, Sample, rate


@given(st.floats(0, 1e6), st.sampled_from([1.0, 5.0, 30.0, 300.0]), st.text(max_size=5))
def test_slots_are_an_interval_apart(now, interval, name):
    """The next slot lies ahead, within 1.1 intervals, and the one after it 0.85 to 1.15 intervals later."""
    first = next_slot_s(now, interval, name)
    second = next_slot_s(first, interval, name)
    grid = min(GRID_S, GRID_SHARE * interval)
    assert now < first <= now + (1 + JITTER) * interval + grid
    shortest, longest = (1 - JITTER) * interval - grid, (1 + JITTER) * interval + grid
    assert shortest - 1e-6 <= second - first <= longest + 1e-6
    assert next_slot_s(now, interval, name) == first


def test_devices_are_spread_over_the_interval():
    """Of 2,000 devices about a tenth falls into each tenth of the interval, with no rush at any second."""
    slots = [next_slot_s(3000.0, 30.0, f"10.0.{i // 256}.{i % 256}|C") - 3000 for i in range(2000)]
    tenths = [sum(3 * k <= slot < 3 * (k + 1) for slot in slots) for k in range(10)]
    assert min(tenths) > 140
    assert max(tenths) < 260


def test_a_missed_slot_is_gone():
    """After a long absence there is one next slot, ahead."""
    late = next_slot_s(10_000.0, 30.0, "d")
    assert 10_000 < late <= 10_033


def test_probes_become_rare():
    """The delay doubles from 30 s to 300 s, each within 10 %, and devices do not probe in step."""
    delays = [probe_delay_s(n, "d", 30.0, 300.0) for n in range(1, 9)]
    for delay, full in zip(delays, [30, 60, 120, 240, 300, 300, 300, 300], strict=True):
        assert 0.9 * full <= delay <= 1.1 * full
    assert statistics.pstdev(probe_delay_s(9, f"d{i}", 30.0, 300.0) for i in range(100)) > 5


def test_fractions_are_the_same_everywhere():
    """A hash, not Python's: the same text has the same place in every process and version."""
    assert round(fraction("10.0.0.1|ESE"), 6) == 0.092893
    assert fraction("a") != fraction("b")


def test_walks_are_a_minute_apart():
    """The first walk is free, the next one a minute later."""
    walks = WalkBudget(5.0)
    assert walks.next_s(missing=False) == 0
    walks.walked(100.0, missing=False)
    assert walks.next_s(missing=False) == 100 + WALK_GAP_S


def test_a_missing_name_is_looked_up_sooner():
    """While a wanted name has no row: after 5, 10, 20, 40 s, then every minute; a new name at once."""
    walks, gaps, now = WalkBudget(5.0), [], 0.0
    for _ in range(6):
        walks.walked(now, missing=True)
        gaps.append(walks.next_s(missing=True) - now)
        now = walks.next_s(missing=True)
    assert gaps == [5, 10, 20, 40, 60, 60]
    assert walks.next_s(missing=False) == (walks.last_s or 0) + WALK_GAP_S
    walks.fresh()
    assert walks.next_s(missing=True) == 0


@pytest.mark.parametrize("rule", [FlapRule(), FlapRule(2, 60.0), FlapRule(20, 3600.0)], ids=str)
def test_what_changes_often_flaps_until_it_is_calm(rule):
    """So many changes within the window are flapping; it ends when the oldest of them is as old as the window."""
    flaps = Flaps(rule)
    for i in range(rule.changes + 1):
        assert not flaps.flapping(10.0 * i)
        flaps.saw("UP" if i % 2 else "DOWN", 10.0 * i)
    last = 10.0 * rule.changes
    assert flaps.flapping(last)
    flaps.saw(flaps.last, last + 1)
    assert flaps.flapping(10.0 + rule.window_s - 1)
    assert not flaps.flapping(10.0 + rule.window_s)


def test_steady_or_slow_change_is_no_flapping():
    """The same status again is no change, and a change every three minutes is not flapping."""
    steady, slow = Flaps(), Flaps()
    for i in range(100):
        steady.saw("UP", float(i))
        slow.saw("UP" if i % 2 else "DOWN", 180.0 * i)
        assert not steady.flapping(float(i))
        assert not slow.flapping(180.0 * i)


# ------------------------------------------------------------------------------------------------- rates

BASE = Sample(1000, 50.0, 5000, 7)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (Sample(4000, 80.0, 8000, 7), 100.0),
        (Sample(4000, 81.5, 8000, 7), 100.0),
        (Sample(1000, 80.0, 8000, 7), 0.0),
        (Sample(4000, 80.0, None, 7), 100.0),
        (Sample(999, 80.0, 8000, 7), None),
        (Sample(4000, 80.0, 4000, 7), None),
        (Sample(4000, 80.0, 8000, 8), None),
        (Sample(4000, 80.0, 8000, None), None),
        (Sample(1000, 80.0, 5000, 7), None),
        (Sample(4000, 90_000.0, 9_000_000, 7), None),
    ],
    ids=[
        *("plain", "the agent's time counts", "no traffic", "no uptime", "went back", "agent restarted"),
        *("counter began anew", "discontinuity vanished", "agent's cache", "long gap"),
    ],
)
def test_rate(now, expected):
    """Growth per second between two readings that belong together, else None and a new baseline."""
    assert rate(BASE, now) == expected
    assert rate(None, now) is None


@given(
    st.lists(st.tuples(st.integers(0, 2**64 - 1), st.floats(0, 1e5), st.none() | st.integers(0, 2**32 - 1)))
)
def test_no_rate_is_ever_impossible(samples):
    """Whatever is read, in whatever order: a rate is not negative and no more than the counter grew."""
    before = None
    for value, at, ticks in samples:
        now = Sample(value, at, ticks)
        growth = rate(before, now)
        if growth is not None:
            assert before is not None
            assert growth >= 0
            assert growth * GAP_MAX_S >= value - before.value
        before = now
