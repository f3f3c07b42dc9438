"""What bounds the runtime: one value, the same in all processes of a system."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes are bytes, times are seconds."""

    #: Messages and bytes in one frame: the more, the cheaper; the fewer, the fairer to other senders.
    batch_items: int = 256
    batch_bytes: int = 512 * 1024
    #: What may wait for one destination process; what comes beyond becomes a dead letter.
    queue_items: int = 100_000
    queue_bytes: int = 256 * 1024 * 1024
    #: What may wait inside one process.
    local_items: int = 1_000_000
    #: Messages handled inside a process before its sockets and timers have their turn again.
    turn_items: int = 1_000
    #: How often a frame is sent again that neither arrived nor met a dead process.
    retries: int = 3
    #: How long a process waits for its children to end before it kills them.
    exit_grace_s: float = 2.0
