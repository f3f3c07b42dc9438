"""What `doctor` finds in etcd, over a fake one; and where there is no Heat."""

from __future__ import annotations

from actors.cli.doctor import devices, heat, state
from actors.cli.doctor_etcd import etcd
from actors.cli.finding import Finding
from actors.cli.reach import Installation, read_everything
from actors.core import keys
from actors.core.keys import TypeTable
from actors.core.knowledge import Live
from actors.core.monitors import Target, encode_targets
from actors.core.ownership import VSHARDS, member_key, shard_key
from actors.ports import Put, WriteSet
from actors.runtime.inline import InlineHost
from config.sections import HeatSection, Snapshot
from config.snmp_section import SnmpSection
from config.values import Secret
from sim.fake_etcd import FakeEtcd
from sim.fake_store import FakeStore
from tests.actors.bridge_rig import Clock
from tests.core.insight import Insight
from tests.core.mirror import NET, TYPES


def ownership(store: FakeStore) -> list[Finding]:
    """What is found of who owns what."""
    types = TypeTable(())
    found = Installation(Snapshot(), store, types, read_everything(store, types), None)
    return [finding for finding in etcd(found) if finding.check == "ownership"]


def test_what_no_controller_owns_is_counted() -> None:
    """A controller lives and a virtual shard is free: a finding with a remedy; where none is free there is none."""
    store = FakeStore(FakeEtcd(Clock(InlineHost())))
    for key in (member_key("a"), *map(shard_key, range(1, VSHARDS))):
        store.commit([WriteSet((Put(key, b"a"),))])
    (free,) = ownership(store)
    assert (free.severity, free.text.startswith("1 of 256 virtual shards")) == ("warn", True)
    assert free.remedy
    store.commit([WriteSet((Put(shard_key(0), b"a"),))])
    assert ownership(store) == []


def test_what_is_tried_again_is_told_with_the_remedy_of_its_reason() -> None:
    """A record of ours that somebody spoilt by hand is tried again for ever: its key is named, and what to do."""
    insight = Insight()
    insight.declare(NET)
    reason = "retry 7 in 30.0 s after BadRecord: /esi-worker/config/v2.0/nets/n: not JSON"
    insight.known.live = {NET: Live(1, "backing-off", reason, 1.0)}
    store = FakeStore(FakeEtcd(Clock(InlineHost())))
    found = Installation(Snapshot(), store, TypeTable(TYPES), insight.known, None)
    (again,) = (finding for finding in state(found) if finding.check == "resources")
    assert again.text == f"1 resource is tried again, for instance {NET}: {reason}"
    assert "mend or delete" in again.remedy


def test_a_heat_that_is_away_has_a_remedy_for_whoever_asks() -> None:
    """Not to wait for it, and not to ask `doctor`, which is what was done."""
    (found,) = heat(Snapshot(heat=HeatSection(endpoint="http://127.0.0.1:1/v1")))
    assert (found.severity, "refused" in found.text) == ("error", True)
    assert found.remedy == "start Heat, or correct the section [heat] of the settings"


def test_devices_are_asked_where_they_are_watched_and_no_community_is_shown() -> None:
    """An address with a port of its own is asked there; of communities only names that the settings list are told."""
    insight = Insight()
    declared = ("127.0.0.1:9", "no-such-secret"), ("127.0.0.1:9", "LISTED")
    targets = [
        Target(f"m{at}", "switch", host=host, community_name=name) for at, (host, name) in enumerate(declared)
    ]
    insight.known.world.put(keys.TARGETS + TypeTable(TYPES).path(NET), encode_targets(1, targets), 5, 5)
    snmp = SnmpSection(timeout_s=0.1, retries=0, communities={"LISTED": Secret("hidden")})
    store = FakeStore(FakeEtcd(Clock(InlineHost())))
    found = Installation(Snapshot(snmp=snmp), store, TypeTable(TYPES), insight.known, None)
    texts = [finding.text for finding in devices(found)]
    answer = "Timeout: 127.0.0.1:9: no answer"
    assert sorted(texts) == [f"127.0.0.1:9 (LISTED): {answer}", f"127.0.0.1:9: {answer}"]
