"""Participants on other people's MQTT clients, all led in the same way, so that one scenario runs on each of them.

They know MQTT and MessagePack and nothing of emex. What a library cannot do:

    paho-mqtt          nothing missing; it works in a thread of its own
    aiomqtt            takes a PUBACK for done whatever its reason code says; a refusal is seen as the venue's `Reject`
    gmqtt              the same: it does not read the code, and tells nobody when the PUBACK comes
    MQTT.js            nothing missing, over TCP and over WebSocket
    mosquitto_sub/pub  one connection listens, and each message is sent over a connection of its own, so that each
                       begins with a Logon and the answers to questions go past the listener; a will is a word on the
                       command line and cannot hold a zero byte; told to end, it asks for its will (DISCONNECT 0x04);
                       no keep-alive below 5 s
"""

import asyncio
import fcntl
import itertools
import json
import os
import shutil
import socket
import ssl
import subprocess
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import aiomqtt
import gmqtt
import msgpack
import pytest
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from tests.gateway.mosquitto import tool
from tests.gateway.running import password_of

HOST = "127.0.0.1"
NOT_KNOWN = None
"""A library that does not tell the reason code of a PUBACK."""
PATIENCE = 10
"""Seconds for anything to happen; only a failure takes so long."""


class Heard(NamedTuple):
    """A message that came."""

    message: Any
    retained: bool


class Will(NamedTuple):
    """What is published on one's behalf when the connection breaks."""

    topic: str
    messages: list[Any]


class RefusedError(Exception):
    """The server's CONNACK said no."""

    def __init__(self, code: int) -> None:
        super().__init__(f"0x{code:02x}")
        self.code = code


class Peer(ABC):
    """One participant.

    Parameters
    ----------
    ports : of the venue, by "mqtt" and "websocket"
    folder : for what it needs on disk
    ca : the authority that signed the venue's certificate; None = no TLS
    """

    keep_alive: ClassVar[int] = 2
    """Seconds."""
    tells_codes: ClassVar[bool] = True
    """Whether it says what a PUBACK said."""
    goodbye_is_goodbye: ClassVar[bool] = True
    """Whether its DISCONNECT withdraws the will."""
    one_connection: ClassVar[bool] = True
    """Whether it sends and listens over the same connection."""

    def __init__(self, name: str, ports: dict[str, int], folder: Path, ca: Path | None = None) -> None:
        self.name = name
        self.password = password_of(name)
        self.ports = ports
        self.folder = folder
        self.ca = ca
        self.heard: dict[str, asyncio.Queue[Heard]] = defaultdict(asyncio.Queue)
        """By topic."""
        self.loop = asyncio.get_running_loop()
        self._inside = False
        self._replies: deque[list[Any]] = deque()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave nothing behind, whatever has gone wrong."""
        if self._inside:
            await self.break_off()

    async def enter(self, *patterns: str, will: Will | None = None) -> list[int]:
        """Connect and subscribe; returns the codes of the SUBACK. Raises `RefusedError`."""
        self._inside = True
        return await self._enter(patterns, will)

    async def leave(self) -> None:
        """Say goodbye."""
        self._inside = False
        await self._leave()

    async def break_off(self) -> None:
        """Be gone without a goodbye."""
        self._inside = False
        await self._break_off()

    @abstractmethod
    async def send(self, topic: str, messages: Any, qos: int = 1) -> int | None:
        """Publish; returns the reason code of the PUBACK, `NOT_KNOWN` where there is none."""

    @abstractmethod
    async def _enter(self, patterns: tuple[str, ...], will: Will | None) -> list[int]: ...

    @abstractmethod
    async def _leave(self) -> None: ...

    @abstractmethod
    async def _break_off(self) -> None: ...

    def hear(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """A message has come; may be called in another thread."""
        heard = Heard(msgpack.unpackb(payload), retained)
        self.loop.call_soon_threadsafe(self.heard[topic].put_nowait, heard)

    async def next_of(self, topic: str) -> Heard:
        """The next message on that topic."""
        return await asyncio.wait_for(self.heard[topic].get(), PATIENCE)

    async def reply(self, tag: str) -> list[Any]:
        """The next private message of that type; others before it are dropped."""
        while True:
            if not self._replies:
                self._replies.extend((await self.next_of(f"emex/1/out/{self.name}")).message)
            reply: list[Any] = self._replies.popleft()
            if reply[0] == tag:
                return reply

    def tls(self) -> ssl.SSLContext | None:
        """For libraries that take it as Python does."""
        return ssl.create_default_context(cafile=str(self.ca)) if self.ca else None


class Paho(Peer):
    """paho-mqtt 2, threaded."""

    async def _enter(self, patterns: tuple[str, ...], will: Will | None) -> list[int]:
        entered: asyncio.Future[int] = self.loop.create_future()
        subscribed: asyncio.Future[list[int]] = self.loop.create_future()
        self._acks: dict[int, asyncio.Future[int]] = {}
        self._gone = asyncio.Event()
        client = self._client = PahoClient(CallbackAPIVersion.VERSION2, "", protocol=MQTTv5, reconnect_on_failure=False)
        tell = self.loop.call_soon_threadsafe
        client.username_pw_set(self.name, self.password)
        client.on_connect = lambda _c, _u, _f, code, _p: tell(entered.set_result, code.value)
        client.on_subscribe = lambda _c, _u, _m, codes, _p: tell(subscribed.set_result, [c.value for c in codes])
        client.on_publish = lambda _c, _u, mid, code, _p: tell(self._acked, mid, code.value)
        client.on_disconnect = lambda *_: tell(self._gone.set)
        client.on_message = lambda _c, _u, got: self.hear(got.topic, got.payload, retained=got.retain)
        if will is not None:
            client.will_set(will.topic, msgpack.packb(will.messages), qos=1)
        context = self.tls()
        if context is not None:
            client.tls_set_context(context)
        await asyncio.to_thread(client.connect, HOST, self.ports["mqtt"], self.keep_alive)
        client.loop_start()
        code = await asyncio.wait_for(entered, PATIENCE)
        if code:
            raise RefusedError(code)
        client.subscribe([(pattern, 1) for pattern in patterns])
        return await asyncio.wait_for(subscribed, PATIENCE)

    async def send(self, topic: str, messages: Any, qos: int = 1) -> int | None:
        mid = self._client.publish(topic, msgpack.packb(messages), qos).mid
        ack = self._acks[mid] = self.loop.create_future()
        code = await asyncio.wait_for(ack, PATIENCE)
        return code if qos else NOT_KNOWN

    def _acked(self, mid: int, code: int) -> None:
        self._acks.pop(mid).set_result(code)

    async def _leave(self) -> None:
        self._client.disconnect()
        await self._stop()

    async def _break_off(self) -> None:
        sock = self._client.socket()
        if sock is not None:
            sock.shutdown(socket.SHUT_RDWR)
        await self._stop()

    async def _stop(self) -> None:
        await asyncio.wait_for(self._gone.wait(), PATIENCE)
        await asyncio.to_thread(self._client.loop_stop)


class Aiomqtt(Peer):
    """aiomqtt 2: paho under an asynchronous roof."""

    tells_codes = False

    async def _enter(self, patterns: tuple[str, ...], will: Will | None) -> list[int]:
        last = aiomqtt.Will(will.topic, msgpack.packb(will.messages), qos=1) if will else None
        self._client = aiomqtt.Client(
            HOST, self.ports["mqtt"], username=self.name, password=self.password, protocol=aiomqtt.ProtocolVersion.V5,
            keepalive=self.keep_alive, will=last, tls_context=self.tls(),
        )  # fmt: skip
        self._stack = AsyncExitStack()
        try:
            await self._stack.enter_async_context(self._client)
        except aiomqtt.MqttCodeError as error:
            self._inside = False
            raise RefusedError(error.rc.value) from None  # type: ignore[union-attr]
        self._listener = asyncio.create_task(self._listen())
        codes = await self._client.subscribe([(pattern, 1) for pattern in patterns])
        return [code.value for code in codes]  # type: ignore[union-attr]

    async def _listen(self) -> None:
        with suppress(aiomqtt.MqttError):
            async for got in self._client.messages:
                self.hear(got.topic.value, got.payload, retained=got.retain)

    async def send(self, topic: str, messages: Any, qos: int = 1) -> int | None:
        await self._client.publish(topic, msgpack.packb(messages), qos)
        return NOT_KNOWN

    async def _leave(self) -> None:
        await self._stack.aclose()
        await self._listener

    async def _break_off(self) -> None:
        self._client._client.socket().shutdown(socket.SHUT_RDWR)
        await self._listener
        with suppress(aiomqtt.MqttError):
            await self._stack.aclose()


class Gmqtt(Peer):
    """gmqtt."""

    tells_codes = False

    async def _enter(self, patterns: tuple[str, ...], will: Will | None) -> list[int]:
        subscribed: asyncio.Future[list[int]] = self.loop.create_future()
        last = gmqtt.Message(will.topic, msgpack.packb(will.messages), qos=1) if will else None
        client = self._client = gmqtt.Client(None, will_message=last)
        client.set_config({"reconnect_retries": -2})  # with 0 it still tries once
        client.set_auth_credentials(self.name, self.password)
        client.on_message = self._on_message
        client.on_subscribe = lambda _client, _mid, codes, _properties: subscribed.set_result(list(codes))
        try:
            await client.connect(HOST, self.ports["mqtt"], ssl=self.tls() or False, keepalive=self.keep_alive)
        except gmqtt.mqtt.handler.MQTTConnectError as error:
            raise RefusedError(error._code) from None
        client.subscribe([gmqtt.Subscription(pattern, 1) for pattern in patterns])
        return await asyncio.wait_for(subscribed, PATIENCE)

    def _on_message(self, _client: Any, topic: str, payload: bytes, _qos: int, properties: dict[str, Any]) -> int:
        self.hear(topic, payload, retained=bool(properties["retain"]))
        return 0

    async def send(self, topic: str, messages: Any, qos: int = 1) -> int | None:
        self._client.publish(topic, msgpack.packb(messages), qos=qos)
        await asyncio.wait_for(self._client._persistent_storage.wait_empty(), PATIENCE)
        return NOT_KNOWN

    async def _leave(self) -> None:
        await self._client.disconnect()

    async def _break_off(self) -> None:
        self._client._connection._transport.abort()
        await asyncio.sleep(0)


class _Program(Peer):
    """A participant in a process of its own."""

    async def start(self, *command: str | bytes | Path, **options: Any) -> None:
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=pipe, limit=2**20, **options
        )
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.on_line(line.decode().rstrip("\n"))

    @abstractmethod
    def on_line(self, line: str) -> None:
        """A line of its output."""

    async def end(self) -> str:
        """When it has ended: what it has complained about."""
        assert self.process.stdin is not None
        assert self.process.stderr is not None
        complaint = await asyncio.wait_for(self.process.stderr.read(), PATIENCE)
        self.process.stdin.close()
        await self.process.wait()
        await self._reader
        return complaint.decode()

    async def _break_off(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.end()


def node_modules(folder: Path) -> Path:
    """MQTT.js and @msgpack/msgpack, installed into `folder` once; skips the test where that is impossible."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("no node and npm on the path")
    wanted = (Path(__file__).parent / "package.json").read_bytes()
    installed = folder / "installed"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_bytes() != wanted:
            (folder / "package.json").write_bytes(wanted)
            options = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run([npm, "install", *options], cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"npm cannot install {wanted.decode()}: {done.stderr[-300:]}")
            installed.write_bytes(wanted)
    return folder / "node_modules"


class MqttJs(_Program):
    """MQTT.js over TCP, in node."""

    scheme: ClassVar[tuple[str, str]] = "mqtt", "mqtts"
    port: ClassVar[str] = "mqtt"

    async def _enter(self, patterns: tuple[str, ...], will: Will | None) -> list[int]:
        self._subscribed: asyncio.Future[list[int]] = self.loop.create_future()
        self._acks: dict[int, asyncio.Future[int | None]] = {}
        self._numbers = itertools.count(1)
        modules = await asyncio.to_thread(node_modules, self.folder)
        await self.start("node", Path(__file__).parent / "peer.cjs", env=os.environ | {"NODE_PATH": str(modules)})
        scheme = self.scheme[self.ca is not None]
        self._order(
            "enter", url=f"{scheme}://{HOST}:{self.ports[self.port]}", patterns=patterns,
            options={"username": self.name, "password": self.password, "keepalive": self.keep_alive},
            will=will and will._asdict(), ca=self.ca and self.ca.read_text(),
        )  # fmt: skip
        return await asyncio.wait_for(self._subscribed, PATIENCE)

    def _order(self, what: str, **details: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": what, **details}).encode() + b"\n")

    def on_line(self, line: str) -> None:
        match json.loads(line):
            case {"topic": topic, "message": message, "retained": retained}:
                self.heard[topic].put_nowait(Heard(message, retained))
            case {"subscribed": codes}:
                self._subscribed.set_result(codes)
            case {"number": number, "code": code}:
                self._acks.pop(number).set_result(code)
            case {"refused": code}:
                self._subscribed.set_exception(RefusedError(code))
            case other:
                raise AssertionError(other)

    async def send(self, topic: str, messages: Any, qos: int = 1) -> int | None:
        number = next(self._numbers)
        ack = self._acks[number] = self.loop.create_future()
        self._order("send", number=number, topic=topic, messages=messages, qos=qos)
        return await asyncio.wait_for(ack, PATIENCE)

    async def _leave(self) -> None:
        self._order("leave")
        await self.end()


class MqttJsWebSocket(MqttJs):
    """MQTT.js over WebSocket, as in a browser."""

    scheme = "ws", "wss"
    port = "websocket"


def by_hand(value: Any) -> bytes:
    """MessagePack of arrays, short texts, nothing and small numbers, with no library at all."""
    match value:
        case list() if len(value) < 16:
            return bytes([0x90 | len(value)]) + b"".join(map(by_hand, value))
        case str() if len(value) < 32:
            return bytes([0xA0 | len(value)]) + value.encode()
        case None:
            return b"\xc0"
        case int() if 0 <= value < 128:
            return bytes([value])
        case int() if 0 <= value < 2**32:
            return b"\xce" + value.to_bytes(4, "big")
        case _:
            raise ValueError(value)


class Mosquitto(_Program):
    """The command line tools of Mosquitto."""

    keep_alive = 5
    one_connection = False
    goodbye_is_goodbye = False

    async def _enter(self, patterns: tuple[str, ...], will: Will | None) -> list[int]:
        self._subscribed: asyncio.Future[list[int]] = self.loop.create_future()
        wills = (
            ["--will-topic", will.topic, "--will-qos", "1", "--will-payload", by_hand(will.messages)] if will else []
        )
        # What it says of its subscriptions stays in its buffer until a message comes: the retained status does.
        topics = [word for pattern in (*patterns, "emex/1/md/status") for word in ("-t", pattern)]
        form = ["-d", "-F", "HEARD %r %t %x", "-k", str(self.keep_alive)]
        await self.start(await asyncio.to_thread(tool, "mosquitto_sub"), *self._address(), *topics, *form, *wills)
        ended = asyncio.create_task(self.process.wait())
        await asyncio.wait([ended, self._subscribed], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if self._subscribed.done():
            ended.cancel()
            return self._subscribed.result()
        await self.end()
        assert self.process.returncode is not None
        raise RefusedError(self.process.returncode)

    def _address(self) -> list[str]:
        tls = ["--cafile", str(self.ca)] if self.ca else []
        return ["-V", "5", "-h", HOST, "-p", str(self.ports["mqtt"]), "-u", self.name, "-P", self.password, *tls]

    def on_line(self, line: str) -> None:
        if line.startswith("HEARD "):
            _, retained, topic, payload = line.split(" ")
            self.hear(topic, bytes.fromhex(payload), retained=retained == "1")
        elif line.startswith("Subscribed "):
            self._subscribed.set_result([int(code) for code in line.partition("): ")[2].split(",")][:-1])

    async def send(self, topic: str, messages: Any, qos: int = 1) -> int | None:
        command = [tool("mosquitto_pub"), *self._address(), "-d", "-q", str(qos), "-t", topic, "-s"]
        pipe = asyncio.subprocess.PIPE
        program = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
        said, complaint = await asyncio.wait_for(program.communicate(by_hand(messages)), PATIENCE)
        assert program.returncode == 0, complaint
        (code,) = [line.rpartition(b"RC:")[2] for line in said.splitlines() if b"PUBACK" in line] or [b""]
        # The debugging output says the number, the complaint says it in words.
        assert bool(complaint) == bool(code.rstrip(b")").lstrip(b"0"))
        return int(code.rstrip(b")")) if qos else NOT_KNOWN

    async def _leave(self) -> None:
        self.process.terminate()
        await self.end()


ALL: tuple[type[Peer], ...] = (Paho, Aiomqtt, Gmqtt, MqttJs, MqttJsWebSocket, Mosquitto)
