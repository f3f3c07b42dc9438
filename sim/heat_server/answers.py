"""Answers of the Heat API as bytes: JSON bodies, errors, redirects, with the members of Heat 27."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from sim.heat.fault import HeatError
from sim.heat.parameters import Json

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}
_MALFORMED = (
    "The server could not comply with the request since it is either malformed or otherwise incorrect."
)
_EXPLANATIONS = {
    403: "Access was denied to this resource.",
    404: "The resource could not be found.",
    409: "There was a conflict when trying to complete your request.",
    500: "The server has either erred or is incapable of performing the requested operation.",
    503: "The server is currently unavailable. Please try again at a later time.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over HTTP."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def ok(value: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON answer."""
    return Answer(status, orjson.dumps(value, default=str), headers=headers or {})


def error(status: int, error_type: str, message: str) -> Answer:
    """Heat's error body."""
    body: dict[str, Json] = {
        "code": status,
        "title": _TITLES.get(status, "Error"),
        "explanation": _EXPLANATIONS.get(status, _MALFORMED),
        "error": {"type": error_type, "traceback": None},
    }
    if message:
        body["error"]["message"] = message
    return ok(body, status)


def refused(fault: HeatError) -> Answer:
    """The answer to a request that the engine refused."""
    return error(fault.status, fault.type, fault.message)


def accepted() -> Answer:
    """202, as after a PUT."""
    message = "The request is accepted for processing.<br /><br />\n\n\n"
    return ok({"message": message, "code": "202 Accepted", "title": "Accepted"}, 202)


def redirect(location: str) -> Answer:
    """302 to the full address of a stack."""
    message = (
        f'The resource was found at <a href="{location}">{location}</a>;\n'
        "you should be redirected automatically.\n\n"
    )
    return ok({"message": message, "code": "302 Found", "title": "Found"}, 302, {"Location": location})


def no_such_route() -> Answer:
    """404 without an error type: the path means nothing."""
    message = "The resource could not be found.<br /><br />\n\n\n"
    return ok({"message": message, "code": "404 Not Found", "title": "Not Found"}, 404)


def wrong_method() -> Answer:
    """405."""
    return error(405, "HTTPMethodNotAllowed", _MALFORMED)
