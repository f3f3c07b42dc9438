"""TLS to Heat: a private CA, a client certificate, and what happens without them."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from actors.adapters.heat_auth import HeatConfig, completed
from actors.adapters.heat_stacks import HeatStacks
from actors.core.errors import ErrorClass, PortError
from sim.heat_server.launch import start
from tests.contract.heat_proxy import Proxy
from tests.contract.heat_worlds import spec

pytestmark = pytest.mark.filterwarnings("ignore:Support for InfluxDB")


class Authority:
    """A private CA, and the files of what it signed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "private CA")])
        self.file = folder / "ca.pem"
        basic = x509.BasicConstraints(ca=True, path_length=None)
        certificate = self._sign(self._name, self._key.public_key(), [(basic, True)])
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Certificate and key for 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = self._sign(subject, key.public_key(), [(names, False), (authority, False)])
        certificate_file, key_file = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate_file, key_file

    def _sign(
        self,
        subject: x509.Name,
        public: ec.EllipticCurvePublicKey,
        extensions: list[tuple[x509.ExtensionType, bool]],
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(
            self._name,
            subject,
            public,
            x509.random_serial_number(),
            now - datetime.timedelta(hours=1),
            now + datetime.timedelta(hours=1),
        )
        ours = x509.SubjectKeyIdentifier.from_public_key(public)
        for extension, critical in [*extensions, (ours, False)]:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self._key, hashes.SHA256())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One CA for the module."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def endpoint(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Heat behind TLS that wants a client certificate of that CA."""
    heat = start(tmp_path_factory.mktemp("heat"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server"))
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_OPTIONAL
    proxy = Proxy(heat.url, context)
    yield proxy.url + "/v1/{tenant}"
    proxy.close()
    heat.stop()


def test_a_private_ca_and_a_client_certificate(authority: Authority, endpoint: str) -> None:
    """With the CA's file, and at will a certificate of our own, everything works as without TLS."""
    certificate, key = authority.issue("client")
    plain = HeatConfig(endpoint_template=endpoint, ca_file=str(authority.file))
    ours = replace(plain, cert_file=str(certificate), key_file=str(key))
    for number, config in enumerate((plain, ours)):
        stacks = HeatStacks(config)
        stack_id = stacks.create(spec("t", f"s{number}"))
        assert [one.id for one in stacks.find("t", f"s{number}")] == [stack_id]
        stacks.close()


def test_an_unknown_ca_is_refused_and_nothing_is_in_doubt(endpoint: str) -> None:
    """Without the CA no request leaves: a write that cannot have happened is not in doubt."""
    stacks = HeatStacks(HeatConfig(endpoint_template=endpoint))
    with pytest.raises(PortError) as error:
        stacks.create(spec("t", "never"))
    assert (error.value.failure.error_class, error.value.failure.kind) == (ErrorClass.TRANSIENT, "SSLError")
    assert "certificate verify failed" in error.value.failure.text
    stacks.close()


def test_a_cloud_says_region_interface_and_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What clouds.yaml says is used; what the settings say overrules it."""
    auth = {"auth_url": "https://127.0.0.1:1/v3", "username": "u", "password": "p", "project_name": "x"}
    cloud = {
        "auth": auth,
        "region_name": "R7",
        "interface": "internal",
        "cacert": "/ca.pem",
        "cert": "/c.pem",
        "key": "/k.pem",
    }
    (tmp_path / "clouds.yaml").write_text(
        yaml.safe_dump({"clouds": {"lab": cloud, "lax": {"auth": auth, "verify": False}}})
    )
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    found = completed(HeatConfig(cloud="lab"))
    assert (found.region, found.interface, found.verify, found.cert) == (
        "R7",
        "internal",
        "/ca.pem",
        ("/c.pem", "/k.pem"),
    )
    mine = completed(HeatConfig(cloud="lab", region="R8", ca_file="/mine.pem"))
    assert (mine.region, mine.verify) == ("R8", "/mine.pem")
    assert completed(HeatConfig(cloud="lax")).verify is False
