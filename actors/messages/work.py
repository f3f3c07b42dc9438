"""One resource and its jobs: shard, actor and the Heat pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.core.errors import Failure
from actors.core.model import Action, JsonObject, Param, Ref

Address = Any


@dataclass(frozen=True, slots=True)
class Begin:
    """Shard → a ResourceActor it just created (in its own process): work for `ref`, with this desk.

    `desk` is the shard's `actors.desk.Desk`: read access to the mirror and the topology.
    """

    ref: Ref
    desk: Any


@dataclass(frozen=True, slots=True)
class Nudge:
    """Shard → ResourceActor: something it depends on or its own declaration changed; look again."""


@dataclass(frozen=True, slots=True)
class PoolChanged:
    """Shard → ResourceActor and DeviceActor: the bridge or a pool member was replaced; ask again what it was
    asked. `bridge`: which of the two."""

    bridge: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """ResourceActor → Shard: where this resource is and why. `stage` is a `core.machine.State` value;
    `seconds` maps a kind of time (own, waiting, heat, device) to what was spent so far; `revision` is that of
    the mirror at which `awaits` was found."""

    ref: Ref
    version: int
    stage: str
    reason: str
    seconds: Mapping[str, float]
    error: str = ""
    awaits: tuple[Ref, ...] = ()
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Settled:
    """ResourceActor → Shard: nothing left to do for this version; I may be passivated. `again`: but the resource
    is not declared any more, so what is recorded of it is to be looked at once more. `created`: the revision at which
    the declaration that I know was first written (0: I know of none), so that a new life is not taken for the old.
    `unmet`: an operator's request was read that cannot be met."""

    ref: Ref
    version: int
    again: bool = False
    created: int = 0
    unmet: bool = False


@dataclass(frozen=True, slots=True)
class HeatRequest:
    """ResourceActor → HeatActor: bring this stack to this version, or away.

    Idempotent: it may be sent again, to any member of the pool, at any time. `again`: this version has an outcome
    already, so a stack that looks as if it were at it is updated all the same. `bygone`: a later version at which
    the stack may be, of a former life of the resource. `term`: that of the ownership under which it is asked, 0:
    unfenced (`messages.Tenure`).
    """

    rid: str
    ref: Ref
    version: int
    action: Action
    tenant: str
    template_id: str
    template: str
    params: tuple[Param, ...]
    outputs: Mapping[Ref, tuple[JsonObject, ...]]
    again: bool = False
    bygone: int = 0
    term: int = 0


@dataclass(frozen=True, slots=True)
class HeatProgress:
    """HeatActor → requester: still at it; `status` is what Heat said last. Sent at least every 10 s."""

    rid: str
    status: str


@dataclass(frozen=True, slots=True)
class HeatDone:
    """HeatActor → requester: the stack is as wanted. `outputs` verbatim (contract 5.4)."""

    rid: str
    status: str
    reason: str
    outputs: tuple[JsonObject, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HeatFailed:
    """HeatActor → requester: it did not work out, sorted by class. `shown`: the stack is at this later version."""

    rid: str
    failure: Failure
    shown: int = 0
