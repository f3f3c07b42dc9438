"""Some seeds of each profile, and every promise: what `python run.py test` plays hundreds of before the tests."""

from __future__ import annotations

import pytest

from config.checks import SIMULATED
from sim.arguments import parse
from sim.invariants import ALL
from sim.shrink import command
from sim.simulate import COVERAGE_SEEDS, played
from sim.tally import Tally, table
from sim.world import Case

#: All seeds are played before the first test, however slow the machine; nothing here waits.
pytestmark = pytest.mark.timeout(1800)
SEEDS = 20
#: Profile → resources of each run. The smaller, the wilder.
RESOURCES = {"swarm": 40, "storm": 10, "rough": 40, "tangle": 20, "steered": 20}


@pytest.fixture(scope="module")
def tally() -> Tally:
    """All results of the run."""
    tally = Tally()
    cases = [Case(seed, count, name) for name, count in RESOURCES.items() for seed in range(1, SEEDS + 1)]
    # one process: the tests of other files go on beside it, and wait for real parts
    for result in played(cases, 1):
        tally.add(result)
    return tally


def test_every_promise_is_kept(tally: Tally) -> None:
    """Seeds of every profile end without a broken promise, at rest, and empty where deleted."""
    assert [f"{command(one.case)}: {one.violation}" for one in tally.failures] == []
    assert tally.seeds == SEEDS * len(RESOURCES)
    assert tally.finals > tally.resources


def test_every_promise_was_checked(tally: Tally) -> None:
    """No promise is kept for want of an occasion."""
    assert [each.__name__ for each in ALL if not tally.checks[each.__name__]] == []


def test_what_all_checks_play_must_show_every_fault_and_transition() -> None:
    """`python run.py test` plays enough seeds for a lack of coverage to count, in a profile with faults."""
    parsed = parse(SIMULATED, "")
    first, last = parsed.seeds
    assert last - first + 1 >= COVERAGE_SEEDS
    assert parsed.profile == "swarm"


def test_the_table_tells_what_was_done(tally: Tally) -> None:
    """Faults, promises, seeds and speed are in the table."""
    text = table(tally, 10.0)
    assert "message.lost" in text
    assert "SingleWriter" in text
    assert f"{tally.seeds} seeds" in text
