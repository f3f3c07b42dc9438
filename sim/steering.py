"""The operator of a simulation: pauses and resumes, has resources built once more, and tries again what failed.

Guarantees: drawn from dice of its own, so that it changes nothing of a workload to which it is added; what it writes
is what the commands write (`actors.cli.steering`), of resources that are declared at that moment. Does not wait for
anything, and knows nothing of the product.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from actors.core import keys
from actors.core.keys import TypeTable
from actors.core.model import Json, Ref
from actors.ports import Delete, Put, WriteSet
from sim import catalog
from sim.dice import Dice

if TYPE_CHECKING:
    from sim.api_server import Agenda, Declaration, Etcd

_TYPES = TypeTable(catalog.TYPES)
_BY = b'{"by": "sim"}'
#: The longest pause in the midst of a workload, in seconds.
PAUSE_S = 40.0


class Steering:
    """Draws what an operator does to these resources: (when, "steer", of whom, what), in no order."""

    def __init__(self, dice: Dice, refs: Sequence[Ref], duration_s: float, tenants: Sequence[str]) -> None:
        self._dice = dice
        self._refs = refs
        self._duration_s = duration_s
        self._tenants = tenants
        self.ops: list[tuple[float, str, Ref, dict[str, Json]]] = []

    def run(self) -> None:
        """Fill `ops`."""
        dice = self._dice
        for _ in range(len(self._refs) // 2):
            ref, at = dice.one(self._refs), dice.unit() * self._duration_s
            for _ in range(dice.one((1, 1, 1, 3))):  # the impatient ask more than once
                self._op(at, ref, what="reconcile")
                at += dice.one((0.0, 0.05, 3.0))
        for _ in range(3):
            self._op(dice.unit() * self._duration_s, Ref("", ""), what="retry")
        for _ in range(1 + len(self._refs) // 6):
            ref, at, lasts_s = dice.one(self._refs), dice.unit() * self._duration_s, dice.unit() * PAUSE_S
            scope = dice.one(
                (
                    "all",
                    f"type/{ref.type}",
                    f"tenant/{dice.one(self._tenants)}",
                    *3 * (f"resource/{_TYPES.path(ref)}",),
                )
            )
            about = ref if scope.startswith("resource/") else Ref("", "")
            self._op(at, about, what="pause", scope=scope)
            self._op(at + lasts_s, about, what="resume", scope=scope)
        if dice.chance(0.3):  # and it stays so until the weather is calm
            scope = dice.one(("all", f"type/{dice.one(self._refs).type}"))
            self._op(self._duration_s, Ref("", ""), what="pause", scope=scope)

    def _op(self, at: float, ref: Ref, **body: Json) -> None:
        self.ops.append((at, "steer", ref, body))


class Operator:
    """Does it. `paused`: scope → since when; `asked`: whatever was ever to be built once more."""

    def __init__(self, host: Agenda, etcd: Etcd, declared: Mapping[Ref, Declaration]) -> None:
        self._host = host
        self._etcd = etcd
        self._declared = declared
        self.paused: dict[str, float] = {}
        self.asked: set[Ref] = set()

    def steer(self, ref: Ref, what: str, scope: str = "") -> None:
        """One command now; what makes no sense at this moment is left out."""
        if what == "pause":
            self.pause(scope)
        elif what == "resume":
            self.resume(scope)
        elif what == "retry":
            self._request([one for one in self._declared if self._failed(one)])
        elif ref in self._declared:
            self._request([ref])

    def pause(self, scope: str) -> None:
        """No new job of what it covers."""
        self._etcd.commit([WriteSet((Put(keys.PAUSE + scope, _BY),))])
        self.paused.setdefault(scope, self._host.now)

    def resume(self, scope: str) -> None:
        """It may go on; no error if it was not paused."""
        if self.paused.pop(scope, None) is not None:
            self._etcd.commit([WriteSet((Delete(keys.PAUSE + scope),))])

    def resume_all(self) -> None:
        """Nothing is paused any more."""
        for scope in list(self.paused):
            self.resume(scope)

    def paused_since(self, ref: Ref) -> float | None:
        """Since when something covers it; None: nothing does."""
        declared = self._declared.get(ref)
        scopes = ["all", f"type/{ref.type}", f"resource/{_TYPES.path(ref)}"]
        if declared is not None:
            scopes.append(f"tenant/{declared.body['tenant_id']}")
        return min((self.paused[scope] for scope in scopes if scope in self.paused), default=None)

    def _request(self, refs: Sequence[Ref]) -> None:
        self.asked.update(refs)
        for ref in refs:
            self._etcd.commit([WriteSet((Put(keys.RECONCILE + _TYPES.path(ref), _BY),))])

    def _failed(self, ref: Ref) -> bool:
        entry = self._etcd.get(keys.STATE + _TYPES.path(ref))
        return entry is not None and bool(json.loads(entry.value).get("error"))
