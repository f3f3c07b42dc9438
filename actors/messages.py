"""Every message of Gatewright: a closed, immutable, versioned set.

Guarantees: each class is a frozen dataclass; its docstring says who sends it to whom; `WIRE_VERSION` changes
whenever a class or a member does, and the transport refuses frames of another version. Requests carry a `rid`
that is unique per requester; answers repeat it. Delivery is at most once: the requester owns id, deadline and
resend. `Address` is whatever the runtime uses as an actor's address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.core.errors import Failure
from actors.core.model import Action, JsonObject, Param, Ref
from actors.core.monitors import Target
from actors.core.options import Options
from actors.core.polling import PollAnswer, PollRequest
from actors.ports import Agent, Changes, Entry, Stacks, Store, WriteSet

WIRE_VERSION = 1

Address = Any

# ------------------------------------------------------------------------------- topology and supervision


@dataclass(frozen=True, slots=True)
class Wiring:
    """How an actor process makes its port: module-level functions, called in that process only."""

    store: Callable[[], Store]
    stacks: Callable[[], Stacks]
    agent: Callable[[], Agent]


@dataclass(frozen=True, slots=True)
class Boot:
    """run.py → Supervisor, and Supervisor → every process it creates: begin work.

    `owner` names this controller's boot; ownership in etcd is taken in its name.
    """

    options: Options
    wiring: Wiring
    owner: str


@dataclass(frozen=True, slots=True)
class Topology:
    """Supervisor → all processes, at start and after every restart of one: who is where now."""

    generation: int
    bridge: Address
    heat: tuple[Address, ...]
    snmp: tuple[Address, ...]
    shards: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Ping:
    """Supervisor → every process: are you alive?"""

    seq: int


@dataclass(frozen=True, slots=True)
class Pong:
    """Every process → Supervisor: yes, as this process id."""

    seq: int
    pid: int


@dataclass(frozen=True, slots=True)
class Tick:
    """A timer of the actor itself; `what` names it."""

    what: str


# ---------------------------------------------------------------------------------------------- the store


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Shard → EtcdBridge: send me everything below the mirrored prefixes, then every change.

    `epoch` numbers the subscriptions of one shard; answers of an older epoch are ignored.
    """

    shard: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """EtcdBridge → Shard: one page of what there is, as of `revision`; `last` closes it."""

    epoch: int
    first: bool
    last: bool
    revision: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Mirror:
    """EtcdBridge → Shard: changes of whole revisions, in order."""

    epoch: int
    changes: tuple[Changes, ...]


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """EtcdBridge → Shards and Supervisor: whether etcd answers and this controller owns its keys."""

    up: bool
    since: float
    reason: str


@dataclass(frozen=True, slots=True)
class Read:
    """ResourceActor → EtcdBridge: the present values of these keys."""

    rid: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadDone:
    """EtcdBridge → requester: what was found, all as of one revision."""

    rid: str
    revision: int
    entries: Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class Commit:
    """ResourceActor or Shard → EtcdBridge: write this set, if its guards hold."""

    rid: str
    write_set: WriteSet


@dataclass(frozen=True, slots=True)
class Committed:
    """EtcdBridge → requester: written, at `revision`."""

    rid: str
    revision: int


@dataclass(frozen=True, slots=True)
class Refused:
    """EtcdBridge → requester: not written. `failure` None: a guard did not hold, look again."""

    rid: str
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Apply:
    """run.py → Supervisor → EtcdBridge: write these declarations in this order, one revision each, as an
    API server would; only those whose value differs. The only writer of `/config` in this program.
    `reply_to` is filled in by the Supervisor."""

    rid: str
    documents: tuple[tuple[str, bytes], ...]
    reply_to: Address = None


@dataclass(frozen=True, slots=True)
class Applied:
    """EtcdBridge → run.py: how many declarations were written, or why not."""

    rid: str
    written: int
    failure: Failure | None = None


# ------------------------------------------------------------------------------------------ one resource


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
    """Shard → ResourceActor and DeviceActor: a pool member was replaced; resend what it held."""


@dataclass(frozen=True, slots=True)
class Report:
    """ResourceActor → Shard: where this resource is and why. `stage` is a `core.machine.State` value;
    `seconds` maps a kind of time (own, waiting, heat, device) to what was spent so far."""

    ref: Ref
    version: int
    stage: str
    reason: str
    seconds: Mapping[str, float]
    error: str = ""
    awaits: tuple[Ref, ...] = ()


@dataclass(frozen=True, slots=True)
class Settled:
    """ResourceActor → Shard: nothing left to do for this version; I may be passivated."""

    ref: Ref
    version: int


# -------------------------------------------------------------------------------------------------- Heat


@dataclass(frozen=True, slots=True)
class HeatRequest:
    """ResourceActor → HeatActor: bring this stack to this version, or away.

    Idempotent: it may be sent again, to any member of the pool, at any time.
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
    """HeatActor → requester: it did not work out, sorted by class."""

    rid: str
    failure: Failure


# -------------------------------------------------------------------------------------------- monitoring


@dataclass(frozen=True, slots=True)
class RenderMonitors:
    """ResourceActor → SnmpPollerActor: render a monitoring document into targets (contract 6.1)."""

    rid: str
    ref: Ref
    template_id: str
    template: str
    params: tuple[Param, ...]
    outputs: Mapping[Ref, tuple[JsonObject, ...]]


@dataclass(frozen=True, slots=True)
class MonitorsRendered:
    """SnmpPollerActor → requester: the targets, or why there are none to be had."""

    rid: str
    targets: tuple[Target, ...]
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Register:
    """ResourceActor → Shard: watch these targets in the name of `ref` at `version`, replacing older ones."""

    ref: Ref
    version: int
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Unregister:
    """ResourceActor → Shard: stop watching for `ref`."""

    ref: Ref


@dataclass(frozen=True, slots=True)
class WatchTarget:
    """Shard → DeviceActor (through the device's shard): poll this target and tell `reply_to`."""

    ref: Ref
    version: int
    target: Target
    reply_to: Address


@dataclass(frozen=True, slots=True)
class UnwatchTargets:
    """Shard → DeviceActor (through the device's shard): `ref` is not interested any more in that device."""

    ref: Ref
    device: str


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """DeviceActor → the registering Shard → the live ResourceActor, if any: a confirmed status."""

    ref: Ref
    version: int
    name: str
    status: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DeviceBegin:
    """Shard → a DeviceActor it just created: the device, and the shard's desk."""

    device: str
    desk: Any


@dataclass(frozen=True, slots=True)
class SnmpPoll:
    """DeviceActor → SnmpPollerActor: ask this device once."""

    rid: str
    request: PollRequest


@dataclass(frozen=True, slots=True)
class SnmpAnswer:
    """SnmpPollerActor → DeviceActor: what it said, or that it is silent."""

    rid: str
    answer: PollAnswer


# ------------------------------------------------------------------------------------------------ asking


@dataclass(frozen=True, slots=True)
class StatusQuery:
    """run.py → Supervisor → every Shard: how do things stand? At most `limit` rows, unfinished ones first."""

    rid: str
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class ResourceStatus:
    """One row of a status: plain values only. `seconds`: what was spent, by kind; `own` is ours. `seen`: all
    its targets are known and written to `/monitoring`, or it has none."""

    ref: Ref
    version: int
    stage: str
    reason: str
    in_stage_s: float
    seconds: Mapping[str, float]
    error: str
    monitoring: Mapping[str, str]
    seen: bool = True


@dataclass(frozen=True, slots=True)
class StatusReply:
    """Shard → Supervisor, and for all shards together Supervisor → run.py. `counts`: resources by stage,
    all of them; `problems`: values in etcd that cannot be read; `ready`: the mirror is complete."""

    rid: str
    ready: bool
    store: str
    counts: Mapping[str, int]
    rows: tuple[ResourceStatus, ...]
    problems: tuple[str, ...]
    pids: Mapping[str, int] = field(default_factory=dict)
