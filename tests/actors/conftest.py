"""What most files of this folder begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.actors.trial import SLOW, Trial


@pytest.fixture
def trial() -> Iterator[Trial]:
    """The chain of the seed, built and seen."""
    with Trial(heat=SLOW) as made:
        made.declare_example()
        made.settle()
        made.host.advance(1.0)
        yield made
