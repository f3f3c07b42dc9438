"""Capped exponential back-off with jitter, as a pure function.

Guarantees: deterministic for the same attempt and salt; within [base/2, cap]; different salts spread over the
second half of the interval, so that many resources that failed together do not return together.
"""

from __future__ import annotations

from hashlib import blake2b


def delay_s(attempt: int, base_s: float, cap_s: float, salt: str) -> float:
    """Seconds to wait before attempt number `attempt` (the first retry is 1)."""
    assert attempt >= 1, "the first try needs no delay"
    full = min(cap_s, base_s * 2.0 ** min(attempt - 1, 30))
    digest = blake2b(f"{salt}:{attempt}".encode(), digest_size=4).digest()
    return full * (0.5 + 0.5 * int.from_bytes(digest, "big") / 0xFFFF_FFFF)
