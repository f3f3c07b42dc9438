"""Every etcd key and value of the contract, both ways (contract 1, 2.3, 5.5, 10.3).

Guarantees: a key is built and parsed here only; JSON members and their order are those of the seed; values
that are JSON *text* inside JSON (`heat_outputs`, `state_monitoring`) have the spacing of the seed.
Does not guarantee anything about who may write a key: that is the EtcdBridge's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from actors.core import members
from actors.core.job_body import job_body
from actors.core.json_text import DEPTH_MAX, GIVEN_DEPTH_MAX, compact, parse, text
from actors.core.mapping_ast import Expression
from actors.core.members import objects_of, of_key, quoted, reason, version_of
from actors.core.model import (
    Action,
    Declared,
    Handler,
    Job,
    Json,
    JsonObject,
    OnFailure,
    Param,
    Ref,
    Template,
)

BadValue = members.BadValue  # what cannot be read: most of those who read have it from here

CONFIG = "/config/"
JOBS = "/jobs/all/"
STATE = "/state/"
MONITORING = "/monitoring/"
HEAT_STACKS = "/esi-worker/heat_stacks/"
JOB_STATE = "/esi-worker/job_state/"
ACCEPTED = "/esi-worker/config/"
TEMPLATES = "/config/v2.0/heat_templates/"
#: Our own name space: ownership, registered monitoring targets.
OWN = "/gatewright/"
TARGETS = "/gatewright/targets/"
HISTORY = "/gatewright/history/"
ATTEMPTS = "/gatewright/attempts/"
#: What an operator asks for; a request goes when it has been taken up.
RECONCILE = "/gatewright/requests/reconcile/"
PAUSE = "/gatewright/pause/"
#: In what a settled stack was found to differ from what was built.
DRIFT = "/gatewright/drift/"


@dataclass(frozen=True, slots=True)
class ResourceType:
    """What is known of one resource type: where it lives, what it refers to, which templates it has.

    `relations`: property → type, top-level scalar properties only (contract 2.1). `template_path`:
    handler → mapping in the language of contract 3, evaluated on the body (contract 4). `repair`: a stack that is
    found to have been changed behind our back is built once more.
    """

    name: str
    plural: str
    prefix: str = "v2.0"
    relations: Mapping[str, str] = field(default_factory=dict)
    template_path: Mapping[Handler, Json] = field(default_factory=dict)
    repair: bool = False

    @property
    def path(self) -> str:
        """`v2.0/ese_logical_ports`: what follows each root in a key."""
        return f"{self.prefix}/{self.plural}"


class TypeTable:
    """All resource types, found by name or by the path in a key. Immutable once built, but for what is `parsed`."""

    def __init__(self, types: Sequence[ResourceType]) -> None:
        self._by_name = {t.name: t for t in types}
        self._by_path = {t.path: t for t in types}
        self._relations = {t.name: t.relations for t in types}
        #: (type, handler) → its `template_path`, as far as anybody has parsed it.
        self.parsed: dict[tuple[str, Handler], Expression] = {}

    def __iter__(self) -> Iterator[ResourceType]:
        return iter(self._by_name.values())

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def get(self, name: str) -> ResourceType | None:
        """The type of that name, or None."""
        return self._by_name.get(name)

    @property
    def relations(self) -> Mapping[str, Mapping[str, str]]:
        """type → property → type, as the mapping language wants it."""
        return self._relations

    def path(self, ref: Ref) -> str:
        """`v2.0/<plural>/<id>`. Raises KeyError for an unknown type."""
        return f"{self._by_name[ref.type].path}/{ref.id}"

    def names(self, ref: Ref) -> bool:
        """Whether a key can name it: its type is known, and its id is not empty and has no slash."""
        return ref.type in self._by_name and bool(ref.id) and "/" not in ref.id

    def ref(self, key: str, root: str) -> Ref | None:
        """The resource that `root + path` names, or None if it is not of a known type, or not UTF-8."""
        if not key.startswith(root) or not is_text(key):
            return None
        path, _, rid = key[len(root) :].rpartition("/")
        found = self._by_path.get(path)
        return Ref(found.name, rid) if found is not None and rid else None


def is_text(key: str) -> bool:
    """Whether a key was UTF-8 in etcd: bytes that are not have become lone surrogates, which no value can hold."""
    if key.isascii():
        return True
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(key: str) -> str:
    """A key as people may see it, whatever its bytes are."""
    return key.encode(errors="backslashreplace").decode()


# ------------------------------------------------------------------------------------------------ values


def decode_object(key: str, raw: bytes, depth_max: int = DEPTH_MAX) -> dict[str, Json]:
    """Any JSON object. Raises BadValue, naming the key."""
    try:
        value = parse(raw, depth_max)
    except ValueError as error:
        raise BadValue(f"{key}: value is not JSON ({reason(error)})") from error
    if not isinstance(value, dict):
        raise BadValue(f"{key}: value is JSON but no object")
    return value


def _body(key: str, value: JsonObject) -> dict[str, Json]:
    """`body` may be an object or JSON text of one (contract 1.1, quirk 4)."""
    body = value.get("body")
    if isinstance(body, str):
        try:
            body = parse(body, GIVEN_DEPTH_MAX)
        except ValueError as error:
            raise BadValue(f"{key}: member 'body' is text but not JSON ({reason(error)})") from error
    if not isinstance(body, dict):
        raise BadValue(f"{key}: member 'body' must be an object or JSON text of one")
    return body


def decode_declared(key: str, raw: bytes, ref: Ref, revision: int) -> Declared:
    """Read a `/config/<path>` value. Raises BadValue, naming the key."""
    value = decode_object(key, raw, GIVEN_DEPTH_MAX + 1)
    body = _body(key, value)
    version = of_key(key, version_of, value, 1)
    marked = value.get("marked_for_deletion", False)
    if not isinstance(marked, bool):
        raise BadValue(f"{key}: member 'marked_for_deletion' must be true or false, not {quoted(marked)}")
    return Declared(ref, version, body, marked, revision)


def encode_declared(body: JsonObject, version: int, *, marked_for_deletion: bool = False) -> bytes:
    """A `/config/<path>` value as Gohan writes it: `body` is JSON text."""
    return compact(
        {"body": compact(body).decode(), "version": version, "marked_for_deletion": marked_for_deletion}
    )


def decode_template(key: str, raw: bytes, revision: int) -> Template:
    """Read a `/config/v2.0/heat_templates/<id>` value. Raises BadValue, naming the key."""
    name = key.removeprefix(TEMPLATES)
    if not name or "/" in name:
        raise BadValue(f"{key}: ignored, the id of a template must not be empty nor contain '/'")
    body = _body(key, decode_object(key, raw, GIVEN_DEPTH_MAX + 1))
    mappings = body.get("parameter_mappings", {})
    if isinstance(mappings, str):
        try:
            mappings = parse(mappings, GIVEN_DEPTH_MAX)
        except ValueError as error:
            text_is = "member 'parameter_mappings' is text but not JSON"
            raise BadValue(f"{key}: {text_is} ({reason(error)})") from error
    if not isinstance(mappings, dict):
        raise BadValue(f"{key}: member 'parameter_mappings' must be an object")
    source = body.get("template_file")
    if not isinstance(source, str):
        raise BadValue(f"{key}: member 'template_file' must be text")
    try:
        handler = Handler(body.get("handler", Handler.HEAT))
    except ValueError as error:
        raise BadValue(f"{key}: unknown handler {quoted(body.get('handler'))}") from error
    return Template(name, handler, mappings, source, revision, watch=bool(body.get("watch")))


def encode_job(job: Job) -> bytes:
    """`/jobs/all/<job id>`: an array of three (contract 1.2, seed check point 2)."""
    body = {
        "is_first": job.is_first,
        "resource_id": job.ref.id,
        "handler": job.handler.value,
        "job_name": job.name,
        "dependency": list(job.dependency),
        "version": job.version,
        "params": [param.to_json() for param in job.params],
        "resource_type": job.ref.type,
        "action": job.action.value,
        "is_last": job.is_last,
        "on_failure": job.on_failure.value,
        "id": job.id,
        "resource_input": job.resource_input,
    }
    return compact([job.handler.value, body, 0])


def decode_job(key: str, raw: bytes) -> Job:
    """Read a `/jobs/all/<job id>` value. Raises BadValue, naming the key. The third element is ignored."""
    body = job_body(key, raw)
    return Job(
        id=body["id"],
        action=Action(body["action"]),
        handler=Handler(body["handler"]),
        ref=Ref(body["resource_type"], body["resource_id"]),
        version=body["version"],
        resource_input=body["resource_input"],
        params=tuple(Param.from_json(entry) for entry in body["params"]),
        dependency=tuple(body["dependency"]),
        is_first=body["is_first"],
        is_last=body["is_last"],
        on_failure=OnFailure(body["on_failure"]),
    )


def stack_name(ref: Ref) -> str:
    """The Heat stack of a resource: `<type>_<id>` (contract 5.2)."""
    return f"{ref.type}_{ref.id}"


def encode_heat_stack(
    ref: Ref, tenant: str, status: str, reason: str, outputs: Sequence[JsonObject]
) -> bytes:
    """`/esi-worker/heat_stacks/<path>` after a create or update (contract 1.2, 5.5)."""
    return compact(
        {
            "stack_id": stack_name(ref),
            "tenant_id": tenant,
            "stack_status": status,
            "output": list(outputs),
            "status_reason": reason,
            "id": str(ref),
        }
    )


def encode_deleted_stack(ref: Ref, tenant: str) -> bytes:
    """`/esi-worker/heat_stacks/<path>` after a delete (contract 1.2)."""
    return compact(
        {
            "id": str(ref),
            "tenant_id": tenant,
            "output": [],
            "stack_id": "",
            "stack_status": "DELETE_COMPLETE",
            "status_reason": "",
        }
    )


def decode_outputs(key: str, raw: bytes) -> tuple[JsonObject, ...]:
    """The `output` list of a `/esi-worker/heat_stacks/<path>` value. Raises BadValue."""
    return of_key(key, objects_of, decode_object(key, raw), "output")


def has_stack(key: str, raw: bytes) -> bool:
    """Whether a `/esi-worker/heat_stacks/<path>` value tells of a stack; what cannot be read may."""
    try:
        return decode_object(key, raw).get("stack_id") != ""
    except BadValue:
        return True


def encode_accepted(declared: Declared) -> bytes:
    """`/esi-worker/config/<path>`: the last declaration that was accepted (contract 1.2)."""
    return compact(
        {"body": declared.body, "version": declared.version, "deleted": declared.marked_for_deletion}
    )


def decode_accepted(key: str, raw: bytes, ref: Ref, revision: int) -> Declared:
    """Read `/esi-worker/config/<path>`. Raises BadValue, naming the key."""
    value = decode_object(key, raw)
    version = of_key(key, version_of, value)
    return Declared(ref, version, _body(key, value), bool(value.get("deleted", False)), revision)


def encode_job_state(results: JsonObject) -> bytes:
    """`/esi-worker/job_state/<path>`: native values, not text (contract quirk 3)."""
    return compact(results)


def decode_job_state(key: str, raw: bytes) -> dict[str, Json]:
    """Read `/esi-worker/job_state/<path>`. Raises BadValue: outputs are used by what runs next."""
    results = decode_object(key, raw)
    of_key(key, objects_of, results, "heat_outputs")
    return results


def state_object(results: JsonObject, worker_state: str) -> dict[str, Json]:
    """The `state` member of `/state/<path>`: results as JSON text, absent when there was no such job (5.5)."""
    state: dict[str, Json] = {}
    if "state_monitoring" in results:
        state["state_monitoring"] = text(results["state_monitoring"])
    state["worker_state"] = worker_state
    if "orchestration_state" in results:
        state["orchestration_state"] = results["orchestration_state"]
    if "heat_outputs" in results:
        state["heat_outputs"] = text(results["heat_outputs"])
    return state


def encode_state(state: JsonObject, version: int, error: str = "") -> bytes:
    """`/state/<path>` (contract 1.1)."""
    return compact({"state": state, "version": version, "error": error})


def decode_state(key: str, raw: bytes) -> tuple[int, str, str]:
    """(version, error, worker_state) of a `/state/<path>` value. Raises BadValue."""
    value = decode_object(key, raw)
    version = of_key(key, version_of, value)
    state = value.get("state")
    worker_state = state.get("worker_state", "") if isinstance(state, dict) else ""
    return version, str(value.get("error") or ""), str(worker_state)


def encode_monitoring(statuses: Mapping[str, str], version: int) -> bytes:
    """`/monitoring/<path>`, flat form (contract 1.1, 6.8, 10.16)."""
    return compact({**statuses, "version": version})
