"""What heals a failure: a table from the words of an error to what a person can do.

Guarantees: every error has a remedy; the more special line wins. Texts are for people and name commands that
exist. Whether an error heals by itself is `core.errors`' business; here stands what to do about it.
"""

from __future__ import annotations

from typing import Final

#: (part of the error text, remedy). First match wins, so special ones stand before general ones.
REMEDIES: Final[tuple[tuple[str, str], ...]] = (
    ("dependency failed", "mend what it names first, then `retry` this one: it is built once more"),
    (
        "dependency cycle",
        "take one reference of the cycle out of a declaration, or mark its mapping ignore_missing",
    ),
    (
        "MissingResource",
        "declare the resource that is named, or correct the id that refers to it; then `retry`",
    ),
    (
        "MissingTemplate",
        "put the template document that is named under /config/v2.0/heat_templates; then `retry`",
    ),
    (
        "MissingOutput",
        "`retry` the resource whose output is missing, or give the parameter a default; then `retry` this one",
    ),
    ("InvalidTemplate", "correct the template document that is named; then `retry`"),
    (
        "PlanError",
        "correct the declaration or the template mapping that is named; a new version is planned at once",
    ),
    (
        "NotOurs",
        "somebody else's stack has this name: rename or delete it in Heat if it is not needed, then `retry`",
    ),
    (
        "HeatTimeout",
        "look at the stack in Heat (`openstack stack resource list`), mend what hangs there, then `retry`",
    ),
    (
        "MonitorTimeout",
        "look at the port on the device that is named: cabling, ifName, community; then `retry`",
    ),
    (
        "quota",
        "the quota of the tenant is used up: raise it or delete something; it is tried again by itself, slowly",
    ),
    (
        "RequestLimitExceeded",
        "the tenant has as many stacks as Heat allows: delete some or raise max_stacks_per_tenant; or the text says "
        "what of the template or its values is too big: make it smaller, then `retry`",
    ),
    ("StackFailed", "read Heat's reason, mend it in OpenStack, then `retry`: the stack is built anew"),
    ("StackValidationFailed", "correct the template or the values that Heat refuses; then `retry`"),
    (
        "UserParameterMissing",
        "the template wants a parameter that its mappings do not give: correct it; then `retry`",
    ),
    (
        "UnknownUserParameter",
        "the mappings give a parameter that the template has not: correct it; then `retry`",
    ),
    (
        "TenantChanged",
        "a stack stays in its tenant: declare the old tenant_id again, or delete the resource and declare it anew",
    ),
    (
        "EngineLost",
        "an engine of Heat died at work: it is tried again by itself; if that lasts, look at heat-engine",
    ),
    ("Unauthorized", "Keystone refuses our login: check the cloud's credentials (`doctor`)"),
    ("Unauthenticated", "etcd refuses our login: check etcd.user and etcd.password (`doctor`)"),
    ("PermissionDenied", "the account may not do this: give it the role it needs (`doctor`)"),
    ("Forbidden", "the account may not do this: give it the role it needs (`doctor`)"),
    (
        "NoSpace",
        "etcd is full. Delete what is not needed, or start it with a larger --quota-backend-bytes. Then `etcdctl "
        "compact REVISION` (that of `etcdctl endpoint status -w json`), `etcdctl defrag --endpoints=…` of one member "
        "after the other, `etcdctl alarm disarm`. What waits is written by itself after that",
    ),
    (
        "RequestEntityTooLarge",
        "Heat, or what stands before it, takes no request of that size, or not so many: make the template and its "
        "values smaller, or raise that limit; it is tried again by itself, slowly",
    ),
    (
        "TooLarge",
        "the document is larger than etcd takes (1.5 MB): make it smaller, or raise --max-request-bytes",
    ),
    ("BadRecord", "a record in etcd cannot be read: the text names the key; mend or delete it"),
    (
        "InternalError",
        "a mistake of Gatewright: the log has the traceback; please report it. It is tried again",
    ),
    ("ConnectFailure", "Heat cannot be reached: it is tried again by itself until it can (`doctor`)"),
    ("Connection", "the service cannot be reached: it is tried again by itself until it can (`doctor`)"),
    ("Unreachable", "the service cannot be reached: it is tried again by itself until it can (`doctor`)"),
    (
        "Timeout",
        "no answer in time: it is tried again by itself (`doctor` tells whether the service is well)",
    ),
)
GENERAL: Final = "mend what the text names, then `retry`; declaring a new version does the same"


def remedy(error: str) -> str:
    """What heals this; "" for no error."""
    if not error:
        return ""
    lowered = error.lower()
    return next((text for part, text in REMEDIES if part.lower() in lowered), GENERAL)
