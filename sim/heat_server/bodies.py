"""Reading the bodies of create, update, preview and validate requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson
import yaml

from sim.heat.engine import Request
from sim.heat.fault import HeatError, bad_request
from sim.heat.hot import check_version
from sim.heat.parameters import Json, JsonObject

MAX_TEMPLATE_BYTES = 524288
MAX_BODY_BYTES = 1048576
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):  # type: ignore[misc]  # chosen at run time
    """YAML as Heat reads it: dates stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in _BASE.yaml_implicit_resolvers.items()
}


def read_json(body: bytes) -> dict[str, Json]:
    """The body as an object. Raises HeatError(HTTPBadRequest, RequestLimitExceeded)."""
    _check_size("JSON body", len(body), MAX_BODY_BYTES)
    try:
        value = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        try:
            value = json.loads(body)  # its words are those of Heat
        except ValueError as error:
            raise bad_request(str(error)) from error
    if not isinstance(value, dict):
        raise bad_request("The server could not comply with the request: JSON object expected")
    return value


def read_request(body: JsonObject, *, template_needed: bool) -> Request:
    """What a create or update asks for. Raises HeatError."""
    document = read_template(body.get("template"))
    if document is None and template_needed:
        raise bad_request("No template specified")
    tags = body.get("tags")
    return Request(
        document,
        _parameters(body),
        _timeout(body.get("timeout_mins")),
        None if body.get("disable_rollback") is None else _flag(body["disable_rollback"]),
        None if tags is None else tuple(tag.strip() for tag in str(tags).split(",") if tag.strip()),
    )


def read_template(given: Json) -> JsonObject | None:
    """A template, given as an object or as YAML or JSON text; None if there is none."""
    if not given:
        return None
    text = str(given)  # of an object its Python form, as Heat measures it
    _check_size("Template", len(text), MAX_TEMPLATE_BYTES)
    if isinstance(given, Mapping):
        return given
    try:
        document = yaml.load(text, _Loader)  # noqa: S506  # derived from the safe loader
    except yaml.YAMLError as error:
        message = f"Template not in valid format: Error parsing template [root stack] {error}"
        raise bad_request(message) from error
    check_version(document)
    return dict(document)


def _check_size(what: str, size: int, limit: int) -> None:
    if size > limit:
        message = f"{what} size ({size} bytes) exceeds maximum allowed size ({limit} bytes)."
        raise HeatError(400, "RequestLimitExceeded", f"Request limit exceeded: {message}")


def _parameters(body: JsonObject) -> dict[str, Json]:
    """Parameters of the environment, overruled by those given directly."""
    environment = body.get("environment") or {}
    if isinstance(environment, str):
        environment = yaml.load(environment, _Loader) or {}  # noqa: S506  # derived from the safe loader
    from_environment = environment.get("parameters") if isinstance(environment, Mapping) else None
    return {**(from_environment or {}), **(body.get("parameters") or {})}


def _timeout(given: Json) -> int | None:
    if given is None:
        return None
    try:
        return int(given)
    except (TypeError, ValueError) as error:
        raise bad_request("Only integer is acceptable by 'timeout_mins'.") from error


def _flag(given: Json) -> bool:
    return str(given).lower() in ("true", "1", "yes", "on", "t", "y")
