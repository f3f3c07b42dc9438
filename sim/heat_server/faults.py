"""Faults that real Heat does not give on demand, as rules for the next requests (research/heat.md 6.4).

A rule is a JSON object, sent to `POST /_faults` alone or in a list:
`action`: what happens, see `ACTIONS`. `count`: to how many requests (1). `skip`: how many it spares (0).
`method`, `path` (a regular expression, searched): which requests. `status`, `type`, `message`: for `status`.
`seconds`: for `delay` and `late`. `body`, `content_type`: the answer for `status`, `html`, `garbage`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sim.heat.engine import Fate
from sim.heat.fault import bad_request
from sim.heat.parameters import Json
from sim.heat_server.answers import Answer, error

ACTIONS = {
    "status": "answer with that HTTP status; nothing is done",
    "html": "answer 200 with a proxy's page; nothing is done",
    "garbage": "answer 200 with JSON that means nothing; nothing is done",
    "reset": "close the connection; nothing is done",
    "drop_reply": "do it, then close the connection instead of answering",
    "delay": "wait, then do it",
    "late": "do it, then wait before the answer",
    "stuck": "do it, and the action never ends",
    "fail": "do it, and the action ends in FAILED",
    "twin": "create in spite of a stack of that name",
}
_PAGE = "<html><head><title>Gateway</title></head><body><h1>Please log in</h1></body></html>"


@dataclass(slots=True)
class Rule:
    """One fault and how often it is still to happen."""

    action: str
    method: str = ""
    path: str = ""
    count: int = 1
    skip: int = 0
    status: int = 500
    type: str = "InternalError"
    message: str = "injected fault"
    seconds: float = 0.0
    body: str = ""
    content_type: str = ""

    @property
    def fate(self) -> Fate:
        """How the action that the request begins ends."""
        return {"stuck": Fate.STUCK, "fail": Fate.FAIL}.get(self.action, Fate.NATURAL)

    def answer(self) -> Answer | None:
        """The answer in place of the real one, or None if the request is to be done."""
        if self.action == "status":
            if self.body or self.content_type:
                return Answer(self.status, self.body.encode(), self.content_type or "text/html")
            return error(self.status, self.type, self.message)
        if self.action == "html":
            return Answer(200, (self.body or _PAGE).encode(), self.content_type or "text/html")
        if self.action == "garbage":
            return Answer(
                200, (self.body or '{"stack": [1, 2').encode(), self.content_type or "application/json"
            )
        return None


class Faults:
    """The rules in force, oldest first."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def add(self, given: Json) -> None:
        """Add one rule or a list of them. Raises HeatError for what is none."""
        for value in given if isinstance(given, list) else [given]:
            try:
                rule = Rule(**value)
                re.compile(rule.path)
            except (TypeError, re.error) as problem:
                raise bad_request(f"not a fault rule: {problem}") from problem
            if rule.action not in ACTIONS:
                raise bad_request(f"unknown action {rule.action!r}; known: {', '.join(ACTIONS)}")
            self.rules.append(rule)

    def take(self, method: str, path: str) -> Rule | None:
        """The rule for this request, used up by one; None for no fault."""
        for rule in self.rules:
            if rule.method not in ("", method) or not re.search(rule.path, path):
                continue
            if rule.skip > 0:
                rule.skip -= 1
                continue
            rule.count -= 1
            if rule.count <= 0:
                self.rules.remove(rule)
            return rule
        return None
