"""A mirror that is behind what was read: it is waited for, with pauses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from actors.core import keys
from actors.messages import Commit, Committed, Read
from tests.actors.rig import TYPES
from tests.actors.trial import NETWORK, Trial


def test_a_request_that_was_taken_up_unseen_is_waited_for() -> None:
    """The answer to its plan is lost while the watch of etcd stands still, so that the mirror still shows the request
    and none of the jobs: etcd is read a few times, not without end, and then the jobs run."""
    with Trial() as made:
        made.declare_example()
        made.settle()
        counts = Counter[type]()

        def still(message: object) -> Iterable[float]:
            counts[type(message)] += 1
            assert counts[Read] < 1000, "it reads without end"
            if isinstance(message, Commit):
                for watch in made.stores[-1]._watches:
                    watch._connected = False
            return () if isinstance(message, Committed) else (0.0,)

        made.network.meddle = still
        made.put(keys.RECONCILE + TYPES.path(NETWORK), {"by": "me"})
        made.host.advance(made.options.request_timeout_s + 10.0)
        assert counts[Commit] == 1
        assert 3 <= counts[Read] <= 30
        made.network.meddle = lambda message: (0.0,)
        for watch in made.stores[-1]._watches:
            watch._connected = True
            watch.catch_up()
        made.host.advance(10.0)
        assert [key for key in made.leftovers(NETWORK) if key.startswith(keys.JOBS)] == []
        actions = [line["action"] for line in made.at(keys.HISTORY, NETWORK)["lines"]]
        assert actions == ["create", "modify"]
