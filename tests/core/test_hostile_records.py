"""Records of every family with one member that nobody meant: each is read, or is one problem that names its key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.core import drift, history, keys
from actors.core.critical_path import critical_path
from actors.core.dry_run import dry_run
from actors.core.explain import Explainer
from actors.core.find import NotFoundError, find
from actors.core.graph_view import as_dot, as_mermaid, as_text, build
from actors.core.keys import BadValue
from actors.core.model import Action, Handler, Job, OnFailure, Param, ParamType, Ref
from actors.core.monitors import Target, encode_targets
from actors.core.outcome import workflow_action
from actors.core.past import explain_at
from actors.core.resume import resume
from actors.core.spans import Span, Spans
from actors.ports import Entry
from actors.records import read_records
from actors.transactions import paths
from tests.core.insight import NOW, Insight
from tests.core.mirror import BODIES, GATEWAY, MAPPINGS, NET, PORT, TYPES
from tests.core.test_hostile import _JSON, _PATHS, _ROOTS, _VALUES

JOB = "create:heat_worker:port:p:2:abcde"
OUTPUT = {"output_key": "id", "resource_type": "net", "resource_id": "n"}
PARAMS = (
    Param("a", ParamType.VALUE, {"b": [1]}, (NET,)),
    Param("o", ParamType.OUTPUT_KEY, OUTPUT, (NET,)),
    Param("l", ParamType.LIST, [Param("x", ParamType.OUTPUT_KEY, OUTPUT, (NET,)).to_json()], (NET,)),
)
WHOLE_JOB = Job(
    JOB,
    Action.CREATE,
    Handler.HEAT,
    PORT,
    2,
    {"id": "p", "tenant_id": "t"},
    PARAMS,
    ("create:heat_worker:net:n:1:abcde", "create:heat_worker:port:p:2:aaaaa"),
    is_last=False,
    on_failure=OnFailure.IGNORE,
)
TARGET = Target(
    "m", "logical_port", "10.0.0.1", "C", (("name", "xe-0/0/1"),), retry_s=1.0, positive=("UP",), tags=((("a", "b"),),)
)  # fmt: skip
LINE = history.Line(
    1, "create", "CREATE_COMPLETED", "", NOW - 5, Spans([Span("waiting", 3.0, "net:n"), Span("heat", 2.0)])
)
_BILL = {
    "version": 2,
    "ended": NOW,
    "action": "modify",
    "seconds": {"own": 1.0, "heat": 2},
    "retries": 2,
    "skipped": [1],
}
#: A valid value of each family, under its key, as Python has it.
RECORDS: dict[str, Any] = {
    keys.JOBS + JOB: json.loads(keys.encode_job(WHOLE_JOB)),
    keys.STATE + "v2.0/ports/p": json.loads(
        keys.encode_state({"worker_state": "CREATE_COMPLETED"}, 1, "Boom: dependency failed: net:n: x")
    ),
    keys.ACCEPTED + "v2.0/ports/p": {"body": BODIES[PORT], "version": 1, "deleted": False},
    keys.CONFIG + "v2.0/ports/p": {"body": BODIES[PORT], "version": 2, "marked_for_deletion": False},
    keys.TEMPLATES + "Cport": {
        "body": {"handler": "heat_worker", "parameter_mappings": MAPPINGS["port"], "template_file": ""},
        "version": 1,
    },
    keys.TARGETS + "v2.0/ports/p": json.loads(encode_targets(1, [TARGET])),
    keys.MONITORING + "v2.0/ports/p": {"m": "UP", "version": 1},
    keys.HISTORY + "v2.0/ports/p": {"lines": [*json.loads(history.append(None, LINE, 1))["lines"], _BILL]},
    keys.DRIFT + "v2.0/ports/p": json.loads(
        drift.encode(drift.Finding(PORT, 1, drift.Drift.CHANGED, "x"), NOW)
    ),
    keys.PAUSE + "type/port": {"by": "somebody", "since": NOW - 9},
    keys.ATTEMPTS + "v2.0/ports/p": {"version": 2, "attempts": 3},
    keys.JOB_STATE + "v2.0/ports/p": {
        "heat_outputs": [{"output_key": "id"}],
        "state_monitoring": {"m": "UP"},
    },
    keys.HEAT_STACKS + "v2.0/ports/p": json.loads(
        keys.encode_heat_stack(PORT, "t", "CREATE_COMPLETE", "", [{"output_key": "id"}])
    ),
}
_LARGE: st.SearchStrategy[Any] = st.sampled_from(
    [
        int("17976931348623158079" + "3" * 289),
        10**400,
        2**63,
        -(2**63),
        1e308,
        -1e308,
        1e-300,
        True,
        "1",
        "9" * 5000,
        "x" * 5000,
        [],
        [[]],
        {},
        None,
    ]
)
_ANY = st.one_of(_LARGE, _JSON)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for name, part in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from _places(part, (*path, name))


def _with(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    if not path:
        return other
    made = dict(value) if isinstance(value, dict) else list(value)
    made[path[0]] = _with(value[path[0]], path[1:], other)
    return made


_PLACES = [(key, path) for key, record in RECORDS.items() for path in _places(record)]
_DISTORTED = st.builds(
    lambda place, other: (place[0], json.dumps(_with(RECORDS[place[0]], place[1], other)).encode()),
    st.sampled_from(_PLACES),
    _ANY,
)


def insight_of_three() -> Insight:
    """A network, a port and a gateway; all but the port are built."""
    known = Insight()
    for ref in (NET, PORT, GATEWAY):
        known.declare(ref)
    for ref in (NET, GATEWAY):
        known.settle(ref)
    return known


def ask_everything(insight: Insight) -> None:
    """What the operator's screens ask, as text that can be sent."""
    known, shown = insight.known, list[Any]()
    asked = Explainer(known)
    for ref in [*known.refs(), *known.histories(), Ref("net", "none"), Ref("strange", "x")]:
        shown += [known.name(ref), known.tenant(ref), known.attempts(ref), known.unowned(ref)]
        shown += [known.monitoring(ref), known.drift(ref), known.last(ref, 1), str(known.status(ref))]
        shown += [line.to_json() for line in known.events(ref)]
        shown += [asked.explain(ref).to_json()] + [
            explain_at(known, ref, NOW - s).to_json() for s in (0, 4, 9)
        ]
    path = critical_path(known, known.refs())
    shown += [path.to_json() if path is not None else None, [pause.to_json() for pause in known.pauses()]]
    graph = build(known)
    shown += [graph.to_json(), as_text(graph), as_mermaid(graph), as_dot(graph), dict(known.world.problems)]
    for text in ("p", "port:p", "one"):
        try:
            shown.append(str(find(known, text)))
        except NotFoundError as error:
            shown.append(str(error))
    shown += [planned.to_json() for planned in dry_run(known, known.refs())]
    json.dumps(shown, default=str, allow_nan=False).encode()


@given(st.lists(_DISTORTED, min_size=1, max_size=3))
def test_one_member_of_another_type(distorted: list[tuple[str, bytes]]) -> None:
    """Whatever stands in place of any member of any record, everything can be asked, and problems are short."""
    insight = insight_of_three()
    for key, record in RECORDS.items():
        if key.startswith((keys.STATE, keys.HISTORY, keys.TARGETS)):
            insight.put(key, record)
    for key, raw in distorted:
        insight.put(key, raw)
        problem = insight.world.problems.get(key, key)
        assert problem.startswith(key) and len(problem) < len(key) + 4_500
    for ref in [*insight.world.refs(), *insight.world.leftovers()]:
        insight.world.needs_work(ref)
        insight.world.types.path(ref)
    ask_everything(insight)
    for key in insight.world.keys_known():
        insight.known.delete(key)
    assert not list(insight.world.refs()) and not insight.world.problems


@given(root=st.sampled_from(_ROOTS), path=_PATHS, value=_VALUES)
def test_the_knowledge_takes_anything(root: str, path: str, value: bytes) -> None:
    """No value under no key keeps an operator from being answered."""
    insight = insight_of_three()
    insight.put(root + path, value)
    ask_everything(insight)
    insight.known.delete(root + path)
    ask_everything(insight_of_three())


@given(_DISTORTED)
def test_an_actor_reads_or_refuses(distorted: tuple[str, bytes]) -> None:
    """What an actor loads of its resource is one decision, or one BadValue that names the key."""
    p, declared = paths(insight_of_three().world.types, PORT), insight_of_three().world.declaration(PORT)
    raw = {key: json.dumps(record).encode() for key, record in RECORDS.items()} | dict([distorted])
    entries = {key: Entry(key, value, 5, 5) for key, value in raw.items()}
    try:
        records = read_records(PORT, p, declared, entries)
        resume(records)
        workflow_action([job for job, _ in records.jobs])
        keys.decode_outputs(p.heat_stack, raw[p.heat_stack])
    except BadValue as error:
        assert str(error).startswith(distorted[0])


@given(_DISTORTED)
def test_a_history_goes_on_whatever_it_was(distorted: tuple[str, bytes]) -> None:
    """The next outcome can always be recorded, and is the last line of what is read then."""
    raw = history.append(distorted[1], LINE, 0)
    assert history.read(raw)[-1]["outcome"] == LINE.outcome


def test_the_records_of_these_tests_are_valid() -> None:
    """What is distorted above is read without a problem as it stands here."""
    insight = insight_of_three()
    for key, record in RECORDS.items():
        insight.put(key, record)
    assert not insight.world.problems and TYPES
    assert insight.known.jobs(PORT) == (WHOLE_JOB,)
    assert [line.version for line in insight.known.events(PORT)] == [1, 2]
    ask_everything(insight)
