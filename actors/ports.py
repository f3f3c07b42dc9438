"""The four ports through which the actors reach the world, and the values that pass through them.

`Store` (etcd), `Stacks` (Heat), `Agent` (SNMP) and `Clock`. Each has a real adapter under `adapters/` and a
fake under `sim/`; one contract suite runs over both. Every method raises `core.errors.PortError` and nothing
else for what the backend does; a programming error stays what it is.

`Store` and `Stacks` block and are called from worker threads only; `Agent` is asynchronous.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

from actors.core.model import JsonObject
from actors.core.readings import Point
from actors.core.tracing import TraceSpan


class Clock(Protocol):
    """Monotonic time. Nothing is ever decided by a wall clock."""

    def now(self) -> float:
        """Seconds since an arbitrary start, never going back."""


# ------------------------------------------------------------------------------------------------- Store


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value, the revision at which it was last written, and the one that created it."""

    key: str
    value: bytes
    mod_revision: int
    create_revision: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries of a prefix, in key order, all as of `revision`. `more`: there are keys after these."""

    entries: tuple[Entry, ...]
    revision: int
    more: bool


@dataclass(frozen=True, slots=True)
class Put:
    """Set `key` to `value`."""

    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove `key`; no error if it is not there."""

    key: str


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition: `key` was last written at `mod_revision` (0: it does not exist)."""

    key: str
    mod_revision: int


@dataclass(frozen=True, slots=True)
class WriteSet:
    """Writes that happen together or not at all, and only if every guard holds. No key twice."""

    writes: tuple[Put | Delete, ...]
    guards: tuple[Guard, ...] = ()


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What one transaction of several write sets did.

    `accepted[i]` tells whether the guards of set i held; sets whose guards failed wrote nothing and did not hinder
    their neighbours.
    """

    revision: int
    accepted: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """All changes of one or more whole revisions, in order; never a part of a revision."""

    revision: int
    puts_and_deletes: tuple[Entry | Delete, ...]


@dataclass(frozen=True, slots=True)
class Compacted:
    """History is gone (or it is another store): the consumer must list again and compare. The watch ended."""

    reason: str


@dataclass(frozen=True, slots=True)
class Down:
    """The watch has no connection at present; it goes on trying and resumes without loss."""

    reason: str


@dataclass(frozen=True, slots=True)
class Up:
    """The watch is (again) established; nothing was lost."""

    revision: int


WatchEvent = Changes | Compacted | Down | Up


class Watch(Protocol):
    """A running watch."""

    def cancel(self) -> None:
        """Stop it; no event is delivered after this returned, or at most one that was under way."""


class Session(Protocol):
    """A lease that is kept alive in the background; the keys taken through it vanish with it."""

    def valid(self) -> bool:
        """Local and conservative: False before the store could have expired the lease, and then for ever."""

    def left_s(self) -> float:
        """Seconds for which it stays valid even if the store is not reached again; 0 once it is not valid."""

    def take(self, keys: Sequence[str], owner: str) -> Mapping[str, Entry]:
        """Put `owner` under those keys that are free or hold `owner` already (an earlier life of ours, or we
        ourselves: whatever is guarded by the former revision fails from now on). Returns the entries of those
        taken; another owner holds the others. `create_revision` stays as long as nobody else had the key in
        between. Safe to repeat after IN_DOUBT. Raises NOT_FOUND/LeaseNotFound when the lease has ended."""

    def end(self) -> None:
        """Give everything up at once. Raises PortError if others must await the expiry."""


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """A server as it sees itself. `bytes_in_use`: of its database, without free space; `alarms`: such as NOSPACE.

    `version` is "" and `bytes_in_use` 0 where it tells them to the user root only (etcd 3.4.42, 3.5.28 and later).
    """

    version: str
    bytes_in_use: int
    alarms: tuple[str, ...] = ()


class Store(Protocol):
    """etcd, as far as we use it. Keys are text, values bytes. Every call has a deadline of its own."""

    def page(self, prefix: str, *, after: str = "", limit: int = 2000, revision: int = 0) -> Page:
        """At most `limit` entries under `prefix` with keys > `after`, as of `revision` (0: now)."""

    def read(self, keys: Sequence[str]) -> tuple[int, Mapping[str, Entry]]:
        """The present entries of these keys, all as of one revision, and that revision."""

    def commit(self, sets: Sequence[WriteSet]) -> CommitResult:
        """Write all sets in one transaction, each on its own condition.

        Raises PortError(IN_DOUBT) if the answer was lost: the writes may have happened.
        """

    def watch(self, prefix: str, *, revision: int, sink: Callable[[WatchEvent], None]) -> Watch:
        """Deliver every change under `prefix` after `revision`, in order, to `sink` (called on a foreign thread)."""

    def session(self, ttl_s: float) -> Session:
        """A lease of at least `ttl_s` seconds, kept alive from now on."""

    def compact(self, revision: int) -> None:
        """Forget history before `revision`; no error if that is done already."""

    def status(self) -> StoreStatus:
        """The server that answers."""

    def version(self) -> str:
        """The server's version."""

    def close(self) -> None:
        """End watches, leases and connections."""


# ------------------------------------------------------------------------------------------------ Stacks


@dataclass(frozen=True, slots=True)
class StackSpec:
    """A stack as it should be. `template` is a HOT document; `timeout_min` is Heat's `timeout_mins`. `secrets`: texts
    in the template that nobody may see, besides the parameters that it hides."""

    tenant: str
    name: str
    template: JsonObject
    parameters: JsonObject
    timeout_min: int
    tags: tuple[str, ...] = ()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack as Heat shows it. `action` CREATE|UPDATE|DELETE|…, `status` IN_PROGRESS|COMPLETE|FAILED."""

    id: str
    name: str
    action: str
    status: str
    reason: str = ""
    tags: tuple[str, ...] = ()
    outputs: tuple[JsonObject, ...] = ()
    #: When Heat last changed it, in Heat's own words; "" if never since its creation.
    updated: str = ""
    #: As Heat shows them, hidden ones as stars; `get` only.
    parameters: JsonObject = field(default_factory=dict)


#: The correlation id of the request that this thread is about to make, `req-<uuid>`; "" for none.
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")


class Stacks(Protocol):
    """Heat, as far as we use it. `tenant` is the project id of contract 5.2; "" is the admin project (10.19)."""

    def find(self, tenant: str, *names: str) -> tuple[Stack, ...]:
        """All living stacks of exactly these names, oldest first (Heat does not keep names unique): one
        request. At most some 60 names: they travel in a URL."""

    def create(self, spec: StackSpec) -> str:
        """Begin a create; returns Heat's stack id. Raises CONFLICT/StackExists, IN_DOUBT when it may exist."""

    def update(self, spec: StackSpec, stack_id: str) -> None:
        """Begin an update of that very stack."""

    def delete(self, tenant: str, name: str, stack_id: str) -> None:
        """Begin a delete. A stack that is gone is no error."""

    def in_progress(self, tenant: str) -> frozenset[str]:
        """Ids of all stacks of the tenant that are IN_PROGRESS: one request for all of them."""

    def get(self, tenant: str, name: str, stack_id: str, *, outputs: bool) -> Stack:
        """One stack. Raises NOT_FOUND only if Heat says that this stack is gone."""


# ------------------------------------------------------------------------------------------------- Agent


@dataclass(frozen=True, slots=True)
class DeviceAddress:
    """Where an agent listens, and the *name* of the community to use (the secret is the adapter's)."""

    host: str
    port: int = 161
    community_name: str = ""


@dataclass(frozen=True, slots=True)
class AgentTimeouts:
    """How long to wait for one answer and how often to ask again."""

    timeout_s: float = 1.0
    retries: int = field(default=2)


class Agent(Protocol):
    """SNMP v2c. OIDs are dotted text without a leading dot.

    Values: int for INTEGER, TimeTicks, Counter and Gauge; bytes for OCTET STRING; None for noSuchObject,
    noSuchInstance and endOfMibView; text (dotted) for OBJECT IDENTIFIER and IpAddress.
    """

    async def get(self, device: DeviceAddress, oids: Sequence[str]) -> Mapping[str, int | bytes | str | None]:
        """The values of these OIDs, matched by OID, never by position.

        Raises PortError: TRANSIENT/Timeout for silence, TERMINAL/TooBig if the agent says so, TERMINAL/Malformed.
        """

    async def walk(self, device: DeviceAddress, root: str) -> Mapping[str, int | bytes | str | None]:
        """Everything under `root`. Raises like `get`; never loops for ever, whatever the agent answers."""

    def counters(self) -> Mapping[str, int]:
        """What was noticed on the wire so far: `refused` (datagrams that were no answer: late, forged, unreadable),
        `repeated` (requests sent again), `late` (timers that fired late, for lack of processor), `moved` (v3 devices
        asked anew for their engine id). From any thread."""

    def close(self) -> None:
        """Close sockets; outstanding requests fail."""


# ---------------------------------------------------------------------------------------------- PointSink


class PointSink(Protocol):
    """A time-series store for measured values (contract 6.9). Never blocks, never raises."""

    def offer(self, at_s: float, points: Iterable[Point]) -> None:
        """Hand over points measured at `at_s` (seconds since 1970); what cannot be taken is dropped."""

    def close(self) -> None:
        """End the background work."""


# ----------------------------------------------------------------------------------------------- SpanSink


class SpanSink(Protocol):
    """A collector of traces. Never blocks, never raises."""

    def offer(self, spans: tuple[TraceSpan, ...]) -> None:
        """Hand over the spans of one version; what cannot be taken is dropped."""

    def counters(self) -> Mapping[str, int]:
        """Spans so far: `exported` (the collector took them) and `dropped`."""

    def close(self) -> None:
        """End the background work; what waits is sent if that takes no more than about a second."""
