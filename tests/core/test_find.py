"""What RESOURCE means."""

from __future__ import annotations

import pytest

from actors.core import keys
from actors.core.find import NotFoundError, find
from actors.core.model import Ref
from tests.core.insight import Insight


@pytest.fixture
def insight() -> Insight:
    """Nothing declared."""
    return Insight()


def test_a_resource_is_found_by_type_and_id_by_id_by_its_beginning_and_by_name(insight: Insight) -> None:
    """Each way of naming a resource means the same one."""
    ref = Ref("net", "abc-1")
    insight.put(keys.CONFIG + "v2.0/nets/abc-1", keys.encode_declared({"id": "abc-1", "name": "blue"}, 1))
    assert {find(insight.known, text) for text in ("net:abc-1", "abc-1", "ab", "blue", "net:blue")} == {ref}


def test_more_than_one_meaning_is_never_guessed(insight: Insight) -> None:
    """An ambiguous beginning names the candidates; an exact id wins over being another's beginning."""
    for rid in ("ab", "abc"):
        insight.put(keys.CONFIG + f"v2.0/nets/{rid}", keys.encode_declared({"id": rid}, 1))
    with pytest.raises(NotFoundError, match="net:ab, net:abc"):
        find(insight.known, "a")
    assert find(insight.known, "ab") == Ref("net", "ab")
    with pytest.raises(NotFoundError, match="no resource is called 'x'"):
        find(insight.known, "x")


@pytest.mark.parametrize("text", ["", "net:"])
def test_an_empty_text_does_not_mean_the_resource_without_a_name(insight: Insight, text: str) -> None:
    """The one resource that has no name is not what an unset variable of a script means."""
    insight.put(keys.CONFIG + "v2.0/nets/a", keys.encode_declared({"id": "a"}, 1))
    with pytest.raises(NotFoundError, match="names no resource"):
        find(insight.known, text)
