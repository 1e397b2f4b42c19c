"""Level-2 depth from events: how many tonnes stand at each price of each side. A snapshot is the sum of the changes.

Every order adds its quantity when accepted and loses it by trades, cancellation and expiry, so at the end of a batch
what never rested (a click, an IOC) has cancelled itself out. This file may not touch core state.
"""

import numpy as np
from sortedcontainers import SortedDict

from engine.codes import NONE, EventKind, Side, TradingMode

_SCREEN = (TradingMode.CONTINUOUS, TradingMode.LISTED, TradingMode.CALL)
_LEAVES_BOOK = (EventKind.CANCELED, EventKind.EXPIRED)


class DepthFeed:
    """Displayed depth of one instrument's screen; with `modes` of something else, such as its fixed-price offers."""

    def __init__(self, instrument: int = 0, modes: tuple[TradingMode, ...] = _SCREEN) -> None:
        self._instrument, self._modes = instrument, modes
        self._price = np.full(1024, NONE, np.int64)
        """Limit price by order id, fen."""
        self._leaves = np.zeros(1024, np.int64)
        """Open quantity by order id, t."""
        self._side = np.zeros(1024, np.int8)
        self._levels: dict[int, SortedDict] = {Side.BUY: SortedDict(), Side.SELL: SortedDict()}

    def update(self, events: np.ndarray) -> None:
        """Take in EVENT rows, shape (n,), in order and without gaps."""
        mine = (events["instrument"] == self._instrument) & np.isin(events["mode"], self._modes)
        events = events[mine & (events["kind"] != EventKind.INDICATIVE)]
        if len(events) == 0:
            return
        self._reach(int(max(events["order_id"].max(), events["contra_id"].max())))
        begin = 0
        for cut in [*np.flatnonzero(events["kind"] == EventKind.REPLACED), len(events)]:
            self._add(events[begin:cut])
            if cut < len(events):
                self._replace(events[cut])
            begin = cut + 1

    def best(self, side: int) -> int | None:
        """Best displayed price of `side` in fen; None when empty."""
        levels = self._levels[side]
        return int(levels.peekitem(-1 if side == Side.BUY else 0)[0]) if levels else None

    def levels(self, side: int, count: int) -> list[tuple[int, int]]:
        """The best `count` levels of `side` as (price in fen, tonnes), best first."""
        items = self._levels[side].items()
        return list(items[: -count - 1 : -1] if side == Side.BUY else items[:count])

    def listings(self, side: int, levels: int, count: int) -> list[tuple[int, int, int]]:
        """Single orders of the best `levels`, at most `count`: (order id, price in fen, tonnes), best, then oldest."""
        worst = self.levels(side, levels)
        if not worst:
            return []
        orders = np.flatnonzero((self._leaves > 0) & (self._side == side))
        prices = self._price[orders]
        shown = prices >= worst[-1][0] if side == Side.BUY else (prices <= worst[-1][0]) & (prices != NONE)
        orders, prices = orders[shown], prices[shown]
        best = np.lexsort((orders, -prices if side == Side.BUY else prices))[:count]
        columns = orders[best], prices[best], self._leaves[orders[best]]
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def seed(self, orders: np.ndarray, sides: np.ndarray, prices: np.ndarray, leaves: np.ndarray) -> None:
        """Begin with these resting orders (ids, `Side`, fen, tonnes; each shape (n,)) instead of an empty book."""
        self._reach(int(orders.max(initial=0)))
        self._price[orders], self._leaves[orders], self._side[orders] = prices, leaves, sides
        for side, price, qty in zip(sides.tolist(), prices.tolist(), leaves.tolist(), strict=True):
            self._change(side, price, qty)

    def _reach(self, order_id: int) -> None:
        if order_id >= len(self._price):
            size = max(2 * len(self._price), order_id + 1)
            self._price = np.concatenate([self._price, np.full(size - len(self._price), NONE)])
            self._leaves = np.concatenate([self._leaves, np.zeros(size - len(self._leaves), np.int64)])
            self._side = np.concatenate([self._side, np.zeros(size - len(self._side), np.int8)])

    def _add(self, events: np.ndarray) -> None:
        """Events without a replacement among them: all changes of one batch, summed by price."""
        kind = events["kind"]
        entered = events[kind == EventKind.ACCEPTED]
        trades = events[kind == EventKind.TRADE]
        left = events[np.isin(kind, _LEAVES_BOOK)]
        self._price[entered["order_id"]] = entered["price_fen"]
        self._side[entered["order_id"]] = entered["side"]
        sides = np.concatenate([entered["side"], trades["side"], 3 - trades["side"], left["side"]]).astype(np.int64)
        orders = np.concatenate([entered["order_id"], trades["order_id"], trades["contra_id"], left["order_id"]])
        changes = np.concatenate([entered["qty"], -trades["qty"], -trades["qty"], -left["leaves_qty"]])
        np.add.at(self._leaves, orders, changes)
        prices = self._price[orders]
        shown = prices != NONE
        keys, position = np.unique(prices[shown] * 4 + sides[shown], return_inverse=True)
        sums = np.zeros(len(keys), np.int64)
        np.add.at(sums, position, changes[shown])
        for key, change in zip(keys.tolist(), sums.tolist(), strict=True):
            self._change(key & 3, key >> 2, change)

    def _replace(self, event: np.void) -> None:
        order, side = int(event["order_id"]), int(event["side"])
        self._change(side, int(self._price[order]), -int(self._leaves[order]))
        self._price[order], self._leaves[order] = event["price_fen"], event["leaves_qty"]
        self._change(side, int(event["price_fen"]), int(event["leaves_qty"]))

    def _change(self, side: int, price: int, change: int) -> None:
        if change == 0:
            return
        levels = self._levels[side]
        qty = levels.get(price, 0) + change
        if qty:
            levels[price] = qty
        else:
            levels.pop(price, None)
