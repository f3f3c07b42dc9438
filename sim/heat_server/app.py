"""The HTTP side: reads requests, applies faults, sends answers, counts.

One low-level aiohttp handler without routes or middleware: what costs time here costs it for every stack.
Besides Heat's API, for tests: `GET|POST|DELETE /_faults` (see `faults`) and `GET /_stats`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter, deque
from dataclasses import replace

from aiohttp import web

from sim.heat.engine import Engine
from sim.heat.fault import HeatError
from sim.heat_server import answers
from sim.heat_server.answers import Answer
from sim.heat_server.api import Api, Call
from sim.heat_server.bodies import read_json
from sim.heat_server.faults import Faults, Rule

_REQUEST_IDS_KEPT = 1000


class HeatApp:
    """Handles all requests to one engine."""

    def __init__(self, engine: Engine, api: Api) -> None:
        self._engine = engine
        self._api = api
        self._faults = Faults()
        self._counts: Counter[str] = Counter()
        self._request_ids: deque[str] = deque(maxlen=_REQUEST_IDS_KEPT)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The aiohttp handler."""
        try:
            body = await request.read()
        except ConnectionError:  # the rest of the request never came
            return web.Response(status=400)
        path = request.path
        if path.startswith("/_"):
            return _send(self._admin(request.method, path, body))
        rule = self._faults.take(request.method, path)
        answer = await self._answer(request, body, rule)
        self._counts[f"{request.method} {answer.status if answer else 'reset'}"] += 1
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return _send(answer)

    async def _answer(self, request: web.BaseRequest, body: bytes, rule: Rule | None) -> Answer | None:
        """The answer; None: close the connection without one."""
        correlation = request.headers.get("X-OpenStack-Request-ID")
        if correlation:
            self._request_ids.append(correlation)
        if rule is None:
            return self._do(request, body, None)
        if rule.action == "reset":
            return None
        if rule.action == "delay":
            await asyncio.sleep(rule.seconds)
        answer = rule.answer() or self._do(request, body, rule)
        if rule.action == "late":
            await asyncio.sleep(rule.seconds)
        return None if rule.action == "drop_reply" else answer

    def _do(self, request: web.BaseRequest, body: bytes, rule: Rule | None) -> Answer:
        host = f"http://{request.host}"
        parts = tuple(part for part in request.path.split("/") if part)
        if not parts or parts == ("v1",):
            version = {"id": "v1.0", "status": "CURRENT", "links": [{"rel": "self", "href": f"{host}/v1/"}]}
            return answers.ok({"versions": [version]}, 200 if parts else 300)
        if parts[0] != "v1" or len(parts) < 3:
            return answers.no_such_route()
        call = Call(
            request.method,
            parts[1],
            parts[2:],
            request.query,
            body,
            f"{host}/v1/{parts[1]}",
        )
        if rule is not None:
            call = replace(call, fate=rule.fate, twin=rule.action == "twin")
        return self._api.answer(call)

    def _admin(self, method: str, path: str, body: bytes) -> Answer:
        if path == "/_stats":
            counts = {"requests": dict(self._counts), "request_ids": list(self._request_ids)}
            return answers.ok(counts)
        if path != "/_faults":
            return answers.no_such_route()
        try:
            if method == "POST":
                self._faults.add(read_json(b'{"rules":' + body + b"}")["rules"])
            elif method == "DELETE":
                self._faults.rules.clear()
        except HeatError as fault:
            return answers.refused(fault)
        return answers.ok([f"{rule.action} x{rule.count}" for rule in self._faults.rules])


def _send(answer: Answer) -> web.Response:
    headers = {"X-Openstack-Request-Id": f"req-{uuid.uuid4()}", **answer.headers}
    if answer.status == 204:
        return web.Response(status=204, headers=headers)
    return web.Response(
        body=answer.body, status=answer.status, content_type=answer.content_type, headers=headers
    )
