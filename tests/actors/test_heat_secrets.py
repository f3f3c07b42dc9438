"""What Heat says of a failure is told without what nobody may see, whichever way that got into the stack."""

from __future__ import annotations

import pytest

from actors.core.drift import Drift, Expected
from actors.core.model import Action, Param, ParamType
from actors.messages import HeatCompare, HeatRequest
from sim.heat.engine import Fate
from tests.actors.heat_rig import CREATE, GONE, Rig, calls_take_time, ref

__all__ = ["calls_take_time"]

SECRET = "hunter22-very-secret"
HIDDEN = """heat_template_version: 2013-05-23
parameters: {key: {type: string, hidden: true}}
resources: {a: {type: 'ESI::Test::Knob', properties: {v: {get_param: key}}}}
"""
NAMED = HIDDEN.replace(", hidden: true", "").replace("key", "admin_password")
INLINE = """heat_template_version: 2013-05-23
resources: {a: {type: 'ESI::Test::Knob', properties: {v: '{{ jinja_admin_password }}'}}}
"""


def ask(rig: Rig, rid: str, action: Action, template: str, name: str) -> None:
    """Send a request with the secret as the one parameter."""
    params = (Param(name, ParamType.VALUE, SECRET),)
    rig.host.tell(rig.heat, HeatRequest(rid, ref(), 1, action, "t", "t", template, params, {}), sender=rig.me)


@pytest.mark.parametrize("action", [CREATE, GONE])
@pytest.mark.parametrize(
    ("template", "name"), [(HIDDEN, "key"), (NAMED, "admin_password"), (INLINE, "jinja_admin_password")]
)
def test_a_reason_is_told_without_secrets(
    template: str, name: str, action: Action, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a create and of a delete that fail, with a parameter that is hidden, named as a secret, or in the template."""
    rig = Rig()
    if action is GONE:
        ask(rig, "made", CREATE, template, name)
        rig.done("made")
    rig.stacks.engine._changed = lambda record: setattr(record, "reason", f"cannot log in with {SECRET}")
    rig.fates = dict.fromkeys(("CREATE", "DELETE"), Fate.FAIL)
    ask(rig, "fails", action, template, name)
    text = rig.done("fails").failure.text
    assert text.endswith("_FAILED: cannot log in with ***")
    assert SECRET not in caplog.text


def test_a_delete_that_cannot_be_rendered_keeps_what_its_names_say() -> None:
    """A template that is broken by now is no reason to show a password, nor to leave the stack."""
    rig = Rig()
    ask(rig, "made", CREATE, NAMED, "admin_password")
    rig.done("made")
    rig.stacks.engine._changed = lambda record: setattr(record, "reason", f"cannot log in with {SECRET}")
    rig.fates["DELETE"] = Fate.FAIL
    ask(rig, "fails", GONE, "{% if", "admin_password")
    assert rig.done("fails").failure.text == "DELETE_FAILED: cannot log in with ***"


def test_what_is_found_of_a_settled_stack_quotes_no_reason() -> None:
    """Who compares stacks knows none of their secrets, so it says where the reason stands, and not the reason."""
    rig = Rig()
    ask(rig, "made", CREATE, HIDDEN, "key")
    rig.done("made")
    (record,) = rig.stacks.engine.living("t")
    record.action, record.status, record.reason = "UPDATE", "FAILED", f"cannot log in with {SECRET}"
    rig.host.tell(rig.heat, HeatCompare("c", "t", (Expected(ref(), 1, "CREATE_COMPLETE"),)), sender=rig.me)
    (finding,) = rig.done("c").findings
    assert finding.drift is Drift.FAILED
    assert finding.text == f"its stack is UPDATE_FAILED: `openstack stack show {record.id}` tells why"
