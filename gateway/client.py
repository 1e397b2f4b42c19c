"""A participant's client: typed, asynchronous; it reconnects and sends again by itself.

    async with Trader("127.0.0.1", 1883, "anna", password) as anna:
        order = await anna.buy("CEA", qty=10, price="48.50")
        async for report in anna.reports():
            print(report)

A request is answered by exactly one outcome, an `ExecutionReport` whose `exec_type` says what became of it (ACCEPTED,
REJECTED, …). When the connection breaks the client logs on again, asks for the reports it has missed, and sends again,
with the same number, what was not answered: it happens once. Behind a broker (`transports.bridge`) nobody sees when the
venue comes and goes: there it does the same when an answer does not come, a report is missing, or the venue's run is
another. `SyncTrader` is the same for notebooks and threads.
"""

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import mqtt5

from engine import units
from engine.codes import OrdType, Side, TimeInForce
from gateway.background import BackgroundLoop
from gateway.errors import ConnectionLostError, GatewayError, LogonRefusedError, RequestRefusedError
from gateway.transports.link import Link, open_link
from gateway.wire import codec, topics
from gateway.wire import messages as m
from gateway.wire.reasons import DoorReason
from gateway.wire.records import RESEND_LIMIT
from gateway.wire.topics import Principal, Role

_RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)
ANSWER_SECONDS = 3.0
"""What has no answer by then is asked again."""
_PASSING = (DoorReason.THROTTLED, DoorReason.OVERLOADED, DoorReason.STOPPING)
"""Refusals that say nothing of a request which was sent before."""


@dataclass
class Book:
    """The public book of one instrument, as of `md_seq`."""

    symbol: str
    md_seq: int = 0
    entries: dict[tuple[int, int, int, int], int] = field(default_factory=dict)
    """(mode, order_id or 0 for the total of a level, side, price in fen) -> tonnes."""
    last_price_fen: int | None = None

    def levels(self, side: Side) -> list[tuple[int, int]]:
        """Price levels of one side as (fen, tonnes), best first."""
        found = [(key[3], qty) for key, qty in self.entries.items() if key[1] == 0 and key[2] == side]
        return sorted(found, reverse=side == Side.BUY)

    def listings(self, side: Side) -> list[tuple[int, int, int, int]]:
        """Single listings, offers and auctions of one side: (order_id, mode, fen, tonnes)."""
        return sorted((key[1], key[0], key[3], qty) for key, qty in self.entries.items() if key[1] and key[2] == side)

    @property
    def best_bid(self) -> int | None:
        """Best price of a buyer, fen."""
        levels = self.levels(Side.BUY)
        return levels[0][0] if levels else None

    @property
    def best_ask(self) -> int | None:
        """Best price of a seller, fen."""
        levels = self.levels(Side.SELL)
        return levels[0][0] if levels else None

    def take(self, data: m.MarketDataSnapshot | m.MarketDataIncremental) -> bool:
        """Apply a snapshot, or the update that follows; False where updates are missing."""
        if isinstance(data, m.MarketDataSnapshot):
            if data.md_seq >= self.md_seq:
                self.md_seq = data.md_seq
                self.entries = {(mode, order, side, price): qty for mode, order, side, price, qty in data.entries}
                self.last_price_fen = data.last_price_fen
            return True
        if data.md_seq <= self.md_seq:
            return True
        if data.md_seq > self.md_seq + 1:
            return False
        self.md_seq = data.md_seq
        for mode, order, side, price, qty in data.entries:
            if qty:
                self.entries[mode, order, side, price] = qty
            else:
                self.entries.pop((mode, order, side, price), None)
        if data.trades:
            self.last_price_fen = data.trades[-1][4]
        return True


class Waiting(NamedTuple):
    """Something of one's own that waits: an order, offer, proposal, bid or auction."""

    order_id: int
    account: int
    instrument: int
    side: int
    role: int
    """`engine.codes.Role`."""
    mode: int
    """`engine.codes.TradingMode`."""
    price_fen: int
    leaves_qty: int
    filled_qty: int
    client_ref: int


class Status(NamedTuple):
    """How an account stands."""

    account: m.AccountReport | None
    """Cash and holdings; None: this name has no account."""
    orders: list[Waiting]


@dataclass
class _Open:
    """A request that has no outcome yet."""

    message: m.Message
    outcome: asyncio.Future[m.ExecutionReport]
    sent: list[float] = field(default_factory=list)
    """When, by the loop's clock."""


@dataclass
class _Asked:
    """A question that is not wholly answered."""

    answer: asyncio.Future[list[Any]]
    since: float = 0.0
    """When it was last asked, by the loop's clock."""
    parts: list[Any] = field(default_factory=list)
    after_id: int = 0
    """The last order that has been told."""


class Trader:
    """One account's client.

    Parameters
    ----------
    host, port : of the gateway (or of a broker that a gateway uses)
    name, password : from `emex accounts`
    role : what the name is; an instructor publishes on the operator's topic
    cancel_on_disconnect : the gateway cancels all orders when this connection breaks
    tls : for a gateway beyond this machine
    """

    def __init__(
        self,
        host: str,
        port: int,
        name: str,
        password: str,
        *,
        role: Role = Role.TRADER,
        cancel_on_disconnect: bool = False,
        tls: ssl.SSLContext | None = None,
        client_id: str = "",
    ) -> None:
        self.session: m.LogonReply | None = None
        """What the venue said at the last log-on."""
        self.books: dict[str, Book] = {}
        self._address = host, port, tls
        self._name, self._password = name, password.encode()
        self._topic = topics.requests(Principal(name, 0, role)) or ""
        self._cancel_on_disconnect = cancel_on_disconnect
        self._client_id = client_id
        self._link: Link | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._logged_on = asyncio.Event()
        self._failed: Exception | None = None
        self._seq = itertools.count(1)
        self._next_report = 0
        self._open: dict[int, _Open] = {}
        self._patterns: dict[str, None] = {topics.reports(name): None, topics.STATUS: None}
        self._missing: tuple[int, float] = 0, 0.0
        """Since which report some are missing, and when they were asked for."""
        self._known_end = 0
        """The highest report that is known of, plus one."""
        self._asked: dict[int, _Asked] = {}
        self._numbers = itertools.count(1)
        self._reports: list[asyncio.Queue[m.ExecutionReport]] = []
        self._changed: list[asyncio.Queue[str]] = []
        self.on_tape: Callable[[bytes], None] | None = None
        """Called with EVENT rows, for those who read the tape."""

    async def __aenter__(self) -> Self:
        """Connect and log on. Raises `LogonRefusedError`, or `OSError` when nobody answers."""
        await self._connect()
        self._keeper = asyncio.create_task(self._keep_connected())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Log out and close; orders stay."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._link is not None:
            with contextlib.suppress(ConnectionLostError):
                await self._link.publish(self._topic, codec.encode([m.Logout()]))
            self._link.close()
            await asyncio.wait([self._link.lost])

    # ------------------------------------------------------------------------------------------------ orders

    async def buy(
        self, symbol: str, qty: int, price: int | str, tif: TimeInForce = TimeInForce.DAY
    ) -> m.ExecutionReport:
        """A limit order to buy; `qty` tonnes, `price` in fen or as text in CNY. Returns its outcome."""
        return await self.order(symbol, Side.BUY, qty, price, tif=tif)

    async def sell(
        self, symbol: str, qty: int, price: int | str, tif: TimeInForce = TimeInForce.DAY
    ) -> m.ExecutionReport:
        """A limit order to sell; as `buy`."""
        return await self.order(symbol, Side.SELL, qty, price, tif=tif)

    async def order(
        self,
        symbol: str,
        side: Side,
        qty: int,
        price: int | str | None = None,
        *,
        ord_type: OrdType | None = None,
        tif: TimeInForce = TimeInForce.DAY,
    ) -> m.ExecutionReport:
        """A screen order; without a price a market order. Returns its outcome."""
        kind = ord_type or (OrdType.MARKET if price is None else OrdType.LIMIT)
        return await self.request(
            m.NewOrderSingle, instrument=self.instrument(symbol), side=side, qty=qty, price_fen=_fen(price),
            ord_type=kind, tif=tif,
        )  # fmt: skip

    async def cancel(self, order_id: int) -> m.ExecutionReport:
        """Cancel one order. Returns the outcome: CANCELED, or REJECTED with the reason."""
        return await self.request(m.OrderCancelRequest, target_id=order_id)

    async def replace(
        self, order_id: int, *, price: int | str | None = None, qty: int | None = None
    ) -> m.ExecutionReport:
        """Change price or total quantity of an order."""
        return await self.request(m.OrderCancelReplaceRequest, target_id=order_id, price_fen=_fen(price), qty=qty)

    async def cancel_all(self) -> m.ExecutionReport:
        """Cancel every order, offer and proposal."""
        return await self.request(m.OrderMassCancelRequest)

    async def request(self, kind: Callable[..., m.Message], **fields: Any) -> m.ExecutionReport:
        """Any request of `gateway.wire.messages`, its number filled in: `await me.request(Click, instrument=0, …)`.

        Raises
        ------
        RequestRefusedError
            The door refused it (throttled, not authorised, …): nothing happened.
        """
        return await self.send(kind(next(self._seq), **fields))

    async def send(self, message: m.Message) -> m.ExecutionReport:
        """A request that has its number already; the same number again gets the first outcome again."""
        waiting = _Open(message, asyncio.get_running_loop().create_future())
        self._open[_seq_of(message)] = waiting
        if self._logged_on.is_set():
            self._send([waiting])
        return await waiting.outcome

    def instrument(self, symbol: str) -> int:
        """Number of an instrument. Raises `GatewayError` where the venue has none of that name."""
        symbols = self.session.symbols if self.session else []
        if symbol not in symbols:
            raise GatewayError(f"symbol: got {symbol!r}, expected one of {', '.join(symbols)}")
        return symbols.index(symbol)

    # ------------------------------------------------------------------------------------------------ queries

    async def status(self) -> Status:
        """Cash and holdings, and everything that waits: as of one moment, unless more than 200 orders do."""
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        await self._logged_on.wait()
        self._ask(_Asked(future))
        parts = await future
        account = next((part for part in reversed(parts) if isinstance(part, m.AccountReport)), None)
        rows = [row for part in parts if isinstance(part, m.OpenOrders) for row in part.orders]
        return Status(account, [Waiting(*row) for row in rows])

    def reports(self) -> AsyncIterator[m.ExecutionReport]:
        """Every report from this call on, in order and without gaps, also over broken connections."""
        queue: asyncio.Queue[m.ExecutionReport] = asyncio.Queue()
        self._reports.append(queue)
        return self._drain(queue)

    async def _drain(self, queue: asyncio.Queue[m.ExecutionReport]) -> AsyncIterator[m.ExecutionReport]:
        try:
            while True:
                yield await queue.get()
        finally:
            self._reports.remove(queue)

    async def watch(self, symbol: str) -> AsyncGenerator[Book, None]:
        """The book of `symbol`, now and whenever it has changed."""
        self.instrument(symbol)
        self.books.setdefault(symbol, Book(symbol))
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._changed.append(queue)
        try:
            await self.subscribe(topics.update(symbol), topics.snapshot(symbol))
            while True:
                if await queue.get() == symbol:
                    yield self.books[symbol]
        finally:
            self._changed.remove(queue)

    async def book(self, symbol: str) -> Book:
        """The book of `symbol` now; it goes on changing."""
        if symbol not in self.books:
            async with contextlib.aclosing(self.watch(symbol)) as seen:
                await anext(seen)
        return self.books[symbol]

    async def subscribe(self, *patterns: str) -> None:
        """Read further topics, now and after every reconnection. Raises `GatewayError` where that is not allowed."""
        self._patterns |= dict.fromkeys(patterns)
        if self._link is not None and await self._link.subscribe(*patterns) >= 128:
            raise GatewayError(f"{', '.join(patterns)}: may not be read by {self._name}")

    # --------------------------------------------------------------------------------------------- connection

    async def _connect(self) -> None:
        host, port, tls = self._address
        link = await open_link(host, port, self._on_message, tls)
        # Behind a broker the venue learns from an empty will that this connection has broken.
        will = mqtt5.Will(self._topic, payload=b"") if self._cancel_on_disconnect else None
        try:
            await link.log_on(self._client_id, self._name, self._password, will)
            await link.subscribe(*self._patterns)
        except GatewayError:
            link.abort()
            raise
        self._link = link
        waiter = asyncio.ensure_future(self._logged_on.wait())
        while not (waiter.done() or link.lost.done()):
            self._log_on()
            await asyncio.wait([waiter, link.lost], timeout=ANSWER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        if not self._logged_on.is_set():
            raise ConnectionLostError(link.lost.result())

    def _log_on(self) -> None:
        """Ask for the session, and for the reports from the next one on."""
        self._missing = self._next_report, asyncio.get_running_loop().time()
        self._publish([m.Logon(self._next_report, self._cancel_on_disconnect)])

    async def _keep_connected(self) -> None:
        """Whenever the connection breaks: connect again, catch up, send again what has no outcome."""
        while True:
            assert self._link is not None
            await asyncio.wait([self._link.lost], timeout=ANSWER_SECONDS)
            if not self._link.lost.done():
                self._ask_again()
                continue
            self._logged_on.clear()
            for wait in itertools.chain(_RETRY_SECONDS, itertools.repeat(_RETRY_SECONDS[-1])):
                try:
                    await self._connect()
                    break
                except LogonRefusedError as error:
                    self._fail(error)
                    return
                except (OSError, ConnectionLostError):
                    await asyncio.sleep(wait)

    def _ask_again(self) -> None:
        """Log on once more where an answer is overdue: whatever is open is then sent again; ask for missing reports."""
        if self._next_report < self._known_end:
            self._ask_for_missing()
        since = [waiting.sent[-1] for waiting in self._open.values() if waiting.sent]
        since += [asked.since for asked in self._asked.values()]
        if since and min(since) < asyncio.get_running_loop().time() - ANSWER_SECONDS:
            self._log_on()

    def _ask(self, asked: _Asked) -> None:
        number = next(self._numbers)
        asked.since = asyncio.get_running_loop().time()
        self._asked[number] = asked
        self._publish([m.StatusRequest(number, asked.after_id)])

    def _fail(self, error: Exception) -> None:
        """There is no way back in: everybody who waits learns it."""
        self._failed = error
        for waiting in self._open.values():
            if not waiting.outcome.done():
                waiting.outcome.set_exception(error)
        for asked in self._asked.values():
            if not asked.answer.done():
                asked.answer.set_exception(error)

    def _send(self, requests: list[_Open]) -> None:
        now = asyncio.get_running_loop().time()
        for waiting in requests:
            waiting.sent.append(now)
        self._publish([waiting.message for waiting in requests])

    def _publish(self, messages: list[m.Message]) -> None:
        if self._link is not None:
            self._link.publish(self._topic, codec.encode(messages)).add_done_callback(_seen)

    # ------------------------------------------------------------------------------------------------ what comes

    def _on_message(self, topic: str, payload: bytes) -> None:
        if topic.startswith(topics.MARKET_DATA):
            self._on_data(codec.decode_data(payload))
            return
        for reply in codec.decode_replies(payload):
            match reply:
                case m.ExecutionReport():
                    self._on_report(reply)
                case m.LogonReply():
                    self._on_logon(reply)
                case m.BusinessMessageReject():
                    self._on_refusal(reply)
                case m.Reject():
                    self._on_reject(reply)
                case m.AccountReport() | m.OpenOrders():
                    self._on_status(reply)
                case m.SequenceReset():
                    self._next_report = max(self._next_report, reply.new_seq)
                    self._missing = self._next_report, self._missing[1]
                case m.TapeRows():
                    if self.on_tape is not None:
                        self.on_tape(reply.rows)
                case m.Heartbeat() | m.PositionRows():
                    pass

    def _on_logon(self, reply: m.LogonReply) -> None:
        first = self.session is None
        self.session = reply
        self._known_end = max(self._known_end, reply.next_report)
        if first:
            self._next_report = reply.next_report
            self._seq = itertools.count(max(reply.last_seq + 1, next(self._seq)))
        self._logged_on.set()
        again = [waiting for waiting in self._open.values() if not waiting.outcome.done()]
        for begin in range(0, len(again), reply.batch_limit):
            self._send(again[begin : begin + reply.batch_limit])
        asked, self._asked = self._asked, {}
        for question in asked.values():  # under another number, so that two answers do not mix
            self._ask(question)

    def _on_report(self, report: m.ExecutionReport) -> None:
        if report.ref_seq:
            self._settle(report.ref_seq, report)
        self._known_end = max(self._known_end, report.priv_seq + 1)
        if report.priv_seq < self._next_report:
            return
        if self.session is not None and report.priv_seq > self._next_report:
            self._ask_for_missing()
            return
        self._next_report = report.priv_seq + 1
        for queue in self._reports:
            queue.put_nowait(report)
        if self._next_report == self._missing[0] + RESEND_LIMIT and self._next_report < self._known_end:
            self._ask_for_missing()

    def _ask_for_missing(self) -> None:
        """Reports were lost on the way (a Logon that is under way asks for them anyway)."""
        since, asked = self._missing
        now = asyncio.get_running_loop().time()
        if self._logged_on.is_set() and (since != self._next_report or now - asked > ANSWER_SECONDS):
            self._missing = self._next_report, now
            self._publish([m.ResendRequest(self._next_report)])

    def _on_refusal(self, refusal: m.BusinessMessageReject) -> None:
        if refusal.reason == DoorReason.NOT_LOGGED_ON:
            self._log_on()  # the venue behind a broker knows nothing of this session any more
            return
        for seq in [seq for seq in self._open if refusal.ref_seq <= seq <= refusal.last_ref_seq]:
            if len(self._open[seq].sent) == 1 or refusal.reason not in _PASSING:
                self._settle(seq, RequestRefusedError(refusal.reason, refusal.text))

    def _on_reject(self, reject: m.Reject) -> None:
        """A payload that the gateway could not read: this client's mistake, so that all that waits is in doubt."""
        for seq in list(self._open):
            self._settle(seq, RequestRefusedError(reject.reason, reject.text))

    def _settle(self, seq: int, outcome: m.ExecutionReport | RequestRefusedError) -> None:
        waiting = self._open.pop(seq, None)
        if waiting is None or waiting.outcome.done():
            return
        if isinstance(outcome, RequestRefusedError):
            waiting.outcome.set_exception(outcome)
        else:
            waiting.outcome.set_result(outcome)

    def _on_status(self, part: m.AccountReport | m.OpenOrders) -> None:
        asked = self._asked.get(part.request_id)
        if asked is None:
            return
        asked.parts.append(part)
        if isinstance(part, m.OpenOrders):
            del self._asked[part.request_id]
            if not part.last:
                asked.after_id = part.orders[-1][0]
                self._ask(asked)
            elif not asked.answer.done():
                asked.answer.set_result(asked.parts)

    def _on_data(self, data: m.MarketData) -> None:
        if self.session is None:
            return
        if isinstance(data, m.TradingSessionStatus):
            if data.epoch not in (0, self.session.epoch) and self._logged_on.is_set():
                self._log_on()
            return
        symbol = self.session.symbols[data.instrument]
        book = self.books.get(symbol)
        if book is not None and book.take(data):
            for queue in self._changed:
                queue.put_nowait(symbol)


def _fen(price: int | str | None) -> int | None:
    return units.fen_from_text(price) if isinstance(price, str) else price


def _seq_of(message: Any) -> int:
    return int(message.seq)


def _seen(future: "asyncio.Future[int]") -> None:
    """A PUBACK nobody waits for: the outcome comes as a report, a lost connection is noticed elsewhere."""
    if not future.cancelled():
        future.exception()


class SyncTrader:
    """`Trader` for notebooks and threads: the same methods, which return when they are done.

    Use it in a `with` block, or, where a block would end with its cell, call `open` and `close`.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._loop = BackgroundLoop("emex-trader")
        self._run = self._loop.run
        self._trader = self._run(_make(args, options))

    def open(self) -> Self:
        """Connect and log on; see `Trader`."""
        self._run(self._trader.__aenter__())
        return self

    def close(self) -> None:
        """Log out, close, and end the thread; orders stay."""
        self._run(self._trader.__aexit__())
        self._loop.close()

    def __enter__(self) -> Self:
        """As `open`."""
        return self.open()

    def __exit__(self, *_: object) -> None:
        """As `close`."""
        self.close()

    @property
    def session(self) -> m.LogonReply | None:
        """See `Trader.session`."""
        return self._trader.session

    def order(self, symbol: str, side: Side, qty: int, price: int | str | None = None, **how: Any) -> m.ExecutionReport:
        """See `Trader.order`."""
        return self._run(self._trader.order(symbol, side, qty, price, **how))

    def book(self, symbol: str) -> Book:
        """See `Trader.book`."""
        return self._run(self._trader.book(symbol))

    def buy(self, symbol: str, qty: int, price: int | str, tif: TimeInForce = TimeInForce.DAY) -> m.ExecutionReport:
        """See `Trader.buy`."""
        return self._run(self._trader.buy(symbol, qty, price, tif))

    def sell(self, symbol: str, qty: int, price: int | str, tif: TimeInForce = TimeInForce.DAY) -> m.ExecutionReport:
        """See `Trader.sell`."""
        return self._run(self._trader.sell(symbol, qty, price, tif))

    def cancel(self, order_id: int) -> m.ExecutionReport:
        """See `Trader.cancel`."""
        return self._run(self._trader.cancel(order_id))

    def replace(self, order_id: int, *, price: int | str | None = None, qty: int | None = None) -> m.ExecutionReport:
        """See `Trader.replace`."""
        return self._run(self._trader.replace(order_id, price=price, qty=qty))

    def cancel_all(self) -> m.ExecutionReport:
        """See `Trader.cancel_all`."""
        return self._run(self._trader.cancel_all())

    def request(self, kind: Callable[..., m.Message], **fields: Any) -> m.ExecutionReport:
        """See `Trader.request`."""
        return self._run(self._trader.request(kind, **fields))

    def status(self) -> Status:
        """See `Trader.status`."""
        return self._run(self._trader.status())


async def _make(args: tuple[Any, ...], options: dict[str, Any]) -> Trader:
    """A trader made inside the loop that it will live in."""
    return Trader(*args, **options)
