"""What people are told: why, what hangs together, where the time went, what would be done."""

from __future__ import annotations

import pytest

from actors.core import keys
from actors.core.critical_path import critical_path
from actors.core.dry_run import delete_documents, dry_run
from actors.core.durations import Durations
from actors.core.explain import Explainer, duration
from actors.core.graph_view import as_dot, as_mermaid, as_text, build, needs
from actors.core.knowledge import Live
from actors.core.model import Action, Job, Ref
from actors.core.ownership import vshard
from actors.core.past import explain_at
from actors.core.remedies import GENERAL, remedy
from actors.core.spans import SPANS_MAX, Span, Spans, read_spans
from tests.core.insight import NOW, Insight
from tests.core.mirror import GATEWAY, HEAT, NET, PORT, QUOTA
from tests.core.test_ordering import MUTUAL


@pytest.fixture
def insight() -> Insight:
    """Templates only."""
    return Insight()


@pytest.fixture
def waiting() -> Insight:
    """A gateway waits for its port, which waits for its network, which Heat is making."""
    insight = Insight(gateway={"port": "Mport:port_id:id"})
    insight.declare(NET)
    insight.declare(PORT)
    insight.declare(GATEWAY)
    known = insight.known
    for planned in dry_run(known, [NET, PORT, GATEWAY]):
        assert planned.jobs, planned
    return insight


# ------------------------------------------------------------------------------------------------ explain


def test_the_chain_goes_to_the_root(waiting: Insight) -> None:
    """A gateway's explanation ends with what Heat does to the network, two links further."""
    explained = Explainer(waiting.known).explain(GATEWAY)
    assert [(step.ref, step.stage) for step in explained.steps] == [
        (GATEWAY, "waiting"),
        (PORT, "waiting"),
        (NET, "running"),
    ]
    assert explained.root.text == "Heat creates stack net_n"
    assert explained.remedy == ""


def test_live_stages_win_over_recorded_ones_and_bring_durations(waiting: Insight) -> None:
    """With a controller the chain has times, and what is usual for the type at p95."""
    for number, seconds in enumerate((1.0, 2.0, 18.0)):
        waiting.put(keys.CONFIG + f"v2.0/nets/m{number}", keys.encode_declared({"id": f"m{number}"}, 1))
        waiting.ended(Ref("net", f"m{number}"), NOW - 100, ("own", 0.1), ("heat", seconds))
    waiting.known.live = {NET: Live(1, "running", "Heat stack net_n CREATE_IN_PROGRESS", 41.0)}
    waiting.known.asked = True
    root = Explainer(waiting.known, look_s=3.0).explain(GATEWAY).root
    assert (root.text, root.since_s) == ("Heat stack net_n CREATE_IN_PROGRESS", 41.0)
    assert root.facts == (
        "a create of this type takes 18.0 s at p95, 2.0 s at p50 (of 3)",
        "next look within 3 s",
    )


def test_what_no_controller_owns_goes_on_for_nobody(waiting: Insight) -> None:
    """The root of what waits is nobody's in etcd: that is told, and of what is owned or final it is not."""
    root = Explainer(waiting.known).explain(GATEWAY).root
    assert root.facts == ("no controller was asked: this is what etcd holds",)
    waiting.known.owners = {}
    assert Explainer(waiting.known).explain(GATEWAY).root.facts == (
        "no controller owns it: nothing goes on until one does",
    )
    waiting.known.owners = {vshard(str(root.ref)): "host:1:a"}
    assert Explainer(waiting.known).explain(GATEWAY).root.facts == root.facts


def test_a_live_report_of_an_older_version_is_not_believed(waiting: Insight) -> None:
    """What a controller said of version 1 says nothing about version 2."""
    waiting.settle(QUOTA)
    waiting.declare(QUOTA, 2)
    waiting.known.live = {QUOTA: Live(1, "settled", "READ_COMPLETE", 0.0)}
    assert waiting.known.status(QUOTA).stage == "queued"


def test_a_missing_relation_is_named_with_its_remedy(insight: Insight) -> None:
    """The root of what waits for something undeclared is the undeclared one."""
    insight.declare(PORT)
    explained = Explainer(insight.known).explain(PORT)
    assert [step.ref for step in explained.steps] == [PORT, NET]
    assert "net:n is not declared" in explained.steps[0].text
    assert explained.remedy == "declare it, or correct the id that refers to it"


def test_a_cycle_is_told_as_such(insight: Insight) -> None:
    """Two that need each other: the reason prints the cycle, the remedy says what to do about it."""
    ring = Insight(**MUTUAL)
    ring.declare(PORT)
    ring.declare(GATEWAY)
    explained = Explainer(ring.known).explain(GATEWAY)
    texts = " ".join(step.text for step in explained.steps)
    assert "dependency cycle" in texts
    assert "take one reference of the cycle out" in explained.remedy


def test_a_failure_leads_to_the_one_that_failed_first(insight: Insight) -> None:
    """A dependent's explanation ends at its producer, with the remedy for the producer's error."""
    insight.declare(NET)
    insight.declare(PORT)
    insight.settle(NET, error="StackFailed: CREATE_FAILED: no host")
    insight.settle(
        PORT, error="DependencyFailed: dependency failed: create:heat_worker:net:n:1:abcde: no host"
    )
    explained = Explainer(insight.known).explain(PORT)
    assert [(step.ref, step.stage) for step in explained.steps] == [(PORT, "failed"), (NET, "failed")]
    assert explained.steps[0].text == "DependencyFailed: dependency failed: net:n"  # the rest stands below
    assert explained.remedy == remedy("StackFailed: no host")
    assert explained.remedy not in ("", GENERAL)


def test_what_failed_for_a_cause_that_is_none_any_more_is_to_be_retried(insight: Insight) -> None:
    """Nobody tries it again by itself: the remedy is to `retry` it, as soon as the cause is settled."""
    insight.declare(NET)
    insight.declare(PORT)
    insight.settle(
        PORT, error="DependencyFailed: dependency failed: net:n: StackFailed: CREATE_FAILED: no host"
    )
    insight.settle(NET)
    assert Explainer(insight.known).explain(PORT).remedy == f"net:n is settled now: `retry {PORT}`"
    insight.declare(NET, 2)
    assert Explainer(insight.known).explain(PORT).remedy == f"once net:n is settled: `retry {PORT}`"


def test_a_paused_resource_says_who_can_let_it_go_on(insight: Insight) -> None:
    """The scope of the pause is the reason, who paused it and when a fact, the `resume` of that scope the remedy."""
    insight.declare(NET)
    insight.put(keys.PAUSE + "type/net", {"by": "me", "since": NOW - 60})
    explained = Explainer(insight.known).explain(NET)
    assert (explained.root.text, explained.root.since_s) == ("paused (type/net)", None)
    assert "me paused that 1 min 0 s ago" in explained.root.facts
    assert explained.remedy == "`resume --type net`"


def test_who_waits_for_several_follows_the_one_that_ends_last(waiting: Insight) -> None:
    """Of two that are waited for, the one with the longer chain is followed, the other is named."""
    waiting.known.live = {QUOTA: Live(1, "waiting", "waits", 1.0, awaits=(NET, PORT))}
    waiting.declare(QUOTA)
    first, second, *_ = Explainer(waiting.known).explain(QUOTA).steps
    assert second.ref == PORT
    assert first.others == (NET,)


def test_who_waits_for_many_users_follows_what_is_recorded_as_well(insight: Insight) -> None:
    """Its controller names only the first that is in the way; the last to end may be another."""
    first, last = Ref("port", "a"), Ref("port", "b")
    names = [insight.job(first), insight.job(last, refers=[QUOTA])]
    insight.declare(NET, 2)
    job = Job("modify:heat_worker:net:n:2:x", Action.MODIFY, HEAT, NET, 2, {}, (), tuple(names))
    insight.put(keys.JOBS + job.id, keys.encode_job(job))
    insight.known.live = {NET: Live(2, "waiting", "waits", 1.0, awaits=(first,))}
    assert insight.known.status(NET).awaits == (first, last)
    insight.known.live = {NET: Live(2, "running", "runs", 1.0)}
    assert insight.known.status(NET).awaits == ()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("StackFailed: CREATE_FAILED: Quota exceeded for ports", "quota of the tenant"),
        ("NotOurs: a stack of this name exists", "somebody else's stack"),
        ("MonitorTimeout: monitor 'port' is DOWN", "look at the port"),
        ("MissingOutput: port:p template port: no output", "whose output is missing"),
        ("TooLarge: /jobs/all/x", "larger than etcd takes"),
        ("RequestEntityTooLarge: template 'port': over limit", "Heat, or what stands before it"),
        ("SomethingNew: nobody knows", GENERAL),
    ],
)
def test_every_error_has_a_remedy(error: str, words: str) -> None:
    """The more special words win; what is not known has a general remedy."""
    assert words in remedy(error)


# -------------------------------------------------------------------------------------------- past moments


def test_a_past_moment_is_explained_along_the_chain(insight: Insight) -> None:
    """While the port waited for the network, the network was in Heat's hands: both are said."""
    insight.ended(NET, 110.0, ("own", 1.0), ("heat", 9.0))
    insight.ended(PORT, 120.0, ("own", 1.0), ("waiting", 9.0, "net:n"), ("heat", 10.0))
    steps = explain_at(insight.known, PORT, 105.0).steps
    assert [(s.ref, s.stage, s.text) for s in steps] == [
        (PORT, "waiting", "waited for net:n"),
        (NET, "running", "Heat was at it"),
    ]
    assert steps[0].since_s == pytest.approx(4.0)
    assert explain_at(insight.known, PORT, 121.0).root.text == "CREATE_COMPLETED"
    assert "begins 10.0 s later" in explain_at(insight.known, PORT, 90.0).root.text


# ------------------------------------------------------------------------------------------ critical path


def test_the_parts_of_the_critical_path_sum_to_the_wall_time(insight: Insight) -> None:
    """From the first beginning to the last end every moment counts once, to whom everybody waited for."""
    insight.ended(QUOTA, 100.5, ("own", 0.5))
    insight.ended(NET, 111.0, ("own", 1.0), ("heat", 9.0), ("device", 0.7))
    insight.ended(PORT, 131.0, ("own", 0.5), ("waiting", 9.6, "net:n"), ("heat", 19.9), ("own", 1.0))
    path = critical_path(insight.known, [NET, PORT, QUOTA])
    assert path is not None
    assert [leg.ref for leg in path.legs] == [NET, PORT]
    assert path.wall_s == pytest.approx(131.0 - 100.0)
    assert sum(path.totals.values()) == pytest.approx(path.wall_s)
    assert path.totals["heat"] == pytest.approx(8.8 + 19.9)  # of the network's only until the port went on
    assert path.totals["start"] == pytest.approx(0.3)


def test_a_chain_that_leads_back_ends(insight: Insight) -> None:
    """Two histories that name each other make a path, not a loop."""
    insight.ended(NET, 110.0, ("waiting", 5.0, "port:p"), ("heat", 5.0))
    insight.ended(PORT, 112.0, ("waiting", 9.0, "net:n"), ("heat", 3.0))
    path = critical_path(insight.known, [NET, PORT])
    assert path is not None
    assert [leg.ref for leg in path.legs] == [NET, PORT]


def test_spans_are_bounded_without_losing_time() -> None:
    """However many retries there were, the stretches sum to the whole and fit into a history."""
    spans = Spans()
    for _ in range(3 * SPANS_MAX):
        spans.add("own", 0.25)
        spans.add("backing-off", 1.0)
    assert len(spans.spans) == SPANS_MAX
    assert sum(spans.bill().values()) == pytest.approx(3 * SPANS_MAX * 1.25)
    assert sum(span.seconds for span in read_spans(spans.to_json())) == pytest.approx(3 * SPANS_MAX * 1.25)


def test_a_wait_remembers_the_last_one_waited_for() -> None:
    """Of a shrinking list the one that was left last counts, and only for the wait."""
    spans = Spans()
    spans.blocked_by([NET, PORT])
    spans.blocked_by([PORT])
    spans.blocked_by([])
    spans.add("waiting", 1.0)
    spans.add("heat", 2.0)
    assert spans.spans == [Span("waiting", 1.0, "port:p"), Span("heat", 2.0)]


def test_durations_leave_out_what_failed(insight: Insight) -> None:
    """A failed version is no measure of what is usual."""
    insight.ended(NET, 100.0, ("heat", 2.0))
    insight.ended(NET, 200.0, ("heat", 90.0), version=2, error="StackFailed: x")
    usual = Durations(insight.known).usual("net", "create", "heat")
    assert usual is not None
    assert (usual.p95_s, usual.count) == (2.0, 1)


@pytest.mark.parametrize(
    ("seconds", "text"), [(41.23, "41.2 s"), (61, "1 min 1 s"), (7380, "2 h 3 min"), (180_000, "2 d 2 h")]
)
def test_durations_are_shown_as_people_say_them(seconds: float, text: str) -> None:
    """Two units at most."""
    assert duration(seconds) == text


# -------------------------------------------------------------------------------------------------- graph


def test_the_graph_has_what_a_resource_needs_and_what_needs_it(waiting: Insight) -> None:
    """Around the port: network below, gateway above; something unrelated is left out."""
    waiting.declare(QUOTA)
    graph = build(waiting.known, PORT)
    assert {node.ref for node in graph.nodes} == {NET, PORT, GATEWAY}
    assert {(PORT, NET), (GATEWAY, PORT)} <= set(graph.edges)
    assert not any(QUOTA in edge for edge in graph.edges)
    assert {node.ref for node in build(waiting.known).nodes} == {NET, PORT, GATEWAY, QUOTA}


def test_names_cannot_break_the_forms(insight: Insight) -> None:
    """Quotes, brackets and backslashes in a name are quoted in Mermaid and DOT."""
    insight.declare(NET, name='a"]; x --> y\\')
    graph = build(insight.known)
    assert '["net a&quot;]; x --&gt; y\\<br/>' in as_mermaid(graph)
    assert 'label="net a\\"]; x --> y\\\\\\nv1' in as_dot(graph)


def test_the_critical_path_is_marked_in_every_form(waiting: Insight) -> None:
    """Marked nodes and the edges between them stand out."""
    graph = build(waiting.known, GATEWAY, [NET, PORT])
    assert "* net one n v1" in as_text(graph)
    assert "linkStyle" in as_mermaid(graph)
    assert "penwidth=3" in as_dot(graph)


# ---------------------------------------------------------------------------------------------------- plan


def test_a_plan_of_new_declarations_is_in_order_and_changes_nothing_when_all_is_there(
    insight: Insight,
) -> None:
    """Network first, then the port that needs it; the same again when it is built: nothing."""
    documents = [
        (keys.CONFIG + "v2.0/nets/n", keys.encode_declared({"id": "n", "name": "one"}, 1)),
        (keys.CONFIG + "v2.0/ports/p", keys.encode_declared({"id": "p", "net_id": "n"}, 1)),
    ]
    plans = dry_run(insight.known, [PORT, NET], documents)
    assert [(p.ref, p.wave, p.action) for p in plans] == [(NET, 0, "create"), (PORT, 1, "create")]
    assert plans[1].after == (NET,)
    built = Insight()
    for key, value in documents:
        built.put(key, value)
    built.settle(NET)
    built.settle(PORT)
    assert [p.action for p in dry_run(built.known, [NET, PORT], documents)] == ["", ""]
    assert [p.action for p in dry_run(built.known, [NET, PORT], again=True)] == ["modify", "modify"]


def test_what_a_delete_takes_with_it_goes_in_reverse_order(insight: Insight) -> None:
    """Deleting the network takes the port that needs it, before."""
    insight.declare(NET)
    insight.settle(NET)
    insight.declare(PORT)
    insight.settle(PORT)
    known = insight.known
    needing = {ref: [r for r in known.refs() if ref in needs(known, r)] for ref in known.refs()}
    documents = delete_documents(known, NET, lambda ref: needing[ref])
    plans = dry_run(known, [NET, PORT], documents)
    assert [(p.ref, p.action, p.wave) for p in plans] == [
        (PORT, "logical_delete", 0),
        (NET, "logical_delete", 1),
    ]


def test_a_plan_shows_no_values(insight: Insight) -> None:
    """Parameters are named, their values are not shown: some are secret."""
    insight.declare(NET, name="very-secret")
    (planned,) = dry_run(insight.known, [NET])
    shown = planned.to_json()
    assert shown["jobs"][0]["parameters"] == ["name"]
    assert "very-secret" not in str(shown["jobs"])
