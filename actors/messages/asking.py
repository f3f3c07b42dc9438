"""What run.py asks and is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.core.model import Ref

Address = Any


@dataclass(frozen=True, slots=True)
class StatusQuery:
    """run.py → Supervisor → every Shard: how do things stand? At most `limit` rows, unfinished ones first."""

    rid: str
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class ResourceStatus:
    """One row of a status: plain values only. `seconds`: what was spent, by kind; `own` is ours. `seen`: all
    its targets are known and written to `/monitoring`, or it has none; `awaits`: whom it waits for."""

    ref: Ref
    version: int
    stage: str
    reason: str
    in_stage_s: float
    seconds: Mapping[str, float]
    error: str
    monitoring: Mapping[str, str]
    seen: bool = True
    awaits: tuple[Ref, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusReply:
    """Shard → Supervisor, and for all shards together Supervisor → run.py. `counts`: resources by stage,
    all of them; `problems`: values in etcd that cannot be read; `ready`: the mirror is complete; `http`: where
    the HTTP port listens; `restarts`: replaced processes by role; `heat`: whether Heat is asked
    at present, and since when and why it is not."""

    rid: str
    ready: bool
    store: str
    counts: Mapping[str, int]
    rows: tuple[ResourceStatus, ...]
    problems: tuple[str, ...]
    pids: Mapping[str, int] = field(default_factory=dict)
    http: str = ""
    restarts: Mapping[str, int] = field(default_factory=dict)
    heat: str = "up"
