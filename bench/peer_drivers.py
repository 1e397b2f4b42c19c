"""Drives one order book through a flow and says in one line of JSON what it traded and how long it took.

    python peer_drivers.py ADAPTER FLOW MESSAGES RUNS SECONDS        run by each peer's own Python, see `peers.py`

    ADAPTER    a key of `ADAPTERS`, or FILE.py:CLASS
    FLOW       int32 rows as in `flows.py`; the first MESSAGES of them are sent
    SECONDS    limit of all runs together; a run that is not over by then is given up

Standard library only, nothing of emex: the peer's environment holds the peer and nothing else. An adapter turns a
message into the peer's own calls and keeps the fills as the peer hands them over; they are added up after the clock has
stopped. Every run has a fresh book. The collector of garbage rests while the clock runs, which is to the peers' good.
"""

import contextlib
import gc
import importlib.util
import json
import logging
import operator
import os
import signal
import sys
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

_LIMIT, _CANCEL, _REPLACE, _IOC = range(4)
_COLUMNS, _READ_COLUMNS = 8, 6
_BUY = 0

Message = tuple[int, int, int, int, int, int]
"""Type, id, side, price (ticks), quantity, target."""
Fill = tuple[int, Any, Any]
"""Maker's id, price (ticks), quantity; numbers of whatever type the peer uses."""
Sums = dict[str, int | float]
"""`count`, `qty`, `value` (price x quantity) and `maker` (maker's id x quantity): those that the peer can tell."""


class Book(Protocol):
    """An adapter: a fresh book of the peer's when made. Sides are 0 buy and 1 sell, prices ticks, ids the flow's."""

    def limit(self, order_id: int, side: int, price: int, qty: int) -> None:
        """A limit order; what is left of it rests."""

    def ioc(self, order_id: int, side: int, price: int, qty: int) -> None:
        """A limit order; what is left of it is cancelled."""

    def cancel(self, order_id: int) -> None:
        """An order, which may be dead by then; a refusal, in whatever form, is an answer."""

    def sums(self) -> Sums:
        """Over everything traded; empty where the peer does not tell."""


class _TimeIsUpError(BaseException):
    """No `Exception`, so that no peer catches it."""


def drive(new_book: Callable[[], Book], messages: list[Message], runs: int, seconds: float) -> dict[str, Any]:
    """Run a fresh book through the messages, several times.

    Returns
    -------
    dict
        "ns": nanoseconds of each run that was finished; "sums": of each of these, all of them equal for a book that is
        deterministic; "reached": messages of the last run, less than all when the time was up.
    """
    found: dict[str, Any] = {"ns": [], "sums": [], "reached": 0}
    ends = time.monotonic() + seconds
    for _ in range(runs):
        left = ends - time.monotonic()
        if left < max(found["ns"], default=0) / 1e9:
            break
        book, todo = new_book(), iter(messages)
        gc.collect()
        gc.disable()
        try:
            with _limited(left):
                took = _time_of(book, todo)
        except _TimeIsUpError:
            found["reached"] = len(messages) - operator.length_hint(todo)
            break
        finally:
            gc.enable()
        found["reached"] = len(messages)
        found["ns"].append(took)
        found["sums"].append(book.sums())
    return found


def _time_of(book: Book, messages: Iterator[Message]) -> int:
    """Nanoseconds."""
    limit, ioc, cancel = book.limit, book.ioc, book.cancel
    began = time.perf_counter_ns()
    for kind, order_id, side, price, qty, target in messages:
        if kind == _LIMIT:
            limit(order_id, side, price, qty)
        elif kind == _CANCEL:
            cancel(order_id)
        elif kind == _IOC:
            ioc(order_id, side, price, qty)
        else:
            cancel(target)
            limit(order_id, side, price, qty)
    return time.perf_counter_ns() - began


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Where the system has timers; elsewhere only the caller's own limit holds."""
    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, _time_is_up)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _time_is_up(_signal: int, _frame: FrameType | None) -> None:
    raise _TimeIsUpError


def read(path: Path, count: int) -> list[Message]:
    """The first messages of a flow."""
    numbers = array("i")
    with path.open("rb") as file:
        numbers.fromfile(file, count * _COLUMNS)
    return list(zip(*(numbers[column::_COLUMNS] for column in range(_READ_COLUMNS)), strict=True))


def added(fills: Iterable[Fill]) -> Sums:
    """Of a peer that tells every fill and its maker."""
    told = list(fills)
    qty, value = sum(qty for _, _, qty in told), sum(price * qty for _, price, qty in told)
    return {"count": len(told), **quantities(qty, value), "maker": _plain(sum(maker * qty for maker, _, qty in told))}


def quantities(qty: Any, value: Any) -> Sums:
    """Of a peer that tells no more."""
    return {"qty": _plain(qty), "value": _plain(value)}


def _plain(number: Any) -> int | float:
    """An integer where it is one, so that nothing is rounded away."""
    return int(number) if number == int(number) else float(number)


class LimitOrderBook:
    """limit-order-book: C++ behind ctypes; tells nothing of what it trades. To cancel a dead order ends the process."""

    def __init__(self) -> None:
        self._book = import_module("limit_order_book").LimitOrderBook()

    def limit(self, order_id: int, side: int, price: int, qty: int) -> None:
        self._book.limit(side == _BUY, order_id, qty, price)

    def ioc(self, order_id: int, side: int, price: int, qty: int) -> None:
        self._book.limit(side == _BUY, order_id, qty, price)
        self.cancel(order_id)

    def cancel(self, order_id: int) -> None:
        if self._book.has(order_id):
            self._book.cancel(order_id)

    def sums(self) -> Sums:
        return {}


class Liquibook:
    """liquibook: C++ behind SWIG. Its book without depth; fills come to a listener, which needs all seven methods."""

    def __init__(self) -> None:
        theirs: Any = import_module("liquibook")
        fills: list[tuple[int, int, int]] = []

        class Listener(theirs.OrderListener):  # type: ignore[misc]
            def on_fill(self, _taker: Any, maker: Any, qty: int, price: int) -> None:
                fills.append((maker.order_id_, price, qty))

            def on_accept(self, *_: Any) -> None: ...
            def on_reject(self, *_: Any) -> None: ...
            def on_cancel(self, *_: Any) -> None: ...
            def on_cancel_reject(self, *_: Any) -> None: ...
            def on_replace(self, *_: Any) -> None: ...
            def on_replace_reject(self, *_: Any) -> None: ...

        self._new, self._ioc = theirs.SimpleOrder, theirs.oc_immediate_or_cancel
        self._fills, self._listener, self._book = fills, Listener(), theirs.liquibook_book_OrderBook()
        self._book.set_order_listener(self._listener)
        self._orders: dict[int, Any] = {}

    def limit(self, order_id: int, side: int, price: int, qty: int) -> None:
        order = self._orders[order_id] = self._new(side == _BUY, price, qty)
        self._book.add(order)

    def ioc(self, _order_id: int, side: int, price: int, qty: int) -> None:
        self._book.add(self._new(side == _BUY, price, qty), self._ioc)

    def cancel(self, order_id: int) -> None:
        self._book.cancel(self._orders[order_id])

    def sums(self) -> Sums:
        ids = {order.order_id_: order_id for order_id, order in self._orders.items()}
        return added((ids[maker], price, qty) for maker, price, qty in self._fills)


class OrderlyChaos:
    """orderly-chaos: C++ behind ctypes."""

    def __init__(self) -> None:
        theirs = import_module("orderly_chaos")
        self._trades: list[Any] = []
        self._book = theirs.LimitOrderBook(on_trade=self._trades.append)
        self._sides, self._unknown = (theirs.Side.BUY, theirs.Side.SELL), theirs.UnknownOrderIdError

    def limit(self, order_id: int, side: int, price: int, qty: int) -> None:
        self._book.limit(self._sides[side], order_id, qty, price)

    def ioc(self, order_id: int, side: int, price: int, qty: int) -> None:
        if self._book.limit(self._sides[side], order_id, qty, price) < qty:
            self._book.cancel(order_id)

    def cancel(self, order_id: int) -> None:
        try:
            self._book.cancel(order_id)
        except self._unknown:
            return

    def sums(self) -> Sums:
        return added((trade.maker_id, trade.price, trade.quantity) for trade in self._trades)


class Akhil4n:
    """akhil4n-orderbook: plain Python. It numbers orders itself, in text."""

    MODULE = "orderbook"

    def __init__(self) -> None:
        theirs = import_module(self.MODULE)
        self._new, self._book = theirs.Order, theirs.OrderBook()
        self._sides = (theirs.OrderSide.BID, theirs.OrderSide.ASK)
        self._orders: dict[int, Any] = {}

    def limit(self, order_id: int, side: int, price: int, qty: int) -> None:
        order = self._orders[order_id] = self._new(side=self._sides[side], price=price, original_quantity=qty)
        self._book.add_limit_order(order)

    def ioc(self, order_id: int, side: int, price: int, qty: int) -> None:
        order = self._orders[order_id] = self._new(side=self._sides[side], price=price, original_quantity=qty)
        self._book.add_limit_order(order)
        if order.remaining_quantity:
            self._book.cancel_order(order.order_id)

    def cancel(self, order_id: int) -> None:
        self._book.cancel_order(self._orders[order_id].order_id)

    def sums(self) -> Sums:
        ids = {order.order_id: order_id for order_id, order in self._orders.items()}
        trades = self._book.trade_log
        return added((ids[trade.filler_id], trade.price, trade.quantity_filled) for trade in trades)


class CythonOrderbook(Akhil4n):
    """cython-orderbook: the same book by the same author, compiled."""

    MODULE = "cython_orderbook"


class Lobby:
    """lobby: plain Python, a book of the PyLOB family. Called as for recorded data, where orders keep their ids."""

    def __init__(self) -> None:
        self._book, self._sides = import_module("lobby.orderbook").OrderBook(price_digits=0), ("bid", "ask")
        self._side_of: dict[int, str] = {}

    def limit(self, order_id: int, side: int, price: int, qty: int) -> None:
        self._enter(order_id, side, price, qty)

    def ioc(self, order_id: int, side: int, price: int, qty: int) -> None:
        if self._enter(order_id, side, price, qty) is not None:
            self._book.cancelOrder(self._sides[side], order_id)

    def cancel(self, order_id: int) -> None:
        self._book.cancelOrder(self._side_of[order_id], order_id)

    def _enter(self, order_id: int, side: int, price: int, qty: int) -> Any:
        """What rests, or None."""
        name = self._side_of[order_id] = self._sides[side]
        quote = {"type": "limit", "side": name, "price": price, "qty": qty, "tid": 0, "idNum": order_id, "timestamp": 0}
        return self._book.processOrder(quote, True, False)[1]  # noqa: FBT003

    def sums(self) -> Sums:
        return added((trade["party1"][2], trade["price"], trade["qty"]) for trade in self._book.tape)


class LightMatchingEngine:
    """lightmatchingengine: plain Python. It numbers orders itself; a fill is told once for each side."""

    def __init__(self) -> None:
        theirs = import_module("lightmatchingengine.lightmatchingengine")
        self._engine, self._sides = theirs.LightMatchingEngine(), (theirs.Side.BUY, theirs.Side.SELL)
        self._orders: dict[int, Any] = {}
        self._trades: list[tuple[Any, list[Any]]] = []

    def limit(self, order_id: int, side: int, price: int, qty: int) -> None:
        order, trades = self._engine.add_order("ANY", price, qty, self._sides[side])
        self._orders[order_id] = order
        if trades:
            self._trades.append((order, trades))

    def ioc(self, order_id: int, side: int, price: int, qty: int) -> None:
        self.limit(order_id, side, price, qty)
        if self._orders[order_id].leaves_qty:
            self.cancel(order_id)

    def cancel(self, order_id: int) -> None:
        try:
            self._engine.cancel_order(self._orders[order_id].order_id, "ANY")
        except AssertionError:
            return

    def sums(self) -> Sums:
        ids = {order.order_id: order_id for order_id, order in self._orders.items()}
        return added(
            (ids[trade.order_id], trade.trade_price, trade.trade_qty)
            for taker, trades in self._trades for trade in trades if trade.order_id != taker.order_id
        )  # fmt: skip


class Obook:
    """obook: Go behind ctypes. It numbers orders itself; what happened is collected after every order."""

    def __init__(self) -> None:
        theirs = import_module("obook")
        self._book = theirs.Book(max_orders=1 << 20)
        self._day, self._ioc, self._trade = theirs.GTC, theirs.IOC, theirs.EventKind.TRADE
        self._order_of: dict[int, int] = {}
        self._events: list[Any] = []

    def limit(self, order_id: int, side: int, price: int, qty: int) -> None:
        self._order_of[order_id] = self._book.submit(order_id, side, price, qty, tif=self._day).order_id
        self._events += self._book.events()

    def ioc(self, order_id: int, side: int, price: int, qty: int) -> None:
        self._book.submit(order_id, side, price, qty, tif=self._ioc)
        self._events += self._book.events()

    def cancel(self, order_id: int) -> None:
        self._book.cancel(self._order_of[order_id], order_id)

    def sums(self) -> Sums:
        ids = {theirs: order_id for order_id, theirs in self._order_of.items()}
        trades = (event for event in self._events if event.kind == self._trade)
        return added((ids[trade.maker_id], trade.price, trade.qty) for trade in trades)


class Manticore:
    """manticore-orderbook: plain Python, without its log."""

    def __init__(self) -> None:
        theirs = import_module("manticore_orderbook")
        self._trades: list[dict[str, Any]] = []
        events = theirs.EventManager(enable_logging=False)
        events.subscribe(theirs.EventType.TRADE_EXECUTED, self._on_trade)
        self._book, self._sides = theirs.OrderBook("ANY", enable_logging=False, event_manager=events), ("buy", "sell")

    def _on_trade(self, _kind: Any, trade: dict[str, Any]) -> None:
        self._trades.append(trade)

    def limit(self, order_id: int, side: int, price: int, qty: int) -> None:
        self._book.add_order(self._sides[side], price, qty, order_id)

    def ioc(self, order_id: int, side: int, price: int, qty: int) -> None:
        self._book.add_order(self._sides[side], price, qty, order_id, "IOC")

    def cancel(self, order_id: int) -> None:
        self._book.cancel_order(order_id)

    def sums(self) -> Sums:
        self._book.expiry_manager.stop()
        return added((trade["maker_order_id"], trade["price"], trade["quantity"]) for trade in self._trades)


class Fastlob:
    """fastlob: plain Python. It numbers orders itself and tells quantities by price, no makers and no single fills."""

    def __init__(self) -> None:
        theirs = import_module("fastlob")
        self._book, self._new = theirs.Orderbook(start=True), theirs.OrderParams
        self._sides = (theirs.OrderSide.BID, theirs.OrderSide.ASK)
        self._traded = (theirs.ResultType.MARKET, theirs.ResultType.PARTIAL_MARKET)
        self._order_of: dict[int, str] = {}
        self._by_price: list[dict[Any, Any]] = []

    def limit(self, order_id: int, side: int, price: int, qty: int) -> None:
        result = self._enter(side, price, qty)
        self._order_of[order_id] = result.orderid()

    def ioc(self, _order_id: int, side: int, price: int, qty: int) -> None:
        result = self._enter(side, price, qty)
        if result.kind().in_limit():
            self._book.cancel(result.orderid())

    def cancel(self, order_id: int) -> None:
        self._book.cancel(self._order_of[order_id])

    def _enter(self, side: int, price: int, qty: int) -> Any:
        result = self._book.process(self._new(self._sides[side], price, qty))
        if result.kind() in self._traded:
            self._by_price.append(result.execprices())
        return result

    def sums(self) -> Sums:
        self._book.stop()
        told = [level for fills in self._by_price for level in fills.items()]
        return quantities(sum(qty for _, qty in told), sum(price * qty for price, qty in told))


class Convexpi:
    """convexpi-arena: plain Python; its book, without the ticks around it."""

    def __init__(self) -> None:
        theirs = import_module("convexpi.arena.engine")
        self._book, self._new, self._sides = theirs.OrderBook(), theirs.Order, (theirs.Side.BUY, theirs.Side.SELL)
        self._trades: list[Any] = []

    def limit(self, order_id: int, side: int, price: int, qty: int) -> None:
        self._trades += self._book.submit(self._new("x", self._sides[side], qty, price, order_id=order_id), 0)

    def ioc(self, order_id: int, side: int, price: int, qty: int) -> None:
        self.limit(order_id, side, price, qty)
        if order_id in self._book.live:
            self._book.cancel(order_id, "x")

    def cancel(self, order_id: int) -> None:
        self._book.cancel(order_id, "x")

    def sums(self) -> Sums:
        return added((trade.maker_order_id, trade.price, trade.qty) for trade in self._trades)


class Cleolob:
    """cleolob: plain Python; its book, without the simulated market around it."""

    def __init__(self) -> None:
        theirs = import_module("lob.engine")
        self._book, self._new, self._limit = theirs.OrderBook(), theirs.Order, theirs.OrderType.LIMIT
        self._sides, self._ioc = (theirs.Side.BUY, theirs.Side.SELL), theirs.TimeInForce.IOC

    def limit(self, order_id: int, side: int, price: int, qty: int) -> None:
        self._book.process(self._new(order_id, self._sides[side], qty, self._limit, "x", 0.0, price), 0.0)

    def ioc(self, order_id: int, side: int, price: int, qty: int) -> None:
        order = self._new(
            order_id, self._sides[side], qty, self._limit, "x", 0.0, price, time_in_force=self._ioc
        )  # fmt: skip
        self._book.process(order, 0.0)

    def cancel(self, order_id: int) -> None:
        self._book.cancel(order_id, 0.0)

    def sums(self) -> Sums:
        return added((trade.maker_order_id, trade.price, trade.qty) for trade in self._book.trades)


class OrderMatching:
    """order-matching: plain Python; an order is placed, then matched."""

    def __init__(self) -> None:
        import_module("loguru").logger.disable("order_matching")
        side = import_module("order_matching.enums").Side
        self._engine = import_module("order_matching.matching_engine").MatchingEngine(seed=1)
        self._new = import_module("order_matching.order").LimitOrder
        self._orders = import_module("order_matching.orders").Orders
        self._sides, self._now = (side.BUY, side.SELL), datetime(2026, 1, 1)  # noqa: DTZ001  it compares with naive times
        self._trades: list[Any] = []

    def limit(self, order_id: int, side: int, price: int, qty: int) -> None:
        self._enter(order_id, side, price, qty)

    def ioc(self, order_id: int, side: int, price: int, qty: int) -> None:
        if self._enter(order_id, side, price, qty).size:
            self._engine.cancel_order(str(order_id))

    def cancel(self, order_id: int) -> None:
        try:
            self._engine.cancel_order(str(order_id))
        except ValueError:
            return

    def _enter(self, order_id: int, side: int, price: int, qty: int) -> Any:
        order = self._new(
            side=self._sides[side], price=price, size=qty, timestamp=self._now, order_id=str(order_id), trader_id="x"
        )  # fmt: skip
        self._engine.place(self._orders([order]))
        self._trades += self._engine.match(self._now)
        return order

    def sums(self) -> Sums:
        return added((int(trade.book_order_id), trade.price, trade.size) for trade in self._trades)


class Pyorderbook:
    """pyorderbook: plain Python."""

    def __init__(self) -> None:
        theirs = import_module("pyorderbook")
        self._book, self._new = theirs.Book(), (theirs.bid, theirs.ask)
        self._orders: dict[int, Any] = {}
        self._trades: list[Any] = []

    def limit(self, order_id: int, side: int, price: int, qty: int) -> None:
        order = self._orders[order_id] = self._new[side]("ANY", price, qty)
        self._trades += self._book.match(order).trades

    def ioc(self, order_id: int, side: int, price: int, qty: int) -> None:
        self.limit(order_id, side, price, qty)
        if self._orders[order_id].quantity:
            self.cancel(order_id)

    def cancel(self, order_id: int) -> None:
        try:
            self._book.cancel(self._orders[order_id])
        except KeyError:
            return

    def sums(self) -> Sums:
        ids = {order.id: order_id for order_id, order in self._orders.items()}
        return added(
            (ids[trade.standing_order_id], trade.fill_price, trade.fill_quantity) for trade in self._trades
        )  # fmt: skip


class Litebook:
    """litebook: Rust. It numbers orders itself."""

    def __init__(self) -> None:
        theirs = import_module("litebook")
        self._book, self._new = theirs.OrderBook(tick_size=1.0), theirs.Order
        self._sides = (theirs.OrderType.Buy, theirs.OrderType.Sell)
        self._orders: dict[int, Any] = {}
        self._fills: list[tuple[int, list[Any]]] = []

    def limit(self, order_id: int, side: int, price: int, qty: int) -> None:
        order = self._orders[order_id] = self._new(self._sides[side], price, qty)
        fills = self._book.add(order)
        if fills:
            self._fills.append((side, fills))

    def ioc(self, order_id: int, side: int, price: int, qty: int) -> None:
        self.limit(order_id, side, price, qty)
        self._book.cancel(self._orders[order_id].id)

    def cancel(self, order_id: int) -> None:
        self._book.cancel(self._orders[order_id].id)

    def sums(self) -> Sums:
        ids = {order.id: order_id for order_id, order in self._orders.items()}
        return added(
            (ids[fill.sell_id if side == _BUY else fill.buy_id], fill.price, fill.quantity)
            for side, fills in self._fills for fill in fills
        )  # fmt: skip


class Nanobook:
    """nanobook: Rust. It numbers orders itself."""

    def __init__(self) -> None:
        self._exchange, self._sides = import_module("nanobook").Exchange(), ("buy", "sell")
        self._order_of: dict[int, int] = {}
        self._trades: list[Any] = []

    def limit(self, order_id: int, side: int, price: int, qty: int) -> None:
        result = self._exchange.submit_limit(self._sides[side], price, qty)
        self._order_of[order_id] = result.order_id
        self._trades += result.trades

    def ioc(self, _order_id: int, side: int, price: int, qty: int) -> None:
        self._trades += self._exchange.submit_limit(self._sides[side], price, qty, "ioc").trades

    def cancel(self, order_id: int) -> None:
        self._exchange.cancel(self._order_of[order_id])

    def sums(self) -> Sums:
        ids = {theirs: order_id for order_id, theirs in self._order_of.items()}
        return added((ids[trade.passive_order_id], trade.price, trade.quantity) for trade in self._trades)


ADAPTERS: dict[str, Callable[[], Book]] = {
    "limit-order-book": LimitOrderBook, "liquibook": Liquibook, "orderly-chaos": OrderlyChaos,
    "cython-orderbook": CythonOrderbook, "akhil4n-orderbook": Akhil4n, "lobby": Lobby,
    "lightmatchingengine": LightMatchingEngine, "pyorderbook": Pyorderbook, "obook": Obook,
    "manticore-orderbook": Manticore, "fastlob": Fastlob, "convexpi-arena": Convexpi, "cleolob": Cleolob,
    "order-matching": OrderMatching, "litebook": Litebook, "nanobook": Nanobook,
}  # fmt: skip
"""By name on PyPI."""


def adapter(name: str) -> Callable[[], Book]:
    """A key of `ADAPTERS`, or a class in a file: FILE.py:CLASS."""
    file, _, member = name.rpartition(":")
    if not file:
        return ADAPTERS[name]
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[], Book] = getattr(module, member)
    return found


def main(name: str, flow: str, messages: str, runs: str, seconds: str) -> None:
    """Prints one line, the result of `drive` or {"missing"} or {"error"}, and ends at once, peers' threads or not."""
    logging.disable()
    try:
        new_book = adapter(name)
        new_book().sums()
        told = drive(new_book, read(Path(flow), int(messages)), int(runs), float(seconds))
    except ImportError as error:
        told = {"missing": str(error)}
    except Exception as error:  # noqa: BLE001  whatever a peer raises
        told = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(told), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
