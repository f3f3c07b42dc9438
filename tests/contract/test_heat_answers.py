"""Whatever a server answers: Heat's adapter gives what the port promises, or a PortError; never anything else."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.adapters.heat_auth import HeatConfig
from actors.adapters.heat_stacks import HeatStacks
from actors.core.errors import ErrorClass, PortError
from actors.ports import Stack, StackSpec

SPEC = StackSpec(
    "t1",
    "ese_logical_port_1",
    {"heat_template_version": "2013-05-23"},
    {"password": "s3cret-word"},
    60,
    ("v1",),
)
#: The longest that any text of a failure may be, in characters.
LONGEST = 600


class Oracle(ThreadingHTTPServer):
    """Answers every request with what it was told last."""

    daemon_threads = True
    status, kind, body = 200, "application/json", b""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Oracle

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b"" if self.server.status in (204, 304) else self.server.body
        self.send_response_only(self.server.status)
        if self.server.kind:
            self.send_header("Content-Type", self.server.kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - the library's names


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    """The server."""
    server = Oracle(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def stacks(oracle: Oracle) -> Iterator[HeatStacks]:
    """The adapter."""
    one = HeatStacks(
        HeatConfig(endpoint_template=f"http://127.0.0.1:{oracle.server_port}/v1/{{tenant}}", timeout_s=5.0)
    )
    yield one
    one.close()


CALLS: dict[str, Callable[[HeatStacks], object]] = {
    "find": lambda s: s.find("t1", SPEC.name),
    "create": lambda s: s.create(SPEC),
    "update": lambda s: s.update(SPEC, "id-1"),
    "delete": lambda s: s.delete("t1", SPEC.name, "id-1"),
    "in_progress": lambda s: s.in_progress("t1"),
    "get": lambda s: s.get("t1", SPEC.name, "id-1", outputs=True),
}
GOOD = {"find": 200, "create": 201, "update": 202, "delete": 204, "in_progress": 200, "get": 200}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = (
    "id", "stack_name", "stack_status", "stack_status_reason", "tags", "outputs", "updated_time", "parameters", "links",
)  # fmt: skip
TRUE: dict[str, Any] = {
    "id": "id-1",
    "stack_name": SPEC.name,
    "stack_status": "CREATE_COMPLETE",
    "stack_status_reason": "done",
    "tags": ["v1"],
    "outputs": [{"output_key": "a", "output_value": 1}],
    "updated_time": None,
    "parameters": {},
    "links": [],
}
#: A stack, of which some members are anything.
SHOWN = st.dictionaries(
    st.sampled_from((*MEMBERS, "to_dict", "manager", "_info", "is_loaded")), JSON, max_size=3
).map(lambda odd: {**TRUE, **odd})
ANSWERS = (
    JSON
    | st.fixed_dictionaries({"stack": SHOWN | JSON})
    | st.fixed_dictionaries({"stacks": st.lists(SHOWN | JSON, max_size=3) | JSON})
    | st.fixed_dictionaries(
        {"error": st.dictionaries(st.sampled_from(("type", "message", "traceback")), JSON) | JSON}
    )
)
BODIES = ANSWERS.map(lambda answer: json.dumps(answer).encode()) | st.binary(max_size=30)
KINDS = st.sampled_from(
    ("application/json", "application/json; charset=utf-16", "text/html", "", "text/plain")
)


def well_formed(value: object) -> bool:
    """Whether it is what the port says, member by member."""
    match value:
        case None:
            return True
        case str():
            return value.encode(errors="replace").decode() == value
        case Stack():
            texts = (
                value.id,
                value.name,
                value.action,
                value.status,
                value.reason,
                value.updated,
                *value.tags,
            )
            return all(map(well_formed, texts)) and all(isinstance(one, dict) for one in value.outputs)
        case tuple() | frozenset():
            return all(well_formed(one) for one in value)
        case _:
            return False


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    status=st.sampled_from((0, 0, 200, 201, 202, 204, 400, 401, 403, 404, 409, 500, 503)),
    kind=KINDS,
    body=BODIES,
)
def test_any_answer_is_a_value_or_a_failure(
    oracle: Oracle, stacks: HeatStacks, name: str, status: int, kind: str, body: bytes
) -> None:
    """Nothing that a server can say raises anything but PortError, or gives what the port does not promise."""
    oracle.status, oracle.kind, oracle.body = status or GOOD[name], kind, body
    held_to_the_port(stacks, name)


def held_to_the_port(stacks: HeatStacks, name: str) -> ErrorClass | None:
    """The class of the failure, if there was one."""
    try:
        value: Any = CALLS[name](stacks)
    except PortError as error:
        text, kind = error.failure.text, error.failure.kind
        assert len(text) <= LONGEST
        assert len(kind) <= LONGEST
        assert text.isprintable()
        assert kind.isprintable()
        return error.failure.error_class
    assert well_formed(value)
    return None


def error(kind: str, message: str) -> bytes:
    """Heat's way to say that something is wrong."""
    return json.dumps({"error": {"type": kind, "message": message}}).encode()


NESTED = b"[" * 50_000 + b"]" * 50_000
ODD: dict[str, tuple[int, bytes]] = {
    "a stack too deep": (0, b'{"stack":' + NESTED + b"}"),
    "stacks too deep": (0, b'{"stacks":' + NESTED + b"}"),
    "an error too deep": (400, b'{"error":' + NESTED + b"}"),
    "a number of 5,000 digits": (0, b'{"stacks":[],"stack":{"id":"i","x":' + b"9" * 5_000 + b"}}"),
    "heads without an end": (400, error("X", "<head" * 400_000)),
    "brackets without an end": (502, error("X", "<" * 2_000_000)),
    "a type of a million letters": (400, error("X" * 1_000_000, "m")),
    "a type that is no text": (400, error("\ud800\n\x1b[31m", "\ud800")),
    "no stack": (0, b"null"),
}


@pytest.mark.parametrize("label", ODD)
def test_no_answer_holds_up_a_process(oracle: Oracle, stacks: HeatStacks, label: str) -> None:
    """Nor does what is too deep, too long, or made to be searched for ever: each is a failure of its one request."""
    status, body = ODD[label]
    for name in CALLS:
        oracle.status, oracle.kind, oracle.body = status or GOOD[name], "application/json", body
        began = time.thread_time()
        failed = held_to_the_port(stacks, name)
        assert time.thread_time() - began < 2.0
        # of an update and a delete heatclient reads nothing but the status
        assert failed is not None or (status == 0 and name in ("update", "delete"))


@pytest.mark.parametrize("name", ["to_dict", "_info", "is_loaded", "get", "delete"])
def test_a_member_in_the_place_of_what_the_library_needs_is_no_answer(
    oracle: Oracle, stacks: HeatStacks, name: str
) -> None:
    """heatclient keeps the members of a stack beside its own methods: one of that name would be called."""
    oracle.status, oracle.kind = 200, "application/json"
    for call, answer in (("get", {"stack": {**TRUE, name: None}}), ("find", {"stacks": [{**TRUE, name: 1}]})):
        oracle.body = json.dumps(answer).encode()
        assert held_to_the_port(stacks, call) is ErrorClass.TRANSIENT


def test_an_output_that_is_no_object_is_no_answer(oracle: Oracle, stacks: HeatStacks) -> None:
    """What reads outputs may rely on their being objects."""
    oracle.status, oracle.kind = 200, "application/json"
    oracle.body = json.dumps({"stack": {**TRUE, "outputs": [7]}}).encode()
    assert held_to_the_port(stacks, "get") is ErrorClass.TRANSIENT
