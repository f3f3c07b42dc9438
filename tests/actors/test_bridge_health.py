"""What the EtcdBridge says is wrong with etcd, and when it says no longer so; history of a store that was restored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.core.ownership import assign
from actors.ports import Put, StoreStatus, WriteSet
from sim.fake_etcd import FakeEtcd
from tests.actors.bridge_rig import BridgeRig


def churn(rig: BridgeRig, revisions: int, seconds: float = 0.0) -> None:
    """So many revisions, then so much time."""
    for number in range(revisions):
        rig.etcd.commit([WriteSet((Put("/config/v2.0/networks/n", b"%d" % number),))])
    rig.run(seconds)


def test_who_no_longer_looks_for_alarms_tells_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner of shard 0 tells of etcd's alarms; when another owns it, nobody would say that they are over."""
    heir = next(name for name in map(str, range(100)) if assign(["me", name])[0] == name)
    rig = BridgeRig()
    status = rig.store.status

    def alarmed() -> StoreStatus:
        return replace(status(), alarms=("CORRUPT",))

    monkeypatch.setattr(rig.store, "status", alarmed)
    rig.run(5.0)
    assert rig.health.conditions == {"Alarm": "CORRUPT"}
    BridgeRig(rig.etcd, rig.host, heir)
    rig.run(5.0)
    assert 0 not in rig.terms
    assert rig.health.conditions == {}


def test_history_of_a_store_that_was_restored_is_shortened_too() -> None:
    """What was compacted before a backup brought etcd back to an earlier revision does not keep it from being compacted
    until that revision is reached again."""
    rig = BridgeRig(history_s=20.0)
    for _ in range(30):
        churn(rig, 20, 2.0)
    before = rig.etcd.compacted
    assert before > 0
    rig.store.disconnect()
    restored = FakeEtcd(rig.etcd.clock)
    vars(rig.etcd).update({k: v for k, v in vars(restored).items() if k != "listeners"})
    rig.store.reconnect()
    for _ in range(20):
        churn(rig, 10, 2.0)
    assert 0 < rig.etcd.compacted < rig.etcd.revision < before
