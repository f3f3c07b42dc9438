"""`python -m sim.heat_server --port 0 --state DIR`: prints `READY <url>` and serves until it is told to stop.

Guarantees: listens on loopback only; dies with its parent, also when that is killed; SIGTERM ends it at once.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import os
import signal
import sys
import time
import uuid
from pathlib import Path

from aiohttp import web

from sim.heat.engine import Engine, Settings
from sim.heat_server.api import Api
from sim.heat_server.app import HeatApp
from sim.heat_server.journal import Journal

_PR_SET_PDEATHSIG = 1
_PARENT_CHECK_S = 1.0
#: How often what is due is settled although nobody asks, so that it gets to disk.
_SETTLE_S = 0.25


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m sim.heat_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--state", type=Path, required=True, help="folder of the stacks; made if missing")
    parser.add_argument("--resource-seconds", type=float, default=0.4, help="how long one resource takes")
    parser.add_argument("--max-stacks", type=int, default=-1, help="quota per tenant; -1: none")
    parser.add_argument("--legacy-engine", action="store_true", help="409 to an update during an action")
    parser.add_argument("--parent-pid", type=int, default=0, help="die when this process is gone")
    options = parser.parse_args()
    parent = options.parent_pid or os.getppid()
    _die_with(parent)
    settings = Settings(options.resource_seconds, options.legacy_engine, options.max_stacks)
    asyncio.run(_serve(options.port, options.state, settings, parent))


def _die_with(parent: int) -> None:
    """Ask the kernel for a signal when the parent ends; leave if it has ended already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("heat_server: the parent is gone")


async def _serve(port: int, state: Path, settings: Settings, parent: int) -> None:
    begin = time.time() - time.monotonic()

    def now() -> float:
        return begin + time.monotonic()  # reads like a wall clock, but never goes back

    journal = Journal(state)
    engine = Engine(now, lambda: str(uuid.uuid4()), settings, journal.save)
    engine.adopt(journal.load())
    app = HeatApp(engine, Api(engine, now))
    runner = web.ServerRunner(web.Server(app.handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    # All state is on disk with the answer: there is nothing to wind up.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, os._exit, 0)
    host, bound = runner.addresses[0][:2]
    print(f"READY http://{host}:{bound}", flush=True)
    last_check = now()
    while True:
        await asyncio.sleep(_SETTLE_S)
        engine.settle()
        if now() - last_check >= _PARENT_CHECK_S:
            last_check = now()
            if os.getppid() != parent:
                os._exit(1)


if __name__ == "__main__":
    main()
