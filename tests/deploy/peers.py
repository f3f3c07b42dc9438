"""`python -m tests.deploy.peers FOLDER SETTINGS`: what a controller needs around it, for a trial of its deployment.

Guarantees: a real etcd, the embedded Heat and agents, each kept alive on loopback; SETTINGS is the file that a
controller reads, with their addresses; READY is said (on stdout, and to systemd) when all of them answer.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType

from actors.runtime.notify import Notifier
from config.sections import PathsSection, Snapshot
from sim.standalone import Services

#: The HTTP port of the controller under trial, and the token it is given by its environment.
PORT, TOKEN = 9464, "token-of-the-trial"
PAUSE_S = 0.2


def main(folder: Path, settings: Path) -> None:
    """Start, tell, and mend until SIGTERM."""
    signal.signal(signal.SIGTERM, _ended)
    notifier = Notifier(os.environ)
    services = Services(replace(Snapshot(), paths=PathsSection(state_dir=folder)), print)
    try:
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(_settings(services.start()), encoding="utf-8")
        notifier.tell("READY=1")
        print("READY", flush=True)
        while True:
            time.sleep(PAUSE_S)
            services.mend()
    finally:
        services.stop()


def _settings(known: Snapshot) -> str:
    devices = ", ".join(f"{json.dumps(at)} = {json.dumps(place)}" for at, place in known.snmp.devices.items())
    return f"""
[etcd]
endpoints = {json.dumps(list(known.etcd.endpoints))}
owner_ttl_s = 4
[heat]
endpoint = {json.dumps(known.heat.endpoint)}
[snmp]
interval_s = 1
interval_active_s = 1
devices = {{ {devices} }}
[http]
port = {PORT}
"""


def _ended(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute())
