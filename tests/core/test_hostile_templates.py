"""Templates and mappings that nobody meant well: each is refused with one error, and costs no more than is allowed."""

from __future__ import annotations

import time
from typing import Any

import pytest

from actors.core import keys
from actors.core.model import Action
from actors.core.ordering import try_plan
from actors.core.plan import PlanError
from actors.core.referring import referrers_to_delete
from actors.core.world import World
from actors.rendering import RenderError, render_heat, render_monitors
from actors.runtime import alarm
from actors.template_engine import RENDER_MAX_S, render_text, syntax_error
from tests.core.mirror import NET, PORT, TYPES, Mirror

ENDLESS = "([a-z]+ ?)*$"
LONG = "a" * 60 + "!"
#: Each level merges the one before ten times.
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: " + "[" * 50_000 + "]" * 50_000, "more than 200 lists"),
        ("a: " + "[" * 50_000, "more than 200 lists"),
        ("a: " + '{"a": ' * 50_000, "more than 200 lists"),
        ("a:\n" + "- " * 50_000 + "1", "more than 200 lists"),
        ("? " * 50_000 + "a", "more than 200 lists"),
        ("\n".join(" " * n + "a:" for n in range(1_000)), "more than 200 lists"),
        ("a: !!int ''", "no YAML"),
        ("a: !!float ''", "no YAML"),
        ("a: !!bool x", "no YAML"),
        ("a: !!timestamp x", "no YAML"),
        ("a: !!timestamp 2001-01-01", "JSON does not"),
        ("a: !!binary aGVsbG8=", "JSON does not"),
        ("a: !!set {b, c}", "JSON does not"),
        ("a: .nan", "JSON does not"),
        ("a: [.inf]", "JSON does not"),
        (MERGES, "no YAML|takes more than 2 s|nodes"),
        ("a: &a [" + "1," * 2_000 + "]\n" + "db_mappings: *a\n" * 2_000, "no YAML"),
    ],
)
def test_documents_that_end_their_reader(text: str, words: str) -> None:
    """YAML that a parser dies of, or that becomes what cannot be sent, is refused like any other that is wrong."""
    with pytest.raises(RenderError, match=words):
        render_heat(text, {}, name="port")
    with pytest.raises(RenderError, match=words):
        render_monitors(text, {}, name="port")


def test_a_long_document_is_not_deep() -> None:
    """Many lists and mappings one after the other are read as ever."""
    text = "a:\n" + "".join(f"- {{b: [1, {n}]}}\n" for n in range(2_000))
    assert render_heat(text, {}).template["a"][1_999] == {"b": [1, 1_999]}


@pytest.mark.parametrize("minutes", [0, -1, 10**9 + 1, 10**307, "9" * 400, True, 1.5, "x"])
def test_how_long_heat_may_take_is_a_number_that_it_can_hold(minutes: Any) -> None:
    """A time-out beyond all reason is refused, as one that is no number is."""
    with pytest.raises(RenderError, match="'heat_timeout' must be a positive number of minutes, at most"):
        render_heat("a: 1", {"heat_timeout": minutes})


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ cycler() }}", "failed with RuntimeError"),
        ("one\n{{ text | match('" + ENDLESS + "') }}", "line 2: takes more than 2 s"),
        ("{{ " + "not " * 400 + "a }}", "takes more than 2 s|cannot be compiled"),
        ("one\n{{ ('" + LONG + "') | match('" + ENDLESS + "') }}", "takes more than 2 s"),
    ],
)
def test_jinja_that_never_ends(source: str, words: str) -> None:
    """Rendering and compiling have one limit together, in processor time."""
    before = time.process_time()
    with pytest.raises(RenderError, match=words):
        render_text(source, {"text": LONG}, "port")
    assert time.process_time() - before < 4 * RENDER_MAX_S
    assert source.count("not") < 2 or syntax_error(source)


SLOW: dict[str, dict[str, Any]] = {
    "a pattern": {
        "if_mapping": {"regexp": [{"field": "text"}, {"constant": ENDLESS}]},
        "then_mapping": "Pid",
        "else_mapping": "Pid",
    },
    "loops in loops": {"constant": 1},
}
for _ in range(8):
    over = {"field": "items", "path": [{"type": "port", "id": ""}]}
    SLOW["loops in loops"] = {"for_field": over, "for_mapping": SLOW["loops in loops"]}
SLOW["loops in loops"] = {"for_field": "items", "for_mapping": SLOW["loops in loops"]}
#: What makes both slow.
BODY: dict[str, Any] = {"text": LONG, "items": ["p"] * 12}


def slow(mapping: dict[str, Any]) -> Mirror:
    """A world, in which planning is limited, of ports that need their network and have a parameter without an end."""
    mirror = Mirror()
    mirror.world = World(TYPES, alarm.limited)
    mappings: dict[str, dict[str, Any]] = {"net": {}, "port": {"net": "Mnet:net_id:id", "name": mapping}}
    for name, one in mappings.items():
        body = {"parameter_mappings": one, "template_file": ""}
        mirror.put(keys.TEMPLATES + name, {"body": body, "version": 1})
    return mirror


@pytest.mark.parametrize("mapping", sorted(SLOW))
def test_a_mapping_that_never_ends_is_the_end_of_its_own_plan(mapping: str) -> None:
    """Its resource fails with the name of template and parameter."""
    mirror = slow(SLOW[mapping])
    mirror.declare(NET)
    port = mirror.declare(PORT, **BODY)
    with pytest.raises(PlanError, match=r"template 'port' parameter 'name' takes too long to be evaluated"):
        try_plan(mirror.world, port, None, Action.CREATE)


@pytest.mark.parametrize("mapping", sorted(SLOW))
def test_a_mapping_that_never_ends_holds_nobody_else(mapping: str) -> None:
    """The deletion of what it refers to costs the limit once, and goes on without it."""
    mirror = slow(SLOW[mapping])
    mirror.declare(PORT, 2, marked=True, **BODY)
    net = mirror.declare(NET, 2, marked=True)
    before = time.process_time()
    assert referrers_to_delete(mirror.world, net) == ()
    once = time.process_time() - before
    assert once < 4 * alarm.PLAN_MAX_S
    before = time.process_time()
    for _ in range(20):
        assert referrers_to_delete(mirror.world, net) == ()
    assert time.process_time() - before < alarm.PLAN_MAX_S


def test_many_that_never_end_cost_little_more_than_one() -> None:
    """Each that took too long leaves less to the next of its type, until a template is written again."""
    mirror = slow(SLOW["a pattern"])
    net = mirror.declare(NET, 2, marked=True)
    for number in range(20):
        body = {"id": f"p{number}", "net_id": NET.id, "text": LONG}
        value = keys.encode_declared(body, 2, marked_for_deletion=True)
        mirror.put(f"{keys.CONFIG}v2.0/ports/p{number}", value)
    before = time.process_time()
    assert referrers_to_delete(mirror.world, net) == ()
    assert time.process_time() - before < 8 * alarm.PLAN_MAX_S
    assert mirror.world.late == {"port": 20}
    mirror.put(keys.TEMPLATES + "net", {"body": {"parameter_mappings": {}, "template_file": ""}})
    assert not mirror.world.late
