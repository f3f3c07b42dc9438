"""The colours of the stages on a terminal, the same for every command."""

from __future__ import annotations

STYLES = {
    "settled": "green",
    "failed": "red",
    "running": "cyan",
    "waiting": "yellow",
    "backing-off": "magenta",
}
