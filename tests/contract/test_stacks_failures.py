"""HeatStacks when Heat, the network or something between them fails; what the embedded server survives."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.adapters.heat_auth import HeatConfig
from actors.adapters.heat_stacks import HeatStacks
from actors.core.errors import ErrorClass, PortError
from actors.ports import REQUEST_ID, Stacks
from sim.heat_server.launch import RunningHeat, start
from tests.contract.heat_worlds import LOGICAL_PORT, HttpWorld, spec, test_resource

NAME = "ese_logical_port_1"
SOME_ID = "0b576f6f-4cbf-414f-829c-d12f008bf08f"
Call = Callable[[Stacks, str], object]
READS: dict[str, Call] = {
    "find": lambda stacks, tenant: stacks.find(tenant, NAME),
    "in_progress": lambda stacks, tenant: stacks.in_progress(tenant),
    "get": lambda stacks, tenant: stacks.get(tenant, NAME, SOME_ID, outputs=True),
}
WRITES: dict[str, Call] = {
    "create": lambda stacks, tenant: stacks.create(spec(tenant)),
    "update": lambda stacks, tenant: stacks.update(spec(tenant), SOME_ID),
    "delete": lambda stacks, tenant: stacks.delete(tenant, NAME, SOME_ID),
}
#: What happens on the way, as fault rules of the server.
BREAKAGES: dict[str, dict[str, Any]] = {
    "500": {"action": "status", "status": 500},
    "502 page": {"action": "status", "status": 502, "body": "<html>Bad Gateway</html>"},
    "503": {"action": "status", "status": 503, "type": "HTTPServiceUnavailable"},
    "reset": {"action": "reset"},
    "proxy page": {"action": "html"},
    "wrong JSON": {"action": "garbage", "content_type": "text/plain"},
    "silence": {"action": "late", "seconds": 3},
}


@pytest.fixture(scope="module")
def heat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHeat]:
    """One server for the module; each test has tenants of its own."""
    running = start(tmp_path_factory.mktemp("heat"), options=("--max-stacks", "5"))
    yield running
    running.stop()


@pytest.fixture
def world(heat: RunningHeat) -> Iterator[HttpWorld]:
    """The adapter on that server, patient."""
    http = HttpWorld(heat)
    yield http
    http.close()


@pytest.fixture
def hasty(heat: RunningHeat) -> Iterator[HttpWorld]:
    """The adapter on that server, with a short timeout."""
    http = HttpWorld(heat, timeout_s=0.5)
    yield http
    http.close()


def failure_of(call: Callable[[], object]) -> tuple[ErrorClass, str]:
    """Class and kind of the failure of `call`; the text must be short and without markup."""
    with pytest.raises(PortError) as error:
        call()
    failure = error.value.failure
    assert failure.text
    assert len(failure.text) <= 500
    assert "<html" not in failure.text
    return failure.error_class, failure.kind


@pytest.mark.parametrize("breakage", BREAKAGES)
@pytest.mark.parametrize("call", READS)
def test_broken_read_is_transient(hasty: HttpWorld, call: str, breakage: str) -> None:
    """Whatever breaks while reading, the same request may succeed later."""
    hasty.fault(**BREAKAGES[breakage])
    assert failure_of(lambda: READS[call](hasty.stacks, hasty.tenant()))[0] is ErrorClass.TRANSIENT


@pytest.mark.parametrize("breakage", BREAKAGES)
@pytest.mark.parametrize("call", WRITES)
def test_broken_write_is_in_doubt(hasty: HttpWorld, call: str, breakage: str) -> None:
    """Whatever breaks after a write was sent, it may have happened."""
    hasty.fault(**BREAKAGES[breakage])
    assert failure_of(lambda: WRITES[call](hasty.stacks, hasty.tenant()))[0] is ErrorClass.IN_DOUBT


@pytest.mark.parametrize("call", ["create", "find", "get"])
def test_json_that_is_no_stack_is_a_broken_answer(world: HttpWorld, call: str) -> None:
    """Valid or truncated JSON without the expected members never passes for an answer."""
    calls = READS | WRITES
    expected = ErrorClass.IN_DOUBT if call in WRITES else ErrorClass.TRANSIENT
    for body in ('{"stack": [1, 2', '{"stack": {}, "stacks": [{}]}', "[]", "null"):
        status = 201 if call in WRITES else 200
        world.fault(action="status", status=status, body=body, content_type="application/json")
        assert failure_of(lambda: calls[call](world.stacks, world.tenant())) == (expected, "BrokenAnswer")


@pytest.mark.parametrize("rule", [{"action": "drop_reply"}, {"action": "late", "seconds": 2}], ids=str)
def test_create_whose_answer_is_lost_is_found(
    world: HttpWorld, hasty: HttpWorld, rule: dict[str, Any]
) -> None:
    """A create that succeeded without an answer is IN_DOUBT, sent once, and `find` shows the one stack."""
    tenant = world.tenant()
    world.fault(method="POST", path="/stacks$", **rule)
    assert failure_of(lambda: hasty.stacks.create(spec(tenant)))[0] is ErrorClass.IN_DOUBT
    world.until(lambda: bool(world.stacks.find(tenant, NAME)))
    assert [stack.tags for stack in world.stacks.find(tenant, NAME)] == [("gatewright", "v1")]


def test_401_without_json_is_transient(world: HttpWorld) -> None:
    """Heat's 401 is plain text; it is no verdict on the stack, for reads and writes alike."""
    for call in (READS["find"], WRITES["create"]):
        world.fault(action="status", status=401, body="Authentication required", content_type="text/html")
        failure = failure_of(lambda call=call: call(world.stacks, world.tenant()))  # type: ignore[misc]
        assert failure == (ErrorClass.TRANSIENT, "HTTP401")


_REFUSALS = [
    (409, "ActionInProgress", ErrorClass.CONFLICT),
    (429, "TooManyRequests", ErrorClass.TRANSIENT),
    (403, "HTTPForbidden", ErrorClass.TERMINAL),
    (413, "RequestEntityTooLarge", ErrorClass.QUOTA),
]


@pytest.mark.parametrize(("status", "kind", "expected"), _REFUSALS)
def test_refusals_of_writes_are_sorted(
    world: HttpWorld, status: int, kind: str, expected: ErrorClass
) -> None:
    """Heat's own refusals keep its type, and are not in doubt: nothing was done."""
    world.fault(action="status", status=status, type=kind, message="No.")
    assert failure_of(lambda: world.stacks.create(spec(world.tenant()))) == (expected, kind)


def test_quota_is_its_own_class(world: HttpWorld) -> None:
    """The stack quota is a 400 in Heat, but lasting and not the declaration's fault."""
    tenant = world.tenant()
    for number in range(5):
        world.stacks.create(spec(tenant, f"port_{number}"))
    failure = failure_of(lambda: world.stacks.create(spec(tenant)))
    assert failure == (ErrorClass.QUOTA, "RequestLimitExceeded")


@pytest.mark.parametrize("tenant", ["tenant я", "100%", "%(auth_url)s", "a:b@c"])
def test_a_tenant_of_any_letters_is_asked_for_as_it_is(world: HttpWorld, tenant: str) -> None:
    """What a tenant is called neither breaks the address of Heat nor is filled in."""
    stack_id = world.stacks.create(spec(tenant))
    assert [one.id for one in world.stacks.find(tenant, NAME)] == [stack_id]
    assert world.stacks.find(f"{tenant}.", NAME) == ()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("NotFound", "ResourcePropertiesData with id 7 not found"),
        ("EntityNotFound", "The Resource (a) could…"),
    ],
)
def test_a_404_about_something_else_is_not_gone(world: HttpWorld, kind: str, message: str) -> None:
    """Heat's inner losses are 404s too: neither get nor delete may take them for "the stack is gone"."""
    for call in (READS["get"], WRITES["delete"]):
        world.fault(action="status", status=404, type=kind, message=message)
        failure = failure_of(lambda call=call: call(world.stacks, world.tenant()))  # type: ignore[misc]
        assert failure == (ErrorClass.TRANSIENT, kind)


def test_refused_connection_is_transient_even_for_writes() -> None:
    """Nobody listens: nothing can have happened."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: nobody else can take the port
        port = unused.getsockname()[1]
        stacks = HeatStacks(HeatConfig(endpoint_template=f"http://127.0.0.1:{port}/v1/{{tenant}}"))
        for call in (*READS.values(), *WRITES.values()):
            assert failure_of(lambda call=call: call(stacks, "t"))[0] is ErrorClass.TRANSIENT  # type: ignore[misc]
        stacks.close()


def test_two_stacks_of_a_name_are_both_found_oldest_first(world: HttpWorld) -> None:
    """Heat lets two stacks of one name happen; `find` shows both, the older first."""
    tenant = world.tenant()
    first = world.stacks.create(spec(tenant))
    world.fault(action="twin", method="POST")
    second = world.stacks.create(spec(tenant))
    assert [stack.id for stack in world.stacks.find(tenant, NAME)] == [first, second]


def test_stuck_and_failing_actions_can_be_injected(world: HttpWorld) -> None:
    """A stack can be made to stay IN_PROGRESS, and a delete to fail once and succeed when repeated."""
    tenant = world.tenant()
    world.fault(action="stuck", method="POST")
    stuck = world.stacks.create(spec(tenant))
    assert world.stacks.in_progress(tenant) == {stuck}
    world.fault(action="fail", method="DELETE")
    world.stacks.delete(tenant, NAME, stuck)
    failed = world.stacks.get(tenant, NAME, stuck, outputs=False)
    assert (failed.action, failed.status) == ("DELETE", "FAILED")
    error = failure_of(lambda: world.stacks.update(spec(tenant), stuck))
    assert error == (ErrorClass.CONFLICT, "NotSupported")
    world.stacks.delete(tenant, NAME, stuck)
    assert world.stacks.find(tenant, NAME) == ()


def test_one_request_each_and_no_redirect(world: HttpWorld) -> None:
    """Every call of the port costs exactly one request, and none is redirected."""
    tenant = world.tenant()
    ours = "req-3c1f5a52-7a5c-4c8e-9d1f-000000000006"  # a late request of an earlier test is not
    token = REQUEST_ID.set(ours)
    stack_id = world.stacks.create(spec(tenant))
    world.stacks.find(tenant, NAME)
    world.stacks.in_progress(tenant)
    world.stacks.get(tenant, NAME, stack_id, outputs=True)
    world.stacks.update(spec(tenant), stack_id)
    world.stacks.delete(tenant, NAME, stack_id)
    REQUEST_ID.reset(token)
    after = world.stats()
    assert after["request_ids"].count(ours) == 6
    assert not [kind for kind in after["requests"] if kind.endswith(" 302")]


def test_request_id_reaches_heat(world: HttpWorld) -> None:
    """The correlation id is sent where Heat logs it from."""
    token = REQUEST_ID.set("req-3c1f5a52-7a5c-4c8e-9d1f-000000000001")
    world.adapter.find(world.tenant(), NAME)
    REQUEST_ID.reset(token)
    assert world.stats()["request_ids"][-1] == "req-3c1f5a52-7a5c-4c8e-9d1f-000000000001"


def test_passwords_are_not_logged(world: HttpWorld, caplog: pytest.LogCaptureFixture) -> None:
    """Even with every logger at DEBUG neither parameters nor templates are written to the log."""
    caplog.set_level(logging.DEBUG)
    tenant = world.tenant()
    parameters = {"port_name": "a", "admin_password": "n0t-f0r-l0gs"}
    stack_id = world.stacks.create(spec(tenant, parameters=parameters))
    world.stacks.get(tenant, NAME, stack_id, outputs=True)
    assert "n0t-f0r-l0gs" not in caplog.text
    assert "Pa55word-default" not in caplog.text


def test_stacks_survive_a_killed_server_and_unfinished_ones_have_failed(tmp_path: Path) -> None:
    """After kill -9 and a new start finished stacks are as they were, and what was under way is FAILED."""
    heat = start(tmp_path)
    world = HttpWorld(heat)
    done = world.stacks.create(spec("t", "done"))
    world.until(lambda: not world.stacks.in_progress("t"))
    before = world.stacks.get("t", "done", done, outputs=True)
    gone = world.stacks.create(spec("t", "gone"))
    world.stacks.delete("t", "gone", gone)
    slow = world.stacks.create(spec("t", "slow", template=test_resource(wait_secs=60), parameters={}))
    os.kill(heat.pid, signal.SIGKILL)
    heat.stop()
    world.close()

    again = start(tmp_path)
    world = HttpWorld(again)
    after = world.stacks.get("t", "done", done, outputs=True)
    assert sorted(map(str, after.outputs)) == sorted(map(str, before.outputs))
    assert (after.status, after.tags) == ("COMPLETE", ("gatewright", "v1"))
    assert world.stacks.find("t", "gone") == ()
    unfinished = world.stacks.get("t", "slow", slow, outputs=False)
    assert (unfinished.action, unfinished.status) == ("CREATE", "FAILED")
    assert unfinished.reason == "Engine went down during stack CREATE"
    assert (tmp_path / "heat.sqlite").stat().st_mode & 0o077 == 0
    again.stop()
    world.close()


def test_server_dies_with_its_parent(tmp_path: Path) -> None:
    """kill -9 of the process that started the server ends the server, too."""
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom sim.heat_server.launch import start\n"
        "print(start(Path(sys.argv[1])).pid, flush=True)\ntime.sleep(600)\n"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as parent:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
        parent.kill()
    end = time.monotonic() + 60
    while _alive(server):
        assert time.monotonic() < end, "the server outlived its parent"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    """Whether the process runs; a zombie (its new parent has not looked yet) does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_hidden_parameters_are_shown_as_stars(world: HttpWorld) -> None:
    """Neither stack show nor environment give a hidden parameter in clear."""
    tenant = world.tenant()
    stack_id = world.stacks.create(
        spec(tenant, parameters={"port_name": "a", "admin_password": "n0t-sh0wn"}, template=LOGICAL_PORT)
    )
    for path in ("", "/environment"):
        shown = world.ask("GET", f"/v1/{tenant}/stacks/{NAME}/{stack_id}{path}")
        assert "******" in str(shown)
        assert "n0t-sh0wn" not in str(shown)
