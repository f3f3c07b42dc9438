"""The run of every change: many seeds, every promise, every fault and every transition (`python run.py sim`)."""

from __future__ import annotations

import os
import time

import pytest

from sim.invariants import ALL
from sim.shrink import command
from sim.simulate import played
from sim.tally import Tally, table
from sim.world import Case

#: All seeds are played before the first test, however slow the machine; nothing here waits.
pytestmark = pytest.mark.timeout(1800)
#: So many seeds at least, whatever it takes; up to SEEDS as long as it takes no longer than ENOUGH_S: the machine of
#: these tests may be several times slower than usual, and has others to run. GATEWRIGHT_SIM_SEEDS: exactly so many.
SEEDS_MIN = int(os.environ.get("GATEWRIGHT_SIM_SEEDS", "200"))
SEEDS = int(os.environ.get("GATEWRIGHT_SIM_SEEDS", "500"))
ENOUGH_S = 240.0
RESOURCES = 40
STORMS = 20
ROUGH = TANGLED = 20
OTHERS = STORMS + ROUGH + TANGLED


@pytest.fixture(scope="module")
def tally() -> Tally:
    """All results of the run."""
    tally, began = Tally(), time.monotonic()
    cases = [Case(seed, RESOURCES // 4, "storm") for seed in range(1, STORMS + 1)]
    cases += [Case(seed, RESOURCES, "rough") for seed in range(1, ROUGH + 1)]
    cases += [Case(seed, RESOURCES // 2, "tangle") for seed in range(1, TANGLED + 1)]
    cases += [Case(seed, RESOURCES) for seed in range(1, SEEDS + 1)]
    # one process: the tests of other files go on beside it, and wait for real parts
    for result in played(cases, 1):
        tally.add(result)
        if tally.seeds >= SEEDS_MIN + OTHERS and time.monotonic() - began > ENOUGH_S:
            break
    return tally


def test_every_promise_is_kept(tally: Tally) -> None:
    """200 to 500 seeds of 40 resources, and 20 rough ones, tangled ones and storms each, end without a broken promise,
    at rest, and empty where deleted."""
    assert [f"{command(one.case)}: {one.violation}" for one in tally.failures] == []
    assert SEEDS_MIN <= tally.seeds - OTHERS <= SEEDS
    assert tally.finals > tally.resources


def test_every_promise_was_checked(tally: Tally) -> None:
    """No promise is kept for want of an occasion."""
    assert [each.__name__ for each in ALL if not tally.checks[each.__name__]] == []


def test_every_fault_and_transition_occurs(tally: Tally) -> None:
    """Each kind of fault strikes in at least one of a hundred seeds, and the whole machine is walked through."""
    assert tally.lacking() == []


def test_the_table_tells_what_was_done(tally: Tally) -> None:
    """Faults, promises, seeds and speed are in the table."""
    text = table(tally, 10.0)
    assert "message.lost" in text
    assert "SingleWriter" in text
    assert f"{tally.seeds} seeds" in text
