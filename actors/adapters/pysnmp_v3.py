"""SNMPv3 (USM: authentication, and privacy if a key is given) through pysnmp's v3 engine.

Guarantees: each set of credentials has engines of its own with at most TARGETS_MAX devices each (pysnmp's tables
are quadratic, and one user name with two keys on one engine fails good devices); a device whose engine id has
changed answers again after MOVE_AFTER silent requests, because it is moved to an engine that has never met it
(pysnmp would not ask for the new id for 300 s); nothing that arrives raises into the event loop; no wait is endless,
even when pysnmp's timer task has died.
Does not scale like the own codec: some 100 µs per value.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from pysnmp.carrier.asyncio.dispatch import AsyncioDispatcher
from pysnmp.entity.rfc3413 import cmdgen
from pysnmp.error import PySnmpError
from pysnmp.hlapi.v3arch import asyncio as hlapi
from pysnmp.hlapi.v3arch.asyncio.lcd import CommandGeneratorLcdConfigurator
from pysnmp.proto import errind, rfc1902
from pysnmp.proto.api import v2c

from actors.adapters.pysnmp_codec import ERRORS, plain_value
from actors.adapters.snmp_codecs import Reply, Value
from actors.core.errors import ErrorClass, PortError
from actors.ports import AgentTimeouts

Address = tuple[str, int]

TARGETS_MAX: Final = 200
#: Silent requests in a row of a device that had answered, until it is moved to another engine.
MOVE_AFTER: Final = 2
#: pysnmp takes milliseconds of processor for each reply, and its timers know no pardon: more at once would time out
#: while they wait for each other. Who is silent gives its place up after one timeout.
_IN_FLIGHT: Final = 8
#: Beyond all tries of a request: discovery, and the coarse ticks of pysnmp's timer.
_GRACE_S: Final = 5.0

AUTH: Final[Mapping[str, Any]] = {
    "MD5": hlapi.USM_AUTH_HMAC96_MD5,
    "SHA": hlapi.USM_AUTH_HMAC96_SHA,
    "SHA224": hlapi.USM_AUTH_HMAC128_SHA224,
    "SHA256": hlapi.USM_AUTH_HMAC192_SHA256,
    "SHA384": hlapi.USM_AUTH_HMAC256_SHA384,
    "SHA512": hlapi.USM_AUTH_HMAC384_SHA512,
}
PRIV: Final[Mapping[str, Any]] = {
    "DES": hlapi.USM_PRIV_CBC56_DES,
    "AES": hlapi.USM_PRIV_CFB128_AES,
    "AES192": hlapi.USM_PRIV_CFB192_AES,
    "AES256": hlapi.USM_PRIV_CFB256_AES,
}
#: What is wrong with the credentials, not with the device.
_REFUSED: Final = (
    errind.UnknownUserName,
    errind.UnknownSecurityName,
    errind.WrongDigest,
    errind.UnsupportedSecurityLevel,
    errind.DecryptionError,
    errind.EncryptionError,
    errind.UnsupportedAuthProtocol,
    errind.UnsupportedPrivProtocol,
)


@dataclass(frozen=True, slots=True)
class V3User:
    """One set of credentials. `priv_key` "": authentication only. Keys are passphrases, in no text form."""

    user: str
    auth_key: str = field(repr=False)
    auth_protocol: str = "SHA256"
    priv_key: str = field(default="", repr=False)
    priv_protocol: str = "AES"


class _Dispatcher(AsyncioDispatcher):  # type: ignore[misc]  # pysnmp has no types
    """pysnmp's, but what arrives repeated, forged or while it closes raises nothing into the event loop: `refused` is
    told of it."""

    def __init__(self, refused: Callable[[], None]) -> None:
        super().__init__()
        self._refused = refused

    def _callback_function(self, *datagram: Any) -> None:
        try:
            super()._callback_function(*datagram)
        except ERRORS:
            self._refused()


class _Session:
    """One pysnmp engine with the devices that it has met."""

    def __init__(self, user: V3User, timeouts: AgentTimeouts, refused: Callable[[], None]) -> None:
        self.engine = hlapi.SnmpEngine()
        self.engine.register_transport_dispatcher(_Dispatcher(refused))
        #: All devices that were ever given to it, those that are still its own, and pysnmp's names for them.
        self.met: set[Address] = set()
        self.active: set[Address] = set()
        self._names: dict[Address, str] = {}
        self._timeouts = timeouts
        self._lcd = CommandGeneratorLcdConfigurator()
        private = (
            {"privProtocol": PRIV[user.priv_protocol], "privKey": user.priv_key} if user.priv_key else {}
        )
        self._auth = hlapi.UsmUserData(
            user.user, authKey=user.auth_key, authProtocol=AUTH[user.auth_protocol], **private
        )
        self._get = cmdgen.GetCommandGenerator()
        self._bulk = cmdgen.BulkCommandGenerator()

    async def target(self, address: Address) -> str:
        """pysnmp's name for that device; made at the first time."""
        name = self._names.get(address)
        if name is None:
            target = await hlapi.UdpTransportTarget.create(
                address, timeout=self._timeouts.timeout_s, retries=self._timeouts.retries
            )
            name = self._names[address] = self._lcd.configure(self.engine, self._auth, target)[0]
        return name

    async def send(self, address: Address, oids: Sequence[str], *, bulk: int) -> tuple[Any, Any]:
        """One PDU: (pysnmp's error indication or None, the response PDU). `bulk`: rows of a GETBULK, 0: a GET."""
        name = await self.target(address)
        answer: asyncio.Future[tuple[Any, Any]] = asyncio.get_running_loop().create_future()

        def done(_engine: Any, _handle: Any, indication: Any, pdu: Any, _context: Any) -> None:
            if not answer.done():
                answer.set_result((indication, pdu))

        null = rfc1902.Null("")
        varbinds = [(rfc1902.ObjectName(oid), null) for oid in oids]
        pdu = v2c.GetBulkRequestPDU() if bulk else v2c.GetRequestPDU()
        if bulk:
            v2c.apiBulkPDU.set_defaults(pdu)
            v2c.apiBulkPDU.set_non_repeaters(pdu, 0)
            v2c.apiBulkPDU.set_max_repetitions(pdu, bulk)
        else:
            v2c.apiPDU.set_defaults(pdu)
        v2c.apiPDU.set_varbinds(pdu, varbinds)
        generator = self._bulk if bulk else self._get
        generator.send_pdu(self.engine, name, None, b"", pdu, done, None)
        longest_s = self._timeouts.timeout_s * (self._timeouts.retries + 1) + _GRACE_S
        async with asyncio.timeout(longest_s):
            return await answer

    @property
    def broken(self) -> bool:
        """Whether pysnmp's timer task has ended, which would leave every wait without an end."""
        dispatcher = self.engine.transport_dispatcher
        loop = getattr(dispatcher, "loopingcall", None)
        return loop is not None and loop.done()

    def close(self) -> None:
        """Close its sockets."""
        self.engine.close_dispatcher()


class V3Pool:
    """All engines of all credentials. Belongs to one event loop."""

    def __init__(self, users: Mapping[str, V3User], timeouts: AgentTimeouts) -> None:
        self._users = dict(users)
        self._timeouts = timeouts
        self._sessions: dict[str, list[_Session]] = {}
        self._home: dict[tuple[str, Address], _Session] = {}
        self._silent: dict[tuple[str, Address], int] = {}
        self._limit = asyncio.Semaphore(_IN_FLIGHT)
        #: Devices that were moved to another engine, and datagrams that pysnmp could do nothing with.
        self.moved = self.refused = 0

    def __contains__(self, name: str) -> bool:
        return name in self._users

    async def request(self, name: str, address: Address, oids: Sequence[str], *, bulk: int) -> Reply:
        """One PDU as the user called `name`, a GETBULK of `bulk` rows or (0) a GET. Raises PortError."""
        where = f"{address[0]}:{address[1]}"
        key = (name, address)
        async with self._place():
            session = self._session(key)
            try:
                indication, pdu = await session.send(address, oids, bulk=bulk)
            except TimeoutError:
                indication, pdu = errind.requestTimedOut, None
            except (PySnmpError, OSError) as error:
                raise PortError(ErrorClass.TRANSIENT, "Snmp", f"{where}: {type(error).__name__}") from None
        if indication is None:
            self._silent[key] = 0
            return _reply(where, pdu)
        if isinstance(indication, _REFUSED):
            text = f"{where}: user {name}: {type(indication).__name__}: {indication}"
            raise PortError(ErrorClass.TERMINAL, "Refused", text)
        self._fell_silent(key, session)
        hint = "no answer (SNMPv3: a wrong privacy key looks the same)"
        raise PortError(ErrorClass.TRANSIENT, "Timeout", f"{where}: {hint}")

    @staticmethod
    def values(reply: Reply) -> Iterator[tuple[str, Value]]:
        """(OID, value) of what can be read."""
        for oid, value in reply.varbinds:
            try:
                yield oid, plain_value(value)
            except ValueError:
                continue

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """A place among those in flight, for one timeout at most."""
        await self._limit.acquire()
        taken = [True]

        def give() -> None:
            if taken:
                taken.clear()
                self._limit.release()

        timer = asyncio.get_running_loop().call_later(self._timeouts.timeout_s, give)
        try:
            yield
        finally:
            timer.cancel()
            give()

    def _session(self, key: tuple[str, Address]) -> _Session:
        name, address = key
        home = self._home.get(key)
        if home is not None and home.broken:
            for other in [k for k, session in self._home.items() if session is home]:
                del self._home[other]
            self._drop(name, home)
            home = None
        if home is None:
            home = self._other(name, address)
            home.met.add(address)
            home.active.add(address)
            self._home[key] = home
        return home

    def _other(self, name: str, address: Address) -> _Session:
        """An engine with room that has never met this device."""
        sessions = self._sessions.setdefault(name, [])
        for session in sessions:
            if address not in session.met and len(session.met) < TARGETS_MAX and not session.broken:
                return session
        sessions.append(_Session(self._users[name], self._timeouts, self._one_refused))
        return sessions[-1]

    def _fell_silent(self, key: tuple[str, Address], session: _Session) -> None:
        """Count; a device that had answered is moved once, in case that its engine id is another now."""
        if key not in self._silent:
            return
        self._silent[key] += 1
        if self._silent[key] < MOVE_AFTER or self._home.get(key) is not session:
            return
        del self._silent[key], self._home[key]
        session.active.discard(key[1])
        self.moved += 1
        if not session.active:
            self._drop(key[0], session)

    def _one_refused(self) -> None:
        self.refused += 1

    def _drop(self, name: str, session: _Session) -> None:
        if session in self._sessions.get(name, ()):
            self._sessions[name].remove(session)
        session.close()

    def close(self) -> None:
        """Close all engines."""
        for sessions in self._sessions.values():
            for session in sessions:
                session.close()
        self._sessions.clear()
        self._home.clear()


def _reply(where: str, pdu: Any) -> Reply:
    try:
        varbinds = [(str(oid), value) for oid, value in v2c.apiPDU.get_varbinds(pdu)]
        return Reply(b"", 0, int(pdu[1]), int(pdu[2]), varbinds)
    except ERRORS:
        raise PortError(ErrorClass.TERMINAL, "Malformed", f"{where}: no readable answer") from None
