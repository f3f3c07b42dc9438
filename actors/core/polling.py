"""What to ask a device by SNMP, and what to believe of its answer (contract 6.2, 6.5, 6.7).

Guarantees: a port is known by its ifName, and a status is believed only if the same PDU shows that the row
still bears that name and that the agent neither restarted nor changed its interface table (research: index
swaps are invisible otherwise). Silence, odd types and values out of range become UNKNOWN, never DOWN.
Does not confirm changes over time (that is `core.observing`) and does no I/O (`actors.snmp_poll` does).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

SYS_UP_TIME: Final = "1.3.6.1.2.1.1.3.0"
IF_TABLE_LAST_CHANGE: Final = "1.3.6.1.2.1.31.1.5.0"
IF_NAME: Final = "1.3.6.1.2.1.31.1.1.1.1"
IF_OPER_STATUS: Final = "1.3.6.1.2.1.2.2.1.8"
VRRP_OPER_STATE: Final = "1.3.6.1.2.1.68.1.3.1.3"
BGP_PEER_STATE: Final = "1.3.6.1.2.1.15.3.1.2"

UP: Final = "UP"
DOWN: Final = "DOWN"
#: The device did not say, or said nothing that can be believed.
UNKNOWN: Final = "UNKNOWN"
#: The device says that there is no such port, virtual router or peer.
NOT_FOUND: Final = "NOT_FOUND"

PORT_STATES: Final[Mapping[int, str]] = {1: UP, 2: DOWN, 3: DOWN, 4: UNKNOWN, 5: DOWN, 6: DOWN, 7: DOWN}
VRRP_STATES: Final[Mapping[int, str]] = {1: "INITIALIZE", 2: "BACKUP", 3: "MASTER"}
BGP_STATES: Final[Mapping[int, str]] = {
    1: "IDLE",
    2: "CONNECT",
    3: "ACTIVE",
    4: "OPENSENT",
    5: "OPENCONFIRM",
    6: "ESTABLISHED",
}
_LIVE: Final = frozenset({UP, "MASTER", "BACKUP", "ESTABLISHED"})

#: Rows per PDU: 25 rows of two values and the header stay under 1,400 bytes.
FULL_CHUNK: Final = 25

#: What the `Agent` port returns for one OID.
Value = int | bytes | str | None
Reply = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class PortQuery:
    """A port wanted by ifName. `index`: the ifIndex it had last time, None when not known."""

    name: str
    index: int | None = None


@dataclass(frozen=True, slots=True)
class VrrpQuery:
    """A virtual router on the interface of that ifName. `index` as in PortQuery; no part of its identity."""

    interface: str
    vrid: int
    index: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class BgpQuery:
    """A BGP session by the peer's dotted IPv4 address."""

    peer: str


@dataclass(frozen=True, slots=True)
class Epoch:
    """What tells one life of an agent's interface table from another (1/100 s; None: not readable)."""

    uptime_ticks: int | None = None
    table_last_change: int | None = None

    def moved_to(self, seen: Epoch) -> str:
        """Why indexes learned in this epoch are void in `seen`; "" if they are not.

        The wrap of sysUpTime after 497 days looks like a restart: it costs one needless walk.
        """
        if None not in (self.uptime_ticks, seen.uptime_ticks) and seen.uptime_ticks < self.uptime_ticks:  # type: ignore[operator]
            return "the agent restarted"
        if (
            None not in (self.table_last_change, seen.table_last_change)
            and seen.table_last_change != self.table_last_change
        ):
            return "the interface table changed"
        return ""

    def then(self, seen: Epoch) -> Epoch:
        """`seen`, with what it does not tell taken from here."""
        return Epoch(
            self.uptime_ticks if seen.uptime_ticks is None else seen.uptime_ticks,
            self.table_last_change if seen.table_last_change is None else seen.table_last_change,
        )


@dataclass(frozen=True, slots=True)
class PollRequest:
    """One poll of one device: everything that is wanted of it, with what the last answer taught.

    `epoch`, the indexes in the queries and `chunk` come from the last PollAnswer. `may_walk` False: names
    without an index stay UNKNOWN instead of costing a walk of ifName (the asker limits the rate of walks).
    `wants_uptime` says that the device itself is a target; sysUpTime is asked in any case.
    """

    host: str
    port: int = 161
    community_name: str = ""
    ports: tuple[PortQuery, ...] = ()
    vrrp: tuple[VrrpQuery, ...] = ()
    bgp: tuple[BgpQuery, ...] = ()
    epoch: Epoch | None = None
    wants_uptime: bool = True
    may_walk: bool = True
    chunk: int = FULL_CHUNK

    def cached(self) -> dict[str, int | None]:
        """name → ifIndex as the queries know it."""
        known: dict[str, int | None] = {query.name: query.index for query in self.ports}
        for query in self.vrrp:
            if known.get(query.interface) is None:
                known[query.interface] = query.index
        return known


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """What one poll found.

    `reachable`: the device answered at all; if not, every status is UNKNOWN and `reason` says why. Keep
    `epoch`, `indexes` (name → ifIndex or None) and `chunk` for the next request. `ports` is by name,
    `vrrp` by query, `bgp` by peer. `reindexed`: ifName was walked. `reason` also explains UNKNOWNs of a
    reachable device; it holds no secret.
    """

    reachable: bool
    reason: str = ""
    epoch: Epoch | None = None
    indexes: Mapping[str, int | None] = field(default_factory=dict)
    ports: Mapping[str, str] = field(default_factory=dict)
    vrrp: Mapping[VrrpQuery, str] = field(default_factory=dict)
    bgp: Mapping[str, str] = field(default_factory=dict)
    reindexed: bool = False
    chunk: int = FULL_CHUNK

    @property
    def device(self) -> str:
        """UP when sysUpTime was readable in this poll, else UNKNOWN (contract 6.7)."""
        return UP if self.reachable and self.epoch and self.epoch.uptime_ticks is not None else UNKNOWN


@dataclass(frozen=True, slots=True)
class Row:
    """One wanted value. `name` is the ifName that the row of `index` must still bear ("": no interface)."""

    query: PortQuery | VrrpQuery | BgpQuery
    value_oid: str
    name: str = ""
    index: int = 0

    @property
    def name_oid(self) -> str:
        """Where the row's ifName stands."""
        return f"{IF_NAME}.{self.index}"


@dataclass(frozen=True, slots=True)
class Look:
    """What one PDU said. `distrust`: why nothing of it may be believed, "" when it may."""

    epoch: Epoch
    statuses: Mapping[Row, str]
    distrust: str = ""


#: name → the ifIndexes of all rows of that name, ascending.
Candidates = Mapping[str, Sequence[int]]


def candidates_of(cached: Mapping[str, int | None]) -> Candidates:
    """Cached indexes as candidates; names without an index have none."""
    return {name: () if index is None else (index,) for name, index in cached.items()}


def candidates_in(walked: Reply) -> Candidates:
    """All names of a walk of ifName. Rows that are no text under an index are skipped."""
    found: dict[str, list[int]] = {}
    for oid, value in walked.items():
        head, _, last = oid.rpartition(".")
        if head == IF_NAME and last.isdecimal() and isinstance(value, bytes):
            found.setdefault(name_text(value), []).append(int(last))
    return {name: sorted(indexes) for name, indexes in found.items()}


def name_text(value: bytes) -> str:
    """An ifName as text; some agents pad it with NUL."""
    return value.rstrip(b"\0").decode("utf-8", "replace")


def rows_of(request: PollRequest, candidates: Candidates) -> tuple[Row, ...]:
    """Everything that can be asked now: all candidates of each name, and the BGP peers."""
    rows: dict[Row, None] = {}
    for port in request.ports:
        for index in candidates.get(port.name, ()):
            rows[Row(PortQuery(port.name), f"{IF_OPER_STATUS}.{index}", port.name, index)] = None
    for vrrp in request.vrrp:
        for index in candidates.get(vrrp.interface, ()):
            rows[Row(vrrp, f"{VRRP_OPER_STATE}.{index}.{vrrp.vrid}", vrrp.interface, index)] = None
    for bgp in request.bgp:
        rows[Row(bgp, f"{BGP_PEER_STATE}.{bgp.peer}")] = None
    return tuple(rows)


def oids_of(rows: Iterable[Row]) -> tuple[str, ...]:
    """The OIDs of one PDU: the header, then value and name of each row, none twice."""
    oids: dict[str, None] = {SYS_UP_TIME: None, IF_TABLE_LAST_CHANGE: None}
    for row in rows:
        oids[row.value_oid] = None
        if row.name:
            oids[row.name_oid] = None
    return tuple(oids)


def read(rows: Iterable[Row], reply: Reply, reference: Epoch | None) -> Look:
    """Judge the answer to `oids_of(rows)`. `reference`: the epoch in which the indexes were learned."""
    epoch = Epoch(_ticks(reply.get(SYS_UP_TIME)), _ticks(reply.get(IF_TABLE_LAST_CHANGE)))
    distrust = reference.moved_to(epoch) if reference is not None else ""
    statuses: dict[Row, str] = {}
    for row in rows:
        if not row.name:
            statuses[row] = _status(row, reply)
            continue
        if row.name_oid not in reply:
            statuses[row] = UNKNOWN
            continue
        name = reply[row.name_oid]
        if not isinstance(name, bytes) or name_text(name) != row.name:
            distrust = distrust or f"ifIndex {row.index} is no longer {row.name}"
        statuses[row] = _status(row, reply)
    return Look(epoch, {} if distrust else statuses, distrust)


def _ticks(value: Value) -> int | None:
    return value if isinstance(value, int) and 0 <= value < 2**32 else None


def _status(row: Row, reply: Reply) -> str:
    if row.value_oid not in reply:
        return UNKNOWN
    value = reply[row.value_oid]
    match row.query:
        case PortQuery():
            states = PORT_STATES
        case VrrpQuery():
            states = VRRP_STATES
        case BgpQuery():
            states = BGP_STATES
    if value is None:
        return UNKNOWN if isinstance(row.query, PortQuery) else NOT_FOUND
    return states.get(value, UNKNOWN) if isinstance(value, int) else UNKNOWN


@dataclass(frozen=True, slots=True)
class Findings:
    """The statuses of a whole poll, and the index each name is to be asked by next time."""

    indexes: Mapping[str, int | None]
    ports: Mapping[str, str]
    vrrp: Mapping[VrrpQuery, str]
    bgp: Mapping[str, str]


def settle(
    request: PollRequest, candidates: Candidates, statuses: Mapping[Row, str], *, walked: bool
) -> Findings:
    """Turn the statuses of rows into one answer per query.

    Of several rows with one name the live one is taken, else the highest index. A name without candidates
    is NOT_FOUND only if the table was `walked`; rows that were not answered are UNKNOWN.
    """
    best: dict[PortQuery | VrrpQuery | BgpQuery, tuple[bool, int, str]] = {}
    for row in rows_of(request, candidates):
        status = statuses.get(row, UNKNOWN)
        rank = (status in _LIVE, row.index, status)
        best[row.query] = max(best.get(row.query, rank), rank)
    missing = NOT_FOUND if walked else UNKNOWN
    indexes: dict[str, int | None] = {}
    for name in request.cached():
        own = best.get(PortQuery(name))
        others = candidates.get(name, ())
        indexes[name] = own[1] if own is not None else (others[-1] if others else None)
    return Findings(
        indexes,
        {q.name: best[PortQuery(q.name)][2] if PortQuery(q.name) in best else missing for q in request.ports},
        {q: best[q][2] if q in best else missing for q in request.vrrp},
        {q.peer: best[q][2] for q in request.bgp},
    )


def unreachable(request: PollRequest, reason: str) -> PollAnswer:
    """The answer for a device that said nothing: all UNKNOWN, and what was known of it kept."""
    nothing = settle(request, candidates_of(request.cached()), {}, walked=False)
    return PollAnswer(
        reachable=False,
        reason=reason,
        epoch=request.epoch,
        indexes=nothing.indexes,
        ports=nothing.ports,
        vrrp=nothing.vrrp,
        bgp=nothing.bgp,
        chunk=request.chunk,
    )
