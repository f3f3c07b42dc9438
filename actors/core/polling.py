"""What to ask a device by SNMP, and what to believe of its answer (contract 6.2, 6.5, 6.7).

Guarantees: an interface is known by its ifName, and a value is believed only if the same PDU shows that the row
still bears that name and that the agent neither restarted nor changed its interface table (research: index
swaps are invisible otherwise). Silence, odd types and values out of range become UNKNOWN, never DOWN.
Does not know types of monitors (`core.monitors` declares them), does not confirm changes over time (that is
`core.observing`) and does no I/O (`actors.snmp_poll` does).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from actors.core.asking import (
    FULL_CHUNK,
    IF_NAME,
    IF_TABLE_LAST_CHANGE,
    PROBE,
    SYS_UP_TIME,
    TWINS_MAX,
    UNKNOWN,
    Indexes,
    Plan,
    Query,
    Reply,
    Row,
    States,
    Value,
)
from actors.core.job_ids import small_number

UP: Final = "UP"
#: The device says that there is no such port, virtual router or peer.
NOT_FOUND: Final = "NOT_FOUND"
#: It was not looked at, because that would have taken a walk that was not allowed.
NO_NEWS: Final = ""


#: Ports are numbers below this.
_PORTS: Final = 65_536


def host_and_port(address: str, default: int) -> tuple[str, int]:
    """`host` or `host:port`. What has no port number behind its first colon, as an IPv6 address, is all host."""
    host, _, port = address.partition(":")
    number = small_number(port) if port else default
    return (host, number) if number is not None and number < _PORTS else (address, default)


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


@dataclass(frozen=True, slots=True)
class PollRequest:
    """One poll of one device: the values wanted, with what earlier answers taught (see `after`).

    `may_walk` False: what cannot be told without a walk of ifName is NO_NEWS (the asker limits the rate of walks).
    `may_follow`: it may be walked all the same if the answer shows that the interface table has moved.
    Without queries this is the cheapest probe there is: sysUpTime and ifTableLastChange.
    """

    host: str
    port: int = 161
    community_name: str = ""
    plan: Plan = PROBE
    epoch: Epoch | None = None
    may_walk: bool = True
    may_follow: bool = False
    chunk: int = FULL_CHUNK

    @property
    def queries(self) -> tuple[Query, ...]:
        """The values that are wanted."""
        return self.plan.queries

    @property
    def numbers(self) -> bool:
        """Whether numbers are wanted."""
        return any(query.states is None for query in self.queries)

    def after(self, answer: PollAnswer) -> PollRequest:
        """The same again, with what the answer teaches."""
        plan = self.plan if answer.learned is None else Plan(self.queries, answer.learned)
        return replace(self, plan=plan, epoch=answer.epoch, chunk=answer.chunk)


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """What one poll found.

    `reachable`: the device answered at all; if not, every status is UNKNOWN and `reason` says why. `epoch`, `learned`
    and `chunk` are for the next request (`PollRequest.after`); `learned` None: the indexes asked with are as they
    were. `found` is in the order of the queries: statuses, or numbers (None: not to be had) where no states were
    given; then `ticks` are in that order too: the agent's uptime when it told each. `reindexed`: ifName was walked;
    `walked`: it was at least tried. `reason` also explains what is missing of a reachable device; it holds no secret.
    `undone`: it was not asked at all, for reasons that are ours; that says nothing of the device.
    """

    reachable: bool
    reason: str = ""
    epoch: Epoch | None = None
    learned: Indexes | None = None
    found: tuple[str | int | None, ...] = ()
    ticks: tuple[int | None, ...] = ()
    reindexed: bool = False
    walked: bool = False
    chunk: int = FULL_CHUNK
    undone: bool = False


class Look(NamedTuple):
    """What one PDU said: the believed values by row. `distrust`: why there are none of interfaces, "" if there are."""

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


def read(rows: Iterable[Row], reply: Reply, reference: Epoch | None) -> Look:
    """Judge the answer to `oids_of(rows)`. `reference`: the epoch in which the indexes were learned.

    A row whose value or name was left out has no value in the Look.
    """
    epoch = Epoch(_ticks(reply.get(SYS_UP_TIME)), _ticks(reply.get(IF_TABLE_LAST_CHANGE)))
    distrust = reference.moved_to(epoch) if reference is not None else ""
    values: dict[Row, Value] = {}
    for row in rows:
        if row.name:
            name = reply.get(row.name_oid, _ABSENT)
            if name is _ABSENT:
                continue
            if name != row.raw_name and (not isinstance(name, bytes) or name_text(name) != row.name):
                distrust = distrust or f"ifIndex {row.if_index} is no longer {row.name}"
        value = reply.get(row.oid, _ABSENT)
        if value is not _ABSENT:
            values[row] = value
    if distrust:  # an interface may have moved; what needs none is as it was told
        values = {row: value for row, value in values.items() if not row.name}
    return Look(epoch, values, distrust)


#: An OID that was left out of a reply; no agent can send this object.
_ABSENT: Final = "absent"


def _ticks(value: Value) -> int | None:
    return value if isinstance(value, int) and 0 <= value < 2**32 else None


def settle(
    request: PollRequest, rows: Iterable[Row], values: Mapping[Row, Value], missing: str
) -> tuple[str | int | None, ...]:
    """Turn the values of rows into one finding per query.

    Of several rows with one name the live one is taken, else that of the highest index. `missing`: the status
    of a query that has no row. Rows without a value are UNKNOWN.
    """
    best: dict[int, tuple[Row, str | int | None]] = {}
    queries = request.queries
    for row in rows:
        states = queries[row.at].states
        found: str | int | None
        if row not in values:
            found = None if states is None else UNKNOWN
        elif states is None:
            value = values[row]
            found = value if isinstance(value, int) else None
        else:
            found = states.status(values[row])
        known = best.get(row.at)
        if known is None or _rank(states, row, found) > _rank(states, *known):
            best[row.at] = row, found
    return tuple(_filled(queries, best, missing))


def _rank(states: States | None, row: Row, found: str | int | None) -> tuple[bool, int]:
    return states is not None and found in states.live, row.if_index


def _filled(
    queries: Sequence[Query], best: Mapping[int, tuple[Row, str | int | None]], missing: str
) -> Iterator[str | int | None]:
    for at, query in enumerate(queries):
        if at in best:
            yield best[at][1]
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
        found=nothing(request, UNKNOWN),
        chunk=request.chunk,
    )


def undone(request: PollRequest, reason: str) -> PollAnswer:
    """The answer for a device that was not asked: no news, and what was known of it kept."""
    return replace(unreachable(request, reason), found=nothing(request, NO_NEWS), undone=True)
