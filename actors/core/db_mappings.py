"""What the `db_mappings` of a monitoring document say of measured values: whose they are (contract 6.1, 6.9).

In the original these rows went to a table by which the consumer of metrics found the resources that a measured
interface belongs to; here the same rows give the tags of its data points. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from actors.core.model import Json, JsonObject

#: Relations that say which of a pair of devices is meant.
_PAIR: Final = ("primary", "secondary")


def tags_of(properties: JsonObject, rows: Json) -> list[dict[str, Any]]:
    """The sets of tags of an interface, one for each row that means it and says more than that: a port that is
    reached through it, or which device of a pair it is on. Rows of another form say nothing that could be used."""
    mapped_id = f"{properties.get('device_ip')}-{properties.get('name')}"
    found = (_tags(row) for row in _rows(rows) if str(row.get("mapped_id")) == mapped_id)
    return list({str(tags): tags for tags in found if tags}.values())


def _rows(rows: Json) -> Iterable[Mapping[str, Any]]:
    return (row for row in rows if isinstance(row, Mapping)) if isinstance(rows, list) else ()


def _tags(row: Mapping[str, Any]) -> dict[str, Any]:
    kind, relation = row.get("resource_type"), row.get("relation")
    tags = {f"{kind}_id": row["resource_id"]} if kind and row.get("resource_id") else {}
    return tags | ({"device_index": relation} if relation in _PAIR else {})
