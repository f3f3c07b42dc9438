"""What one action does to the resources of a stack, and when: the schedule behind CREATE, UPDATE and DELETE.

Guarantees: a resource begins when all that it requires has ended; what follows a failure never begins; an
update touches only what changed, and replaces a resource where a property demands it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from sim.heat.fault import HeatError, invalid
from sim.heat.hot import FunctionError, ResourceDefinition, Template, calls, evaluate
from sim.heat.parameters import Json
from sim.heat.records import FAR, BrokenAttributeError, Record, Resource, StackScope
from sim.heat.types import course, first_id, type_of


@dataclass(frozen=True, slots=True)
class Plan:
    """The resources as they will be, when the action ends (FAR: never) and how ("": well)."""

    resources: dict[str, Resource]
    ends: float
    failure: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things last: usual seconds of one resource, and where new ids come from."""

    resource_s: float
    new_id: Callable[[], str]


def check_types(template: Template) -> None:
    """Refuse unknown types, properties and attributes. Raises HeatError."""
    for definition in template.resources.values():
        kind = type_of(definition.type)
        for name in definition.properties if kind.properties is not None else ():
            if name not in (kind.properties or ()):
                place = f"resources.{definition.name}.properties"
                raise invalid(f"Property error: {place}: Unknown Property {name}")
        _check_attributes(template, definition.properties, f"resources.{definition.name}.properties")
    for name, output in template.outputs.items():
        _check_attributes(template, output.get("value"), f"outputs.{name}.value")


def _check_attributes(template: Template, node: Json, place: str) -> None:
    for where, function, argument in calls(node, place):
        if function != "get_attr" or not isinstance(argument, list) or len(argument) < 2:
            continue
        target, name = argument[0], argument[1]
        kind = type_of(template.resources[target].type)
        if kind.attributes is not None and name != "show" and name not in kind.attributes:
            wrong = f"The Referenced Attribute ({target} {name}) is incorrect."
            raise invalid(f"{where}.get_attr: {wrong}")


def build(record: Record, now: float, pace: Pace) -> Plan:
    """Plan a create, or an update of what `record.resources` holds, to `record.template`.

    Raises HeatError for a property that cannot be evaluated.
    """
    after: dict[str, Resource] = {}
    scope = StackScope(record, after)
    for definition in record.template.resources.values():
        old = record.resources.get(definition.name)
        after[definition.name] = _place(definition, old, scope, now, pace)
    ends = max((one.ends for one in after.values() if one.begins < FAR), default=now)
    failure, ends = _first_failure(after.values(), max(ends, now), record.action)
    if not failure:
        ends = _remove_rest(record, after, ends, pace)
    return Plan(after, ends, failure)


def _place(
    definition: ResourceDefinition, old: Resource | None, scope: StackScope, now: float, pace: Pace
) -> Resource:
    """The resource `definition` as the plan leaves it; `scope` holds those before it."""
    old, free = _settled(old, now) if old is not None else (None, now)
    required = [scope.resources[name] for name in definition.requires]
    blank = Resource(definition.name, definition.type, "", {}, definition.requires, now, now)
    if any(one.fails or one.begins == FAR for one in required):
        return replace(old if old is not None else blank, begins=FAR, ends=FAR, fails="")
    begins = max((one.ends for one in required), default=free)
    begins = max(begins, free)
    try:
        properties = _properties(definition, scope)
    except BrokenAttributeError as error:
        fails = f"AttributeError: resources.{definition.name}: {error}"
        return replace(blank, action="CREATE", status="IN_PROGRESS", begins=begins, ends=begins, fails=fails)
    return _change(old, blank, properties, begins, pace)


def _settled(old: Resource, now: float) -> tuple[Resource | None, float]:
    """What an action that is under way leaves of a resource, and when: what has begun is not broken off."""
    if old.status != "IN_PROGRESS":
        return old, now
    if old.begins > now:
        return (None if old.action == "CREATE" else replace(old, status="FAILED")), now
    if old.fails:
        left = "" if old.action == "CREATE" else old.physical_id
        return replace(old, status="FAILED", physical_id=left), max(now, old.ends)
    return replace(old, status="COMPLETE"), max(now, old.ends)


def _change(
    old: Resource | None, blank: Resource, properties: dict[str, Json], begins: float, pace: Pace
) -> Resource:
    """Keep, alter or make anew."""
    kind = type_of(blank.type)
    if old is not None and old.exists and old.type == blank.type and not _replaced(old, properties):
        if old.properties == properties and old.status == "COMPLETE":
            return replace(old, requires=blank.requires, begins=begins, ends=begins, fails="")
        action, physical_id, created = "UPDATE", old.physical_id, old.created
    else:
        action, physical_id, created = "CREATE", first_id(properties, pace.new_id()), blank.created
    seconds, fails = course(kind, blank.name, action, properties, pace.resource_s)
    return Resource(
        blank.name,
        blank.type,
        physical_id,
        properties,
        blank.requires,
        created,
        blank.updated,
        action,
        "IN_PROGRESS",
        "state changed",
        begins,
        begins + seconds,
        fails,
    )


def _replaced(old: Resource, properties: dict[str, Json]) -> bool:
    if old.action == "CREATE" and old.status != "COMPLETE":
        return True
    return any(old.properties.get(name) != properties.get(name) for name in type_of(old.type).replaced_by)


def _properties(definition: ResourceDefinition, scope: StackScope) -> dict[str, Json]:
    values = {}
    for name, node in definition.properties.items():
        try:
            values[name] = evaluate(node, scope)
        except BrokenAttributeError:
            raise
        except FunctionError as error:
            raise _property_error(definition.name, name, error) from error
    return values


def _property_error(resource: str, name: str, error: FunctionError) -> HeatError:
    return invalid(f"Property error: resources.{resource}.properties.{name}: {error}")


def _first_failure(resources: Iterable[Resource], ends: float, action: str) -> tuple[str, float]:
    """The earliest failure ends the stack's action."""
    failed = [one for one in resources if one.fails and one.begins < FAR]
    if not failed:
        return "", ends
    first = min(failed, key=lambda one: one.ends)
    return f"Resource {action} failed: {first.fails}", first.ends


def _remove_rest(record: Record, after: dict[str, Resource], ends: float, pace: Pace) -> float:
    """What the new template no longer has goes last; it is not kept in the plan."""
    last = ends
    for name, old in record.resources.items():
        if name not in after and old.exists:
            seconds, _ = course(type_of(old.type), name, "DELETE", old.properties, pace.resource_s)
            last = max(last, ends + seconds)
    return last


def sweep(record: Record, action: str, now: float, pace: Pace) -> Plan:
    """Plan DELETE (each resource before what it requires) or another action on all resources."""
    after: dict[str, Resource] = {}
    for name, before in reversed(record.resources.items()):
        one, free = _settled(before, now)
        if one is None:
            continue
        users = [other for other in after.values() if name in other.requires]
        begins = max(free, *(other.ends for other in users), now) if action == "DELETE" else free
        if any(other.fails or other.begins == FAR for other in users) and action == "DELETE":
            after[name] = replace(one, begins=FAR, ends=FAR, fails="")
            continue
        if not one.exists:
            after[name] = replace(one, begins=begins, ends=begins, fails="")
            continue
        usual = pace.resource_s if action == "DELETE" else 0.0
        seconds, fails = course(type_of(one.type), name, action, one.properties, usual)
        after[name] = replace(
            one, action=action, status="IN_PROGRESS", begins=begins, ends=begins + seconds, fails=fails
        )
    ends = max((one.ends for one in after.values() if one.begins < FAR), default=now)
    failure, ends = _first_failure(after.values(), ends, action)
    return Plan(dict(reversed(after.items())), ends, failure)
