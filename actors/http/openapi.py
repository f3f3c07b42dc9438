"""The API described: paths, parameters and answers, as OpenAPI 3.1.

Guarantees: the server serves exactly these paths, since it makes its routes from them; what an answer holds stands
in `actors.http.schemas`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actors.http.schemas import SCHEMAS, TEXT, WHOLE, ref


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a path."""

    name: str
    text: str
    schema: dict[str, Any]
    place: str = "query"


@dataclass(frozen=True, slots=True)
class View:
    """One path. `name`: how Telemetry knows it. `answer`: a schema by name, "" for plain text. `errors`: what else it
    answers, besides 401 where `guarded`: status → (what that means, schema by name)."""

    name: str
    summary: str
    answer: str
    parameters: tuple[Parameter, ...] = ()
    errors: tuple[tuple[int, str, str], ...] = ()
    guarded: bool = True


RESOURCE = Parameter("resource", "type:id, id, unique beginning of an id, or name", TEXT, "path")
LIMIT = Parameter("limit", "rows at most", WHOLE)
WRONG = (400, "a parameter that cannot be taken", "Error")
UNKNOWN = (404, "no such resource, or more than one", "Error")
SILENT = (503, "no answer within 10 s", "Error")

PATHS: dict[str, View] = {
    "/healthz": View(
        "healthz",
        "Whether the controller answers",
        "Health",
        errors=((503, "the controller does not answer", "Health"),),
        guarded=False,
    ),
    "/readyz": View(
        "readyz",
        "Whether the mirror is complete and etcd is usable",
        "Readiness",
        errors=((503, "not ready; the reason says why", "Readiness"),),
        guarded=False,
    ),
    "/metrics": View("metrics", "Prometheus text format 0.0.4", "", errors=(SILENT,)),
    "/api/v1/status": View(
        "status",
        "Counts by stage, problems, and live rows, unfinished ones first",
        "Status",
        (LIMIT,),
        (WRONG, SILENT),
    ),
    "/api/v1/resources": View(
        "resources",
        "The table: filtered and sorted, a page of it",
        "Page",
        (
            Parameter("q", "words, each part of type, id, name, stage or reason", TEXT),
            Parameter("type", "only this type", TEXT),
            Parameter("stage", "only this stage", TEXT),
            Parameter("tenant", "only this tenant", TEXT),
            Parameter("limit", "rows at most (200; no more than 2000)", WHOLE),
            Parameter("offset", "rows to leave out first", WHOLE),
        ),
        (WRONG, SILENT),
    ),
    "/api/v1/resources/{resource}": View(
        "resource",
        "One resource: status, explanation, history with stretches of time, graph, critical path",
        "Resource",
        (RESOURCE,),
        (UNKNOWN, SILENT),
    ),
    "/api/v1/resources/{resource}/explain": View(
        "explain",
        "The chain of reasons to the root, now or at a past moment",
        "Explanation",
        (RESOURCE, Parameter("at", "seconds since 1970", {"type": "number"})),
        (WRONG, UNKNOWN, SILENT),
    ),
    "/api/v1/resources/{resource}/history": View(
        "history",
        "The versions: outcomes, retries, errors, stretches of time",
        "History",
        (RESOURCE,),
        (UNKNOWN, SILENT),
    ),
    "/api/v1/graph": View(
        "graph",
        "Resources and what they need; plain text for the formats mermaid and dot",
        "Graph",
        (
            Parameter("resource", "only around this one", TEXT),
            Parameter("format", "json by default", {"type": "string", "enum": ["json", "mermaid", "dot"]}),
        ),
        (WRONG, UNKNOWN, SILENT),
    ),
}


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gatewright", "version": "1", "description": "Read-only. Nothing is steered here."},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "http.token"}},
            "schemas": SCHEMAS,
        },
        "paths": {path: {"get": _operation(view)} for path, view in PATHS.items()},
    }


def _operation(view: View) -> dict[str, Any]:
    answers = {"200": _response(view.summary, view.answer, also_text=view.name == "graph")}
    errors = (*view.errors, *(((401, "a token is wanted", "Error"),) if view.guarded else ()))
    answers |= {str(status): _response(text, name) for status, text, name in sorted(errors)}
    operation: dict[str, Any] = {
        "operationId": view.name,
        "summary": view.summary,
        "parameters": [
            {
                "name": each.name,
                "in": each.place,
                "description": each.text,
                "required": each.place == "path",
                "schema": each.schema,
            }
            for each in view.parameters
        ],
        "responses": answers,
    }
    # a token is wanted where one is configured
    return {**operation, "security": [{"token": []}, {}] if view.guarded else []}


def _response(text: str, name: str, *, also_text: bool = False) -> dict[str, Any]:
    content = {"application/json": {"schema": ref(name)}} if name else {}
    if also_text or not name:
        content["text/plain"] = {"schema": TEXT}
    return {"description": text, "content": content}
