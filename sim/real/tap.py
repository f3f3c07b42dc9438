"""A tap between the controllers and etcd: passes bytes on, notes every transaction, and is where the net breaks.

Guarantees: a transaction is noted before etcd can have seen it. Each life of a controller has ports of its own, so
who asked is known for certain. `cut` and `stall` are what a network does: connections reset, bytes that do not come.
All of it runs on one thread of its own; methods may be called from any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future

from sim.real.wire import Asked, Conversation

_CHUNK = 256 * 1024
#: Closing with this set sends RST, as when a cable's other end vanishes.
_RESET = struct.pack("ii", 1, 0)


class Line:
    """The connections of one life of a controller. `asked`: all its transactions, in order."""

    def __init__(self, targets: Sequence[tuple[str, int]]) -> None:
        self.asked: list[Asked] = []
        self.ports: list[int] = []
        self._targets = targets
        self._servers: list[asyncio.Server] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def open(self) -> None:
        """Listen for each target."""
        for host, port in self._targets:

            async def accept(
                reader: asyncio.StreamReader,
                writer: asyncio.StreamWriter,
                host: str = host,
                port: int = port,
            ) -> None:
                with contextlib.suppress(asyncio.CancelledError):  # the end of the tap
                    await self._accept(reader, writer, host, port)

            server = await asyncio.start_server(accept, "127.0.0.1", 0)
            self._servers.append(server)
            self.ports.append(server.sockets[0].getsockname()[1])

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
    ) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.transport.abort()
            return
        talk = Conversation(self.asked)
        self._writers |= {writer, far_writer}
        ways = [
            asyncio.ensure_future(self._pump(reader, far_writer, talk, there=True)),
            asyncio.ensure_future(self._pump(far_reader, writer, talk, there=False)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for one in (writer, far_writer):
                self._writers.discard(one)
                one.transport.abort()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, talk: Conversation, *, there: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK):
                await self._flowing.wait()
                if there:
                    talk.sent(data, time.time())
                else:
                    talk.answered(data)
                sink.write(data)
                await sink.drain()

    def cut(self) -> None:
        """Reset all connections."""
        for writer in self._writers:
            wire: socket.socket | None = writer.get_extra_info("socket")
            if wire is not None:
                with contextlib.suppress(OSError):
                    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    def stall(self, *, on: bool) -> None:
        """Hold all bytes back, or let them flow again."""
        if on:
            self._flowing.clear()
        else:
            self._flowing.set()

    async def close(self) -> None:
        """Nobody is served any more."""
        for server in self._servers:
            server.close()
        self.cut()


class Tap:
    """The thread and all its lines. Use `close` at the end."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tap", daemon=True)
        self._thread.start()
        self._lines: list[Line] = []

    def line(self, targets: Sequence[tuple[str, int]]) -> Line:
        """A new line to these members of etcd."""

        async def make() -> Line:
            line = Line(targets)
            await line.open()
            return line

        line = asyncio.run_coroutine_threadsafe(make(), self._loop).result(10.0)
        self._lines.append(line)
        return line

    def cut(self, line: Line) -> None:
        """See Line."""
        self._loop.call_soon_threadsafe(line.cut)

    def stall(self, line: Line, *, on: bool) -> None:
        """See Line."""
        self._loop.call_soon_threadsafe(lambda: line.stall(on=on))

    def hang_up(self, line: Line) -> None:
        """The life that used it is over."""
        asyncio.run_coroutine_threadsafe(line.close(), self._loop)

    def close(self) -> None:
        """End everything. Safe to call twice."""
        if not self._thread.is_alive():
            return
        ended: Future[None] = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        with contextlib.suppress(TimeoutError):
            ended.result(5.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        self._loop.close()

    async def _end(self) -> None:
        for line in self._lines:
            await line.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
