"""Resources that refer to one another in every way, and whose references change all the time.

Guarantees: drawn from dice of its own, so that it changes nothing of a workload to which it is added; diamonds, long
ways round, references in both directions one after the other, bursts of updates of several that hang together, and
references to what is not declared yet or is going. That what is declared at one moment makes no ring is the business
of the API server: rings come from versions that were planned one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.core.model import Json, Ref
from sim.dice import Dice

#: So many of three references lead to what was drawn before; the others to anything.
_BACKWARDS = 0.7
_REFERENCES_MAX = 3


class Tangle:
    """Draws the operations of `count` of them: (when, what, of whom, with which body), in no order."""

    def __init__(self, dice: Dice, count: int, duration_s: float, tenants: Sequence[str]) -> None:
        self._dice = dice
        self._refs = [Ref("mesh", f"mesh{number}") for number in range(count)]
        self._duration_s = duration_s
        self._tenants = tenants
        self.ops: list[tuple[float, str, Ref, dict[str, Json]]] = []

    def run(self) -> None:
        """Fill `ops`."""
        dice, refs = self._dice, self._refs
        self._op(0.0, "add_template", Ref("", ""), name="mesh")
        spread = dice.one((0.0, 5.0, 20.0))
        bodies = {ref: self._body(number) for number, ref in enumerate(refs)}
        for ref, body in bodies.items():
            self._op(dice.unit() * spread, "declare", ref, **body)
        for _ in range(2 * len(refs)):
            self._burst(spread)
        for _ in range(len(refs) // 2):
            ref, at = dice.one(refs), dice.between(0.0, self._duration_s)
            self._op(at, dice.one(("mark", "mark", "vanish", "oust", "drop")), ref)
            self._op(at + dice.one((0.0, 0.001, 2.0, 30.0)), "declare", ref, **bodies[ref])

    def _op(self, at: float, kind: str, ref: Ref, **body: Json) -> None:
        self.ops.append((at, kind, ref, body))

    def _body(self, number: int) -> dict[str, Json]:
        ref = self._refs[number]
        body: dict[str, Json] = {"id": ref.id, "tenant_id": self._dice.one(self._tenants), "note": "n0"}
        return {**body, "up_ids": self._ups(number)}

    def _ups(self, number: int) -> list[Json]:
        dice, refs = self._dice, self._refs
        found = dict[Json, None]()
        for _ in range(dice.below(_REFERENCES_MAX + 1)):
            before = refs[max(0, number - 6) : number]
            other = dice.one(before) if before and dice.chance(_BACKWARDS) else dice.one(refs)
            found[other.id] = None
        found.pop(refs[number].id, None)
        return list(found)

    def _burst(self, spread: float) -> None:
        """One to four neighbours are updated at about the same time, some to other references."""
        dice, refs = self._dice, self._refs
        first = dice.below(len(refs))
        at = dice.between(0.0, self._duration_s) if dice.chance(0.6) else dice.between(0.0, spread + 1.0)
        for number in range(first, min(len(refs), first + 1 + dice.below(4))):
            when = at + dice.one((0.0, 0.0, 0.001, 0.3))
            if dice.chance(0.6):
                self._op(when, "touch", refs[number], up_ids=self._ups(number))
            else:
                self._op(when, "touch", refs[number], note=f"n{dice.below(5)}")
