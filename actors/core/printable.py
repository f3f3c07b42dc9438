"""Text of others, such as ids and names, as it may be shown on a terminal."""

from __future__ import annotations

import re

#: What steers a terminal (C0 but tab and newline, DEL, C1) or turns the direction of the text around.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
#: A name that is longer is cut where people read it: it may be as long as a document.
NAME_MAX = 120


def short_name(name: str) -> str:
    """A name of others within a line for people: on that line, whatever breaks it has, and not of any length."""
    line = " ".join(name[: 4 * NAME_MAX].split())
    return line if len(line) <= NAME_MAX else f"{line[: NAME_MAX - 1]}…"


def printable(text: str) -> str:
    """The text with `\\u001b` and the like in place of what would steer a terminal; JSON stays the same JSON."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
