"""`explain`, `graph` and `plan`: why, how it hangs together, and what would be done.

Guarantees: reads only; a plan is never carried out. The pure parts are in `actors.core`.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.text import Text

from actors.cli import output
from actors.cli.context import Context, UsageError
from actors.cli.reach import Installation, installation
from actors.cli.template_check import template_problem
from actors.core import graph_view
from actors.core.critical_path import CriticalPath, critical_path
from actors.core.dry_run import Planned, delete_documents, dry_run
from actors.core.durations import Durations
from actors.core.explain import Explainer, Explanation, duration
from actors.core.find import find
from actors.core.keys import CONFIG, TEMPLATES, decode_declared, encode_declared
from actors.core.model import Ref
from actors.core.past import explain_at
from actors.core.printable import short_name
from actors.styles import STYLES
from config.examples import Document, read_documents

RESOURCE = "type:id, id, beginning of an id, or name"
_AGO = re.compile(r"-?(\d+(?:\.\d+)?)\s*(s|m|min|h|d)(?:\s+ago)?")
_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


def add_commands(_parser: argparse.ArgumentParser, commands: Any) -> None:
    """`explain`, `graph`, `plan`."""
    explain = output.with_json(commands.add_parser("explain", help="why a resource is where it is"))
    explain.add_argument("resource", metavar="RESOURCE", help=RESOURCE)
    explain.add_argument(
        "--at", metavar="TIME", help="of a past moment: 2026-11-23T15:04:05, 15:04:05, or 5m (ago)"
    )
    explain.set_defaults(run=_explain)
    graph = output.with_json(commands.add_parser("graph", help="resources and what they need"))
    graph.add_argument("resource", metavar="RESOURCE", nargs="?", help=RESOURCE)
    graph.add_argument("--format", choices=("text", "mermaid", "dot"), default="text")
    graph.add_argument("--critical-path", action="store_true", help="mark it, and say where the seconds went")
    graph.set_defaults(run=_graph)
    plan = output.with_json(commands.add_parser("plan", help="what would be done, in order; nothing is done"))
    plan.add_argument("what", nargs="*", metavar="FILE|RESOURCE", help=f"as for `apply`, or {RESOURCE}")
    plan.add_argument("--live", action="store_true", help="what is declared in etcd and not done yet")
    plan.add_argument("--type", action="append", default=[], help="only resources of this type; repeatable")
    plan.add_argument("--delete", action="store_true", help="what would go, and what with it, in order")
    plan.set_defaults(run=_plan)


# ------------------------------------------------------------------------------------------------ explain


def _explain(context: Context) -> int:
    with installation(context) as found:
        ref, at = find(found.known, context.parsed.resource), context.parsed.at
        if at:
            explanation = explain_at(found.known, ref, moment_of(at, time.time()))
        else:
            explanation = Explainer(found.known, found.settings.heat.tick_s).explain(ref)
        if context.parsed.json:
            output.emit_json(explanation.to_json())
        else:
            output.console().print(explanation_text(explanation), soft_wrap=True)
        return 1 if explanation.steps[0].stage == "failed" else 0


def moment_of(text: str, now_s: float) -> float:
    """A TIME argument as seconds since 1970. Raises UsageError."""
    try:
        seconds = _moment(text, now_s)
        datetime.fromtimestamp(seconds).astimezone()
        return seconds
    except (ValueError, OverflowError):  # no time, or in a year that no calendar here has
        raise UsageError(
            f"--at {text[:40]!r} is no time: 2026-11-23T15:04:05, 15:04:05, or 5m (ago)"
        ) from None


def _moment(text: str, now_s: float) -> float:
    ago = _AGO.fullmatch(text.strip())
    if ago:
        return now_s - float(ago[1]) * _UNITS[ago[2]]
    today = datetime.fromtimestamp(now_s).astimezone()
    for form in ("%H:%M:%S.%f", "%H:%M:%S", "%H:%M"):
        try:
            clock = datetime.strptime(text, form)  # noqa: DTZ007 - only its time of day is used
        except ValueError:
            continue
        parts = {name: getattr(clock, name) for name in ("hour", "minute", "second", "microsecond")}
        return today.replace(**parts).timestamp()
    return datetime.fromisoformat(text).astimezone().timestamp()


def explanation_text(explanation: Explanation) -> Text:
    """The chain, one link below the other."""
    text = Text()
    for depth, step in enumerate(explanation.steps):
        pad = "  " * depth
        name = f" ({short_name(step.name)})" if step.name else ""
        since = (
            f" for {duration(step.since_s)}" if step.since_s is not None and step.stage != "settled" else ""
        )
        version = f" version {step.version}" if step.version else ""
        text.append(f"{pad}{'which: ' if depth else ''}{step.ref}{name}{version} is ")
        text.append(step.stage, STYLES.get(step.stage, ""))
        text.append(f"{since}: {step.text}\n")
        for fact in step.facts:
            text.append(f"{pad}    {fact}\n", "dim")
        if step.others:
            text.append(f"{pad}    besides it waits for {', '.join(map(str, step.others))}\n", "dim")
    if explanation.remedy:
        text.append(f"what heals it: {explanation.remedy}\n", "bold")
    text.rstrip()
    return text


# -------------------------------------------------------------------------------------------------- graph


def _graph(context: Context) -> int:
    parsed = context.parsed
    with installation(context) as found:
        known = found.known
        focus = None if parsed.resource is None else find(known, parsed.resource)
        graph = graph_view.build(known, focus)
        path = None
        if parsed.critical_path:
            among = [node.ref for node in graph.nodes]
            path = critical_path(known, among, focus)
            graph = graph_view.build(known, focus, [leg.ref for leg in path.legs] if path else [])
        if parsed.json:
            value = graph.to_json()
            output.emit_json({**value, "critical_path": path.to_json() if path else None})
            return 0
        match parsed.format:
            case "mermaid":
                output.say(graph_view.as_mermaid(graph))
            case "dot":
                output.say(graph_view.as_dot(graph))
            case _:
                print(graph_view.as_text(graph, output.paint))
                if parsed.critical_path:
                    output.say(f"\n{critical_text(path)}")
        return 0


def critical_text(path: CriticalPath | None) -> str:
    """The legs and their parts, and that they sum up."""
    if path is None:
        return "no critical path: nothing has a history yet"
    lines = [f"critical path: {path.wall_s:.2f} s of wall time"]
    for leg in path.legs:
        parts = ", ".join(f"{part} {seconds:.2f}" for part, seconds in leg.parts.items() if seconds >= 0.005)
        label = f"{leg.ref.type} {short_name(leg.name) or leg.ref.id[:8]}"
        spent = leg.ends_s - leg.begins_s
        lines.append(f"  {leg.begins_s - path.began_s:8.2f} s  + {spent:6.2f} s  {label}: {parts}")
    totals = " + ".join(f"{part} {seconds:.2f}" for part, seconds in path.totals.items())
    lines.append(f"  sum: {totals} = {sum(path.totals.values()):.2f} s")
    return "\n".join(lines)


# --------------------------------------------------------------------------------------------------- plan


def _plan(context: Context) -> int:
    parsed = context.parsed
    with installation(context, live=False) as found:
        durations = Durations(found.known)
        read = read_documents(_files(parsed), found.types)
        plans = _plans(found, parsed, read)
        expected = _expected_s(plans, durations)
        if parsed.json:
            plan = [planned.to_json() for planned in plans]
            output.emit_json(
                {"plan": plan, "expected_seconds": None if expected is None else round(expected, 3)}
            )
        else:
            left = [planned for planned in plans if not (parsed.live and _is_done(planned))]
            for planned in left:
                output.console().print(_planned_text(planned), soft_wrap=True)
            if parsed.live and len(left) < len(plans):
                done = f"{len(plans) - len(left)} of {len(plans)} are as declared"
                print(done if left else f"{done}: nothing is to be done")
            if expected is not None and left:
                print(f"expected to take {duration(expected)} (median of what it took before)")
        broken = _broken_templates(read)
        for problem in broken:
            output.fail(problem)
        return 1 if broken or any(planned.error for planned in plans) else 0


def _is_done(planned: Planned) -> bool:
    return not (planned.error or planned.waits or planned.jobs or planned.action or _has_failed(planned))


def _has_failed(planned: Planned) -> bool:
    return not planned.action and planned.outcome.endswith("_FAILED")


def _plans(found: Installation, parsed: argparse.Namespace, read: Sequence[Document]) -> list[Planned]:
    for name in parsed.type:
        found.check_type(name)
    if parsed.live == bool(parsed.what) or (parsed.live and parsed.delete):
        raise UsageError("plan takes files, or resources, or --live (which plans no deletions)")
    known = found.known
    if parsed.live:
        plans = dry_run(known, tuple(known.refs()))
    else:
        files = _files(parsed)
        declared = [ref for one in read if (ref := found.types.ref(one.key, CONFIG)) is not None]
        named = [find(known, one) for one in parsed.what if Path(one) not in files]
        if parsed.delete:
            plans = _deletions(found, [*declared, *named])
        else:
            plans = dry_run(known, named, again=True) if named else []
            documents = [(one.key, _as_declared(one.key, one.value, delete=one.delete)) for one in read]
            plans += dry_run(known, declared, documents) if files else []
    return [planned for planned in plans if not parsed.type or planned.ref.type in parsed.type]


def _broken_templates(read: Sequence[Document]) -> list[str]:
    """What is wrong with the templates in the files."""
    given = [one for one in read if one.key.startswith(TEMPLATES)]
    return [f"{one.where}: {why}" for one in given if (why := template_problem(one.key, one.value))]


def _files(parsed: argparse.Namespace) -> list[Path]:
    return [
        Path(one) for one in parsed.what if one.endswith((".yaml", ".yml", ".json")) or Path(one).is_file()
    ]


def _deletions(found: Installation, refs: list[Ref]) -> list[Planned]:
    known = found.known
    needing: dict[Ref, list[Ref]] = {}
    for each in known.refs():
        for other in graph_view.needs(known, each):
            needing.setdefault(other, []).append(each)
    documents: dict[str, bytes] = {}
    for ref in (one for one in refs if known.world.declaration(one) is not None):
        documents |= dict(delete_documents(known, ref, lambda one: needing.get(one, ())))
    going = [one for key in documents if (one := found.types.ref(key, CONFIG)) is not None]
    return dry_run(known, [*going, *refs], documents.items())


def _as_declared(key: str, value: bytes, *, delete: bool) -> bytes:
    """With the mark, if the file says so."""
    if not delete:
        return value
    declared = decode_declared(key, value, Ref("", ""), 0)
    return encode_declared(declared.body, declared.version, marked_for_deletion=True)


def _expected_s(plans: list[Planned], durations: Durations) -> float | None:
    """The longest chain of medians; None if one of them is not known."""
    ends: dict[Ref, float] = {}
    for planned in plans:
        usual = durations.usual(planned.ref.type, planned.action) if planned.jobs else None
        if planned.jobs and usual is None:
            return None
        begins = max((ends.get(ref, 0.0) for ref in planned.after), default=0.0)
        ends[planned.ref] = begins + (usual.p50_s if usual else 0.0)
    return max(ends.values(), default=None)


def _planned_text(planned: Planned) -> Text:
    label = f"{planned.ref}" + (f" ({short_name(planned.name)})" if planned.name else "")
    text = Text(f"{planned.wave + 1:3d}. ")
    if planned.error:
        return text.append(f"{label} would fail: {planned.error}", "red")
    if planned.waits:
        return text.append(f"{label} would wait: {planned.waits}", "yellow")
    if not planned.jobs:
        if _has_failed(planned):
            return text.append(f"{label} is {planned.outcome}: `retry` would try it once more", "red")
        done = f"is {planned.outcome} already" if _is_done(planned) else f"{planned.outcome}, no job needed"
        return text.append(f"{label} {done}", "dim")
    jobs = ", then ".join(f"{job.action.value} by {job.handler.value}" for job in planned.jobs)
    text.append(f"{planned.action} {label} version {planned.version}: {jobs}")
    if planned.after:
        text.append(f"  after {', '.join(f'{r.type} {r.id[:8]}' for r in planned.after)}", "dim")
    return text
