"""The mapping language: what is refused, in which words, and that nothing else is ever raised."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.mapping import (
    Context,
    MappingError,
    MissingResource,
    compile_mappings,
    evaluate,
    parse,
)
from actors.core.model import Param, Ref
from tests.core.mapping_world import (
    BODIES,
    LOGICAL_PORT,
    RELATIONS,
    run,
)


def test_missing_resource_carries_what_to_wait_for():
    """A related resource that is not declared is a MissingResource with its ref and the parameter."""
    with pytest.raises(MissingResource) as caught:
        run("Fnetwork+gone_id:id")
    assert (caught.value.ref, caught.value.parameter) == (Ref("network", "nobody"), "x")


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ("", "empty"),
        ("Xname", "unknown first character 'X'"),
        ("P", "property name is missing"),
        ("Fname", "no hop"),
        ("Fnetwork:name", "malformed hop 'network'"),
        ("F+network_id:name", "malformed hop '+network_id'"),
        ("Fnetwork+a+b:name", "malformed hop"),
        ("Fnetwork+network_id:", "property name is missing at the end"),
        ("Mnetwork:network_id", "malformed 'Mnetwork:network_id'"),
        ("O", "property name is missing"),
        ("Oa::b", "property name is missing"),
        ("Vother", "expected Vauto_filled"),
        ("ACa&ACb", "inside the concatenation"),
        ("ACa&", "empty"),
        ("AMnetwork:network_id:id", "known only when the job runs"),
        (7, "must be text or an object"),
        (None, "not null"),
        ([], "not an array"),
        ({}, "no form"),
        ({"field": 1}, "'field' must be text"),
        ({"field": ""}, "'field' is empty"),
        ({"field": "a", "paths": []}, "unknown member 'paths'"),
        ({"field": "a", "path": "b"}, "'path' must be an array"),
        ({"field": "a", "path": [""]}, "step of 'path' is empty"),
        ({"field": "a", "path": [{"type": "t"}]}, "type and id"),
        ({"field": "a", "path": [{"type": "t", "id": None}]}, "'id' of a step"),
        ({"field": "a", "ignore_missing": "yes"}, "true or false"),
        ({"version": 1}, "'version' must be"),
        ({"nested": []}, "'nested'"),
        ({"nested": [1]}, "'nested'"),
        ({"concatenate": []}, "no parts"),
        ({"concatenate": [["a"]]}, "not an array"),
        ({"concatenate": [{"output_key": "id"}]}, "known only when the job runs"),
        ({"for_field": "a"}, "without 'for_mapping'"),
        ({"for_field": {"constant": 1}, "for_mapping": "Pa"}, "'for_field' must be"),
        ({"for_field": 1, "for_mapping": "Pa"}, "'for_field' must be text"),
        ({"if_mapping": {"equal": ["a", "b"]}, "then_mapping": "Ca"}, "without 'else_mapping'"),
        ({"if_mapping": {"less": ["a", "b"]}, "then_mapping": "Ca", "else_mapping": "Cb"}, "either"),
        ({"if_mapping": {"equal": ["a"]}, "then_mapping": "Ca", "else_mapping": "Cb"}, "two parts"),
    ],
)
def test_what_cannot_be_read(mapping: Any, words: str):
    """Text outside the grammar is refused in words that name the spot, and the parameter is known."""
    with pytest.raises(MappingError) as caught:
        compile_mappings({"fine": "Pa", "broken": mapping})
    assert words in caught.value.text
    assert caught.value.parameter == "broken"
    assert str(caught.value).startswith("parameter 'broken': ")


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ("Fnetwork+empty:id", "property 'empty' of ese_logical_port is null"),
        ("Fnetwork+device_id:id", "property 'device_id'"),
        ("Fnetwork+vlan_id:id", "must be the id of a resource"),
        ("Mnetwork:nowhere:id", "property 'nowhere'"),
        ({"field": "id", "path": ["name"]}, "'name' of 'ese_logical_port' is no relation"),
        ("APempty&Cx", "the part 'empty' of a concatenation is null"),
        ("Oname:deeper", "no object"),
        ({"for_field": "name", "for_mapping": {"field": "id"}}, "'name' must be an array"),
        ({"for_field": "list", "for_mapping": {"field": "id"}}, "no object"),
        ({"for_field": "fixed_ips", "for_mapping": {"field": "id", "path": ["subnet_id"]}}, "a loop element"),
        (
            {"if_mapping": {"regexp": [{"field": "owner"}, "("]}, "then_mapping": "Ca", "else_mapping": "Cb"},
            "regular expression",
        ),
        (
            {
                "if_mapping": {"regexp": [{"field": "vlan_id"}, "1"]},
                "then_mapping": "Ca",
                "else_mapping": "Cb",
            },
            "subject",
        ),
        ({"if_mapping": {"regexp": ["a", 1]}, "then_mapping": "Ca", "else_mapping": "Cb"}, "pattern"),
    ],
)
def test_what_cannot_be_evaluated(mapping: Any, words: str):
    """A body that does not fit the mapping is refused in words that name the property and the parameter."""
    with pytest.raises(MappingError) as caught:
        run(mapping)
    assert words in caught.value.text
    assert caught.value.parameter == "x"


def test_nesting_is_bounded():
    """A mapping nested without end is an error, not a crash."""
    mapping: Any = "Ca"
    for _ in range(5000):
        mapping = {"for_field": "list", "for_mapping": mapping}
    with pytest.raises(MappingError, match="nested deeper"):
        parse(mapping)


def test_errors_hold_no_values():
    """A property value (it may be a password) never gets into the text of an error."""
    for mapping in ("Fnetwork+secret:id", "Osecret:a", {"for_field": "secret", "for_mapping": "Pa"}):
        with pytest.raises(MappingError) as caught:
            run(mapping, secret=["hunter2"] if isinstance(mapping, str) else "hunter2")
        assert "hunter2" not in str(caught.value)


# -------------------------------------------------------------------------------------------- properties

WORDS = st.sampled_from(
    [
        "name",
        "id",
        "network_id",
        "ese_physical_port_id",
        "port_ids",
        "fixed_ips",
        "empty",
        "primary",
        "network",
        "port",
        "",
    ]
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | WORDS | st.text(max_size=5)
)
COMPACT = st.builds(
    "".join,
    st.lists(
        st.sampled_from(["P", "C", "F", "M", "O", "V", "A", ":", "+", "&", "auto_filled", "(", "é"]) | WORDS,
        max_size=9,
    ),
)
STEPS = WORDS | st.fixed_dictionaries({"type": WORDS, "id": WORDS}) | SCALARS


def _objects(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    pair = st.lists(children, min_size=1, max_size=3)
    path = {"path": st.lists(STEPS, max_size=3), "ignore_missing": st.booleans()}
    return st.one_of(
        st.fixed_dictionaries({"field": WORDS}, optional=path),
        st.fixed_dictionaries({"output_key": WORDS}, optional=path),
        st.fixed_dictionaries({"constant": children}),
        st.fixed_dictionaries({"nested": st.lists(WORDS, max_size=3)}),
        st.fixed_dictionaries({"concatenate": pair}, optional={"ignore_missing": st.booleans()}),
        st.fixed_dictionaries({"for_field": children | WORDS, "for_mapping": children}),
        st.fixed_dictionaries(
            {
                "if_mapping": st.fixed_dictionaries({"equal": pair})
                | st.fixed_dictionaries({"regexp": pair}),
                "then_mapping": children,
                "else_mapping": children,
            }
        ),
        st.dictionaries(st.sampled_from(["field", "path", "constant", "x"]), children, max_size=2),
    )


MAPPINGS = st.recursive(COMPACT | SCALARS, _objects, max_leaves=12)
JSON = st.recursive(
    SCALARS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(WORDS, inside, max_size=4),
    max_leaves=8,
)


@settings(max_examples=600, deadline=None)
@given(MAPPINGS, st.dictionaries(WORDS, JSON, max_size=6))
def test_any_mapping_on_any_body_gives_a_value_or_a_mapping_error(mapping: Any, changes: dict[str, Any]):
    """Nothing but MappingError is ever raised; the same input gives the same output, resources once each."""
    where = Context(Ref("port", "p"), {**LOGICAL_PORT, **changes}, 1, RELATIONS, BODIES.get)
    try:
        expression = parse(mapping)
        first = evaluate(expression, where, "x")
    except MappingError as error:
        assert error.text
        return
    assert parse(mapping) == expression
    assert evaluate(expression, where, "x") == first
    assert len(set(first.resources)) == len(first.resources)
    assert Param.from_json(first.to_json()) == first
