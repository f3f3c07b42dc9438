"""The embedded Heat server and OpenStack's own Heat say the same: statuses, error types, members, transitions.

Never compared: order, ids, times, and what follows the first colon of a text.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sim.heat_server.launch import RunningHeat, start
from tests.contract.heat_talk import Heard, Talk, knob, pause, template

SOME_ID = "0b576f6f-4cbf-414f-829c-d12f008bf08f"
PLAIN = template(
    {"a": knob(v={"get_param": "p"}), "b": knob(v={"get_attr": ["a", "v"]}, imm="1")},
    {
        "p": {"type": "string", "default": "x"},
        "n": {"type": "number", "default": 3},
        "h": {"type": "string", "hidden": True, "default": "secret"},
    },
    {"o": {"value": {"get_attr": ["b", "v"]}}, "id": {"description": "of a", "value": {"get_resource": "a"}}},
)
_projects = itertools.count(1)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHeat]:
    """The embedded server."""
    running = start(tmp_path_factory.mktemp("heat"))
    yield running
    running.stop()


def changed(document: Any, resource: str, **properties: Any) -> Any:
    """A template with other properties of one resource."""
    copied = copy.deepcopy(document)
    copied["resources"][resource]["properties"].update(properties)
    return copied


def reading(talk: Talk) -> None:
    """All ways to look at stacks, present or not."""
    sid = talk.create("create", "m1", PLAIN, parameters={"p": "one"}, tags="esi,own-1", timeout_mins=6)
    talk.settle("created", f"/stacks/m1/{sid}")
    for path in (
        "/stacks/m1", f"/stacks/{sid}", f"/stacks/m1/{sid}", f"/stacks/m1/{sid}?resolve_outputs=False",
        f"/stacks/m1/{SOME_ID}", f"/stacks/other/{sid}", "/stacks/nope", f"/stacks/{SOME_ID}",
        f"/stacks/m1/{sid}/resources", f"/stacks/m1/{sid}/resources/a", f"/stacks/m1/{sid}/resources/z",
        "/stacks/m1/resources", "/stacks/m1/events", "/stacks/m1/template",
        f"/stacks/m1/{sid}/outputs", f"/stacks/m1/{sid}/outputs/o", f"/stacks/m1/{sid}/outputs/zz",
        f"/stacks/m1/{sid}/environment", "/zzz", "/stacks/m1/x/y/z",
    ):  # fmt: skip
        talk.say(path.replace(sid, "<id>"), "GET", path)
    talk.say("wrong method", "DELETE", "/stacks")
    talk.outputs("outputs", f"/stacks/m1/{sid}")
    talk.project += "-other"
    talk.say("of another project", "GET", f"/stacks/m1/{sid}")
    talk.say("deleting another's", "DELETE", f"/stacks/m1/{sid}")


def listing(talk: Talk) -> None:
    """Filters, pages and counts."""
    first = talk.create("create", "m1", PLAIN, tags="esi,own-1")
    second = talk.create("another", "m2", PLAIN, tags="esi")
    for name, sid in (("m1", first), ("m2", second)):
        talk.settle("created", f"/stacks/{name}/{sid}")
    for query in (
        "", "?name=m1", "?name=m1&name=m2", f"?id={first}&id={second}", "?status=COMPLETE&limit=1",
        "?status=IN_PROGRESS", "?action=CREATE&status=COMPLETE&sort_keys=creation_time&sort_dir=desc",
        "?status=COMPLETE&status=FAILED", "?tags=esi,own-1", "?tags_any=own-1", "?not-tags=own-1", "?not_tags=own-1",
        "?not_tags_any=esi,own-1",
        "?foo=bar", "?with_count=True&limit=1",
        "?sort_keys=nonsense", "?limit=abc", "?tags=esi&status=COMPLETE", "?show_deleted=True&name=m1",
    ):  # fmt: skip
        found = talk.say(query.replace(first, "<1>").replace(second, "<2>"), "GET", f"/stacks{query}")
        names = sorted(one["stack_name"] for one in found.get("stacks", ()))
        talk.heard.append(Heard(f"found by {len(talk.heard)}", 0, "", ("", ""), frozenset(), str(names)))


def updating(talk: Talk) -> None:
    """Updates of every kind, what fails and what repairs it."""
    sid = talk.create("create", "m1", PLAIN, parameters={"p": "one"}, tags="esi")
    path = f"/stacks/m1/{sid}"
    talk.settle("created", path)
    broken = changed(PLAIN, "a", fail_on=["UPDATE"])
    for label, method, body in (
        ("another value", "PUT", {"template": PLAIN, "parameters": {"p": "two"}, "timeout_mins": 5}),
        ("by a patch", "PATCH", {"parameters": {"p": "three"}}),
        ("no change", "PUT", {"template": PLAIN, "parameters": {"p": "three"}}),
        ("with tags", "PUT", {"template": PLAIN, "parameters": {"p": "three"}, "tags": "esi,v2"}),
        ("replaced", "PUT", {"template": changed(PLAIN, "b", imm="2"), "parameters": {"p": "three"}}),
        ("fails", "PUT", {"template": broken, "parameters": {"p": "four"}}),
        ("repaired", "PUT", {"template": PLAIN, "parameters": {"p": "five"}}),
        ("rolled back", "PUT", {"template": broken, "parameters": {"p": "six"}, "disable_rollback": False}),
        ("once more", "PUT", {"template": PLAIN, "parameters": {"p": "seven"}, "disable_rollback": True}),
    ):
        talk.say(label, method, path, body)
        talk.settle(f"{label}: end", path, "ROLLBACK" if label == "rolled back" else "")
        talk.outputs(f"{label}: outputs", path)
        tags = talk.ask("GET", path)[2]["stack"]["tags"]
        talk.heard.append(Heard(f"{label}: tags", 0, "", ("", ""), frozenset(), str(tags)))
    talk.say("without a template", "PUT", path, {"parameters": {"p": "three"}})
    talk.say("of nothing", "PUT", f"/stacks/zz/{SOME_ID}", {"template": PLAIN})
    talk.say("by name", "PUT", "/stacks/m1", {"template": PLAIN})


def superseding(talk: Talk) -> None:
    """What may be asked while an action is under way."""
    slow = template({"a": pause(wait_secs=2.5, value="1")})
    sid = talk.create("create", "m1", slow)
    path = f"/stacks/m1/{sid}"
    talk.say("create again", "POST", "/stacks", {"stack_name": "m1", "template": slow})
    talk.say("outputs in progress", "GET", path)
    talk.say("cancel during create", "POST", f"{path}/actions", {"cancel_update": None})
    talk.say("update in progress", "PUT", path, {"template": changed(slow, "a", value="2", wait_secs=0)})
    talk.settle("superseded", path)
    talk.say("slow update", "PUT", path, {"template": changed(slow, "a", value="3", wait_secs=30)})
    talk.say("cancel", "POST", f"{path}/actions", {"cancel_without_rollback": None})
    talk.settle("cancelled", path)
    talk.say("slow again", "PUT", path, {"template": changed(slow, "a", value="4", wait_secs=0)})
    talk.settle("done", path)
    talk.say("delete", "DELETE", path)
    talk.settle("deleted", path, "DELETE")


def failing(talk: Talk) -> None:
    """Creates and deletes that fail, and what can be done then."""
    outputs = {"o": {"value": {"get_resource": "a"}}, "p": {"value": {"get_attr": ["b", "v"]}}}
    broken = template({"a": knob(fail_on=["CREATE"]), "b": knob(v={"get_attr": ["a", "v"]})}, None, outputs)
    sid = talk.create("create that fails", "f1", broken)
    talk.settle("failed", f"/stacks/f1/{sid}")
    talk.say("a failed one", "GET", f"/stacks/f1/{sid}")
    talk.outputs("its outputs", f"/stacks/f1/{sid}")
    talk.say("create over it", "POST", "/stacks", {"stack_name": "f1", "template": PLAIN})
    talk.say("repair", "PUT", f"/stacks/f1/{sid}", {"template": PLAIN})
    talk.settle("repaired", f"/stacks/f1/{sid}")
    rolled = talk.create(
        "rolled back", "f2", template({"a": knob(fail_on=["CREATE"])}), disable_rollback=False
    )
    talk.settle("rolled back", f"/stacks/f2/{rolled}", "ROLLBACK")
    stuck = template({"a": knob(fail_on=["DELETE"])})
    sid = talk.create("cannot be deleted", "f3", stuck)
    path = f"/stacks/f3/{sid}"
    talk.settle("there", path)
    for label in ("delete", "delete again"):
        talk.say(label, "DELETE", path)
        talk.settle(f"{label}: end", path, "DELETE")
    talk.say("update after that", "PUT", path, {"template": changed(stuck, "a", fail_on=[])})
    talk.say("create after that", "POST", "/stacks", {"stack_name": "f3", "template": PLAIN})


def deleting(talk: Talk) -> None:
    """Deletes, and what is left to be seen afterwards."""
    sid = talk.create("create", "m1", PLAIN)
    path = f"/stacks/m1/{sid}"
    talk.settle("created", path)
    talk.say("by name", "DELETE", "/stacks/m1")
    talk.say("delete", "DELETE", path)
    talk.settle("deleted", path, "DELETE")
    talk.say("by name afterwards", "GET", "/stacks/m1")
    talk.say("by name and id afterwards", "GET", path)
    talk.say("delete again", "DELETE", path)
    talk.say("delete nothing", "DELETE", "/stacks/zzz")
    talk.say("update the deleted", "PUT", path, {"template": PLAIN})
    talk.say("with the deleted", "GET", "/stacks?show_deleted=True&name=m1")
    again = talk.create("the name is free", "m1", template({"a": pause(wait_secs=0.5)}))
    talk.say("delete during create", "DELETE", f"/stacks/m1/{again}")
    talk.settle("both gone", f"/stacks/m1/{again}", "DELETE")


def actions(talk: Talk) -> None:
    """The actions besides create, update and delete."""
    sid = talk.create("create", "m1", PLAIN)
    path = f"/stacks/m1/{sid}"
    talk.settle("created", path)
    for action in ("check", "cancel_update", "bogus"):
        talk.say(action, "POST", f"{path}/actions", {action: None})
        talk.settle(f"{action}: end", path)
    talk.say("two at once", "POST", f"{path}/actions", {"check": None, "resume": None})
    talk.say("none", "POST", f"{path}/actions", {})
    talk.say("validate", "POST", "/validate", {"template": PLAIN})
    talk.say("preview", "POST", "/stacks/preview", {"stack_name": "pv", "template": PLAIN})


K = knob()
#: What Heat refuses: label, members of the create request.
REFUSED: dict[str, dict[str, Any]] = {
    "unknown type": {"template": template({"a": {"type": "OS::No::Such"}})},
    "parameter missing": {"template": template({"a": K}, {"q": {"type": "string"}})},
    "parameter null": {"template": template({"a": K}, {"q": {"type": "string"}}), "parameters": {"q": None}},
    "parameter unknown": {"template": template({"a": K}), "parameters": {"zz": 1}},
    "no number": {"template": template({"a": K}, {"q": {"type": "number"}}), "parameters": {"q": "abc"}},
    "no boolean": {"template": template({"a": K}, {"q": {"type": "boolean"}}), "parameters": {"q": "maybe"}},
    "no JSON": {"template": template({"a": K}, {"q": {"type": "json"}}), "parameters": {"q": "{x"}},
    "bad type": {"template": template({"a": K}, {"q": {"type": "zonk"}})},
    "not allowed": {
        "template": template({"a": K}, {"q": {"type": "string", "constraints": [{"allowed_values": ["a"]}]}}),
        "parameters": {"q": "b"},
    },
    "unknown property": {"template": template({"a": knob(zzz=1)})},
    "unknown property of ours": {
        "template": template({"a": {"type": "OS::Contrail::InstanceIp", "properties": {"zzz": 1}}})
    },
    "reference": {"template": template({"a": knob(v={"get_resource": "zz"})})},
    "depends_on": {"template": template({"a": {**K, "depends_on": "zz"}})},
    "attribute": {"template": template({"a": K}, None, {"o": {"value": {"get_attr": ["a", "nope"]}}})},
    "attribute of nothing": {
        "template": template({"a": K}, None, {"o": {"value": {"get_attr": ["z", "v"]}}})
    },
    "undeclared parameter": {"template": template({"a": knob(v={"get_param": "zz"})})},
    "circle": {
        "template": template({"a": knob(v={"get_resource": "b"}), "b": knob(v={"get_resource": "a"})})
    },
    "version": {"template": {"heat_template_version": "1999-01-01", "resources": {}}},
    "no version": {"template": {"resources": {}}},
    "resource key": {"template": template({"a": {**K, "zonk": 1}})},
    "no type": {"template": template({"a": {"properties": {}}})},
    "no YAML": {"template": "heat_template_version: 2013-05-23\nresources: [a: {"},
    "too big": {"template": "heat_template_version: 2013-05-23\n#" + "x" * 600_000},
    "no template": {},
    "name": {"stack_name": "1 bad", "template": template({"a": K})},
    "long name": {"stack_name": "a" * 256, "template": template({"a": K})},
    "no name": {"stack_name": None, "template": template({"a": K})},
    "section": {"template": template({"a": K}, zonk={})},
    "timeout": {"template": template({"a": K}), "timeout_mins": "abc"},
}


def refusing(talk: Talk) -> None:
    """Every kind of wrong request."""
    for label, members in REFUSED.items():
        talk.say(label, "POST", "/stacks", {"stack_name": "e1", **members})
    talk.say("no JSON at all", "POST", "/stacks", "{not json")
    talk.say("nothing was made", "GET", "/stacks")


def values(talk: Talk) -> None:
    """Parameters of every type, functions, and outputs that cannot be computed."""
    parameters: dict[str, Any] = {
        "s": {"type": "string"}, "n": {"type": "number"}, "b": {"type": "boolean"}, "j": {"type": "json"},
        "l": {"type": "comma_delimited_list"}, "h": {"type": "string", "hidden": True},
    }  # fmt: skip
    shown: dict[str, Any] = {name: {"value": {"get_param": name}} for name in parameters}
    shown["path"] = {"value": {"get_param": ["j", "k"]}}
    shown["no_path"] = {"value": {"get_param": ["j", "zz"]}}
    shown["second"] = {"value": {"get_param": ["l", 1]}}
    shown["project"] = {"value": {"get_param": "OS::stack_name"}}
    replace = {"template": "$var2 $var", "params": {"$var": "A", "$var2": {"get_param": "s"}}}
    shown["replaced"] = {"value": {"str_replace": replace}}
    shown["wrong"] = {"value": {"str_replace": {"template": "$l", "params": {"$l": {"get_param": "l"}}}}}
    shown["broken"] = {"value": {"get_attr": ["li", "name"]}}
    shown["unknown"] = {"value": {"Fn::Nope": 1}}
    shown["nothing"] = {"description": "has no value", "value": None}
    interface = {"type": "OS::Contrail::LogicalInterface", "properties": {"name": "x", "type": "l2"}}
    document = template({"li": interface}, parameters, shown)
    given = [
        {"s": "a", "n": "7", "b": "on", "j": {"k": "v", "d": [1]}, "l": "x,y", "h": "p"},
        {"s": 5, "n": 7.5, "b": "f", "j": '{"k": "v"}', "l": ["x", "y"], "h": "p"},
        {"s": "", "n": 0, "b": True, "j": [1, 2], "l": "", "h": "p"},
    ]
    for number, parameters_given in enumerate(given):
        sid = talk.create(f"values {number}", f"v{number}", document, parameters=parameters_given)
        talk.settle(f"values {number}: end", f"/stacks/v{number}/{sid}")
        talk.outputs(f"values {number}: outputs", f"/stacks/v{number}/{sid}")
        stack = talk.ask("GET", f"/stacks/v{number}/{sid}")[2]["stack"]["parameters"]
        mine = {name: value for name, value in stack.items() if name in parameters}
        talk.heard.append(
            Heard(f"values {number}: shown", 0, "", ("", ""), frozenset(), str(sorted(mine.items())))
        )


CHAPTERS = (reading, listing, updating, superseding, failing, deleting, actions, refusing, values)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.__name__)
def test_the_embedded_server_answers_as_heat_does(
    embedded: RunningHeat, real_heat: RunningHeat, chapter: Callable[[Talk], None]
) -> None:
    """Each conversation is heard the same from both."""
    project = f"project{next(_projects)}"
    theirs, ours = Talk(real_heat, project), Talk(embedded, project)
    chapter(theirs)
    chapter(ours)
    assert len(theirs.heard) > 5
    differences = [(one, other) for one, other in zip(theirs.heard, ours.heard, strict=True) if one != other]
    assert not differences, "\n".join(_told(one, other) for one, other in differences)


def _told(real: Heard, embedded: Heard) -> str:
    """One difference, for a person."""
    lines = [f"{real.label}:"]
    lines += [
        f"  {name}: Heat {getattr(real, name)!r}, embedded {getattr(embedded, name)!r}"
        for name in ("label", "status", "kind", "error", "shown")
        if getattr(real, name) != getattr(embedded, name)
    ]
    if real.keys != embedded.keys:
        missing, extra = sorted(real.keys - embedded.keys), sorted(embedded.keys - real.keys)
        lines.append(f"  members: the embedded one lacks {missing} and adds {extra}")
    return "\n".join(lines)
