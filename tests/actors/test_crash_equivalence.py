"""Design 1.1 and 1.3, generated: killing any process at any write, request or poll changes nothing in the end.

One undisturbed run tells how many writes the controller makes and how many requests to Heat and to devices. For
each of them there is a run in which something dies right before or right after it. All runs must end with the
same keys and the same stacks, one for each resource that has one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.core import keys
from tests.actors.trial import ROLES, Trial, down

#: A silent device or pool member is noticed, everything is polled again.
QUIET_S = 40.0
#: Right before a write only its writer can die so that it is not written.
WRITERS = ("all", "bridge")


@dataclass(frozen=True)
class End:
    """How a run ended."""

    keys: dict[str, Any]
    stacks: list[str]
    writes: int
    heat: int
    polls: int


@dataclass
class Accidents:
    """Something dies at chosen points of a run. Points are counted over its whole length."""

    trial: Trial
    #: ("write" | "heat" | "poll", number) → what dies, and whether right before it takes effect.
    planned: dict[tuple[str, int], tuple[str, bool]]

    def __post_init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.trial.faults = self._store
        self.trial.stacks._fault = lambda point, _: self._point("heat", after=point.endswith(".done"))
        reach = self.trial.agent._reach

        async def polled(device: Any) -> Any:
            self._point("poll", after=False)
            tables = await reach(device)
            self._point("poll", after=True)
            return tables

        self.trial.agent._reach = polled  # type: ignore[method-assign]  # a test double of a test double

    def _store(self, point: str) -> None:
        if point.startswith("commit"):
            self._point("write", after=point.endswith(".done"))

    def _point(self, kind: str, *, after: bool) -> None:
        self.counts[kind] += not after
        role, before = self.planned.get((kind, self.counts[kind] - 1), ("", False))
        if not role or before == after:
            return
        self.trial.kill(role)
        if before and kind == "write" and role in WRITERS:
            raise down("Died")


def run(planned: dict[tuple[str, int], tuple[str, bool]]) -> End:
    """Build the chain of the seed with these accidents, and see how it ends."""
    with Trial() as trial:
        accidents = Accidents(trial, planned)
        trial.declare_example()
        trial.settle(limit_s=120.0)
        trial.host.advance(QUIET_S)
        trial.settle()
        counts = accidents.counts
        return End(trial.end(), trial.living(), counts["write"], counts["heat"], counts["poll"])


@cache
def undisturbed() -> End:
    """The run in which nothing dies."""
    return run({})


def compare(end: End, why: str) -> None:
    """The same keys and stacks as if nothing had happened; the keys that differ are named."""
    expected = undisturbed()
    differing = {
        key: (end.keys.get(key), expected.keys.get(key))
        for key in end.keys.keys() | expected.keys.keys()
        if end.keys.get(key) != expected.keys.get(key)
    }
    assert not differing, f"{why}: {differing}"
    assert end.stacks == expected.stacks, why


def test_the_undisturbed_run() -> None:
    """What is compared with: everything built, nothing in flight, one stack for each of six resources."""
    end = undisturbed()
    assert len(end.stacks) == len(set(end.stacks)) == 6
    assert not [key for key in end.keys if key.startswith((keys.JOBS, keys.JOB_STATE, keys.ATTEMPTS))]
    states = [value for key, value in end.keys.items() if key.startswith(keys.STATE)]
    assert len(states) == 7
    assert all(state["error"] == "" for state in states)
    assert len([key for key in end.keys if key.startswith(keys.MONITORING)]) == 3
    assert end.writes > 20


@pytest.mark.parametrize("role", ROLES)
def test_death_right_after_each_write(role: str) -> None:
    """Committed, but nobody heard: for every write of the run, and each part of the controller."""
    for number in range(undisturbed().writes):
        compare(run({("write", number): (role, False)}), f"{role} died right after write {number}")


@pytest.mark.parametrize("role", WRITERS)
def test_death_right_before_each_write(role: str) -> None:
    """Decided, but not committed: the write is lost with its writer."""
    for number in range(undisturbed().writes):
        compare(run({("write", number): (role, True)}), f"{role} died right before write {number}")


@pytest.mark.parametrize("before", [True, False])
def test_death_of_the_pool_member_at_each_request_to_heat(before: bool) -> None:
    """Right before and right after each request to Heat, creates included."""
    for number in range(undisturbed().heat):
        end = run({("heat", number): ("heat", before)})
        compare(end, f"the pool member died {'before' if before else 'after'} request {number}")


def test_death_of_the_poller_at_each_poll() -> None:
    """Right after each poll of the first seconds: what it heard is lost."""
    for number in range(min(undisturbed().polls, 8)):
        compare(run({("poll", number): ("snmp", False)}), f"the poller died after poll {number}")


DEATHS = st.dictionaries(
    st.tuples(st.sampled_from(["write", "heat"]), st.integers(0, 40)),
    st.tuples(st.sampled_from(ROLES), st.booleans()),
    min_size=2,
    max_size=6,
)


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(DEATHS)
def test_many_deaths(planned: dict[tuple[str, int], tuple[str, bool]]) -> None:
    """Up to six deaths in one run, of anything, at any write or request to Heat."""
    compare(run(planned), f"{planned}")


def test_the_comparison_can_fail() -> None:
    """A resource that is left out, or a value that differs, is noticed."""
    end = undisturbed()
    key = next(key for key in end.keys if key.startswith(keys.MONITORING))
    changes: list[Callable[[dict[str, Any]], Any]] = [
        lambda known: known.pop(key),
        lambda known: known.update({key: 1}),
    ]
    for change in changes:
        known = dict(end.keys)
        change(known)
        with pytest.raises(AssertionError, match=key):
            compare(End(known, end.stacks, 0, 0, 0), "changed")
