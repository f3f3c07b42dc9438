"""`python run.py sim`: many seeds, every promise, and for a failure the shortest way to see it again.

Guarantees: the exit code tells a broken invariant, a liveness failure, a crash and a lack of coverage apart
(`EXIT_CODES`); a failing seed is repeated bit for bit by the printed command. Takes the wall clock for its own
progress only. Over COVERAGE_SEEDS seeds or more each kind of fault and each transition must have occurred.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from actors.core.machine import TABLE, Event, State
from actors.core.model import Ref
from sim.faults import KINDS, PROFILES
from sim.invariants import ALL, Violation
from sim.play import Player, Result
from sim.shrink import Shrinker, command
from sim.story import Story, follow
from sim.world import Case, World

EXIT_CODES = {
    0: "all promises kept",
    2: "wrong use",
    10: "a broken invariant",
    11: "a liveness failure: it did not converge or did not come to rest",
    12: "a crash: a handler raised or an impossible event",
    13: "lack of coverage: a fault or a transition never occurred",
}
_CODES = {"invariant": 10, "liveness": 11, "crash": 12}
#: From so many seeds on, everything must have occurred.
COVERAGE_SEEDS = 300
STORY_LINES = 80
_PROGRESS_S = 5.0


@dataclass(slots=True)
class Tally:
    """What many runs came to."""

    seeds: int = 0
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
        """What never occurred."""
        faults = [f"fault {name}" for name in KINDS if not self.hits[name]]
        return faults + [
            f"transition {state} --{event}-->"
            for state, event in TABLE
            if not self.transitions[state, event] and (state, event) not in UNREACHED
        ]


#: Transitions of the table that nothing brings about at present: they stand there for completeness.
UNREACHED: frozenset[tuple[State, Event]] = frozenset(
    {
        # what begins when nothing is left to wait for cannot fail before it
        (State.WAITING, Event.FAILED),
        # only what waits is superseded; what backs off looks anew in any case
        (State.BACKING_OFF, Event.SUPERSEDED),
        # an actor that settled is ended before anything else can reach it: one process handles in order
        (State.SETTLED, Event.BEGIN),
        (State.SETTLED, Event.CHANGED),
        (State.SETTLED, Event.SUPERSEDED),
    }
)


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    if "--real" in arguments:
        from sim.real.command import main as real

        return real(arguments)
    parsed = _parser().parse_args(arguments)
    if parsed.mutants:
        from sim.mutants import run as run_mutants

        return run_mutants(parsed.resources, parsed.seeds_max, parsed.only, print)
    if parsed.only_refs is not None or parsed.only_faults is not None or parsed.story:
        return _repeat(parsed)
    began = time.monotonic()
    tally = Tally()
    for result in _progress(_results(parsed, began), tally, began):
        tally.add(result)
        if result.violation is not None and not parsed.keep_going:
            break
    seconds = time.monotonic() - began
    print(table(tally, seconds))
    if tally.failures:
        return _explain(tally.failures, shrink=not parsed.no_shrink)
    lacking = tally.lacking() if tally.seeds >= COVERAGE_SEEDS and parsed.profile != "calm" else []
    for line in lacking:
        print(f"never occurred: {line}")
    return 13 if lacking else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.py sim", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, help="one seed")
    parser.add_argument("--seeds", default="1..50", metavar="A..B", help="many seeds (default: %(default)s)")
    parser.add_argument("--resources", type=int, default=20, metavar="N", help="resources of each run")
    parser.add_argument("--profile", choices=PROFILES, default="swarm")
    parser.add_argument("--minutes", type=float, help="go on with further seeds for so long")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--keep-going", action="store_true", help="do not end at the first failure")
    parser.add_argument("--no-shrink", action="store_true", help="show a failure as it is")
    parser.add_argument("--story", action="store_true", help="tell what happens in the run of --seed")
    parser.add_argument("--only-refs", metavar="LIST", help="leave out all other resources")
    parser.add_argument("--only-faults", metavar="LIST", help="leave out all other faults")
    parser.add_argument("--real", action="store_true", help="real processes; see `sim --real --help`")
    parser.add_argument("--mutants", action="store_true", help="plant bugs and see that each is caught")
    parser.add_argument("--only", help="one mutant")
    parser.add_argument("--seeds-max", type=int, default=200, help="seeds that a mutant may survive")
    return parser


# ------------------------------------------------------------------------------------------------ running


def _results(parsed: argparse.Namespace, began: float) -> Iterator[Result]:
    cases = (Case(seed, parsed.resources, parsed.profile) for seed in _seeds(parsed))
    if parsed.jobs <= 1 or parsed.seed is not None:
        results: Iterable[Result] = map(_run, cases)
        yield from _until(results, parsed, began)
        return
    with multiprocessing.get_context("fork").Pool(parsed.jobs, _frozen) as pool:
        yield from _until(pool.imap_unordered(_run, cases, chunksize=2), parsed, began)


def _seeds(parsed: argparse.Namespace) -> Iterable[int]:
    if parsed.seed is not None:
        return [parsed.seed]
    first, _, last = parsed.seeds.partition("..")
    if parsed.minutes is not None:
        # handed out in bounded portions: a pool takes whatever there is at once
        return range(int(first), int(first) + max(1, int(parsed.minutes * 60 * 40)))
    return range(int(first), int(last or first) + 1)


def _until(results: Iterable[Result], parsed: argparse.Namespace, began: float) -> Iterator[Result]:
    for result in results:
        yield result
        if parsed.minutes is not None and time.monotonic() - began > parsed.minutes * 60:
            return


def _run(case: Case) -> Result:
    try:
        return Player(case).run()
    finally:
        gc.collect()  # nobody does while a run lasts


def _frozen() -> None:
    """What is there before the first run stays: nobody need look at it again."""
    gc.collect()
    gc.freeze()


def _progress(results: Iterable[Result], tally: Tally, began: float) -> Iterator[Result]:
    said = began
    for number in count():
        result = next(iter(results), None)
        if result is None:
            return
        yield result
        now = time.monotonic()
        if now - said >= _PROGRESS_S and number:
            said = now
            rate = tally.finals / (now - began)
            print(f"{tally.seeds} seeds, {tally.finals} outcomes ({rate:.0f}/s)", file=sys.stderr)


# ------------------------------------------------------------------------------------------------ telling


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
        f"{tally.former_owners} requests to Heat by former owners (not prevented, see sim.world)",
        f"{tally.events} events, {tally.virtual_s / 3600:.1f} virtual hours in {seconds:.1f} s: "
        f"{tally.finals / max(seconds, 1e-9):.0f} outcomes/s, "
        f"{tally.virtual_s / max(seconds, 1e-9):.0f} virtual seconds per second",
    ]
    return "\n".join(lines)


def _explain(failures: Sequence[Result], *, shrink: bool) -> int:
    for result in failures:
        print(f"\nseed {result.case.seed}: {result.violation}\n  {command(result.case)}")
    first = failures[0]
    assert first.violation is not None, "a failure has a violation"
    if shrink:
        shrinker = Shrinker(first)
        first = shrinker.shrink()
        faults = len(first.case.only_faults or ())
        refs = len(first.case.only_refs or ())
        print(f"\nshrunk in {shrinker.runs} runs to {refs} resources and {faults} faults:")
        print(f"  {command(first.case)}\n  {first.violation}")
    assert first.violation is not None, "it still fails"
    print_story(first.case, first.violation.ref)
    return _CODES[first.violation.kind]


def _repeat(parsed: argparse.Namespace) -> int:
    refs = None
    if parsed.only_refs is not None:
        refs = frozenset(Ref(*one.split(":", 1)) for one in parsed.only_refs.split(",") if one)
    faults = None
    if parsed.only_faults is not None:
        faults = frozenset(one for one in parsed.only_faults.split(",") if one)
    case = Case(parsed.seed, parsed.resources, parsed.profile, faults, refs)
    violation = print_story(case, None)
    return _CODES[violation.kind] if violation is not None else 0


def print_story(case: Case, ref: Ref | None, say: Callable[[str], None] = print) -> Violation | None:
    """Run a case once more and tell what happened, to `ref` if there is one; returns what was broken."""
    stories: list[Story] = []

    def prepare(world: World) -> None:
        stories.append(follow(world, frozenset({ref}) if ref is not None else None))

    result = Player(case, prepare).run()
    for line in stories[0].lines[-STORY_LINES:]:
        say(line)
    say(f"digest {result.digest}")
    say(str(result.violation) if result.violation is not None else "all promises kept")
    return result.violation
