"""The tunables that actors read: plain numbers and names, no secrets, picklable.

Guarantees: immutable; every duration in seconds unless its name says otherwise; defaults are those of
`config/settings.py`, which documents ranges and builds this from file and environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from actors.core.flapping import FlapRule
from actors.core.keys import ResourceType
from actors.core.monitor_types import MonitorType
from actors.core.monitors import UNPUBLISHED


@dataclass(frozen=True, slots=True)
class Options:
    """What run.py decided, handed to every process in `Boot`."""

    types: tuple[ResourceType, ...]
    # processes
    shards: int = 1
    heat_actors: int = 1
    snmp_actors: int = 1
    heat_threads: int = 16
    # limits
    live_resources_max: int = 10_000
    missing_resource_wait_s: float = 60.0
    request_timeout_s: float = 10.0
    retry_base_s: float = 0.5
    retry_cap_s: float = 60.0
    retry_attempts_max: int = 8
    # etcd
    owner_ttl_s: float = 10.0
    history_s: float = 600.0
    history_bytes: int = 256 * 1024 * 1024
    # heat
    admin_tenant: str = "admin"
    heat_tick_s: float = 1.0
    heat_grace_s: float = 60.0
    heat_drift_interval_s: float = 3600.0
    heat_silence_s: float = 30.0
    heat_call_max_s: float = 120.0
    heat_stacks_max: int = 2_000
    heat_stacks_per_tenant_max: int = 1_000
    # snmp
    snmp_port: int = 161
    snmp_interval_active_s: float = 5.0
    snmp_interval_s: float = 30.0
    snmp_answer_timeout_s: float = 20.0
    snmp_readings_interval_s: float = 60.0
    snmp_failures_max: int = 2
    snmp_confirm_s: float = 0.0
    snmp_probe_base_s: float = 30.0
    snmp_probe_cap_s: float = 300.0
    snmp_flaps: FlapRule = field(default_factory=FlapRule)
    monitor_types: Mapping[str, MonitorType] = field(default_factory=dict)
    #: resource type → monitors that are not shown in `/monitoring`
    unpublished: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(UNPUBLISHED))
    default_community_name: str = "EDGE_ROUTER_COMMUNITY"
    #: declared address → "host:port" where the agent really listens
    devices: Mapping[str, str] = field(default_factory=dict)
    # supervision
    heartbeat_s: float = 5.0
    heartbeats_missed_max: int = 4
    restarts_max: int = 10
    restarts_window_s: float = 60.0
    # the HTTP port: None: there is none; 0: any free one
    http_host: str = "127.0.0.1"
    http_port: int | None = None
    #: the free one that was taken the last time: taken again if it is still free
    http_port_before: int = 0
    # whether a trace is made of each version
    traces: bool = False
    # log
    log_level: str = "info"
    log_json: bool = False
