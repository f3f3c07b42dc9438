"""Single values that once did harm: each is read as far as it can be, or is one short error that names its key."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from actors.core import history, keys, monitors
from actors.core.job_ids import resource_of
from actors.core.keys import BadValue
from actors.core.model import Ref
from actors.core.monitors import Target, decode_targets, encode_targets
from actors.core.ownership import SHARDS, Claim, Claims, member_key, shard_key, shard_number
from actors.core.polling import host_and_port
from actors.core.recorded_job import read_job
from actors.core.spans import Spans
from tests.core.mirror import PORT
from tests.core.test_hostile_records import (
    JOB,
    LINE,
    RECORDS,
    TARGET,
    WHOLE_JOB,
    ask_everything,
    insight_of_three,
)
from tests.core.test_monitors import MONITOR_TYPES

#: Values of many kinds that no member of that kind is.
NO_TEXT: tuple[Any, ...] = (5, None, [], {})
NO_NAME: tuple[Any, ...] = ([], 1, None)
NO_IDS: tuple[Any, ...] = (None, "abc", [[]], [1])
NO_PAIRS: tuple[Any, ...] = (1, "ab", ["ab"], [[1, "a"]], [["a"]])


@pytest.mark.parametrize(
    "number", ["1" * 5000, "", "-1", "+1", "1_0", " 1", "1 ", "01", "\u00b2", "\u0661", "256", "1.0", "0x1"]
)
def test_only_small_numbers_are_shards(number: str) -> None:
    """What is below the keys of shards and no number of one is nobody's."""
    assert shard_number(SHARDS + number) is None
    assert [shard_number(shard_key(n)) for n in (0, 9, 255)] == [0, 9, 255]
    assert shard_number(number) is None


def test_what_no_controller_wrote_is_no_member() -> None:
    """A member's key holds its own id: anything else would be given shards that nobody takes."""
    claims = Claims("me")
    claims.listed(
        [Claim(member_key(name), owner, 1) for name, owner in (("", ""), ("x", "y"), ("me", "me"))], 1
    )
    assert claims.members == {"me"}
    claims.changed([(member_key("me"), Claim(member_key("me"), "somebody", 2))], 2)
    assert not claims.members


@pytest.mark.parametrize("version", [None, True, "1", 1.0, [1], 2**63, 10**300, -(2**63), 0, -1])
def test_versions_are_whole_numbers_of_63_bits(version: Any) -> None:
    """Anything else is one error that names the key and shows what stands there; only a declaration begins at 1."""
    value = json.dumps({"body": {}, "version": version, "targets": []}).encode()
    readers: list[Callable[[], Any]] = [lambda: keys.decode_declared("k", value, PORT, 1)]
    if version not in (0, -1) or version is True:
        readers += [lambda: keys.decode_accepted("k", value, PORT, 1), lambda: keys.decode_state("k", value)]
    for read in readers:
        with pytest.raises(BadValue, match=r"^k: member 'version' must be") as caught:
            read()
        assert len(str(caught.value)) < 250


def _job(**members: Any) -> bytes:
    return json.dumps(["heat_worker", json.loads(keys.encode_job(WHOLE_JOB))[1] | members, 0]).encode()


@pytest.mark.parametrize(
    ("member", "value"),
    [
        *((name, bad) for name in ("id", "resource_type", "resource_id") for bad in NO_TEXT),
        *(("version", bad) for bad in (None, True, "1", 1.5, 0, -1, 2**63)),
        *(("dependency", bad) for bad in NO_IDS),
        *((name, 1) for name in ("is_first", "is_last", "resource_input", "params", "action", "handler")),
        *(("params", [bad]) for bad in (1, {}, {"param": 1, "type": "value", "value": 1, "resources": []})),
        ("params", [{"param": "a", "type": "value", "value": 1, "resources": [{"resource_type": "x"}]}]),
        ("params", [{"param": "a", "type": "output_key", "value": 1, "resources": []}]),
        ("params", [{"param": "a", "type": "list", "value": [1], "resources": []}]),
        ("on_failure", "x" * 5000),
    ],
)
def test_a_job_has_the_members_that_it_must_have(member: str, value: Any) -> None:
    """Both readers of jobs refuse the same, with one short error that names the key."""
    key, raw = keys.JOBS + JOB, _job(**{member: value})
    for read in (lambda: keys.decode_job(key, raw), lambda: read_job(key, raw, 1)):
        with pytest.raises(BadValue, match=f"^{key}: not a job") as caught:
            read()
        assert len(str(caught.value)) < len(key) + 500


def test_a_job_of_another_id_than_its_key_is_refused() -> None:
    """Its actor would guard and remove another key than that under which it stands."""
    with pytest.raises(BadValue, match=r"^/jobs/all/x: not a job \(its id is another one"):
        read_job("/jobs/all/x", _job(), 1)


@pytest.mark.parametrize("named", [{"resource_type": "strange"}, {"resource_id": ""}, {"resource_id": "a/b"}])
def test_nobody_works_at_what_no_key_can_name(named: dict[str, str]) -> None:
    """A job of an unknown type, or of an id that no key has, is a problem and no resource; others may wait for it."""
    insight = insight_of_three()
    insight.put(keys.JOBS + JOB, _job(**named))
    ref = Ref(named.get("resource_type", "port"), named.get("resource_id", "p"))
    assert not insight.world.leftovers() and not insight.world.needs_work(ref)
    assert "nobody runs it" in insight.world.problems[keys.JOBS + JOB]
    assert insight.world.live(JOB)


def test_a_jump_of_versions_takes_no_room() -> None:
    """The versions that were skipped are bounded, not made and then cut."""
    line = history.Line(2**62, "a", "o", "", 1.0, Spans())
    skipped = history.read(history.append(b'{"lines":[{"version":1}]}', line, 0))[-1]["skipped"]
    assert skipped == list(range(2**62 - history.LINES, 2**62))
    few = history.append(b'{"lines":[{"version":1}]}', history.Line(4, "a", "o", "", 1.0, Spans()), 0)
    assert history.read(few)[-1]["skipped"] == [2, 3]


def test_a_history_that_would_fill_etcd_is_begun_anew() -> None:
    """What somebody stuffed cannot keep an outcome from being recorded."""
    stuffed = json.dumps({"lines": [{"version": 1, "x": "x" * history.RAW_MAX}]}).encode()
    assert len(history.read(history.append(stuffed, LINE, 0))) == 1


@pytest.mark.parametrize(
    ("member", "value"),
    [
        *((name, bad) for name in ("name", "type", "host", "wanted") for bad in NO_NAME),
        *(
            (name, bad)
            for name in ("timeout_s", "hold_s", "interval_s")
            for bad in ("1", True, -1, 1e9, 10**300)
        ),
        *((name, 1e-300) for name in ("interval_s", "retry_s")),
        *(("keys", bad) for bad in NO_PAIRS),
        ("tags", [["ab"]]),
        ("tags", 1),
        ("positive", "UP"),
        ("pools", [["ab"]]),
        ("mibs", [1]),
        ("passive", 1),
        ("x" * 5000, 1),
    ],
)
def test_a_stored_target_has_members_of_its_types(member: str, value: Any) -> None:
    """Anything else is one problem of the mirror, and nothing is watched in its name."""
    insight, key = insight_of_three(), keys.TARGETS + "v2.0/ports/p"
    entry = json.loads(encode_targets(1, [TARGET]))["targets"][0] | {member: value}
    insight.put(key, {"version": 1, "targets": [entry]})
    assert insight.world.problems[key].startswith(f"{key}: not a list of targets (ValueError: ")
    assert len(insight.world.problems[key]) < 500 and insight.world.targets(PORT) is None


def test_targets_are_kept_as_they_were() -> None:
    """What is valid is read back; what is absent is as by default."""
    assert decode_targets(encode_targets(3, [TARGET])) == (3, (TARGET,))
    assert decode_targets(b'{"version":1,"targets":[{"name":"a","type":"t"}]}') == (1, (Target("a", "t"),))


def test_keys_that_are_no_utf_8_are_known_to_nobody() -> None:
    """They are one problem, which ends with the key."""
    insight = insight_of_three()
    for root in (keys.PAUSE + "type/", keys.JOBS, keys.HISTORY + "v2.0/nets/", keys.ATTEMPTS + "v2.0/nets/"):
        insight.put(root + "\udcff", b"{}")
    assert not insight.known.pauses() and not list(insight.known.histories())
    json.dumps(list(insight.world.problems.values()), ensure_ascii=False).encode()
    for root in (keys.PAUSE + "type/", keys.JOBS):
        insight.known.delete(root + "\udcff")
    assert not insight.world.problems


@pytest.mark.parametrize(
    "line",
    [
        {"seconds": {"own": [1]}},
        {"seconds": [1]},
        {"retries": [1]},
        {"retries": "many"},
        {"spans": [["own", -1], ["heat", True], ["x", 1e300], [1, 2], 5, ["own", 10**300]]},
        {"ended": 1e300},
        {"ended": "now"},
        {"skipped": [[], "x", None]},
        {"error": None, "action": 1, "outcome": []},
    ],
)
def test_a_line_of_history_is_read_as_far_as_it_can_be(line: dict[str, Any]) -> None:
    """A member that is not what it should be is as if it were absent."""
    insight = insight_of_three()
    insight.put(keys.HISTORY + "v2.0/ports/p", {"lines": [{"version": 1, **line}, {"version": [1]}]})
    [read] = insight.known.events(PORT)
    assert (read.version, read.retries, read.spans, read.skipped, read.error) == (1, 0, (), (), "")
    ask_everything(insight)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        *(("found", bad) for bad in ("inf", "1", None, True, -1, 1e300, 10**300)),
        *(("version", bad) for bad in ("1", True, 1.5, None)),
        ("text", 5),
        ("drift", []),
        ("drift", "x" * 5000),
    ],
)
def test_a_finding_has_members_of_its_types(member: str, value: Any) -> None:
    """Anything else is one problem, and no finding."""
    insight, key = insight_of_three(), keys.DRIFT + "v2.0/ports/p"
    insight.put(key, RECORDS[key] | {member: value})
    assert insight.world.drift(PORT) is None and len(insight.world.problems[key]) < 600
    ask_everything(insight)


@pytest.mark.parametrize(
    "value", ["[" + "1," * 500_000 + "1]", '"' + "x" * 1_000_000 + '"', '{"a":[' + "1," * 99_999 + "1]}"]
)
def test_errors_quote_little(value: str) -> None:
    """Whatever the size of what stands there, its error fits on a screen."""
    insight = insight_of_three()
    for key, record in RECORDS.items():
        for name in record if isinstance(record, dict) else ():
            other = record | {name: json.loads(value)}
            insight.put(key, {"body": other, "version": 1} if key.startswith(keys.TEMPLATES) else other)
            assert len(insight.world.problems.get(key, "")) < 1_000


@pytest.mark.parametrize("rest", ["", "a/b", "/", "a/"])
def test_a_template_has_an_id_without_slashes(rest: str) -> None:
    """Anything else is a problem, and no other template is touched by it."""
    insight, valid = insight_of_three(), RECORDS[keys.TEMPLATES + "Cport"]
    insight.put(keys.TEMPLATES + "b", valid)
    before = insight.world.template("b")
    insight.put(keys.TEMPLATES + rest, valid)
    assert insight.world.template("b") is before
    assert "the id of a template must not be empty" in insight.world.problems[keys.TEMPLATES + rest]
    insight.known.delete(keys.TEMPLATES + rest)
    assert insight.world.template("b") is before and not insight.world.problems


def test_what_is_no_job_id_names_no_resource() -> None:
    """Any text is read; an id of a resource may have colons."""
    assert resource_of(JOB) == (PORT, 2)
    assert resource_of("create:heat_worker:net:a:b:7:abcde") == (Ref("net", "a:b"), 7)
    for text in ("", "a", ":::::x:", "a:b:c:d:e:f", "a:b:c:d:" + "9" * 5000 + ":f", "a:b:c:d:²:f"):
        assert resource_of(text) is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("h", ("h", 161)),
        ("h:162", ("h", 162)),
        ("h:", ("h", 161)),
        ("fe80::1", ("fe80::1", 161)),
        ("h:x", ("h:x", 161)),
        ("h:70000", ("h:70000", 161)),
        ("h:" + "1" * 5000, ("h:" + "1" * 5000, 161)),
    ],
)
def test_an_address_without_a_port_number_is_all_host(address: str, expected: tuple[str, int]) -> None:
    """No address of a device is an error before it is asked."""
    assert host_and_port(address, 161) == expected


def test_a_monitor_must_not_be_looked_at_without_end() -> None:
    """A period of next to nothing, or a number beyond all numbers, is an error of the document."""
    for prop, value in (("interval", 1e-300), ("time_between_retries", 1e-9), ("timeout", 10**400)):
        with pytest.raises(monitors.BadMonitor, match=prop) as caught:
            monitors._seconds("m", prop, value, 1.0)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("number", ["x", "1.x", "9" * 5000])
def test_a_stored_property_that_no_oid_can_hold_is_refused(number: str) -> None:
    """One bad target would spoil the polls of everything that is on its device."""
    given = (("interface", "xe-0/0/1"), ("vrid", number))
    target, row = Target("m", "vrrp_session", "h", keys=given), MONITOR_TYPES["vrrp_session"]
    with pytest.raises(monitors.BadMonitor, match="must be a whole number") as caught:
        monitors.queries_of(target, row)
    assert len(str(caught.value)) < 300
