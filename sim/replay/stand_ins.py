"""What answers in place of the recorded Heat and the recorded devices. Runs inside the pool processes.

Guarantees: a stack ends when the conductor says so, with the recorded status, reason and outputs; a device shows
a port as wanted when the conductor says so. What was asked of Heat is written down, a line of JSON per request.
The conductor and the stand-ins share a folder: `released` holds a line for everything that may end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.core.errors import ErrorClass, PortError
from actors.ports import DeviceAddress, Stack, StackSpec

PLAN, REQUESTS, RELEASED = "plan.json", "requests.jsonl", "released"
SYS_UP_TIME, IF_TABLE_LAST_CHANGE = "1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.31.1.5.0"
IF_NAME, IF_OPER_STATUS = "1.3.6.1.2.1.31.1.1.1.1", "1.3.6.1.2.1.2.2.1.8"
VRRP_OPER_STATE, BGP_PEER_STATE = "1.3.6.1.2.1.68.1.3.1.3", "1.3.6.1.2.1.15.3.1.2"
_VRRP = {"INITIALIZE": 1, "BACKUP": 2, "MASTER": 3}


class Released:
    """The lines of the shared file, read again whenever it has grown."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / RELEASED
        self._size = -1
        self._lines: frozenset[str] = frozenset()

    def __contains__(self, what: str) -> bool:
        size = self._path.stat().st_size if self._path.exists() else 0
        if size != self._size:
            self._size = size
            self._lines = frozenset(self._path.read_text().splitlines()) if size else frozenset()
        return what in self._lines


@dataclass(slots=True)
class _Held:
    """A stack under way or done; `token` is what releases it."""

    id: str
    tags: tuple[str, ...]
    action: str
    token: str


class RecordedStacks:
    """`ports.Stacks` that ends stacks as recorded."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._answers: dict[str, Any] = json.loads((folder / PLAN).read_text())["stacks"]
        self._released = Released(folder)
        self._stacks: dict[str, _Held] = {}
        self._made = 0

    def _note(self, action: str, name: str, spec: StackSpec | None) -> None:
        entry: dict[str, Any] = {"action": action, "stack_name": name}
        if spec is not None:
            entry |= {
                "tenant": spec.tenant,
                "parameters": spec.parameters,
                "timeout_min": spec.timeout_min,
                "template": spec.template,
                "tags": spec.tags,
            }
        with (self._folder / REQUESTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def find(self, tenant: str, *names: str) -> tuple[Stack, ...]:
        """The one stack of each name, if any."""
        return tuple(one for name in names for one in self._named(name))

    def _named(self, name: str) -> tuple[Stack, ...]:
        held = self._stacks.get(name)
        if held is not None and held.action == "DELETE" and held.token in self._released:
            del self._stacks[name]
            held = None
        return (self._show(name, held),) if held is not None else ()

    def _show(self, name: str, held: _Held) -> Stack:
        if held.token not in self._released:
            return Stack(held.id, name, held.action, "IN_PROGRESS", "", held.tags)
        answer = self._answers.get(held.token, {})
        action, _, status = str(answer.get("stack_status") or f"{held.action}_COMPLETE").partition("_")
        return Stack(
            held.id,
            name,
            action,
            status,
            answer.get("status_reason", ""),
            held.tags,
            tuple(answer.get("output", ())),
        )

    def _version(self, spec: StackSpec) -> str:
        return next(tag[1:] for tag in spec.tags if tag[0] == "v" and tag[1:].isdigit())

    def create(self, spec: StackSpec) -> str:
        """Begin."""
        if spec.name in self._stacks:
            raise PortError(ErrorClass.CONFLICT, "StackExists", spec.name)
        self._note("create", spec.name, spec)
        self._made += 1
        stack_id = f"00000000-0000-4000-8000-{self._made:012d}"
        self._stacks[spec.name] = _Held(stack_id, spec.tags, "CREATE", f"{spec.name} {self._version(spec)}")
        return stack_id

    def update(self, spec: StackSpec, stack_id: str) -> None:
        """Begin."""
        self._note("update", spec.name, spec)
        self._stacks[spec.name] = _Held(stack_id, spec.tags, "UPDATE", f"{spec.name} {self._version(spec)}")

    def delete(self, tenant: str, name: str, stack_id: str) -> None:
        """Begin."""
        self._note("delete", name, None)
        held = self._stacks.get(name)
        if held is not None:
            self._stacks[name] = _Held(held.id, held.tags, "DELETE", f"{name} deleted")

    def in_progress(self, tenant: str) -> frozenset[str]:
        """Those that were not released."""
        return frozenset(held.id for held in self._stacks.values() if held.token not in self._released)

    def get(self, tenant: str, name: str, stack_id: str, *, outputs: bool) -> Stack:
        """As recorded."""
        found = self._named(name)
        if not found:
            raise PortError(ErrorClass.NOT_FOUND, "EntityNotFound", f"The Stack ({name}) could not be found.")
        return found[0]


class RecordedAgent:
    """`ports.Agent` whose devices show every recorded monitor as wanted, once it is released."""

    def __init__(self, folder: Path) -> None:
        self._devices: dict[str, list[dict[str, Any]]] = json.loads((folder / PLAN).read_text())["devices"]
        self._released = Released(folder)

    def _names(self, host: str) -> list[str]:
        monitors = self._devices.get(host, [])
        return sorted({m["subject"] for m in monitors if m["kind"] in ("port", "vrrp")})

    def counters(self) -> Mapping[str, int]:
        """There is no wire."""
        return {}

    async def walk(self, device: DeviceAddress, root: str) -> Mapping[str, int | bytes | str | None]:
        """Only ifName is ever walked."""
        names = self._names(device.host)
        return {f"{IF_NAME}.{i}": name.encode() for i, name in enumerate(names, 1)} if root == IF_NAME else {}

    async def get(self, device: DeviceAddress, oids: Sequence[str]) -> Mapping[str, int | bytes | str | None]:
        """Every value that was recorded as a monitor's subject."""
        return {oid: self._value(device.host, oid) for oid in oids}

    def close(self) -> None:
        """Nothing is open."""

    def _value(self, host: str, oid: str) -> int | bytes | None:
        names = self._names(host)
        if oid == SYS_UP_TIME:
            return int(time.monotonic() * 100) % 2**32
        if oid == IF_TABLE_LAST_CHANGE:
            return 0
        for root in (IF_NAME, IF_OPER_STATUS, VRRP_OPER_STATE, BGP_PEER_STATE):
            if not oid.startswith(root + "."):
                continue
            rest = oid[len(root) + 1 :]
            if root == BGP_PEER_STATE:
                return 6 if self._is_shown(host, "bgp", rest, 0) else None
            index, _, vrid = rest.partition(".")
            name = names[int(index) - 1] if 0 < int(index) <= len(names) else ""
            if root == IF_NAME:
                return name.encode() if name else None
            if root == IF_OPER_STATUS:
                return 1 if self._is_shown(host, "port", name, 0) else 4
            shown = self._is_shown(host, "vrrp", name, int(vrid))
            return _VRRP.get(shown["wanted"]) if shown else None
        return None

    def _is_shown(self, host: str, kind: str, subject: str, vrid: int) -> dict[str, Any] | None:
        for monitor in self._devices.get(host, []):
            same = (monitor["kind"], monitor["subject"], monitor["vrid"]) == (kind, subject, vrid)
            if same and monitor["token"] in self._released:
                return monitor
        return None


def stacks(folder: str) -> RecordedStacks:
    """Factory for `Wiring`."""
    return RecordedStacks(Path(folder))


def agent(folder: str) -> RecordedAgent:
    """Factory for `Wiring`."""
    return RecordedAgent(Path(folder))
