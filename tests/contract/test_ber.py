"""The own BER against pysnmp as oracle: equal bytes, equal values, and nothing but Malformed for hostile bytes."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyasn1.codec.ber import encoder
from pysnmp.proto import rfc1902, rfc1905
from pysnmp.proto.api import v2c

from actors.adapters.snmp_codecs import FastCodec, PysnmpCodec, Unreadable
from actors.core import ber

FAST, ORACLE = FastCodec(), PysnmpCodec()
COMMUNITY = b"a community"


def some_oid(dice: random.Random) -> str:
    """A random OID: short and long arcs, all three roots."""
    first = dice.randrange(3)
    second = dice.randrange(40) if first < 2 else dice.choice([0, 39, 40, 999, 100_000])
    rest = [
        dice.choice([0, 1, 127, 128, 16_383, 16_384, 2**31, 2**32 - 1]) for _ in range(dice.randrange(12))
    ]
    return ".".join(map(str, (first, second, *rest)))


def some_value(dice: random.Random) -> Any:
    """A random value of any type that a response may hold."""
    u32 = dice.choice([0, 1, 127, 128, 255, 256, 2**31 - 1, 2**31, 2**32 - 1, dice.randrange(2**32)])
    signed = dice.choice(
        [0, 1, -1, 127, 128, -128, -129, 2**31 - 1, -(2**31), dice.randrange(-(2**31), 2**31)]
    )
    octets = dice.randbytes(dice.choice([0, 1, 5, 127, 128, 255, 256, 300]))
    makers: list[Any] = [
        lambda: rfc1902.Integer32(signed),
        lambda: rfc1902.OctetString(octets),
        lambda: rfc1902.ObjectIdentifier(some_oid(dice)),
        lambda: rfc1902.IpAddress(".".join(str(dice.randrange(256)) for _ in range(4))),
        lambda: rfc1902.Counter32(u32),
        lambda: rfc1902.Gauge32(u32),
        lambda: rfc1902.TimeTicks(u32),
        lambda: rfc1902.Counter64(dice.choice([u32, 2**63, 2**64 - 1, dice.randrange(2**64)])),
        lambda: rfc1902.Opaque(octets),
        lambda: rfc1905.NoSuchObject(""),
        lambda: rfc1905.NoSuchInstance(""),
        lambda: rfc1905.EndOfMibView(""),
        lambda: rfc1902.Null(""),
    ]
    return dice.choice(makers)()


def response(dice: random.Random) -> bytes:
    """A random response by pysnmp."""
    pdu = v2c.ResponsePDU()
    v2c.apiPDU.set_defaults(pdu)
    v2c.apiPDU.set_request_id(pdu, dice.randrange(2**31))
    v2c.apiPDU.set_error_status(pdu, dice.choice([0, 0, 0, 1, 5, 18]))
    count = dice.choice([0, 1, 2, 10, 52])
    v2c.apiPDU.set_varbinds(
        pdu, [(rfc1902.ObjectName(some_oid(dice)), some_value(dice)) for _ in range(count)]
    )
    message = v2c.Message()
    v2c.apiMessage.set_defaults(message)
    v2c.apiMessage.set_community(message, dice.randbytes(dice.randrange(20)))
    v2c.apiMessage.set_pdu(message, pdu)
    return bytes(encoder.encode(message))


def test_requests_are_the_oracles_byte_for_byte():
    """500 random GETs and GETBULKs: the datagrams equal pysnmp's."""
    dice = random.Random(1)
    for _ in range(500):
        oids = tuple({some_oid(dice): None for _ in range(dice.choice([1, 2, 10, 52]))})
        number = dice.randrange(ber.ID_MIN, ber.ID_MAX + 1)
        community = dice.randbytes(dice.choice([0, 1, 20, 130]))
        get = FAST.get(oids, community)
        assert get.datagram(number) == ORACLE.get(oids, community).datagram(number)
        assert FAST.get(oids, community) is get
        bulk = FAST.bulk(oids[0], community).datagram(number)
        assert bulk == ORACLE.bulk(oids[0], community).datagram(number)


def test_responses_mean_what_the_oracle_says():
    """600 random responses, thousands of values of every type: header and values equal pysnmp's."""
    dice = random.Random(2)
    compared = 0
    for _ in range(600):
        datagram = response(dice)
        fast, slow = FAST.decode(datagram), ORACLE.decode(datagram)
        assert fast[:4] == slow[:4]
        values = list(FAST.values(fast, ()))
        assert values == list(ORACLE.values(slow, ()))
        compared += len(values)
    assert compared > 5_000


def test_values_of_the_expected_oids_are_the_same():
    """The shortcut for answers in the order asked gives what reading every OID gives."""
    dice = random.Random(3)
    for _ in range(100):
        datagram = response(dice)
        reply = FAST.decode(datagram)
        oids = tuple(oid for oid, _ in PysnmpCodec().values(ORACLE.decode(datagram), ()))
        for asked in (oids, oids[::-1], oids[1:]):
            FAST.get(asked, reply.community)
            assert list(FAST.values(reply, asked)) == list(FAST.values(reply, ()))


def test_an_answer_that_is_remembered_means_what_it_says():
    """Answers read with the memory of the one before, equal or a few octets off, are read as without any memory."""
    dice = random.Random(4)
    for _ in range(300):
        datagram = response(dice)
        template = ber.Template(ber.GET, tuple(some_oid(dice) for _ in range(dice.choice([1, 2, 52]))), b"c")
        if dice.random() < 0.5:
            oids = tuple(oid for oid, _ in ORACLE.values(ORACLE.decode(datagram), ()))
            template = ber.Template(ber.GET, oids, b"c")
        for each in (datagram, datagram, mutated(dice, datagram), datagram, mutated(dice, datagram)):
            assert outcome(each, template) == outcome(each)


def outcome(datagram: bytes, template: ber.Template | None = None) -> ber.Response | str:
    """What reading gives, or the name of what it raises."""
    try:
        return ber.decode(datagram, lambda _: template)
    except ber.Malformed as error:
        return type(error).__name__


def test_the_memory_is_used():
    """An answer that differs in its first varbind only is not read again: its other varbinds are the same objects."""
    dice = random.Random(5)
    datagram = response(dice)
    while len(ber.decode(datagram).varbinds) != 52:
        datagram = response(dice)
    template = ber.Template(ber.GET, ("1.3.6",), b"c")
    first, again = (ber.decode(datagram, lambda _: template).varbinds for _ in range(2))
    assert all(one is other for one, other in zip(first[1:], again[1:], strict=True))


def mutated(dice: random.Random, datagram: bytes) -> bytes:
    """The datagram with some octets changed, removed, doubled or cut off."""
    data = bytearray(datagram)
    for _ in range(dice.choice([1, 1, 2, 5])):
        at = dice.randrange(len(data)) if data else 0
        match dice.randrange(5):
            case 0 if data:
                data[at] = dice.randrange(256)
            case 1 if data:
                data[at] ^= 1 << dice.randrange(8)
            case 2:
                del data[at : at + dice.choice([1, 2, 50])]
            case 3:
                data[at:at] = dice.randbytes(dice.choice([1, 4]))
            case _:
                del data[at:]
    return bytes(data)


def test_only_its_own_error_escapes():
    """20,000 mutations of responses: read or refused as Unreadable; what is read has values of proper types."""
    dice = random.Random(4)
    datagrams = [response(dice) for _ in range(100)]
    refused = 0
    for _ in range(20_000):
        try:
            reply = FAST.decode(mutated(dice, dice.choice(datagrams)))
        except Unreadable:
            refused += 1
            continue
        for oid, value in FAST.values(reply, ()):
            assert isinstance(oid, str)
            assert value is None or isinstance(value, int | bytes | str)
    assert 5_000 < refused < 20_000


def test_what_both_read_is_the_same():
    """2,000 mutations: where both codecs read a datagram, they read the same integers, octets and nulls."""
    dice = random.Random(5)
    datagrams = [response(dice) for _ in range(60)]
    both = 0
    for _ in range(2_000):
        datagram = mutated(dice, dice.choice(datagrams))
        try:
            fast, slow = FAST.decode(datagram), ORACLE.decode(datagram)
        except Unreadable:
            continue
        both += 1
        assert fast[:4] == slow[:4]
        theirs = list(ORACLE.values(slow, ()))
        known = {oid for oid, _ in theirs}
        for oid, value in FAST.values(fast, ()):
            assert oid not in known or (oid, value) in theirs or isinstance(value, str)
    assert both > 100


@given(st.binary(max_size=200))
def test_garbage_is_malformed(data):
    """Bytes that are nothing raise Malformed and nothing else."""
    with pytest.raises(ber.Malformed):
        ber.decode(data)


@pytest.mark.parametrize(
    ("tag", "body"),
    [
        (0x02, b""),
        (0x02, b"\x01" + bytes(4)),
        (0x02, bytes(6)),
        (0x05, b""),
        (0x06, b"\x80\x01"),
        (0x06, b"\xff"),
        (0x06, b"\x2b\xff\xff\xff\xff\xff\x01"),
        (0x30, b""),
        (0x40, b"123"),
        (0x41, b"\xff"),
        (0x43, b"\x01\x00\x00\x00\x00"),
        (0x46, b"\x01" + bytes(8)),
        (0x81, b"x"),
        (0xA2, b""),
    ],
)
def test_values_that_no_response_may_hold(tag, body):
    """Empty and oversized numbers, NULL, broken OIDs, negative counters, nested messages: Malformed."""
    with pytest.raises(ber.Malformed):
        ber.value_of(tag, body)


@pytest.mark.parametrize(("tag", "octets"), [(0x41, 4), (0x42, 4), (0x43, 4), (0x46, 8)])
def test_an_unsigned_number_without_its_leading_zero(tag, octets):
    """Agents that forget it exist (net-snmp's tools read them): at full size it can mean nothing else. After 248 days
    such an agent's uptime has its highest bit set."""
    body = b"\x80" + bytes(octets - 2) + b"\x05"
    assert ber.value_of(tag, body) == ber.value_of(tag, b"\0" + body) == int.from_bytes(body, "big")


@pytest.mark.parametrize("bomb", [b"\x30\x80" * 8000, b"\x30\x82\xff\xff" * 4000, bytes(16_000)])
def test_bombs_cost_nothing(bomb):
    """Nested or endless elements are refused at once."""
    began = time.process_time()
    with pytest.raises(Unreadable):
        FAST.decode(bomb)
    assert time.process_time() - began < 0.1


@pytest.mark.parametrize("text", ["", "1", "1.40", "3.1", "1.3.x", "1.-3", "1..3"])
def test_what_is_no_oid(text):
    """Text that is no OID raises ValueError before anything is sent."""
    with pytest.raises(ValueError, match=r"."):
        ber.oid_body(text)


def test_templates_are_bounded():
    """Requests to ever new OIDs do not fill the memory."""
    codec = FastCodec()
    for i in range(20_000):
        codec.get((f"1.3.{i}",), COMMUNITY)
    assert len(codec._templates) == 16_384
