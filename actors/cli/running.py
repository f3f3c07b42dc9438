"""`run` (what happens without a command) and `port`, as arguments; the main job itself is `actors.cli.main_job`.

Guarantees: what only the main job needs, the actors above all, is imported when it runs, so that commands which
ask or steer begin quickly.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from actors.cli.context import Context


def add_commands(parser: argparse.ArgumentParser, commands: Any) -> None:
    """`run`, which is what happens without a command, and `port`."""
    run = commands.add_parser("run", help="build the declared resources and watch them (the default)")
    for each in (parser, run):
        nothing: dict[str, Any] = {} if each is parser else {"default": argparse.SUPPRESS}
        each.add_argument("--declare", type=Path, metavar="FILE", help="declarations (YAML)", **nothing)
        each.add_argument("--once", action="store_true", help="end when everything is built", **nothing)
        heat = "what stands in for Heat where none is configured: our server, or OpenStack's own"
        each.add_argument("--heat", choices=("embedded", "real"), help=heat, **nothing)
    parser.set_defaults(run=_run)
    port = commands.add_parser("port", help="pull or plug a port of the embedded devices")
    port.add_argument("what", choices=("down", "up"))
    port.add_argument("name", help="for instance xe-0/0/3.1025")
    port.set_defaults(run=_port)


def _run(context: Context) -> int:
    from actors.cli.main_job import Run

    return Run(context.settings, context.make_services, context.parsed).run()


def _port(context: Context) -> int:
    what, name = context.parsed.what, context.parsed.name
    answer = context.make_services(context.settings, print).control(f"port {what} {name}")
    if not answer.get("ok"):
        print(f"gatewright: {_port_problem(context, name, answer)}", file=sys.stderr)
        return 1
    print(f"{name} is {what} now; watch the running system see it")
    return 0


def _port_problem(context: Context, name: str, answer: dict[str, Any]) -> str:
    """What is wrong, and the ports that there are, if the name is."""
    listed = context.make_services(context.settings, print).control("list").get("devices", {})
    ports = {port for device in listed.values() for port in device["ports"]}
    if not ports or name in ports:
        return str(answer.get("error", answer))
    return f"no embedded device has a port {name!r}; there are {', '.join(sorted(ports))}"
