"""The bounded history of a resource: one line for every outcome and for every drift that was found, newest last
(`/gatewright/history/<path>`).

Guarantees: at most LINES lines of bounded length, so it never grows; an unreadable history is begun anew rather
than in anybody's way. Versions that were skipped (a newer one won before they were begun) stand in the line of
the version that followed.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.core.json_text import compact, parse
from actors.core.members import is_whole
from actors.core.model import Json
from actors.core.spans import Spans

LINES = 20
#: The action of a line that tells of no outcome, but of what was found later.
DRIFT = "drift"
ERROR_MAX = 500
#: A longer history is not of our making; with it, an outcome might become more than etcd takes.
RAW_MAX = 256 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """What is known when a version ends. `ended_s`: seconds since 1970, for people only."""

    version: int
    action: str
    outcome: str
    error: str
    ended_s: float
    spans: Spans


def read(raw: bytes | None) -> list[dict[str, Json]]:
    """The lines, oldest first; none if there are none that can be read."""
    if raw is None:
        return []
    try:
        lines = parse(raw)["lines"]
        return [line for line in lines if isinstance(line, dict) and is_whole(line.get("version"))]
    except (ValueError, KeyError, TypeError):
        return []


def append(raw: bytes | None, line: Line, attempts: int) -> bytes:
    """The history with one more line. `attempts`: how often the version was tried again."""
    lines = read(raw) if raw is None or len(raw) <= RAW_MAX else []
    before = max((known["version"] for known in lines), default=line.version - 1)
    entry: dict[str, Json] = {
        "version": line.version,
        "action": line.action,
        "outcome": line.outcome,
        "ended": round(line.ended_s, 3),
        "seconds": {kind: round(value, 3) for kind, value in line.spans.bill().items() if value},
        "spans": line.spans.to_json(),
    }
    if line.error:
        entry["error"] = line.error[:ERROR_MAX]
    if attempts:
        entry["retries"] = attempts
    if line.version - before > 1:
        entry["skipped"] = list(range(max(before + 1, line.version - LINES), line.version))
    return compact({"lines": [*lines, entry][-LINES:]})
