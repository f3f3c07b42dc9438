"""What the simulator holds requests to Heat against: what was accepted for their version, and what is final."""

from __future__ import annotations

import pytest

from actors.core import keys
from actors.core.machine import State
from actors.core.model import Action, Declared, Handler, Job, Json, Param, ParamType, Ref
from actors.core.outcome import DELETE_COMPLETED, MODIFY_FAILED
from actors.core.stackdrive import tags
from actors.heat_drive import Drive
from actors.heat_pool import HeatActor
from actors.messages import HeatRequest
from actors.ports import Entry, StackSpec
from actors.resource import ResourceActor
from sim.api_server import TYPES
from sim.invariants import Violation
from sim.invariants.building import Dependencies, OneStack
from sim.process import Cell
from sim.world import Case, World

PORT = Ref("port", "port0")
#: Version → the net that the port refers to at it.
NETS = {1: "net1", 2: "net2"}


@pytest.fixture
def world() -> World:
    """Two nets gave out their ids; the port was planned with the first, and again with the second."""
    world = World(Case(1, 4, "calm"))
    for version, net in NETS.items():
        world.truth.stacks[f"net_{net}"].outputs["v1"].append({"id": f"id of {net}"})
        accepted = keys.encode_accepted(Declared(PORT, version, {"net_id": net}))
        key = keys.ACCEPTED + TYPES.path(PORT)
        world.truth.changed(Entry(key, accepted, version, version), version, 0.0)
    return world


def ask(world: World, version: int, net: str) -> None:
    """The port is asked for, built from that net."""
    spec = StackSpec("t0", "port_port0", {}, {"net": f"id of {net}"}, 1, tags(version))
    Dependencies(world).asked("create", spec.name, spec)


@pytest.mark.parametrize("version", NETS)
def test_a_request_is_that_of_its_version(world: World, version: int) -> None:
    """Who waited for its tenant's turn while the next version was planned may build what its own refers to."""
    ask(world, version, NETS[version])


@pytest.mark.parametrize(("version", "net"), [(1, "net2"), (2, "net1"), (2, "net3")])
def test_a_version_is_built_from_what_it_refers_to(world: World, version: int, net: str) -> None:
    """An id that belongs to another version, or that nobody gave out, breaks the promise."""
    with pytest.raises(Violation, match="never gave"):
        ask(world, version, net)


def test_a_version_that_was_never_accepted_is_not_built(world: World) -> None:
    """There is nothing that its values could come from."""
    with pytest.raises(Violation, match="version 3, which was never accepted"):
        ask(world, 3, "net2")


FAILED = {
    "state": {"worker_state": MODIFY_FAILED},
    "version": 3,
    "error": "DependencyFailed: its net is gone",
}
DELETED = {"state": {"worker_state": DELETE_COMPLETED}, "version": 3, "error": ""}


def waits(world: World) -> Cell:
    """A HeatActor has version 2 of the port to do, asked by the actor that is returned; it is now its turn."""
    asker, heat = world.host.root(ResourceActor, "c0.1"), world.host.root(HeatActor, "c0.1")
    assert isinstance(asker.actor, ResourceActor)
    assert isinstance(heat.actor, HeatActor)
    asker.actor.state, asker.actor.version = State.RUNNING, 2
    request = HeatRequest("1", PORT, 2, Action.MODIFY, "t0", "port", "", (), {})
    heat.actor._writers = {("t0", "port_port0"): Drive(request, asker, 0.0)}
    world.host.current = heat.process
    return asker


def ask_late(world: World, state: dict[str, Json], version: int = 2) -> None:
    """Version 2 is created although that is said of version 3."""
    world.truth.values[keys.STATE + TYPES.path(PORT)] = state
    spec = StackSpec("t0", "port_port0", {}, {}, 1, tags(version))
    OneStack(world).asked("create", spec.name, spec)


def test_what_a_dead_asker_left_may_be_begun_after_a_failure(world: World) -> None:
    """The version after it failed before it asked Heat for anything, so nobody has taken over (rough seed 5057)."""
    world.host.crash(waits(world).process, "for the test")
    ask_late(world, FAILED)


def test_what_a_living_asker_gave_up_is_not_begun(world: World) -> None:
    """Who goes on to the next version has had its answer."""
    waits(world)
    with pytest.raises(Violation, match="create for version 2, /state is at 3"):
        ask_late(world, FAILED)


@pytest.mark.parametrize(("state", "version"), [(State.SETTLED, 3), (State.RUNNING, 3), (State.LOADING, 2)])
def test_an_asker_that_went_on_before_it_died_left_nothing(world: World, state: State, version: int) -> None:
    """Only who died in the midst of waiting could not wait for its answer."""
    asker = waits(world)
    assert isinstance(asker.actor, ResourceActor)
    asker.actor.state, asker.actor.version = state, version
    world.host.crash(asker.process, "for the test")
    with pytest.raises(Violation, match="create for version 2, /state is at 3"):
        ask_late(world, FAILED)


def test_nothing_is_begun_after_a_deletion_whoever_is_dead(world: World) -> None:
    """A deletion asks Heat, and takes over what waited."""
    world.host.crash(waits(world).process, "for the test")
    with pytest.raises(Violation, match="create for version 2, /state is at 3"):
        ask_late(world, DELETED)


def test_a_version_that_nobody_left_is_not_begun(world: World) -> None:
    """The dead asker's request was for another version."""
    world.host.crash(waits(world).process, "for the test")
    with pytest.raises(Violation, match="create for version 1, /state is at 3"):
        ask_late(world, FAILED, version=1)


def job(world: World, ref: Ref, action: Action, *dependency: str, uses: Ref | None = None) -> str:
    """A recorded job of version 2 of a mesh; returns its id."""
    name = f"{action}:heat_worker:{ref}:2:xxxxx"
    params = (Param("members", ParamType.VALUE, None, () if uses is None else (uses,)),)
    recorded = keys.encode_job(Job(name, action, Handler.HEAT, ref, 2, {}, params, dependency))
    world.truth.changed(Entry(keys.JOBS + name, recorded, 1, 1), 1, 0.0)
    return name


def test_an_update_goes_first_only_where_its_user_waits_for_it(world: World) -> None:
    """The user waits for a third, whose job took the place of the one it was planned for, and which needs the update
    (tangle seed 29 with 30 resources)."""
    mesh, user, third = (Ref("mesh", f"mesh{number}") for number in range(3))
    world.truth.bodies[mesh][2] = {"up_ids": []}
    replaced = f"create:heat_worker:{third}:1:xxxxx"
    update = job(world, mesh, Action.MODIFY, job(world, user, Action.CREATE, replaced, uses=mesh))
    spec = StackSpec("t0", keys.stack_name(mesh), {}, {}, 1, tags(2))
    with pytest.raises(Violation, match=f"update although create:heat_worker:{user}:2:xxxxx is not finished"):
        Dependencies(world).asked("update", spec.name, spec)
    job(world, third, Action.CREATE, update, uses=mesh)
    Dependencies(world).asked("update", spec.name, spec)


def test_what_a_dead_asker_left_may_be_begun_while_a_deletion_of_it_waits(world: World) -> None:
    """Its declaration vanished, so both are of one version (tangle seed 127 with 40 resources); the deletion itself
    waits for its users."""
    mesh, user = Ref("mesh", "mesh0"), Ref("mesh", "mesh1")
    world.truth.bodies[mesh][2] = {"up_ids": []}
    deletion = job(world, user, Action.LOGICAL_DELETE, uses=mesh)
    job(world, mesh, Action.LOGICAL_DELETE, deletion)
    spec = StackSpec("t0", keys.stack_name(mesh), {}, {}, 1, tags(2))
    Dependencies(world).asked("create", spec.name, spec)
    with pytest.raises(Violation, match=f"delete although {deletion} is not finished"):
        Dependencies(world).asked("delete", spec.name, None)
