"""Monitoring: rendering, registering, polling and statuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.core.errors import Failure
from actors.core.model import JsonObject, Param, Ref
from actors.core.monitors import Target
from actors.core.polling import PollAnswer, PollRequest
from actors.core.readings import Point

Address = Any


@dataclass(frozen=True, slots=True)
class RenderMonitors:
    """ResourceActor → SnmpPollerActor: render a monitoring document into targets (contract 6.1)."""

    rid: str
    ref: Ref
    template_id: str
    template: str
    params: tuple[Param, ...]
    outputs: Mapping[Ref, tuple[JsonObject, ...]]


@dataclass(frozen=True, slots=True)
class MonitorsRendered:
    """SnmpPollerActor → requester: the targets, or why there are none to be had."""

    rid: str
    targets: tuple[Target, ...]
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Register:
    """ResourceActor → Shard: watch these targets in the name of `ref` at `version`, replacing older ones. What etcd
    held of its targets up to revision `since` is of the past."""

    ref: Ref
    version: int
    targets: tuple[Target, ...]
    since: int = 0


@dataclass(frozen=True, slots=True)
class Unregister:
    """ResourceActor → Shard: stop watching for `ref`."""

    ref: Ref


@dataclass(frozen=True, slots=True)
class WatchTarget:
    """Shard → DeviceActor (through the device's shard): poll this target and tell `reply_to`.

    `fresh`: `/monitoring` does not know this version yet, so the target's hold counts from now.
    """

    ref: Ref
    version: int
    target: Target
    reply_to: Address
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class UnwatchTargets:
    """Shard → DeviceActor (through the device's shard): `ref` is not interested any more in these targets on
    that device (none named: in none at all)."""

    ref: Ref
    device: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """DeviceActor → its own Shard → the registering Shard → the live ResourceActor, if any: a confirmed status.

    `flapping`: it changes so often that not every change is worth a write. `device`: who says it (`Target.device`).
    """

    ref: Ref
    version: int
    name: str
    status: str
    detail: str = ""
    flapping: bool = False
    device: str = ""


@dataclass(frozen=True, slots=True)
class Lasting:
    """Shard → another Shard of its controller: `message`, and again until Got says that number. The receiver stands
    hearing it twice."""

    number: int
    message: WatchTarget | UnwatchTargets | TargetStatus


@dataclass(frozen=True, slots=True)
class Got:
    """Shard → Shard: the Lasting of that number has arrived and is taken care of."""

    number: int


@dataclass(frozen=True, slots=True)
class Readings:
    """DeviceActor → the collector of metrics (`Desk.readings`), once per device and interval: measured values.

    `at_s`: seconds since 1970. Of each `source` (a DeviceActor; never shown) only the newest message is of interest.
    """

    source: str
    device: str
    at_s: float
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class DeviceBegin:
    """Shard → a DeviceActor it just created: the device, and the shard's desk."""

    device: str
    desk: Any


@dataclass(frozen=True, slots=True)
class DeviceHeard:
    """DeviceActor → its Shard: the device has fallen silent, or `answers` again."""

    device: str
    answers: bool


@dataclass(frozen=True, slots=True)
class SnmpPoll:
    """DeviceActor → SnmpPollerActor: ask this device once."""

    rid: str
    request: PollRequest


@dataclass(frozen=True, slots=True)
class SnmpAnswer:
    """SnmpPollerActor → DeviceActor: what it said, or that it is silent."""

    rid: str
    answer: PollAnswer
