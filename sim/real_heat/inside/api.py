"""Heat's API application with its own middleware; without Keystone the project is the one of the URL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from heat.api.openstack import faultwrap_filter, version_negotiation_filter
from heat.api.openstack.v1 import API
from heat.common.context import ContextMiddleware
from oslo_middleware.request_id import RequestId

Environ = dict[str, Any]
Wsgi = Callable[[Environ, Any], Iterable[bytes]]

_PROJECT = re.compile(r"/v1/([^/]+)")


def application(keystone: str = "") -> Wsgi:
    """The same layers as in Heat's own configuration, outermost first: ids, faults, who, versions. `keystone`: its
    URL; what the layer needs of it is read from Heat's settings."""
    app: Any = version_negotiation_filter(API({}), {})
    app = ContextMiddleware(app, {})
    if keystone:
        from heat.common.auth_url import filter_factory as auth_url
        from keystonemiddleware.auth_token import filter_factory as auth_token

        # as in Heat's own api-paste.ini: authurl and authtoken stand before context
        app = auth_url({})(auth_token({})(app))
    else:
        app = _of_the_url(app)
    app = faultwrap_filter(app, {})
    wrapped: Wsgi = RequestId(app, {})
    return wrapped


def _of_the_url(app: Wsgi) -> Wsgi:
    """Every request is made by a plain member of the project it names: quotas and isolation hold."""

    def called(environ: Environ, start_response: Any) -> Iterable[bytes]:
        found = _PROJECT.match(environ.get("PATH_INFO", ""))
        project = found[1] if found else "admin"
        identity = {
            "IDENTITY_STATUS": "Confirmed",
            "PROJECT_ID": project,
            "PROJECT_NAME": project,
            "USER_ID": "esi",
            "USER_NAME": "esi",
            "AUTH_USER": "esi",
            "AUTH_KEY": "unset",
            "AUTH_URL": "http://127.0.0.1:9/v3",  # nobody listens: nothing may need it
            "ROLES": "member,reader",
        }
        environ.update({f"HTTP_X_{name}": value for name, value in identity.items()})
        return app(environ, start_response)

    return called
