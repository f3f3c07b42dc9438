"""What to ask a device by SNMP: values wanted, the rows where they stand, and how rows are cut into PDUs.

Guarantees: the header of every PDU and the name beside every value of an interface are what `core.polling` needs in
order to believe it; a reply has room for what one PDU asks. Pure.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

SYS_UP_TIME: Final = "1.3.6.1.2.1.1.3.0"
IF_TABLE_LAST_CHANGE: Final = "1.3.6.1.2.1.31.1.5.0"
IF_NAME: Final = "1.3.6.1.2.1.31.1.1.1.1"

#: The device did not say, or said nothing that can be believed.
UNKNOWN: Final = "UNKNOWN"
#: Stands for the ifIndex in the OID of a Query.
IF_INDEX: Final = "#"
#: Rows per PDU: 25 rows of two values and the header stay under 1,400 bytes.
FULL_CHUNK: Final = 25
#: Of rows with one name only so many are asked; more of them is an agent's fault.
TWINS_MAX: Final = 8
#: What the rows of one reply may take (bytes), and what one row takes beside its name.
_ROWS_BYTES: Final = 1300
_ROW_BYTES: Final = 40
#: Plans that a process keeps: statuses and readings of 2,000 devices. Those of one plan cut into PDUs are bounded too.
_PLANS_MAX: Final = 4096
_PARTS_MAX: Final = 64

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


#: ifName → the indexes of all rows of that name, ascending; () if it has none or is not known yet.
Indexes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One value in a PDU. `at`: which query it is for. `name`: the ifName that the row of `if_index` must
    still bear ("": no interface). `name_oid`: where the row's ifName stands. Each row is itself and no other."""

    at: int
    oid: str
    name: str = ""
    if_index: int = 0
    name_oid: str = ""
    #: The name as nearly every agent sends it.
    raw_name: bytes = b""


def interface_row(at: int, oid: str, name: str, if_index: int) -> Row:
    """A value of an interface."""
    return Row(at, oid, name, if_index, f"{IF_NAME}.{if_index}", name.encode())


def rows_of(queries: Sequence[Query], indexes: Indexes) -> list[Row]:
    """Everything that can be asked now: all rows of each wanted name, and what needs no name."""
    rows: list[Row] = []
    for at, (oid, interface, _) in enumerate(queries):
        if not interface:
            rows.append(Row(at, oid))
            continue
        known = indexes.get(interface, ())
        rows += [interface_row(at, oid.replace(IF_INDEX, str(i)), interface, i) for i in known]
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


class Plan:
    """What is wanted of a device and where it stands; all polls between two changes of that have it in common.

    `indexes`: all interfaces that anyone wants of the device, also those that no query names: a walk learns them
    all. Immutable, and everything about it is worked out once: its pickle by who sends it, its rows and PDUs by who
    is sent it (the same pickle gives the same Plan again).
    """

    __slots__ = ("_parts", "_pickle", "_rows", "indexes", "lacking", "queries")

    def __init__(self, queries: Sequence[Query] = (), indexes: Indexes | None = None) -> None:
        self.queries: tuple[Query, ...] = tuple(queries)
        self.indexes: Indexes = dict(indexes or {})
        #: Whether a wanted interface has no row yet.
        self.lacking = any(q.interface and not self.indexes.get(q.interface) for q in self.queries)
        self._rows: Sequence[Row] | None = None
        self._parts: dict[tuple[int, int], tuple[Sequence[Row], tuple[str, ...]]] = {}
        self._pickle = b""

    def part(self, begin: int, chunk: int) -> tuple[Sequence[Row], tuple[str, ...]]:
        """The rows of the next PDU, as `part_of` has it, and its OIDs."""
        part = self._parts.get((begin, chunk))
        if part is None:
            rows = part_of(self.rows, begin, chunk)
            part = rows, oids_of(rows)
            if len(self._parts) >= _PARTS_MAX:
                self._parts.clear()
            self._parts[begin, chunk] = part
        return part

    @property
    def rows(self) -> Sequence[Row]:
        """Everything that can be asked now."""
        if self._rows is None:
            self._rows = rows_of(self.queries, self.indexes)
        return self._rows

    def then(self, other: Plan) -> Plan:
        """The other; or this, if that wants the same: what is worked out stays so."""
        return self if self == other else other

    def __reduce__(self) -> tuple[Any, tuple[bytes]]:
        self._pickle = self._pickle or pickle.dumps((self.queries, self.indexes), 5)
        return _plan, (self._pickle,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and (self.queries, self.indexes) == (other.queries, other.indexes)

    def __hash__(self) -> int:
        return hash(tuple((query.oid, query.interface) for query in self.queries))


def _plan(pickled: bytes) -> Plan:
    return _known_plan(pickled)


@lru_cache(_PLANS_MAX)
def _known_plan(pickled: bytes) -> Plan:
    return Plan(*pickle.loads(pickled))  # noqa: S301 - came within a pickle


#: Nothing is wanted but a sign of life.
PROBE: Final = Plan()
