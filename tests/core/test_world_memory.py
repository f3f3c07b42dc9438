"""The mirror keeps declarations as bytes and decodes those that are asked for."""

from __future__ import annotations

from actors.core import keys
from actors.core.keys import ResourceType
from actors.core.model import Ref
from actors.core.world import DECODED_MAX, World

COUNT = DECODED_MAX + 500


def _world() -> World:
    world = World([ResourceType("network", "networks")])
    for number in range(COUNT):
        value = keys.encode_declared({"id": str(number), "name": f"n{number}"}, number % 7 + 1)
        world.put(f"/config/v2.0/networks/{number}", value, number + 1)
    return world


def test_every_declaration_is_readable_whatever_was_read_before() -> None:
    """Also those that were decoded once and forgotten again have their own body, version and revision."""
    world = _world()
    for _ in range(2):
        for number in range(COUNT):
            declared = world.declaration(Ref("network", str(number)))
            assert declared is not None
            assert (declared.body["name"], declared.revision) == (f"n{number}", number + 1)
            assert declared.version == number % 7 + 1 == world.version(declared.ref)


def test_a_newer_value_replaces_what_was_decoded() -> None:
    """After a change nobody sees the body of before; after a deletion there is no version."""
    world, ref = _world(), Ref("network", "3")
    assert world.body(ref) == {"id": "3", "name": "n3"}
    world.put("/config/v2.0/networks/3", keys.encode_declared({"id": "3", "name": "new"}, 9), 9000)
    assert world.body(ref) == {"id": "3", "name": "new"}
    assert world.version(ref) == 9
    world.delete("/config/v2.0/networks/3")
    assert world.body(ref) is None
    assert world.version(ref) == 0
