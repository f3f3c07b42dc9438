"""The simulator has teeth: every planted bug is caught (`python run.py sim --mutants` hunts them all from seed 1)."""

from __future__ import annotations

import pytest

from sim.mutants import BUGS, Bug, hunt

RESOURCES = 16
#: Seeds that a bug may survive, from the one at which its hunt begins.
SEEDS_MAX = 60
#: Rare ones: a seed that has caught it. Any change of the product may call for another one.
FIRST = {
    "state unguarded": 250,
    "failed left nothing": 170,
    "mirror trusted": 93,
    "refused is committed": 90,
    "no back-off": 23,
    "order for ever": 40,
    "gaps unnoticed": 18,
    "waiters count": 16,
    "compaction ignored": 14,
    "no resubscription": 14,
    "too late is in time": 11,
    "everything is ours": 11,
    "plan unguarded": 10,
    "lease for ever": 8,
    "failed is complete": 6,
    "doubt is success": 6,
}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: Bug) -> None:
    """A seed breaks a promise with the bug in the product, and keeps all promises without it."""
    caught = hunt(bug, RESOURCES, SEEDS_MAX, FIRST.get(bug.name, 1))
    assert caught.seeds is not None, f"{bug.name}: {bug.what}"


def test_rare_bugs_are_there() -> None:
    """No seed is kept for a bug that is not planted any more."""
    assert FIRST.keys() <= {bug.name for bug in BUGS}
