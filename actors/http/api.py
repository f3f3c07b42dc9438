"""The JSON views of the API: from what is known to plain values. Pure, but for being called by Telemetry.

Guarantees: reads only; no view holds a body or a parameter of a resource, so no secret of one; every list is
bounded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from actors.core import graph_view
from actors.core.critical_path import critical_path
from actors.core.explain import Explainer
from actors.core.find import NotFoundError, find
from actors.core.knowledge import Knowledge, Live, Status
from actors.core.model import Ref
from actors.core.past import explain_at
from actors.messages import ResourceStatus, StatusReply

Answer = tuple[int, Any]
Query = Mapping[str, str]
ROWS = 200
ROWS_MAX = 2000
ORDER = ("failed", "backing-off", "running", "waiting", "planning", "queued", "paused")


def health(status: StatusReply | None) -> Answer:
    """Whether the controller answers."""
    return (
        (200, {"status": "ok"}) if status is not None else (503, {"status": "the controller does not answer"})
    )


def readiness(status: StatusReply | None) -> Answer:
    """Whether it can work."""
    if status is None:
        return 503, {"ready": False, "reason": "the controller does not answer"}
    if not status.ready:
        return 503, {"ready": False, "reason": "the mirror of etcd is not complete yet"}
    if not status.store.startswith("up"):
        return 503, {"ready": False, "reason": f"etcd is {status.store}"}
    return 200, {"ready": True, "reason": ""}


def status(reply: StatusReply | None, controller: str, query: Query) -> Answer:
    """Counts and live rows."""
    try:
        limit = number(query, "limit", ROWS_MAX)
    except ValueError as error:
        return 400, {"error": str(error)}
    if reply is None:
        silent = "unknown: the controller does not answer"
        return 200, {"ready": False, "store": silent, "counts": {}, "rows": []}
    return 200, {
        "ready": reply.ready,
        "store": reply.store,
        "heat": reply.heat,
        "controller": controller,
        "counts": dict(reply.counts),
        "problems": list(reply.problems),
        "processes": dict(reply.pids),
        "restarts": dict(reply.restarts),
        "rows": [live_row(row) for row in reply.rows[:limit]],
    }


def live(reply: StatusReply | None) -> dict[Ref, Live]:
    """What a controller says of each resource."""
    rows = reply.rows if reply is not None else ()
    return {
        r.ref: Live(r.version, r.stage, r.reason, r.in_stage_s, r.error, r.monitoring, r.awaits, r.seconds)
        for r in rows
    }


def live_row(row: ResourceStatus) -> dict[str, Any]:
    """One row as a controller says it."""
    return {
        "resource": str(row.ref),
        "version": row.version,
        "stage": row.stage,
        "reason": row.reason,
        "in_stage_seconds": round(row.in_stage_s, 3),
        "error": row.error,
        "monitoring": dict(row.monitoring),
        "awaits": [str(ref) for ref in row.awaits],
        "seconds": {kind: round(value, 4) for kind, value in row.seconds.items()},
    }


def number(query: Query, name: str, default: int) -> int:
    """A count out of a query. Raises ValueError."""
    text = query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        wanted = "a whole number that is not negative, of at most 18 digits"
        raise ValueError(f"{name} must be {wanted}, not {text[:40]!r}")
    return int(text)


def moment(text: str) -> float:
    """Seconds since 1970 out of a query. Raises ValueError."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise ValueError(f"at must be seconds since 1970, for instance 1795631814.2, not {text[:40]!r}")
    return seconds


class View:
    """Views that need the mirror. Histories are fetched only for what an answer needs: `histories` says which."""

    def __init__(self, known: Knowledge, look_s: float) -> None:
        self._known = known
        self._look_s = look_s

    def histories(self, name: str, query: Query) -> list[Ref]:
        """Whose histories the answer needs."""
        if name not in ("resource", "explain", "history"):
            return []
        try:
            ref = find(self._known, query.get("resource", ""))
        except NotFoundError:
            return []
        if name == "history":
            return [ref]
        around = [node.ref for node in graph_view.build(self._known, ref).nodes if node.ref != ref]
        alike = [other for other in self._known.refs() if other.type == ref.type]
        declared = self._known.world.types
        return [r for r in dict.fromkeys([ref, *around, *alike]) if r.type in declared]

    def answer(self, name: str, query: Query) -> Answer:
        """The answer to one question."""
        try:
            match name:
                case "resources":
                    return 200, self._resources(query)
                case "graph":
                    return self._graph(query)
                case "explain":
                    return 200, self._explain(find(self._known, query["resource"]), query.get("at", ""))
                case "history":
                    return 200, self._history(find(self._known, query["resource"]))
                case _:
                    return 200, self._resource(find(self._known, query["resource"]))
        except NotFoundError as error:
            return 404, {"error": str(error)}
        except ValueError as error:
            return 400, {"error": str(error)}

    def _resources(self, query: Query) -> dict[str, Any]:
        known, words = self._known, query.get("q", "").lower().split()
        chosen = []
        types: dict[str, int] = {}
        for ref in known.refs():
            types[ref.type] = types.get(ref.type, 0) + 1
            row = known.status(ref)
            if query.get("type") and ref.type != query["type"]:
                continue
            if query.get("stage") and row.stage != query["stage"]:
                continue
            if query.get("tenant") and known.tenant(ref) != query["tenant"]:
                continue
            text = f"{ref} {known.name(ref)} {row.stage} {row.reason} {row.error}".lower()
            if all(word in text for word in words):
                chosen.append(row)
        last = len(ORDER) + 1
        chosen.sort(
            key=lambda row: (
                ORDER.index(row.stage) if row.stage in ORDER else last - bool(known.drift(row.ref)),
                row.ref,
            )
        )
        offset, limit = number(query, "offset", 0), min(number(query, "limit", ROWS), ROWS_MAX)
        counts: dict[str, int] = {}
        for row in chosen:
            counts[row.stage] = counts.get(row.stage, 0) + 1
        rows = [self.row(row) for row in chosen[offset : offset + limit]]
        paused = [pause.to_json() for pause in known.pauses()]
        page = {"total": len(chosen), "counts": counts, "types": types, "offset": offset}
        return {**page, "paused": paused, "rows": rows}

    def row(self, row: Status) -> dict[str, Any]:
        """One row of the table."""
        known = self._known
        return {
            "resource": str(row.ref),
            "type": row.ref.type,
            "id": row.ref.id,
            "name": known.name(row.ref),
            "tenant": known.tenant(row.ref),
            "version": row.version,
            "stage": row.stage,
            "reason": row.error or row.reason,
            "since_seconds": None if row.since_s is None else round(row.since_s, 1),
            "awaits": [str(ref) for ref in row.awaits],
            "monitoring": dict(known.monitoring(row.ref)),
            "drift": known.drift(row.ref),
        }

    def _resource(self, ref: Ref) -> dict[str, Any]:
        known = self._known
        graph = graph_view.build(known, ref)
        path = critical_path(known, [node.ref for node in graph.nodes], ref)
        graph = graph_view.build(known, ref, [leg.ref for leg in path.legs] if path is not None else ())
        return {
            **self.row(known.status(ref)),
            "seconds": dict(known.live[ref].seconds) if ref in known.live else {},
            "explanation": Explainer(known, self._look_s).explain(ref).to_json(),
            "history": [line.to_json() for line in known.events(ref)],
            "graph": graph.to_json(),
            "critical_path": path.to_json() if path is not None else None,
        }

    def _explain(self, ref: Ref, at: str) -> dict[str, Any]:
        if at:
            return explain_at(self._known, ref, moment(at)).to_json()
        return Explainer(self._known, self._look_s).explain(ref).to_json()

    def _history(self, ref: Ref) -> dict[str, Any]:
        return {"resource": str(ref), "lines": [line.to_json() for line in self._known.events(ref)]}

    def _graph(self, query: Query) -> Answer:
        focus = find(self._known, query["resource"]) if query.get("resource") else None
        graph = graph_view.build(self._known, focus)
        match query.get("format", "json"):
            case "json":
                return 200, graph.to_json()
            case "mermaid":
                return 200, graph_view.as_mermaid(graph)
            case "dot":
                return 200, graph_view.as_dot(graph)
            case other:
                return 400, {"error": f"format {other!r} is none of json, mermaid, dot"}
