"""The embedded server's API beyond what the adapter uses: what operators' tools ask, as Heat 27 answers."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from multidict import MultiDict

from sim.heat.engine import Engine
from sim.heat_server.answers import Answer
from sim.heat_server.api import Api, Call

BASE = "http://127.0.0.1:8004/v1/ten"
TEMPLATE = {
    "heat_template_version": "2013-05-23",
    "parameters": {
        "p": {"type": "string", "default": "x"},
        "h": {"type": "string", "hidden": True, "default": "secret"},
    },
    "resources": {
        "a": {"type": "ESI::Test::Knob", "properties": {"v": {"get_param": "p"}}},
        "b": {"type": "ESI::Test::Knob", "properties": {"v": {"get_attr": ["a", "v"]}}},
    },
    "outputs": {"o": {"value": {"get_attr": ["b", "v"]}}, "aid": {"value": {"get_resource": "a"}}},
}


class Client:
    """Calls the API without HTTP, at one second per call."""

    def __init__(self) -> None:
        self.time = 1.7e9
        numbers = itertools.count(1)
        engine = Engine(lambda: self.time, lambda: f"00000000-0000-4000-8000-{next(numbers):012}")
        self.api = Api(engine, lambda: self.time)

    def raw(self, method: str, path: str, body: Any = None) -> Answer:
        """The answer to one call; `path` is below the tenant."""
        self.time += 1
        bare, _, query = path.partition("?")
        pairs = [part.split("=", 1) for part in query.split("&") if part]
        call = Call(
            method,
            "ten",
            tuple(part for part in bare.split("/") if part),
            MultiDict((key, value) for key, value in pairs),
            body if isinstance(body, bytes) else json.dumps(body).encode(),
            BASE,
        )
        return self.api.answer(call)

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and decoded body."""
        answer = self.raw(method, path, body)
        return answer.status, json.loads(answer.body) if answer.body else None

    def create(self, name: str = "m1", **fields: Any) -> str:
        """A finished stack; returns its path."""
        status, shown = self("POST", "/stacks", {"stack_name": name, "template": TEMPLATE, **fields})
        assert status == 201
        return f"/stacks/{name}/{shown['stack']['id']}"


@pytest.fixture
def heat() -> Client:
    """An empty Heat."""
    return Client()


def test_short_addresses_are_redirected(heat: Client) -> None:
    """A name or an id alone is answered by 302 to the full address, below it too; an unknown one by 404."""
    path = heat.create()
    stack_id = path.rpartition("/")[2]
    for short, full in [
        ("/stacks/m1", path),
        (f"/stacks/{stack_id}", path),
        ("/stacks/m1/resources", f"{path}/resources"),
        ("/stacks/m1/events", f"{path}/events"),
    ]:
        answer = heat.raw("GET", short)
        assert (answer.status, answer.headers["Location"]) == (302, BASE + full)
    status, shown = heat("GET", "/stacks/nope")
    assert (status, shown["error"]["message"]) == (404, "The Stack (nope) could not be found.")


def test_error_body_has_heats_members(heat: Client) -> None:
    """A refusal carries code, title, explanation, and the typed error."""
    heat.create()
    status, shown = heat("POST", "/stacks", {"stack_name": "m1", "template": TEMPLATE})
    assert status == 409
    assert shown == {
        "code": 409,
        "title": "Conflict",
        "explanation": "There was a conflict when trying to complete your request.",
        "error": {"type": "StackExists", "traceback": None, "message": "The Stack (m1) already exists."},
    }


def names(shown: Any) -> list[str]:
    """The names in a list answer."""
    return [stack["stack_name"] for stack in shown["stacks"]]


def test_list_filters_order_and_pages(heat: Client) -> None:
    """Lists are newest first, can be filtered, sorted, cut into pages, counted, and show deleted stacks if asked."""
    for name in ("s1", "s2", "s3"):
        heat.create(name, tags=f"all,{name}")
    gone = heat.create("s4")
    heat("DELETE", gone)
    assert names(heat("GET", "/stacks")[1]) == ["s3", "s2", "s1"]
    assert names(heat("GET", "/stacks?sort_keys=stack_name&sort_dir=asc")[1]) == ["s1", "s2", "s3"]
    assert names(heat("GET", "/stacks?name=s1&name=s3")[1]) == ["s3", "s1"]
    assert names(heat("GET", "/stacks?tags=all,s2")[1]) == ["s2"]
    assert names(heat("GET", "/stacks?not_tags=s2")[1]) == ["s3", "s1"]
    assert names(heat("GET", "/stacks?tags_any=s1,s2")[1]) == ["s2", "s1"]
    assert names(heat("GET", "/stacks?status=FAILED")[1]) == []
    assert names(heat("GET", "/stacks?show_deleted=True")[1]) == ["s4", "s3", "s2", "s1"]
    _, page = heat("GET", "/stacks?limit=2&with_count=True")
    assert (names(page), page["count"]) == (["s3", "s2"], 3)
    marker = page["links"][0]["href"].partition("marker=")[2]
    assert names(heat("GET", f"/stacks?limit=2&marker={marker}")[1]) == ["s1"]


def test_tags_with_another_filter_is_the_500_of_real_heat(heat: Client) -> None:
    """Real Heat falls over tags combined with a filter; nobody may come to rely on it here."""
    heat.create(tags="esi")
    assert heat("GET", "/stacks?tags=esi&name=m1")[0] == 500


def test_deleted_stack_is_shown_by_its_id_only(heat: Client) -> None:
    """After a delete the full address still answers, with DELETE_COMPLETE and without outputs."""
    path = heat.create()
    assert heat("DELETE", path) == (204, None)
    status, shown = heat("GET", path)
    assert (status, shown["stack"]["stack_status"]) == (200, "DELETE_COMPLETE")
    assert "outputs" not in shown["stack"]
    assert heat("GET", "/stacks/m1")[0] == 404
    assert heat("DELETE", path)[0] == 404
    assert heat("PUT", path, {"template": TEMPLATE})[0] == 404


def test_put_drops_tags_and_parameters_and_patch_keeps_them(heat: Client) -> None:
    """PUT sets all anew; PATCH changes only what is given."""
    path = heat.create(tags="esi,v1", parameters={"p": "one"}, timeout_mins=6)
    heat("PATCH", path, {"parameters": {"h": "new"}})
    shown = heat("GET", path)[1]["stack"]
    assert (shown["tags"], shown["parameters"]["p"], shown["timeout_mins"]) == (["esi", "v1"], "one", 6)
    heat("PUT", path, {"template": TEMPLATE})
    shown = heat("GET", path)[1]["stack"]
    assert (shown["tags"], shown["parameters"]["p"], shown["timeout_mins"]) == ([], "x", 6)
    assert shown["parameters"]["h"] == "******"
    status, refused = heat("PUT", path, {"parameters": {}})
    assert (status, refused["error"]["message"]) == (400, "No template specified")


def test_resources_events_outputs_template(heat: Client) -> None:
    """What `openstack stack` shows below a stack is there."""
    path = heat.create(parameters={"p": "one"})
    resources = heat("GET", f"{path}/resources")[1]["resources"]
    assert [(one["resource_name"], one["resource_status"], one["required_by"]) for one in resources] == [
        ("a", "CREATE_COMPLETE", ["b"]),
        ("b", "CREATE_COMPLETE", []),
    ]
    one = heat("GET", f"{path}/resources/a")[1]["resource"]
    assert (one["resource_type"], one["attributes"]) == ("ESI::Test::Knob", {"v": "one"})
    assert heat("GET", f"{path}/resources/zz")[0] == 404
    events = heat("GET", f"{path}/events")[1]["events"]
    assert [(event["resource_name"], event["resource_status"]) for event in events] == [
        ("m1", "CREATE_IN_PROGRESS"),
        ("a", "CREATE_COMPLETE"),
        ("b", "CREATE_COMPLETE"),
        ("m1", "CREATE_COMPLETE"),
    ]
    later = heat("GET", f"{path}/events?marker={events[2]['id']}")[1]["events"]
    assert [event["id"] for event in later] == [events[3]["id"]]
    output = heat("GET", f"{path}/outputs/o")[1]["output"]
    assert output == {"output_key": "o", "description": "No description given", "output_value": "one"}
    assert heat("GET", f"{path}/outputs/zz")[1]["error"]["type"] == "NotFound"
    assert heat("GET", f"{path}/template")[1] == TEMPLATE
    assert heat("GET", f"{path}/environment")[1]["parameters"] == {"p": "one"}
    assert "outputs" not in heat("GET", f"{path}?resolve_outputs=False")[1]["stack"]


_ACTIONS = [
    ({"check": None}, 200, None),
    ({}, 400, "No action specified"),
    ({"check": None, "resume": None}, 400, "Multiple actions specified"),
    ({"bogus": None}, 400, "Invalid action bogus specified"),
    ({"cancel_update": None}, 400, "Cancelling update when stack is CREATE_COMPLETE is not supported."),
]


@pytest.mark.parametrize(("action", "status", "message"), _ACTIONS, ids=str)
def test_actions(heat: Client, action: Any, status: int, message: str | None) -> None:
    """Actions are accepted or refused in Heat's words."""
    answer = heat("POST", f"{heat.create()}/actions", action)
    assert answer[0] == status
    assert (answer[1] and answer[1]["error"]["message"]) == message


_BODIES: list[tuple[Any, str]] = [
    (b"{not json", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ({"template": TEMPLATE}, "No stack name specified"),
    ({"stack_name": "e1"}, "No template specified"),
    (
        {"stack_name": "e1", "template": TEMPLATE, "timeout_mins": "abc"},
        "Only integer is acceptable by 'timeout_mins'.",
    ),
    (
        {"stack_name": "e1", "template": "heat_template_version: 2013-05-23\n#" + "x" * 600_000},
        "Request limit exceeded: Template size (600035 bytes) exceeds maximum allowed size (524288 bytes).",
    ),
    (
        {"stack_name": "e1", "template": {**TEMPLATE, "description": "x" * 524_288}},
        "Request limit exceeded: Template size (524732 bytes) exceeds maximum allowed size (524288 bytes).",
    ),
    (
        b'{"stack_name": "e1"' + b" " * 1_048_576 + b"}",
        "Request limit exceeded: JSON body size (1048596 bytes) exceeds maximum allowed size (1048576 bytes).",
    ),
]


@pytest.mark.parametrize(("body", "message"), _BODIES, ids=[message[:40] for _, message in _BODIES])
def test_bodies_that_heat_refuses(heat: Client, body: Any, message: str) -> None:
    """Malformed requests are 400 with Heat's words."""
    status, shown = heat("POST", "/stacks", body)
    assert (status, shown["error"]["message"]) == (400, message)


def test_template_may_be_yaml_text_with_an_environment(heat: Client) -> None:
    """The command line sends templates as YAML text and parameters in an environment."""
    text = (
        "heat_template_version: 2013-05-23\nparameters: {p: {type: string}}\n"
        "resources: {a: {type: 'ESI::Test::Knob', properties: {v: {get_param: p}}}}\n"
    )
    path = heat.create("y1", template=text, environment="parameters: {p: from-environment}")
    assert heat("GET", f"{path}/resources/a")[1]["resource"]["attributes"] == {"v": "from-environment"}


def test_validate_and_preview(heat: Client) -> None:
    """`validate` and `preview` answer without making a stack."""
    status, shown = heat("POST", "/validate", {"template": TEMPLATE})
    assert (status, shown["Parameters"]["h"]["NoEcho"]) == (200, "true")
    status, shown = heat("POST", "/stacks/preview", {"stack_name": "pv", "template": TEMPLATE})
    assert (status, [one["resource_name"] for one in shown["stack"]["resources"]]) == (200, ["a", "b"])
    assert names(heat("GET", "/stacks")[1]) == []


def test_unknown_paths_and_methods(heat: Client) -> None:
    """Unknown paths are 404 without an error type, wrong methods 405."""
    assert heat("GET", "/zzz") == (
        404,
        {
            "message": "The resource could not be found.<br /><br />\n\n\n",
            "code": "404 Not Found",
            "title": "Not Found",
        },
    )
    assert heat("DELETE", "/stacks")[1]["error"]["type"] == "HTTPMethodNotAllowed"
