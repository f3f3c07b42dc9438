"""A console on which no id, name or error of others can steer the terminal.

Guarantees: control characters in what is printed are shown as `\\u001b` and the like; colours and the moves of a live
table, which are not part of any text, stay.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from actors.core.printable import printable


class PlainConsole(Console):
    """As Rich's."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is shown, piece by piece."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else Segment(printable(piece.text), piece.style)
