"""The EtcdBridge at its start: what others send may arrive before its Boot."""

from __future__ import annotations

from functools import partial

from actors.core.options import Options
from actors.etcd_bridge import EtcdBridge
from actors.messages import Boot, Snapshot, Subscribe, Wiring
from actors.runtime.inline import InlineHost
from sim.fake_etcd import FakeEtcd
from sim.fake_stacks import FakeStacks
from sim.fake_store import FakeStore


class _Clock:
    def now(self) -> float:
        """It stands still."""
        return 0.0


def test_a_subscription_may_overtake_boot() -> None:
    """A shard that subscribes before the bridge was booted gets its listing as soon as it is."""
    host, store = InlineHost(pickling=False), FakeStore(FakeEtcd(_Clock()))
    bridge, shard = host.spawn(EtcdBridge), host.external("shard")
    host.tell(bridge, Subscribe(0, 1), sender=shard)
    host.run()
    assert [m for m in host.take(shard) if isinstance(m, Snapshot)] == []
    wiring = Wiring(lambda: store, partial(FakeStacks, lambda: 0.0), lambda: None)  # type: ignore[arg-type,return-value]
    host.tell(bridge, Boot(Options(types=()), wiring, "test"))
    host.run()
    snapshots = [m for m in host.take(shard) if isinstance(m, Snapshot)]
    assert snapshots
    assert snapshots[0].epoch == 1
