"""What a shard remembers for people is bounded by what is declared."""

from __future__ import annotations

from actors.core.ownership import SHARDS, vshard
from actors.messages import Report
from actors.ports import Put, WriteSet
from actors.progress import Progress
from actors.shard import Shard
from tests.actors.trial import CHAIN, NETWORK, Trial


def reports(trial: Trial) -> list[Report]:
    """Of the resources that the shard remembers."""
    progress: Progress = trial.host.actor(trial.member("shard"), Shard)._progress
    return progress.reports(CHAIN)


def test_of_a_resource_that_is_gone_nothing_is_remembered() -> None:
    """A declaration vanishes, its stack with it, and then the last report, whatever the actor's last words were."""
    with Trial() as trial:
        trial.declare_example()
        trial.settle()
        assert len(reports(trial)) == len(CHAIN)
        for ref in reversed(CHAIN):
            trial.remove(ref)
        trial.host.advance(120.0)
        assert reports(trial) == []


def test_of_a_shard_that_was_lost_nothing_is_remembered() -> None:
    """What is removed while another controller owns it would be remembered for ever."""
    with Trial() as trial:
        trial.declare_example()
        trial.settle()
        key = f"{SHARDS}{vshard(str(NETWORK))}"
        trial.client.commit([WriteSet((Put(key, b"another"),))])
        trial.host.advance(2.0)
        assert NETWORK not in {report.ref for report in reports(trial)}
