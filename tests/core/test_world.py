"""The mirror of etcd: what it knows, what it forgets, what it says of values that cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core import keys
from actors.core.model import Declared, Ref
from actors.core.monitors import Target, encode_targets
from actors.core.outcome import Outcome
from tests.core.mirror import BODIES, GATEWAY, MONITORING, NET, PORT, QUOTA, Mirror


@pytest.fixture
def mirror() -> Mirror:
    """Templates only."""
    return Mirror()


def test_a_declaration(mirror: Mirror) -> None:
    """Known with its body, its revision, and the revision that created it, whatever changed since."""
    first = mirror.declare(NET)
    second = mirror.declare(NET, 2, name="other")
    assert second == Declared(NET, 2, {"id": "n", "name": "other"}, False, first.revision + 1)
    assert mirror.world.created(NET) == first.revision
    assert mirror.world.body(NET) == second.body
    assert list(mirror.world.refs()) == [NET]
    assert mirror.world.delete("/config/v2.0/nets/n") == NET
    assert mirror.world.declaration(NET) is None
    assert mirror.world.created(NET) == 0


def test_a_broken_value_stops_nothing_and_is_named(mirror: Mirror) -> None:
    """The last readable declaration stays; the problem names the key, and goes when it is mended."""
    before = mirror.declare(NET)
    mirror.put("/config/v2.0/nets/n", b"{")
    kept = mirror.world.declaration(NET)
    assert kept is not None
    assert kept.body == before.body
    assert list(mirror.world.problems) == ["/config/v2.0/nets/n"]
    assert "/config/v2.0/nets/n: value is not JSON" in mirror.world.problems["/config/v2.0/nets/n"]
    mirror.declare(NET, 2)
    assert not mirror.world.problems


def test_writes_are_guarded_by_what_stands_there(mirror: Mirror) -> None:
    """The declaration that is kept under a broken value has the revision of that value: else no plan of it could
    ever be recorded (sim swarm seed 5: planned and refused without a pause)."""
    before = mirror.declare(NET)
    mirror.put("/config/v2.0/nets/n", b"{")
    kept = mirror.world.declaration(NET)
    assert kept == replace(before, revision=mirror.revision)


def test_what_cannot_be_read_has_not_vanished(mirror: Mirror) -> None:
    """A broken value that is all we ever saw of a declaration: nothing of it is taken down (sim swarm seed 29)."""
    mirror.put("/esi-worker/config/v2.0/nets/n", b"{}")
    mirror.put("/config/v2.0/nets/n", b"{")
    assert list(mirror.world.leftovers()) == []
    assert not mirror.world.needs_work(NET)
    mirror.world.delete("/config/v2.0/nets/n")
    assert list(mirror.world.leftovers()) == [NET]
    assert mirror.world.needs_work(NET)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("/config/v2.0/toasters/1", "no resource type has the path 'v2.0/toasters'"),
        ("/jobs/all/x", "not a job"),
        ("/state/v2.0/nets/n", "must be an integer"),
        ("/gatewright/targets/v2.0/nets/n", "not a list of targets"),
        ("/config/v2.0/heat_templates/x", "member 'body' must be"),
    ],
)
def test_each_family_names_what_it_cannot_read(mirror: Mirror, key: str, text: str) -> None:
    """A value that is no value of its family is a problem under its key, until the key is deleted."""
    assert mirror.put(key, {}) is None
    assert text in mirror.world.problems[key]
    assert key in mirror.world.keys_known(), "a resync must be able to forget it"
    mirror.world.delete(key)
    assert not mirror.world.problems


def test_a_bad_mapping_is_told_at_once(mirror: Mirror) -> None:
    """A template that cannot be parsed is a problem before anybody uses it, and no crash when it is used."""
    mirror.put(keys.TEMPLATES + "net", {"body": {"parameter_mappings": {"a": "Xb"}, "template_file": ""}})
    assert "/config/v2.0/heat_templates/net" in mirror.world.problems
    compiled = mirror.world.template("net")
    assert compiled is not None
    assert compiled.error


def test_a_template_that_watches_is_remarked_once(mirror: Mirror) -> None:
    """A `watch` that names something is no problem but a remark; listed again it is none, changed it is (10.22)."""
    key = keys.TEMPLATES + "net"
    body = {"parameter_mappings": {}, "template_file": "", "watch": ["port"]}
    mirror.put(key, {"body": {**body, "watch": []}})
    assert not mirror.world.remarks
    mirror.put(key, {"body": body})
    again = json.dumps({"body": body}).encode()
    mirror.world.put(key, again, mirror.revision)
    assert mirror.world.remarks == [f"{key}: member 'watch' is ignored, only declarations are followed"]
    assert not mirror.world.problems and mirror.world.template("net") is not None
    mirror.put(key, {"body": body})
    assert len(mirror.world.remarks) == 2


def test_jobs_and_who_refers_to_whom(mirror: Mirror) -> None:
    """An unfinished job is found by its resource, by those it refers to, and by its id; then it is gone."""
    name = mirror.job(PORT, refers=[NET, PORT])
    assert [job.id for job in mirror.world.jobs_of(PORT)] == [name]
    assert [job.id for job in mirror.world.jobs_referring(NET)] == [name]
    assert not mirror.world.jobs_referring(PORT), "itself is not meant"
    assert mirror.world.live(name)
    (job,) = mirror.world.jobs_of(PORT)
    assert (job.version, job.revision, job.resources) == (1, mirror.revision, frozenset({NET}))
    assert mirror.world.delete(keys.JOBS + name) == PORT
    assert not mirror.world.jobs_of(PORT)
    assert not mirror.world.jobs_referring(NET)
    assert not mirror.world.live(name)
    assert mirror.world.delete(keys.JOBS + name) is None


def test_a_job_written_again_counts_once(mirror: Mirror) -> None:
    """The newer value replaces the older one, references included."""
    mirror.job(PORT, refers=[NET])
    mirror.job(PORT, refers=[GATEWAY])
    assert len(mirror.world.jobs_of(PORT)) == 1
    assert not mirror.world.jobs_referring(NET)
    assert len(mirror.world.jobs_referring(GATEWAY)) == 1


def test_outcomes(mirror: Mirror) -> None:
    """`/state` with its version, error, word and revision."""
    mirror.settle(NET, 3, "Boom: x")
    assert mirror.world.outcome(NET) == Outcome(3, "Boom: x", "CREATE_COMPLETED", mirror.revision)
    mirror.world.delete("/state/v2.0/nets/n")
    assert mirror.world.outcome(NET) is None


def test_monitoring_and_targets(mirror: Mirror) -> None:
    """The raw value of `/monitoring`, and the registered targets with their version."""
    target = Target("port", "physical_port", "10.0.0.1")
    mirror.put("/monitoring/v2.0/ports/p", b"{}")
    mirror.put("/gatewright/targets/v2.0/ports/p", encode_targets(2, [target]))
    assert mirror.world.monitoring(PORT) == b"{}"
    assert mirror.world.targets(PORT) == (2, (target,))
    assert list(mirror.world.targeted()) == [PORT]
    mirror.world.delete("/monitoring/v2.0/ports/p")
    mirror.world.delete("/gatewright/targets/v2.0/ports/p")
    assert mirror.world.monitoring(PORT) is None
    assert not list(mirror.world.targeted())


def test_what_needs_work(mirror: Mirror) -> None:
    """No outcome, an older outcome, jobs left over, or something recorded of what is not declared any more."""
    world = mirror.world
    mirror.declare(NET)
    assert world.needs_work(NET)
    mirror.settle(NET)
    assert not world.needs_work(NET)
    mirror.declare(NET, 2)
    assert world.needs_work(NET)
    mirror.settle(NET, 2, "failed")
    assert not world.needs_work(NET)
    name = mirror.job(NET, 2)
    assert world.needs_work(NET)
    world.delete(keys.JOBS + name)
    world.delete("/config/v2.0/nets/n")
    assert world.needs_work(NET), "its outcome is left"
    world.delete("/state/v2.0/nets/n")
    assert not world.needs_work(NET)
    mirror.put("/esi-worker/config/v2.0/nets/n", {"body": {}, "version": 2, "deleted": False})
    assert world.needs_work(NET)
    assert list(world.leftovers()) == [NET]


def test_leftovers_are_what_nobody_declares(mirror: Mirror) -> None:
    """Jobs, accepted copies or outcomes without a declaration, each resource once."""
    mirror.job(PORT)
    mirror.put("/esi-worker/config/v2.0/ports/p", {"body": {}, "version": 1, "deleted": False})
    mirror.settle(PORT)
    mirror.settle(GATEWAY)
    mirror.job(NET)
    mirror.declare(NET)
    mirror.settle(NET)
    assert list(mirror.world.leftovers()) == sorted([GATEWAY, PORT])


def test_a_request_for_what_is_not_declared_is_work(mirror: Mirror) -> None:
    """An operator asked for a resource whose declaration went: the request has to go, too, though nothing else is
    recorded."""
    mirror.put(keys.RECONCILE + "v2.0/nets/n", {"by": "me"})
    assert list(mirror.world.leftovers()) == [NET]
    assert mirror.world.needs_work(NET)
    mirror.world.delete(keys.RECONCILE + "v2.0/nets/n")
    assert not mirror.world.needs_work(NET)


def test_marked_are_those_that_are_still_declared(mirror: Mirror) -> None:
    """A mark counts until it is taken back or the declaration goes."""
    mirror.declare(NET, 1, marked=True)
    mirror.declare(PORT, 1, marked=True)
    assert [mirror.world.marked(ref) for ref in (NET, PORT, GATEWAY)] == [True, True, False]
    mirror.declare(NET, 2)
    mirror.world.delete("/config/v2.0/ports/p")
    assert not mirror.world.marked(NET) and not mirror.world.marked(PORT)


def test_the_generation_shows_in_the_templates(mirror: Mirror) -> None:
    """Monitoring templates make it generation G1 (contract 0.2)."""
    assert not mirror.world.monitors_by_job
    body: dict[str, Any] = {"handler": MONITORING.value, "parameter_mappings": {}, "template_file": ""}
    mirror.put(keys.TEMPLATES + "port_monitoring", {"body": body})
    assert mirror.world.monitors_by_job
    mirror.world.delete(keys.TEMPLATES + "port_monitoring")
    assert not mirror.world.monitors_by_job


REFS = st.sampled_from([NET, PORT, GATEWAY, QUOTA])
FAMILIES = (keys.CONFIG, keys.STATE, keys.MONITORING, keys.TARGETS, keys.ACCEPTED)
VALUES: dict[str, Callable[[Ref], bytes]] = {
    keys.CONFIG: lambda ref: keys.encode_declared(BODIES[ref], 1),
    keys.STATE: lambda ref: keys.encode_state({}, 1),
    keys.MONITORING: lambda ref: b"{}",
    keys.TARGETS: lambda ref: encode_targets(1, []),
    keys.ACCEPTED: lambda ref: b"{}",
}


@given(
    st.lists(
        st.tuples(st.sampled_from(FAMILIES), REFS, st.sampled_from(["put", "break", "delete"])), max_size=20
    )
)
def test_a_resync_can_compare_every_key(changes: list[tuple[str, Ref, str]]) -> None:
    """After any changes `keys_known` covers all keys that are there, and deleting those leaves nothing."""
    mirror = Mirror()
    present: set[str] = set(mirror.world.keys_known())
    for root, ref, change in changes:
        key = root + mirror.world.types.path(ref)
        if change == "delete":
            mirror.world.delete(key)
            present.discard(key)
        else:
            mirror.put(key, VALUES[root](ref) if change == "put" else json.dumps([]).encode())
            present.add(key)
    assert mirror.world.keys_known() >= present
    for key in mirror.world.keys_known():
        mirror.world.delete(key)
    world = mirror.world
    assert not world.keys_known()
    assert not list(world.refs()) + list(world.leftovers()) + list(world.targeted())
    assert all(world.outcome(ref) is None and not world.jobs_of(ref) for ref in (NET, PORT, GATEWAY))
    assert world.template("net") is None


def test_other_keys_are_nobodys(mirror: Mirror) -> None:
    """What belongs to no family is not mirrored and no problem."""
    assert mirror.put("/esi-worker/heat_stacks/v2.0/nets/n", b"{") is None
    assert mirror.put("/gohan/cluster/sync", b"x") is None
    assert not mirror.world.problems
    assert mirror.world.delete("/gohan/cluster/sync") is None
