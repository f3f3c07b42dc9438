"""A console on which no id, name or error of others can steer the terminal.

Guarantees: control characters in what is printed are shown as `\\u001b` and the like; colours and the moves of a live
table, which are not part of any text, stay. Text is text: `[/]` is no tag of Rich's, and `:a:` no emoji.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from actors.core.printable import printable


class PlainConsole(Console):
    """As Rich's, without markup: that comes with `Text` and its styles only."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is shown, piece by piece."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else Segment(printable(piece.text), piece.style)
