"""What the answers of the API look like, as JSON schemas (the `components` of the OpenAPI document).

Guarantees: every member that an answer has is described and every one that is described is there; the tour test
compares both with a running system.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
TRUTH: Schema = {"type": "boolean"}
NUMBER_OR_NONE: Schema = {"type": ["number", "null"]}


def ref(name: str) -> Schema:
    """A schema of this file, by name."""
    return {"$ref": f"#/components/schemas/{name}"}


def many(of: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": of}


def table(of: Schema) -> Schema:
    """Names → values."""
    return {"type": "object", "additionalProperties": of}


def record(text: str, /, **members: Schema) -> Schema:
    """Exactly these members."""
    return {
        "type": "object",
        "description": text,
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
    }


_STATUS = {"resource": TEXT, "name": TEXT, "version": WHOLE, "stage": TEXT}
_ROW = {
    **_STATUS,
    "type": TEXT,
    "id": TEXT,
    "tenant": TEXT,
    "reason": TEXT,
    "since_seconds": NUMBER_OR_NONE,
    "awaits": many(TEXT),
    "monitoring": table({}),
    "drift": table(TEXT),
}

SCHEMAS: dict[str, Schema] = {
    "Error": record("Why there is no answer.", error=TEXT),
    "Health": record("Whether the controller answers.", status=TEXT),
    "Readiness": record("Whether it can work, and why not.", ready=TRUTH, reason=TEXT),
    "LiveRow": record(
        "One resource as its controller says it. seconds: by kind, of the version under way or ended last.",
        resource=TEXT,
        version=WHOLE,
        stage=TEXT,
        reason=TEXT,
        in_stage_seconds=NUMBER,
        error=TEXT,
        monitoring=table(TEXT),
        awaits=many(TEXT),
        seconds=table(NUMBER),
    ),
    "Status": {
        "type": "object",
        "description": "How the controller is. Only ready, store, counts and rows where it does not answer.",
        "properties": {
            "ready": TRUTH,
            "store": TEXT,
            "heat": TEXT,
            "controller": TEXT,
            "counts": table(WHOLE),
            "problems": many(TEXT),
            "processes": table(WHOLE),
            "restarts": table(WHOLE),
            "rows": many(ref("LiveRow")),
        },
        "required": ["ready", "store", "counts", "rows"],
        "additionalProperties": False,
    },
    "Pause": record(
        "A pause in force. since: seconds since 1970. resume: the command that ends it.",
        scope=TEXT,
        by=TEXT,
        since=NUMBER_OR_NONE,
        resume=TEXT,
    ),
    "Row": record("One row of the table. drift: what is not seen as it should be → what is wanted.", **_ROW),
    "Page": record(
        "A page of the table; counts are of all that was chosen.",
        total=WHOLE,
        counts=table(WHOLE),
        types=table(WHOLE),
        offset=WHOLE,
        paused=many(ref("Pause")),
        rows=many(ref("Row")),
    ),
    "Step": record(
        "One link of a chain of reasons.",
        **_STATUS,
        text=TEXT,
        since_seconds=NUMBER_OR_NONE,
        facts=many(TEXT),
        others=many(TEXT),
    ),
    "Explanation": record(
        "The chain, the resource first, the root last.", chain=many(ref("Step")), remedy=TEXT
    ),
    "Span": record(
        "A stretch of time. blocker: whom it waited for.", kind=TEXT, seconds=NUMBER, blocker=TEXT
    ),
    "Line": record(
        "How a version ended. began, ended: seconds since 1970.",
        version=WHOLE,
        action=TEXT,
        outcome=TEXT,
        error=TEXT,
        began=NUMBER,
        ended=NUMBER,
        seconds=NUMBER,
        retries=WHOLE,
        skipped=many(WHOLE),
        spans=many(ref("Span")),
    ),
    "History": record("The last versions, oldest first.", resource=TEXT, lines=many(ref("Line"))),
    "Node": record("A resource in a graph.", **_STATUS, critical=TRUTH),
    "Graph": record(
        "edges: [who needs, what it needs]. cut: there is more.",
        nodes=many(ref("Node")),
        edges=many(many(TEXT)),
        cut=TRUTH,
    ),
    "Leg": record(
        "A part of a critical path. begins, ends: seconds from its beginning; parts sum to their difference.",
        resource=TEXT,
        name=TEXT,
        begins=NUMBER,
        ends=NUMBER,
        parts=table(NUMBER),
    ),
    "CriticalPath": record(
        "What a provisioning took; totals sum to wall_seconds.",
        wall_seconds=NUMBER,
        began=NUMBER,
        ended=NUMBER,
        totals=table(NUMBER),
        legs=many(ref("Leg")),
    ),
    "Resource": record(
        "Everything of one resource.",
        **_ROW,
        seconds=table(NUMBER),
        explanation=ref("Explanation"),
        history=many(ref("Line")),
        graph=ref("Graph"),
        critical_path={"oneOf": [ref("CriticalPath"), {"type": "null"}]},
    ),
}
