"""What to ask a device by SNMP, and what to believe of its answer (contract 6.2, 6.5, 6.7).

Guarantees: an interface is known by its ifName, and a value is believed only if the same PDU shows that the row
still bears that name and that the agent neither restarted nor changed its interface table (research: index
swaps are invisible otherwise). Silence, odd types and values out of range become UNKNOWN, never DOWN.
Does not know types of monitors (`core.monitors` declares them), does not confirm changes over time (that is
`core.observing`) and does no I/O (`actors.snmp_poll` does).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

SYS_UP_TIME: Final = "1.3.6.1.2.1.1.3.0"
IF_TABLE_LAST_CHANGE: Final = "1.3.6.1.2.1.31.1.5.0"
IF_NAME: Final = "1.3.6.1.2.1.31.1.1.1.1"

UP: Final = "UP"
#: The device did not say, or said nothing that can be believed.
UNKNOWN: Final = "UNKNOWN"
#: The device says that there is no such port, virtual router or peer.
NOT_FOUND: Final = "NOT_FOUND"
#: It was not looked at, because that would have taken a walk that was not allowed.
NO_NEWS: Final = ""

#: Stands for the ifIndex in the OID of a Query.
IF_INDEX: Final = "#"
#: Rows per PDU: 25 rows of two values and the header stay under 1,400 bytes.
FULL_CHUNK: Final = 25
#: Of rows with one name only so many are asked; more of them is an agent's fault.
TWINS_MAX: Final = 8
#: What the rows of one reply may take (bytes), and what one row takes beside its name.
_ROWS_BYTES: Final = 1300
_ROW_BYTES: Final = 40

#: What the `Agent` port returns for one OID.
Value = int | bytes | str | None
Reply = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class States:
    """What the numbers of one OID mean. `live`: which statuses win when several rows bear one name.
    `other`: the status of numbers that are not listed; `absent`: of a row that the agent does not have."""

    names: Mapping[int, str]
    live: frozenset[str] = frozenset()
    other: str = UNKNOWN
    absent: str = UNKNOWN

    def status(self, value: Value) -> str:
        """The status that a value stands for; of another type than a number: UNKNOWN."""
        if isinstance(value, int):
            return self.names.get(value, self.other)
        return self.absent if value is None else UNKNOWN


class Query(NamedTuple):
    """One value that is wanted. `oid`: of the instance, with IF_INDEX where the index of `interface` (an ifName)
    goes. `states` None: the number itself is wanted, not a status."""

    oid: str
    interface: str = ""
    states: States | None = None


@dataclass(frozen=True, slots=True)
class Epoch:
    """What tells one life of an agent's interface table from another (1/100 s; None: not readable)."""

    uptime_ticks: int | None = None
    table_last_change: int | None = None

    def moved_to(self, seen: Epoch) -> str:
        """Why indexes learned in this epoch are void in `seen`; "" if they are not.

        The wrap of sysUpTime after 497 days looks like a restart: it costs one needless walk.
        """
        if (
            self.uptime_ticks is not None
            and seen.uptime_ticks is not None
            and seen.uptime_ticks < self.uptime_ticks
        ):
            return "the agent restarted"
        if None not in (self.table_last_change, seen.table_last_change) and (
            seen.table_last_change != self.table_last_change
        ):
            return "the interface table changed"
        return ""

    def then(self, seen: Epoch) -> Epoch:
        """`seen`, with what it does not tell taken from here."""
        return Epoch(
            self.uptime_ticks if seen.uptime_ticks is None else seen.uptime_ticks,
            self.table_last_change if seen.table_last_change is None else seen.table_last_change,
        )


#: ifName → the indexes of all rows of that name, ascending; () if it has none or is not known yet.
Indexes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class PollRequest:
    """One poll of one device: the values wanted, with what earlier answers taught.

    `indexes`: all interfaces that anyone wants of the device, also those that no query names: a walk learns
    them all. `indexes`, `epoch` and `chunk` come from the last PollAnswer. `may_walk` False: what cannot be
    told without a walk of ifName is NO_NEWS (the asker limits the rate of walks). Without queries this is the
    cheapest probe there is: sysUpTime and ifTableLastChange.
    """

    host: str
    port: int = 161
    community_name: str = ""
    queries: tuple[Query, ...] = ()
    indexes: Indexes = field(default_factory=dict)
    epoch: Epoch | None = None
    may_walk: bool = True
    chunk: int = FULL_CHUNK


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """What one poll found.

    `reachable`: the device answered at all; if not, every status is UNKNOWN and `reason` says why. Keep
    `epoch`, `indexes` and `chunk` for the next request. `found` is in the order of the queries: statuses, or
    numbers (None: not to be had) where no states were given. `reindexed`: ifName was walked; `walked`: it was
    at least tried. `reason` also explains what is missing of a reachable device; it holds no secret. `undone`: it
    was not asked at all, for reasons that are ours; that says nothing of the device.
    """

    reachable: bool
    reason: str = ""
    epoch: Epoch | None = None
    indexes: Indexes = field(default_factory=dict)
    found: tuple[str | int | None, ...] = ()
    reindexed: bool = False
    walked: bool = False
    chunk: int = FULL_CHUNK
    undone: bool = False


class Row(NamedTuple):
    """One value in a PDU. `at`: which query it is for. `name`: the ifName that the row of `if_index` must
    still bear ("": no interface)."""

    at: int
    oid: str
    name: str = ""
    if_index: int = 0

    @property
    def name_oid(self) -> str:
        """Where the row's ifName stands."""
        return f"{IF_NAME}.{self.if_index}"


class Look(NamedTuple):
    """What one PDU said: the believed values by row. `distrust`: why there are none, "" if there are."""

    epoch: Epoch
    values: Mapping[Row, Value]
    distrust: str = ""


def indexes_in(walked: Reply, names: Iterable[str]) -> Indexes:
    """The indexes of these names in a walk of ifName. Rows that are no text under an index are skipped."""
    found: dict[str, list[int]] = {name: [] for name in names}
    for oid, value in walked.items():
        head, _, last = oid.rpartition(".")
        if head == IF_NAME and isinstance(value, bytes):
            rows = found.get(name_text(value))
            if rows is not None and last.isdecimal():
                rows.append(int(last))
    return {name: tuple(sorted(indexes)[-TWINS_MAX:]) for name, indexes in found.items()}


def name_text(value: bytes) -> str:
    """An ifName as text; some agents pad it with NUL."""
    return value.rstrip(b"\0").decode("utf-8", "replace")


def rows_of(queries: Sequence[Query], indexes: Indexes) -> list[Row]:
    """Everything that can be asked now: all rows of each wanted name, and what needs no name."""
    rows: list[Row] = []
    for at, (oid, interface, _) in enumerate(queries):
        if not interface:
            rows.append(Row(at, oid))
            continue
        rows += [Row(at, oid.replace(IF_INDEX, str(i)), interface, i) for i in indexes.get(interface, ())]
    return rows


def part_of(rows: Sequence[Row], begin: int, chunk: int) -> Sequence[Row]:
    """The rows of the next PDU: from `begin`, at most `chunk`, and no more than a reply has room for."""
    room = _ROWS_BYTES
    for end in range(begin, min(begin + chunk, len(rows))):
        room -= _ROW_BYTES + len(rows[end].name)
        if room < 0 and end > begin:
            return rows[begin:end]
    return rows[begin : begin + chunk]


def oids_of(rows: Iterable[Row]) -> tuple[str, ...]:
    """The OIDs of one PDU: the header, then value and name of each row, none twice."""
    oids: dict[str, None] = {SYS_UP_TIME: None, IF_TABLE_LAST_CHANGE: None}
    for row in rows:
        oids[row.oid] = None
        if row.name:
            oids[row.name_oid] = None
    return tuple(oids)


def read(rows: Iterable[Row], reply: Reply, reference: Epoch | None) -> Look:
    """Judge the answer to `oids_of(rows)`. `reference`: the epoch in which the indexes were learned.

    A row whose value or name was left out has no value in the Look.
    """
    epoch = Epoch(_ticks(reply.get(SYS_UP_TIME)), _ticks(reply.get(IF_TABLE_LAST_CHANGE)))
    distrust = reference.moved_to(epoch) if reference is not None else ""
    values: dict[Row, Value] = {}
    for row in rows:
        if row.name:
            name_oid = row.name_oid
            if name_oid not in reply:
                continue
            name = reply[name_oid]
            if not isinstance(name, bytes) or name_text(name) != row.name:
                distrust = distrust or f"ifIndex {row.if_index} is no longer {row.name}"
        if row.oid in reply:
            values[row] = reply[row.oid]
    return Look(epoch, {} if distrust else values, distrust)


def _ticks(value: Value) -> int | None:
    return value if isinstance(value, int) and 0 <= value < 2**32 else None


def settle(
    request: PollRequest, rows: Iterable[Row], values: Mapping[Row, Value], missing: str
) -> tuple[str | int | None, ...]:
    """Turn the values of rows into one finding per query.

    Of several rows with one name the live one is taken, else that of the highest index. `missing`: the status
    of a query that has no row. Rows without a value are UNKNOWN.
    """
    best: dict[int, tuple[bool, int, str | int | None]] = {}
    for row in rows:
        states = request.queries[row.at].states
        found: str | int | None
        if row not in values:
            found = None if states is None else UNKNOWN
        elif states is None:
            value = values[row]
            found = value if isinstance(value, int) else None
        else:
            found = states.status(values[row])
        rank = (states is not None and found in states.live, row.if_index, found)
        known = best.get(row.at)
        if known is None or rank[:2] > known[:2]:
            best[row.at] = rank
    return tuple(_filled(request.queries, best, missing))


def _filled(
    queries: Sequence[Query], best: Mapping[int, tuple[bool, int, str | int | None]], missing: str
) -> Iterator[str | int | None]:
    for at, query in enumerate(queries):
        if at in best:
            yield best[at][2]
        else:
            yield None if query.states is None else missing


def nothing(request: PollRequest, status: str) -> tuple[str | int | None, ...]:
    """That finding for every query."""
    return settle(request, (), {}, status)


def unreachable(request: PollRequest, reason: str) -> PollAnswer:
    """The answer for a device that said nothing: all UNKNOWN, and what was known of it kept."""
    return PollAnswer(
        reachable=False,
        reason=reason,
        epoch=request.epoch,
        indexes=request.indexes,
        found=nothing(request, UNKNOWN),
        chunk=request.chunk,
    )


def undone(request: PollRequest, reason: str) -> PollAnswer:
    """The answer for a device that was not asked: no news, and what was known of it kept."""
    return replace(unreachable(request, reason), found=nothing(request, NO_NEWS), undone=True)
