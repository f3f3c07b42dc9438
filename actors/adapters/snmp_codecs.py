"""The two codecs of SNMPv2c behind one face: `fast` is `core.ber`, `pysnmp` is pysnmp's own.

Guarantees: both make the same datagrams and find the same values; a datagram that is no v2c response raises
Unreadable and nothing else; a value that no response may hold counts as left out.
pysnmp's is the oracle of the tests and the way out if a device needs something that `core.ber` cannot read.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple, Protocol

from actors.core import ber

Value = int | bytes | str | None

#: Rows of one GETBULK, as long as the agent answers to so many.
WALK_ROWS: Final = 40
#: Longer replies would block the loop for too long in pyasn1; what we ask for stays under 1,400 bytes.
_MAX_DATAGRAM: Final = 16_384
_V2C: Final = 1
#: Templates kept by the fast codec: two PDUs for statuses and six for readings of each of 2,000 devices with 50 ports.
_TEMPLATES_MAX: Final = 16_384
_FIRST, _SECOND = itemgetter(0), itemgetter(1)


class Unreadable(ValueError):
    """Not a v2c response."""


class Reply(NamedTuple):
    """A genuine response. `varbinds` are the codec's own: `Codec.values` reads them."""

    community: bytes
    request_id: int
    status: int
    error_index: int
    varbinds: Any


class Request(Protocol):
    """A PDU that can be sent under any request id."""

    def datagram(self, request_id: int) -> bytes:
        """The request under that id, within `ber.ID_MIN` and `ber.ID_MAX`."""


#: Finds the open request of an id.
Asked = Callable[[int], Request | None]


class Codec(Protocol):
    """What the socket and the agent need of a codec."""

    def get(self, oids: tuple[str, ...], community: bytes) -> Request:
        """A GET of these OIDs."""

    def bulk(self, after: str, community: bytes, rows: int = WALK_ROWS) -> Request:
        """A GETBULK of the next rows after that OID."""

    def decode(self, datagram: bytes, asked: Asked | None = None) -> Reply:
        """Read a response. `asked`: for a codec that remembers what was answered before. Raises Unreadable."""

    def values(self, reply: Reply, oids: Sequence[str]) -> Iterable[tuple[str, Value]]:
        """(OID, value) of what can be read, `ber.END` for endOfMibView. `oids`: what was asked for, if known."""


class FastCodec:
    """`core.ber`, with the requests of each device made once."""

    def __init__(self) -> None:
        self._templates: OrderedDict[tuple[tuple[str, ...], bytes], ber.Template] = OrderedDict()

    def get(self, oids: tuple[str, ...], community: bytes) -> Request:
        """See Codec."""
        key = (oids, community)
        template = self._templates.get(key)
        if template is None:
            template = self._templates[key] = ber.Template(ber.GET, oids, community)
            if len(self._templates) > _TEMPLATES_MAX:
                self._templates.popitem(last=False)
        else:
            self._templates.move_to_end(key)
        return template

    def bulk(self, after: str, community: bytes, rows: int = WALK_ROWS) -> Request:
        """See Codec."""
        return ber.Template(ber.GET_BULK, (after,), community, 0, rows)

    def decode(self, datagram: bytes, asked: Asked | None = None) -> Reply:
        """See Codec."""
        if len(datagram) > _MAX_DATAGRAM:
            raise Unreadable("too long")

        def template(request_id: int) -> ber.Template | None:
            found = asked(request_id) if asked is not None else None
            return found if isinstance(found, ber.Template) else None

        try:
            return Reply(*ber.decode(datagram, template))
        except ber.Malformed as error:
            raise Unreadable(str(error)) from None

    def values(self, reply: Reply, oids: Sequence[str]) -> Iterable[tuple[str, Value]]:
        """See Codec. An honest agent answers in the order asked, so its OIDs need not be read."""
        template = self._templates.get((tuple(oids), reply.community))
        if template is not None and tuple(map(_FIRST, reply.varbinds)) == template.bodies:
            return zip(oids, map(_SECOND, reply.varbinds), strict=True)
        return _read_values(reply.varbinds)


def _read_values(varbinds: Sequence[tuple[bytes, Value]]) -> Iterator[tuple[str, Value]]:
    for oid, value in varbinds:
        with contextlib.suppress(ber.Malformed):
            yield ber.oid_text(oid), value


class PysnmpCodec:
    """pysnmp's types with pyasn1's BER."""

    def __init__(self) -> None:
        # imported where it is used: the other codec needs none of it (100 ms, 20 MiB)
        from actors.adapters import pysnmp_codec

        self._own = pysnmp_codec

    def get(self, oids: tuple[str, ...], community: bytes) -> Request:
        """See Codec."""
        return self._own.OnePdu(self._own.get_pdu(oids), community)

    def bulk(self, after: str, community: bytes, rows: int = WALK_ROWS) -> Request:
        """See Codec."""
        return self._own.OnePdu(self._own.bulk_pdu(after, rows), community)

    def decode(self, datagram: bytes, asked: Asked | None = None) -> Reply:
        """See Codec."""
        if len(datagram) > _MAX_DATAGRAM:
            raise Unreadable("too long")
        try:
            return Reply(*self._own.decode(datagram, _V2C))
        except self._own.ERRORS as error:
            raise Unreadable(type(error).__name__) from None

    def values(self, reply: Reply, oids: Sequence[str]) -> Iterator[tuple[str, Value]]:
        """See Codec."""
        for oid, value in reply.varbinds:
            try:
                yield oid, self._own.plain_value(value)
            except ValueError:
                continue
