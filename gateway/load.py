"""A load generator with an audit (`emex load`): what was sent is what happened, once, and how long the answer took.

Open loop: payloads are due at fixed times whether or not answers come, and latency counts from the due time, so that a
stalled venue cannot hide (coordinated omission). With rate 0 it is a closed loop: a fixed number of payloads in flight.
Every account keeps its own books from its private reports: each request has exactly one outcome, each order's quantity
adds up through every fill, and at the end its open orders and balances are compared with what the venue says.

The orders are made up (uniform around a fixed price): a load, no market.
"""

import asyncio
import tempfile
import time
import urllib.request
from collections import deque
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from engine.codes import CommandKind, EventKind, OrdType, Rule, Side, TimeInForce
from engine.core.state import Units
from engine.rules.compiler import compile_rulebook
from engine.rules.schema import find_rulebook
from gateway.errors import GatewayError
from gateway.spawn import spawned
from gateway.transports.link import Link, open_link
from gateway.wire import codec, topics
from gateway.wire import messages as m
from gateway.wire.records import VERSION, empty_requests
from gateway.wire.topics import Role

_AT = {name: at for at, name in enumerate(m.fields_of(m.ExecutionReport), start=1)}
_PRICE_FEN, _SPREAD = 5000, 25
_CANCELS = 0.2
"""Share of requests that cancel an earlier order."""
_BAR = 40
"""Width of the histogram's longest bar."""
_IMMEDIATE = 0.9
"""Above it an order is immediate or cancel."""
_DRAIN_SECONDS = 60
_AT_ONCE = 32
"""Clients that log on side by side; a venue turns away more from one address."""
_ENDOWMENT = "--cash", "1000000000", "--units", "10000000"
"""Of an account at a spawned venue; an unfunded market keeps none of it."""
_TAG_OF_REPORTS = b"\xa18"
"""How a payload of reports begins; these are decoded untyped: the generator must be faster than the venue."""
_decode = msgspec.msgpack.Decoder().decode


@dataclass(frozen=True)
class LoadOptions:
    """What to send where."""

    host: str = "127.0.0.1"
    port: int = 1883
    metrics_port: int | None = None
    rate: int = 1000
    """Requests a second over all accounts; 0 = closed loop."""
    seconds: float = 10.0
    batch: int = 1
    in_flight: int = 8
    """Payloads in flight over all accounts, for the closed loop."""
    packed: bool = True
    """Batches as rows of `records.REQUEST`, the form for bulk orders; else, and single ones always, as messages."""
    symbol: str | None = None
    """What is traded; None = the venue's first instrument."""
    seed: int = 1


@dataclass
class Audit:
    """One account's own books."""

    outcomes: dict[int, int] = field(default_factory=dict)
    """How often each request was answered."""
    leaves: dict[int, int] = field(default_factory=dict)
    """Open quantity by order, as the reports say."""
    next_report: int = 0
    bought_t: int = 0
    sold_t: int = 0
    paid_fen: int = 0
    received_fen: int = 0
    fees_fen: int = 0
    rejected: int = 0
    faults: list[str] = field(default_factory=list)
    """What cannot be explained."""

    def take(self, report: list[Any]) -> None:
        """Book one report, given as the array on the wire."""
        if report[_AT["poss_dup"]]:
            return
        number = report[_AT["priv_seq"]]
        if self.next_report and number != self.next_report:
            self.faults.append(f"report {number} came where {self.next_report} was due")
        self.next_report = number + 1
        ref_seq, kind = report[_AT["ref_seq"]], report[_AT["exec_type"]]
        if ref_seq:
            self.outcomes[ref_seq] = self.outcomes.get(ref_seq, 0) + 1
        order_id, qty = report[_AT["order_id"]], report[_AT["qty"]]
        if kind == EventKind.ACCEPTED:
            self.leaves[order_id] = qty
        elif kind == EventKind.TRADE:
            self._fill(report, order_id, qty)
        elif kind in (EventKind.CANCELED, EventKind.EXPIRED):
            if self.leaves.pop(order_id, None) != report[_AT["leaves_qty"]]:
                self.faults.append(f"order {order_id}: {report[_AT['leaves_qty']]} t cancelled that were not open")
        elif kind == EventKind.REJECTED:
            self.rejected += 1

    def refuse(self, seqs: range) -> None:
        """The door has refused these requests: that is their outcome."""
        for seq in seqs:
            self.outcomes[seq] = self.outcomes.get(seq, 0) + 1

    def _fill(self, report: list[Any], order_id: int, qty: int) -> None:
        left = self.leaves.get(order_id, 0) - qty
        if left != report[_AT["leaves_qty"]]:
            self.faults.append(f"order {order_id}: {report[_AT['leaves_qty']]} t left, expected {left}")
        if left > 0:
            self.leaves[order_id] = left
        else:
            self.leaves.pop(order_id, None)
        if report[_AT["side"]] == Side.BUY:
            self.bought_t += qty
            self.paid_fen += report[_AT["amount_fen"]]
        else:
            self.sold_t += qty
            self.received_fen += report[_AT["amount_fen"]]
        self.fees_fen += report[_AT["fee_fen"]]


class _Client:
    """One account's connection, its requests and its audit."""

    def __init__(self, name: str, seed: int, latencies: list[float], *, packed: bool) -> None:
        self.name = name
        self._packed = packed
        self.audit = Audit()
        self.sent = 0
        self.acked = 0
        self.refused: dict[str, int] = {}
        """Requests that the door refused, by its words."""
        self.in_flight = 0
        self._latencies = latencies
        self._topic = f"{topics.PREFIX}in/{name}"
        self._random = np.random.default_rng(seed)
        self._link: Link | None = None
        self._before: m.AccountReport
        self._book: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._instrument = 0
        self._price_fen = _PRICE_FEN
        self._replies: asyncio.Queue[Any] = asyncio.Queue()
        self._due: deque[tuple[float, bytes, int]] = deque()
        self.idle = asyncio.Event()
        """Set when a payload has been answered."""

    async def open(self, options: LoadOptions, password: str) -> None:
        """Log on; prices will lie around the close before, where there is one."""
        self._link = link = await open_link(options.host, options.port, self._hear)
        await link.log_on(f"load-{self.name}", self.name, password.encode())
        await link.subscribe(topics.reports(self.name))
        link.publish(self._topic, codec.encode([m.Logon()]))
        reply = await self._reply()
        if reply.last_seq:
            raise GatewayError(f"{self.name}: has traded before (request {reply.last_seq}), expected a fresh account")
        symbol = options.symbol or reply.symbols[0]
        if symbol not in reply.symbols:
            raise GatewayError(f"symbol: got {symbol!r}, expected one of {', '.join(reply.symbols)}")
        self._instrument = reply.symbols.index(symbol)
        self._before, _ = await self._status()
        await link.subscribe(topics.snapshot(symbol))
        book = await self._unless_lost(self._book)
        if book.prev_close_fen > 0:
            self._price_fen = book.prev_close_fen

    def payload(self, batch: int) -> bytes:
        """The next `batch` requests: limit orders around a fixed price, and cancels of earlier ones."""
        rows = self._requests(batch)
        if self._packed:
            return codec.encode([m.PackedRequests(VERSION, rows.tobytes())])
        messages: list[m.Message] = []
        for seq, target, command in zip(
            rows["seq"].tolist(), rows["target_seq"].tolist(), rows["command"], strict=True
        ):
            if target:
                messages.append(m.OrderCancelRequest(seq, target_seq=target))
            else:
                side, qty, price, tif = (int(command[name]) for name in ("side", "qty", "price_fen", "tif"))
                messages.append(m.NewOrderSingle(seq, self._instrument, side, qty, price, OrdType.LIMIT, tif))
        return codec.encode(messages)

    def _requests(self, count: int) -> np.ndarray:
        """REQUEST rows, shape (count,)."""
        what, side, price, qty = self._random.random((4, count))
        rows = empty_requests(count)
        rows["seq"] = np.arange(self.sent + 1, self.sent + count + 1)
        self.sent += count
        commands = rows["command"]
        cancels = (what < _CANCELS) & (rows["seq"] > 1)
        commands["kind"] = np.where(cancels, CommandKind.CANCEL, CommandKind.NEW)
        commands["client_ref"], commands["ord_type"] = rows["seq"], OrdType.LIMIT
        rows["target_seq"] = np.where(cancels, 1 + side * (rows["seq"] - 1.0), 0)
        new = ~cancels
        commands["instrument"][new] = self._instrument
        commands["side"][new] = 1 + (side[new] < 0.5)
        commands["qty"][new] = 1 + qty[new] * 20
        commands["price_fen"][new] = self._price_fen - _SPREAD + (price[new] * 2 * _SPREAD).astype(np.int64)
        commands["tif"][new] = np.where(what[new] > _IMMEDIATE, TimeInForce.IOC, TimeInForce.DAY)
        return rows

    def send(self, due: float, batch: int) -> None:
        """A payload that was due at `due`; it waits here while as many are in flight as the server takes."""
        self._due.append((due, self.payload(batch), batch))
        self._push()

    def _push(self) -> None:
        assert self._link is not None
        while self._due and self.in_flight < self._link.receive_max:
            due, payload, batch = self._due.popleft()
            self.in_flight += 1
            answered = partial(self._answered, due, batch)
            self._link.publish(self._topic, payload).add_done_callback(answered)

    def _answered(self, due: float, batch: int, future: "asyncio.Future[int]") -> None:
        self.in_flight -= 1
        if future.exception() is None and future.result() == 0:
            self._latencies.append(time.perf_counter() - due)
            self.acked += batch
        self.idle.set()
        self._push()

    @property
    def waiting(self) -> int:
        """Payloads without an answer."""
        return self.in_flight + len(self._due)

    def _hear(self, topic: str, payload: bytes) -> None:
        if topic.startswith(topics.MARKET_DATA):
            if not self._book.done():
                self._book.set_result(codec.decode_data(payload))
            return
        if _TAG_OF_REPORTS in payload[:8]:
            for report in _decode(payload):
                self.audit.take(report)
            return
        for reply in codec.decode_replies(payload):
            if isinstance(reply, m.BusinessMessageReject):
                self.audit.refuse(range(reply.ref_seq, reply.last_ref_seq + 1))
                self.refused[reply.text] = self.refused.get(reply.text, 0) + reply.last_ref_seq - reply.ref_seq + 1
            elif isinstance(reply, m.Reject):
                self.audit.faults.append(f"a payload could not be read: {reply.text}")
            else:
                self._replies.put_nowait(reply)

    async def _reply(self) -> Any:
        """The next answer to a question."""
        return await self._unless_lost(asyncio.ensure_future(self._replies.get()))

    async def _unless_lost(self, answer: "asyncio.Future[Any]") -> Any:
        """What is waited for. Raises `GatewayError` where the connection breaks instead."""
        assert self._link is not None
        await asyncio.wait([answer, self._link.lost], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            raise GatewayError(f"{self.name}: {self._link.lost.result()}, expected an answer")
        return answer.result()

    async def _status(self) -> tuple[m.AccountReport, dict[int, int]]:
        """What the venue says: balances, and the open quantity of every order."""
        assert self._link is not None
        orders: dict[int, int] = {}
        while True:
            self._link.publish(self._topic, codec.encode([m.StatusRequest(0, max(orders, default=0))]))
            account, page = await self._reply(), await self._reply()
            orders |= {row[0]: row[7] for row in page.orders}
            if page.last:
                return account, orders

    async def reconcile(self, *, funded: bool) -> None:
        """Compare one's own books with the venue's; an unfunded market moves no balances."""
        audit = self.audit
        account, living = await self._status()
        if living != audit.leaves:
            audit.faults.append(f"{len(living)} orders open, expected {len(audit.leaves)}, or other quantities")
        cash, units = self._owned(self._before)
        if funded:
            cash += audit.received_fen - audit.paid_fen - audit.fees_fen
            units += audit.bought_t - audit.sold_t
        if self._owned(account) != (cash, units):
            audit.faults.append(f"owns (fen, t) {self._owned(account)}, expected {(cash, units)}")

    def _owned(self, account: m.AccountReport) -> tuple[int, int]:
        """Cash, fen, and units of the instrument, t, whatever they are held for."""
        return account.cash_fen + account.cash_held_fen, sum(account.units[self._instrument][: Units.BIDDING])

    def close(self) -> None:
        """Say goodbye."""
        if self._link is not None:
            self._link.close()


async def generate(options: LoadOptions, passwords: dict[str, str], *, funded: bool = False) -> dict[str, Any]:
    """Send the load and audit it.

    Parameters
    ----------
    passwords : by account name; fresh accounts, which this load shares out evenly
    funded : whether the rulebook is pre-funded: what is traded is then delivered and paid

    Returns
    -------
    dict
        What `emex load --json` prints: counts of requests, latencies in ms, faults in words.
    """
    latencies: list[float] = []
    packed = options.packed and options.batch > 1
    clients = [_Client(name, options.seed + at, latencies, packed=packed) for at, name in enumerate(passwords)]
    for at in range(0, len(clients), _AT_ONCE):
        await asyncio.gather(*(c.open(options, passwords[c.name]) for c in clients[at : at + _AT_ONCE]))
    commits = _commit_seconds(options)
    began = time.perf_counter()
    if options.rate:
        await _open_loop(options, clients, began)
    else:
        await _closed_loop(options, clients, began)
    deadline = time.perf_counter() + _DRAIN_SECONDS
    while any(client.waiting for client in clients) and time.perf_counter() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    seconds = time.perf_counter() - began
    await asyncio.gather(*(client.reconcile(funded=funded) for client in clients))
    spent = _commit_seconds(options) - commits
    for client in clients:
        client.close()
    return _result(options, clients, np.array(latencies) * 1000, seconds, spent)


def _histogram(ack_ms: np.ndarray) -> list[tuple[float, int]]:
    """Payloads by latency: (upper bound in ms, how many), each bound a quarter more than the one before."""
    if not len(ack_ms):
        return []
    bounds = 1.25 ** np.arange(np.floor(np.log(ack_ms.min()) / np.log(1.25)), np.log(ack_ms.max()) / np.log(1.25) + 1)
    counts = np.bincount(np.searchsorted(bounds, ack_ms), minlength=len(bounds))
    return [(round(float(bound), 4), int(count)) for bound, count in zip(bounds, counts, strict=True)]


async def _open_loop(options: LoadOptions, clients: list[_Client], began: float) -> None:
    """Payloads at fixed times, round the accounts."""
    interval = options.batch / options.rate
    for number in range(int(options.seconds / interval)):
        due = began + number * interval
        early = due - time.perf_counter()
        if early > 0 or number % 64 == 0:
            await asyncio.sleep(max(0.0, early))
        clients[number % len(clients)].send(due, options.batch)


async def _closed_loop(options: LoadOptions, clients: list[_Client], began: float) -> None:
    """A fixed number of payloads in flight."""
    share = max(1, options.in_flight // len(clients))

    async def one(client: _Client) -> None:
        while time.perf_counter() - began < options.seconds:
            while client.waiting < share:
                client.send(time.perf_counter(), options.batch)
            client.idle.clear()
            await client.idle.wait()

    await asyncio.gather(*(one(client) for client in clients[: options.in_flight]))


def _commit_seconds(options: LoadOptions) -> float:
    """What the venue says it has spent in commits; 0 where its metrics are not served."""
    if options.metrics_port is None:
        return 0.0
    with urllib.request.urlopen(f"http://{options.host}:{options.metrics_port}/metrics") as page:
        lines = page.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("emex_commit_seconds_sum"))


def _result(
    options: LoadOptions, clients: list[_Client], ack_ms: np.ndarray, seconds: float, commit_seconds: float
) -> dict[str, Any]:
    audits = [client.audit for client in clients]
    sent = sum(client.sent for client in clients)
    answered = sum(len(audit.outcomes) for audit in audits)
    faults = [f"{client.name}: {fault}" for client in clients for fault in client.audit.faults]
    if sum(a.bought_t for a in audits) != sum(a.sold_t for a in audits):
        faults.append("more was bought than sold, or less")
    if sum(a.paid_fen for a in audits) != sum(a.received_fen for a in audits):
        faults.append("more was paid than received, or less")
    refused: dict[str, int] = {}
    for client in clients:
        for text, count in client.refused.items():
            refused[text] = refused.get(text, 0) + count
    p50, p99, p999 = np.percentile(ack_ms, [50, 99, 99.9]).tolist() if len(ack_ms) else (0.0, 0.0, 0.0)
    return {
        "sent": sent,
        "acked": sum(client.acked for client in clients),
        "lost": sent - answered,
        "doubled": sum(1 for audit in audits for count in audit.outcomes.values() if count > 1),
        "unexplained": len(faults),
        "faults": faults[:20],
        "refused": refused,
        "rejected": sum(audit.rejected for audit in audits),
        "traded_t": sum(audit.bought_t for audit in audits),
        "seconds": round(seconds, 3),
        "orders_per_second": round(sent / seconds, 1),
        "ack_ms": {"p50": round(p50, 3), "p99": round(p99, 3), "p999": round(p999, 3)},
        "ack_histogram": _histogram(ack_ms),
        "commit_share": round(commit_seconds / seconds, 4),
        "accounts": len(clients),
        "batch": options.batch,
        "packed": options.packed and options.batch > 1,
        "rate": options.rate,
        "seed": options.seed,
    }


def load(options: LoadOptions, rules: str, traders: int, passwords: dict[str, str] | None) -> dict[str, Any]:
    """Run a load against a running venue under `rules`, or with `passwords` None against one spawned for it."""
    funded = any(compile_rulebook(find_rulebook(rules)).rows[:, Rule.FUNDED])
    if passwords is not None:
        return asyncio.run(generate(options, passwords, funded=funded))
    people = {f"load{number:03d}": Role.TRADER for number in range(traders)}
    with (
        tempfile.TemporaryDirectory(prefix="emex-load-") as folder,
        spawned(Path(folder), rules, people, "--metrics-port", "0", "--rate", "0", *_ENDOWMENT) as server,
    ):
        here = replace(options, host="127.0.0.1", port=server.ports["mqtt"], metrics_port=server.ports["metrics"])
        return asyncio.run(generate(here, server.passwords, funded=funded))


def print_load(result: dict[str, Any], console: Console) -> None:
    """The result of `load` as a small table."""
    table = Table(box=None, show_header=False, pad_edge=False)
    rows = ("sent", "acked", "lost", "doubled", "unexplained", "orders_per_second")
    for name in rows:
        table.add_row(name.replace("_", " "), f"{result[name]:,}")
    ack = result["ack_ms"]
    table.add_row("ack, ms", f"p50 {ack['p50']}, p99 {ack['p99']}, p99.9 {ack['p999']}")
    table.add_row("commits", f"{result['commit_share']:.0%} of the time")
    console.print(table)
    most = max((count for _, count in result["ack_histogram"]), default=1)
    for bound, count in result["ack_histogram"]:
        if count * _BAR >= most / 2:
            console.print(f"{bound:>9.3f} ms {'█' * round(_BAR * count / most)}")
    for fault in result["faults"]:
        console.print(f"[red]{fault}[/red]")
