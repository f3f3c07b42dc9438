"""Who refers to whom: what is remembered of it is what a look at everything would find."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.core import keys
from actors.core.model import Declared, Ref
from actors.core.plan import references
from actors.core.referring import OrderedView, referrers_to_delete, refers_to
from actors.core.world import World
from tests.core.mirror import GATEWAY, NET, PORT, Mirror
from tests.core.test_ordering import MUTUAL, RING


@given(
    st.lists(
        st.tuples(st.sampled_from((GATEWAY, PORT, NET)), st.sampled_from(("", "n", "g", "p"))), max_size=12
    )
)
def test_what_is_remembered_is_what_would_be_found(changes: list[tuple[Ref, str]]) -> None:
    """Whatever is declared, changed, unreadable or gone: `refers_to` says what `references` finds at that moment."""
    mirror = Mirror(**{**MUTUAL, **RING, "gateway": MUTUAL["gateway"]})
    for number, (ref, other) in enumerate(changes, 1):
        key = keys.CONFIG + mirror.world.types.path(ref)
        if other == "n":
            mirror.world.delete(key)
        elif other == "":
            mirror.put(key, b"{")
        else:
            mirror.declare(ref, number, gateway_id=other, port_id=other, net_id=other, name=other)
        for known in (GATEWAY, PORT, NET):
            declared = mirror.world.declaration(known)
            found = references(OrderedView(mirror.world, declared), declared) if declared is not None else ()
            assert refers_to(mirror.world, known) == found


def looked_up(world: World, declared: Declared) -> tuple[Ref, ...]:
    """What `referrers_to_delete` promises, by looking at everything each time."""
    edges = {}
    for ref in world.refs():
        one, outcome = world.declaration(ref), world.outcome(ref)
        if one is not None and one.marked_for_deletion and (outcome is None or outcome.version < one.version):
            edges[ref] = set(references(OrderedView(world, one), one))
    me = declared.ref
    edges[me] = set(references(OrderedView(world, declared), declared))
    needed, size = set(edges[me]), -1
    while size != len(needed):
        size = len(needed)
        needed.update(*(edges.get(ref, ()) for ref in tuple(needed)))
    using = [ref for ref in sorted(edges) if ref != me and me in edges[ref]]
    return tuple(ref for ref in using if ref not in needed or me > ref)


CHANGES = ("", "n", "g", "p", "mark n", "mark g", "mark p", "settle", "template", "no template", "ask", "ask")


@given(st.lists(st.tuples(st.sampled_from((GATEWAY, PORT, NET)), st.sampled_from(CHANGES)), max_size=20))
def test_the_index_of_referrers_is_what_a_look_at_everything_finds(changes: list[tuple[Ref, str]]) -> None:
    """Whatever is declared, marked, settled, mapped otherwise or gone, and whenever somebody asked before."""
    mirror = Mirror(**{**MUTUAL, **RING, "gateway": MUTUAL["gateway"]})
    world = mirror.world
    for number, (ref, change) in enumerate([*changes, (NET, "ask")], 1):
        key, to = keys.CONFIG + world.types.path(ref), change[-1:]
        if change == "":
            world.delete(key)
        elif change == "settle":
            mirror.settle(ref, world.version(ref))
        elif change == "template":
            body = {"parameter_mappings": {"other": "Mgateway:name:id"}, "template_file": ""}
            mirror.put(keys.TEMPLATES + ref.type, {"body": body, "version": 1})
        elif change == "no template":
            world.delete(keys.TEMPLATES + ref.type)
        elif change != "ask":
            marked = change.startswith("mark")
            mirror.declare(ref, number, marked=marked, gateway_id=to, port_id=to, net_id=to, name=to)
        for one in (world.declaration(known) for known in (GATEWAY, PORT, NET) if change == "ask"):
            if one is not None:
                assert referrers_to_delete(world, one) == looked_up(world, one)


def test_a_missing_member_of_a_list_does_not_hide_the_others() -> None:
    """What refers to one that is not there and to one that is, is deleted before the one that is."""
    mapping = {
        "for_field": "net_ids",
        "for_mapping": {"output_key": "id", "path": [{"type": "net", "id": ""}]},
    }
    mirror = Mirror(gateway={"nets": mapping})
    net = mirror.declare(NET, 2, marked=True)
    mirror.declare(GATEWAY, 2, marked=True, net_ids=["gone", NET.id])
    assert refers_to(mirror.world, GATEWAY) == (Ref("net", "gone"), NET)
    assert referrers_to_delete(mirror.world, net) == (GATEWAY,)


def test_a_template_that_changes_is_heard() -> None:
    """A reference is there as long as a template makes it, whoever asked before."""
    mirror = Mirror()
    net = mirror.declare(NET, 2, marked=True)
    mirror.declare(PORT, 2, marked=True)
    key = keys.TEMPLATES + "port"
    asked = [referrers_to_delete(mirror.world, net)]
    for mapping in ({"name": "Pid"}, {"net": "Mnet:net_id:id"}, None):
        if mapping is None:
            mirror.world.delete(key)
        else:
            mirror.put(key, {"body": {"parameter_mappings": mapping, "template_file": ""}, "version": 1})
        asked.append(referrers_to_delete(mirror.world, net))
    assert asked == [(PORT,), (), (PORT,), ()]


def test_what_a_broken_value_shows_is_heard() -> None:
    """A value that cannot be read makes the declaration younger than what was declared after it before, which an
    optional reference sees then."""
    mirror = Mirror()
    mirror.declare(PORT, 2, marked=True)
    gateway = mirror.declare(GATEWAY, 2, marked=True)
    asked = [referrers_to_delete(mirror.world, gateway)]
    mirror.put("/config/v2.0/ports/p", b"{")
    asked.append(referrers_to_delete(mirror.world, gateway))
    assert asked == [(), (PORT,)]
