"""The pure rules of polling: what is asked, what is believed, what is answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.polling import (
    BGP_PEER_STATE,
    IF_NAME,
    IF_OPER_STATUS,
    IF_TABLE_LAST_CHANGE,
    NOT_FOUND,
    SYS_UP_TIME,
    UNKNOWN,
    VRRP_OPER_STATE,
    BgpQuery,
    Epoch,
    Look,
    PollAnswer,
    PollRequest,
    PortQuery,
    Reply,
    Row,
    Value,
    VrrpQuery,
    candidates_in,
    candidates_of,
    oids_of,
    read,
    rows_of,
    settle,
    unreachable,
)

HEADER: Reply = {SYS_UP_TIME: 5000, IF_TABLE_LAST_CHANGE: 100}
LEARNED = Epoch(4000, 100)


def port_request(*names: str, **known: int) -> PollRequest:
    """A request for ports, with the indexes given by name."""
    return PollRequest("127.0.0.1", ports=tuple(PortQuery(n, known.get(n)) for n in names))


def look_at(
    oper: Value, name: Value = b"ge0", header: Reply = HEADER, reference: Epoch = LEARNED
) -> tuple[Look, tuple[Row, ...]]:
    """Read one answer for port ge0 at ifIndex 7."""
    rows = rows_of(port_request("ge0"), {"ge0": (7,)})
    reply = {**header, f"{IF_OPER_STATUS}.7": oper, f"{IF_NAME}.7": name}
    return read(rows, reply, reference), rows


@pytest.mark.parametrize(
    ("oper", "status"),
    [(1, "UP"), (2, "DOWN"), (3, "DOWN"), (4, "UNKNOWN"), (5, "DOWN"), (6, "DOWN"), (7, "DOWN")],
)
def test_oper_status_table(oper, status):
    """Each ifOperStatus has its status; unknown(4) is not DOWN."""
    look, rows = look_at(oper)
    assert look.distrust == ""
    assert look.statuses == {rows[0]: status}


@given(
    st.one_of(
        st.none(), st.binary(max_size=3), st.text(max_size=3), st.integers().filter(lambda n: not 1 <= n <= 7)
    )
)
def test_odd_values_are_unknown(value):
    """A value of another type or out of range never becomes UP or DOWN."""
    look, rows = look_at(value)
    assert look.statuses == {rows[0]: UNKNOWN}


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
    """A PDU that shows a restart, a changed table or another ifName yields no status at all."""
    look, _ = look_at(1, name, header)
    assert look.distrust
    assert look.statuses == {}


@pytest.mark.parametrize("header", [{}, {SYS_UP_TIME: None, IF_TABLE_LAST_CHANGE: None}, {SYS_UP_TIME: b"x"}])
def test_unreadable_header_does_not_hide_a_named_row(header):
    """Agents without ifTableLastChange are polled all the same: the name in the PDU is proof enough."""
    look, rows = look_at(1, header=header)
    assert look.epoch == Epoch(None, None)
    assert look.statuses == {rows[0]: "UP"}


def test_nul_padded_name_is_the_name():
    """Some agents pad ifName with NUL."""
    assert look_at(1, b"ge0\0\0")[0].distrust == ""


def test_missing_varbinds_are_unknown_and_no_reason_for_distrust():
    """A value or name left out of the reply makes that row UNKNOWN; the neighbours stay believed."""
    rows = rows_of(port_request("a", "b", "c"), {"a": (1,), "b": (2,), "c": (3,)})
    reply: dict[str, Value] = {**HEADER, f"{IF_NAME}.1": b"a", f"{IF_OPER_STATUS}.2": 2}
    reply |= {f"{IF_NAME}.3": b"c", f"{IF_OPER_STATUS}.3": 1}
    look = read(rows, reply, LEARNED)
    assert look.distrust == ""
    assert [look.statuses[row] for row in rows] == [UNKNOWN, UNKNOWN, "UP"]


def test_one_pdu_has_the_header_and_each_oid_once():
    """The header comes first, a name shared by a port and a virtual router is asked once."""
    request = PollRequest(
        "127.0.0.1",
        ports=(PortQuery("ae0", 9),),
        vrrp=(VrrpQuery("ae0", 3, 9), VrrpQuery("ae0", 4, 9)),
        bgp=(BgpQuery("10.0.0.1"),),
    )
    oids = oids_of(rows_of(request, candidates_of(request.cached())))
    assert oids[:2] == (SYS_UP_TIME, IF_TABLE_LAST_CHANGE)
    assert sorted(oids[2:]) == sorted(
        [
            f"{IF_OPER_STATUS}.9",
            f"{IF_NAME}.9",
            f"{VRRP_OPER_STATE}.9.3",
            f"{VRRP_OPER_STATE}.9.4",
            f"{BGP_PEER_STATE}.10.0.0.1",
        ]
    )


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
    router, peer = VrrpQuery("ae0", 3), BgpQuery("10.0.0.1")
    request = PollRequest("127.0.0.1", vrrp=(router,), bgp=(peer,))
    candidates = {"ae0": (9,)}
    rows = rows_of(request, candidates)
    reply = {
        **HEADER,
        f"{IF_NAME}.9": b"ae0",
        f"{VRRP_OPER_STATE}.9.3": value,
        f"{BGP_PEER_STATE}.10.0.0.1": value,
    }
    findings = settle(request, candidates, read(rows, reply, LEARNED).statuses, walked=False)
    assert findings.vrrp == {router: vrrp}
    assert findings.bgp == {"10.0.0.1": bgp}
    assert findings.indexes == {"ae0": 9}


@pytest.mark.parametrize(
    ("statuses", "index", "status"),
    [
        (["DOWN", "UP", "DOWN"], 20, "UP"),
        (["UP", "UP", "DOWN"], 20, "UP"),
        (["DOWN", "DOWN", "DOWN"], 30, "DOWN"),
        (["UP", "DOWN", "UNKNOWN"], 10, "UP"),
    ],
)
def test_of_rows_with_one_name_the_live_one_counts(statuses, index, status):
    """Among duplicates of an ifName the row that is up is taken, else the highest index."""
    request = port_request("vtun2")
    candidates = candidates_in({f"{IF_NAME}.{i}": b"vtun2" for i in (30, 10, 20)})
    rows = rows_of(request, candidates)
    findings = settle(request, candidates, dict(zip(rows, statuses, strict=True)), walked=True)
    assert findings.ports == {"vtun2": status}
    assert findings.indexes == {"vtun2": index}


def test_not_found_needs_a_walk():
    """A name without a row is NOT_FOUND after a walk, and UNKNOWN if nobody looked."""
    request = port_request("ge9")
    assert settle(request, {}, {}, walked=True).ports == {"ge9": NOT_FOUND}
    assert settle(request, {}, {}, walked=False).ports == {"ge9": UNKNOWN}


def test_walk_skips_rows_that_are_no_names():
    """What a walk returns beside ifName rows, or as other types, is not taken for a name."""
    walked: dict[str, Value] = {
        f"{IF_NAME}.1": b"a",
        f"{IF_NAME}.2": 5,
        f"{IF_NAME}.3.4": b"b",
        "1.3.6.1.9": b"c",
        f"{IF_NAME}.5": None,
    }
    assert candidates_in(walked) == {"a": [1]}


@given(
    st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["a", "b", "c"])), unique_by=lambda row: row[0]),
    st.dictionaries(st.integers(1, 40), st.sampled_from([1, 2, 4])),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(1, 40)),
    st.sampled_from([None, LEARNED, Epoch(6000, 100), Epoch(4000, 5)]),
)
def test_whatever_the_cache_says_no_status_of_another_port_comes_out(table, oper, cached, reference):
    """With any stale index, a status other than UNKNOWN is the status of a row that bears the name."""
    names = dict(table)
    request = port_request("a", "b", "c", **cached)
    candidates = candidates_of(request.cached())
    rows = rows_of(request, candidates)
    reply: dict[str, Value] = dict(HEADER)
    for row in rows:
        reply[row.name_oid] = names[row.index].encode() if row.index in names else None
        reply[row.value_oid] = oper.get(row.index, 1) if row.index in names else None
    findings = settle(request, candidates, read(rows, reply, reference).statuses, walked=False)
    for name, status in findings.ports.items():
        true = {{1: "UP", 2: "DOWN", 4: UNKNOWN}[oper.get(i, 1)] for i, n in names.items() if n == name}
        assert status == UNKNOWN or status in true


def test_unreachable_keeps_what_was_learned():
    """Silence makes everything UNKNOWN, and loses neither indexes nor epoch."""
    request = PollRequest(
        "h",
        ports=(PortQuery("a", 4),),
        vrrp=(VrrpQuery("b", 1, 5),),
        bgp=(BgpQuery("1.2.3.4"),),
        epoch=LEARNED,
        chunk=6,
    )
    answer = unreachable(request, "Timeout: no answer")
    assert not answer.reachable
    assert answer.device == UNKNOWN
    assert {*answer.ports.values(), *answer.vrrp.values(), *answer.bgp.values()} == {UNKNOWN}
    assert (answer.indexes, answer.epoch, answer.chunk) == ({"a": 4, "b": 5}, LEARNED, 6)


def test_device_is_up_only_with_a_readable_uptime():
    """A device that answers without sysUpTime is reachable but not UP."""
    assert PollAnswer(reachable=True, epoch=Epoch(1, None)).device == "UP"
    assert PollAnswer(reachable=True, epoch=Epoch(None, 1)).device == UNKNOWN
    assert PollAnswer(reachable=False, epoch=Epoch(1, None)).device == UNKNOWN
