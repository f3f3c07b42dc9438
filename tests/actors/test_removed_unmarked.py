"""What is removed past the API server and cannot be deleted (contract 10.24): told as failed, and healed by `retry`."""

from __future__ import annotations

import pytest

from actors.core import keys
from actors.core.knowledge import Knowledge
from actors.messages import ReadDone
from actors.ports import Delete, Put, StackSpec, WriteSet
from tests.actors.rig import TYPES
from tests.actors.trial import NETWORK, Trial, config_key
from tests.actors.trouble import document, template

NAME = keys.stack_name(NETWORK)
TENANT = "0b576f6f4cbf414f829cd12f008bf08f"


@pytest.fixture
def trial() -> Trial:
    """A network whose stack's name is somebody else's, and whose declaration went without a mark."""
    made = Trial()
    hot = {"heat_template_version": "2013-05-23"}
    made.declare([template("network", {}, "heat_template_version: 2013-05-23")])
    made.stacks.create(StackSpec(TENANT, NAME, hot, {}, 10))
    made.host.advance(5.0)
    made.declare([document(NETWORK)])
    made.settle()
    made.client.commit([WriteSet((Delete(config_key(NETWORK)),))])
    made.host.advance(5.0)
    return made


def test_it_is_told_as_failed(trial: Trial) -> None:
    """Nobody works on it any more: not as what is still to be removed."""
    known = Knowledge(tuple(TYPES), 0.0)
    for key in trial.keys("/"):
        entry = trial.etcd.get(key)
        assert entry is not None
        known.put(key, entry.value, entry.mod_revision, entry.create_revision)
    status = known.status(NETWORK)
    assert status.stage == "failed"
    assert status.error.startswith("NotOurs: ")


def test_retry_deletes_what_is_left(trial: Trial) -> None:
    """As soon as what hindered it is gone."""
    (stack,) = trial.stacks.find(TENANT, NAME)
    trial.stacks.delete(TENANT, NAME, stack.id)
    trial.host.advance(5.0)
    trial.client.commit([WriteSet((Put(keys.RECONCILE + TYPES.path(NETWORK), b"{}"),))])
    trial.host.advance(10.0)
    assert trial.leftovers(NETWORK) == []


def test_a_request_is_met_that_comes_while_it_is_looked_at(trial: Trial) -> None:
    """Whatever made its shard look: what was read then says nothing of the request."""
    (stack,) = trial.stacks.find(TENANT, NAME)
    trial.stacks.delete(TENANT, NAME, stack.id)
    trial.host.advance(5.0)
    trial.network.meddle = lambda message: (2.0 if isinstance(message, ReadDone) else 0.0,)
    trial.declare([template("network", {}, "heat_template_version: 2014-10-16")])
    trial.host.advance(1.0)
    trial.client.commit([WriteSet((Put(keys.RECONCILE + TYPES.path(NETWORK), b"{}"),))])
    trial.host.advance(30.0)
    assert trial.leftovers(NETWORK) == []


def test_a_request_that_cannot_be_met_is_no_work_without_an_end(trial: Trial) -> None:
    """Without the accepted copy nothing tells how to delete it: it is looked at once, not again and again."""
    path = TYPES.path(NETWORK)
    record = keys.encode_heat_stack(NETWORK, TENANT, "CREATE_COMPLETE", "", ())
    trial.client.commit([WriteSet((Delete(keys.ACCEPTED + path), Put(keys.HEAT_STACKS + path, record)))])
    trial.client.commit([WriteSet((Put(keys.RECONCILE + path, b"{}"),))])
    trial.host.advance(1.0)
    asked: list[str] = []
    trial.faults = asked.append
    trial.host.advance(20.0)
    assert asked.count("read") < 10
