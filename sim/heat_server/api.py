"""Heat's orchestration API v1: from method, path, query and body to an answer. No I/O.

Guarantees: paths, status codes, error types and redirects are those of Heat 27, for all that heatclient, the
`openstack stack` commands and we ask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sim.heat import outputs
from sim.heat.engine import Engine, Fate
from sim.heat.fault import HeatError, bad_request
from sim.heat.parameters import Json
from sim.heat.plan import Pace, build
from sim.heat.records import Record
from sim.heat.types import TYPES, type_of
from sim.heat_server import answers, views
from sim.heat_server.answers import Answer
from sim.heat_server.bodies import read_json, read_request
from sim.heat_server.listing import Query, select

#: What may follow a bare stack name; Heat redirects to the full address.
_BELOW_A_NAME = frozenset({"resources", "events", "template", "environment", "files", "actions", "export"})
_BELOW_A_STACK = _BELOW_A_NAME | {"outputs"}
_SIMPLE_ACTIONS = {"check": "CHECK", "suspend": "SUSPEND", "resume": "RESUME"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request, taken apart. `parts`: the path below the tenant. `base`: `http://host:port/v1/<tenant>`."""

    method: str
    tenant: str
    parts: tuple[str, ...]
    query: Query
    body: bytes
    base: str
    fate: Fate = Fate.NATURAL
    twin: bool = False


class Api:
    """The routes. `now` is the engine's clock."""

    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        self._engine = engine
        self._now = now

    def answer(self, call: Call) -> Answer:
        """The answer to any call; refusals are answers too."""
        try:
            return self._route(call)
        except HeatError as fault:
            return answers.refused(fault)

    def _route(self, call: Call) -> Answer:
        match call.parts:
            case ("stacks",):
                return self._on(call, GET=self._list, POST=self._create)
            case ("stacks", "detail"):
                return self._on(call, GET=self._list)
            case ("stacks", "preview"):
                return self._on(call, POST=self._preview)
            case ("stacks", name):
                return self._lookup(call, name, "")
            case ("stacks", name, below) if below in _BELOW_A_NAME:
                return self._lookup(call, name, f"/{below}")
            case ("stacks", name, "resources", below):
                return self._lookup(call, name, f"/resources/{below}")
            case ("stacks", name, stack_id):
                return self._stack(call, name, stack_id)
            case ("stacks", name, stack_id, below, *rest) if below in _BELOW_A_STACK:
                return self._below(call, self._engine.get(call.tenant, name, stack_id), (below, *rest))
            case ("validate",):
                return self._on(call, POST=self._validate)
            case ("resource_types", *below):
                return _resource_types(tuple(below))
            case ("build_info",):
                return answers.ok({"api": {"revision": "simulated"}, "engine": {"revision": "simulated"}})
            case ("services",):
                return answers.ok({"services": []})
        return answers.no_such_route()

    def _on(self, call: Call, **handlers: Callable[[Call], Answer]) -> Answer:
        handler = handlers.get(call.method)
        return answers.wrong_method() if handler is None else handler(call)

    # --------------------------------------------------------------------------------------- all stacks

    def _list(self, call: Call) -> Answer:
        found, total = select(self._engine, call.tenant, call.query)
        links = views.Links(call.base)
        shown: dict[str, Json] = {"stacks": [views.listed(record, links) for record in found]}
        if call.query.get("limit", "") and found and call.parts == ("stacks",):
            kept = "&".join(
                f"{key}={call.query.get(key, '')}" for key in ("status", "limit") if key in call.query
            )
            shown["links"] = [{"rel": "next", "href": f"{call.base}/stacks?{kept}&marker={found[-1].id}"}]
        if call.query.get("with_count", "").lower() == "true":
            shown["count"] = total
        return answers.ok(shown)

    def _create(self, call: Call) -> Answer:
        body = read_json(call.body)
        if "stack_name" not in body:
            raise bad_request("No stack name specified")
        request = read_request(body, template_needed=True)
        record = self._engine.create(call.tenant, body["stack_name"], request, call.fate, twin=call.twin)
        href = views.Links(call.base).stack(record)
        shown = {"stack": {"id": record.id, "links": [{"href": href, "rel": "self"}]}}
        return answers.ok(shown, 201, {"Location": href})

    def _preview(self, call: Call) -> Answer:
        body = read_json(call.body)
        record = self._engine.draft(
            call.tenant, str(body.get("stack_name", "")), read_request(body, template_needed=True)
        )
        links = views.Links(call.base)
        plan = build(record, self._now(), Pace(0.0, lambda: ""))
        return answers.ok({"stack": views.preview(record, plan.resources, links)})

    def _validate(self, call: Call) -> Answer:
        body = read_json(call.body)
        request = read_request(body, template_needed=True)
        return answers.ok(views.validated(self._engine.check(request)))

    # ---------------------------------------------------------------------------------------- one stack

    def _lookup(self, call: Call, name: str, below: str) -> Answer:
        record = self._engine.identity(call.tenant, name, with_deleted=call.method == "GET")
        return answers.redirect(views.Links(call.base).stack(record) + below)

    def _stack(self, call: Call, name: str, stack_id: str) -> Answer:
        record = self._engine.get(call.tenant, name, stack_id, with_deleted=call.method == "GET")
        if call.method == "GET":
            with_outputs = call.query.get("resolve_outputs", "").lower() != "false"
            shown = views.stack(record, views.Links(call.base), with_outputs=with_outputs)
            return answers.ok({"stack": shown})
        if call.method in ("PUT", "PATCH"):
            patch = call.method == "PATCH"
            request = read_request(read_json(call.body), template_needed=not patch)
            self._engine.update(record, request, call.fate, patch=patch)
            return answers.accepted()
        if call.method == "DELETE":
            self._engine.delete(record, call.fate)
            return Answer(204)
        return answers.wrong_method()

    def _below(self, call: Call, record: Record, below: tuple[str, ...]) -> Answer:
        if call.method == "POST" and below == ("actions",):
            return self._action(call, record)
        if call.method != "GET":
            return answers.wrong_method()
        match below:
            case ("template",):
                return answers.ok(record.template.document)
            case ("environment",):
                return answers.ok(views.environment(record))
            case ("files",):
                return answers.ok({})
            case ("outputs",):
                shown = [
                    {key: output[key] for key in ("output_key", "description")}
                    for output in outputs.resolve(record)
                ]
                return answers.ok({"outputs": shown})
            case ("outputs", key):
                if key not in record.template.outputs:
                    # Heat 27 forgets to fill its own text in
                    raise HeatError(404, "NotFound", "Specified output key {} not found.")
                return answers.ok({"output": outputs.resolve_one(record, key)})
        return self._inside(call, record, below)

    def _inside(self, call: Call, record: Record, below: tuple[str, ...]) -> Answer:
        """Resources and events."""
        links = views.Links(call.base)
        match below:
            case ("resources",):
                every = record.resources.values()
                shown = [views.resource(record, one, links, self._now(), whole=False) for one in every]
                return answers.ok({"resources": shown})
            case ("resources", name) | ("resources", name, "metadata"):
                one = record.resources.get(name)
                if one is None:
                    message = f"The Resource ({name}) could not be found in Stack {record.name}."
                    raise HeatError(404, "ResourceNotFound", message)
                if len(below) > 2:
                    return answers.ok({"metadata": {}})
                return answers.ok({"resource": views.resource(record, one, links, self._now(), whole=True)})
            case ("events",) | ("resources", _, "events"):
                return answers.ok({"events": self._events(call, record, below, links)})
        return answers.no_such_route()

    def _events(self, call: Call, record: Record, below: tuple[str, ...], links: views.Links) -> list[Json]:
        shown = [views.event(record, number, one, links) for number, one in enumerate(record.events)]
        if len(below) > 1:
            shown = [one for one in shown if one["resource_name"] == below[1]]
        marker = call.query.get("marker", "")
        places = [place for place, one in enumerate(shown) if one["id"] == marker]
        shown = shown[places[0] + 1 :] if places else shown
        if call.query.get("sort_dir", "asc").lower() == "desc":
            shown.reverse()
        limit = call.query.get("limit", "")
        return shown[: int(limit)] if limit.isdigit() else shown

    def _action(self, call: Call, record: Record) -> Answer:
        asked = read_json(call.body)
        if len(asked) != 1:
            raise bad_request("Multiple actions specified" if asked else "No action specified")
        action = next(iter(asked))
        if action in _SIMPLE_ACTIONS:
            self._engine.act(record, _SIMPLE_ACTIONS[action])
        elif action in ("cancel_update", "cancel_without_rollback"):
            self._engine.cancel_update(record, rollback=action == "cancel_update")
        else:
            raise bad_request(f"Invalid action {action} specified")
        return answers.ok(None)


def _resource_types(below: tuple[str, ...]) -> Answer:
    if not below:
        return answers.ok({"resource_types": sorted(TYPES)})
    try:
        kind = type_of(below[0])
    except HeatError as fault:
        raise HeatError(404, "EntityNotFound", fault.message) from fault
    shown = {
        "resource_type": kind.name,
        "properties": {name: {"type": "any", "required": False} for name in sorted(kind.properties or ())},
        "attributes": {name: {"description": name} for name in sorted(kind.attributes or ())},
        "support_status": {"status": "SUPPORTED", "message": None, "version": None, "previous_status": None},
    }
    return answers.ok(shown)
