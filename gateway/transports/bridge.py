"""The venue as a client of an existing MQTT 5 broker (Mosquitto, EMQX), through `aiomqtt`: for sites that have one.

    in      emex/1/in/+ and emex/1/admin/+    who asks follows from the topic: the broker's access list authenticates
    out     reports, copies, tape             what cannot be sent is dropped: a client has it again by number
            market data                       once for everybody; status and books retained, the latest wins
    away    back-off, connect, subscribe, retained messages once more; sessions outlive `GRACE_SECONDS` of it

One session for each account, whichever and however many programs speak for it. An empty payload on an account's own
topic ends its session: as a program's will it is what makes cancel on disconnect work behind a broker.

The broker's PUBACK says that the broker has a payload; only an execution report says that it is journaled, and who has
none sends again. QoS 0 both ways: Mosquitto drops what waits beyond 1,000 messages of QoS 1, and nothing of QoS 0.
"""

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Self
from urllib.parse import urlsplit

import aiomqtt
import structlog

from engine.codes import Phase
from gateway.accounts import Holder
from gateway.desk.session import Close, Output, Publish, Session
from gateway.errors import GatewayError
from gateway.transports.host import Host
from gateway.wire import codec, topics
from gateway.wire import messages as m
from gateway.wire.reasons import DoorReason
from gateway.wire.topics import Principal, Role

log = structlog.get_logger()

OUT_LIMIT = 10_000
"""Messages that may wait to be sent; further ones are dropped."""
GRACE_SECONDS = 5.0
"""Away from the broker for longer, every session ends as if its connection had broken."""
_RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_KEEP_ALIVE = 15
_CLOSE_SECONDS = 5.0
_CLIENT_ID = "broker"
_PUBLIC = Principal("(broker)", -1, Role.DROP_COPY)
"""Who reads for everybody; no account has such a name or number."""
_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True)
class Broker:
    """Where a broker is, and as whom the venue logs on there."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    tls: bool = False

    @classmethod
    def parse(cls, url: str, user: str, password: str) -> Self:
        """From `mqtt://host[:port]` or `mqtts://…`. Raises `GatewayError`."""
        parts = urlsplit(url)
        expected = "mqtt://HOST[:PORT] or mqtts://HOST[:PORT]"
        try:
            port = parts.port or _PORTS[parts.scheme]
        except (ValueError, KeyError):
            raise GatewayError(f"broker: got {url!r}, expected {expected}") from None
        if not parts.hostname or parts.path.strip("/") or parts.query:
            raise GatewayError(f"broker: got {url!r}, expected {expected}")
        if "@" in parts.netloc:
            raise GatewayError(f"broker: got a user in the address, expected {expected}: others can see it there")
        return cls(parts.hostname, port, user, password, parts.scheme == "mqtts")


class Bridge:
    """One venue at one broker.

    Parameters
    ----------
    holders : who may take part; whoever may not read copies and tape, they are published where one of them may
    """

    def __init__(self, host: Host, holders: Iterable[Holder], broker: Broker) -> None:
        self.broker = broker
        self.connected = asyncio.Event()
        """Whether it has subscribed."""
        self.arrivals = 0
        """Connections that came about."""
        self.dropped = 0
        """Outputs that were not sent: the broker was away, or too slow."""
        self.ignored = 0
        """Payloads of nobody in the accounts file, or kept by the broker from another time."""
        self._host = host
        self._people = {holder.name: Principal(holder.name, holder.number, holder.role) for holder in holders}
        self._sessions: dict[str, Session] = {}
        self._stream: deque[Publish] = deque()
        self._latest: dict[str, Publish] = {}
        """Retained messages that wait, by topic."""
        self._wanted = asyncio.Event()
        """Set while something waits to be sent, or the end is near."""
        self._closing = False
        self._grace: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Open the sessions, and look for the broker from now on."""
        public = self._host.attach(_PUBLIC, _CLIENT_ID, self._deliver_public)
        patterns = [topics.MARKET_DATA + "#"]
        if any(topics.may_read(person, topics.TAPE) for person in self._people.values()):
            patterns += [topics.copies("+"), topics.TAPE]
        for pattern in patterns:
            self._host.desk.subscribe(public, pattern)
        for name, person in self._people.items():
            if topics.requests(person) is not None:
                self._open(name)
        self._task = asyncio.get_running_loop().create_task(self._keep_connected())

    async def close(self) -> None:
        """Send what waits, say that the venue has gone, disconnect."""
        self._closing = True
        self._wanted.set()
        if self._grace is not None:
            self._grace.cancel()
        if self._task is None:
            return
        if not self.connected.is_set():
            self._task.cancel()
        await asyncio.wait([self._task], timeout=_CLOSE_SECONDS)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    # ------------------------------------------------------------------------------------------------ sessions

    def _open(self, name: str) -> None:
        session = self._host.attach(self._people[name], _CLIENT_ID, partial(self._deliver, name))
        self._host.desk.subscribe(session, session.private_topic)
        self._sessions[name] = session

    def _end(self, name: str) -> None:
        """Its session ends, with its orders if it wished so; the next one waits for a Logon."""
        self._host.detach(self._sessions[name])
        self._open(name)

    def _end_all(self) -> None:
        log.warning("broker away, sessions ended", seconds=GRACE_SECONDS)
        for name in self._sessions:
            self._end(name)

    # ------------------------------------------------------------------------------------------------ both ways

    def _take(self, message: aiomqtt.Message) -> None:
        """A payload has come."""
        topic, payload = message.topic.value, message.payload
        name = topic.rpartition("/")[2]
        session = self._sessions.get(name)
        if session is None or message.retain or not isinstance(payload, bytes):
            self.ignored += 1
        elif payload or topic != topics.requests(session.principal):
            self._host.offer(session, topic, payload, 0)
        else:
            self._end(name)

    def _deliver(self, name: str, outputs: list[Output]) -> None:
        """Send what the desk has for one account."""
        for output in outputs:
            match output:
                case Publish():
                    self._send(output)
                case Close(DoorReason.JOURNAL_UNAVAILABLE):
                    pass  # the venue stops
                case Close():
                    log.warning("session ended", name=name, reason=output.reason.name)
                    self._end(name)
                case _:
                    pass  # the broker has acknowledged the payload long ago

    def _deliver_public(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Publish):
                self._send(output)

    def _send(self, message: Publish) -> None:
        if message.retain:
            self._latest[message.topic] = message
        elif self.connected.is_set() and len(self._stream) < OUT_LIMIT:
            self._stream.append(message)
        else:
            self.dropped += 1
        self._wanted.set()

    # ------------------------------------------------------------------------------------------------ connection

    def _client(self) -> aiomqtt.Client:
        broker = self.broker
        return aiomqtt.Client(
            broker.host, broker.port, username=broker.user, password=broker.password, identifier=broker.user,
            protocol=aiomqtt.ProtocolVersion.V5, clean_start=True, keepalive=_KEEP_ALIVE,
            will=aiomqtt.Will(topics.STATUS, self._absent(), qos=1, retain=True),
            tls_context=ssl.create_default_context() if broker.tls else None,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )  # fmt: skip

    def _absent(self) -> bytes:
        """The status of a venue that has no connection: closed, and of no run (epoch 0)."""
        replica = self._host.desk.replica
        _, date = replica.exchange.today()
        return codec.encode_one(m.TradingSessionStatus(replica.last_ns, Phase.CLOSED, date, 0))

    async def _keep_connected(self) -> None:
        failures = 0
        while not self._closing:
            try:
                async with self._client() as client:
                    await self._subscribe(client)
                    failures = 0
                    self._arrive()
                    await self._serve(client)
            except aiomqtt.MqttError as error:
                log.warning("no broker", broker=self.broker.host, port=self.broker.port, reason=str(error))
            except Exception:
                log.exception("bridge failed")
            finally:
                self._leave()
            if not self._closing:
                await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
                failures += 1

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        for role in (Role.TRADER, Role.INSTRUCTOR):
            pattern = topics.requests(Principal("+", 0, role)) or ""
            codes = await client.subscribe(pattern, qos=0)
            if any(getattr(code, "is_failure", False) for code in codes):
                raise aiomqtt.MqttError(f"{self.broker.user} may not read {pattern}")

    def _arrive(self) -> None:
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        self._latest = {message.topic: message for message in self._host.desk.market_data.retained()}
        self._wanted.set()
        self.connected.set()
        self.arrivals += 1
        log.info("at the broker", broker=self.broker.host, port=self.broker.port, sessions=len(self._sessions))

    def _leave(self) -> None:
        if self.connected.is_set():
            self.connected.clear()
            self.dropped += len(self._stream)
            self._stream.clear()
            if not self._closing:
                self._grace = asyncio.get_running_loop().call_later(GRACE_SECONDS, self._end_all)

    async def _serve(self, client: aiomqtt.Client) -> None:
        """Until the connection is lost (raises `MqttError`), or `close` was called and everything is sent."""
        work = [asyncio.create_task(self._read(client)), asyncio.create_task(self._write(client))]
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)

    async def _read(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            self._take(message)

    async def _write(self, client: aiomqtt.Client) -> None:
        while not self._closing or self._stream or self._latest:
            await self._wanted.wait()
            self._wanted.clear()
            while self._stream or self._latest:
                message = self._stream.popleft() if self._stream else self._latest.pop(next(iter(self._latest)))
                await client.publish(message.topic, message.payload, retain=message.retain)
                await asyncio.sleep(0)  # a long queue must not keep the desk from its turns
        await client.publish(topics.STATUS, self._absent(), retain=True)
