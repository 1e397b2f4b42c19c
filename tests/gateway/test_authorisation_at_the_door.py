"""Who may do and hear what at the real door: roles, topics and actions through sockets of the built-in server.

The tables below say what is allowed; they are written by hand and know nothing of `gateway.wire.topics`. While the
attempts go on, others trade: everything a connection receives is kept and searched for what is not its business.
`tests/desk/test_authorisation.py` has the same idea message by message, in memory.
"""

import asyncio
import itertools
import os
import random
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import mqtt5
import msgpack
import pytest

from engine.digest import state_digest
from gateway.client import Trader
from gateway.serve import Running
from gateway.wire import messages as m
from gateway.wire.reasons import DoorReason
from gateway.wire.topics import Role
from tests.gateway.running import PEOPLE, password_of, running

EVERYBODY = PEOPLE | {"carl": Role.TRADER, "head": Role.INSTRUCTOR}
"""Ben, Carl and the head have things to hide; the four below try to get at them."""
WHO = ("anna", "teacher", "guest", "risk")
"""A trader, an instructor, an observer, and one who reads drop copies: the columns of the tables."""
BEN = 3
"""Number of his account."""

# `yes`: carried out. `no`: PUBACK 0x87, and for a will CONNACK 0x87. {me} is the name of who tries.
PUBLISH = """
                            anna  teacher  guest  risk
emex/1/in/{me}              yes   no       no     no
emex/1/in/ben               no    no       no     no
emex/1/admin/{me}           no    yes      no     no
emex/1/admin/head           no    no       no     no
emex/1/out/{me}             no    no       no     no
emex/1/out/ben              no    no       no     no
emex/1/copy/{me}            no    no       no     no
emex/1/copy/ben             no    no       no     no
emex/1/tape                 no    no       no     no
emex/1/md/ANY/snapshot      no    no       no     no
emex/1/md/ANY/update        no    no       no     no
emex/1/md/status            no    no       no     no
emex/1/nonsense             no    no       no     no
emex/1/in                   no    no       no     no
emex/1/in/                  no    no       no     no
emex/1/in/{me}/             no    no       no     no
emex/1/in/{me}/ben          no    no       no     no
emex/2/in/{me}              no    no       no     no
EMEX/1/in/{me}              no    no       no     no
/emex/1/in/{me}             no    no       no     no
emex//1/in/{me}             no    no       no     no
in/{me}                     no    no       no     no
{me}                        no    no       no     no
$SYS/broker/uptime          no    no       no     no
$share/g/emex/1/in/{me}     no    no       no     no
#                           no    no       no     no
+                           no    no       no     no
emex/#                      no    no       no     no
emex/1/#                    no    no       no     no
emex/1/in/+                 no    no       no     no
emex/1/in/#                 no    no       no     no
emex/1/out/+                no    no       no     no
emex/1/out/#                no    no       no     no
emex/1/+/{me}               no    no       no     no
LONG                        no    no       no     no
NUL                         no    no       no     no
"""

# What cannot be read ends the connection, whoever sends it: DISCONNECT with this code.
NO_TOPIC = {"": 0x81, "TOO LONG": 0x95}

# `yes`: granted. `no`: SUBACK 0x87. `sh`: SUBACK 0x9E, shared subscriptions not supported.
SUBSCRIBE = """
                            anna  teacher  guest  risk
emex/1/out/{me}             yes   yes      no     no
emex/1/out/ben              no    no       no     no
emex/1/out/head             no    no       no     no
emex/1/out/+                no    no       no     no
emex/1/out/#                no    no       no     no
emex/1/out/{me}/#           no    no       no     no
emex/1/out/{me}/            no    no       no     no
emex/1/out/ben/#            no    no       no     no
emex/1/out                  no    no       no     no
emex/1/copy/{me}            no    yes      no     yes
emex/1/copy/ben             no    yes      no     yes
emex/1/copy/+               no    yes      no     yes
emex/1/copy/#               no    no       no     no
emex/1/copy/ben/#           no    no       no     no
emex/1/tape                 no    yes      no     yes
emex/1/tape/#               no    no       no     no
emex/1/in/{me}              no    no       no     no
emex/1/in/ben               no    no       no     no
emex/1/in/+                 no    no       no     no
emex/1/in/#                 no    no       no     no
emex/1/admin/{me}           no    no       no     no
emex/1/admin/head           no    no       no     no
emex/1/admin/#              no    no       no     no
emex/1/md/#                 yes   yes      yes    yes
emex/1/md/+/snapshot        yes   yes      yes    yes
emex/1/md/ANY/update        yes   yes      yes    yes
emex/1/md/status            yes   yes      yes    yes
emex/1/md                   no    no       no     no
emex/1/nonsense             no    no       no     no
emex/1/nonsense/#           no    no       no     no
emex/2/out/{me}             no    no       no     no
EMEX/1/out/{me}             no    no       no     no
/emex/1/out/{me}            no    no       no     no
emex//1/out/{me}            no    no       no     no
#                           no    no       no     no
+                           no    no       no     no
+/#                         no    no       no     no
+/+/+/+                     no    no       no     no
+/1/out/ben                 no    no       no     no
emex/#                      no    no       no     no
emex/+/out/ben              no    no       no     no
emex/1/#                    no    no       no     no
emex/1/+                    no    no       no     no
emex/1/+/ben                no    no       no     no
emex/1/+/{me}               no    no       no     no
emex/1/+/#                  no    no       no     no
$SYS/#                      no    no       no     no
$SYS/broker/clients/total   no    no       no     no
$share/g/emex/1/out/ben     sh    sh       sh     sh
$share/g/emex/1/out/{me}    sh    sh       sh     sh
$share/g/emex/1/md/#        sh    sh       sh     sh
$share/g/#                  sh    sh       sh     sh
EMPTY                       no    no       no     no
LONG                        no    no       no     no
NUL                         no    no       no     no
"""

# What may arrive at all. One's own `out` also carries refusals, whether one has subscribed to it or not.
HEARS = {
    "anna": "emex/1/(out/anna|md/.+)",
    "teacher": "emex/1/(out/teacher|md/.+|copy/[^/]+|tape)",
    "guest": "emex/1/(out/guest|md/.+)",
    "risk": "emex/1/(out/risk|md/.+|copy/[^/]+|tape)",
}

SPELT = {"LONG": "emex/1/in/" + "x" * 16_000, "TOO LONG": "x" * 18_000, "NUL": "emex/1/out/ben\0", "EMPTY": ""}
"""What does not fit into a table."""
NOT_AUTHORISED = 0x87
QOS_NOT_SUPPORTED, RETAIN_NOT_SUPPORTED = 0x9B, 0x9A
SHARED_NOT_SUPPORTED = 0x9E
WRONG_PASSWORD, LOCKED_OUT = 0x86, 0x8A
ALIAS_LIMIT = 8
UNUSED = 4_000_000_000
"""A request number that nobody has used."""


def table(text: str) -> list[tuple[str, str, str]]:
    """Its cells: (topic as it is sent, name of who tries, what is expected)."""
    header, *rows = [line.split() for line in text.strip().splitlines()]
    assert tuple(header) == WHO
    return [
        (SPELT.get(topic, topic).format(me=name), name, expected)
        for topic, *cells in rows
        for name, expected in zip(WHO, cells, strict=True)
    ]


def harm(name: str) -> bytes:
    """What would change something if it were carried out, whoever is taken for its sender."""
    request = ["U1", UNUSED, BEN, 1] if EVERYBODY[name] is Role.INSTRUCTOR else ["D", UNUSED, 0, 1, 1, 777]
    return msgpack.packb([["A"], request])


def number(value: int) -> bytes:
    """A variable byte integer."""
    low, high = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + number(high) if high else bytes([low])


def publish(
    topic: str, payload: bytes, packet_id: int = 0, *, qos: int = 1, retain: bool = False, alias: int = 0
) -> bytes:
    """A PUBLISH, byte by byte: a codec would refuse to write half of them."""
    body = text(topic) + (packet_id.to_bytes(2, "big") if qos else b"")
    body += b"\x03\x23" + alias.to_bytes(2, "big") if alias else b"\0"
    return bytes([0x30 | qos << 1 | retain]) + number(len(body + payload)) + body + payload


def text(value: str | bytes) -> bytes:
    """A string or binary data, its length before it."""
    data = value.encode() if isinstance(value, str) else value
    return len(data).to_bytes(2, "big") + data


def connect(name: str, password: bytes, client_id: str, will: tuple[str, bytes, bool] | None) -> bytes:
    """A CONNECT; a will is (topic, payload, retained)."""
    flags = 0xC2 | (0x0C | will[2] << 5 if will else 0)
    last = b"\0" + text(will[0]) + text(will[1]) if will else b""
    body = b"\0\x04MQTT\x05" + bytes([flags]) + b"\0\x1e\0" + text(client_id) + last + text(name) + text(password)
    return b"\x10" + number(len(body)) + body


class Line:
    """One socket, with everything that has come out of it."""

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.name = name
        self.heard = bytearray()
        self._reader, self._writer = reader, writer
        self._read = 0
        self._ids = itertools.cycle(range(1, 60_000))

    def send(self, *packets: Any) -> None:
        self._writer.write(b"".join(p if isinstance(p, bytes) else p.write() for p in packets))

    async def packet(self) -> mqtt5.Packet | None:
        """The next one; None when the other end has closed."""
        while True:
            try:
                packet, length = mqtt5.read(memoryview(bytes(self.heard[self._read :])))
            except IndexError:
                data = await asyncio.wait_for(self._reader.read(2**20), 10)
                if not data:
                    return None
                self.heard += data
            else:
                self._read += length
                return packet

    async def answer(self, kind: type) -> Any:
        """The next packet of that kind, or None when the other end has closed."""
        while True:
            packet = await self.packet()
            if packet is None or isinstance(packet, kind):
                return packet

    async def enter(
        self, password: bytes | None = None, client_id: str = "", will: tuple[str, bytes, bool] | None = None
    ) -> int:
        """CONNECT; returns the CONNACK's code."""
        secret = password if password is not None else password_of(self.name).encode()
        self.send(connect(self.name, secret, client_id, will))
        return int((await self.answer(mqtt5.ConnAckPacket)).reason_code)

    async def subscribe(self, pattern: str, qos: int = 0) -> int:
        """Returns the SUBACK's code."""
        packet = mqtt5.SubscribePacket(next(self._ids), [mqtt5.TopicFilter(pattern, max_qos=mqtt5.QoS(qos))])
        self.send(packet)
        return int((await self.answer(mqtt5.SubAckPacket)).reason_codes[0])

    async def publish(self, topic: str, payload: bytes, **options: Any) -> int:
        """With QoS 1; returns the PUBACK's code."""
        self.send(publish(topic, payload, next(self._ids), **options))
        return int((await self.answer(mqtt5.PubAckPacket)).reason_code)

    async def settled(self) -> None:
        """Return when everything sent before has been read and answered."""
        self.send(mqtt5.PingReqPacket())
        await self.answer(mqtt5.PingRespPacket)

    def close(self) -> None:
        self._writer.transport.abort()

    def messages(self) -> list[mqtt5.PublishPacket]:
        """Everything that was published to it."""
        data, found = memoryview(bytes(self.heard)), []
        while data:
            try:
                packet, length = mqtt5.read(data)
            except IndexError:
                break
            data = data[length:]
            if isinstance(packet, mqtt5.PublishPacket):
                found.append(packet)
        return found


class Scene:
    """A venue, those who have secrets, and the lines of those who try to hear them."""

    def __init__(self, venue: Running, ben: Trader, carl: Trader, head: Trader) -> None:
        self.venue = venue
        self.lines: list[Line] = []
        self.secrets: list[bytes] = []
        self._ben, self._carl, self._head = ben, carl, head

    async def line(self, name: str) -> Line:
        """A socket of somebody, not connected to the venue's mind yet."""
        line = Line(name, *await asyncio.open_connection("127.0.0.1", self.venue.ports["mqtt"]))
        self.lines.append(line)
        return line

    async def entered(self, name: str) -> Line:
        line = await self.line(name)
        assert await line.enter() == 0
        return line

    async def talk(self) -> None:
        """Private traffic: a deposit of an amount like no other, a trade, a cancel, a refusal."""
        amount = 0x5EC2E7_0000_0000 + len(self.secrets)
        self.secrets.append(amount.to_bytes(8, "big"))
        assert (await self._head.request(m.Deposit, account=BEN, amount_fen=amount)).reason == 0
        offer = await self._ben.sell("ANY", 2, 1000)
        assert (await self._carl.buy("ANY", 1, 1000)).reason == 0
        assert (await self._ben.cancel(offer.order_id)).reason == 0
        assert (await self._ben.cancel(offer.order_id)).reason != 0

    def state(self) -> tuple[Any, ...]:
        """What must not change: the journal's chain and the venue's whole state."""
        return self.venue.venue.journal.head, state_digest(self.venue.desk.replica.exchange.canonical_state())

    def refused(self) -> int:
        """How many refusals have been counted: of payloads and subscriptions, and of packets."""
        counters = self.venue.desk.counters
        return counters.refused.get(DoorReason.NOT_AUTHORISED, 0) + self.venue.server.refused_packets

    def check_nothing_leaked(self) -> None:
        """Nobody has heard what is not in `HEARS`, and who may hear no copies has heard no secret."""
        assert self.secrets
        for line in self.lines:
            allowed = re.compile(HEARS[line.name])
            strange = {p.topic for p in line.messages() if not allowed.fullmatch(p.topic)}
            assert not strange, f"{line.name} has heard {strange}"
            if "tape" not in HEARS[line.name]:
                for secret in self.secrets:
                    assert secret not in line.heard, f"{line.name} has heard a secret"
                    assert secret[::-1] not in line.heard, f"{line.name} has heard a secret"


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    async with running(folder, people=EVERYBODY) as venue:
        port = venue.ports["mqtt"]
        ben, carl, head = (
            Trader("127.0.0.1", port, name, password_of(name), role=EVERYBODY[name]) for name in ("ben", "carl", "head")
        )
        async with ben, carl, head:
            made = Scene(venue, ben, carl, head)
            await made.talk()
            try:
                yield made
            finally:
                for line in made.lines:
                    line.close()
                made.check_nothing_leaked()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 100))


def test_what_is_published_on_a_topic_that_is_not_ones_own_is_refused_and_counted_and_changes_nothing(
    tmp_path: Path,
) -> None:
    """PUBLISH with QoS 1, with QoS 0, and through a topic alias."""

    async def test() -> None:
        allowed = 0
        async with scene(tmp_path) as at:
            lines = {name: await at.entered(name) for name in WHO}
            for topic, name, expected in table(PUBLISH):
                line, payload = lines[name], harm(name)
                before, refused = at.state(), at.refused()
                if expected == "yes":
                    allowed += 1
                    assert await line.publish(topic, payload, alias=1) == 0, (topic, name)
                    assert at.state() != before, "expected that the attempt is one that changes something"
                    assert at.refused() == refused
                    continue
                alias = 1 + len(topic) % ALIAS_LIMIT
                assert await line.publish(topic, payload) == NOT_AUTHORISED, (topic, name)
                line.send(publish(topic, payload, qos=0))
                assert await line.publish(topic, payload, alias=alias) == NOT_AUTHORISED, (topic, name)
                assert await line.publish("", payload, alias=alias) == NOT_AUTHORISED, (topic, name)
                assert at.refused() == refused + 4, (topic, name)
                assert at.state() == before, (topic, name)
            await at.talk()
        assert allowed == 2

    run(test())


def test_what_is_no_topic_ends_the_connection(tmp_path: Path) -> None:
    async def test() -> None:
        async with scene(tmp_path) as at:
            before = at.state()
            for (topic, code), name, qos in itertools.product(NO_TOPIC.items(), WHO, (0, 1)):
                line, refused = await at.entered(name), at.refused()
                line.send(publish(SPELT.get(topic, topic), harm(name), 1, qos=qos))
                goodbye = await line.answer(mqtt5.DisconnectPacket)
                assert goodbye.reason_code == code, (topic, name)
                assert at.refused() == refused + 1
                assert await line.packet() is None
            assert at.state() == before

    run(test())


@pytest.mark.parametrize(
    ("options", "code"),
    [({"qos": 2}, QOS_NOT_SUPPORTED), ({"retain": True}, RETAIN_NOT_SUPPORTED),
     ({"qos": 0, "retain": True}, RETAIN_NOT_SUPPORTED), ({"qos": 2, "retain": True}, QOS_NOT_SUPPORTED)],
    ids=["QoS 2", "retained", "retained with QoS 0", "retained with QoS 2"],
)  # fmt: skip
def test_qos_2_and_retained_end_the_connection_on_every_topic(
    tmp_path: Path, options: dict[str, Any], code: int
) -> None:
    async def test() -> None:
        async with scene(tmp_path) as at:
            before = at.state()
            for topic, name, _ in table(PUBLISH):
                line, refused = await at.entered(name), at.refused()
                line.send(publish(topic, harm(name), 1, **options))
                assert (await line.answer(mqtt5.DisconnectPacket)).reason_code == code, (topic, name)
                assert at.refused() == refused + 1, (topic, name)
                assert await line.packet() is None
            assert at.state() == before
            reader = await at.entered("risk")
            await reader.subscribe("emex/1/md/#")
            await reader.settled()
            assert {p.topic for p in reader.messages()} == {"emex/1/md/status", "emex/1/md/ANY/snapshot"}

    run(test())


@pytest.mark.parametrize("retained", [False, True])
def test_a_will_is_taken_for_ones_own_topic_only_and_never_retained(tmp_path: Path, *, retained: bool) -> None:
    async def test() -> None:
        accepted = 0
        async with scene(tmp_path) as at:
            for topic, name, expected in table(PUBLISH):
                line = await at.line(name)
                before, refused = at.state(), at.refused()
                # A will that was accepted says nothing that lasts: the next rows want the state as it is.
                will = (topic, harm(name) if expected == "no" else b"\x90", retained)
                code = await line.enter(will=will)
                if expected == "yes" and not retained:
                    accepted += 1
                    assert code == 0, (topic, name)
                else:
                    assert code == NOT_AUTHORISED, (topic, name)
                    assert at.refused() == refused + 1, (topic, name)
                    assert await line.packet() is None
                line.close()
                assert at.state() == before, (topic, name)
            await at.talk()
        assert accepted == (0 if retained else 2)

    run(test())


def test_only_what_the_table_allows_can_be_read(tmp_path: Path) -> None:
    async def test() -> None:
        granted = 0
        async with scene(tmp_path) as at:
            lines = {name: await at.entered(name) for name in WHO}
            codes = {"yes": 0, "no": NOT_AUTHORISED, "sh": SHARED_NOT_SUPPORTED}
            before = at.state()
            for pattern, name, expected in table(SUBSCRIBE):
                for qos in (0, 1, 2):
                    refused = at.refused()
                    assert await lines[name].subscribe(pattern, qos) == codes[expected], (pattern, name, qos)
                    assert at.refused() == refused + (expected != "yes"), (pattern, name)
                granted += expected == "yes"
            assert at.state() == before
            for _ in range(20):
                await at.talk()
            for line in lines.values():
                await line.settled()
            # Whoever may read copies has read the secrets, so that not having read them means something.
            for name in ("teacher", "risk"):
                heard = {p.topic: p.payload for p in lines[name].messages()}
                assert {"emex/1/copy/ben", "emex/1/copy/carl", "emex/1/tape"} <= set(heard)
                assert all(secret in lines[name].heard for secret in at.secrets[1:])
        assert granted == 4 * 4 + 2 + 2 * 4

    run(test())


def test_who_has_not_logged_on_does_nothing_and_hears_nothing(tmp_path: Path) -> None:
    """Without a CONNECT, with a wrong password, and with the right one but without a Logon."""

    async def test() -> None:
        async with scene(tmp_path) as at:
            before = at.state()
            patterns = [(pattern, name) for pattern, name, _ in table(SUBSCRIBE) if name == "anna"]
            topics = [(topic, name) for topic, name, _ in table(PUBLISH) if name == "anna"]
            attempts = [(name, mqtt5.SubscribePacket(1, [mqtt5.TopicFilter(p)]).write()) for p, name in patterns]
            attempts += [(name, publish(topic, harm(name), 1)) for topic, name in topics]
            for name, packet in attempts:
                line, refused = await at.line(name), at.refused()
                line.send(packet)
                assert await line.packet() is None
                assert line.heard == b""
                assert at.refused() == refused + 1
            for tried, (name, packet) in enumerate(attempts):
                line = await at.line(name)
                line.send(connect(name, b"guess", "", None), packet)
                connack = await line.answer(mqtt5.ConnAckPacket)
                assert connack.reason_code == (WRONG_PASSWORD if tried < 5 else LOCKED_OUT)
                assert await line.packet() is None
                await at.talk() if tried % 10 == 0 else None
            teacher = await at.entered("teacher")
            refused = at.venue.desk.counters.refused.get(DoorReason.NOT_LOGGED_ON, 0)
            before = at.state()
            assert await teacher.publish("emex/1/admin/teacher", msgpack.packb([["U1", 9, BEN, 1]])) == NOT_AUTHORISED
            assert at.venue.desk.counters.refused[DoorReason.NOT_LOGGED_ON] == refused + 1
            assert at.state() == before

    run(test())


def test_a_client_id_belongs_to_its_account(tmp_path: Path) -> None:
    """Somebody else's client id takes nothing over and opens nothing."""

    async def test() -> None:
        async with scene(tmp_path) as at:
            for owner, thief in itertools.permutations(WHO, 2):
                own = await at.line(owner)
                assert await own.enter(client_id="desk-1") == 0
                assert await own.subscribe("emex/1/md/#") == 0
                other = await at.line(thief)
                assert await other.enter(client_id="desk-1") == 0
                assert await other.subscribe(f"emex/1/out/{owner}") == NOT_AUTHORISED
                await own.settled()
                await other.settled()
                assert other.messages() == [], "expected nothing of the other's subscriptions"
                await at.talk()
                # His own, again: that is a take-over.
                again = await at.line(owner)
                assert await again.enter(client_id="desk-1") == 0
                assert (await own.answer(mqtt5.DisconnectPacket)).reason_code == 0x8E
                await again.settled()
                assert again.messages() == [], "expected no subscription of an earlier connection"
                other.close()
                again.close()

    run(test())


def naive(pattern: str) -> re.Pattern[str]:
    """What an MQTT filter matches, as a regular expression."""
    text = "/".join(
        "[^/]*" if level == "+" else ".*" if level == "#" else re.escape(level) for level in pattern.split("/")
    )
    return re.compile(text.replace("/.*", "(/.*)?"))


LEVELS = ["emex", "1", "in", "out", "copy", "admin", "tape", "md", "status", "ANY", "snapshot", "update", *EVERYBODY,
          "", "2", "$SYS", "$share", "Ben", "ben ", "bens"]  # fmt: skip
REAL = [f"emex/1/{kind}/{name}" for kind in ("in", "out", "copy", "admin") for name in EVERYBODY]
REAL += ["emex/1/tape", "emex/1/md/status", "emex/1/md/ANY/snapshot", "emex/1/md/ANY/update"]
ATTEMPTS = 20_000
BATCH = 24


def drawn(rng: random.Random, wildcards: tuple[str, ...]) -> str:
    """A topic or filter near a real one: some of its levels replaced, dropped or doubled."""
    levels = rng.choice(REAL).split("/")
    for _ in range(rng.choice((0, 1, 1, 2))):
        at = rng.randrange(len(levels))
        match rng.randrange(6):
            case 0:
                levels.insert(at, rng.choice(LEVELS))
            case 1 if len(levels) > 1:
                del levels[at]
            case _:
                levels[at] = rng.choice([*LEVELS, *wildcards * 6])
    if "#" in levels:
        levels = levels[: levels.index("#") + 1]
    if wildcards and rng.random() < 0.05:
        levels = ["$share", "g", *levels]
    return "/".join(levels) or "/"


def test_random_attempts_on_other_accounts_leak_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get("EMEX_SEED", "20261125"))
    print(f"repeat with EMEX_SEED={seed}")
    rng = random.Random(seed)
    own = {"anna": "emex/1/in/anna", "teacher": "emex/1/admin/teacher", "guest": None, "risk": None}
    count = dict.fromkeys(("published", "granted", "denied", "aliased", "near"), 0)

    async def attempt(line: Line, aliases: dict[int, str]) -> int:
        """A batch of one connection; returns how many refusals are expected."""
        line_patterns: list[tuple[int, str]] = []
        expected: dict[int, int] = {}
        packets: list[Any] = []
        for packet_id in range(1, BATCH + 1):
            if rng.random() < 0.5:
                pattern = drawn(rng, ("+", "#"))
                line_patterns.append((packet_id, pattern))
                packets.append(mqtt5.SubscribePacket(packet_id, [mqtt5.TopicFilter(pattern)]))
                continue
            topic, alias = drawn(rng, ()), rng.choice((0, 0, rng.randint(1, ALIAS_LIMIT)))
            if alias in aliases and rng.random() < 0.5:
                topic = aliases[alias]
                packets.append(publish("", harm(line.name), packet_id, alias=alias))
                count["aliased"] += 1
            else:
                packets.append(publish(topic, harm(line.name), packet_id, alias=alias))
                if alias:
                    aliases[alias] = topic
            expected[packet_id] = 0 if topic == own[line.name] else NOT_AUTHORISED
            count["near"] += topic in REAL
        line.send(*packets)
        denied = sum(code != 0 for code in expected.values())
        while expected or line_patterns:
            packet = await line.packet()
            if isinstance(packet, mqtt5.PubAckPacket):
                assert packet.reason_code == expected.pop(packet.packet_id)
                count["published"] += 1
            elif isinstance(packet, mqtt5.SubAckPacket):
                packet_id, pattern = line_patterns.pop(0)
                assert packet.packet_id == packet_id
                matched = [topic for topic in REAL if naive(pattern).fullmatch(topic)]
                if packet.reason_codes[0] == 0:
                    count["granted"] += 1
                    strange = [topic for topic in matched if not re.fullmatch(HEARS[line.name], topic)]
                    assert not strange, f"{line.name} may read {strange} by {pattern!r}"
                else:
                    count["denied"] += 1
                    denied += 1
            else:
                assert isinstance(packet, mqtt5.PublishPacket), packet
        return denied

    async def test() -> None:
        async with scene(tmp_path) as at:
            lines = {name: await at.entered(name) for name in WHO}
            aliases: dict[str, dict[int, str]] = {name: {} for name in WHO}
            for name in ("anna", "teacher"):  # whose own topic does carry it out: once, and then never again
                assert await lines[name].publish(own[name] or "", harm(name)) == 0
            for number_of_batch in range(-(-ATTEMPTS // BATCH)):
                name = WHO[number_of_batch % len(WHO)]
                before, refused = at.state(), at.refused()
                denied = await attempt(lines[name], aliases[name])
                assert at.refused() == refused + denied
                assert at.state() == before
                if number_of_batch % 20 == 0:
                    await at.talk()
            for line in lines.values():
                await line.settled()
            assert all(secret in lines["risk"].heard for secret in at.secrets[-3:])

    run(test())
    assert count["published"] + count["granted"] + count["denied"] >= ATTEMPTS
    assert min(count["aliased"], count["granted"], count["near"]) > 500, count
    print(count)
