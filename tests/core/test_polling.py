"""The pure rules of polling: what is asked, what is believed, what is answered."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.asking import (
    FULL_CHUNK,
    IF_NAME,
    IF_TABLE_LAST_CHANGE,
    SYS_UP_TIME,
    TWINS_MAX,
    UNKNOWN,
    Plan,
    Query,
    Reply,
    Row,
    States,
    Value,
    oids_of,
    part_of,
    rows_of,
)
from actors.core.polling import (
    NO_NEWS,
    NOT_FOUND,
    Epoch,
    Look,
    PollRequest,
    indexes_in,
    nothing,
    read,
    settle,
    unreachable,
)
from tests.contract.agent_rig import port, query

OPER = "1.3.6.1.2.1.2.2.1.8"
HEADER: Reply = {SYS_UP_TIME: 5000, IF_TABLE_LAST_CHANGE: 100}
LEARNED = Epoch(4000, 100)


def look_at(
    oper: Value, name: Value = b"ge0", header: Reply = HEADER, reference: Epoch = LEARNED
) -> tuple[Look, str | int | None]:
    """Read one answer for port ge0 at ifIndex 7: the look, and the finding."""
    request = PollRequest("h", plan=Plan((port("ge0"),)))
    rows = rows_of(request.queries, {"ge0": (7,)})
    look = read(rows, {**header, f"{OPER}.7": oper, f"{IF_NAME}.7": name}, reference)
    return look, settle(request, rows, look.values, NO_NEWS)[0]


@pytest.mark.parametrize(
    ("oper", "status"),
    [(1, "UP"), (2, "DOWN"), (3, "DOWN"), (4, "UNKNOWN"), (5, "DOWN"), (6, "DOWN"), (7, "DOWN")],
)
def test_oper_status_table(oper, status):
    """Each ifOperStatus has its status; unknown(4) is not DOWN."""
    look, found = look_at(oper)
    assert (look.distrust, found) == ("", status)


@given(
    st.one_of(
        st.none(), st.binary(max_size=3), st.text(max_size=3), st.integers().filter(lambda n: not 1 <= n <= 7)
    )
)
def test_odd_values_are_unknown(value):
    """A value of another type or out of range never becomes UP or DOWN."""
    assert look_at(value)[1] == UNKNOWN


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ({SYS_UP_TIME: 3999, IF_TABLE_LAST_CHANGE: 100}, b"ge0"),
        ({SYS_UP_TIME: 5000, IF_TABLE_LAST_CHANGE: 101}, b"ge0"),
        ({SYS_UP_TIME: 5000, IF_TABLE_LAST_CHANGE: 99}, b"ge0"),
        (HEADER, b"ge1"),
        (HEADER, None),
        (HEADER, 7),
        (HEADER, b""),
    ],
    ids=["uptime fell", "table changed", "table went back", "other name", "no row", "number", "empty"],
)
def test_moved_table_is_not_believed(header, name):
    """A PDU that shows a restart, a changed table or another ifName yields no value at all."""
    look, _ = look_at(1, name, header)
    assert look.distrust
    assert look.values == {}


@pytest.mark.parametrize("header", [{}, {SYS_UP_TIME: None, IF_TABLE_LAST_CHANGE: None}, {SYS_UP_TIME: b"x"}])
def test_unreadable_header_does_not_hide_a_named_row(header):
    """Agents without ifTableLastChange are polled all the same: the name in the PDU is proof enough."""
    look, found = look_at(1, header=header)
    assert (look.epoch, found) == (Epoch(None, None), "UP")


def test_nul_padded_name_is_the_name():
    """Some agents pad ifName with NUL."""
    assert look_at(1, b"ge0\0\0")[0].distrust == ""


def test_missing_varbinds_are_unknown_and_no_reason_for_distrust():
    """A value or name left out of the reply makes that row UNKNOWN; the neighbours stay believed."""
    request = PollRequest("h", plan=Plan(tuple(map(port, "abc"))))
    rows = rows_of(request.queries, {"a": (1,), "b": (2,), "c": (3,)})
    reply: dict[str, Value] = {**HEADER, f"{IF_NAME}.1": b"a", f"{OPER}.2": 2}
    reply |= {f"{IF_NAME}.3": b"c", f"{OPER}.3": 1}
    look = read(rows, reply, LEARNED)
    assert look.distrust == ""
    assert settle(request, rows, look.values, NO_NEWS) == (UNKNOWN, UNKNOWN, "UP")


def test_one_pdu_has_the_header_and_each_oid_once():
    """The header comes first, a name shared by a port and a virtual router is asked once."""
    routers = [query("vrrp_session", interface="ae0", vrid=vrid) for vrid in (3, 4)]
    queries = (port("ae0"), *routers, query("bgp_session", peer_address="10.0.0.1"), query("switch"))
    oids = oids_of(rows_of(queries, {"ae0": (9,)}))
    assert oids == (
        SYS_UP_TIME,
        IF_TABLE_LAST_CHANGE,
        f"{OPER}.9",
        f"{IF_NAME}.9",
        "1.3.6.1.2.1.68.1.3.1.3.9.3",
        "1.3.6.1.2.1.68.1.3.1.3.9.4",
        "1.3.6.1.2.1.15.3.1.2.10.0.0.1",
    )


@given(st.lists(st.text(max_size=255), max_size=80), st.integers(1, FULL_CHUNK))
def test_parts_make_the_whole(names, chunk):
    """The PDUs of a poll ask every row once, in order, at most `chunk` of them and no more than fit a reply."""
    rows = [Row(at, f"1.3.{at}", name, at) for at, name in enumerate(names)]
    parts, begin = [], 0
    while begin < len(rows):
        parts.append(part_of(rows, begin, chunk))
        begin += len(parts[-1])
    assert [row for part in parts for row in part] == rows
    for part in parts:
        assert 1 <= len(part) <= chunk
        assert len(part) == 1 or sum(40 + len(row.name) for row in part) <= 1300


@pytest.mark.parametrize(
    ("value", "vrrp", "bgp"),
    [
        (1, "INITIALIZE", "IDLE"),
        (2, "BACKUP", "CONNECT"),
        (3, "MASTER", "ACTIVE"),
        (4, UNKNOWN, "OPENSENT"),
        (5, UNKNOWN, "OPENCONFIRM"),
        (6, UNKNOWN, "ESTABLISHED"),
        (7, UNKNOWN, UNKNOWN),
        (None, NOT_FOUND, NOT_FOUND),
        (b"3", UNKNOWN, UNKNOWN),
    ],
)
def test_vrrp_and_bgp_states(value, vrrp, bgp):
    """Each protocol state has its name; a row that the agent does not have is NOT_FOUND."""
    queries = (
        query("vrrp_session", interface="ae0", vrid=3),
        query("bgp_session", peer_address="10.0.0.1"),
    )
    request = PollRequest("h", plan=Plan(queries))
    rows = rows_of(queries, {"ae0": (9,)})
    reply = {**HEADER, f"{IF_NAME}.9": b"ae0", rows[0].oid: value, rows[1].oid: value}
    assert settle(request, rows, read(rows, reply, LEARNED).values, NO_NEWS) == (vrrp, bgp)


@pytest.mark.parametrize(
    ("numbers", "status"),
    [((2, 1, 2), "UP"), ((1, 1, 2), "UP"), ((2, 2, 2), "DOWN"), ((1, 2, 4), "UP"), ((4, 2, 2), "DOWN")],
)
def test_of_rows_with_one_name_the_live_one_counts(numbers, status):
    """Among duplicates of an ifName the row that is up is taken, else the highest index."""
    request = PollRequest("h", plan=Plan((port("vtun2"),)))
    rows = rows_of(request.queries, {"vtun2": (10, 20, 30)})
    assert settle(request, rows, dict(zip(rows, numbers, strict=True)), NO_NEWS) == (status,)


def test_without_a_row_the_caller_says_what_it_means():
    """A name without a row is what the caller says: NOT_FOUND after a walk, no news without; a number is None."""
    request = PollRequest("h", plan=Plan((port("ge9"), Query("1.3.6.#", "ge9"))))
    assert settle(request, (), {}, NOT_FOUND) == (NOT_FOUND, None)
    assert nothing(request, NO_NEWS) == (NO_NEWS, None)


def test_walk_skips_rows_that_are_no_names():
    """What a walk returns beside ifName rows, or as other types, is not taken for a name."""
    walked: dict[str, Value] = {
        f"{IF_NAME}.1": b"a",
        f"{IF_NAME}.2": 5,
        f"{IF_NAME}.3.4": b"b",
        "1.3.6.1.9": b"c",
        f"{IF_NAME}.5": None,
        f"{IF_NAME}.6": b"unwanted",
    }
    assert indexes_in(walked, ("a", "b", "c")) == {"a": (1,), "b": (), "c": ()}


def test_twins_are_bounded():
    """An agent that gives one name to thousands of rows does not make thousands of questions."""
    walked: dict[str, Value] = {f"{IF_NAME}.{i}": b"a" for i in range(1, 5000)}
    assert indexes_in(walked, ("a",)) == {"a": tuple(range(5000 - TWINS_MAX, 5000))}


@given(
    st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["a", "b", "c"])), unique_by=lambda row: row[0]),
    st.dictionaries(st.integers(1, 40), st.sampled_from([1, 2, 4])),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.lists(st.integers(1, 40), max_size=3).map(tuple)),
    st.sampled_from([None, LEARNED, Epoch(6000, 100), Epoch(4000, 5)]),
)
def test_whatever_the_cache_says_no_status_of_another_port_comes_out(table, oper, cached, reference):
    """With any stale index, a status other than UNKNOWN is the status of a row that bears the name."""
    names = dict(table)
    request = PollRequest("h", plan=Plan(tuple(map(port, "abc")), cached))
    rows = rows_of(request.queries, cached)
    reply: dict[str, Value] = dict(HEADER)
    for row in rows:
        there = row.if_index in names
        reply[row.name_oid] = names[row.if_index].encode() if there else None
        reply[row.oid] = oper.get(row.if_index, 1) if there else None
    found = settle(request, rows, read(rows, reply, reference).values, NO_NEWS)
    for name, status in zip("abc", found, strict=True):
        true = {{1: "UP", 2: "DOWN", 4: UNKNOWN}[oper.get(i, 1)] for i, n in names.items() if n == name}
        assert status in (UNKNOWN, NO_NEWS) or status in true


def test_unreachable_keeps_what_was_learned():
    """Silence makes everything UNKNOWN, and loses neither indexes nor epoch."""
    queries = (port("a"), Query("1.3.6.1.9.0"))
    request = PollRequest("h", plan=Plan(queries, {"a": (4,), "b": (5,)}), epoch=LEARNED, chunk=6)
    answer = unreachable(request, "Timeout: no answer")
    assert not answer.reachable
    assert answer.found == (UNKNOWN, None)
    assert request.after(answer) == request


def test_a_request_travels_small():
    """Fifty ports share one table of states on the wire."""
    queries = tuple(port(f"xe-0/0/{i}") for i in range(50))
    request = PollRequest("h", plan=Plan(queries, {q.interface: (i,) for i, q in enumerate(queries)}))
    assert pickle.loads(pickle.dumps(request, 5)) == request
    assert len(pickle.dumps(request, 5)) < 4000


def test_a_plan_is_worked_out_once():
    """The pickle of a plan gives the same plan again, in whatever request it comes, and cuts PDUs as `part_of` does."""
    queries = tuple(port(f"xe-0/0/{i}") for i in range(60))
    plan = Plan(queries, {q.interface: (i, i + 100) for i, q in enumerate(queries)})
    first, again = (
        pickle.loads(pickle.dumps(PollRequest(host, plan=plan, chunk=chunk))).plan
        for host, chunk in (("a", 1), ("b", 2))
    )
    assert first is again
    assert first == plan
    for begin, chunk in [(0, 25), (3, 7), (100, 25), (119, 1)] * 2 + [(at, 25) for at in range(100)]:
        part, oids = first.part(begin, chunk)
        assert part == part_of(first.rows, begin, chunk)
        assert oids == oids_of(part)


def test_a_plan_knows_whether_a_name_has_no_row():
    """A wanted interface without a row is lacking; one that is not wanted, or a value without interface, is not."""
    queries = (port("a"), Query("1.3.6.1.9.0"))
    assert Plan(queries, {"b": (1,)}).lacking
    assert not Plan(queries, {"a": (1,), "b": ()}).lacking
    assert not Plan(queries[1:]).lacking


def test_a_plan_that_wants_the_same_stays():
    """What is worked out is kept while nothing else is wanted, and only then."""
    plan = Plan((port("a"),), {"a": (1,)})
    assert plan.then(Plan((port("a"),), {"a": (1,)})) is plan
    other = Plan((port("a"),), {"a": (2,)})
    assert plan.then(other) is other


def test_a_device_is_up_when_any_number_is_read():
    """Types whose numbers say nothing (sysUpTime) are UP with every number, and UNKNOWN without one."""
    states = States({}, other="UP")
    assert [states.status(value) for value in (0, 7, None, b"7", "1.3")] == [
        "UP",
        "UP",
        UNKNOWN,
        UNKNOWN,
        UNKNOWN,
    ]
