"""Every message of Gatewright: a closed, immutable, versioned set.

Guarantees: each class is a frozen dataclass; its docstring says who sends it to whom; `WIRE_VERSION` changes
whenever a class or a member does, and the transport refuses frames of another version. Requests carry a `rid`
that is unique per requester; answers repeat it. Delivery is at most once: the requester owns id, deadline and
resend. `Address` is whatever the runtime uses as an actor's address.
"""

from __future__ import annotations

from typing import Any

from actors.messages.asking import ResourceStatus, StatusQuery, StatusReply
from actors.messages.drift import HeatCompare, HeatCompared, HeatHealth
from actors.messages.store import (
    Applied,
    Apply,
    Commit,
    Committed,
    Mirror,
    More,
    Owned,
    Read,
    ReadDone,
    Refused,
    Snapshot,
    StoreHealth,
    Subscribe,
)
from actors.messages.system import Boot, Ping, Pong, Tick, Topology, Wiring
from actors.messages.telemetry import HttpAt, MetricsQuery, MetricsReply
from actors.messages.watching import (
    DeviceBegin,
    Got,
    Lasting,
    MonitorsRendered,
    Readings,
    Register,
    RenderMonitors,
    SnmpAnswer,
    SnmpPoll,
    TargetStatus,
    Unregister,
    UnwatchTargets,
    WatchTarget,
)
from actors.messages.work import (
    Begin,
    HeatDone,
    HeatFailed,
    HeatProgress,
    HeatRequest,
    Nudge,
    PoolChanged,
    Report,
    Settled,
)

WIRE_VERSION = 3

Address = Any

#: The closed set.
MESSAGES: tuple[type, ...] = (
    Boot,
    Topology,
    Ping,
    Pong,
    Tick,
    Subscribe,
    Snapshot,
    Mirror,
    More,
    StoreHealth,
    Owned,
    Read,
    ReadDone,
    Commit,
    Committed,
    Refused,
    Apply,
    Applied,
    Begin,
    Nudge,
    PoolChanged,
    Report,
    Settled,
    HeatRequest,
    HeatProgress,
    HeatDone,
    HeatFailed,
    HeatHealth,
    HeatCompare,
    HeatCompared,
    RenderMonitors,
    MonitorsRendered,
    Register,
    Unregister,
    WatchTarget,
    UnwatchTargets,
    TargetStatus,
    Lasting,
    Got,
    Readings,
    DeviceBegin,
    SnmpPoll,
    SnmpAnswer,
    StatusQuery,
    StatusReply,
    MetricsQuery,
    MetricsReply,
    HttpAt,
)

__all__ = [
    "MESSAGES",
    "WIRE_VERSION",
    "Address",
    "Applied",
    "Apply",
    "Begin",
    "Boot",
    "Commit",
    "Committed",
    "DeviceBegin",
    "Got",
    "HeatCompare",
    "HeatCompared",
    "HeatDone",
    "HeatFailed",
    "HeatHealth",
    "HeatProgress",
    "HeatRequest",
    "HttpAt",
    "Lasting",
    "MetricsQuery",
    "MetricsReply",
    "Mirror",
    "MonitorsRendered",
    "More",
    "Nudge",
    "Owned",
    "Ping",
    "Pong",
    "PoolChanged",
    "Read",
    "ReadDone",
    "Readings",
    "Refused",
    "Register",
    "RenderMonitors",
    "Report",
    "ResourceStatus",
    "Settled",
    "Snapshot",
    "SnmpAnswer",
    "SnmpPoll",
    "StatusQuery",
    "StatusReply",
    "StoreHealth",
    "Subscribe",
    "TargetStatus",
    "Tick",
    "Topology",
    "Unregister",
    "UnwatchTargets",
    "WatchTarget",
    "Wiring",
]
