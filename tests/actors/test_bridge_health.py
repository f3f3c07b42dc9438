"""What the EtcdBridge says is wrong with etcd, and when it says no longer so; history of a store that was restored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from actors.core.errors import ErrorClass, PortError
from actors.core.ownership import SHARDS, VSHARDS, assign
from actors.ports import Delete, Entry, Put, StoreStatus, WriteSet
from sim.fake_etcd import FakeEtcd
from sim.fake_store import FakeSession
from tests.actors.bridge_rig import BridgeRig, once, ref_in


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


def test_what_was_forbidden_for_a_while_is_a_condition_that_ends() -> None:
    """A role was taken away and given back: that stands until writes succeed wherever they were refused."""
    rig, ref = BridgeRig(), ref_in(3)
    rig.store.before = once(ErrorClass.TERMINAL, "PermissionDenied")
    rig.commit("a", Put("/jobs/a", b"1"), Put("/state/v2.0/a", b"1"), ref=ref)
    rig.run()
    assert "PermissionDenied" in rig.health.conditions
    rig.commit("b", Put("/state/v2.0/b", b"1"), ref=ref)
    rig.run()
    assert "PermissionDenied" in rig.health.conditions
    rig.commit("c", Put("/jobs/c", b"1"), ref=ref)
    rig.run()
    assert rig.health.conditions == {}


def test_shards_that_could_not_be_taken_for_a_while_are_a_condition_that_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next round of moves that succeeds proves that it is over."""
    take, refused = FakeSession.take, list[bool]()

    def refuse_once(self: FakeSession, names: Sequence[str], owner: str) -> Mapping[str, Entry]:
        if names[0].startswith(SHARDS) and not refused:
            refused.append(True)
            raise PortError(ErrorClass.TERMINAL, "PermissionDenied", "permission denied")
        return take(self, names, owner)

    monkeypatch.setattr(FakeSession, "take", refuse_once)
    rig = BridgeRig()
    assert "PermissionDenied" in rig.health.conditions
    rig.run(1.0)
    assert len(rig.terms) == VSHARDS
    assert rig.health.conditions == {}


@pytest.mark.parametrize(
    "later",
    [
        Put("/esi-worker/config/v2.0/networks/n", b"{}"),
        Delete("/esi-worker/config/v2.0/networks/n"),
        Delete("/state/v2.0/networks/n"),
    ],
    ids=["begun", "forgotten", "never begun and forgotten"],
)
def test_over_size_jobs_are_a_condition_until_a_later_version(later: Put | Delete) -> None:
    """The jobs of another version have other names: it is over as soon as one is begun or the resource is gone, and not
    when the failure itself is recorded, or something of another resource."""
    rig = BridgeRig()
    rig.run(1.0)
    one = ref_in(3)
    rig.commit("big", Put("/jobs/all/create:heat_worker:network:n:1:abcde", b"x" * 1_700_000), ref=one)
    rig.commit("failed", Put("/state/v2.0/networks/n", b"{}"), ref=one)
    rig.commit("other", Put("/esi-worker/config/v2.0/networks/m", b"{}"), ref=one)
    rig.run(1.0)
    assert "network:n:1:abcde (1700000 bytes)" in rig.health.conditions["TooLarge"]
    rig.commit("later", later, ref=one)
    rig.run(1.0)
    assert rig.health.conditions == {}
