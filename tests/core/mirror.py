"""A small world of four types, for the tests of the mirror and of ordering."""

from __future__ import annotations

import json
from typing import Any

from actors.core import keys
from actors.core.keys import ResourceType
from actors.core.model import Action, Declared, Handler, Job, Param, ParamType, Ref
from actors.core.world import World

HEAT, MONITORING = Handler.HEAT, Handler.MONITORING
NET, PORT, GATEWAY, QUOTA = Ref("net", "n"), Ref("port", "p"), Ref("gateway", "g"), Ref("quota", "q")
TYPES = (
    ResourceType("net", "nets", template_path={HEAT: "Cnet"}),
    ResourceType(
        "port",
        "ports",
        relations={"net_id": "net"},
        template_path={HEAT: "Cport", MONITORING: "Cport_monitoring"},
    ),
    ResourceType(
        "gateway",
        "gateways",
        relations={"net_id": "net", "port_id": "port"},
        template_path={HEAT: "Cgateway"},
    ),
    ResourceType("quota", "quotas"),
)
#: A port needs its network, and waits for its gateway if that was declared before (as in the seed).
MAPPINGS: dict[str, dict[str, Any]] = {
    "net": {"name": "Pname"},
    "port": {
        "net": "Mnet:net_id:id",
        "jinja_after": {
            "field": "id",
            "path": [{"type": "gateway", "id": "gateway_id"}],
            "ignore_missing": True,
        },
    },
    "gateway": {"net": "Mnet:net_id:id"},
}
BODIES: dict[Ref, dict[str, Any]] = {
    NET: {"id": "n", "name": "one"},
    PORT: {"id": "p", "net_id": "n", "gateway_id": "g"},
    GATEWAY: {"id": "g", "net_id": "n", "port_id": "p"},
    QUOTA: {"id": "q"},
}


class Mirror:
    """A World that is fed as etcd would: every write is the next revision."""

    def __init__(self, **mappings: dict[str, Any]) -> None:
        self.world = World(TYPES)
        self.revision = 0
        for name, mapping in (MAPPINGS | mappings).items():
            body = {"handler": "heat_worker", "parameter_mappings": mapping, "template_file": ""}
            self.put(keys.TEMPLATES + name, {"body": body, "version": 1})

    def put(self, key: str, value: object, *, created: int = 0) -> Ref | None:
        """One write; `created`: the revision at which the key came to be, this one by default."""
        self.revision += 1
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.world.put(key, raw, self.revision, created or self.revision)

    def declare(self, ref: Ref, version: int = 1, *, marked: bool = False, **body: Any) -> Declared:
        """Declare a resource; a later version keeps its creation."""
        key = keys.CONFIG + self.world.types.path(ref)
        raw = keys.encode_declared({**BODIES[ref], **body}, version, marked_for_deletion=marked)
        self.put(key, raw, created=self.world.created(ref))
        declared = self.world.declaration(ref)
        assert declared is not None
        return declared

    def settle(self, ref: Ref, version: int = 1, error: str = "") -> None:
        """Write its `/state`."""
        done = "DELETE_COMPLETED" if self.world.marked(ref) else "CREATE_COMPLETED"
        state = keys.encode_state({"worker_state": done}, version, error)
        self.put(keys.STATE + self.world.types.path(ref), state)

    def job(
        self,
        ref: Ref,
        version: int = 1,
        *,
        action: Action = Action.CREATE,
        handler: Handler = HEAT,
        refers: Any = (),
        dependency: Any = (),
    ) -> str:
        """Record an unfinished job of it that refers to these resources, and comes after these; returns its id."""
        name = f"{action}:{handler}:{ref}:{version}:xxxxx"
        params = (Param("p", ParamType.VALUE, None, tuple(refers)),)
        job = Job(name, action, handler, ref, version, {}, params, tuple(dependency))
        self.put(keys.JOBS + name, keys.encode_job(job))
        return name
