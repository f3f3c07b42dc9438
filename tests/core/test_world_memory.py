"""The mirror keeps declarations packed and decodes those that are asked for."""

from __future__ import annotations

import re
import tracemalloc
import uuid
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from actors.core import keys
from actors.core.keys import ResourceType
from actors.core.model import Ref
from actors.core.packing import Packing
from actors.core.world import DECODED_MAX, World
from config.examples import load_declarations
from config.types import load_types

COUNT = DECODED_MAX + 500
ID = re.compile(rb"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")
EXAMPLE = Path(__file__).parents[2] / "config" / "examples" / "gateway.yaml"


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


@given(st.lists(st.tuples(st.sampled_from("ab"), st.binary(max_size=20_000)), min_size=1, max_size=5))
def test_whatever_is_packed_comes_out_as_it_was(values: list[tuple[str, bytes]]) -> None:
    """Also what is empty, larger than the window, or has nothing in common with the first of its kind."""
    packing = Packing()
    packed = [packing.pack(kind, raw) for kind, raw in values]
    assert [packing.unpack(kind, one) for (kind, _), one in zip(values, packed, strict=True)] == [
        raw for _, raw in values
    ]


def settled(count: int) -> list[tuple[str, bytes]]:
    """What is mirrored of so many settled resources: shaped like those of the example, every id in them another."""
    found = []
    declarations = [one for one in load_declarations(EXAMPLE, load_types()) if b"template_file" not in one[1]]
    for number in range(count):
        key, value = declarations[number % len(declarations)]

        def fresh(old: re.Match[bytes], salt: str = str(number)) -> bytes:
            new = uuid.uuid5(uuid.NAMESPACE_OID, salt + old[0].decode())
            return (str(new) if b"-" in old[0] else new.hex).encode()

        declared, path = ID.sub(fresh, value), ID.sub(fresh, key.removeprefix(keys.CONFIG).encode()).decode()
        state = keys.encode_state(keys.state_object({"heat_outputs": []}, "CREATE_COMPLETED"), 1)
        found += [
            (keys.CONFIG + path, declared),
            (keys.STATE + path, state),
            (keys.ACCEPTED + path, declared),
        ]
    return sorted(found, key=lambda one: not one[0].startswith(keys.CONFIG))  # as the bridge lists them


def test_a_settled_resource_takes_less_than_a_kibibyte() -> None:
    """Half of the goal is left for what a shard knows besides its mirror."""
    count = 2000
    values, world = settled(count), World(load_types())
    tracemalloc.start()
    try:
        for revision, (key, value) in enumerate(values, 1000):
            world.put(
                key.encode().decode(), bytes(bytearray(value)), revision
            )  # as it comes: nothing is shared
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(list(world.refs())) == count
    assert not world.problems
    assert taken / count < 1024, taken / count
