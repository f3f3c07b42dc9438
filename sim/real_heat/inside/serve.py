"""`python -m sim.real_heat.inside.serve --state DIR`: Heat's API and engine in this process.

Prints `READY <url>` and serves until it is told to stop.
Runs on the Python of the Heat environment. Guarantees: loopback only; dies with its parent; what was in progress
when an earlier life ended is FAILED when this one is ready. The project of a request is the one of its URL, or with
`--keystone` the one that Keystone says; then stacks are made in the name of who asked, by trusts.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)  # before any other part of oslo is imported

_HERE = Path(__file__).resolve().parent
_PR_SET_PDEATHSIG = 1
_CONFIG = """\
[DEFAULT]
transport_url = fake://
host = 127.0.0.1
auth_encryption_key = {key}
deferred_auth_method = {deferred}
convergence_engine = {convergence}
num_engine_workers = 1
max_stacks_per_tenant = {max_stacks}
plugin_dirs = {plugins}
environment_dir = {state}
template_dir = {state}
log_file = {state}/heat.log
[database]
connection = sqlite:///{state}/heat.sqlite
[oslo_messaging_notifications]
driver = noop
"""
_KEYSTONE = """\
[DEFAULT]
stack_user_domain_name = heat
stack_domain_admin = heat_domain_admin
stack_domain_admin_password = {password}
region_name_for_services = RegionOne
[clients_keystone]
auth_uri = {url}
[keystone_authtoken]
www_authenticate_uri = {url}
auth_url = {url}
auth_type = password
username = heat
password = {password}
project_name = service
user_domain_id = default
project_domain_id = default
token_cache_time = -1
[trustee]
auth_type = password
auth_url = {url}
username = heat
password = {password}
user_domain_id = default
"""


def main() -> None:
    """Parse the command line, adapt Heat to one process, and serve."""
    options = _options()
    _die_with(options.parent_pid)
    os.environ["GATEWRIGHT_RESOURCE_SECONDS"] = str(options.resource_seconds)
    _configure(options)
    from sim.real_heat.inside import adapt

    adapt.sqlite()
    adapt.messages()
    adapt.threads()
    if options.step >= 0:
        adapt.pace(options.step)
    lost = adapt.prepare_database()
    _serve(options.port, lost, options.keystone)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder of the database and the log")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument(
        "--step", type=float, default=0.05, help="seconds between looks of the engine; -1: Heat's"
    )
    parser.add_argument("--resource-seconds", type=float, default=0.0, help="what a resource takes, at least")
    parser.add_argument("--max-stacks", type=int, default=-1, help="quota per tenant; -1: none")
    parser.add_argument("--legacy-engine", action="store_true", help="without convergence")
    parser.add_argument("--keystone", default="", help="its URL without /v3")
    parser.add_argument("--service-password", default="", help="of Heat's users there")
    parser.add_argument("--parent-pid", type=int, default=0, help="die when this process is gone")
    return parser.parse_args()


def _die_with(parent: int) -> None:
    """Die with the parent, at once by the kernel's help (Linux), within a second elsewhere."""
    parent = parent or os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _configure(options: argparse.Namespace) -> None:
    """Write Heat's settings and have Heat read them."""
    from heat import version
    from heat.common import config, crypt
    from oslo_config import cfg
    from oslo_log import log

    assert crypt  # registers auth_encryption_key
    state = options.state.resolve()
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = state / "heat.conf"
    text = _CONFIG.format(
        key="0" * 32,  # of this database only, which holds no secret of anybody's
        convergence=not options.legacy_engine,
        max_stacks=options.max_stacks,
        deferred="trusts" if options.keystone else "password",
        plugins=_HERE / "plugins",
        state=state,
    )
    if options.keystone:
        text += _KEYSTONE.format(url=options.keystone, password=options.service_password)
    file.write_text(text)
    log.register_options(cfg.CONF)
    arguments = ["--config-file", str(file)]
    cfg.CONF(arguments, project="heat", prog="heat-api", version=version.version_info.version_string())
    log.setup(cfg.CONF, "heat")
    config.set_config_defaults()
    config.startup_sanity_check()


def _serve(port: int, lost: int, keystone: str) -> None:
    """Start the engine, then the API in front of it; never returns."""
    import waitress
    from heat.common import messaging
    from heat.engine import service
    from heat.rpc import api as rpc_api
    from oslo_config import cfg

    from sim.real_heat.inside.api import application

    messaging.setup()
    service.EngineService(cfg.CONF.host, rpc_api.ENGINE_TOPIC).start()
    server = waitress.create_server(application(keystone), host="127.0.0.1", port=port, threads=16)
    # What is under way is failed at the next start: there is nothing to wind up.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print(f"READY http://127.0.0.1:{server.effective_port} ({lost} stacks failed)", flush=True)
    server.run()


if __name__ == "__main__":
    main()
