"""Planted bugs: does the simulator have teeth?

Guarantees: each mutant changes the product in this process only, for the time of a run, and the unchanged product
passes the same seeds (`tests/sim`). `run` tells for each how many seeds it took to catch it, and by which promise.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from sim.host import Accident
from sim.mutants.bugs import BUGS
from sim.mutants.planting import Bug
from sim.play import Player
from sim.shrink import command
from sim.world import Case


@dataclass(frozen=True, slots=True)
class Caught:
    """What became of a mutant. `seeds`: how many it took, None if it survived; `by`: the promise."""

    name: str
    seeds: int | None
    by: str


class Misplanted(Exception):
    """What was caught is not the planted bug: it does not fit the product any more, or is not alone."""


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """The product with this bug in it."""
    undo: list[Callable[[], None]] = []
    try:
        for owner, name, made in bug.changes():
            undo.append(_restorer(owner, name))
            setattr(owner, name, made)
        yield
    finally:
        for restore in reversed(undo):
            restore()


def _restorer(owner: Any, name: str) -> Callable[[], None]:
    if not hasattr(owner, name):
        raise AttributeError(f"{owner} has no {name} any more: mend the planted bug")
    if name not in vars(owner):
        return lambda: delattr(owner, name)  # inherited
    real = vars(owner)[name]
    return lambda: setattr(owner, name, real)


def hunt(bug: Bug, resources: int, seeds_max: int, first: int = 1) -> Caught:
    """Run seeds, from `first` on, until one catches it. Raises Misplanted."""
    with planted(bug):
        for seed in range(first, first + seeds_max):
            case = Case(seed, resources, bug.profiles[seed % len(bug.profiles)])
            try:
                violation = Player(case).run().violation
            except Accident as accident:
                raise Misplanted(f"{bug.name}: {accident.__cause__}") from accident
            if violation is not None:
                break
        else:
            return Caught(bug.name, None, "")
    if "TypeError" in violation.text or "AttributeError" in violation.text:
        raise Misplanted(f"{bug.name}: {violation}")
    if Player(case).run().violation is not None:
        raise Misplanted(f"{bug.name}: the product fails without it, too: {command(case)}")
    return Caught(bug.name, seed - first + 1, violation.promise)


def run(
    resources: int, seeds_max: int, only: str | None, say: Callable[[str], None], jobs: int | None = None
) -> int:
    """Hunt all of them (or one); returns 0 if each was caught, else 13."""
    bugs = [bug for bug in BUGS if only in (None, bug.name)]
    tasks = [(bug.name, resources, seeds_max) for bug in bugs]
    with multiprocessing.get_context("fork").Pool(jobs or os.cpu_count() or 1) as pool:
        found = []
        for caught in pool.imap(_hunt, tasks):
            found.append(caught)
            lives = f"  {caught.by or 'SURVIVED'}"
            took = f"{caught.seeds:>5} seeds, by {caught.by}" if caught.seeds is not None else lives
            say(f"{caught.name:32}{took}")
    times = [one.seeds for one in found if one.seeds is not None]
    middle = f", median {median(times):g} seeds" if times else ""
    say(f"{len(times)} of {len(found)} planted bugs caught{middle}")
    return 0 if len(times) == len(found) else 13


def _hunt(task: tuple[str, int, int]) -> Caught:
    name, resources, seeds_max = task
    try:
        return hunt(next(bug for bug in BUGS if bug.name == name), resources, seeds_max)
    except Misplanted as error:
        return Caught(name, None, f"MISPLANTED: {error}")


__all__ = ["BUGS", "Bug", "Caught", "Misplanted", "hunt", "planted", "run"]
