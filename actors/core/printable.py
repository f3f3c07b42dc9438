"""Text of others, such as ids and names, as it may be shown on a terminal."""

from __future__ import annotations

import re

#: What steers a terminal (C0 but tab and newline, DEL, C1) or turns the direction of the text around.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text with `\\u001b` and the like in place of what would steer a terminal; JSON stays the same JSON."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
