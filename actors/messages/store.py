"""The store: mirroring, reading, writing and declaring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.core.errors import Failure
from actors.ports import Changes, Entry, WriteSet

Address = Any


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Shard → EtcdBridge: send me everything below the mirrored prefixes, then every change.

    `epoch` numbers the subscriptions of one shard; answers of an older epoch are ignored.
    """

    shard: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """EtcdBridge → Shard: one page of what there is, as of `revision`; `number` counts from 1, `last` closes it."""

    epoch: int
    number: int
    last: bool
    revision: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class More:
    """Shard → EtcdBridge: this page is taken, send what follows."""

    shard: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Mirror:
    """EtcdBridge → Shard: changes of whole revisions, in order. `number` counts these messages since the listing,
    so that a lost one is noticed; one without changes is a sign of life and repeats the last number."""

    epoch: int
    number: int
    changes: tuple[Changes, ...]


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """EtcdBridge → Shards: whether etcd answers and this controller is a member, and since when that is so
    (seconds of the runtime's clock). `conditions`: name → text of what is wrong besides, such as NoSpace."""

    up: bool
    since: float
    reason: str
    conditions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Owned:
    """EtcdBridge → Shards and HeatActors: the virtual shards that this controller owns, each with the term of its
    ownership.

    A term that differs from the one before means that somebody else may have owned it in between. `leaving`: those
    of them that are about to be given to another controller: no new job is begun there; `round` numbers the sets.
    `newest`: the highest term that this controller has had so far; of ownerships that are later this says nothing.
    """

    terms: Mapping[int, int]
    leaving: frozenset[int] = frozenset()
    round: int = 0
    newest: int = 0


@dataclass(frozen=True, slots=True)
class Rested:
    """Shard, HeatActor → EtcdBridge: of what leaves with that round nothing is being recorded, or asked of Heat."""

    round: int


@dataclass(frozen=True, slots=True)
class Tenure:
    """EtcdBridge → HeatActors, at every change and several times within the lease: as `Owned` without what leaves,
    and until when on the runtime's clock the lease certainly lasts."""

    terms: Mapping[int, int]
    until: float


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
    """ResourceActor or Shard → EtcdBridge: write this set, if its guards hold and while we own the virtual
    shard of the resource, without a break since the term under which the write was decided."""

    rid: str
    write_set: WriteSet
    vshard: int
    term: int


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
    API server would (`core.keys.declare`); with `only_missing` nothing that is there is changed. The only writer
    of `/config` in this program. `reply_to` is filled in by the Supervisor."""

    rid: str
    documents: tuple[tuple[str, bytes], ...]
    only_missing: bool = False
    reply_to: Address = None


@dataclass(frozen=True, slots=True)
class Applied:
    """EtcdBridge → run.py: how many declarations were written, or why not."""

    rid: str
    written: int
    failure: Failure | None = None
