"""Resource types from Gohan's schema documents (contract 2.1, 4, 10.23).

Guarantees: `load_schemas` reads what `GET /gohan/v0.1/schemas` answers and raises SchemaError, naming the
schema, for what it cannot read. The rows of contract 4.2 are data here, because Gohan's newer schemas no
longer name the templates of the monitoring worker, nor all relations that older templates walk; and so is what its
schemas are known to say wrongly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from actors.core.keys import ResourceType, TypeTable
from actors.core.model import Handler, Json, JsonObject

#: Types with a `<type>_monitoring` template in first-generation deployments (contract 4.2).
MONITORED: Final = (
    "aws_gateway",
    "aws_interface",
    "common_function_gateway",
    "edge_router",
    "er_physical_interface",
    "ese_device",
    "ese_logical_port",
    "ese_physical_port",
    "firewall",
    "firewall_interface",
    "gw_interface",
    "ha_interface",
    "ha_router",
    "interdc_gateway",
    "interdc_interface",
    "internet_gateway",
    "load_balancer",
    "load_balancer_interface",
    "network",
    "vnf_instance",
    "vpn_gateway",
    "vpn_interface",
)
#: `port` has one too, except for ports that only the network itself uses.
PORT_MONITORING: Final[JsonObject] = {
    "if_mapping": {
        "regexp": [{"field": "device_owner"}, {"constant": "network:dhcp|network:empty"}],
    },
    "then_mapping": {"constant": None},
    "else_mapping": {"constant": "port_monitoring"},
}
#: type → relations that documents of older templates walk and newer schemas lack.
_FORMER_RELATIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "interdc_service": {"uplink_interface_id": "ha_interface"}
}
#: type → mapping that its schema is known to have by mistake → the one that is meant (contract 4.1, quirk 28).
#: A schema that says anything else is believed.
_MEANT: Final[Mapping[str, Mapping[str, str]]] = {"local_subnet": {"Cese_logical_port": "Clocal_subnet"}}
#: Schemas that describe Gohan itself or the templates, not resources.
_NO_RESOURCE: Final = frozenset({"heat_template"})


class SchemaError(ValueError):
    """A schema document that cannot be read; the text names the schema."""


def load_schemas(documents: Json) -> TypeTable:
    """The table of resource types from schema documents: `{"schemas": [...]}` or the list itself.

    Relations are the top-level scalar properties with a `relation` member. `template_path` may be one
    mapping (of the heat worker) or an object handler → mapping. Raises SchemaError.
    """
    listed = documents.get("schemas") if isinstance(documents, Mapping) else documents
    if not isinstance(listed, list):
        raise SchemaError("schema documents must be an array, or an object with the array 'schemas'")
    types = (_resource_type(each) for each in listed)
    return TypeTable([each for each in types if each is not None])


def with_monitoring(types: TypeTable) -> TypeTable:
    """The same types, with what the first generation has besides, where a schema does not say otherwise: the monitoring
    templates of contract 4.2 and the relations that its templates walk.

    Harmless for later generations: a template id without a document counts as no template.
    """
    named: dict[str, Json] = {name: f"C{name}_monitoring" for name in MONITORED} | {"port": PORT_MONITORING}
    return TypeTable([_add_monitoring(_add_relations(each, types), named.get(each.name)) for each in types])


def _add_relations(kind: ResourceType, types: TypeTable) -> ResourceType:
    former = _FORMER_RELATIONS.get(kind.name, {})
    known = {prop: target for prop, target in former.items() if types.get(target) is not None}
    return replace(kind, relations={**known, **kind.relations}) if known else kind


def _add_monitoring(kind: ResourceType, mapping: Json) -> ResourceType:
    if mapping is None or Handler.MONITORING in kind.template_path:
        return kind
    return replace(kind, template_path={**kind.template_path, Handler.MONITORING: mapping})


def _resource_type(schema: Json) -> ResourceType | None:
    if not isinstance(schema, Mapping) or not isinstance(schema.get("id"), str):
        raise SchemaError("a schema must be an object with the text 'id'")
    name: str = schema["id"]
    metadata = schema.get("metadata") or {}
    if name in _NO_RESOURCE or metadata.get("type") == "metaschema":
        return None
    plural, prefix = schema.get("plural"), schema.get("prefix")
    if not isinstance(plural, str) or not plural or not isinstance(prefix, str):
        raise SchemaError(f"schema {name!r}: 'plural' and 'prefix' must be text")
    # Gohan answers with the whole path of the collection; its files have the part before the plural
    root = prefix.strip("/").removesuffix(plural).strip("/")
    return ResourceType(name, plural, root, _relations(name, schema), _template_path(name, metadata))


def _relations(name: str, schema: JsonObject) -> dict[str, str]:
    inner = schema.get("schema")
    properties = inner.get("properties") if isinstance(inner, Mapping) else None
    if not isinstance(properties, Mapping):
        raise SchemaError(f"schema {name!r}: 'schema.properties' must be an object")
    return {
        prop: details["relation"]
        for prop, details in properties.items()
        if isinstance(details, Mapping)
        and isinstance(details.get("relation"), str)
        and not _is_collection(details.get("type"))
    }


def _is_collection(kind: Json) -> bool:
    kinds = kind if isinstance(kind, list) else [kind]
    return "array" in kinds or "object" in kinds


def _template_path(name: str, metadata: JsonObject) -> dict[Handler, Json]:
    raw = metadata.get("template_path")
    if raw is None:
        return {}
    handlers = {handler.value for handler in Handler}
    if isinstance(raw, Mapping) and raw and raw.keys() <= handlers:
        return {Handler(key): _meant(name, mapping) for key, mapping in raw.items()}
    if not isinstance(raw, str | Mapping):
        raise SchemaError(f"schema {name!r}: 'template_path' must be a mapping")
    return {Handler.HEAT: _meant(name, raw)}


def _meant(name: str, mapping: Json) -> Json:
    return _MEANT.get(name, {}).get(mapping, mapping) if isinstance(mapping, str) else mapping
