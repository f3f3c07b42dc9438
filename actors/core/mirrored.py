"""What shards, commands and Telemetry mirror of etcd. The results of workflows are read on demand instead."""

from __future__ import annotations

from actors.core import keys

MIRRORED = (
    keys.CONFIG,
    keys.JOBS,
    keys.STATE,
    keys.MONITORING,
    keys.TARGETS,
    keys.ACCEPTED,
    keys.RECONCILE,
    keys.PAUSE,
    keys.DRIFT,
)
