"""What a shard counts of resources says nothing of those that it does not have any more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors import metered, supervisor
from actors.core.exposition import Histogram
from actors.messages import Owned
from actors.messages.telemetry import MetricsQuery, MetricsReply
from actors.runtime.inline import InlineAddress
from tests.actors.rig import Rig


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """One whose shard is counted."""
    monkeypatch.setattr(supervisor, "Shard", metered.Shard)
    made = Rig()
    yield made
    made.host.close()


def shard(rig: Rig) -> InlineAddress:
    """Where it lives."""
    (address,) = [one for one in rig.host.children(rig.root) if one.name == "Shard"]
    return address


def gauge(rig: Rig, name: str) -> dict[str, float]:
    """What the shard answers: last label → value."""
    me = rig.host.external("telemetry")
    rig.host.tell(shard(rig), MetricsQuery("m"), sender=me)
    rig.host.run()
    (reply,) = [m for m in rig.host.take(me) if isinstance(m, MetricsReply)]
    found = [s for s in reply.samples if s.name == name and not isinstance(s.value, Histogram)]
    return {(s.labels or (("", ""),))[-1][1]: s.value for s in found}  # type: ignore[misc]


def pulled(rig: Rig) -> None:
    """The gateway built, and the cable of one port of the switch pulled."""
    rig.apply_example()
    rig.settle()
    rig.tables["QFX-NW02"].set_port("xe-0/0/3.1025", 2, rig.host.now)
    rig.host.advance(90.0)
    assert gauge(rig, "drifted_targets") == {"": 1.0}


def test_what_was_deleted_is_not_drifted(rig: Rig) -> None:
    """A port that was down when its resource was deleted is no drift of the present."""
    pulled(rig)
    (ref,) = [row.ref for row in rig.status().rows if "DOWN" in row.monitoring.values()]
    for key in rig.keys("/config/v2.0/"):
        if key.endswith(ref.id):
            rig.put(key, {**rig.get(key), "version": 2, "marked_for_deletion": True})
    rig.host.advance(30.0)
    assert gauge(rig, "drifted_targets") == {"": 0.0}


def test_what_another_controller_has_is_counted_there(rig: Rig) -> None:
    """Neither drift nor the time in a stage of what left to another owner is told any more."""
    pulled(rig)
    rig.put("/config/v2.0/ports/waits", {"version": 1, "body": '{"id": "waits", "network_id": "missing"}'})
    rig.host.advance(5.0)
    assert gauge(rig, "stage_oldest_seconds")
    rig.host.tell(shard(rig), Owned({}))
    rig.host.run()
    assert gauge(rig, "stage_oldest_seconds") == {}
    assert gauge(rig, "drifted_targets") == {"": 0.0}
