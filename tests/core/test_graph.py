"""The order of what needs one another."""

from __future__ import annotations

from actors.core.graph import producers_first
from actors.core.model import Ref

A, B, C, D = (Ref("net", name) for name in "abcd")


def test_each_comes_after_what_it_needs() -> None:
    """Of those that are asked about, each once; of a ring somebody is first, and nobody is left out."""
    needs = {A: (B, C), B: (C,), C: (), D: (A,)}
    assert producers_first([A, B, C], lambda ref: needs[ref]) == [C, B, A]
    assert producers_first([D, A], lambda ref: needs[ref]) == [A, D]
    ring = {A: (B,), B: (C,), C: (A,), D: (B,)}
    assert producers_first([A, B, C, D], lambda ref: ring[ref]) == [C, B, A, D]
    assert producers_first([], lambda ref: ()) == []
