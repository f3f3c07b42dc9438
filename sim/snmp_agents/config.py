"""The configuration of the embedded agents: which devices, where, with which tables.

    devices:
      - name: ese1                    # as in the control commands
        host: 127.0.0.11              # default 127.0.0.1; only loopback
        port: 0                       # default 0: any free port
        community: ESE_NODE_COMMUNITY
        interfaces: [xe-0/0/3, {name: xe-0/0/3.1025, index: 611, status: down}]
        vrrp: [{interface: ae0.1025, vrid: 1, state: MASTER}]
        bgp: [{peer: 10.1.2.3, state: ESTABLISHED}]
        max_bytes: 1400               # longer answers become tooBig
    synthetic: {devices: 2000, ports: 50, community: public, port: 0}     # optional, for benches

Guarantees: what is wrong is said with the name of the device, and nothing outside 127.0.0.0/8 is bound.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sim.snmp_agents.mib import DeviceTables

_TABLE_MEMBERS = frozenset({"community", "interfaces", "vrrp", "bgp", "description", "max_bytes"})
_MEMBERS = _TABLE_MEMBERS | {"name", "host", "port"}
_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
_FIRST_SYNTHETIC = int(ipaddress.ip_address("127.1.0.1"))


class ConfigError(ValueError):
    """The configuration cannot be used; the text says which device and why."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A device and where it should listen (port 0: any free)."""

    host: str
    port: int
    tables: DeviceTables


def devices_of(config: Mapping[str, Any], now_s: float) -> list[Placed]:
    """All devices of a configuration, booted at `now_s`. Raises ConfigError."""
    placed = [_placed(entry, now_s) for entry in config.get("devices", ())]
    placed.extend(_synthetic(config.get("synthetic") or {}, now_s))
    names = [device.tables.name for device in placed]
    if len(set(names)) != len(names):
        raise ConfigError(f"two devices are named {next(n for n in names if names.count(n) > 1)}")
    return placed


def _placed(entry: Mapping[str, Any], now_s: float) -> Placed:
    name = str(entry.get("name", "?"))
    unknown = set(entry) - _MEMBERS
    if unknown or "name" not in entry or "community" not in entry:
        raise ConfigError(f"device {name}: name and community are needed; unknown members {sorted(unknown)}")
    host = str(entry.get("host", "127.0.0.1"))
    options = {member: value for member, value in entry.items() if member in _TABLE_MEMBERS}
    try:
        loopback = ipaddress.ip_address(host) in _LOOPBACK
        port = int(entry.get("port", 0))
        tables = DeviceTables(name, booted_at=now_s, **options)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"device {name}: {error}") from error
    if not loopback:
        raise ConfigError(f"device {name}: {host} is not a loopback address")
    return Placed(host, port, tables)


def _synthetic(options: Mapping[str, Any], now_s: float) -> Iterator[Placed]:
    """`devices` devices at 127.1.0.1 and on, each with `ports` ports `xe-<i//48>/0/<i%48>`."""
    ports = [f"xe-{i // 48}/0/{i % 48}" for i in range(int(options.get("ports", 50)))]
    for number in range(int(options.get("devices", 0))):
        tables = DeviceTables(
            f"synthetic{number}",
            community=str(options.get("community", "public")),
            interfaces=ports,
            booted_at=now_s,
        )
        yield Placed(
            str(ipaddress.ip_address(_FIRST_SYNTHETIC + number)), int(options.get("port", 0)), tables
        )
