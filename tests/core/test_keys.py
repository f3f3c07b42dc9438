"""Keys and values of the contract: written as the seed shows them, read back as they were, refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core import keys
from actors.core.declaring import declare
from actors.core.keys import BadValue, ResourceType, TypeTable
from actors.core.model import Action, Declared, Handler, Job, OnFailure, Param, ParamType, Ref

REF = Ref("port", "p1")
KEY = "/config/v2.0/ports/p1"
TYPES = TypeTable(
    [
        ResourceType("port", "ports", relations={"network_id": "network"}),
        ResourceType("network", "networks"),
        ResourceType("tenant", "tenants", "common/v1.0"),
    ]
)

TEXT = st.text(max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=4)
VERSIONS = st.integers(1, 2**40)
REFS = st.builds(Ref, TEXT, TEXT)
OUTPUTS = st.fixed_dictionaries({"output_key": TEXT, "resource_type": TEXT, "resource_id": TEXT})


def _params(kind: ParamType, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Param]:
    return st.builds(Param, TEXT, st.just(kind), values, st.lists(REFS, max_size=2).map(tuple))


PLAIN = _params(ParamType.VALUE, JSON) | _params(ParamType.OUTPUT_KEY, OUTPUTS)
PARAMS = PLAIN | _params(ParamType.LIST, st.lists(PLAIN.map(Param.to_json), max_size=2))
JOBS = st.builds(
    Job,
    id=TEXT,
    action=st.sampled_from(Action),
    handler=st.sampled_from(Handler),
    ref=REFS,
    version=VERSIONS,
    resource_input=OBJECTS,
    params=st.lists(PARAMS, max_size=3).map(tuple),
    dependency=st.lists(TEXT, max_size=3).map(tuple),
    is_first=st.booleans(),
    is_last=st.booleans(),
    on_failure=st.sampled_from(OnFailure),
)


# ------------------------------------------------------------------------------------------------- paths


@pytest.mark.parametrize(
    ("ref", "path"),
    [
        (REF, "v2.0/ports/p1"),
        (Ref("tenant", "t"), "common/v1.0/tenants/t"),
        (Ref("network", "default"), "v2.0/networks/default"),
    ],
)
def test_paths_both_ways(ref: Ref, path: str) -> None:
    """`<prefix>/<plural>/<id>`, and back under each root."""
    assert TYPES.path(ref) == path
    for root in (keys.CONFIG, keys.STATE, keys.MONITORING, keys.ACCEPTED, keys.TARGETS):
        assert TYPES.ref(root + path, root) == ref


@pytest.mark.parametrize(
    "key",
    [
        "/config/v2.0/toasters/1",
        "/config/v2.0/ports/",
        "/config/ports/1",
        "/config/v2.0/ports",
        "/state/v2.0/ports/1",
    ],
)
def test_what_names_no_resource(key: str) -> None:
    """Unknown types, missing ids and other roots are nobody's key."""
    assert TYPES.ref(key, keys.CONFIG) is None


def test_the_table_of_types() -> None:
    """Found by name; an unknown one is None, its path a KeyError; relations by type."""
    assert "port" in TYPES
    assert TYPES.get("toaster") is None
    with pytest.raises(KeyError):
        TYPES.path(Ref("toaster", "1"))
    assert TYPES.relations["port"] == {"network_id": "network"}
    assert [kind.name for kind in TYPES] == ["port", "network", "tenant"]


# ------------------------------------------------------------------------------------------ declarations


@given(OBJECTS, VERSIONS, st.booleans())
def test_declarations_come_back(body: dict[str, Any], version: int, marked: bool) -> None:
    """What the API server writes is read as it was meant, and its body stands there as JSON text."""
    raw = keys.encode_declared(body, version, marked_for_deletion=marked)
    assert json.loads(json.loads(raw)["body"]) == body
    assert keys.decode_declared(KEY, raw, REF, 7) == Declared(REF, version, body, marked, 7)


@given(OBJECTS, VERSIONS)
def test_body_as_text_and_as_object_are_the_same(body: dict[str, Any], version: int) -> None:
    """Contract 1.1, appendix C 19; an absent mark means not marked."""
    as_text = json.dumps({"body": json.dumps(body), "version": version}).encode()
    as_object = json.dumps({"body": body, "version": version}).encode()
    assert keys.decode_declared(KEY, as_text, REF, 1) == keys.decode_declared(KEY, as_object, REF, 1)
    assert not keys.decode_declared(KEY, as_text, REF, 1).marked_for_deletion


def test_go_escapes_are_read() -> None:
    """Gohan writes `>` as `\\u003e`, in the text inside too."""
    raw = rb'{"body": "{\"name\": \"a\\u003eb \\u0026 c\"}", "version": 1}'
    assert keys.decode_declared(KEY, raw, REF, 1).body == {"name": "a>b & c"}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "value is not JSON"),
        (b"\xff\xfe", "value is not JSON"),
        (b"[]", "value is JSON but no object"),
        (b'{"version": 1}', "member 'body' must be an object"),
        (b'{"body": "{", "version": 1}', "member 'body' is text but not JSON"),
        (b'{"body": "[]", "version": 1}', "member 'body' must be an object"),
        (b'{"body": {}}', "member 'version' must be a positive integer, not None"),
        (b'{"body": {}, "version": 0}', "must be a positive integer, not 0"),
        (b'{"body": {}, "version": "1"}', "must be a positive integer, not '1'"),
        (b'{"body": {}, "version": true}', "must be a positive integer, not True"),
        (
            b'{"body": {}, "version": 1, "marked_for_deletion": "yes"}',
            "'marked_for_deletion' must be true or",
        ),
    ],
)
def test_a_bad_declaration_is_refused_by_key_and_member(raw: bytes, text: str) -> None:
    """The error names the key and what is wrong with it."""
    with pytest.raises(BadValue, match=text) as caught:
        keys.decode_declared(KEY, raw, REF, 1)
    assert str(caught.value).startswith(KEY + ":")


def declared(body: dict[str, Any], version: int, *, marked: bool = False) -> bytes:
    """A `/config` value."""
    return keys.encode_declared(body, version, marked_for_deletion=marked)


def test_declaring() -> None:
    """As an API server: version 1 at first, the next one on a change of body or mark, nothing if all is as it is."""
    first = declared({"a": 1}, 1)
    assert declare(KEY, None, first) == first
    assert declare(KEY, declared({"a": 1}, 5), first) is None
    assert declare(KEY, declared({"a": 2}, 5), first) == declared({"a": 1}, 6)
    assert declare(KEY, declared({"a": 1}, 5), declared({"a": 1}, 1, marked=True)) == declared(
        {"a": 1}, 6, marked=True
    )


def test_declaring_over_something_unreadable_replaces_it() -> None:
    """A broken value that is there does not stand in the way; a broken one that is wanted is refused."""
    assert declare(KEY, b"{", declared({"a": 1}, 1)) == declared({"a": 1}, 1)
    with pytest.raises(BadValue, match=KEY):
        declare(KEY, declared({"a": 1}, 1), b"{")


def test_templates_keep_their_version() -> None:
    """Contract 1.1: always version 1; written only if they differ."""
    key = keys.TEMPLATES + "port"
    assert declare(key, declared({"a": 1}, 1), declared({"a": 2}, 1)) == declared({"a": 2}, 1)
    assert declare(key, declared({"a": 1}, 1), declared({"a": 1}, 1)) is None


# --------------------------------------------------------------------------------------------- templates


def template(**members: Any) -> bytes:
    """A template document as it stands in etcd."""
    body = {"id": "t", "handler": "heat_worker", "parameter_mappings": {"a": "Pa"}, "template_file": "x: 1"}
    return json.dumps({"body": {**body, **members}, "version": 1}).encode()


def test_templates_are_read_in_both_forms() -> None:
    """`parameter_mappings` as an object or as JSON text; the id is that of the key."""
    key = keys.TEMPLATES + "t"
    plain = keys.decode_template(key, template(), 3)
    assert (plain.id, plain.handler, plain.source, plain.revision) == ("t", Handler.HEAT, "x: 1", 3)
    assert keys.decode_template(key, template(parameter_mappings='{"a": "Pa"}', watch=[]), 3) == plain


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"handler": "cook"}, "unknown handler 'cook'"),
        ({"parameter_mappings": "{"}, "member 'parameter_mappings' is text but not JSON"),
        ({"parameter_mappings": []}, "member 'parameter_mappings' must be an object"),
        ({"template_file": None}, "member 'template_file' must be text"),
    ],
)
def test_a_bad_template_is_refused_by_key_and_member(members: dict[str, Any], text: str) -> None:
    """The error names the key and the member."""
    with pytest.raises(BadValue, match=f"^{keys.TEMPLATES}t: {text}"):
        keys.decode_template(keys.TEMPLATES + "t", template(**members), 1)


# -------------------------------------------------------------------------------------------------- jobs


@given(JOBS)
def test_jobs_come_back(job: Job) -> None:
    """A recorded job is read as it was planned: nothing is lost, so a restart needs nothing else."""
    assert keys.decode_job("/jobs/all/x", keys.encode_job(job)) == job


def test_a_job_stands_as_the_seed_shows_it() -> None:
    """An array of three whose second has exactly the members of contract 2.3; the third is 0 and not read."""
    job = Job("id", Action.CREATE, Handler.HEAT, REF, 1, {"a": 1}, (Param("p", ParamType.VALUE, 1, (REF,)),))
    handler, body, zero = json.loads(keys.encode_job(job))
    assert (handler, zero) == ("heat_worker", 0)
    assert body == {
        "id": "id",
        "job_name": "port:p1:1",
        "action": "create",
        "handler": "heat_worker",
        "resource_type": "port",
        "resource_id": "p1",
        "version": 1,
        "resource_input": {"a": 1},
        "params": [
            {
                "param": "p",
                "type": "value",
                "value": 1,
                "resources": [{"resource_type": "port", "resource_id": "p1"}],
            }
        ],
        "dependency": [],
        "is_first": True,
        "is_last": True,
        "on_failure": "fail",
    }
    assert keys.decode_job("k", json.dumps([handler, body, 7]).encode()) == job


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b"1", b'["heat_worker", {}, 0]', b'["h", [], 0]', b"[1, 2, 3]"]
)
def test_what_is_no_job_is_refused_by_key(raw: bytes) -> None:
    """The error names the key."""
    with pytest.raises(BadValue, match=r"^/jobs/all/x: not a job"):
        keys.decode_job("/jobs/all/x", raw)


# ----------------------------------------------------------------------------------------------- results


def test_stack_records() -> None:
    """`/esi-worker/heat_stacks` has six members, `stack_id` is the name, outputs are verbatim (1.2, 5.4, 5.5)."""
    output = {"output_key": "name", "output_value": None, "output_error": "no such attribute"}
    raw = keys.encode_heat_stack(REF, "t", "CREATE_COMPLETE", "fine", [output])
    assert json.loads(raw) == {
        "id": "port:p1",
        "stack_id": "port_p1",
        "stack_status": "CREATE_COMPLETE",
        "status_reason": "fine",
        "tenant_id": "t",
        "output": [output],
    }
    assert keys.decode_outputs("k", raw) == (output,)
    gone = keys.encode_deleted_stack(REF, "t")
    assert json.loads(gone) == {
        "id": "port:p1",
        "tenant_id": "t",
        "output": [],
        "stack_id": "",
        "stack_status": "DELETE_COMPLETE",
        "status_reason": "",
    }
    with pytest.raises(BadValue, match=r"^k: member 'output' must be a list"):
        keys.decode_outputs("k", b'{"output": {}}')


@given(OBJECTS, VERSIONS, st.booleans())
def test_the_accepted_copy_comes_back(body: dict[str, Any], version: int, marked: bool) -> None:
    """`/esi-worker/config` holds the decoded body and the mark."""
    whole = Declared(REF, version, body, marked, 9)
    assert keys.decode_accepted("k", keys.encode_accepted(whole), REF, 9) == whole


def test_state_of_a_monitored_resource_is_that_of_the_seed() -> None:
    """Seed check point (6): results are JSON text inside JSON, in the seed's spacing."""
    results = {"heat_outputs": [{"output_key": "id"}], "state_monitoring": {"logical_port": "ACTIVE"}}
    state = keys.state_object(results, "CREATE_COMPLETED")
    assert state == {
        "state_monitoring": '{"logical_port": "ACTIVE"}',
        "worker_state": "CREATE_COMPLETED",
        "heat_outputs": '[{"output_key": "id"}]',
    }
    raw = keys.encode_state(state, 1)
    assert json.loads(raw) == {"state": state, "version": 1, "error": ""}
    assert keys.decode_state("k", raw) == (1, "", "CREATE_COMPLETED")


def test_state_has_only_what_there_was() -> None:
    """Members of jobs that there were not are absent (5.5)."""
    assert keys.state_object({}, "READ_COMPLETE") == {"worker_state": "READ_COMPLETE"}
    heat_only = keys.state_object(
        {"heat_outputs": [], "orchestration_state": "DELETE_COMPLETE"}, "DELETE_COMPLETED"
    )
    assert heat_only == {
        "heat_outputs": "[]",
        "orchestration_state": "DELETE_COMPLETE",
        "worker_state": "DELETE_COMPLETED",
    }


@given(VERSIONS, TEXT, TEXT)
def test_states_come_back(version: int, error: str, worker_state: str) -> None:
    """Version, error and worker state are read as written."""
    raw = keys.encode_state({"worker_state": worker_state}, version, error)
    assert keys.decode_state("k", raw) == (version, error, worker_state)


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"version": "1"}', b"{}"])
def test_a_bad_state_is_refused_by_key(raw: bytes) -> None:
    """The error names the key."""
    with pytest.raises(BadValue, match=r"^k: "):
        keys.decode_state("k", raw)


def test_monitoring_is_flat() -> None:
    """Contract 10.16: one member per status and the version."""
    assert json.loads(keys.encode_monitoring({"port": "UP"}, 2)) == {"port": "UP", "version": 2}
