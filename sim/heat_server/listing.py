"""`GET /stacks`: filters, order, pages (research/heat.md 3.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from sim.heat.engine import Engine
from sim.heat.fault import HeatError, bad_request
from sim.heat.records import Record

_FILTERS: dict[str, Callable[[Record], str]] = {
    "id": lambda record: record.id,
    "name": lambda record: record.name,
    "status": lambda record: record.status,
    "action": lambda record: record.action,
    "username": lambda record: "admin",
    "owner_id": lambda record: "",
}
_SORT_KEYS: dict[str, Callable[[Record], str | float]] = {
    "creation_time": lambda record: record.created,
    "updated_time": lambda record: record.updated or 0.0,
    "stack_name": lambda record: record.name,
    "stack_status": lambda record: record.status,
}


class Query(Protocol):
    """The part of a multi-dict that is needed."""

    def __contains__(self, key: object) -> bool: ...

    def getall(self, key: str, default: list[str]) -> list[str]:
        """All values of a key."""

    def get(self, key: str, default: str) -> str:
        """The first value of a key."""


def select(engine: Engine, tenant: str, query: Query) -> tuple[list[Record], int]:
    """The stacks of the asked page, newest first unless asked otherwise, and how many match in all."""
    wanted = {name: values for name in _FILTERS if (values := query.getall(name, []))}
    tags = {kind: values for kind in _TAGS if (values := _split(query.getall(kind, [])))}
    if tags and wanted:
        # Heat 19 and 27 both fall over this combination; so that nobody comes to rely on it:
        raise HeatError(500, "InvalidRequestError", "")
    found = [
        record
        for record in _candidates(engine, tenant, wanted, deleted=_true(query.get("show_deleted", "")))
        if all(_FILTERS[name](record) in values for name, values in wanted.items())
        and all(_TAGS[kind](set(record.tags), set(values)) for kind, values in tags.items())
    ]
    found = _sorted(found, query)
    return _page(found, query), len(found)


def _candidates(
    engine: Engine, tenant: str, wanted: dict[str, list[str]], *, deleted: bool
) -> Iterable[Record]:
    """As few stacks as the indexes allow."""
    if deleted:
        return [*engine.living(tenant), *engine.deleted(tenant)]
    if len(wanted.get("name", ())) == 1:
        return engine.named(tenant, wanted["name"][0])
    if wanted.get("status") == ["IN_PROGRESS"]:
        return engine.running(tenant)
    return engine.living(tenant)


_TAGS: dict[str, Callable[[set[str], set[str]], bool]] = {
    "tags": lambda has, wants: wants <= has,
    "tags_any": lambda has, wants: bool(wants & has),
    "not_tags": lambda has, wants: not wants <= has,
    "not_tags_any": lambda has, wants: not wants & has,
}


def _split(values: Sequence[str]) -> list[str]:
    return [tag for value in values for tag in value.split(",") if tag]


def _sorted(found: list[Record], query: Query) -> list[Record]:
    keys = [key for value in query.getall("sort_keys", []) for key in value.split(",")] or ["creation_time"]
    keys = [key for key in keys if key in _SORT_KEYS]  # Heat passes over what it does not know
    backwards = query.get("sort_dir", "desc").lower() != "asc"
    # `found` is in the order of creation; a stable sort keeps it among equals, so turn it round first.
    ordered = list(reversed(found)) if backwards else found
    return sorted(ordered, key=lambda one: tuple(_SORT_KEYS[key](one) for key in keys), reverse=backwards)


def _page(found: list[Record], query: Query) -> list[Record]:
    marker = query.get("marker", "")
    if marker:
        places = [place for place, record in enumerate(found) if record.id == marker]
        if not places:
            raise HeatError(404, "NotFound", f"The marker {marker} could not be found.")
        found = found[places[0] + 1 :]
    limit = query.get("limit", "")
    if not limit:
        return found
    if not limit.isdigit():
        raise bad_request("Only integer is acceptable by 'limit'.")
    return found[: int(limit)]


def _true(value: str) -> bool:
    return value.lower() in ("true", "1", "yes", "on", "t", "y")
