"""Updates of what others use: who waits for whom, and who fails with whom (contract 2.5, 2.8, 10.4)."""

from __future__ import annotations

from actors.core import keys
from sim.heat.engine import Fate
from tests.actors.test_updates import shape
from tests.actors.trial import LOGICAL_PORT, NETWORK, PORT, SUBNET, Trial
from tests.actors.trouble import error_of, fate_of, jobs_of, nothing_in_flight


def test_dependents_of_a_failed_update_are_told(trial: Trial) -> None:
    """Appendix C 16 for updates too: who waited for that very job does not go on with what was before."""
    fate_of(trial, NETWORK, Fate.FAIL, "UPDATE")
    trial.change(NETWORK, 2)
    trial.change(SUBNET, 2)
    trial.settle()
    assert f"dependency failed: modify:heat_worker:{NETWORK}:2:" in error_of(trial, SUBNET)


def test_a_watched_dependent_of_a_failed_update_is_told_before_its_watch_is_stopped(trial: Trial) -> None:
    """Contract 2.8: the first job of a G1 update, which needs no outputs, is not run when a producer of the workflow
    failed."""
    fate_of(trial, PORT, Fate.FAIL, "UPDATE")
    trial.change(PORT, 2)
    trial.host.advance(0.5)
    trial.change(LOGICAL_PORT, 2)
    trial.settle()
    assert shape(trial, LOGICAL_PORT, 2)[0] == "delete:monitoring_worker"
    assert f"dependency failed: modify:heat_worker:{PORT}:2:" in error_of(trial, LOGICAL_PORT)
    assert trial.state(LOGICAL_PORT)["state"]["worker_state"] == "MODIFY_FAILED"
    assert trial.at(keys.TARGETS, LOGICAL_PORT)["version"] == 1, "it is watched as before"
    assert nothing_in_flight(trial)


def test_a_consumer_that_failed_keeps_nobody_from_an_update(trial: Trial) -> None:
    """An update waits for those that use the resource to come to an end, whichever."""
    fate_of(trial, SUBNET, Fate.FAIL, "UPDATE")
    trial.change(SUBNET, 2)
    trial.host.advance(0.5)
    trial.change(NETWORK, 2)
    trial.settle()
    assert jobs_of(trial, NETWORK, 2)[0][1]["dependency"] == [jobs_of(trial, SUBNET, 2)[0][1]["id"]]
    assert error_of(trial, SUBNET).startswith("StackFailed: ")
    assert (trial.state(NETWORK)["version"], error_of(trial, NETWORK)) == (2, "")


def test_jobs_wait_for_consumers(trial: Trial) -> None:
    """Contract 2.5: an update waits for unfinished jobs of those that refer to it."""
    trial.change(SUBNET, 2)
    trial.host.advance(0.5)
    trial.change(NETWORK, 2)
    trial.host.advance(0.5)
    awaited = jobs_of(trial, NETWORK, 2)[0][1]["dependency"]
    assert [":".join(name.split(":")[:3]) for name in awaited] == ["modify:heat_worker:subnet"]
    trial.settle()
    assert error_of(trial, NETWORK) == error_of(trial, SUBNET) == ""


def test_a_burst_is_ordered_as_it_was_declared(trial: Trial) -> None:
    """Contract 2.5: who waits for whom does not depend on how fast one declaration follows the other."""
    trial.change(SUBNET, 2)
    trial.change(NETWORK, 2)
    trial.settle()
    subnet, network = (jobs_of(trial, ref, 2)[0][1]["dependency"] for ref in (SUBNET, NETWORK))
    assert subnet == []
    assert [":".join(name.split(":")[:3]) for name in network] == ["modify:heat_worker:subnet"]
    assert error_of(trial, NETWORK) == error_of(trial, SUBNET) == ""
