"""The API described: paths, parameters and answers, as OpenAPI 3.1.

Guarantees: the server serves exactly these paths, since it makes its routes from them.
"""

from __future__ import annotations

from typing import Any

RESOURCE = ("resource", "path", "type:id, id, unique beginning of an id, or name", True)

#: path → name of the view, summary, parameters (name, in, description, required), kind of answer
PATHS: dict[str, dict[str, Any]] = {
    "/healthz": {"name": "healthz", "summary": "200 if the controller answers, else 503", "query": ()},
    "/readyz": {
        "name": "readyz",
        "summary": "200 if the mirror is complete and etcd is usable, else 503",
        "query": (),
    },
    "/metrics": {"name": "metrics", "summary": "Prometheus text format", "query": (), "text": True},
    "/api/v1/status": {
        "name": "status",
        "summary": "Counts by stage, problems, and live rows, unfinished ones first",
        "query": (("limit", "query", "rows at most", False),),
    },
    "/api/v1/resources": {
        "name": "resources",
        "summary": "The table: filtered and sorted, a page of it",
        "query": (
            ("q", "query", "part of type, id, name or reason", False),
            ("type", "query", "only this type", False),
            ("stage", "query", "only this stage", False),
            ("tenant", "query", "only this tenant", False),
            ("limit", "query", "rows at most (200)", False),
            ("offset", "query", "rows to leave out first", False),
        ),
    },
    "/api/v1/resources/{resource}": {
        "name": "resource",
        "summary": "One resource: status, explanation, history with stretches of time, graph, critical path",
        "query": (RESOURCE,),
    },
    "/api/v1/resources/{resource}/explain": {
        "name": "explain",
        "summary": "The chain of reasons to the root, now or at a past moment",
        "query": (RESOURCE, ("at", "query", "seconds since 1970", False)),
    },
    "/api/v1/resources/{resource}/history": {
        "name": "history",
        "summary": "The versions: outcomes, retries, errors, stretches of time",
        "query": (RESOURCE,),
    },
    "/api/v1/graph": {
        "name": "graph",
        "summary": "Resources and what they need",
        "query": (
            ("resource", "query", "only around this one", False),
            ("format", "query", "json (default), mermaid or dot", False),
        ),
    },
}


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gatewright", "version": "1", "description": "Read-only. Nothing is steered here."},
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
        "paths": {path: {"get": _operation(path, described)} for path, described in PATHS.items()},
    }


def _operation(path: str, described: dict[str, Any]) -> dict[str, Any]:
    kind = "text/plain" if described.get("text") else "application/json"
    schema = {"type": "string"} if described.get("text") else {"type": "object"}
    answers = {"200": {"description": described["summary"], "content": {kind: {"schema": schema}}}}
    if "{resource}" in path:
        answers["404"] = {"description": "no such resource, or more than one", "content": {}}
    return {
        "operationId": described["name"],
        "summary": described["summary"],
        "parameters": [
            {
                "name": name,
                "in": place,
                "description": text,
                "required": required,
                "schema": {"type": "string"},
            }
            for name, place, text, required in described["query"]
        ],
        "responses": answers,
    }
