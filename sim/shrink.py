"""Making a failure small: the fewest resources and faults with which the same promise is still broken.

Guarantees: what is returned was run and fails in the same way; the effort is bounded. It does not guarantee the
smallest case there is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from sim.play import Player, Result
from sim.world import Case, World

T = TypeVar("T")

#: Runs that one shrinking may cost.
RUNS_MAX = 250


@dataclass(slots=True)
class Shrinker:
    """Shrinks one failure. `runs`: how many it took. `prepare` is applied to every world (mutants need none)."""

    failure: Result
    prepare: Callable[[World], None] = lambda world: None
    runs: int = 0

    def shrink(self) -> Result:
        """The smallest failure found."""
        best = self.failure
        assert best.violation is not None, "only failures are shrunk"
        refs = list(World(best.case).workload.refs)
        best = self._reduce(best, refs, lambda case, kept: replace(case, only_refs=frozenset(kept)))
        best = self._reduce(
            best, list(best.names), lambda case, kept: replace(case, only_faults=frozenset(kept))
        )
        refs = list(World(best.case).workload.refs)
        return self._reduce(best, refs, lambda case, kept: replace(case, only_refs=frozenset(kept)))

    def _reduce(self, best: Result, things: list[T], cut: Callable[[Case, Sequence[T]], Case]) -> Result:
        """Leave out halves, quarters, … single things as long as it still fails."""
        size = max(1, len(things) // 2)
        while things and self.runs < RUNS_MAX:
            begin, gone = 0, False
            while begin < len(things) and self.runs < RUNS_MAX:
                kept = things[:begin] + things[begin + size :]
                tried = self._fails(cut(best.case, kept))
                if tried is None:
                    begin += size
                else:
                    best, things, gone = tried, kept, True
            if size == 1 and not gone:
                break
            size = max(1, size // 2)
        return best

    def _fails(self, case: Case) -> Result | None:
        self.runs += 1
        result = Player(case, self.prepare).run()
        wanted, found = self.failure.violation, result.violation
        same = found is not None and wanted is not None and found.promise == wanted.promise
        return result if same else None


def command(case: Case) -> str:
    """What repeats a case, bit for bit."""
    words = ["python run.py sim", f"--seed {case.seed}", f"--resources {case.resources}"]
    words.append(f"--profile {case.profile}")
    if case.only_refs is not None:
        words.append(f"--only-refs '{','.join(sorted(map(str, case.only_refs)))}'")
    if case.only_faults is not None:
        words.append(f"--only-faults '{','.join(sorted(case.only_faults))}'")
    return " ".join(words)
