"""Whatever is declared while whatever is built, all of it comes to an end: histories drawn from a seed."""

from __future__ import annotations

from random import Random

import pytest

from actors.core.model import Json, Ref
from tests.core.histories import Model

#: By which members things refer to things.
KINDS = ("outputs", "strict", "lenient")
LINK = Ref("link", "x")


def batches(seeds: int) -> list[range]:
    """So many seeds, a hundred for each test."""
    return [range(first, first + 100) for first in range(0, seeds, 100)]


class History:
    """A history drawn from a seed. `rings`: references may lead back; `calm`: all that is declared can be built, and
    nothing is taken away."""

    def __init__(self, seed: int, *, rings: bool, calm: bool = False) -> None:
        self.random, self.model = Random(seed), Model()
        self._rings, self._calm = rings, calm
        self._things = [Ref("thing", name) for name in "abcde"[: self.random.choice((3, 4, 5))]]
        self._all = [*self._things, LINK]
        self._versions: dict[Ref, int] = {}
        self._several = self.random.choice(((0, 0, 1, 1, 2), (0, 1, 2)))
        self._bodies: dict[Ref, dict[str, Json]] = {}

    def run(self) -> Model:
        """What came of it, after everything that can happen has happened."""
        for ref in self._things if self.random.random() < 0.5 else ():
            self._declare(ref)
        for _ in range(self.random.randrange(6, 18)):
            self._act(LINK if self.random.random() < 0.05 else self.random.choice(self._things))
            if self.random.random() < 0.6:
                self.model.go(self.random, self.random.randrange(5))
        for ref in self._all if self._calm else ():
            if ref not in self._versions:
                self._declare(ref)
        self.model.settle(self.random)
        return self.model

    def _act(self, ref: Ref) -> None:
        chance = self.random.random()
        if chance < 0.2:
            self._toggle(ref)
        elif chance < 0.4 and self.model.world.version(ref) and not self._calm:
            if chance < 0.26:
                self._mark(ref)
            else:
                self._remove(ref, anew=chance < 0.36)
        else:
            self._declare(ref)

    def _declare(self, ref: Ref) -> None:
        names = [each.id for each in self._things]
        if ref in self._versions and self.random.random() < 0.4:
            body = self._bodies[ref]
        elif ref == LINK:
            # where there must be no rings, only those refer to it that come after all that it leads to
            body = {"to": self.random.choice(names if self._rings else names[:2])}
        else:
            others = [name for name in names if name != ref.id and (self._rings or name < ref.id)]
            body = {kind: some for kind in KINDS if (some := self._some(others))}
            if (self._rings or names.index(ref.id) > 1) and self.random.random() < 0.15:
                body["links"] = [LINK.id]
        version = self._versions[ref] = self._versions.get(ref, 0) + 1
        self._bodies[ref] = body
        self.model.declare(ref, version, body)
        if not self._calm and self.random.random() < 0.2:
            self.model.broken.add((ref, version))

    def _some(self, others: list[str]) -> list[str]:
        return self.random.sample(others, min(len(others), self.random.choice(self._several)))

    def _mark(self, ref: Ref) -> None:
        self._versions[ref] += 1
        self.model.declare(ref, self._versions[ref], self._bodies[ref], marked=True)

    def _remove(self, ref: Ref, *, anew: bool) -> None:
        self.model.remove(ref)
        if anew or self.random.random() < 0.5:
            del self._versions[ref]
        if anew:
            self.model.go(self.random, self.random.randrange(4))
            self._declare(ref)

    def _toggle(self, ref: Ref) -> None:
        if ref in self.model.slow:
            self.model.release(ref)
        else:
            self.model.slow.add(ref)


@pytest.mark.parametrize("seeds", batches(400), ids=str)
def test_every_history_ends(seeds: range) -> None:
    """Things refer to each other in every way, in rings too: each is gone or has an outcome of its declared version."""
    for seed in seeds:
        model = History(seed, rings=True).run()
        assert not model.unfinished(), f"seed {seed}\n{model}"


@pytest.mark.parametrize("seeds", batches(400), ids=str)
def test_without_rings_every_history_ends_and_nobody_is_in_one(seeds: range) -> None:
    """References lead one way only: all ends as above, and nobody fails because of a ring."""
    for seed in seeds:
        model = History(seed, rings=False).run()
        rings = [failure for failure in model.failures if "cycle" in failure[2]]
        assert not model.unfinished() and not rings, f"seed {seed}: {rings}\n{model}"


@pytest.mark.parametrize("seeds", batches(200), ids=str)
def test_without_rings_everything_that_can_be_built_is_built(seeds: range) -> None:
    """References lead one way only, all is declared in the end, nothing breaks or is deleted: nobody fails at last."""
    for seed in seeds:
        model = History(seed, rings=False, calm=True).run()
        outcomes = {ref: model.world.outcome(ref) for ref in model.world.refs()}
        failed = [str(ref) for ref, outcome in outcomes.items() if outcome is not None and outcome.error]
        assert not model.unfinished() and not failed, f"seed {seed}: {failed}\n{model}"
