"""pysnmp's types and pyasn1's BER for SNMPv2c: encode a request, decode a response, make values plain.

Guarantees: what hostile bytes make pyasn1 and pysnmp raise is in ERRORS. pysnmp's v1arch `get_cmd` is not used,
because there a reply is accepted from any source and of any type, one exception stops all timeouts, and close()
leaves waiters hanging; nor its carrier, which raises into the loop for what arrives while it closes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pyasn1.codec.ber import decoder, encoder
from pyasn1.error import PyAsn1Error
from pyasn1.type import univ
from pysnmp.error import PySnmpError
from pysnmp.proto import rfc1902, rfc1905
from pysnmp.proto.api import v2c

from actors.core import ber

Value = int | bytes | str | None

#: What pyasn1 and pysnmp answer hostile bytes with.
ERRORS: Final = (
    PyAsn1Error,
    PySnmpError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
    OverflowError,
)
_NULL = rfc1902.Null("")
_RESPONSE = v2c.ResponsePDU()
_MISSING = (rfc1905.NoSuchObject, rfc1905.NoSuchInstance)


class OnePdu:
    """A request that is encoded anew for every id."""

    def __init__(self, pdu: Any, community: bytes) -> None:
        self._pdu, self._community = pdu, community

    def datagram(self, request_id: int) -> bytes:
        """The request under that id."""
        v2c.apiPDU.set_request_id(self._pdu, request_id)
        message = v2c.Message()
        v2c.apiMessage.set_defaults(message)
        v2c.apiMessage.set_community(message, self._community)
        v2c.apiMessage.set_pdu(message, self._pdu)
        return bytes(encoder.encode(message))


def get_pdu(oids: Sequence[str]) -> Any:
    """A GET of these OIDs."""
    pdu = v2c.GetRequestPDU()
    v2c.apiPDU.set_defaults(pdu)
    v2c.apiPDU.set_varbinds(pdu, [(rfc1902.ObjectName(oid), _NULL) for oid in oids])
    return pdu


def bulk_pdu(after: str, rows: int) -> Any:
    """A GETBULK of the next `rows` rows after that OID."""
    pdu = v2c.GetBulkRequestPDU()
    v2c.apiBulkPDU.set_defaults(pdu)
    v2c.apiBulkPDU.set_non_repeaters(pdu, 0)
    v2c.apiBulkPDU.set_max_repetitions(pdu, rows)
    v2c.apiBulkPDU.set_varbinds(pdu, [(rfc1902.ObjectName(after), _NULL)])
    return pdu


def decode(datagram: bytes, version: int) -> tuple[bytes, int, int, int, list[tuple[str, Any]]]:
    """(community, request id, error status, error index, varbinds) of a response. Raises one of ERRORS."""
    message, rest = decoder.decode(datagram, asn1Spec=v2c.Message())
    pdu = v2c.apiMessage.get_pdu(message)
    if rest or int(v2c.apiMessage.get_version(message)) != version or pdu.tagSet != _RESPONSE.tagSet:
        raise ValueError("no v2c response")
    return (
        bytes(v2c.apiMessage.get_community(message)),
        int(v2c.apiPDU.get_request_id(pdu)),
        int(pdu[1]),
        int(pdu[2]),  # not get_error_index: that refuses an index when the agent echoed no varbinds
        [(str(oid), value) for oid, value in v2c.apiPDU.get_varbinds(pdu)],
    )


def plain_value(value: Any) -> Value:
    """A pysnmp value as the port has it. Raises ValueError for what no reply may hold (NULL)."""
    if isinstance(value, rfc1905.EndOfMibView):
        return ber.END
    if isinstance(value, _MISSING):
        return None
    if isinstance(value, rfc1902.IpAddress):
        return ".".join(map(str, bytes(value)))
    if isinstance(value, univ.OctetString) and not isinstance(value, univ.Null):  # pyasn1's Null is one
        return bytes(value)
    if isinstance(value, univ.ObjectIdentifier):
        return str(value)
    if isinstance(value, univ.Integer):
        return int(value)
    raise ValueError(type(value).__name__)
