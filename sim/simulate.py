"""`python run.py sim`: many seeds, every promise, and for a failure the shortest way to see it again.

Guarantees: the exit code tells a broken invariant, a liveness failure, a crash and a lack of coverage apart
(`EXIT_CODES`); a failing seed is repeated bit for bit by the printed command. Takes the wall clock for its own
progress only. Over COVERAGE_SEEDS seeds or more each kind of fault and each transition must have occurred.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count

from actors.core.model import Ref
from sim import results
from sim.arguments import parse
from sim.invariants import Violation
from sim.play import Player, Result
from sim.shrink import Shrinker, command
from sim.story import Story, follow
from sim.tally import Tally, table
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


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    if "--real" in arguments:
        from sim.real.command import main as real

        return real(arguments)
    parsed = parse(arguments, (__doc__ or "").partition("\n")[0])
    if parsed.mutants:
        from sim.mutants import run as run_mutants

        return run_mutants(parsed.resources, parsed.seeds_max, parsed.only, print)
    if parsed.only_refs is not None or parsed.only_faults is not None or parsed.story:
        return _repeat(parsed)
    began = time.monotonic()
    tally = Tally()
    for result in _progress(_results(parsed, began), tally, began):
        tally.add(result)
        if result.violation is not None and not (parsed.keep_going or parsed.record):
            break
    seconds = time.monotonic() - began
    print(table(tally, seconds))
    if parsed.record:
        results.write(
            f"{parsed.profile}, {parsed.resources} resources", tally, seconds, arguments, parsed.jobs
        )
    if tally.failures:
        return _explain(tally.failures, shrink=not parsed.no_shrink)
    lacking = tally.lacking() if tally.seeds >= COVERAGE_SEEDS and parsed.profile != "calm" else []
    for line in lacking:
        print(f"never occurred: {line}")
    return 13 if lacking else 0


# ------------------------------------------------------------------------------------------------ running


def _results(parsed: argparse.Namespace, began: float) -> Iterator[Result]:
    cases = (Case(seed, parsed.resources, parsed.profile) for seed in _seeds(parsed))
    yield from _until(played(cases, 1 if parsed.seed is not None else parsed.jobs), parsed, began)


def played(cases: Iterable[Case], jobs: int) -> Iterator[Result]:
    """Their results as they come, played by so many processes."""
    if jobs <= 1:
        _frozen()
        try:
            yield from map(_run, cases)
        finally:
            gc.unfreeze()
        return
    with multiprocessing.get_context("fork").Pool(jobs, _frozen) as pool:
        yield from pool.imap_unordered(_run, cases, chunksize=2)


def _seeds(parsed: argparse.Namespace) -> Iterable[int]:
    if parsed.seed is not None:
        return [parsed.seed]
    first, last = parsed.seeds
    if parsed.minutes is not None:
        # handed out in bounded portions: a pool takes whatever there is at once
        last = min(last, first + int(parsed.minutes * 60 * 40))
    return range(first, last + 1)


def _until(results: Iterable[Result], parsed: argparse.Namespace, began: float) -> Iterator[Result]:
    for result in results:
        yield result
        if parsed.minutes is not None and time.monotonic() - began > parsed.minutes * 60:
            return


def _run(case: Case) -> Result:
    try:
        result = Player(case).run()
    finally:
        gc.collect()  # nobody does while a run lasts
    # which faults there were is asked of a failure only
    return result if result.violation is not None else replace(result, names=())


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
        refs = frozenset(Ref(*one.split(":", 1)) for one in parsed.only_refs)
    case = Case(parsed.seed, parsed.resources, parsed.profile, parsed.only_faults, refs)
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
