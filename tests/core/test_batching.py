"""The batching arithmetic."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.core.batching import LIMITS, BatchLimits, fits, next_batch, size_of
from actors.ports import Delete, Guard, Put, WriteSet


def writing(*keys: str, guards: tuple[str, ...] = ()) -> WriteSet:
    """A set that writes these keys."""
    return WriteSet(tuple(Put(key, b"v") for key in keys), tuple(Guard(key, 1) for key in guards))


def test_nothing_queued_is_no_batch() -> None:
    """Only an empty queue gives an empty batch."""
    assert next_batch([]) == ()
    assert next_batch([WriteSet(())]) == (0,)


def test_a_key_is_in_a_batch_once_and_keeps_its_order() -> None:
    """A later write of the same key waits, and so does whatever is tied to it; the rest goes ahead."""
    queue = [writing("a"), writing("a", "b"), writing("b", "c"), writing("c"), writing("d")]
    assert next_batch(queue) == (0, 4)


def test_a_guard_waits_for_the_write_before_it() -> None:
    """etcd would evaluate the guard before the write of the same batch: it must see it done."""
    assert next_batch([writing("a"), writing("b", guards=("a",)), writing("c")]) == (0, 2)


def test_a_write_does_not_overtake_a_waiting_guard() -> None:
    """A set that waits was to see its guards as they were before the later write."""
    queue = [writing("a"), writing("b", guards=("a", "x")), writing("x")]
    assert next_batch(queue) == (0,)


def test_guards_may_be_shared() -> None:
    """Two sets on the same condition do not hinder each other, nor does a write after a guard."""
    queue = [writing("a", guards=("x",)), writing("b", guards=("x",)), writing("x")]
    assert next_batch(queue) == (0, 1, 2)


def test_width_counts_sets_and_the_widest() -> None:
    """127 sets of one write fit, 125 of three, and guards count as writes do."""
    assert len(next_batch([writing(f"k{i}") for i in range(200)])) == 127
    assert len(next_batch([writing(f"a{i}", f"b{i}", f"c{i}") for i in range(200)])) == 125
    guarded = [writing(f"k{i}", guards=(f"g{i}", f"h{i}")) for i in range(200)]
    assert len(next_batch(guarded)) == 126
    assert fits(guarded[:126])
    assert not fits(guarded[:127])


def test_size_ends_a_batch() -> None:
    """A large set is not overtaken by a small one behind it."""
    large = WriteSet((Put("l", b"x" * 700_000),))
    other = WriteSet((Put("m", b"x" * 700_000),))
    assert next_batch([large, other, writing("a")]) == (0,)
    assert not fits([large, other])


def test_a_set_beyond_the_limits_goes_alone() -> None:
    """It is for the store to refuse it; it does not block the queue."""
    huge = WriteSet((Put("h", b"x" * 2_000_000),))
    assert not fits([huge])
    assert next_batch([huge, writing("a")]) == (0,)
    assert next_batch([writing("a"), huge, writing("b")]) == (0,)


def test_size_counts_bytes_not_characters() -> None:
    """Keys are UTF-8 on the wire."""
    assert size_of(writing("\u00e9")) == size_of(writing("e")) + 1


def test_the_queue_is_looked_at_no_further_than_allowed() -> None:
    """A thousand writes of one key cost no more than the look-ahead."""
    queue = [writing("a")] * 10 + [writing("b")]
    assert next_batch(queue, BatchLimits(look_ahead=5)) == (0,)
    assert next_batch(queue) == (0, 10)


keys = st.sampled_from("abcdef")
sets = st.builds(
    lambda w, d, g: WriteSet(
        tuple(Put(k, b"v" * len(w)) for k in sorted(w)) + tuple(Delete(k) for k in sorted(d - w)),
        tuple(Guard(k, 1) for k in sorted(g)),
    ),
    st.frozensets(keys, max_size=3),
    st.frozensets(keys, max_size=2),
    st.frozensets(keys, max_size=3),
)


@given(st.lists(sets, max_size=30), st.integers(4, 12), st.integers(200, 2000))
def test_any_queue_is_committed_as_if_one_by_one(queue: list[WriteSet], width: int, size: int) -> None:
    """Batch after batch, each set sees the writes before it and none behind it, and all get their turn."""
    limits = BatchLimits(width, size)
    waiting = list(enumerate(queue))
    written_by: dict[str, list[int]] = {key: [] for key in "abcdef"}
    while waiting:
        batch = next_batch([one for _, one in waiting], limits)
        assert batch
        chosen = [waiting[i] for i in batch]
        assert len(batch) == 1 or fits([one for _, one in chosen], limits)
        for number, one in chosen:
            for guard in one.guards:
                earlier = [n for n, other in enumerate(queue[:number]) if guard.key in _written(other)]
                assert written_by[guard.key] == earlier
        for number, one in chosen:
            for key in _written(one):
                assert written_by[key] == [
                    n for n, other in enumerate(queue[:number]) if key in _written(other)
                ]
                written_by[key].append(number)
        waiting = [one for index, one in enumerate(waiting) if index not in batch]


def _written(one: WriteSet) -> set[str]:
    return {write.key for write in one.writes}


def test_the_limits_are_those_of_an_etcd_as_it_comes() -> None:
    """128 operations, and well below the 1.5 MiB of a request."""
    assert (LIMITS.width, LIMITS.size) == (128, 1024 * 1024)
