"""A little run.py: starts a system in a process of its own, prints the pids by role as JSON, and waits."""

from __future__ import annotations

import json
import sys
import time

from actors.runtime.logs import LogConfig
from actors.runtime.system import start
from tests.runtime import cast
from tests.runtime.cast import Answer, Ask


def main() -> None:
    """Until the system is gone, or for ever."""
    system = start(cast.Keeper, log_config=LogConfig(level="CRITICAL"))
    shard = system.ask(Ask("shard_address"), 5, Answer).value
    system.ask(Ask("settle", 500), 5, Answer, to=shard)
    admin, root = system.pids()[:2]
    roles = {"admin": admin, "root": root, "shard": system.ask(Ask("pid"), 5, Answer, to=shard).value}
    sys.stdout.write(json.dumps({"roles": roles, "all": system.pids()}) + "\n")
    sys.stdout.flush()
    system.wait()
    time.sleep(60)


if __name__ == "__main__":
    main()
