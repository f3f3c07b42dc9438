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

#: So many make a tangle of their own, and to so many of the others one refers, at most.
_SIZE = 5
_REFERENCES_MAX = 2
#: Most updates come in this many hot moments of so many seconds.
_HOT, _HOT_S = 3, 4.0
#: So many seconds before a knot all who are in it are to be without references.
_KNOT_S = 20.0


class Tangle:
    """Draws the operations of `count` of them: (when, what, of whom, with which body), in no order."""

    def __init__(self, dice: Dice, count: int, duration_s: float, tenants: Sequence[str]) -> None:
        self._dice = dice
        self._refs = [Ref("mesh", f"mesh{number}") for number in range(count)]
        self._duration_s = duration_s
        self._tenants = tenants
        self._hot: list[float] = []
        self.ops: list[tuple[float, str, Ref, dict[str, Json]]] = []

    def run(self) -> None:
        """Fill `ops`."""
        dice, refs = self._dice, self._refs
        self._op(0.0, "add_template", Ref("", ""), name="mesh")
        spread = dice.one((0.0, 5.0, 20.0))
        self._hot = [spread / 2, *(dice.between(0.0, self._duration_s) for _ in range(_HOT - 1))]
        bodies = {ref: self._body(number) for number, ref in enumerate(refs)}
        for ref, body in bodies.items():
            self._op(dice.unit() * spread, "declare", ref, **body)
        for _ in range(2 * len(refs)):
            self._burst()
        for _ in range(len(refs) // 2):
            self._knot()
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
            found[dice.one(refs[number // _SIZE * _SIZE :][:_SIZE]).id] = None
        found.pop(refs[number].id, None)
        return list(found)

    def _knot(self) -> None:
        """An update waits for its user, that for a producer, and this, declared once more before it has begun, comes to
        need the update: of the three only the update can give way. A fourth is what all of them waited for at first."""
        dice, first = self._dice, self._dice.below(len(self._refs)) // _SIZE * _SIZE
        if len(self._refs) < first + 4:
            return
        slow, producer, user, update = dice.shuffled(self._refs[first : first + _SIZE])[:4]
        at, soon = dice.between(0.0, self._duration_s), dice.one((0.0, 0.05, 0.5))
        for ref in (slow, producer, user, update):
            self._op(at - _KNOT_S, "touch", ref, up_ids=[])
        self._op(at, "touch", slow, note="knot")
        self._op(at, "touch", producer, up_ids=[slow.id])
        self._op(at, "touch", user, up_ids=[producer.id, update.id])
        self._op(at + soon, "touch", update, note="knot")
        self._op(at + 2 * soon, "touch", producer, up_ids=[update.id])

    def _burst(self) -> None:
        """One to four neighbours are updated at about the same time, most to other references."""
        dice, refs = self._dice, self._refs
        first = dice.below(len(refs))
        at = dice.one(self._hot) + _HOT_S * dice.unit()
        if dice.chance(0.2):
            at = dice.between(0.0, self._duration_s)
        for number in range(first, min(len(refs), first + 1 + dice.below(4))):
            when = at + dice.one((0.0, 0.0, 0.001, 0.3))
            if dice.chance(0.75):
                self._op(when, "touch", refs[number], up_ids=self._ups(number))
            else:
                self._op(when, "touch", refs[number], note=f"n{dice.below(5)}")
