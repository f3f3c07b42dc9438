"""What is pending: found by the revision of its declaration."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.core.model import Ref
from actors.core.pending import Pending

NAMES = st.sampled_from("abcdef")
REVISIONS = st.integers(1, 20)


@given(st.lists(st.tuples(NAMES, st.none() | REVISIONS)), st.sets(NAMES), REVISIONS)
def test_those_declared_before_are_found_in_order(
    news: list[tuple[str, int | None]], asked: set[str], before: int
) -> None:
    """Whatever was put and discarded in which order: of those asked for, the lower revisions, in order."""
    pending, expected = Pending(), dict[Ref, int]()
    for name, revision in news:
        ref = Ref("net", name)
        pending.note(ref, revision)
        expected.pop(ref, None)
        if revision is not None:
            expected[ref] = revision
    refs = [Ref("net", name) for name in asked]
    wanted = sorted((expected[ref], ref) for ref in refs if expected.get(ref, before) < before)
    assert pending.among(refs, before) == [ref for _, ref in wanted]
    assert [ref in pending for ref in refs] == [ref in expected for ref in refs]
