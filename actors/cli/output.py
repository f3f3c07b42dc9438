"""Printing: colours on a terminal only, JSON when asked for, errors in one line.

Guarantees: what goes to stdout under `--json` is one JSON document and nothing else.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from actors.styles import STYLES

#: Width of tables that do not go to a terminal.
PIPE_WIDTH = 160


def console() -> Console:
    """Where answers go."""
    return Console(highlight=False) if sys.stdout.isatty() else Console(width=PIPE_WIDTH, highlight=False)


def emit_json(value: Any) -> None:
    """One document."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def paint(text: str, stage: str) -> str:
    """`text` in the colour of a stage, on a terminal."""
    if not sys.stdout.isatty() or stage not in STYLES:
        return text
    with (probe := Console(force_terminal=True, highlight=False)).capture() as capture:
        probe.print(Text(text, STYLES[stage]), end="")
    return capture.get()


def fail(text: str) -> None:
    """One line on stderr."""
    print(f"gatewright: {text}", file=sys.stderr)


def moment(seconds: float) -> str:
    """Seconds since 1970 as local time of day, for people."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def with_json(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Every command that answers can do so for programs."""
    parser.add_argument("--json", action="store_true", help="for programs: one JSON document")
    return parser
