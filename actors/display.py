"""What a person sees of a run: a live table on a terminal, plain lines on a pipe; then a bill and the changes.

Guarantees: says only what the last StatusReply said; no secrets, since status rows hold none. That it cannot be
written any more (the disk is full, nobody reads the pipe) is one line of the log, and ends nothing.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence

from rich.live import Live
from rich.table import Table
from rich.text import Text

from actors.core.knowledge import without_job_ids
from actors.core.stages import FINAL
from actors.messages import ResourceStatus, StatusReply
from actors.printing import PlainConsole
from actors.styles import STYLES

_log = logging.getLogger("gatewright.Display")
#: A table that is longer than this says how much it leaves out.
ROWS_MAX = 40


def name_of(row: ResourceStatus) -> str:
    """`ese_logical_port b04853c4`: the type and the beginning of the id."""
    return f"{row.ref.type} {row.ref.id[:8]}"


def what_of(row: ResourceStatus) -> str:
    """What it waits for, why it failed, or what monitoring sees."""
    if row.error:
        return row.error
    if row.stage == "settled":
        return " ".join(f"{key}={value}" for key, value in row.monitoring.items()) or row.reason
    return without_job_ids(row.reason)


def settled(reply: StatusReply) -> bool:
    """Whether nothing is under way any more."""
    return reply.ready and bool(reply.counts) and set(reply.counts) <= FINAL


class Display:
    """Either of the two forms. Use as a context manager; `show` after every status."""

    def __init__(self) -> None:
        self._lost = False
        self._console = PlainConsole(self._unwritten, width=None if sys.stdout.isatty() else 150)
        self._began = time.monotonic()
        self._stages: dict[str, tuple[int, str, str]] = {}
        self._monitoring: dict[str, dict[str, str]] = {}
        self._problems: set[str] = set()
        self._store = ""
        self._heat = "up"
        self._live = Live(console=self._console, refresh_per_second=8) if self._console.is_terminal else None

    def __enter__(self) -> Display:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """One line, above the table if there is one."""
        console = self._live.console if self._live is not None else self._console
        console.print(Text(f"{time.monotonic() - self._began:7.1f} s  {text}"), soft_wrap=True)
        self._console.file.flush()

    def show(self, reply: StatusReply, *, building: bool) -> None:
        """A new status: the table while building, changes of ports always."""
        for problem in reply.problems:
            if problem not in self._problems:
                self._problems.add(problem)
                self.say(f"problem: {problem}")
        if reply.store != self._store:
            self._store = reply.store
            self.say(f"etcd: {reply.store}")
        if reply.heat != self._heat:
            self._heat = reply.heat
            self.say(f"heat: {reply.heat}")
        for row in reply.rows:
            self._row(row, building)
        if self._live is not None and building:
            self._live.update(self._table(reply))

    def end_of_building(self) -> None:
        """From here on only changes are shown."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def bill(self, reply: StatusReply) -> None:
        """Where the time of every resource went; only the counts if there was nothing to do."""
        counts = ", ".join(f"{number} {stage}" for stage, number in sorted(reply.counts.items()))
        if not any(row.seconds for row in reply.rows):
            self.say(f"{counts}; nothing to do")
            return
        table = Table(title="where the time went, in seconds", title_justify="left")
        for heading in ("resource", "version", "outcome"):
            table.add_column(heading, overflow="fold")
        for heading in ("own", "waiting", "Heat", "device"):
            table.add_column(heading, justify="right")
        table.add_column("monitoring", overflow="fold")
        for row in reply.rows[:1000]:
            seconds = [f"{row.seconds.get(kind, 0.0):.2f}" for kind in ("own", "waiting", "heat", "device")]
            outcome = Text(row.error or row.reason, STYLES.get(row.stage, ""))
            table.add_row(name_of(row), str(row.version), outcome, *seconds, _statuses(row))
        self._console.print(table)
        self.say(counts)

    # ------------------------------------------------------------------------------------------- inside

    def _unwritten(self, error: OSError) -> None:
        if not self._lost:
            self._lost = True
            _log.warning("what happens cannot be shown any more, and goes on: %s", error.strerror or error)

    def _row(self, row: ResourceStatus, building: bool) -> None:
        ref = str(row.ref)
        stage = (row.version, row.stage, what_of(row) if row.stage not in FINAL else row.error)
        known, self._stages[ref] = self._stages.get(ref), stage
        plain = self._live is None
        unchanged = known is None and row.stage == "settled" and not row.seconds
        if plain and known != stage and not unchanged and (building or row.stage in FINAL):
            text = what_of(row)
            self.say(f"{name_of(row)} v{row.version} {row.stage}{': ' + text if text else ''}")
        before, now = self._monitoring.get(ref, {}), dict(row.monitoring)
        self._monitoring[ref] = now
        for key, value in now.items():
            if before.get(key) != value and (not building or key in before):
                self.say(f"{name_of(row)} {key}: {before.get(key, 'unknown')} → {value}")

    def _table(self, reply: StatusReply) -> Table:
        table = Table(expand=True)
        for heading, ratio in (("resource", 3), ("v", 0), ("stage", 1), ("what", 6), ("s", 0)):
            table.add_column(heading, ratio=ratio or None, no_wrap=True, overflow="ellipsis")
        unfinished = [row for row in reply.rows if row.stage not in FINAL]
        final = [row for row in reply.rows if row.stage in FINAL]
        height = max(5, min(ROWS_MAX, self._console.height - 6))
        for row in _chosen(unfinished, final, height):
            style = STYLES.get(row.stage, "")
            seconds = f"{row.in_stage_s:.1f}" if row.stage not in FINAL else ""
            table.add_row(name_of(row), str(row.version), Text(row.stage, style), what_of(row), seconds)
        left = sum(reply.counts.values()) - min(height, len(reply.rows))
        if left > 0:
            table.caption = f"and {left} more"
        return table


def _chosen(
    unfinished: Sequence[ResourceStatus], final: Sequence[ResourceStatus], height: int
) -> Sequence[ResourceStatus]:
    return [*final[: max(0, height - len(unfinished))], *unfinished[:height]]


def _statuses(row: ResourceStatus) -> str:
    return " ".join(f"{key}={value}" for key, value in row.monitoring.items())
