"""Monitor types as data: what a monitoring document may name and what it takes to watch it (contract 6.1, 6.2).

Guarantees: a new type is a row in `MONITOR_TYPES`; the seven types that are not SNMP in the original are
PASSIVE here: ACTIVE at once, never in `/monitoring`. Targets hold no password: only what polling needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """How a target is looked at."""

    DEVICE = "device"  # sysUpTime answers
    PORT = "port"  # ifOperStatus of the interface of that name
    VRRP = "vrrp"  # vrrpOperState of interface and group
    BGP = "bgp"  # bgpPeerState of the peer
    PASSIVE = "passive"  # not looked at


@dataclass(frozen=True, slots=True)
class MonitorType:
    """One row: which properties name the device and the thing on it, what is wanted, how long to wait."""

    kind: Kind
    host: str = ""
    required: tuple[str, ...] = ()
    wanted: str = "UP"
    timeout_s: float = 120.0


_PORT = MonitorType(Kind.PORT, "device_ip", ("name",))
_DEVICE = MonitorType(Kind.DEVICE, "ip")
_PASSIVE = MonitorType(Kind.PASSIVE)

MONITOR_TYPES: Mapping[str, MonitorType] = {
    "switch": _DEVICE,
    "router": _DEVICE,
    "physical_port": _PORT,
    "logical_port": _PORT,
    "vrrp_session": MonitorType(Kind.VRRP, "host", ("interface", "vrid"), "MASTER", 360.0),
    "bgp_session": MonitorType(Kind.BGP, "host", ("peer_address",), "ESTABLISHED", 300.0),
    "virtual_network": _PASSIVE,
    "virtual_machine_interface": _PASSIVE,
    "nova_vm": _PASSIVE,
    "etcd_reader": _PASSIVE,
    "kafka_messenger": _PASSIVE,
}


class BadMonitor(ValueError):
    """A monitoring document names an unknown type or lacks a property. The text says which."""


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to watch for one resource. `wanted` and statuses are upper case as in `/monitoring`."""

    name: str
    kind: Kind
    host: str = ""
    community_name: str = ""
    subject: str = ""  # interface name or BGP peer
    vrid: int = 0
    wanted: str = "UP"
    timeout_s: float = 120.0
    retry_s: float = 5.0

    @property
    def device(self) -> str:
        """Which DeviceActor it belongs to: one per address and community name."""
        return f"{self.host}|{self.community_name}"

    @property
    def active_word(self) -> str:
        """What `state_monitoring` says once it is as wanted: VRRP says its role (contract 6.2)."""
        return self.wanted.lower() if self.kind is Kind.VRRP else "ACTIVE"


def target(name: str, type_name: str, properties: Mapping[str, Any], default_community: str) -> Target:
    """Make a target from one monitor of a document. Raises BadMonitor."""
    row = MONITOR_TYPES.get(type_name)
    if row is None:
        known = ", ".join(sorted(MONITOR_TYPES))
        raise BadMonitor(f"monitor '{name}': unknown type {type_name!r} (known: {known})")
    if row.kind is Kind.PASSIVE:
        return Target(name, Kind.PASSIVE)
    for needed in (row.host, *row.required):
        if properties.get(needed) in (None, ""):
            raise BadMonitor(f"monitor '{name}' of type {type_name}: property '{needed}' is missing or empty")
    wanted = str(properties.get("wanted_status") or row.wanted).upper()
    return Target(
        name=name,
        kind=row.kind,
        host=str(properties[row.host]),
        community_name=str(properties.get("community_name") or default_community),
        subject=str(
            properties.get("name") or properties.get("interface") or properties.get("peer_address") or ""
        ),
        vrid=_integer(name, "vrid", properties.get("vrid", 0)),
        wanted=wanted,
        timeout_s=_seconds(name, "timeout", properties.get("timeout"), row.timeout_s),
        retry_s=_seconds(name, "time_between_retries", properties.get("time_between_retries"), 5.0),
    )


def _integer(name: str, prop: str, value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise BadMonitor(
            f"monitor '{name}': property '{prop}' must be a whole number, not {value!r}"
        ) from error


def _seconds(name: str, prop: str, value: Any, default: float) -> float:
    if value is None:
        return default
    try:
        seconds = float(value)
    except (TypeError, ValueError) as error:
        raise BadMonitor(f"monitor '{name}': property '{prop}' must be seconds, not {value!r}") from error
    if not 0 < seconds <= 86_400:
        raise BadMonitor(f"monitor '{name}': property '{prop}' must be within 0 and 86400 s, not {value!r}")
    return seconds


def encode_targets(version: int, targets: Sequence[Target]) -> bytes:
    """`/gatewright/targets/<path>`: what is to be watched after a restart, without any secret."""
    return json.dumps(
        {"version": version, "targets": [asdict(t) for t in targets]}, separators=(",", ":")
    ).encode()


def decode_targets(raw: bytes) -> tuple[int, tuple[Target, ...]]:
    """Inverse of `encode_targets`. Raises ValueError, KeyError or TypeError for what is none."""
    value = json.loads(raw)
    targets = tuple(Target(**{**entry, "kind": Kind(entry["kind"])}) for entry in value["targets"])
    return int(value["version"]), targets


def watched(targets: Sequence[Target]) -> tuple[Target, ...]:
    """Those that have a status in `/monitoring`."""
    return tuple(t for t in targets if t.kind is not Kind.PASSIVE)


def statuses_to_write(targets: Sequence[Target], known: Mapping[str, str]) -> dict[str, str] | None:
    """The flat `/monitoring` members, or None while any member is unknown (contract 1.1: aggregated only
    after every member is known)."""
    names = [t.name for t in watched(targets)]
    if not names or any(name not in known for name in names):
        return None
    return {name: known[name] for name in names}
