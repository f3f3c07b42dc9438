"""Targets: what a monitoring document wants watched, resolved and checked (contract 6.1, 6.2, 6.4).

Guarantees: a target holds what its type needs and nothing else of the monitor, so no password; it can be
stored and read back. How it is read is looked up in the table of types at the time (`core.monitor_types`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from actors.core.asking import IF_INDEX, Query
from actors.core.json_text import compact, parse
from actors.core.members import (
    flag_of,
    object_of,
    objects_of,
    quoted,
    seconds,
    text_of,
    texts_of,
    version_of,
)
from actors.core.model import JsonObject
from actors.core.monitor_types import BadMonitor, MonitorType, MonitorTypes, ReadingType

__all__ = [
    "UNPUBLISHED",
    "BadMonitor",
    "Target",
    "decode_targets",
    "encode_targets",
    "hold_left_s",
    "queries_of",
    "row_of",
    "statuses_to_write",
    "target",
    "watched",
]

#: Monitors that are waited for but not shown in `/monitoring`, by resource type: they would hide the state of
#: the session that the resource is about (contract 6.3, quirk 41).
UNPUBLISHED: Mapping[str, tuple[str, ...]] = dict.fromkeys(
    ("vpn_interface", "aws_interface", "azure_interface", "gcp_interface", "interdc_interface"),
    ("primary_uplink", "secondary_uplink"),
)
#: A time of a target is a day at most.
SECONDS_MAX: Final = 86_400.0
#: Nothing is looked at more often than that.
PERIOD_MIN_S: Final = 0.001
Pairs = tuple[tuple[str, str], ...]
#: Sets of tags, one for each data point of a reading (contract 6.4: "map or list of maps").
TagSets = tuple[Pairs, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to watch for one resource. `wanted` and statuses are upper case as in `/monitoring`.

    `keys`: the properties that its OIDs are made of. `interval_s`, `retry_s` 0: as the settings say. `hold_s`:
    hold_options; for so long after registration only statuses that are `positive` come out, or, where it names
    `pools` (each the statuses of all members by their names), `/monitoring` waits (`hold_left_s`). `passive`: not
    looked at. `active_word`: what `state_monitoring` says once it is as wanted. `mibs`: OIDs to measure (`row_of`).
    """

    name: str
    type: str
    host: str = ""
    community_name: str = ""
    keys: tuple[tuple[str, str], ...] = ()
    wanted: str = "UP"
    active_word: str = "ACTIVE"
    timeout_s: float = 120.0
    retry_s: float = 0.0
    interval_s: float = 0.0
    hold_s: float = 0.0
    positive: tuple[str, ...] = ()
    pools: tuple[Pairs, ...] = ()
    tags: TagSets = ()
    mibs: tuple[str, ...] = ()
    passive: bool = False

    @property
    def device(self) -> str:
        """Which DeviceActor it belongs to: one per address and community name."""
        return f"{self.host}|{self.community_name}"

    @property
    def subject(self) -> str:
        """What it is on its device, for people: interface or peer; "" for the device itself."""
        return self.keys[0][1] if self.keys else ""


def target(
    name: str, type_name: str, properties: Mapping[str, Any], default_community: str, types: MonitorTypes
) -> Target:
    """Make a target from one monitor of a document. Raises BadMonitor."""
    row = types.get(type_name)
    if row is None:
        raise BadMonitor(
            f"monitor '{name}': unknown type {quoted(type_name)} (known: {', '.join(sorted(types))})"
        )
    if row.passive:
        return Target(name, type_name, passive=True)
    for needed in row.required:
        if properties.get(needed) in (None, ""):
            raise BadMonitor(f"monitor '{name}' of type {type_name}: property '{needed}' is missing or empty")
    keys = {key: str(properties[key]) for key in row.needs}
    try:
        for instance in (row.instance, *(reading.instance for reading in row.readings)):
            instance.check(keys)
    except BadMonitor as error:
        raise BadMonitor(f"monitor '{name}': {error}") from None
    wanted = str(properties.get("wanted_status") or row.wanted).upper()
    hold_s, positive, pools = _hold(name, properties.get("hold_options"))
    return Target(
        name=name,
        type=type_name,
        host=str(properties[row.host]),
        community_name=str(properties.get("community_name") or default_community),
        keys=tuple(keys.items()),
        wanted=wanted,
        active_word=row.active.replace("{wanted}", wanted.lower()),
        timeout_s=_seconds(name, "timeout", properties.get("timeout"), row.timeout_s),
        retry_s=_seconds(name, "time_between_retries", properties.get("time_between_retries"), row.retry_s),
        interval_s=_seconds(name, "interval", properties.get("interval"), row.interval_s),
        hold_s=hold_s,
        positive=positive,
        pools=pools,
        tags=_tags(name, properties.get("tags")),
        mibs=_mibs(name, properties.get("mibs")),
    )


def _hold(name: str, value: Any) -> tuple[float, tuple[str, ...], tuple[Pairs, ...]]:
    """hold_options of contract 6.4: seconds, and the statuses or the maps of positive_status."""
    if value is None:
        return 0.0, (), ()
    if not isinstance(value, Mapping) or not isinstance(value.get("positive_status"), list):
        raise BadMonitor(
            f"monitor '{name}': hold_options must have positive_status (a list) and time_seconds"
        )
    hold_s = _seconds(name, "hold_options.time_seconds", value.get("time_seconds"), 0.0)
    entries = value["positive_status"]
    maps = [entry for entry in entries if isinstance(entry, Mapping)]
    if maps and len(maps) < len(entries):
        raise BadMonitor(f"monitor '{name}': positive_status must hold statuses or maps of them, not both")
    pools = tuple(tuple(sorted((str(k), str(v).upper()) for k, v in each.items())) for each in maps)
    return hold_s, () if maps else tuple(str(entry).upper() for entry in entries), pools


def _tags(name: str, value: Any) -> TagSets:
    sets = [value] if isinstance(value, Mapping) else value or []
    if not isinstance(sets, list) or not all(isinstance(each, Mapping) for each in sets):
        raise BadMonitor(f"monitor '{name}': property 'tags' must be a table or a list of tables")
    return tuple(tuple(sorted((str(k), str(v)) for k, v in each.items())) for each in sets)


def _mibs(name: str, value: Any) -> tuple[str, ...]:
    pairs = value or []
    if not isinstance(pairs, list) or not all(isinstance(each, list) and len(each) == 2 for each in pairs):
        raise BadMonitor(f"monitor '{name}': property 'mibs' must be a list of [name, oid]")
    return tuple(str(oid) for _, oid in pairs)


def _seconds(name: str, prop: str, value: Any, default: float) -> float:
    if value is None:
        return default
    try:
        given = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadMonitor(
            f"monitor '{name}': property '{prop}' must be seconds, not {quoted(value)}"
        ) from error
    if not 0 < given <= SECONDS_MAX:
        raise BadMonitor(
            f"monitor '{name}': property '{prop}' must be within 0 and 86400 s, not {quoted(value)}"
        )
    if prop in ("time_between_retries", "interval") and given < PERIOD_MIN_S:
        raise BadMonitor(
            f"monitor '{name}': property '{prop}' must be at least {PERIOD_MIN_S:g} s, not {quoted(value)}"
        )
    return given


def row_of(target: Target, types: MonitorTypes) -> MonitorType | None:
    """How it is watched: as its type says, with the readings of `mibs`, as far as any type has one of that OID for
    which the target has the properties. None: there is no such type."""
    row = types.get(target.type)
    if row is None or not target.mibs:
        return row
    known = [reading for each in types.values() for reading in each.readings]
    asked = (next((r for r in known if _reads(r, oid, target)), None) for oid in target.mibs)
    return replace(row, readings=tuple(dict.fromkeys([*row.readings, *filter(None, asked)])))


def _reads(reading: ReadingType, oid: str, target: Target) -> bool:
    """Whether it is that OID, which `mibs` name without the instance, of this target."""
    instances = [reading.instance, *([reading.discontinuity] if reading.discontinuity else [])]
    needs = {name for instance in instances for name in instance.needs}
    wanted = (oid, f"{oid}.0", f"{oid}.{IF_INDEX}")
    return reading.instance.pattern in wanted and needs <= dict(target.keys).keys()


def queries_of(target: Target, row: MonitorType) -> tuple[Query, tuple[Query, ...]]:
    """How its status is read, and its readings in the order of the type. Raises KeyError if the type has come
    to need a property that the target was made without, BadMonitor for one that cannot stand in an OID: what was stored
    is checked like what is declared, since one bad OID would spoil the polls of all that is on its device."""
    keys = dict(target.keys)
    for instance in (row.instance, *(reading.instance for reading in row.readings)):
        instance.check(keys)
    readings = tuple(reading.instance.query(keys, None) for reading in row.readings)
    return row.instance.query(keys, row.states), readings


def encode_targets(version: int, targets: Sequence[Target]) -> bytes:
    """`/gatewright/targets/<path>`: what is to be watched after a restart, without any secret."""
    return compact({"version": version, "targets": [asdict(t) for t in targets]})


def decode_targets(raw: bytes) -> tuple[int, tuple[Target, ...]]:
    """Inverse of `encode_targets`. Raises ValueError for what is none."""
    value = object_of(parse(raw), "a list of targets")
    return version_of(value), tuple(_decoded(entry) for entry in objects_of(value, "targets"))


def _decoded(entry: JsonObject) -> Target:
    for name in ("name", "type"):
        text_of(entry, name)
    strange = next((name for name in entry if name not in _READ), None)
    if strange is not None:
        raise ValueError(f"a target has no member {quoted(strange)}")
    return Target(**{name: _READ[name](entry, name) for name in entry})


def _stored_seconds(entry: JsonObject, name: str) -> float:
    value = seconds(entry[name], SECONDS_MAX)
    if value is None or (name in _PERIODS and 0 < value < PERIOD_MIN_S):
        raise ValueError(f"member '{name}' must be seconds up to {SECONDS_MAX:g}, not {quoted(entry[name])}")
    return value


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(each, str) for each in value)


def _pairs(value: Any, name: str) -> Pairs:
    if not isinstance(value, list) or not all(map(_is_pair, value)):
        raise ValueError(f"member '{name}' must be a list of pairs of texts, not {quoted(value)}")
    return tuple((key, text) for key, text in value)


def _lists_of_pairs(entry: JsonObject, name: str) -> tuple[Pairs, ...]:
    value = entry[name]
    if not isinstance(value, list):
        raise ValueError(f"member '{name}' must be a list, not {quoted(value)}")  # noqa: TRY004 - one kind of error
    return tuple(_pairs(each, name) for each in value)


#: How often something is done: shorter ones would keep a process busy with nothing else.
_PERIODS: Final = ("retry_s", "interval_s")
#: How each member of a stored target is read; those that are absent are as in `Target`.
_READ: Final[Mapping[str, Callable[[JsonObject, str], Any]]] = {
    **dict.fromkeys(("name", "type", "host", "community_name", "wanted", "active_word"), text_of),
    **dict.fromkeys(("timeout_s", "hold_s", *_PERIODS), _stored_seconds),
    "keys": lambda entry, name: _pairs(entry[name], name),
    **dict.fromkeys(("positive", "mibs"), texts_of),
    **dict.fromkeys(("pools", "tags"), _lists_of_pairs),
    "passive": flag_of,
}


def watched(targets: Sequence[Target]) -> tuple[Target, ...]:
    """Those that have a status in `/monitoring`."""
    return tuple(t for t in targets if not t.passive)


def statuses_to_write(
    targets: Sequence[Target], known: Mapping[str, str], hidden: Sequence[str] = ()
) -> dict[str, str] | None:
    """The flat `/monitoring` members, or None while any member is unknown (contract 1.1: aggregated only
    after every member is known). `hidden`: names that are left out (`UNPUBLISHED`)."""
    names = [t.name for t in watched(targets) if t.name not in hidden]
    if not names or any(name not in known for name in names):
        return None
    return {name: known[name] for name in names}


def hold_left_s(targets: Sequence[Target], statuses: Mapping[str, str], age_s: float) -> float:
    """For how long yet (0 or less: no longer) `/monitoring`, first composed of `statuses`, is held back (contract
    6.7): until each target with `pools` sees one of its maps match completely, all members at once, or its hold has
    passed. `age_s`: since they were registered."""
    unmet = (t for t in targets if t.name in statuses and t.pools and not _met(t.pools, statuses))
    return max((t.hold_s - age_s for t in unmet), default=0.0)


def _met(pools: Sequence[Pairs], statuses: Mapping[str, str]) -> bool:
    return any(all(statuses.get(name) == status for name, status in pool) for pool in pools)
