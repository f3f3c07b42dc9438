"""From parameters and template text to what Heat is given and what is monitored (contract 3.5, 6.1)."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.model import Param, ParamType, Ref
from actors.rendering import (
    MonitorSpec,
    RenderError,
    needed_outputs,
    render_heat,
    render_monitors,
    resolve,
    split_params,
)
from actors.template_engine import MAX_OUTPUT, render_text

PORT, NET = Ref("port", "p1"), Ref("network", "n1")
HOT = """heat_template_version: 2013-05-23
parameters:
  pools: {type: string}
  routes: {type: json}
  names: {type: comma_delimited_list}
  gateway: {type: string, default: ""}
resources:
{% for name in jinja_names %}
  r{{ loop.index0 }}: {type: 'T', properties: {name: {{ name }}}}
{% endfor %}
"""

#: Five lists of ten aliases each: 100,000 elements from 200 characters.
BOMB = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 6))


def late(ref: Ref, key: str = "id", name: str = "x") -> Param:
    """A late-bound parameter."""
    value = {"output_key": key, **ref.to_json()}
    return Param(name, ParamType.OUTPUT_KEY, value, (ref,))


def listed(*refs: Ref) -> Param:
    """A list of late-bound entries."""
    entries = [{**late(ref, name="l").to_json(), "resources": []} for ref in refs]
    return Param("l", ParamType.LIST, entries, refs)


def nested(inner: Param) -> Param:
    """A list that holds that list."""
    return Param("l", ParamType.LIST, [inner.to_json()], inner.resources)


def test_outputs_are_resolved_and_needed():
    """Values pass through, outputs and lists of outputs are looked up; what is needed is known before."""
    params = (Param("v", ParamType.VALUE, [1]), late(PORT), listed(PORT, NET))
    outputs: dict[Ref, Any] = {
        PORT: ({"output_key": "name"}, {"output_key": "id", "output_value": "uuid-p"}),
        NET: ({"output_key": "id", "output_value": {"deep": 1}},),
    }
    assert needed_outputs(params) == {PORT, NET}
    values, missing = resolve(params, outputs)
    assert values == {"v": [1], "x": "uuid-p", "l": ["uuid-p", {"deep": 1}]}
    assert missing == {}


MISSING: list[dict[Ref, Any]] = [
    {},
    {PORT: ()},
    {PORT: ({"output_key": "id", "output_value": "stale", "output_error": "no attribute"},)},
]


@pytest.mark.parametrize("outputs", MISSING)
def test_missing_and_failed_outputs_are_null_with_a_warning(outputs: dict[Ref, Any]):
    """An output that is not there, or that Heat could not compute, is null and told (10.26)."""
    values, missing = resolve((late(PORT),), outputs)
    assert values == {"x": None}
    (warning,) = missing["x"]
    assert all(word in warning for word in ("'x'", "'id'", "port:p1"))


#: What refers to a port whose output is missing, and to a network that is there, as a list and on its own.
LATE = {"list": listed(PORT, NET), "nested list": nested(listed(PORT, NET)), "scalar": late(PORT, name="l")}


@pytest.mark.parametrize("param", LATE.values(), ids=LATE)
@pytest.mark.parametrize("outputs", MISSING)
@pytest.mark.parametrize("default", ["", ", default: null"])
def test_a_missing_output_without_a_default_fails_the_job(
    param: Param, outputs: dict[Ref, Any], default: str
):
    """One clear error names template, parameter, resource and output, instead of a null that reaches Heat (10.26)."""
    values, missing = resolve((param,), {NET: ({"output_key": "id", "output_value": "n"},), **outputs})
    source = f"parameters: {{l: {{type: comma_delimited_list{default}}}}}"
    with pytest.raises(RenderError) as caught:
        render_heat(source, values, missing, name="vlan")
    assert all(word in str(caught.value) for word in ("'vlan'", "'l'", "port:p1", "'id'", "no default"))


@pytest.mark.parametrize("param", LATE.values(), ids=LATE)
@pytest.mark.parametrize(
    "source", ["parameters: {l: {type: comma_delimited_list, default: []}}", "resources: {}", "parameters: 1"]
)
def test_a_missing_output_is_left_out_where_the_template_does_without(param: Param, source: str):
    """A parameter with a default, or one that the template does not have, is not sent with a hole in it (10.26)."""
    values, missing = resolve((param,), {NET: ({"output_key": "id", "output_value": "n"},)})
    made = render_heat(source, {**values, "other": 1}, missing)
    assert made.parameters == {"other": 1}


def test_a_missing_output_is_null_in_jinja():
    """What only the text of a template uses is null there, alone and in a list, and fails nothing (10.26)."""
    params = (replace(listed(PORT, NET), name="jinja_l"), late(PORT, name="jinja_x"))
    values, missing = resolve(params, {NET: ({"output_key": "id", "output_value": "n"},)})
    source = "parameters: {}\nresources: {{ jinja_l | length }}{{ jinja_l[1] }}{{ jinja_x is none }}"
    assert missing.keys() == {"jinja_l", "jinja_x"}
    assert render_heat(source, values, missing).template["resources"] == "2nTrue"


@pytest.mark.parametrize(
    "param",
    [Param("x", ParamType.OUTPUT_KEY, "id"), Param("x", ParamType.LIST, [1]), Param("x", ParamType.LIST, 1)],
)
def test_malformed_entries_are_refused_by_name(param: Param):
    """A job whose parameters were tampered with is refused, not crashed upon."""
    with pytest.raises(RenderError, match="'x'"):
        resolve((param,), {})


@pytest.mark.parametrize(
    ("given_value", "minutes"),
    [({"heat_timeout": "60"}, 60), ({"heat_timeout": 60}, 60), ({}, 10), ({"heat_timeout": None}, 10)],
)
def test_timeout(given_value: dict[str, Any], minutes: int):
    """The timeout may be text or a number and is 10 minutes if absent (quirk 7)."""
    assert split_params(given_value) == ({}, {}, minutes)


@pytest.mark.parametrize("value", ["ten", "", 0, -1, True, 1.5, [], "9" * 20, "²"])
def test_bad_timeout_is_refused(value: Any):
    """Anything that is no positive number of minutes is refused by name."""
    with pytest.raises(RenderError, match="heat_timeout"):
        split_params({"heat_timeout": value})


def test_parameters_are_split_by_prefix():
    """`jinja_*` goes to Jinja2 only, the timeout nowhere, all the rest to Heat only."""
    assert split_params({"jinja_a": 1, "a": 2, "heat_timeout": 3}) == ({"jinja_a": 1}, {"a": 2}, 3)


def test_heat_input():
    """Nulls are left out, arrays for string parameters become JSON text, the version stays text."""
    pools = [{"start": "10.0.0.2", "end": "10.0.0.9"}]
    values = {"pools": pools, "routes": pools, "names": ["a"], "gateway": None, "jinja_names": ["x", "y"]}
    made = render_heat(HOT, values)
    assert made.parameters == {
        "pools": '[{"start": "10.0.0.2", "end": "10.0.0.9"}]',
        "routes": pools,
        "names": ["a"],
    }
    assert made.template["heat_template_version"] == "2013-05-23"
    assert [each["properties"]["name"] for each in made.template["resources"].values()] == ["x", "y"]
    assert made.timeout_min == 10


def test_constant_templates_are_parsed_once():
    """Equal text gives the very same document, so a thousand stacks share one parse."""
    assert render_heat("a: 1", {"p": 1}).template is render_heat("a: 1", {"p": 2}).template


@pytest.mark.parametrize(
    ("source", "values", "text"),
    [
        ("{{ nope }}{% if nope %}x{% else %}y{% endif %}{% for a in nope %}z{% endfor %}", {}, "y"),
        ("{% for a in l %}{{ loop.index0 }}={{ a }};{% endfor %}", {"l": ["a", "b"]}, "0=a;1=b;"),
        ("{{ n + 3 }}{{ 'a' if n else 'b' }}", {"n": 1}, "4a"),
        ("{{ a.split('/')[0] }}{{ o.k }}{{ o['k'] }}", {"a": "1/2", "o": {"k": "v"}}, "1vv"),
        ("{% set x = n | string | replace('1', '2') %}{{ x }}", {"n": 1}, "2"),
        ("{{ 'a' if o | match('compute') else 'b' }}", {"o": "compute:nova"}, "a"),
        ("{{ 'a' if o | match('nova') else 'b' }}", {"o": "compute:nova"}, "b"),
        ("{{ 'a' if o | match('.*') else 'b' }}", {"o": None}, "b"),
        ("{{ range(3) | list }}{{ 2 * 3 }}{{ 7 % 4 }}{{ 2 ** 3 }}", {}, "[0, 1, 2]638"),
    ],
)
def test_jinja_features(source: str, values: dict[str, Any], text: str):
    """All features of contract 3.5 work, the filter `match` included; undefined names are empty."""
    assert render_text(source, values) == text


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("a\n{% if %}", 2, "Expected"),
        ("a\n\n{{ x.y.z }}", 3, "undefined"),
        ("\n{{ secret + 1 }}", 2, "TypeError"),
        ("{{ secret | nofilter }}", 1, "nofilter"),
        ("\n{{ secret.__class__.__mro__ }}", 2, "unsafe"),
        ("{{ secret | match('(') }}", 1, "regular expression"),
        ("{% include 'other' %}", 1, "other"),
        ("\n{{ 1 / 0 }}", 2, "ZeroDivisionError"),
        ("{{ [][3].x }}", 1, ""),
    ],
)
def test_defects_name_template_and_line_but_no_value(source: str, line: int, words: str):
    """Every defect of a template is a RenderError that shows where it is and never a value."""
    with pytest.raises(RenderError) as caught:
        render_text(source, {"secret": "hunter2"}, "port")
    assert words in caught.value.text
    assert caught.value.template == "port"
    assert "hunter2" not in str(caught.value)
    assert caught.value.line == line


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999999) %}{% endfor %}",
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for a in range(9999) %}{{ big }}{% endfor %}",
        "{{ 'a' * 99999999 }}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
        "{{ '%099999999d' % 1 }}",
    ],
)
def test_runaway_templates_are_stopped(source: str):
    """Endless loops, recursion and gigantic results end in a RenderError soon."""
    begin = time.monotonic()
    with pytest.raises(RenderError):
        render_text(source, {"big": "x" * (MAX_OUTPUT // 1000)})
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "no YAML"),
        ("- 1", "no mapping"),
        ("a: !!python/object:os.system 1", "no YAML"),
        ("? {a: 1}\n: 2", "no YAML"),
        ("a: &a [*a]", "nodes"),
        (BOMB, "nodes"),
        ("", "empty"),
    ],
)
def test_what_is_no_document(text: str, words: str):
    """Rendered text that is no mapping, or explodes through aliases, is refused."""
    with pytest.raises(RenderError, match=words):
        render_heat(text, {}, name="port")


def test_monitors():
    """Each top-level key but `db_mappings`, even a repeated one, is a monitor with type and properties."""
    source = (
        "port:\n  type: physical_port\n  name: {{ name }}\n  mibs: []\n"
        "{% for id in port_ids %}db_mappings:\n  - mapped_id: {{ id }}\n{% endfor %}"
        "up: {type: router, timeout: 60}\n"
    )
    assert render_monitors(source, {"name": "xe-0/0/3", "port_ids": ["a", "b"]}) == (
        MonitorSpec("port", "physical_port", {"name": "xe-0/0/3", "mibs": []}),
        MonitorSpec("up", "router", {"timeout": 60}),
    )


def test_all_parameters_reach_a_monitoring_document():
    """In a monitoring document also names without prefix, and `heat_timeout`, are in the context."""
    made = render_monitors(
        "a: {type: t, x: {{ name }}, y: {{ jinja_n }}, z: {{ heat_timeout }}}",
        {"name": 1, "jinja_n": 2, "heat_timeout": 3},
    )
    assert made[0].properties == {"x": 1, "y": 2, "z": 3}


@pytest.mark.parametrize("source", ["", "\n\n", "{% if attached %}a: 1{% endif %}", "db_mappings: []"])
def test_no_monitors(source: str):
    """An empty document is legal: nothing is monitored."""
    assert render_monitors(source, {}) == ()


@pytest.mark.parametrize("source", ["a: 1", "a: {x: 1}", "a: {type: 1}", "a: {type: ''}"])
def test_monitor_without_type_is_refused(source: str):
    """A monitor must be an object with a type; the error names monitor and template."""
    with pytest.raises(RenderError, match="'a'") as caught:
        render_monitors(source, {}, name="m")
    assert caught.value.template == "m"


PIECES = st.sampled_from(
    [
        "{{",
        "}}",
        "{%",
        "%}",
        " a ",
        "for x in l",
        "endfor",
        "if",
        "endif",
        "set y =",
        "\n",
        "a:",
        " - ",
        "&x",
        "*x",
        "[",
        "]",
        "{",
        "}",
        "|",
        "match('a')",
        "x.y",
        "1",
        "!!t",
        "'",
        '"',
        ":",
        "\t",
        "\x00",
        "~",
        "%",
        "*",
        "#}",
        "{#",
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, max_size=12).map(" ".join), st.lists(PIECES, max_size=4).map("".join))
def test_any_text_gives_monitors_or_a_render_error(source: str, value: str):
    """Nothing but RenderError ever leaves the renderer, whatever the template and the values are."""
    try:
        monitors = render_monitors(source, {"a": value, "l": [value, 1, None]}, name="t")
    except RenderError as error:
        assert error.template == "t"
        return
    assert all(isinstance(each, MonitorSpec) for each in monitors)
