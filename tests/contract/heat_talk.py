"""A conversation with a Heat over plain HTTP, and what of the answers must be the same with every Heat."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from sim.heat_server.launch import RunningHeat

#: Between two looks at a stack.
_AGAIN_S = 0.15
_DEADLINE_S = 180.0


@dataclass(frozen=True)
class Heard:
    """What counts of one answer. `keys`: paths of all members; `error`: type, and the message up to a colon."""

    label: str
    status: int
    kind: str
    error: tuple[str, str]
    keys: frozenset[str]
    shown: str = ""


@dataclass
class Talk:
    """Requests of one project to one Heat, with everything that was heard, in order."""

    heat: RunningHeat
    project: str
    heard: list[Heard] = field(default_factory=list)

    def say(self, label: str, method: str, path: str, body: Any = None) -> Any:
        """One request below the project's address, without following redirects; the decoded body."""
        status, kind, answer = self.ask(method, path, body)
        self.heard.append(Heard(label, status, kind, _error(answer), frozenset(_keys(answer))))
        return answer

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, str, Any]:
        """As `say`, unrecorded: status, content type, body."""
        place = urlsplit(self.heat.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=_DEADLINE_S)
        try:
            text = body if isinstance(body, str | None) else json.dumps(body)
            headers = {"Content-Type": "application/json", "Accept": "application/json"}
            connection.request(method, f"/v1/{self.project}{path}", text, headers)
            answer = connection.getresponse()
            raw, kind = answer.read(), answer.headers.get_content_type()
        finally:
            connection.close()
        return answer.status, kind if raw else "", _decoded(raw)

    def create(self, label: str, name: str, template: Any, **members: Any) -> str:
        """A create that succeeds; the stack's id."""
        answer = self.say(label, "POST", "/stacks", {"stack_name": name, "template": template, **members})
        return str(answer["stack"]["id"])

    def settle(self, label: str, path: str, action: str = "") -> str:
        """Wait until the stack is not IN_PROGRESS; records how it ended and its reason up to a colon.

        `action`: the one that is to end. A real Heat says FAILED for a while before it rolls back, and shows
        what was before until it begins to delete. Seen twice, since it has an end before it acts on it.
        """
        end, before = time.monotonic() + _DEADLINE_S, ""
        while time.monotonic() < end:
            status, _, answer = self.ask("GET", f"{path}?resolve_outputs=False")
            if status == 302:
                path = "/stacks/" + answer["message"].partition('"')[2].partition('"')[0].split("/stacks/")[1]
                continue
            shown = _ending(status, answer)
            right = shown.startswith(action) or (action == "DELETE" and status == 404)
            if right and shown == before and not shown.endswith("IN_PROGRESS"):
                self.heard.append(Heard(label, status, "", ("", ""), frozenset(), shown))
                return shown
            before = shown
            time.sleep(_AGAIN_S)
        raise AssertionError(f"{label}: the stack never ended")

    def outputs(self, label: str, path: str) -> None:
        """Record the outputs with their values, by key."""
        _, _, answer = self.ask("GET", path)
        found = {one["output_key"]: _without_ids(one) for one in answer["stack"]["outputs"]}
        self.heard.append(Heard(label, 200, "", ("", ""), frozenset(), json.dumps(found, sort_keys=True)))


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode()


def _error(answer: Any) -> tuple[str, str]:
    error = answer.get("error") if isinstance(answer, Mapping) else None
    if not isinstance(error, Mapping):
        return "", ""
    return str(error.get("type")), str(error.get("message")).partition(":")[0]


def _keys(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield f"{path}/{key}"
            yield from _keys(inner, f"{path}/{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner, path + "/*")


def _ending(status: int, answer: Any) -> str:
    if status != 200:
        return f"{status} {_error(answer)[0]}"
    stack = answer["stack"]
    if stack["stack_status"].endswith("IN_PROGRESS"):
        return str(stack["stack_status"])
    return f"{stack['stack_status']} {stack['stack_status_reason'].partition(':')[0]}"


def _without_ids(output: Any) -> Any:
    value = output.get("output_value")
    is_id = isinstance(value, str) and len(value) == 36 and value.count("-") == 4
    return {**output, "output_value": "<id>"} if is_id else output


def template(resources: Any, parameters: Any = None, outputs: Any = None, **more: Any) -> dict[str, Any]:
    """A HOT document."""
    document = {"heat_template_version": "2013-05-23", "resources": resources}
    if parameters:
        document["parameters"] = parameters
    if outputs:
        document["outputs"] = outputs
    return {**document, **more}


def knob(**properties: Any) -> dict[str, Any]:
    """A resource that fails on demand: `fail_on` lists actions."""
    return {"type": "ESI::Test::Knob", "properties": properties}


def pause(**properties: Any) -> dict[str, Any]:
    """A resource that takes time: `wait_secs`, or `action_wait_secs` by action."""
    return {"type": "OS::Heat::TestResource", "properties": properties}
