"""The monitors of a recorded monitoring job, as the devices must show them."""

from __future__ import annotations

import json
from typing import Any

from actors import rendering
from actors.core import keys
from actors.core.mapping import Context, evaluate, parse
from actors.core.model import Declared, Handler, Job, JsonObject
from actors.core.monitors import target
from config.monitor_types import load_monitor_types
from sim.replay.recording import Recording

DEFAULT_COMMUNITY = "EDGE_ROUTER_COMMUNITY"


def monitors_of(run: Recording, job: Job, values: JsonObject) -> list[dict[str, Any]]:
    """Host, kind, subject, group and wanted status of everything that the job watches by SNMP."""
    kind = run.types.get(job.ref.type)
    if kind is None or Handler.MONITORING not in kind.template_path:
        return []
    declared = Declared(job.ref, job.version, job.resource_input)
    context = Context(declared.ref, declared.body, declared.version, run.types.relations, lambda _: None)
    template_id = evaluate(parse(kind.template_path[Handler.MONITORING]), context).value
    document = run.templates_written.get(template_id)
    if document is None:
        return []
    template = keys.decode_template(template_id, json.dumps(document).encode(), 0)
    found = []
    for monitor in rendering.render_monitors(template.source, values):
        seen = target(monitor.name, monitor.type, monitor.properties, DEFAULT_COMMUNITY, load_monitor_types())
        if not seen.passive:
            keys_of = dict(seen.keys)
            how = "vrrp" if "vrid" in keys_of else "bgp" if "peer_address" in keys_of else "port"
            found.append(
                {
                    "host": seen.host,
                    "kind": how,
                    "subject": seen.subject if how != "vrrp" else keys_of["interface"],
                    "vrid": int(keys_of.get("vrid", 0)),
                    "wanted": seen.wanted,
                }
            )
    return found
