"""Settings from command line, environment and file."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from actors.core.options import Options
from config.bootstrap import ROOT
from config.documents import DocumentError
from config.effective import effective, reference
from config.monitor_types import load_monitor_types
from config.sections import Snapshot
from config.settings import SettingsError, load
from config.values import Secret


@pytest.fixture
def read(tmp_path):
    """Load settings from a file's text and nothing else of this machine."""

    def _read(text="", environ=None, **more):
        (tmp_path / "gatewright.toml").write_text(text)
        return load(environ={"HOME": str(tmp_path / "home"), **(environ or {})}, directory=tmp_path, **more)

    return _read


def test_without_any_source_everything_has_a_default(tmp_path):
    """An empty machine gives the standalone defaults, which are also those of the actors' options."""
    settings = load(environ={"HOME": str(tmp_path)}, directory=tmp_path)
    assert settings.origin == "defaults"
    assert settings.etcd.endpoints == ()
    assert settings.heat.source == "embedded"
    assert settings.standalone.embedded
    assert (settings.snmp.interval_active_s, settings.snmp.interval_s) == (5, 30)
    assert settings.options((), terminal=True) == Options((), monitor_types=load_monitor_types(), http_port=0)


def test_command_line_beats_environment_beats_file(read):
    """The nearest source wins, setting by setting."""
    settings = read(
        "[workers]\nshards = 2\nheat_actors = 2\nsnmp_actors = 2\n",
        {"GATEWRIGHT_WORKERS__SHARDS": "3", "GATEWRIGHT_WORKERS__HEAT_ACTORS": "3"},
        overrides={"workers": {"shards": 4}},
    )
    assert (settings.workers.shards, settings.workers.heat_actors, settings.workers.snmp_actors) == (4, 3, 2)
    assert settings.origin.endswith("gatewright.toml")


def test_the_file_is_looked_for_in_three_places(tmp_path):
    """--config first, else the present folder, else the folder for configuration under the home."""
    home, here, named = tmp_path / "home", tmp_path / "here", tmp_path / "named.toml"
    at_home = home / ".config" / "gatewright" / "gatewright.toml"
    at_home.parent.mkdir(parents=True)
    here.mkdir()
    environ = {"HOME": str(home)}
    at_home.write_text("[snmp]\nport = 1\n")
    assert load(environ=environ, directory=here).snmp.port == 1
    (here / "gatewright.toml").write_text("[snmp]\nport = 2\n")
    assert load(environ=environ, directory=here).snmp.port == 2
    named.write_text("[snmp]\nport = 3\n")
    assert load(named, environ=environ, directory=here).snmp.port == 3


def test_lists_and_tables_come_from_the_environment(read):
    """Lists with commas or as JSON, tables as JSON or entry by entry; an entry's name keeps its case."""
    settings = read(
        environ={
            "GATEWRIGHT_ETCD__ENDPOINTS": "http://10.0.0.1:2379, http://10.0.0.2:2379",
            "GATEWRIGHT_SNMP__DEVICES": '{"10.0.0.1": "127.0.0.1:1161"}',
            "GATEWRIGHT_SNMP__COMMUNITIES__EDGE_ROUTER_COMMUNITY": "s3cret",
            "GATEWRIGHT_STANDALONE__EMBEDDED": "false",
        }
    )
    assert settings.etcd.endpoints == ("http://10.0.0.1:2379", "http://10.0.0.2:2379")
    assert settings.snmp.devices == {"10.0.0.1": "127.0.0.1:1161"}
    assert settings.snmp.community("EDGE_ROUTER_COMMUNITY").reveal() == "s3cret"
    assert settings.snmp.community("PUBLIC").reveal() == "PUBLIC"
    assert settings.standalone.embedded is False


@pytest.mark.parametrize(
    ("text", "environ", "source"),
    [
        ("", {}, "embedded"),
        ("", {"OS_CLOUD": "lab"}, "cloud"),
        ("", {"OS_AUTH_URL": "http://k:5000/v3"}, "environment"),
        ("[heat]\nendpoint = 'http://h:8004/v1'", {"OS_CLOUD": "lab"}, "endpoint"),
        ("[heat]\ncloud = 'other'", {"OS_AUTH_URL": "http://k:5000/v3"}, "cloud"),
        ("[heat]\nuse_os_variables = false", {"OS_CLOUD": "lab"}, "embedded"),
    ],
)
def test_where_heat_is_found(read, text, environ, source):
    """OpenStack's own variables count only where Gatewright's settings say nothing about Heat."""
    assert read(text, environ).heat.source == source


WRONG = [
    ("[snmp]\ninterval_s = true", {}, ":2: snmp.interval_s: must be a number or text, not true or false"),
    ("[snmp]\nretries = false", {}, ":2: snmp.retries: must be a number or text, not true or false"),
    ("[snmp]\nintervals = { router = true }", {}, ":2: snmp.intervals: must not hold true or false"),
    (
        '[snmp]\ndevices = { "10.0.0.1" = "1.1.1.1:99999" }',
        {},
        ":2: snmp.devices: '10.0.0.1' must map to host:port",
    ),
    (
        "[snmp]\nopentsdb_url = 'http://h:99999'",
        {},
        ":2: snmp.opentsdb_url: must be an http or https address",
    ),
    ("[snmp]\nopentsdb_url = 'http://u:p@/x'", {}, ":2: snmp.opentsdb_url: must be an http or https address"),
    (
        "[etcd]\nendpoints = ['http://h:99999']",
        {},
        ":2: etcd.endpoints: 'http://h:99999' is not http(s)://host:port",
    ),
    (
        "[heat]\nendpoint = 'http://h:99999/v1'",
        {},
        ":2: heat.endpoint: 'http://h:99999/v1' is not an http or https",
    ),
    (
        "[otel]\nendpoint = 'http://h:99999'",
        {},
        ":2: otel.endpoint: 'http://h:99999' is not http(s)://host:port",
    ),
    (
        "[snmp.users.A]\nauth_kye = 'abcdefgh'",
        {},
        ":2: snmp.users.A.auth_kye: no such setting; did you mean 'auth_key'? there are: auth_key, user, ",
    ),
    ("[snmp]\n\ninterval_s = -1", {}, ":3: snmp.interval_s: must be greater than 0; it is -1"),
    ("[snmp]\nintervall_s = 1", {}, ":2: snmp.intervall_s: no such setting; did you mean 'interval_s'?"),
    ("[snpm]\nport = 1", {}, ":1: snpm: no such section; did you mean 'snmp'?"),
    (
        "[log]\nlevel = 'loud'",
        {},
        ":2: log.level: must be 'debug', 'info', 'warning' or 'error'; it is 'loud'",
    ),
    (
        "[etcd]\nendpoints = ['a:1']",
        {},
        ":2: etcd.endpoints: 'a:1' is not http(s)://host:port",
    ),
    ("[etcd]\nendpoints = 'http://a:1'", {}, ":2: etcd.endpoints: must be a list"),
    (
        "[etcd]\nendpoints = ['http://a:1', 'http://b:1']",
        {},
        ":2: etcd.endpoints: several must be IP addresses",
    ),
    (
        "[etcd]\nendpoints = ['http://1.2.3.4:1', 'http://[::1]:1']",
        {},
        ":2: etcd.endpoints: several must be IP",
    ),
    ("[etcd]\nendpoints = ['https://a:1']", {}, ":2: etcd.endpoints: https wants a ca_file"),
    ("[etcd]\nserver_name = 'a'", {}, ":1: etcd: cert_file, key_file and server_name want a ca_file"),
    (
        "[etcd]\nendpoints = ['https://1.2.3.4:1', 'https://1.2.3.5:1']\nca_file = '/ca'",
        {},
        "etcd.server_name: is wanted for several endpoints with TLS",
    ),
    (
        "[etcd]\nendpoints = ['http://1.2.3.4:1']\nuser = 'a'\npassword = 'hush'",
        {},
        ":4: etcd.password: is sent to other machines over TLS only",
    ),
    ("[etcd]\nuser = 'a'", {}, ":1: etcd: user and password go together"),
    (
        "[snmp]\nprobe_base_s = 60\nprobe_cap_s = 30",
        {},
        ":1: snmp: probe_cap_s must not be less than probe_base_s",
    ),
    ("[snmp]\nintervals = {physical_port = 0}", {}, "snmp.intervals.physical_port: must be greater than 0"),
    ("[snmp.devices]\n'10.0.0.1' = 'x'", {}, ":1: snmp.devices: '10.0.0.1' must map to host:port, not 'x'"),
    ("[heat]\ncloud = 'a'\nendpoint = 'http://h'", {}, "exclude each other"),
    ("etcd = 5", {}, ":1: etcd: must be a table"),
    ("a = = 1", {}, "not TOML"),
    ("", {"GATEWRIGHT_SNMP__PORT": "x"}, "environment GATEWRIGHT_SNMP__PORT: snmp.port: must be"),
    ("", {"GATEWRIGHT_SMTP__PORT": "1"}, "environment GATEWRIGHT_SMTP__*: smtp: no such section"),
]


@pytest.mark.parametrize(("text", "environ", "said"), WRONG)
def test_a_wrong_setting_is_one_clear_error(read, text, environ, said):
    """It names the place (file and line, or variable), the setting, and what is allowed."""
    with pytest.raises(SettingsError) as caught:
        read(text, environ)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_named_must_be_there(tmp_path):
    """--config with a missing file is an error, not a silent default."""
    with pytest.raises(SettingsError, match=r"none\.toml: cannot be read"):
        load(tmp_path / "none.toml", environ={}, directory=tmp_path)


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("[etcd]\nuser = 'u'\npassword = ['hunter2']", {}),
        ("[snmp]\ncommunities = 'hunter2'", {}),
        ("[etcd]\nendpoints = ['http://u:hunter2@host']", {}),
        ("[heat]\nendpoint = 'ftp://u:hunter2@host'", {}),
        ("", {"GATEWRIGHT_SNMP__COMMUNITIES": "hunter2"}),
        ("[etcd]\npassword = 'hunter2'", {}),
        ("[snmp.users]\nR = 'hunter2'", {}),
        ("[snmp.users.R]\nauth_key = ['hunter2']", {}),
        ("", {"GATEWRIGHT_SNMP__USERS": '{"R": {"auth_key": "hunter2"'}),
        ("", {"GATEWRIGHT_SNMP__USERS__R": '{"auth_key": "hunter2"}'}),
        ("[types]\ngohan = 'http://u:hunter2@host/schemas'", {}),
    ],
)
def test_an_error_shows_no_secret(read, text, environ):
    """Whatever is wrong with a secret, or beside one, its text stays out of the error."""
    with pytest.raises(SettingsError) as caught:
        read(text, environ)
    assert "hunter2" not in str(caught.value)


def test_secrets_are_masked_and_survive_pickling(read):
    """A snapshot shows no secret in any text form, and gives it back on the other side of a pipe."""
    settings = read(
        "[etcd]\nuser = 'u'\npassword = 'hunter2'\n[snmp.communities]\nA = 'hunter2'",
    )
    for shown in (repr(settings), str(settings), f"{settings.etcd.password}", repr(settings.options(()))):
        assert "hunter2" not in shown
    again = pickle.loads(pickle.dumps(settings))
    assert again == settings
    assert again.etcd.password.reveal() == "hunter2"
    assert again.etcd.password != Secret("other")


@pytest.mark.parametrize("token", ["tökén", "two words", "line\nbreak", "\udcff"])
def test_a_token_that_no_header_can_hold_is_refused(read, token):
    """Those who ask could not send it, or each would send other bytes."""
    with pytest.raises(SettingsError, match=r"http\.token: must be printable ASCII") as caught:
        read(environ={"GATEWRIGHT_HTTP__TOKEN": token})
    assert token not in str(caught.value)


def test_settings_are_shown_without_a_login_in_an_address(read, tmp_path):
    """`config show` masks what stands before the host of Heat's endpoint, as it masks secrets."""
    settings = read("[heat]\nendpoint = 'http://u:hunter2@heat:8004/v1'")
    rows = effective(settings, tmp_path / "gatewright.toml", {}, {})
    assert next(row.value for row in rows if row.key == "endpoint") == "http://***@heat:8004/v1"


def test_a_snapshot_needs_no_pydantic():
    """An actor's process can unpickle the settings without loading the validation library."""
    program = (
        "import pickle, sys; s = pickle.loads(sys.stdin.buffer.read()); "
        "assert 'pydantic' not in sys.modules; print(s.snmp.port)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=pickle.dumps(Snapshot()),
        capture_output=True,
        cwd=ROOT,
        check=True,
    )
    assert done.stdout.decode().strip() == "161"


def test_the_state_folder_follows_the_desktop_convention(tmp_path):
    """XDG_STATE_HOME if it is an absolute path, else the usual folder under the home."""
    state = load(environ={"HOME": "/h", "XDG_STATE_HOME": str(tmp_path)}, directory=tmp_path).paths.state_dir
    assert state == tmp_path / "gatewright"
    state = load(environ={"HOME": "/h", "XDG_STATE_HOME": "relative"}, directory=tmp_path).paths.state_dir
    assert state.is_absolute()
    assert state.parts[-3:] == (".local", "state", "gatewright")
    assert Path(state).name == "gatewright"


def test_intervals_per_monitor_type(read):
    """A type's intervals come from the settings, others keep theirs; one that there is not is refused by name."""
    settings = read("[snmp]\nintervals = {physical_port = 120}\n[snmp.intervals_active]\nrouter = 2")
    types = settings.options(()).monitor_types
    assert (types["physical_port"].interval_s, types["physical_port"].retry_s) == (120, 0)
    assert (types["router"].interval_s, types["router"].retry_s) == (0, 2)
    assert types["switch"].interval_s == 0
    with pytest.raises(DocumentError, match=r"snmp\.intervals: no such monitor type: 'pysical_port'"):
        read("[snmp]\nintervals = {pysical_port = 120}").options(())


def test_the_reference_says_what_every_setting_means():
    """Each setting has a meaning, also where its definition takes several lines; none shows what linters are told."""
    described = reference()
    assert [f"{row.section}.{row.key}" for row in described if not row.text] == []
    assert not [row.text for row in described if "noqa" in row.text]
    meanings = {f"{row.section}.{row.key}": row for row in described}
    assert meanings["standalone.resource_seconds"].text == "a resource of the embedded Heat takes that long"
    assert meanings["etcd.history_mib"].unit == "MiB"
