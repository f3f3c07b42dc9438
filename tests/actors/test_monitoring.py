"""Monitoring through all actors: what flaps is written rarely, and `/monitoring` ends with the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from actors.core import keys
from actors.core.options import Options
from config.monitor_types import load_monitor_types
from tests.actors.rig import TYPES, Rig

RIG_OPTIONS = Options(tuple(TYPES), monitor_types=load_monitor_types())


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A controller that looks every 5 s, with the gateway settled."""
    made = Rig(replace(RIG_OPTIONS, snmp_interval_s=5.0))
    made.apply_example()
    made.settle()
    made.host.advance(10)
    yield made
    made.host.close()


def revision(rig: Rig, key: str) -> int:
    """At which revision a key was written last."""
    entry = rig.etcd.get(key)
    assert entry is not None
    return entry.mod_revision


def test_a_flapping_port_is_written_once_a_minute_and_at_last_truly(rig: Rig) -> None:
    """A port that flips every 15 s for 15 minutes costs 6 writes and then one a minute; the row says that it
    flaps; once it is calm the true status is written."""
    key = next(key for key in rig.keys(keys.MONITORING) if "ese_physical_port" in key)
    ref = TYPES.ref(key, keys.MONITORING)
    assert ref is not None
    assert rig.get(key) == {"port": "UP", "version": 1}
    interface = _interface(rig, ref.id)
    table = next(t for t in rig.tables.values() if any(i.name == interface for i in t.interfaces.values()))
    seen, writes = revision(rig, key), 0
    for flip in range(60):
        table.set_port(interface, 1 if flip % 2 else 2, rig.host.now)
        for _ in range(15):
            rig.host.advance(1)
            now = revision(rig, key)
            writes, seen = writes + (now != seen), now
    assert 15 <= writes <= 24
    row = next(row for row in rig.status().rows if row.ref == ref)
    assert row.monitoring["port"].endswith("(flapping)")
    rig.host.advance(700)
    row = next(row for row in rig.status().rows if row.ref == ref)
    assert row.monitoring == {"port": "UP"}
    assert rig.get(key) == {"port": "UP", "version": 1}


def _interface(rig: Rig, port_id: str) -> str:
    """The name under which a physical port is watched."""
    key = next(key for key in rig.keys(keys.TARGETS) if port_id in key)
    return str(dict(rig.get(key)["targets"][0]["keys"])["name"])
