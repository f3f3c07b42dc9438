"""The promises of the product (research D.2), each a class whose docstring is the promise.

Liveness (D.2.9) is checked by the run itself (`sim.world`), as it is about time: `Stuck`; so are exceptions in
handlers and impossible events: `Crashed`.
"""

from __future__ import annotations

from sim.invariants.base import Crashed, Invariant, Stuck, Violation
from sim.invariants.building import Dependencies, OneStack, Patience
from sim.invariants.resting import Bounds, Explained, NoOrphan, Outcomes
from sim.invariants.steering import Paused, Requested
from sim.invariants.writing import (
    Fencing,
    FewWrites,
    NoLies,
    OneOutcome,
    SingleWriter,
    StateBeforeMonitoring,
    VersionOrder,
)

ALL: tuple[type[Invariant], ...] = (
    SingleWriter,
    Fencing,
    VersionOrder,
    OneOutcome,
    StateBeforeMonitoring,
    NoLies,
    OneStack,
    Dependencies,
    NoOrphan,
    Outcomes,
    Bounds,
    Patience,
    FewWrites,
    Explained,
    Paused,
    Requested,
)

__all__ = ["ALL", "Crashed", "Invariant", "Paused", "Stuck", "Violation"]
