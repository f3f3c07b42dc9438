"""`pause`, `resume`, `reconcile`, `retry` and `drain`: telling a running system what to do, through etcd.

Guarantees: what is asked for stands in etcd, so it holds for every controller and survives restarts; jobs in
flight end cleanly; asking twice is the same as asking once. Only the key spaces `/gatewright/pause` and
`/gatewright/requests` are written here.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from typing import Any

from actors.cli import output, rendezvous
from actors.cli.context import Context, UsageError
from actors.cli.reach import Installation, installation, who
from actors.core import keys
from actors.core.find import SHOWN_MAX, NotFoundError, find
from actors.core.graph import producers_first
from actors.core.json_text import compact
from actors.core.model import Ref
from actors.core.referring import refers_to
from actors.ports import Delete, Put, WriteSet

#: How long a drain may take before the process is ended; the process itself is done sooner.
DRAIN_S = 10.0
#: Write sets per transaction.
BATCH = 50


def add_commands(_parser: argparse.ArgumentParser, commands: Any) -> None:
    """The steering commands."""
    for name, text in (("pause", "begin no new jobs in a scope"), ("resume", "let a scope go on")):
        command = output.with_json(commands.add_parser(name, help=text))
        scope = command.add_mutually_exclusive_group(required=True)
        scope.add_argument(
            "resource", metavar="RESOURCE", nargs="?", help="type:id, id, beginning of an id, or name"
        )
        scope.add_argument("--all", action="store_true", help="everything")
        scope.add_argument("--type", metavar="TYPE", help="all resources of a type")
        scope.add_argument("--tenant", metavar="ID", help="all resources of a tenant")
        command.set_defaults(run=_pause if name == "pause" else _resume)
    reconcile = output.with_json(
        commands.add_parser("reconcile", help="build what is declared once more, now")
    )
    reconcile.add_argument("resource", metavar="RESOURCE", nargs="+")
    reconcile.set_defaults(run=_reconcile)
    retry = output.with_json(commands.add_parser("retry", help="try once more what failed"))
    retry.add_argument("resource", metavar="RESOURCE", nargs="*", help="none: everything that failed")
    retry.add_argument("--type", metavar="TYPE", help="only of this type")
    retry.set_defaults(run=_retry)
    drain = output.with_json(
        commands.add_parser(
            "drain", help="end the system of this state folder: no new work, checkpoint, exit"
        )
    )
    drain.set_defaults(run=_drain)


# -------------------------------------------------------------------------------------------------- pause


def _scope(found: Installation, parsed: argparse.Namespace) -> str:
    if parsed.all:
        return "all"
    if parsed.type is not None:
        found.check_type(parsed.type)
        return f"type/{parsed.type}"
    if parsed.tenant is not None:
        return f"tenant/{_tenant(found, parsed.tenant)}"
    return f"resource/{found.path(find(found.known, parsed.resource))}"


def _pause(context: Context) -> int:
    with installation(context, live=False) as found:
        scope = _scope(found, context.parsed)
        value = compact({"by": who(), "since": round(time.time(), 3)})
        found.store.commit([WriteSet((Put(keys.PAUSE + scope, value),))])
        refs = [ref for ref in found.known.refs() if _in_scope(found, ref, scope)]
        text = f"paused ({scope}): no new job of {_resources(len(refs))} is begun"
        if not refs:
            text = f"paused ({scope}): nothing of that is declared at present; what will be has to wait"
        return _said(context, text, scope=scope, resources=len(refs))


def _resume(context: Context) -> int:
    with installation(context, live=False) as found:
        scope = _scope(found, context.parsed)
        _, present = found.store.read([keys.PAUSE + scope])
        found.store.commit([WriteSet((Delete(keys.PAUSE + scope),))])
        if not present:
            return _said(context, f"{scope} was not paused", scope=scope)
        left = sorted(pause.scope for pause in found.known.pauses() if pause.scope != scope)
        rest = f"; still paused: {', '.join(left)}" if left else ""
        return _said(context, f"resumed ({scope}){rest}", scope=scope)


def _tenant(found: Installation, text: str) -> str:
    """The whole id: as it is if some resource has it or none begins so, else the only one that begins so.

    Raises NotFoundError for several and for no text.
    """
    if not text:
        raise NotFoundError("'' names no tenant: give an id or the beginning of one")
    known = sorted({found.known.tenant(ref) for ref in found.known.refs()} - {""})
    begins = [tenant for tenant in known if tenant.startswith(text)]
    if text in known or not begins:
        return text
    if len(begins) > 1:
        raise NotFoundError(f"{text!r} may mean {len(begins)} tenants: {', '.join(begins[:SHOWN_MAX])}")
    return begins[0]


def _resources(number: int) -> str:
    return "1 resource" if number == 1 else f"{number} resources"


def _in_scope(found: Installation, ref: Ref, scope: str) -> bool:
    kind, _, name = scope.partition("/")
    match kind:
        case "all":
            return True
        case "type":
            return ref.type == name
        case "tenant":
            return found.known.tenant(ref) == name
        case _:
            return found.path(ref) == name


# ---------------------------------------------------------------------------------------------- reconcile


def _reconcile(context: Context) -> int:
    with installation(context, live=False) as found:
        refs = [find(found.known, text) for text in context.parsed.resource]
        return _request(context, found, refs, "is built once more")


def _retry(context: Context) -> int:
    with installation(context, live=False) as found:
        parsed, known = context.parsed, found.known
        if parsed.type is not None:
            found.check_type(parsed.type)
        asked = [find(known, text) for text in parsed.resource]
        chosen = asked or [ref for ref in known.refs() if not parsed.type or ref.type == parsed.type]
        failed = [ref for ref in chosen if known.status(ref).stage == "failed"]
        for ref in asked:
            if ref not in failed:
                raise UsageError(
                    f"{ref} is {known.status(ref).stage}, not failed; `reconcile` builds it all the same"
                )
        return _request(context, found, failed, "is tried once more")


def _request(context: Context, found: Installation, refs: list[Ref], text: str) -> int:
    value = compact({"by": who()})
    # who is planned before what it needs is asked for too dies of the failure that is about to be mended
    ordered = producers_first(refs, lambda ref: refers_to(found.known.world, ref))
    sets = [WriteSet((Put(keys.RECONCILE + found.path(ref), value),)) for ref in ordered]
    for begin in range(0, len(sets), BATCH):
        found.store.commit(sets[begin : begin + BATCH])
    said = "\n".join(f"{ref} {text}" for ref in refs) or "nothing is failed"
    paused = {found.known.world.paused(ref) for ref in refs} - {""}
    if paused:
        said += f"\nbut paused is: {', '.join(sorted(paused))}"
    return _said(context, said, resources=[str(ref) for ref in refs])


def _said(context: Context, text: str, **fields: Any) -> int:
    if context.parsed.json:
        output.emit_json({**fields, "text": text})
    else:
        output.say(text)
    return 0


# -------------------------------------------------------------------------------------------------- drain


def _drain(context: Context) -> int:
    state_dir = context.settings.paths.state_dir
    running = rendezvous.read(state_dir)
    if running is None:
        output.fail(f"no system runs in {state_dir}")
        return 4
    began = time.monotonic()
    os.kill(running.pid, signal.SIGTERM)
    while time.monotonic() - began < DRAIN_S:
        if rendezvous.read(state_dir) is None:
            seconds = time.monotonic() - began
            return _said(context, f"drained and stopped after {seconds:.1f} s", seconds=round(seconds, 3))
        time.sleep(0.05)
    output.fail(f"process {running.pid} has not ended within {DRAIN_S:g} s")
    return 1
