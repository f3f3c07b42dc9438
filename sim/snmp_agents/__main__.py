"""`python -m sim.snmp_agents --config FILE --control PATH`: serve until SIGTERM or the parent's death.

Prints one line `READY {"device": "host:port", …}`. FILE is YAML or JSON as in `config.py`; `-` is stdin.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from sim.snmp_agents.config import ConfigError, devices_of
from sim.snmp_agents.server import AgentServer

_PR_SET_PDEATHSIG = 1
_PARENT_CHECK_S = 1.0


def _die_with_parent() -> None:
    """Be killed when the parent ends, however it ends (Linux; elsewhere the loop's check does it)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _allow_many_sockets() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(config: dict[str, Any], control: Path | None, parent: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = AgentServer(devices_of(config, time.monotonic()))
    try:
        addresses = await server.open(control)
        print("READY", json.dumps({n: f"{host}:{port}" for n, (host, port) in addresses.items()}), flush=True)
        while not stop.is_set() and os.getppid() == parent:
            try:
                await asyncio.wait_for(stop.wait(), _PARENT_CHECK_S)
            except TimeoutError:
                continue
    finally:
        server.close()


def main() -> int:
    """Exit code 0 after a stop, 2 for a configuration that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m sim.snmp_agents", description=__doc__)
    parser.add_argument("--config", required=True, help="YAML or JSON file, or - for stdin")
    parser.add_argument("--control", type=Path, help="path of the unix socket for commands")
    parser.add_argument("--parent", type=int, help="pid whose death ends this process (default: the parent)")
    options = parser.parse_args()
    _die_with_parent()
    _allow_many_sockets()
    try:
        text = sys.stdin.read() if options.config == "-" else Path(options.config).read_text("utf-8")
        config = yaml.safe_load(text) or {}
        asyncio.run(_serve(config, options.control, options.parent or os.getppid()))
    except (ConfigError, OSError, yaml.YAMLError) as error:
        print(f"snmp agents: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
