"""What the simulator holds a stack's values against: what was accepted for the version that is asked for."""

from __future__ import annotations

import pytest

from actors.core import keys
from actors.core.model import Declared, Ref
from actors.core.stackdrive import tags
from actors.ports import Entry, StackSpec
from sim.api_server import TYPES
from sim.invariants import Violation
from sim.invariants.building import Dependencies
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
