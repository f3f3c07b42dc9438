"""What is pending: found by the revision of its declaration."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.core.model import Ref
from actors.core.pending import Pending

REVISIONS = st.integers(1, 20)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | REVISIONS)), REVISIONS)
def test_those_declared_before_are_found_in_order(news: list[tuple[str, int | None]], before: int) -> None:
    """Whatever was put and discarded in which order: those of a lower revision, the earliest first."""
    pending, expected = Pending(), dict[Ref, int]()
    for name, revision in news:
        ref = Ref("net", name)
        if revision is None:
            pending.discard(ref)
            expected.pop(ref, None)
        else:
            pending.put(ref, revision)
            expected[ref] = revision
    wanted = sorted((revision, ref) for ref, revision in expected.items() if revision < before)
    assert list(pending.before(before)) == [ref for _, ref in wanted]
