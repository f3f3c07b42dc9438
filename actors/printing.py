"""A console on which no id, name or error of others can steer the terminal.

Guarantees: control characters in what is printed are shown as `\\u001b` and the like; colours and the moves of a live
table, which are not part of any text, stay. Text is text: `[/]` is no tag of Rich's, and `:a:` no emoji. Who prints
through a `Spout` decides what it means that nothing can be written (a disk that is full, a pipe that nobody reads).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import IO, Any, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from actors.core.printable import printable


class PlainConsole(Console):
    """As Rich's, without markup: that comes with `Text` and its styles only. `lost`: as of a `Spout`; None: raise."""

    def __init__(self, lost: Callable[[OSError], None] | None = None, **options: Any) -> None:
        self._lost = lost
        super().__init__(markup=False, emoji=False, **options)

    @property
    def file(self) -> IO[str]:
        """Where it goes: the standard output of the moment, if no other was given."""
        stream = super().file
        return stream if self._lost is None else cast("IO[str]", Spout(stream, self._lost))

    @file.setter
    def file(self, stream: IO[str]) -> None:
        self._file = stream

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is shown, piece by piece."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else Segment(printable(piece.text), piece.style)


class Spout:
    """A stream whose errors of writing go to `lost`, which may raise; whatever else is asked, the stream answers."""

    def __init__(self, stream: IO[str], lost: Callable[[OSError], None]) -> None:
        self._stream = stream
        self._lost = lost

    def write(self, text: str) -> int:
        """As the stream's."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._lost(error)
            return len(text)

    def flush(self) -> None:
        """As the stream's."""
        try:
            self._stream.flush()
        except OSError as error:
            self._lost(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
