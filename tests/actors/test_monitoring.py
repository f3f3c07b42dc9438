"""Monitoring through all actors: what flaps is written rarely, and `/monitoring` ends with the truth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from actors.core import keys
from actors.core.options import Options
from config.examples import load_declarations, load_templates
from config.monitor_types import load_monitor_types
from tests.actors.rig import EXAMPLE, TYPES, Rig

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


#: Of the example's gateway: both groups, all members at once, for 360 s.
MEMBERS = ("primary_41", "secondary_41", "primary_42", "secondary_42")
WANTED = {name: "MASTER" if name.startswith("primary") else "BACKUP" for name in MEMBERS}
HOLD = {"positive_status": [WANTED], "time_seconds": 360}


@pytest.fixture
def holding() -> Iterator[Rig]:
    """The example whose gateway has hold_options with a map; its sessions come up one after the other, each as wanted
    at its time and never all at once: the primary router has changed its mind when the secondary's is ready."""
    made = Rig(replace(RIG_OPTIONS, snmp_interval_s=5.0))
    vrrp(made, "router-01", "INITIALIZE")
    documents = dict([*load_templates(), *load_declarations(EXAMPLE, TYPES)])
    key = next(key for key in documents if key.endswith("/common_function_gateway_monitoring"))
    template = json.loads(documents[key])
    body = json.loads(template["body"])
    held = f"timeout: 360\n  hold_options: {json.dumps(HOLD)}"
    body["template_file"] = body["template_file"].replace("timeout: 360", held)
    documents[key] = json.dumps({**template, "body": body}).encode()
    made.apply(list(documents.items()))
    made.host.advance(20)
    vrrp(made, "router-02", "BACKUP")
    made.host.advance(20)
    vrrp(made, "router-01", "BACKUP")
    made.host.advance(20)
    yield made
    made.host.close()


def vrrp(rig: Rig, router: str, state: str) -> None:
    """Both groups of a router are now so."""
    for group in (41, 42):
        rig.tables[f"vMX-{router}"].set_vrrp("ae0.1025", group, state)


def gateway(rig: Rig) -> dict[str, object] | None:
    """`/monitoring` of the gateway, which is built."""
    (state,) = [key for key in rig.keys(keys.STATE) if "common_function_gateways" in key]
    assert not rig.get(state)["error"]
    shown = [key for key in rig.keys(keys.MONITORING) if "common_function_gateways" in key]
    return rig.get(shown[0]) if shown else None


def test_a_hold_with_a_map_waits_for_all_members_at_once(holding: Rig) -> None:
    """Each member was as the map says, but not together: nothing is written until they are; that ends the hold."""
    assert gateway(holding) is None
    vrrp(holding, "router-02", "MASTER")
    holding.host.advance(20)
    assert gateway(holding) == {**WANTED, "version": 1}
    vrrp(holding, "router-02", "BACKUP")
    holding.host.advance(20)
    assert gateway(holding) == {**dict.fromkeys(MEMBERS, "BACKUP"), "version": 1}


def test_a_hold_with_a_map_passes(holding: Rig) -> None:
    """When its seconds are over, what is so is written although the map does not match, and not before."""
    holding.host.advance(280)
    assert gateway(holding) is None
    holding.host.advance(40)
    assert gateway(holding) == {**dict.fromkeys(MEMBERS, "BACKUP"), "version": 1}
