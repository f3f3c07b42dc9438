"""The commands that change simulated devices while they run.

    list                                   all devices and their ports
    port down|up NAME [DEVICE]             ifOperStatus 2 or 1 (all devices that have it, or one)
    port raw NAME STATUS [DEVICE]          any ifOperStatus 1..7
    port add|remove NAME DEVICE
    vrrp INTERFACE VRID STATE [DEVICE]     INITIALIZE BACKUP MASTER
    bgp PEER STATE [DEVICE]                IDLE … ESTABLISHED
    quiet DEVICE on|off                    answer nothing
    reboot DEVICE                          uptime and counters from zero
    renumber DEVICE                        new ifIndexes, ifTableLastChange moves
    swap DEVICE PORT PORT                  two ports change indexes and nothing tells it
    limit DEVICE BYTES                     longest reply

Guarantees: `execute` answers a JSON object with `ok` for any line, changes nothing when `ok` is false for
an unknown word, and never raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sim.snmp_agents.mib import DOWN, UP, DeviceTables, UnknownNameError


class RefusedError(ValueError):
    """The command makes no sense; the text says why."""


def execute(devices: Mapping[str, DeviceTables], line: str, now_s: float) -> dict[str, Any]:
    """Carry out one line. `{"ok": true, "devices": [...]}` names the devices that were changed."""
    words = line.split()
    try:
        if words == ["list"]:
            return {"ok": True, "devices": {name: _shown(tables) for name, tables in devices.items()}}
        return {"ok": True, "devices": _change(devices, words, now_s)}
    except (RefusedError, ValueError) as error:
        return {"ok": False, "error": str(error)}


def _shown(tables: DeviceTables) -> dict[str, Any]:
    return {
        "quiet": tables.quiet,
        "ports": {i.name: {"index": i.index, "oper": i.oper} for i in tables.interfaces.values()},
        "vrrp": {f"{name} {vrid}": state for (name, vrid), state in tables.vrrp.items()},
        "bgp": dict(tables.bgp),
    }


def _change(devices: Mapping[str, DeviceTables], words: list[str], now_s: float) -> list[str]:
    match words:
        case ["port", ("down" | "up") as state, name, *where]:
            oper = DOWN if state == "down" else UP
            return _each(devices, where, lambda d: d.set_port(name, oper, now_s))
        case ["port", "raw", name, status, *where] if status in set("1234567"):
            return _each(devices, where, lambda d: d.set_port(name, int(status), now_s))
        case ["port", "add", name, device]:
            return _each(devices, [device], lambda d: d.add_port(name, now_s))
        case ["port", "remove", name, device]:
            return _each(devices, [device], lambda d: d.remove_port(name, now_s))
        case ["vrrp", interface, vrid, state, *where]:
            return _each(devices, where, lambda d: d.set_vrrp(interface, int(vrid), state))
        case ["bgp", peer, state, *where]:
            return _each(devices, where, lambda d: d.set_bgp(peer, state))
        case ["quiet", device, ("on" | "off") as state]:
            return _each(devices, [device], lambda d: setattr(d, "quiet", state == "on"))
        case ["reboot", device]:
            return _each(devices, [device], lambda d: d.reboot(now_s))
        case ["renumber", device]:
            return _each(devices, [device], lambda d: d.renumber(now_s))
        case ["swap", device, first, second]:
            return _each(devices, [device], lambda d: d.swap(first, second))
        case ["limit", device, size]:
            return _each(devices, [device], lambda d: setattr(d, "max_bytes", int(size)))
    raise RefusedError(f"unknown command: {' '.join(words)}")


def _each(
    devices: Mapping[str, DeviceTables], where: list[str], change: Callable[[DeviceTables], None]
) -> list[str]:
    """Apply to the one device named, or to all that have what the command speaks of."""
    if len(where) > 1:
        raise RefusedError(f"one device at most, not {' '.join(where)}")
    if where and where[0] not in devices:
        raise RefusedError(f"no device {where[0]}")
    changed = []
    for name in where or devices:
        try:
            change(devices[name])
        except UnknownNameError:
            continue
        changed.append(name)
    if not changed:
        raise RefusedError("no device has that")
    return changed
