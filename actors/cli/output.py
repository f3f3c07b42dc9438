"""Printing: colours on a terminal only, JSON when asked for, errors in one line.

Guarantees: what goes to stdout under `--json` is one JSON document and nothing else. No id, name or
error of others can steer the terminal.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from actors.core.printable import printable
from actors.printing import PlainConsole
from actors.styles import STYLES

#: Width of tables that do not go to a terminal.
PIPE_WIDTH = 160


def console() -> Console:
    """Where answers go."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return PlainConsole(width=width, highlight=False)


def say(text: str) -> None:
    """Lines without colours, at once."""
    print(printable(text), flush=True)


def emit_json(value: Any) -> None:
    """One document."""
    print(printable(json.dumps(value, indent=2, ensure_ascii=False)))


def paint(text: str, stage: str) -> str:
    """`text` in the colour of a stage, on a terminal."""
    if not sys.stdout.isatty() or stage not in STYLES:
        return text
    with (probe := Console(force_terminal=True, highlight=False)).capture() as capture:
        probe.print(Text(text, STYLES[stage]), end="")
    return capture.get()


def fail(text: str) -> None:
    """One line on stderr."""
    print(f"gatewright: {printable(text)}", file=sys.stderr)


def moment(seconds: float) -> str:
    """Seconds since 1970 as local time of day, for people."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def with_json(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Every command that answers can do so for programs."""
    parser.add_argument("--json", action="store_true", help="for programs: one JSON document")
    return parser
