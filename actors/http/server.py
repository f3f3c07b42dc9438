"""The HTTP side of Telemetry: routes, the token, security headers. Runs on the actor's asyncio loop.

Guarantees: GET only; every answer comes from the actor within a deadline, or is 503; with a token configured,
whatever holds data asks for it; without one only requests that name this machine itself are served, so that no
web page can reach the API through a name of its own (DNS rebinding). No outside resources: the content policy
forbids them. aiohttp is imported by the process that serves, and by no other.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.http.openapi import PATHS, document
from actors.messages.telemetry import HttpAt

if TYPE_CHECKING:
    from aiohttp import web

STATIC = Path(__file__).with_name("static")
#: The dashboard's files: path → (file, content type).
FILES = {
    "/": ("index.html", "text/html"),
    "/app.js": ("app.js", "text/javascript"),
    "/views.js": ("views.js", "text/javascript"),
    "/graph.js": ("graph.js", "text/javascript"),
    "/style.css": ("style.css", "text/css"),
}
#: What needs no token: probes, and files without data.
OPEN = frozenset({*FILES, "/healthz", "/readyz", "/openapi.json"})
ANSWER_S = 10.0
#: Of more connections at once the oldest is closed: descriptors are few, and the process needs some itself.
CONNECTIONS_MAX = 200
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

Answer = tuple[int, Any]


@dataclass(slots=True)
class Request:
    """One question for the actor. `reply` may be called from any thread, once; text goes out as it is."""

    name: str
    query: Mapping[str, str]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Answer] = field(repr=False)

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self.future.done()

    def reply(self, status: int, body: Any) -> None:
        """Answer it."""
        self.loop.call_soon_threadsafe(self._set, (status, body))

    def _set(self, answer: Answer) -> None:
        if not self.future.done():
            self.future.set_result(answer)


class Server:
    """The port. `post` hands requests and news to the actor."""

    def __init__(
        self, host: str, port: int, token: str, post: Callable[[object], None], *, before: int = 0
    ) -> None:
        self._host, self._port, self._token, self._post = host, port, token, post
        self._before = before

    async def start(self) -> None:
        """Open the port; what becomes of that is posted as HttpAt."""
        from aiohttp import web

        app = web.Application(middlewares=[self._middleware(web)])
        for path in FILES:
            app.router.add_get(path, self._file)
        app.router.add_get("/openapi.json", self._openapi)
        for path, view in PATHS.items():
            app.router.add_get(path, self._ask(view.name))
        logging.getLogger("aiohttp.server").addFilter(_no_http)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        _bound(runner.server)
        try:
            await self._listen(runner)
        except OSError as error:
            await runner.cleanup()
            self._post(HttpAt("", f"{self._host}:{self._port}: {error.strerror or error}"))
            return
        address = runner.addresses[0]
        host = f"[{address[0]}]" if ":" in str(address[0]) else str(address[0])
        self._port = int(address[1])  # opened again, it is the same
        self._post(HttpAt(f"{host}:{address[1]}"))

    async def _listen(self, runner: web.AppRunner) -> None:
        """At the port that is set; where any will do, at the one that people know already."""
        from aiohttp import web

        if self._port == 0 and self._before:
            try:
                await web.TCPSite(runner, self._host, self._before).start()
                return
            except OSError:
                self._before = 0  # somebody else has it now
        await web.TCPSite(runner, self._host, self._port).start()

    # ------------------------------------------------------------------------------------------- guarding

    def _middleware(self, web: Any) -> Any:
        @web.middleware  # type: ignore[untyped-decorator]  # aiohttp comes as Any here
        async def guard(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            refused = self._refusal(request)
            if refused is not None:
                return web.json_response({"error": refused[1]}, status=refused[0], headers=HEADERS)
            try:
                response = await handler(request)
            except web.HTTPException as error:
                return web.json_response({"error": error.reason}, status=error.status, headers=HEADERS)
            response.headers.update(HEADERS)
            return response

        return guard

    def _refusal(self, request: web.Request) -> tuple[int, str] | None:
        if not self._token:
            return (
                None if local(request.host) else (403, "ask for this machine by its address or as localhost")
            )
        if request.path in OPEN:
            return None
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        # a header may hold any bytes: those that are no UTF-8 have become lone surrogates
        right = hmac.compare_digest(given.encode(errors="surrogateescape"), self._token.encode())
        return None if right else (401, "a token is needed: Authorization: Bearer <http.token>")

    # ------------------------------------------------------------------------------------------ answering

    async def _file(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        name, kind = FILES[request.path]
        return web.Response(text=(STATIC / name).read_text(encoding="utf-8"), content_type=kind)

    async def _openapi(self, _request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        return web.json_response(document())

    def _ask(self, name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            from aiohttp import web

            loop = asyncio.get_running_loop()
            question = Request(name, {**request.query, **request.match_info}, loop, loop.create_future())
            self._post(question)
            try:
                status, body = await asyncio.wait_for(question.future, ANSWER_S)
            except TimeoutError:
                status, body = 503, {"error": f"no answer within {ANSWER_S:g} s"}
            if isinstance(body, str):
                kind = EXPOSITION if name == "metrics" else "text/plain; charset=utf-8"
                return web.Response(body=body.encode(), status=status, headers={"Content-Type": kind})
            return web.Response(
                text=json.dumps(body, ensure_ascii=False), status=status, content_type="application/json"
            )

        return handle


def _bound(server: Any) -> None:
    """Let a server of aiohttp have no more than CONNECTIONS_MAX, however fast they come."""
    made, lost, living = server.connection_made, server.connection_lost, dict[Any, None]()

    def begun(handler: Any, transport: asyncio.Transport) -> None:
        made(handler, transport)
        living[handler] = None
        if len(living) > CONNECTIONS_MAX:
            oldest = next(iter(living))
            del living[oldest]  # it is lost in a moment; who comes until then ends another
            oldest.force_close()

    def ended(handler: Any, error: BaseException | None = None) -> None:
        living.pop(handler, None)
        lost(handler, error)

    server.connection_made, server.connection_lost = begun, ended


def _no_http(record: logging.LogRecord) -> bool:
    """Whether to log it: what is no HTTP (TLS, a scanner) is answered with 400, and is no error of ours."""
    from aiohttp.http_exceptions import HttpProcessingError

    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def local(host: str) -> bool:
    """Whether a Host header names this machine by an address or as localhost."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.rpartition(":")[0] or host
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
