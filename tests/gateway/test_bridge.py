"""What only a broker brings: it restarts, the venue comes and goes behind it, and its access list is all there is."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from engine.codes import EventKind, Phase, Side
from gateway import client as client_module
from gateway.accounts import Holder
from gateway.client import Trader
from gateway.errors import GatewayError
from gateway.serve import Running
from gateway.transports import bridge as bridge_module
from gateway.transports.bridge import Bridge, Broker
from gateway.transports.broker_acl import BrokerKind, access_list
from gateway.transports.link import Link, open_link
from gateway.wire import codec, topics
from gateway.wire import messages as m
from gateway.wire.reasons import DoorReason
from gateway.wire.topics import Role
from tests.gateway.mosquitto import VENUE, Mosquitto, mosquitto, running_at, tool
from tests.gateway.running import PEOPLE, password_of, running, write_accounts
from tests.gateway.running import trader as client_of

ROOT = Path(__file__).parents[2]
real_broker = pytest.mark.e2e
_OPEN: list[Link] = []


def run(test: Coroutine[Any, Any, None]) -> None:
    async def guarded() -> None:
        try:
            await asyncio.wait_for(test, 90)
        finally:
            while _OPEN:
                _OPEN.pop().abort()
            await asyncio.sleep(0)

    asyncio.run(guarded())


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "ANSWER_SECONDS", 0.3)


def trader(broker: Mosquitto, name: str, **options: Any) -> Trader:
    return Trader("127.0.0.1", broker.port, name, password_of(name), role=PEOPLE[name], **options)


def bridge_of(venue: Running) -> Bridge:
    assert venue.bridge is not None
    return venue.bridge


async def ear(broker: Mosquitto, name: str, *patterns: str) -> tuple[Link, "asyncio.Queue[tuple[str, bytes]]"]:
    """A bare connection, and what it hears."""
    heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
    link = await open_link("127.0.0.1", broker.port, lambda topic, payload: heard.put_nowait((topic, payload)))
    _OPEN.append(link)
    await link.log_on("", name, password_of(name).encode())
    if patterns:
        await link.subscribe(*patterns)
    return link, heard


async def until(condition: Callable[[], bool], what: str) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(what)


async def next_on(heard: "asyncio.Queue[tuple[str, bytes]]", topic: str) -> bytes:
    """The next payload on that topic."""
    while True:
        where, payload = await asyncio.wait_for(heard.get(), 10)
        if where == topic:
            return payload


async def status(heard: "asyncio.Queue[tuple[str, bytes]]") -> m.TradingSessionStatus:
    found = codec.decode_data(await next_on(heard, topics.STATUS))
    assert isinstance(found, m.TradingSessionStatus)
    return found


async def supplant(broker: Mosquitto) -> None:
    """Break the venue's connection without a goodbye: another comes with its client id, and goes."""
    link = await open_link("127.0.0.1", broker.port, lambda *_: None)
    await link.log_on(VENUE, VENUE, password_of(VENUE).encode())
    link.abort()
    await link.lost


def epoch_of(person: Trader) -> int:
    assert person.session is not None
    return person.session.epoch


@real_broker
def test_nothing_is_lost_or_doubled_when_the_broker_dies_in_the_middle(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            mosquitto(tmp_path) as broker, running_at(broker, tmp_path) as venue,
            trader(broker, "anna") as anna, trader(broker, "ben") as ben,
        ):  # fmt: skip
            heard: dict[str, list[m.ExecutionReport]] = {"anna": [], "ben": []}
            opened = venue.desk.counters.requests

            async def listen(person: Trader, name: str) -> None:
                async for report in person.reports():
                    heard[name].append(report)

            async def send(person: Trader, side: Side) -> list[m.ExecutionReport]:
                outcomes = []
                for at in range(300):
                    tasks = [person.order("ANY", side, 1, 1000) for _ in range(3)] if at % 2 else []
                    outcomes += await asyncio.gather(person.order("ANY", side, 1, 1000), *tasks)
                return outcomes

            listening = [asyncio.create_task(listen(anna, "anna")), asyncio.create_task(listen(ben, "ben"))]
            sending = asyncio.gather(send(anna, Side.BUY), send(ben, Side.SELL))
            for _ in range(3):
                before = venue.desk.counters.requests
                await until(lambda more=before + 100: venue.desk.counters.requests > more, "no requests")
                await broker.stop()
                await asyncio.sleep(0.2)
                await broker.start()
            bought, sold = await sending
            for outcomes in (bought, sold):
                assert len({outcome.ref_seq for outcome in outcomes}) == len({o.order_id for o in outcomes}) == 750
                assert {outcome.exec_type for outcome in outcomes} == {EventKind.ACCEPTED}
            assert venue.desk.counters.requests == opened + 1500
            assert bridge_of(venue).arrivals == 4
            for name, person in (("anna", anna), ("ben", ben)):
                last = venue.desk.replica.principal(2 if name == "anna" else 3).next_report - 1
                await until(lambda told=heard[name], end=last: told[-1].priv_seq == end, "a report is missing")
                numbers = [report.priv_seq for report in heard[name]]
                assert numbers == list(range(numbers[0], last + 1))
                assert len([r for r in heard[name] if r.exec_type == EventKind.TRADE]) == 750
                assert (await person.status())[1] == []
            for task in listening:
                task.cancel()

    run(test())


@real_broker
def test_requests_wait_while_the_venue_is_away_and_are_carried_out_once_when_it_is_back(tmp_path: Path) -> None:
    async def test() -> None:
        async with mosquitto(tmp_path) as broker, AsyncExitStack() as stack:
            async with running_at(broker, tmp_path):
                anna = await stack.enter_async_context(trader(broker, "anna"))
                first = await anna.buy("ANY", 1, 1000)
            waiting = asyncio.gather(*(anna.buy("ANY", 1, 1000) for _ in range(5)), anna.status())
            await asyncio.sleep(0.5)
            assert not waiting.done()
            async with running_at(broker, tmp_path) as venue:
                *outcomes, _ = await asyncio.wait_for(waiting, 20)
                assert sorted(outcome.ref_seq for outcome in outcomes) == list(range(2, 7))
                assert all(outcome.order_id > first.order_id for outcome in outcomes)
                assert venue.desk.counters.requests == 5

    run(test())


@real_broker
def test_a_client_that_only_listens_notices_another_run_of_the_venue(tmp_path: Path) -> None:
    async def test() -> None:
        async with mosquitto(tmp_path) as broker, AsyncExitStack() as stack:
            async with running_at(broker, tmp_path) as venue:
                anna = await stack.enter_async_context(trader(broker, "anna"))
                assert epoch_of(anna) == venue.desk.terms.epoch
            async with running_at(broker, tmp_path) as venue:
                await until(lambda: epoch_of(anna) == venue.desk.terms.epoch, "the other run was not noticed")

    run(test())


@real_broker
def test_a_report_that_was_lost_on_the_way_is_asked_for_and_comes_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with (
            mosquitto(tmp_path) as broker, running_at(broker, tmp_path) as venue,
            trader(broker, "anna") as anna, trader(broker, "ben") as ben,
        ):  # fmt: skip
            reports = anna.reports()
            told = [asyncio.ensure_future(anext(reports))]
            await anna.sell("ANY", 9, 1000)
            await told[0]
            with monkeypatch.context() as narrow:
                narrow.setattr(bridge_module, "OUT_LIMIT", 0)
                dropped = bridge_of(venue).dropped
                unheard = asyncio.ensure_future(ben.buy("ANY", 1, 1000))
                await until(lambda: bridge_of(venue).dropped > dropped, "nothing was dropped")
            assert (await unheard).poss_dup == 1
            await ben.buy("ANY", 1, 1000)
            first = told[0].result().priv_seq
            numbers = [(await asyncio.wait_for(anext(reports), 10)).priv_seq for _ in range(2)]
            assert numbers == [first + 1, first + 2]

    run(test())


@real_broker
def test_the_status_is_closed_and_of_no_run_while_the_venue_is_not_there(tmp_path: Path) -> None:
    async def test() -> None:
        async with mosquitto(tmp_path) as broker:
            _, heard = await ear(broker, "guest", topics.STATUS)
            async with running_at(broker, tmp_path) as venue:
                here = await status(heard)
                assert here.epoch == venue.desk.terms.epoch
                await supplant(broker)  # what a broken network looks like from the broker
                gone = await status(heard)
                assert (gone.epoch, gone.phase) == (0, Phase.CLOSED)
                assert await status(heard) == here
            gone = await status(heard)
            assert (gone.epoch, gone.phase) == (0, Phase.CLOSED)
            _, late = await ear(broker, "guest", topics.STATUS)
            assert await status(late) == gone

    run(test())


@real_broker
def test_a_broker_that_has_forgotten_everything_gets_the_retained_messages_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with mosquitto(tmp_path) as broker, running_at(broker, tmp_path) as venue:
            async with trader(broker, "anna") as anna:
                await anna.sell("ANY", 5, 1000)
            await broker.stop()
            await until(lambda: not bridge_of(venue).connected.is_set(), "the loss was not noticed")
            await broker.start()
            await bridge_of(venue).connected.wait()
            _, heard = await ear(broker, "guest", "emex/1/md/#")
            assert (await status(heard)).epoch == venue.desk.terms.epoch
            snapshot = codec.decode_data(await next_on(heard, topics.snapshot("ANY")))
            assert isinstance(snapshot, m.MarketDataSnapshot)
            assert [entry[2:] for entry in snapshot.entries] == [[Side.SELL, 1000, 5]]

    run(test())


@real_broker
def test_market_data_goes_out_once_however_many_accounts_there_are(tmp_path: Path) -> None:
    async def test() -> None:
        async with mosquitto(tmp_path) as broker, running_at(broker, tmp_path):
            _, heard = await ear(broker, "guest", topics.update("ANY"))
            async with trader(broker, "anna") as anna, trader(broker, "ben"):
                await anna.sell("ANY", 5, 1000)
                update = codec.decode_data(await next_on(heard, topics.update("ANY")))
                assert isinstance(update, m.MarketDataIncremental)
                await asyncio.sleep(0.2)
                assert heard.empty()

    run(test())


@real_broker
def test_a_request_that_somebody_had_the_broker_keep_is_not_taken_when_the_venue_arrives(tmp_path: Path) -> None:
    async def test() -> None:
        async with mosquitto(tmp_path) as broker:
            payload = codec.encode([m.Logon(), m.NewOrderSingle(1, 0, 1, 1, 1000)])
            publish = [tool("mosquitto_pub"), "-V", "5", "-p", str(broker.port), "-u", "anna", "-P",
                       password_of("anna"), "-q", "1", "-r", "-t", "emex/1/in/anna", "-s"]  # fmt: skip
            await asyncio.to_thread(subprocess.run, publish, input=payload, check=True, capture_output=True)
            async with running_at(broker, tmp_path) as venue, trader(broker, "ben") as ben:
                await ben.buy("ANY", 1, 900)
                assert bridge_of(venue).ignored == 1
                assert venue.desk.replica.principal(2).last_seq == 0
                assert venue.desk.replica.principal(3).last_seq == 1

    run(test())


@real_broker
def test_whoever_the_broker_knows_but_the_venue_does_not_is_ignored_and_counted(tmp_path: Path) -> None:
    async def test() -> None:
        async with mosquitto(tmp_path) as broker, running_at(broker, tmp_path, metrics_port=0) as venue:
            before = venue.desk.counters.requests  # the venue's own: it has opened the traders' accounts
            stranger, _ = await ear(broker, "stranger")
            payload = codec.encode([m.Logon(), m.NewOrderSingle(1, 0, 1, 1, 1000)])
            assert await stranger.publish("emex/1/in/stranger", payload) == 0
            async with trader(broker, "anna") as anna:
                await anna.status()
            address = f"http://127.0.0.1:{venue.ports['metrics']}/metrics"
            page = await asyncio.to_thread(lambda: urllib.request.urlopen(address).read().decode())
            values = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
            names = ("broker_connected", "broker_ignored_total", "broker_arrivals_total")
            assert [float(values[f"emex_{name}"]) for name in names] == [1, 1, 1]
            assert venue.desk.counters.requests == before

    run(test())


@real_broker
@pytest.mark.parametrize(("grace", "left"), [(30.0, 1), (0.1, 0)])
def test_who_wished_it_loses_his_orders_when_the_broker_is_away_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grace: float, left: int
) -> None:
    monkeypatch.setattr(bridge_module, "GRACE_SECONDS", grace)

    async def test() -> None:
        async with (
            mosquitto(tmp_path) as broker, running_at(broker, tmp_path) as venue,
            trader(broker, "ben") as ben, trader(broker, "anna", cancel_on_disconnect=True) as anna,
        ):  # fmt: skip
            await anna.buy("ANY", 1, 1000)
            await ben.buy("ANY", 1, 900)
            await broker.stop()
            await asyncio.sleep(0.4)
            await broker.start()
            assert len((await anna.status())[1]) == left
            assert len((await ben.status())[1]) == 1
            assert venue.desk.counters.disconnect_cancels == 1 - left

    run(test())


@real_broker
def test_who_floods_is_logged_off_and_nobody_else(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            mosquitto(tmp_path) as broker, running_at(broker, tmp_path, rate=20) as venue,
            trader(broker, "ben") as ben,
        ):  # fmt: skip
            link, heard = await ear(broker, "anna", "emex/1/out/anna")
            link.publish("emex/1/in/anna", codec.encode([m.Logon()]))
            for seq in range(1, 301):
                link.publish("emex/1/in/anna", codec.encode([m.NewOrderSingle(seq, 0, 1, 1, 1000)]))
            reasons: list[int] = []
            while DoorReason.NOT_LOGGED_ON not in reasons:
                replies = codec.decode_replies(await next_on(heard, "emex/1/out/anna"))
                reasons += [reply.reason for reply in replies if isinstance(reply, m.BusinessMessageReject)]
            assert reasons[0] == DoorReason.THROTTLED
            assert (await ben.buy("ANY", 1, 900)).reason == 0
            assert bridge_of(venue).connected.is_set()

    run(test())


@real_broker
def test_the_venue_keeps_looking_for_a_broker_that_is_not_there_or_refuses_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with mosquitto(tmp_path) as broker:
            await broker.stop()
            async with running(tmp_path, port=None, broker=broker.address) as venue:
                await asyncio.sleep(0.3)
                assert not bridge_of(venue).connected.is_set()
                await broker.start()
                await asyncio.wait_for(bridge_of(venue).connected.wait(), 10)
            wrong = Broker("127.0.0.1", broker.port, VENUE, "guess")
            async with running(tmp_path, port=None, broker=wrong) as venue:
                await asyncio.sleep(0.5)
                assert bridge_of(venue).arrivals == 0

    run(test())


@real_broker
def test_one_venue_is_reached_through_its_own_server_and_through_the_broker_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            mosquitto(tmp_path) as broker, running(tmp_path, broker=broker.address) as venue,
            trader(broker, "anna") as anna, client_of(venue, "ben") as ben, client_of(venue, "anna") as second,
        ):  # fmt: skip
            await anna.sell("ANY", 5, 1000)
            reports = second.reports()
            told = asyncio.ensure_future(anext(reports))
            assert (await ben.buy("ANY", 2, 1000)).reason == 0
            assert (await asyncio.wait_for(told, 10)).exec_type == EventKind.TRADE

    run(test())


@real_broker
@pytest.mark.slow
def test_the_command_serves_at_a_broker_and_says_goodbye(tmp_path: Path) -> None:
    async def test() -> None:
        async with mosquitto(tmp_path) as broker:
            environment = {**os.environ, "EMEX_BROKER_PASSWORD": password_of(VENUE)}
            serving = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "emex", "serve", "--journal", str(tmp_path / "journal"), "--accounts",
                str(tmp_path / "accounts.json"), "--broker", f"mqtt://127.0.0.1:{broker.port}", "--broker-only",
                "--json", cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert serving.stdout is not None
            assert json.loads(await serving.stdout.readline())["ports"] == {}
            _, heard = await ear(broker, "guest", topics.STATUS)
            async with trader(broker, "anna") as anna:
                assert (await anna.buy("ANY", 1, 1000)).reason == 0
            serving.send_signal(signal.SIGTERM)
            assert await serving.wait() == 0
            assert 0 in [(await status(heard)).epoch for _ in range(heard.qsize())]

    run(test())


def test_a_broker_is_asked_for_without_a_password_in_sight() -> None:
    broker = Broker.parse("mqtts://broker.example", "emex", "secret-word")
    assert (broker.host, broker.port, broker.user, broker.tls) == ("broker.example", 8883, "emex", True)
    assert Broker.parse("mqtt://127.0.0.1:1884", "emex", "x").port == 1884
    assert "secret-word" not in repr(broker)


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:1883", "http://broker", "mqtt://", "mqtt://host:99999", "mqtt://me:word@host", "mqtt://host/path"],
)
def test_an_address_that_is_no_brokers_is_refused_with_what_was_expected(url: str) -> None:
    with pytest.raises(GatewayError, match="expected mqtt://HOST"):
        Broker.parse(url, "emex", "x")


def test_the_command_wants_the_password_from_the_environment(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "EMEX_BROKER_PASSWORD"}
    command = [sys.executable, "-m", "emex", "serve", "--broker", "mqtt://127.0.0.1:1"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**environment, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "EMEX_BROKER_PASSWORD" in done.stderr
    assert list(tmp_path.iterdir()) == []


MOSQUITTO = """\
# Made by `emex broker-acl`; traders come in by the patterns. Mosquitto warns that one of them names no user.
pattern write emex/1/in/%u
pattern read emex/1/out/%u
pattern read emex/1/md/#

user emex
topic read emex/1/in/+
topic read emex/1/admin/+
topic write emex/1/out/+
topic write emex/1/copy/+
topic write emex/1/tape
topic write emex/1/md/#

user teacher
topic deny emex/1/in/#
topic read emex/1/copy/+
topic read emex/1/tape
topic write emex/1/admin/teacher

user guest
topic deny emex/1/in/#

user risk
topic deny emex/1/in/#
topic read emex/1/copy/+
topic read emex/1/tape
"""
EMQX = """\
%% Made by `emex broker-acl`; traders come in by the rules with ${username}.
{allow, {user, "emex"}, subscribe, ["emex/1/in/+", "emex/1/admin/+"]}.
{allow, {user, "emex"}, publish, ["emex/1/out/+", "emex/1/copy/+", "emex/1/tape", "emex/1/md/#"]}.
{allow, {user, "teacher"}, subscribe, ["emex/1/copy/+", "emex/1/tape"]}.
{allow, {user, "teacher"}, publish, ["emex/1/admin/teacher"]}.
{deny, {user, "teacher"}, publish, ["#"]}.
{deny, {user, "guest"}, publish, ["#"]}.
{allow, {user, "risk"}, subscribe, ["emex/1/copy/+", "emex/1/tape"]}.
{deny, {user, "risk"}, publish, ["#"]}.
{allow, all, publish, ["emex/1/in/${username}"]}.
{allow, all, subscribe, ["emex/1/out/${username}", "emex/1/md/#"]}.
{deny, all}.
"""


@pytest.mark.parametrize(("kind", "expected"), [("mosquitto", MOSQUITTO), ("emqx", EMQX)])
def test_the_access_list_says_what_the_roles_may_in_the_brokers_words(tmp_path: Path, kind: str, expected: str) -> None:
    accounts = write_accounts(tmp_path / "accounts.json", PEOPLE)
    command = [sys.executable, "-m", "emex", "broker-acl", "--broker", kind, "--accounts", str(accounts)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, expected)


def test_the_venue_does_not_share_its_name_at_the_broker_with_an_account() -> None:
    with pytest.raises(GatewayError, match="no account has"):
        access_list(BrokerKind.MOSQUITTO, [Holder("emex", Role.TRADER, 2, "")], "emex")
