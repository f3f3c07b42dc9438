"""What many runs came to: sums, what never occurred, and the table of both.

Guarantees: nothing but sums of results; `lacking` names each kind of fault that occurred in less than a
hundredth of the seeds (D.3), and each transition that never did.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from actors.core.machine import TABLE, Event, State
from sim.faults import KINDS
from sim.invariants import ALL
from sim.play import Result


@dataclass(slots=True)
class Tally:
    """What many runs came to."""

    seeds: int = 0
    resources: int = 0
    finals: int = 0
    events: int = 0
    virtual_s: float = 0.0
    former_owners: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    seeds_with: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    transitions: Counter[tuple[State, Event]] = field(default_factory=Counter)
    failures: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """One more run."""
        self.seeds += 1
        self.resources += result.case.resources
        self.finals += result.finals
        self.events += result.events
        self.virtual_s += result.virtual_s
        self.former_owners += result.former_owners
        self.hits.update(result.hits)
        self.seeds_with.update(result.hits.keys())
        self.checks.update(result.checks)
        self.transitions.update(result.transitions)
        if result.violation is not None:
            self.failures.append(result)

    def lacking(self) -> list[str]:
        """What never occurred, or in less than one of a hundred seeds."""
        least = max(1, self.seeds // 100)
        faults = [
            f"fault {name} (in {self.seeds_with[name]} seeds, expected in {least})"
            for name in KINDS
            if self.seeds_with[name] < least
        ]
        return faults + [
            f"transition {state} --{event}-->"
            for state, event in TABLE
            if not self.transitions[state, event] and (state, event) not in UNREACHED
        ]


#: Transitions that a run need not take, for they stand there for completeness. 20,000 seeds took one of them.
UNREACHED: frozenset[tuple[State, Event]] = frozenset(
    {
        # only what waits is superseded; what backs off looks anew in any case
        (State.BACKING_OFF, Event.SUPERSEDED),
        # an actor that settled is ended before anything else can reach it: one process handles in order
        (State.SETTLED, Event.BEGIN),
        (State.SETTLED, Event.CHANGED),
        (State.SETTLED, Event.SUPERSEDED),
    }
)


def table(tally: Tally, seconds: float) -> str:
    """What was injected and checked, as text."""
    lines = ["", f"{'fault':28}{'injected':>10}{'in seeds':>10}"]
    lines += [
        f"{name:28}{tally.hits[name]:>10}{tally.seeds_with[name]:>10}" for name in KINDS if tally.hits[name]
    ]
    lines += ["", f"{'promise':28}{'checked':>10}"]
    lines += [f"{each.__name__:28}{tally.checks[each.__name__]:>10}" for each in ALL]
    taken = sum(1 for each in TABLE if tally.transitions[each])
    lines += [
        "",
        f"{tally.seeds} seeds, {tally.finals} outcomes, {sum(tally.hits.values())} faults, "
        f"{taken} of {len(TABLE)} transitions, {len(tally.failures)} failures",
        f"{tally.former_owners} requests to Heat by former owners (those that had left already, see sim.world)",
        f"{tally.events} events, {tally.virtual_s / 3600:.1f} virtual hours in {seconds:.1f} s: "
        f"{tally.finals / max(seconds, 1e-9):.0f} outcomes/s, "
        f"{tally.virtual_s / max(seconds, 1e-9):.0f} virtual seconds per second",
    ]
    return "\n".join(lines)
