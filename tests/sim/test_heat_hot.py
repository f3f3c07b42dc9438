"""HOT documents in the simulated Heat: functions, parameters, refusals, and the recorded stacks."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sim.heat.engine import Engine, Request
from sim.heat.fault import HeatError
from sim.heat.outputs import resolve
from sim.heat.records import Record

TRACES = Path(__file__).resolve().parents[3] / "shared" / "traces"
PARAMETERS = {
    "s": {"type": "string", "default": "a"},
    "n": {"type": "number", "default": "7"},
    "b": {"type": "boolean", "default": "yes"},
    "j": {"type": "json", "default": {"k": "v", "d": [1]}},
    "l": {"type": "comma_delimited_list", "default": "x, y"},
}


def engine() -> Engine:
    """An engine at time 0, with ids that count."""
    numbers = itertools.count(1)
    return Engine(lambda: 0.0, lambda: f"id{next(numbers)}")


def create(template: dict[str, Any], parameters: dict[str, Any] | None = None) -> Record:
    """A stack of that template, created and settled."""
    heat = engine()
    document = {"heat_template_version": "2013-05-23", **template}
    record = heat.create("ten", "s1", Request(document, parameters or {}))
    heat.settle()
    return record


def output(value: Any, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the output of that expression shows."""
    knob = {"type": "ESI::Test::Knob", "properties": {"v": "R"}}
    template = {"parameters": PARAMETERS, "resources": {"a": knob}, "outputs": {"o": {"value": value}}}
    (shown,) = resolve(create(template, parameters))
    del shown["output_key"], shown["description"]
    return shown


def replace(template: Any, **params: Any) -> dict[str, Any]:
    """A call of str_replace."""
    return {"str_replace": {"template": template, "params": params}}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ({"get_param": "s"}, "a"),
        ({"get_param": "n"}, 7),
        ({"get_param": "b"}, True),
        ({"get_param": ["j", "k"]}, "v"),
        ({"get_param": ["j", "d", 0]}, 1),
        ({"get_param": ["j", "missing"]}, ""),
        ({"get_param": ["l", 1]}, "y"),
        ({"get_param": "OS::stack_name"}, "s1"),
        ({"get_param": "OS::project_id"}, "ten"),
        ({"get_resource": "a"}, "id2"),
        ({"get_attr": ["a", "v"]}, "R"),
        (replace("$a and $ab", **{"$a": 1, "$ab": {"get_param": "s"}}), "1 and a"),
        (replace("a $x b", **{"$x": None}), "a  b"),
        (replace("abcd", ab="1", bcd="2"), "a2"),
        (replace("xy", x="y", y="z"), "yz"),
        ({"repeat": {"for_each": {}, "template": 1}}, {"repeat": {"for_each": {}, "template": 1}}),
        ({"Fn::Nope": 1}, {"Fn::Nope": 1}),
        ([{"get_param": "n"}, {"x": {"get_param": "s"}}], [7, {"x": "a"}]),
        (None, None),
    ],
    ids=str,
)
def test_functions(expression: Any, value: Any) -> None:
    """Each function gives what real Heat gives; unknown ones and plain data pass through."""
    assert output(expression) == {"output_value": value}


@pytest.mark.parametrize("name", ["j", "l"])
def test_str_replace_refuses_lists_and_maps(name: str) -> None:
    """A list or map as replacement is an error of the output, not of the stack."""
    shown = output(replace("$p", **{"$p": {"get_param": name}}))
    assert shown["output_value"] is None
    assert shown["output_error"] == ('"str_replace" params must be strings or numbers, param $p is not valid')


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("s", 5, "5"),
        ("s", [{"start": "1"}], "[{'start': '1'}]"),
        ("n", "7.5", 7.5),
        ("n", 0, 0),
        ("b", "off", False),
        ("b", 1, True),
        ("j", "[1, 2]", [1, 2]),
        ("j", [1], [1]),
        ("l", "", []),
        ("l", ["p", "q"], ["p", "q"]),
        ("l", "p,q", ["p", "q"]),
        ("s", None, "a"),
    ],
)
def test_parameter_conversion(name: str, given: Any, value: Any) -> None:
    """Values take the declared type as in Heat; null means the default."""
    assert output({"get_param": name}, {name: given}) == {"output_value": value}


def _one(body: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return {"resources": {"a": body}, **sections}


KNOB = {"type": "ESI::Test::Knob"}
_REFUSED: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    (_one(KNOB, zonk={}), {}, "StackValidationFailed", "The template section is invalid: zonk"),
    (_one(KNOB, parameters={"p": {"type": "zonk"}}), {}, "InvalidSchemaError", "Invalid type (zonk)"),
    (_one({}), {}, "StackValidationFailed", "Each resource must contain a type key."),
    (
        _one({**KNOB, "properties": {"zzz": 1}}),
        {},
        "StackValidationFailed",
        "Property error: resources.a.properties: Unknown Property zzz",
    ),
    (
        _one({**KNOB, "properties": {"v": {"get_resource": "zz"}}}),
        {},
        "InvalidTemplateReference",
        'The specified reference "zz" (in a.Properties.v) is incorrect.',
    ),
    (
        _one({**KNOB, "depends_on": "zz"}),
        {},
        "InvalidTemplateReference",
        'The specified reference "zz" (in a) is incorrect.',
    ),
    (
        _one({**KNOB, "properties": {"v": {"get_param": "zz"}}}),
        {},
        "StackValidationFailed",
        "Property error: resources.a.properties.v: The Parameter (zz) was not provided.",
    ),
    (
        _one(KNOB, outputs={"o": {"value": {"get_attr": ["a", "nope"]}}}),
        {},
        "StackValidationFailed",
        "outputs.o.value.get_attr: The Referenced Attribute (a nope) is incorrect.",
    ),
    (
        _one(KNOB, outputs={"o": {"value": {"get_attr": ["zz", "v"]}}}),
        {},
        "StackValidationFailed",
        'outputs.o.value.get_attr: The specified reference "zz" (in unknown) is incorrect.',
    ),
    (
        {"resources": {"a": {**KNOB, "depends_on": "b"}, "b": {**KNOB, "depends_on": "a"}}},
        {},
        "CircularDependencyException",
        "Circular Dependency Found: {'a': ['b'], 'b': ['a']}",
    ),
    (
        _one(KNOB, parameters=PARAMETERS),
        {"b": "maybe"},
        "StackValidationFailed",
        "Parameter 'b' is invalid: Unrecognized value 'maybe', acceptable values are: "
        "'0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'",
    ),
    (
        _one(KNOB, parameters=PARAMETERS),
        {"j": "{x"},
        "StackValidationFailed",
        "Parameter 'j' is invalid: Value must be valid JSON: "
        "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    ),
    (
        _one(KNOB, parameters={"s": {"type": "string", "constraints": [{"allowed_values": ["a", "b"]}]}}),
        {"s": "c"},
        "StackValidationFailed",
        'Parameter \'s\' is invalid: "c" is not an allowed value ["a", "b"]',
    ),
    (
        _one(KNOB, parameters={"n": {"type": "number", "constraints": [{"range": {"min": 1, "max": 3}}]}}),
        {"n": 5},
        "StackValidationFailed",
        "Parameter 'n' is invalid: 5 is out of range (min: 1, max: 3)",
    ),
]


@pytest.mark.parametrize(
    ("template", "parameters", "kind", "text"), _REFUSED, ids=[text[:50] for *_, text in _REFUSED]
)
def test_refusals(template: dict[str, Any], parameters: dict[str, Any], kind: str, text: str) -> None:
    """What Heat refuses is refused, with its type and its words."""
    with pytest.raises(HeatError) as error:
        create(template, parameters)
    assert (error.value.status, error.value.type, error.value.message) == (400, kind, text)


def test_attributes_have_the_recorded_shapes() -> None:
    """Contrail attributes look as in the recorded stacks: paths joined by colons, or as lists."""
    resources = {
        "network": {"type": "OS::Contrail::VirtualNetwork", "properties": {"uuid": "u-1", "name": "n"}},
        "device": {"type": "OS::Contrail::ExistingResource", "properties": {"fq_name": ["global", "QFX"]}},
        "port": {
            "type": "OS::Contrail::VirtualMachineInterface",
            "properties": {"name": "p", "virtual_networks": [{"get_resource": "network"}]},
        },
    }
    paths = [("network", "fq_name"), ("device", "fq_name"), ("device", "name"), ("port", "virtual_networks")]
    outputs = {"_".join(path): {"value": {"get_attr": list(path)}} for path in paths}
    shown = resolve(create({"resources": resources, "outputs": outputs}))
    assert {one["output_key"]: one["output_value"] for one in shown} == {
        "network_fq_name": "default-domain:ten:n",
        "device_fq_name": ["global", "QFX"],
        "device_name": "QFX",
        "port_virtual_networks": [["default-domain", "ten", "u-1"]],
    }


def _recorded() -> list[Any]:
    files = sorted(TRACES.glob("*/*/heat_requests.json"))
    return [pytest.param(file, id=f"{file.parent.parent.name}/{file.parent.name}") for file in files]


@pytest.mark.skipif(not _recorded(), reason="no recorded runs beside the project")
@pytest.mark.parametrize("file", _recorded() or [None])
def test_recorded_stacks_are_created(file: Path) -> None:
    """Every stack that the original sent to Heat is created, and gives every output its template declares."""
    recorded = json.loads(file.read_text())
    tried = 0
    for request in recorded["requests"]:
        if not request.get("template"):
            continue
        document = yaml.safe_load(recorded["templates"][request["template"]])
        heat = engine()
        record = heat.create("ten", request["stack_name"], Request(document, request["parameters"]))
        heat.settle()
        assert record.stack_status == "CREATE_COMPLETE", record.reason
        shown = resolve(record)
        assert {one["output_key"] for one in shown} == set(document.get("outputs") or {})
        broken = {one["output_error"] for one in shown if "output_error" in one}
        assert broken <= {
            "'ContrailLogicalInterface' object has no attribute 'li_uuid'",
            "'ContrailPhysicalInterface' object has no attribute 'pi_uuid'",
        }
        tried += 1
    assert tried
