"""Types of monitors as data: what a declaration may say, and what it takes to watch a thing of that type.

Guarantees: a table that can be built is complete (every OID is one, every placeholder and status is usable);
else one BadMonitorType that names type and member. Nothing here knows any particular type: the table comes
from `config/monitor_types.yaml` (contract 6.2, 6.5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from actors.core.asking import IF_INDEX, UNKNOWN, Query, States
from actors.core.members import quoted

_PLACEHOLDER: Final = re.compile(r"\{(ifIndex:)?([A-Za-z_][A-Za-z0-9_]*)\}")
_OID: Final = re.compile(r"\d+(\.(\d+|#|\{\}))+")
_ARCS: Final = re.compile(r"\d{1,10}(\.\d{1,10})*")
_TIMES: Final = frozenset({"timeout_s", "retry_s", "interval_s"})
_MEMBERS: Final = _TIMES | {
    "host",
    "oid",
    "states",
    "other",
    "absent",
    "live",
    "wanted",
    "active",
    "readings",
}
_READING: Final = frozenset({"oid", "metric", "tags", "discontinuity", "per_second"})


class BadMonitorType(ValueError):
    """An entry of the table cannot be used. The text says which and why."""


class BadMonitor(ValueError):
    """A monitoring document names an unknown type or lacks a property. The text says which."""


@dataclass(frozen=True, slots=True)
class Instance:
    """An OID with places to fill in: `pattern` has {} for `properties` in their order, and IF_INDEX for the
    index of the interface that the property `interface` names ("": none)."""

    pattern: str
    properties: tuple[str, ...] = ()
    interface: str = ""

    @classmethod
    def parse(cls, where: str, text: Any) -> Instance:
        """From the form of the table. Raises BadMonitorType."""
        interface, properties = "", list[str]()

        def replace(match: re.Match[str]) -> str:
            nonlocal interface
            if match[1]:
                interface = match[2]
                return IF_INDEX
            properties.append(match[2])
            return "{}"

        pattern = _PLACEHOLDER.sub(replace, str(text))
        if not _OID.fullmatch(pattern) or pattern.count(IF_INDEX) > 1:
            raise BadMonitorType(
                f"{where}: oid {text!r} is no numeric OID with {{property}} or {{ifIndex:property}}"
            )
        return cls(pattern, tuple(properties), interface)

    @property
    def needs(self) -> tuple[str, ...]:
        """The properties without which there is no OID."""
        return (*([self.interface] if self.interface else []), *self.properties)

    def query(self, values: Mapping[str, str], states: States | None) -> Query:
        """The Query for a thing with these properties. Raises KeyError for one that is missing."""
        oid = self.pattern.format(*(values[name] for name in self.properties))
        return Query(oid, values[self.interface] if self.interface else "", states)

    def check(self, values: Mapping[str, str]) -> None:
        """Raises BadMonitor for a property that cannot stand in an OID."""
        for name in self.properties:
            if not _ARCS.fullmatch(values[name]):
                text = f"property '{name}' must be a whole number (or numbers with dots), not {quoted(values[name])}"
                raise BadMonitor(text)


@dataclass(frozen=True, slots=True)
class ReadingType:
    """One measured value. `per_second`: what is read is a counter, and its growth per second is meant;
    `discontinuity`: what moves when the counter begins anew."""

    name: str
    instance: Instance
    metric: str
    tags: tuple[tuple[str, str], ...] = ()
    per_second: bool = False
    discontinuity: Instance | None = None


@dataclass(frozen=True, slots=True)
class MonitorType:
    """One row. `host` "": passive. `interval_s`, `retry_s` 0: as the settings say."""

    name: str
    host: str = ""
    instance: Instance = Instance("")
    states: States = field(default_factory=lambda: States({}))
    wanted: str = "UP"
    active: str = "ACTIVE"
    timeout_s: float = 120.0
    retry_s: float = 0.0
    interval_s: float = 0.0
    readings: tuple[ReadingType, ...] = ()

    @property
    def passive(self) -> bool:
        """Whether it is not looked at."""
        return not self.host

    @property
    def needs(self) -> tuple[str, ...]:
        """The properties that the OIDs of status and readings are made of."""
        instances = [self.instance, *(reading.instance for reading in self.readings)]
        return tuple(dict.fromkeys(name for instance in instances for name in instance.needs))

    @property
    def required(self) -> tuple[str, ...]:
        """The properties that a monitor of this type must have."""
        return () if self.passive else (self.host, *self.needs)


#: Type name → its row.
MonitorTypes = Mapping[str, MonitorType]


def parse_types(document: Any) -> dict[str, MonitorType]:
    """The table from a decoded YAML document. Raises BadMonitorType."""
    if not isinstance(document, Mapping):
        raise BadMonitorType("the document must be a table of types")
    return {str(name): _type(str(name), row) for name, row in document.items()}


def _type(name: str, row: Any) -> MonitorType:
    _members(name, row, _MEMBERS)
    if not row:
        return MonitorType(name)
    if not row.get("host") or not row.get("oid"):
        raise BadMonitorType(f"{name}: host and oid are both needed (or neither: a passive type)")
    readings = row.get("readings") or {}
    if not isinstance(readings, Mapping):
        raise BadMonitorType(f"{name}: readings must be a table")
    return MonitorType(
        name=name,
        host=str(row["host"]),
        instance=Instance.parse(name, row["oid"]),
        states=_states(name, row),
        wanted=str(row.get("wanted", "UP")).upper(),
        active=str(row.get("active", "ACTIVE")),
        timeout_s=_seconds(name, row, "timeout_s", 120.0),
        retry_s=_seconds(name, row, "retry_s", 0.0),
        interval_s=_seconds(name, row, "interval_s", 0.0),
        readings=tuple(_reading(name, str(key), body) for key, body in readings.items()),
    )


def _members(where: str, row: Any, known: frozenset[str]) -> None:
    if not isinstance(row, Mapping):
        raise BadMonitorType(f"{where}: must be a table")
    strange = sorted(set(map(str, row)) - known)
    if strange:
        raise BadMonitorType(f"{where}: no such member {strange[0]!r}; there are: {', '.join(sorted(known))}")


def _states(name: str, row: Mapping[str, Any]) -> States:
    states, live = row.get("states") or {}, row.get("live") or []
    if not isinstance(states, Mapping) or not all(isinstance(number, int) for number in states):
        raise BadMonitorType(f"{name}: states must map whole numbers to statuses")
    if not isinstance(live, list):
        raise BadMonitorType(f"{name}: live must be a list of statuses")
    return States(
        {number: str(status).upper() for number, status in states.items()},
        frozenset(str(status).upper() for status in live),
        str(row.get("other", UNKNOWN)).upper(),
        str(row.get("absent", UNKNOWN)).upper(),
    )


def _seconds(name: str, row: Mapping[str, Any], member: str, default: float) -> float:
    value = row.get(member, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86_400:
        raise BadMonitorType(f"{name}: {member} must be seconds, not {value!r}")
    return float(value)


def _reading(type_name: str, name: str, body: Any) -> ReadingType:
    where = f"{type_name}.readings.{name}"
    _members(where, body, _READING)
    tags = body.get("tags") or {}
    if not body.get("metric") or not isinstance(tags, Mapping):
        raise BadMonitorType(f"{where}: needs a metric, and tags as a table")
    return ReadingType(
        name,
        Instance.parse(where, body.get("oid")),
        str(body["metric"]),
        tuple(sorted((str(key), str(value)) for key, value in tags.items())),
        body.get("per_second") is True,
        Instance.parse(where, body["discontinuity"]) if body.get("discontinuity") else None,
    )
