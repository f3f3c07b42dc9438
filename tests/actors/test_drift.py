"""Settled stacks are compared with Heat: what others did to them is found, told, and undone where that is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from thespian.actors import ActorExitRequest

from actors.core import keys
from actors.core.drift import Drift
from actors.core.explain import Explainer
from actors.core.keys import stack_name
from actors.core.knowledge import Knowledge
from actors.core.model import Ref
from actors.core.options import Options
from actors.core.ownership import shard_key, vshard
from actors.ports import Put, WriteSet
from config.monitor_types import load_monitor_types
from sim.heat.engine import Fate, Request
from sim.heat.records import Record
from tests.actors.rig import TYPES, Rig
from tests.actors.trial import CHAIN, NETWORK, PHYSICAL_PORT, PORT, Trial, body_of, config_key

INTERVAL_S = 60.0


def trial(*repaired: str) -> Trial:
    """The chain of the seed, built; `repaired`: types whose stacks are repaired."""
    types = tuple(replace(one, repair=one.name in repaired) for one in TYPES)
    options = Options(types, monitor_types=load_monitor_types(), heat_drift_interval_s=INTERVAL_S)
    made = Trial(options)
    made.declare_example()
    made.settle()
    made.host.advance(2 * INTERVAL_S)
    return made


def stack(made: Trial, ref: Ref) -> Record | None:
    """Its living stack."""
    engine = made.stacks.engine
    found = [one for t in list(engine._tenants) for one in engine.living(t) if one.name == stack_name(ref)]
    assert len(found) <= 1
    return found[0] if found else None


def living(made: Trial, ref: Ref) -> Record:
    """Its stack, which there is."""
    found = stack(made, ref)
    assert found is not None
    return found


def change(made: Trial, ref: Ref, fate: Fate = Fate.NATURAL, **members: Any) -> None:
    """Somebody updates it; `members` of the request."""
    record = living(made, ref)
    same = Request(record.template.document, dict(record.given), 60, disable_rollback=True)
    made.stacks.engine.update(record, replace(same, **members), fate)


def reconcile(made: Trial, ref: Ref) -> None:
    """What `run.py reconcile` does."""
    made.put(keys.RECONCILE + TYPES.path(ref), {"by": "me"})


def test_what_is_as_it_was_left_costs_one_question_a_round() -> None:
    """Seven stacks of one tenant, ten rounds: about ten list calls, nothing written, nothing told."""
    with trial() as made:
        before, revision = dict(made.stacks.requests), made.etcd.revision
        made.host.advance(10 * INTERVAL_S)
        after = made.stacks.requests
        assert {kind for kind in after if after[kind] != before.get(kind)} == {"find"}
        assert 5 <= after["find"] - before["find"] <= 20
        assert made.etcd.revision == revision
        assert made.keys(keys.DRIFT) == []


def test_what_vanished_or_was_changed_is_told_and_left_alone() -> None:
    """Etcd, status, history and `explain` say it; Heat is not touched, and it is recorded once."""
    with trial() as made:
        made.stacks.engine.delete(living(made, PORT))
        change(made, NETWORK)
        made.host.advance(3 * INTERVAL_S)
        assert made.at(keys.DRIFT, PORT)["drift"] == Drift.VANISHED
        assert made.at(keys.DRIFT, NETWORK)["drift"] == Drift.FOREIGN
        assert len(made.keys(keys.DRIFT)) == 2
        assert len(made.written(keys.DRIFT, PORT)) == 1
        assert stack(made, PORT) is None
        assert made.row(PORT).reason == "CREATE_COMPLETED; its stack is gone"
        assert made.row(PORT).stage == "settled"
        line = made.at(keys.HISTORY, PORT)["lines"][-1]
        assert (line["action"], line["outcome"], line["version"]) == ("drift", "vanished", 1)
        known = Knowledge(TYPES, made.host.now)
        for entry in made.client.page("/", limit=100_000).entries:
            known.put(entry.key, entry.value, entry.mod_revision, entry.create_revision)
        told = Explainer(known).explain(PORT)
        assert "its stack is gone" in told.root.text
        assert any("differs from what was built, found" in fact for fact in told.root.facts)
        assert "reconcile" in told.remedy
        assert [one.action for one in known.history(PORT)] == ["create"]


@pytest.mark.parametrize("harm", ["vanished", "foreign", "changed", "failed"])
def test_reconcile_builds_it_as_it_was(harm: str) -> None:
    """The stack is back at what is declared, with our marks, and nothing is recorded of it any more."""
    with trial() as made:
        before = living(made, NETWORK)
        parameters, tags = dict(before.given), before.tags
        match harm:
            case "vanished":
                made.stacks.engine.delete(before)
            case "foreign":
                change(made, NETWORK)
            case "changed":
                change(made, NETWORK, tags=tags, parameters={**parameters, "name": "theirs"})
            case _:
                change(made, NETWORK, Fate.FAIL, tags=tags)
        made.host.advance(3 * INTERVAL_S)
        assert made.at(keys.DRIFT, NETWORK)["drift"] == harm
        reconcile(made, NETWORK)
        made.settle()
        after = living(made, NETWORK)
        assert (dict(after.given), after.tags) == (parameters, tags)
        assert after.status == "COMPLETE"
        made.host.advance(3 * INTERVAL_S)
        assert made.keys(keys.DRIFT) == []
        assert made.state(NETWORK)["error"] == ""


def test_where_the_type_says_so_it_is_repaired() -> None:
    """A vanished network is built again within a round, with a line of history for each; a port is only reported."""
    with trial("network") as made:
        made.stacks.engine.delete(living(made, NETWORK))
        made.stacks.engine.delete(living(made, PHYSICAL_PORT))
        made.host.advance(3 * INTERVAL_S)
        assert living(made, NETWORK).status == "COMPLETE"
        assert stack(made, PHYSICAL_PORT) is None
        assert [key for key in made.keys(keys.DRIFT) if NETWORK.id in key] == []
        actions = [line["action"] for line in made.at(keys.HISTORY, NETWORK)["lines"]]
        assert actions == ["create", "drift", "modify"]
        assert made.state(NETWORK)["version"] == 1


def test_what_others_mend_is_told_as_it_is() -> None:
    """A stack that failed and was then mended by others is reported as changed, until it is built again."""
    with trial() as made:
        record = living(made, NETWORK)
        change(made, NETWORK, Fate.FAIL, tags=record.tags)
        made.host.advance(3 * INTERVAL_S)
        assert made.at(keys.DRIFT, NETWORK)["drift"] == Drift.FAILED
        change(made, NETWORK, tags=record.tags)
        made.host.advance(3 * INTERVAL_S)
        assert made.at(keys.DRIFT, NETWORK)["drift"] == Drift.CHANGED


@pytest.mark.parametrize("role", ["all", "shard", "bridge", "heat"])
def test_whoever_dies_it_is_found(role: str) -> None:
    """Comparisons begin anew with the process."""
    with trial() as made:
        made.stacks.engine.delete(living(made, PORT))
        for _ in range(3):
            made.kill(role)
            made.host.advance(INTERVAL_S / 4)
        made.host.advance(4 * INTERVAL_S)
        assert made.at(keys.DRIFT, PORT)["drift"] == Drift.VANISHED


def test_heat_that_does_not_answer_proves_nothing() -> None:
    """While Heat is away nothing is reported, and afterwards only what is true."""
    with trial() as made:
        made.stacks._fault = _refused
        made.host.advance(4 * INTERVAL_S)
        assert made.keys(keys.DRIFT) == []
        made.stacks._fault = lambda point, name: None
        made.stacks.engine.delete(living(made, PORT))
        made.host.advance(5 * INTERVAL_S)
        assert made.keys(keys.DRIFT) == [keys.DRIFT + TYPES.path(PORT)]


def test_what_another_controller_built_is_no_drift() -> None:
    """Given to one that joins, updated there, and taken back when that one goes: the update was ours."""
    options = Options(tuple(TYPES), monitor_types=load_monitor_types(), heat_drift_interval_s=INTERVAL_S)
    made = Rig(options)
    with closing(made.host):
        made.apply_example()
        made.settle()
        declare(made, CHAIN, 2)  # Heat tells of a time from the first update on
        made.host.advance(3 * INTERVAL_S)
        made.start("second")
        made.host.advance(5.0)
        moved = [ref for ref in CHAIN if owner(made, ref) == b"second"]
        assert moved
        declare(made, moved, 3)
        made.host.advance(5.0)
        assert {made.get(keys.STATE + TYPES.path(ref))["version"] for ref in moved} == {3}
        made.host.tell(made.root, ActorExitRequest())
        made.host.advance(4 * INTERVAL_S)
        assert {owner(made, ref) for ref in moved} == {b"rig"}
        assert made.keys(keys.DRIFT) == []


def declare(made: Rig, refs: Sequence[Ref], version: int) -> None:
    """A further version of each."""
    for ref in refs:
        value = keys.encode_declared({**body_of(ref), "description": f"of {version}"}, version)
        made.client.commit([WriteSet((Put(config_key(ref), value),))])


def owner(made: Rig, ref: Ref) -> bytes | None:
    """Whose it is."""
    entry = made.etcd.get(shard_key(vshard(str(ref))))
    return entry.value if entry is not None else None


def _refused(point: str, name: str) -> None:
    from tests.actors.trial import down

    raise down("ConnectFailure")


def test_a_deleted_resource_leaves_no_finding() -> None:
    """What was found goes with the resource."""
    with trial() as made:
        made.stacks.engine.delete(living(made, CHAIN[-1]))
        made.host.advance(3 * INTERVAL_S)
        assert len(made.keys(keys.DRIFT)) == 1
        made.change(CHAIN[-1], 2, marked=True)
        made.settle()
        assert made.keys(keys.DRIFT) == []
        assert made.state(CHAIN[-1])["state"]["worker_state"] == "DELETE_COMPLETED"
