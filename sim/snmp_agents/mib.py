"""The tables of one simulated device: what a Junos box shows a port poller, with the faults it can have.

Guarantees: `get` and `next_after` agree with each other and are in OID order; all changes go through the
methods here, which move ifLastChange and ifTableLastChange as a real agent does. Time is always given by
the caller (seconds of any monotonic clock). Shared by the UDP server and the in-memory FakeAgent.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sim.snmp_agents.ber import COUNTER64, INTEGER, OCTETS, TIME_TICKS, Arcs, Typed, arcs_of

SYS_DESCR: Final = arcs_of("1.3.6.1.2.1.1.1")
SYS_UP_TIME: Final = arcs_of("1.3.6.1.2.1.1.3")
SYS_NAME: Final = arcs_of("1.3.6.1.2.1.1.5")
IF_NUMBER: Final = arcs_of("1.3.6.1.2.1.2.1")
IF_DESCR: Final = arcs_of("1.3.6.1.2.1.2.2.1.2")
IF_ADMIN_STATUS: Final = arcs_of("1.3.6.1.2.1.2.2.1.7")
IF_OPER_STATUS: Final = arcs_of("1.3.6.1.2.1.2.2.1.8")
IF_LAST_CHANGE: Final = arcs_of("1.3.6.1.2.1.2.2.1.9")
BGP_PEER_STATE: Final = arcs_of("1.3.6.1.2.1.15.3.1.2")
IF_NAME: Final = arcs_of("1.3.6.1.2.1.31.1.1.1.1")
IF_HC_IN_OCTETS: Final = arcs_of("1.3.6.1.2.1.31.1.1.1.6")
IF_HC_OUT_OCTETS: Final = arcs_of("1.3.6.1.2.1.31.1.1.1.10")
IF_TABLE_LAST_CHANGE: Final = arcs_of("1.3.6.1.2.1.31.1.5")
VRRP_OPER_STATE: Final = arcs_of("1.3.6.1.2.1.68.1.3.1.3")

_SCALARS: Final = frozenset({SYS_DESCR, SYS_UP_TIME, SYS_NAME, IF_NUMBER, IF_TABLE_LAST_CHANGE})
_COLUMNS: Final = sorted(
    {
        *_SCALARS,
        IF_DESCR,
        IF_ADMIN_STATUS,
        IF_OPER_STATUS,
        IF_LAST_CHANGE,
        BGP_PEER_STATE,
        IF_NAME,
        IF_HC_IN_OCTETS,
        IF_HC_OUT_OCTETS,
        VRRP_OPER_STATE,
    }
)

UP, DOWN = 1, 2
VRRP_STATES: Final = ("INITIALIZE", "BACKUP", "MASTER")
BGP_STATES: Final = ("IDLE", "CONNECT", "ACTIVE", "OPENSENT", "OPENCONFIRM", "ESTABLISHED")
_FIRST_INDEX: Final = 501
_BYTES_PER_S: Final = 125_000


class UnknownNameError(KeyError):
    """The device has no such interface, virtual router or peer."""


def _known(states: Sequence[str], state: str) -> None:
    if state not in states:
        raise ValueError(f"no state {state!r}; there are {' '.join(states)}")


@dataclass(slots=True)
class Interface:
    """One row of ifTable. `oper` is the raw ifOperStatus; octets grow only while it is up(1)."""

    name: str
    index: int
    oper: int = UP
    admin: int = UP
    changed_at: float = 0.0
    octets: float = 0.0

    def octets_at(self, now_s: float) -> int:
        """Octets in one direction so far."""
        running = _BYTES_PER_S * (1 + self.index % 7) * (now_s - self.changed_at) if self.oper == UP else 0.0
        return int(self.octets + running) % 2**64


class DeviceTables:
    """One device. `quiet`: it answers nothing. `max_bytes`: the longest reply it can send."""

    def __init__(
        self,
        name: str,
        *,
        community: str,
        interfaces: Sequence[str | Mapping[str, Any]] = (),
        vrrp: Sequence[Mapping[str, Any]] = (),
        bgp: Sequence[Mapping[str, Any]] = (),
        description: str = "Juniper Networks, Inc. simulated router",
        max_bytes: int = 1400,
        booted_at: float = 0.0,
    ) -> None:
        self.name = name
        self.community = community
        self.description = description
        self.max_bytes = max_bytes
        self.quiet = False
        self.booted_at = booted_at
        self.table_changed_at = booted_at
        self.interfaces: dict[int, Interface] = {}
        for entry in interfaces:
            options = {"name": entry} if isinstance(entry, str) else entry
            index = int(options.get("index", max(self.interfaces, default=_FIRST_INDEX - 1) + 1))
            oper = DOWN if options.get("status", "up") == "down" else UP
            self.interfaces[index] = Interface(str(options["name"]), index, oper, changed_at=booted_at)
        self.vrrp = {(str(v["interface"]), int(v["vrid"])): str(v.get("state", "BACKUP")) for v in vrrp}
        self.bgp = {str(b["peer"]): str(b.get("state", "ESTABLISHED")) for b in bgp}
        for router_state in self.vrrp.values():
            _known(VRRP_STATES, router_state)
        for session_state in self.bgp.values():
            _known(BGP_STATES, session_state)
        self._rows: dict[Arcs, list[Arcs]] = {}
        self._index_rows()

    # ------------------------------------------------------------------------------------------ reading

    def get(self, oid: Arcs, now_s: float) -> Typed | None:
        """The value of one instance, or None if there is none."""
        at = bisect_right(_COLUMNS, oid) - 1
        column = _COLUMNS[at] if at >= 0 else ()
        size = len(column)
        return self._value(column, oid[size:], now_s) if size and oid[:size] == column else None

    def next_after(self, oid: Arcs, now_s: float) -> tuple[Arcs, Typed] | None:
        """The first instance after `oid`, or None at the end of the MIB."""
        for column in _COLUMNS[max(0, bisect_right(_COLUMNS, oid) - 1) :]:
            rows = self._rows[column]
            if oid[: len(column)] == column:
                at = bisect_right(rows, oid[len(column) :])
            else:
                at = 0 if column > oid else len(rows)
            if at < len(rows):
                value = self._value(column, rows[at], now_s)
                if value is not None:
                    return column + rows[at], value
        return None

    def ticks(self, at_s: float) -> int:
        """An instant as TimeTicks since the last boot."""
        return max(0, int((at_s - self.booted_at) * 100)) % 2**32

    def _value(self, column: Arcs, row: Arcs, now_s: float) -> Typed | None:
        if column in _SCALARS:
            return self._scalar(column, now_s) if row == (0,) else None
        if column == BGP_PEER_STATE:
            session = self.bgp.get(".".join(map(str, row)))
            return None if session is None else (INTEGER, BGP_STATES.index(session) + 1)
        interface = self.interfaces.get(row[0]) if row else None
        if interface is None:
            return None
        if column == VRRP_OPER_STATE:
            router = self.vrrp.get((interface.name, row[1])) if len(row) == 2 else None
            return None if router is None else (INTEGER, VRRP_STATES.index(router) + 1)
        return self._interface_value(column, interface, now_s) if len(row) == 1 else None

    def _scalar(self, column: Arcs, now_s: float) -> Typed:
        if column == SYS_UP_TIME:
            return TIME_TICKS, self.ticks(now_s)
        if column == IF_TABLE_LAST_CHANGE:
            return TIME_TICKS, self.ticks(self.table_changed_at)
        if column == IF_NUMBER:
            return INTEGER, len(self.interfaces)
        return OCTETS, (self.name if column == SYS_NAME else self.description).encode()

    def _interface_value(self, column: Arcs, interface: Interface, now_s: float) -> Typed:
        if column in (IF_NAME, IF_DESCR):
            return OCTETS, interface.name.encode()
        if column == IF_OPER_STATUS:
            return INTEGER, interface.oper
        if column == IF_ADMIN_STATUS:
            return INTEGER, interface.admin
        if column == IF_LAST_CHANGE:
            return TIME_TICKS, self.ticks(interface.changed_at)
        return COUNTER64, interface.octets_at(now_s)

    # ----------------------------------------------------------------------------------------- changing

    def named(self, name: str) -> list[Interface]:
        """All interfaces of that name. Raises UnknownNameError if there is none."""
        found = [interface for interface in self.interfaces.values() if interface.name == name]
        if not found:
            raise UnknownNameError(name)
        return found

    def set_port(self, name: str, oper: int, now_s: float) -> None:
        """Set the raw ifOperStatus of all rows of that name. Raises UnknownNameError."""
        for interface in self.named(name):
            interface.octets = interface.octets_at(now_s)
            interface.oper, interface.changed_at = oper, now_s

    def set_vrrp(self, interface: str, vrid: int, state: str) -> None:
        """Set the state of a virtual router. Raises UnknownNameError, or ValueError for no state."""
        _known(VRRP_STATES, state)
        if (interface, vrid) not in self.vrrp:
            raise UnknownNameError(f"{interface} vrid {vrid}")
        self.vrrp[interface, vrid] = state

    def set_bgp(self, peer: str, state: str) -> None:
        """Set the state of a BGP session. Raises UnknownNameError, or ValueError for no state."""
        _known(BGP_STATES, state)
        if peer not in self.bgp:
            raise UnknownNameError(peer)
        self.bgp[peer] = state

    def add_port(self, name: str, now_s: float, *, index: int | None = None) -> None:
        """A new row at the end, or at `index`."""
        at = index if index is not None else max(self.interfaces, default=_FIRST_INDEX - 1) + 1
        self._place([*self.interfaces.values(), Interface(name, at, changed_at=now_s)])
        self.table_changed_at = now_s

    def remove_port(self, name: str, now_s: float) -> None:
        """Take away all rows of that name. Raises UnknownNameError."""
        gone = self.named(name)
        self._place([i for i in self.interfaces.values() if i not in gone])
        self.table_changed_at = now_s

    def renumber(self, now_s: float, *, by: int = 1000) -> None:
        """Every interface gets another index, as after a change of line cards."""
        for interface in self.interfaces.values():
            interface.index += by
        self._place(list(self.interfaces.values()))
        self.table_changed_at = now_s

    def swap(self, first: str, second: str) -> None:
        """Two interfaces change their indexes and nothing tells it (net-snmp). Raises UnknownNameError."""
        one, other = self.named(first)[0], self.named(second)[0]
        one.index, other.index = other.index, one.index
        self._place(list(self.interfaces.values()))

    def reboot(self, now_s: float) -> None:
        """The agent starts anew: uptime, table change and counters begin at zero."""
        self.booted_at = self.table_changed_at = now_s
        for interface in self.interfaces.values():
            interface.octets, interface.changed_at = 0.0, now_s

    def _place(self, interfaces: list[Interface]) -> None:
        self.interfaces = {interface.index: interface for interface in interfaces}
        self._index_rows()

    def _index_rows(self) -> None:
        by_index: list[Arcs] = [(index,) for index in sorted(self.interfaces)]
        routers = [
            (interface.index, vrid)
            for (name, vrid) in self.vrrp
            for interface in self.interfaces.values()
            if interface.name == name
        ]
        special: dict[Arcs, list[Arcs]] = {
            BGP_PEER_STATE: sorted(arcs_of(peer) for peer in self.bgp),
            VRRP_OPER_STATE: sorted(routers),
        }
        scalar: list[Arcs] = [(0,)]
        self._rows = {
            column: scalar if column in _SCALARS else special.get(column, by_index) for column in _COLUMNS
        }
