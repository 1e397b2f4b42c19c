"""Other people's MQTT clients trade at the built-in server of a real venue, each through the same scenarios.

Everything here is written against the wire as a stranger sees it (arrays, topics, codes): no message class of ours.
"""

import asyncio
import itertools
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.serve import Running
from gateway.wire.topics import Role
from tests.gateway.running import password_of, running
from tests.interop.peers import ALL, PATIENCE, Peer, RefusedError, Will

pytestmark = pytest.mark.e2e

LOGON = ["A"]
BUY, SELL = 1, 2
ACCEPTED, TRADE = 1, 3
NOT_AUTHORISED, PAYLOAD_FORMAT_INVALID, BAD_PASSWORD = 0x87, 0x99, 0x86
DOOR_NOT_AUTHORISED, DOOR_BAD_TYPE = 1040, 2060
REPORT = (
    "tag", "priv_seq", "time_ns", "exec_id", "order_id", "auction_id", "client_ref", "qty", "leaves_qty", "amount_fen",
    "fee_fen", "price_fen", "account", "contra", "instrument", "ref_seq", "exec_type",
)  # fmt: skip


def order(seq: int, side: int, qty: int, price: int) -> list[Any]:
    return ["D", seq, 0, side, qty, price]


def own(name: str, kind: str = "in") -> str:
    return f"emex/1/{kind}/{name}"


def fields(report: list[Any]) -> dict[str, Any]:
    return dict(zip(REPORT, report, strict=False))


@pytest.fixture(params=ALL, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[Peer]:
    return request.param


@pytest.fixture
def cache(request: pytest.FixtureRequest) -> Path:
    """A folder that stays, for what is installed."""
    return request.config.cache.mkdir("interop")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `cert` and `key` of 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key", "-out", folder / "cert",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip(f"openssl cannot make a certificate here: {made.stderr.decode()[-200:]}")
    return folder


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


async def until(holds: Callable[[], bool]) -> None:
    """Wait until the venue has come to a state."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 (the state is the venue's, which announces nothing)
            await asyncio.sleep(0.005)


def open_orders(venue: Running, number: int) -> int:
    return len(venue.desk.replica.exchange.living(number))


@asynccontextmanager
async def opened(folder: Path, people: dict[str, Role] | None = None, **options: Any) -> AsyncIterator[Running]:
    """A venue on both ports, its accounts open."""
    async with running(folder, people=people, websocket_port=0, **options) as venue:
        await until(lambda: venue.desk.counters.commits == 1)
        yield venue


async def sees_its_order(peer: Peer, seq: int, qos: int, **expected: Any) -> int:
    """Send an order and see its report; returns the PUBACK's code."""
    code = await peer.send(own(peer.name), [LOGON, order(seq, BUY, 5, 1000 + seq)], qos)
    report = fields(await peer.reply("8"))
    wanted = {"exec_type": ACCEPTED, "ref_seq": seq, "qty": 5, "price_fen": 1000 + seq, "account": 2, **expected}
    assert {name: report[name] for name in wanted} == wanted
    return code or 0


def test_a_client_enters_reads_the_market_and_sends_orders(kind: type[Peer], tmp_path: Path, cache: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path) as venue, kind("anna", venue.ports, cache) as anna:
            assert await anna.enter(own("anna", "out"), "emex/1/md/#", own("ben", "out")) == [0, 0, NOT_AUTHORISED]
            status = await anna.next_of("emex/1/md/status")
            snapshot = await anna.next_of("emex/1/md/ANY/snapshot")
            assert [status.retained, snapshot.retained] == [True, True]
            assert [status.message[0], snapshot.message[0]] == ["h", "W"]

            commits = venue.desk.counters.commits
            await sees_its_order(anna, 1, qos=0)
            assert await sees_its_order(anna, 2, qos=1) == 0
            assert venue.desk.counters.commits == commits + 2
            update = await anna.next_of("emex/1/md/ANY/update")
            assert not update.retained
            assert [1, 0, BUY, 1001, 5] in update.message[4]
            await anna.leave()

    run(test())


def test_a_refused_publish_is_visible_to_the_client(kind: type[Peer], tmp_path: Path, cache: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path) as venue, kind("anna", venue.ports, cache) as anna:
            await anna.enter(own("anna", "out"))
            before = venue.venue.journal.head
            for topic, messages, code, reason in (
                (own("ben"), [LOGON, order(1, BUY, 5, 1000)], NOT_AUTHORISED, DOOR_NOT_AUTHORISED),
                (own("anna"), "junk", PAYLOAD_FORMAT_INVALID, DOOR_BAD_TYPE),
            ):
                refused = venue.desk.counters.refused.get(reason, 0)
                assert await anna.send(topic, messages) == (code if kind.tells_codes else None)
                if kind.one_connection:
                    assert (await anna.reply("3"))[1] == reason
                assert venue.desk.counters.refused[reason] == refused + 1
            assert venue.venue.journal.head == before
            await anna.leave()

    run(test())


def test_a_wrong_password_is_the_clients_own_error(kind: type[Peer], tmp_path: Path, cache: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path) as venue, kind("anna", venue.ports, cache) as anna:
            anna.password = password_of("ben")
            with pytest.raises(RefusedError) as refused:
                await anna.enter(own("anna", "out"))
            assert refused.value.code == BAD_PASSWORD
            await until(lambda: not venue.server.connections)

    run(test())


@pytest.mark.parametrize("goodbye", [True, False], ids=["goodbye", "broken"])
def test_a_will_is_carried_out_when_the_connection_breaks_and_not_after_a_goodbye(
    kind: type[Peer], tmp_path: Path, cache: Path, *, goodbye: bool
) -> None:
    async def test() -> None:
        async with opened(tmp_path) as venue, kind("anna", venue.ports, cache) as anna:
            will = Will(own("anna"), [LOGON, ["q", 9]])
            assert await anna.enter(own("anna", "out"), will=will) == [0]
            await sees_its_order(anna, 1, qos=1)
            await until(lambda: len(venue.server.connections) == 1)
            await (anna.leave() if goodbye else anna.break_off())
            await until(lambda: not venue.server.connections and not venue.desk.has_work)
            assert open_orders(venue, 2) == int(goodbye and kind.goodbye_is_goodbye)

    run(test())


def test_an_encrypted_connection_is_the_same(kind: type[Peer], tmp_path: Path, cache: Path, certificate: Path) -> None:
    async def test() -> None:
        tls = {"certificate": certificate / "cert", "key": certificate / "key"}
        async with opened(tmp_path, **tls) as venue, kind("anna", venue.ports, cache, certificate / "cert") as anna:
            assert await anna.enter(own("anna", "out")) == [0]
            assert await sees_its_order(anna, 1, qos=1) == 0
            await anna.leave()

    run(test())


def test_a_client_that_is_idle_pings_and_stays(tmp_path: Path, cache: Path) -> None:
    """All at once, because each has to wait for its own ping."""
    people = {f"idle{at}": Role.TRADER for at in range(len(ALL))}

    async def test() -> None:
        async with opened(tmp_path, people) as venue:
            await asyncio.gather(*(pings(venue, kind, name) for kind, name in zip(ALL, people, strict=True)))

    async def pings(venue: Running, kind: type[Peer], name: str) -> None:
        async with kind(name, venue.ports, cache) as peer:
            await peer.enter(own(name, "out"))
            connection = next(c for c in venue.server.connections if c._session and c._session.principal.name == name)
            said: list[bytes] = []
            pinged = asyncio.Event()
            heard, receive = connection._heard, connection.receive

            def listen(data: bytes) -> None:
                said.append(data)
                receive(data)
                pinged.set()

            connection.receive = listen  # type: ignore[method-assign]
            await asyncio.wait_for(pinged.wait(), PATIENCE)
            assert b"".join(said).replace(b"\xc0\x00", b"") == b"", "expected nothing but PINGREQs"
            # It would be closed now if the ping had not counted.
            connection.check(heard + 1.5 * kind.keep_alive + 0.01)
            assert connection in venue.server.connections
            await peer.leave()

    run(test())


def test_clients_of_every_kind_trade_with_each_other(tmp_path: Path, cache: Path) -> None:
    people = {f"p{at}": Role.TRADER for at in range(len(ALL))}

    async def test() -> None:
        async with opened(tmp_path, people) as venue, AsyncExitStack() as stack:
            peers = [kind(name, venue.ports, cache) for kind, name in zip(ALL, people, strict=True)]
            for peer in peers:
                await stack.enter_async_context(peer)
            await asyncio.gather(*(peer.enter(own(peer.name, "out")) for peer in peers))
            for number, (seller, buyer) in enumerate(itertools.permutations(peers, 2), start=1):
                qty, price = number, 1000 + number
                await seller.send(own(seller.name), [LOGON, order(number, SELL, qty, price)])
                assert fields(await seller.reply("8"))["exec_type"] == ACCEPTED
                await buyer.send(own(buyer.name), [LOGON, order(number, BUY, qty, price)])
                assert fields(await buyer.reply("8"))["exec_type"] == ACCEPTED
                for one in (seller, buyer):
                    fill = fields(await one.reply("8"))
                    assert (fill["exec_type"], fill["qty"], fill["price_fen"]) == (TRADE, qty, price)
                    assert (fill["leaves_qty"], fill["contra"]) == (0, -1)
            assert number == len(ALL) * (len(ALL) - 1) == 30
            await asyncio.gather(*(peer.leave() for peer in peers))
            await until(lambda: not venue.server.connections)

    run(test())
