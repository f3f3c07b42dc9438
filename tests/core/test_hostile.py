"""Values and keys that nobody meant well: whatever stands in etcd is read, or is one problem that names its key."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core import keys
from actors.core.json_text import DEPTH_MAX, GIVEN_DEPTH_MAX, check_given, compact, parse
from actors.core.keys import BadValue
from actors.core.model import Action, Handler, Workflow
from actors.core.ordering import Held, templates_of, try_plan
from actors.core.plan import Jobless, PlanError
from actors.ports import Entry
from actors.records import read_records, record_keys
from actors.transactions import paths
from tests.core.mirror import GATEWAY, NET, PORT, Mirror

_TEXT = st.one_of(
    st.sampled_from(["", "n", "p", "id", "net_id", "v2.0", "{", "\ud800", "\x00", "Cnet"]),
    st.text(max_size=4),
)
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.just(10**40), st.floats(), _TEXT, st.just("x" * 300)
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_DEEP = st.integers(1, 3000).map(lambda n: "[" * n + "]" * n)
_MEMBERS = (
    "body", "version", "marked_for_deletion", "state", "error", "output", "targets", "drift", "found", "text", "lines",
    "parameter_mappings", "template_file", "handler", "deleted", "params", "id", "resource_id", "resource_type",
)  # fmt: skip
_OBJECT = st.dictionaries(st.sampled_from(_MEMBERS), _JSON, max_size=5)
_ROOTS = (
    keys.CONFIG, keys.TEMPLATES, keys.JOBS, keys.STATE, keys.MONITORING, keys.TARGETS, keys.DRIFT, keys.ACCEPTED,
    keys.RECONCILE, keys.PAUSE, keys.JOB_STATE, keys.HISTORY, keys.ATTEMPTS,
)  # fmt: skip
_PATHS = st.one_of(
    st.sampled_from(["v2.0/nets/n", "v2.0/ports/p", "v2.0/gateways/g", "v2.0/nets/", "Cnet", "Cport", "a"]),
    st.sampled_from(["v2.0/nets/\udcff", "v2.0/ports/a/b", "v2.0/ports/\x00", "v2.0/ports/" + "x" * 3000]),
    _TEXT,
)
_BODY = st.dictionaries(
    st.sampled_from(["id", "net_id", "port_id", "gateway_id", "name", "tenant_id"]), _JSON
)
_MAPPING = st.dictionaries(
    _TEXT,
    st.one_of(
        _JSON,
        st.sampled_from(["Pname", "Mnet:net_id:id", "Mport:port_id:id", "Pid:name", "Mnet:id:id"]),
        st.dictionaries(
            st.sampled_from(["field", "path", "type", "id", "value", "for_field", "concatenate"]), _JSON
        ),
    ),
)


def _raw(value: Any) -> bytes:
    return json.dumps(value).encode()


_VALUES = st.one_of(
    st.binary(max_size=8), _DEEP.map(str.encode), _JSON.map(_raw), _OBJECT.map(_raw),
    st.builds(lambda body: _raw({"body": body, "version": 1}), st.one_of(_DEEP, _BODY, _OBJECT.map(json.dumps))),
    st.builds(lambda m: _raw({"body": {"parameter_mappings": m, "template_file": ""}, "version": 1}), _MAPPING),
)  # fmt: skip


@given(root=st.sampled_from(_ROOTS), path=_PATHS, value=_VALUES)
def test_the_mirror_takes_anything(root: str, path: str, value: bytes) -> None:
    """No value under no key makes the mirror fail, nor what is asked of it afterwards."""
    mirror = Mirror()
    for ref in (NET, PORT, GATEWAY):
        mirror.declare(ref)
    mirror.put(root + path, value)
    world = mirror.world
    for ref in sorted([*world.refs(), *world.leftovers()]):
        world.needs_work(ref)
        declared = world.declaration(ref)
        assert declared is None or parse(keys.encode_accepted(declared))["body"] == declared.body
        if declared is None:
            continue
        for action in (Action.CREATE, Action.MODIFY, Action.LOGICAL_DELETE):
            try:
                made = try_plan(world, declared, None, action, built=frozenset({Handler.HEAT}))
            except PlanError:
                continue
            assert isinstance(made, Workflow | Jobless | Held)
            for job in made.jobs if isinstance(made, Workflow) else ():
                assert keys.decode_job(keys.JOBS + job.id, keys.encode_job(job)) == job
        templates_of(world, declared)
    for key in world.keys_known():
        world.delete(key)
    assert not list(world.refs())


@given(which=st.integers(0, 20), value=_VALUES)
def test_records_are_read_or_refused(which: int, value: bytes) -> None:
    """What stands under the keys of a resource is read, or is one error that its actor expects."""
    mirror = Mirror()
    declared = mirror.declare(NET)
    names = record_keys(paths(mirror.world.types, NET), [])
    key = names[which % len(names)]
    entry = Entry(key, value, 5, 5)
    with contextlib.suppress(BadValue, KeyError, ValueError):
        read_records(NET, paths(mirror.world.types, NET), declared, {key: entry})


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("[" * 100_000, "depth limit"),
        ("[" * 2_000 + "]" * 2_000, "depth limit"),
        ("[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1), "more than 100 arrays and objects within each other"),
        ('{"a":' * (DEPTH_MAX + 1) + "1" + "}" * (DEPTH_MAX + 1), "more than 100 arrays"),
        ("[" * 1_000 + "1" * 19 + "]" * 1_000, "more than 100 arrays"),
        ("NaN", "unexpected character"),
        ("1e999", "infinity"),
        ("9" * 5_000, "infinity"),
        (r'"\ud800"', "surrogate"),
        ("{} {}", "unexpected"),
        ("", "empty"),
    ],
    ids=[
        "open",
        "Python's limit",
        "arrays",
        "objects",
        "long number",
        "NaN",
        "1e999",
        "5,000 digits",
        "half a letter",
        "two",
        "none",
    ],
)
def test_what_is_no_json_is_a_value_error(raw: str, reason: str) -> None:
    """Whoever reads a value has one kind of error to expect, and its text says what is wrong."""
    for given_raw in (raw, raw.encode()):
        with pytest.raises(ValueError, match=reason):
            parse(given_raw)


@pytest.mark.parametrize("raw", [b"\xff", b'"\xed\xa0\x80"', "\ufeff{}".encode(), "{}".encode("utf-16")])
def test_what_is_no_utf_8_is_a_value_error(raw: bytes) -> None:
    """Bytes of another encoding are refused, not guessed at."""
    with pytest.raises(ValueError, match=r"UTF-8|unexpected|BOM|expected"):
        parse(raw)


@given(
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_is_kept(value: Any) -> None:
    """What is written is read again, whole numbers of any size exactly, and in the form of the standard library."""
    assert parse(compact(value)) == value
    assert parse(json.dumps(value)) == value
    assert json.loads(compact(value)) == value


def test_depth_up_to_the_limit_is_read() -> None:
    """The limit is the last depth that is allowed, and many short lists are no depth."""
    deep = "[" * DEPTH_MAX + "]" * DEPTH_MAX
    assert compact(parse(deep)).decode() == deep
    assert len(parse("[" + ",".join(["[]"] * 1_000) + "]")) == 1_000


@pytest.mark.parametrize("deep", [GIVEN_DEPTH_MAX, GIVEN_DEPTH_MAX + 1])
@pytest.mark.parametrize("as_text", [True, False])
def test_what_is_accepted_can_be_recorded(deep: int, as_text: bool) -> None:
    """A body is refused at once, or everything that is written of it can be read again."""
    mirror = Mirror()
    inner = "[" * (deep - 1) + "]" * (deep - 1)
    body = f'{{"id": "n", "name": {inner}}}'
    key = "/config/v2.0/nets/n"
    mirror.put(key, f'{{"body": {json.dumps(body) if as_text else body}, "version": 1}}'.encode())
    declared = mirror.world.declaration(NET)
    if deep > GIVEN_DEPTH_MAX:
        assert declared is None
        assert "more than 5" in mirror.world.problems[key]
        return
    assert declared is not None
    assert keys.decode_accepted("k", keys.encode_accepted(declared), NET, 1).body == declared.body
    made = try_plan(mirror.world, declared, None, Action.CREATE)
    assert isinstance(made, Workflow)
    for job in made.jobs:
        assert keys.decode_job("k", keys.encode_job(job)) == job
        assert mirror.put(keys.JOBS + job.id, keys.encode_job(job)) == NET


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "\ud800", {"\ud800": 1}, json.loads("[" * 51 + "]" * 51)]
)
def test_what_cannot_be_recorded_is_told_before(value: Any) -> None:
    """A value of somebody else's JSON that ours cannot hold is a ValueError, not a surprise when it is written."""
    check_given({"output_value": [10**40, "ä", None]})
    with pytest.raises(ValueError, match=r"surrogates|none in JSON|more than 50"):
        check_given({"output_value": value})


@pytest.mark.parametrize(
    "spoilt", [{"type": "list"}, {"type": "output_key"}, {"value": "x", "resources": "hunter2"}]
)
def test_a_spoilt_job_shows_no_value(spoilt: dict[str, Any]) -> None:
    """A parameter may be a password: what is wrong with it is told without it."""
    mirror = Mirror()
    mirror.declare(NET)
    declared = mirror.world.declaration(NET)
    assert declared is not None
    made = try_plan(mirror.world, declared, None, Action.CREATE)
    assert isinstance(made, Workflow)
    job = made.jobs[0]
    value = json.loads(keys.encode_job(job))
    value[1]["params"] = [{"param": "p", "type": "value", "resources": [], "value": "hunter2", **spoilt}]
    mirror.put(keys.JOBS + job.id, json.dumps(value).encode())
    problem = mirror.world.problems[keys.JOBS + job.id]
    assert "parameter 'p'" in problem
    assert "hunter2" not in problem
