"""`status` and `history`: how things stand, and how they came to.

Guarantees: reads only. With a controller the stages are live, with etcd alone as far as etcd tells (said so).
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from actors.cli import output
from actors.cli.context import Context
from actors.cli.reach import Installation, ask_controller, installation, read_everything
from actors.core.explain import duration
from actors.core.find import find
from actors.core.knowledge import Knowledge, Status
from actors.core.lines import Line
from actors.core.ownership import SHARDS, VSHARDS, shard_number, vshard
from actors.core.pauses import resume
from actors.core.printable import short_name
from actors.core.stages import FINAL, STAGES
from actors.styles import STYLES

ROWS_SHOWN = 40
PROBLEMS_SHOWN = 10
PAUSE_MIN_S, PAUSE_MAX_S = 0.1, 86_400.0
#: Lines of the counts that are shown at least, however small the terminal is.
MATRIX_MIN = 4
_UUID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")


def add_commands(_parser: argparse.ArgumentParser, commands: Any) -> None:
    """`status`, `history`."""
    status = output.with_json(
        commands.add_parser("status", help="how things stand; exit code 1 if something failed")
    )
    status.add_argument("--by", choices=("type", "tenant", "stage", "controller"), default="type")
    for name in ("type", "tenant"):
        status.add_argument(f"--{name}", metavar=name.upper(), help=f"only this {name}")
    status.add_argument("--stage", metavar="STAGE", choices=sorted(STAGES), help="only this stage")
    status.add_argument("--watch", action="store_true", help="a live table; Ctrl-C ends it")
    status.add_argument(
        "--interval", type=seconds, default=1.0, metavar="S", help="seconds between two looks (1)"
    )
    status.add_argument("--times", type=int, default=0, metavar="N", help="end --watch after N looks")
    status.set_defaults(run=_status)
    history = output.with_json(
        commands.add_parser("history", help="versions, outcomes, retries, errors, durations")
    )
    history.add_argument("resource", metavar="RESOURCE", help="type:id, id, beginning of an id, or name")
    history.set_defaults(run=_history)


def seconds(text: str) -> float:
    """Seconds between two looks. Raises ValueError."""
    pause = float(text)
    if not 0 <= pause <= PAUSE_MAX_S:
        raise ValueError(text)
    return max(PAUSE_MIN_S, pause)


# ------------------------------------------------------------------------------------------------- status


def _status(context: Context) -> int:
    with installation(context) as found:
        if context.parsed.type:
            found.check_type(context.parsed.type)
        if not context.parsed.watch:
            view = _View(found, context.parsed)
            output.emit_json(view.to_json()) if context.parsed.json else output.console().print(view.render())
            return 1 if view.counts.get("failed") else 0
        return _watch(context, found)


def _watch(context: Context, found: Installation) -> int:
    parsed, looks = context.parsed, 0
    screen = Live(console=output.console(), auto_refresh=False) if sys.stdout.isatty() else None
    try:
        if screen is not None:
            screen.start()
        while True:
            view = _View(found, parsed)
            if screen is not None:
                screen.update(view.render(screen.console.height - 1), refresh=True)
            elif parsed.json:
                output.emit_json(view.to_json())
            else:
                output.console().print(view.render())
            looks += 1
            if looks == parsed.times:
                return 1 if view.counts.get("failed") else 0
            time.sleep(parsed.interval)
            found.known, found.status = read_everything(found.store, found.types), None
            ask_controller(found)
    except KeyboardInterrupt:
        return 0
    finally:
        if screen is not None:
            screen.stop()


class _View:
    """One look: chosen rows, counted and shown."""

    def __init__(self, found: Installation, parsed: argparse.Namespace) -> None:
        self._found, self._by = found, parsed.by
        self._owners: dict[int, str] | None = None
        known = found.known
        wanted: list[Callable[[Status], bool]] = []
        if parsed.type:
            wanted.append(lambda s: s.ref.type == parsed.type)
        if parsed.tenant:
            wanted.append(lambda s: known.tenant(s.ref).startswith(parsed.tenant))
        if parsed.stage:
            wanted.append(lambda s: s.stage == parsed.stage)
        rows = [known.status(ref) for ref in known.refs()]
        self.rows = [row for row in rows if all(check(row) for check in wanted)]
        self.counts = Counter(row.stage for row in self.rows)

    def _group(self, row: Status) -> str:
        match self._by:
            case "tenant":
                return self._found.known.tenant(row.ref) or "(none)"
            case "stage":
                return row.stage
            case "controller":
                return self._controller(row)
            case _:
                return row.ref.type

    def _controller(self, row: Status) -> str:
        if self._owners is None:
            entries = self._found.store.page(SHARDS, limit=2 * VSHARDS).entries
            numbers = ((shard_number(entry.key), entry.value.decode(errors="replace")) for entry in entries)
            self._owners = {number: owner for number, owner in numbers if number is not None}
        return self._owners.get(vshard(str(row.ref)), "(nobody)")

    def groups(self) -> dict[str, Counter[str]]:
        """Rows by what was asked for, and by stage."""
        found: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for row in self.rows:
            found[self._group(row)][row.stage] += 1
        return dict(found)

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        status = self._found.status or {}
        return {
            "live": self._found.status is not None,
            "store": status.get("store", "up"),
            "heat": status.get("heat", "up"),
            "ready": status.get("ready", False),
            "revision": self._found.known.world.revision,
            "counts": dict(self.counts),
            "groups": {name: dict(counts) for name, counts in self.groups().items()},
            "paused": [pause.to_json() for pause in self._found.known.pauses()],
            "problems": sorted(self._found.known.world.problems.values()),
            "rows": [self._row_json(row) for row in self.rows],
        }

    def _row_json(self, row: Status) -> dict[str, Any]:
        known = self._found.known
        return {
            "resource": str(row.ref),
            "name": known.name(row.ref),
            "tenant": known.tenant(row.ref),
            "version": row.version,
            "stage": row.stage,
            "reason": row.reason,
            "error": row.error,
            "since_seconds": row.since_s,
            "awaits": [str(ref) for ref in row.awaits],
            "monitoring": dict(known.monitoring(row.ref)),
            "drift": known.drift(row.ref),
        }

    def render(self, height: int = 0) -> Group:
        """For people. `height`: lines there are, 0 for as many as it takes; what asks for somebody stands first."""
        known, status = self._found.known, self._found.status
        where = "no controller answers: this is what etcd holds"
        if status is not None:
            where = f"etcd {status['store']}, Heat {status.get('heat', 'up')}"
        counts = ", ".join(f"{number} {stage}" for stage, number in sorted(self.counts.items()))
        head = Text(f"{len(self.rows)} resources: {counts or 'none'}  ({where})")
        lines = [head]
        for pause in known.pauses():
            ago = f" for {duration(known.now_s - pause.since_s)}" if pause.since_s is not None else ""
            how = f"`{resume(pause.scope)}` lets it go on"
            lines.append(Text(f"paused: {pause.scope} by {pause.by}{ago}; {how}", "yellow"))
        lines += [
            Text(f"problem: {p}", "red") for p in sorted(known.world.problems.values())[:PROBLEMS_SHOWN]
        ]
        if height:
            for line in lines:
                line.no_wrap, line.overflow = True, "ellipsis"
        wanting = [row for row in self.rows if row.stage != "settled" or known.drift(row.ref)]
        left = max(MATRIX_MIN, height - len(lines)) if height else ROWS_SHOWN + len(self.groups()) + 2
        matrix = min(len(self.groups()), max(MATRIX_MIN, left - len(wanting) - 2)) if wanting else left - 1
        parts: list[Any] = [*lines]
        if wanting:
            parts.append(self._table(wanting, max(5, left - matrix - 2)))
        parts.append(self._matrix(max(1, matrix)))
        return Group(*parts)

    def _matrix(self, height: int) -> Table:
        stages = sorted(self.counts, key=lambda stage: (stage in FINAL, stage))
        table = Table(box=None, pad_edge=False)
        table.add_column(self._by, no_wrap=True)
        for stage in stages:
            table.add_column(Text(stage, STYLES.get(stage, "")), justify="right")
        groups = sorted(self.groups().items(), key=lambda group: (set(group[1]) == {"settled"}, group[0]))
        shown = groups if len(groups) <= height else groups[: max(1, height - 1)]
        for name, counts in shown:
            table.add_row(name, *(str(counts[stage] or "·") for stage in stages))
        if len(shown) < len(groups):
            table.add_row(f"… {len(groups) - len(shown)} more", *("" for _ in stages))
        return table

    def _table(self, rows: Iterable[Status], height: int) -> Table:
        table = Table(box=None, pad_edge=False, expand=sys.stdout.isatty())
        for heading, ratio in (("resource", 3), ("v", None), ("stage", None), ("why", 6), ("since", None)):
            table.add_column(
                heading, ratio=ratio, no_wrap=ratio is None or sys.stdout.isatty(), overflow="ellipsis"
            )
        chosen = sorted(rows, key=lambda row: (row.stage != "failed", row.stage == "settled", row.stage))
        for row in chosen[:height]:
            since = duration(row.since_s) if row.since_s is not None else ""
            name = short_name(self._found.known.name(row.ref))
            label = f"{row.ref.type} {row.ref.id[:8]}" + (f" {name}" if name else "")
            stage = Text(row.stage, STYLES.get(row.stage, ""))
            table.add_row(label, str(row.version), stage, short(self._why(row)), since)
        if len(chosen) > height:
            table.caption = f"and {len(chosen) - height} more"
        return table

    def _why(self, row: Status) -> str:
        if row.stage != "settled":
            return row.error or row.reason
        known = self._found.known
        seen = known.monitoring(row.ref)
        wrong = (f"{name} is {seen.get(name)}, wanted {to}" for name, to in known.drift(row.ref).items())
        return f"its device: {', '.join(wrong)}"


def short(text: str) -> str:
    """Ids by their beginning, which is what people type."""
    return _UUID.sub(r"\1", text)


# ------------------------------------------------------------------------------------------------ history


def _history(context: Context) -> int:
    with installation(context, live=False) as found:
        known = found.known
        ref = find(known, context.parsed.resource)
        lines, status = known.events(ref), known.status(ref)
        if context.parsed.json:
            rows = [line.to_json() for line in lines]
            output.emit_json(
                {"resource": str(ref), "name": known.name(ref), "stage": status.stage, "lines": rows}
            )
        else:
            output.console().print(_history_table(known, lines, status))
        return 1 if status.stage == "failed" else 0


def _history_table(known: Knowledge, lines: Iterable[Line], status: Status) -> Group:
    name = short_name(known.name(status.ref))
    title = f"{status.ref}" + (f" ({name})" if name else "") + f": version {status.version} is {status.stage}"
    table = Table(box=None, pad_edge=False)
    for heading in ("version", "ended", "action", "outcome", "seconds", "where they went", "retries"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "seconds" else "left")
    errors = []
    for line in lines:
        style = "red" if line.error else ""
        spent = ", ".join(f"{s.kind} {s.seconds:.2f}" for s in line.spans if s.seconds >= 0.005)
        retries = str(line.retries or "")
        if line.skipped:
            retries += f" (skipped {', '.join(map(str, line.skipped))})"
        seconds = f"{line.ended_s - line.began_s:.2f}"
        ended = output.moment(line.ended_s)
        table.add_row(
            str(line.version), ended, line.action, Text(line.outcome, style), seconds, spent, retries
        )
        if line.error:
            errors.append(Text(f"version {line.version}: {line.error}", "red"))
    return Group(Text(title), table, *errors)
