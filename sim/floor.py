"""How an intention becomes commands in this market: ask, bid, and take what stands.

    listed        listings rest, a taker clicks 挂牌点选        continuous   limit orders cross by themselves 挂牌交易
    no screen     fixed-price offers, first come first served 定价交易

One instrument's floor on one day. Orders keep tick and maximum of the rulebook; what it refuses besides, it refuses.
This file may not decide whether to trade, at what price, or how much.
"""

import numpy as np

from engine.codes import NONE, CommandKind, OrdType, Rule, Side, TimeInForce, TradingMode
from engine.records import empty_commands
from sim.measures import block_band
from sim.port import FIRST_ACCOUNT, Opened, Port


class Floor:
    """One instrument on one day."""

    def __init__(self, port: Port, instrument: int, day: np.datetime64) -> None:
        self.instrument = instrument
        self._feed = port.feeds[instrument]

        def rule(name: Rule) -> int:
            return port.rule(name, day, instrument)

        self.mode = TradingMode(rule(Rule.MODE))
        self._tick = max(1, rule(Rule.TICK_FEN))
        self.max_t = rule(Rule.SCREEN_MAX_QTY_T)
        self.block_t = rule(Rule.BLOCK_MIN_QTY_T)
        """Smallest block; NONE without that mode."""
        self.block_bp = rule(Rule.BLOCK_BAND_BP)
        self.fee_bp = max(0, *(rule(name) for name in (
            Rule.SCREEN_FEE_BUY_BP, Rule.BLOCK_FEE_BUY_BP, Rule.OFFER_FEE_BUY_BP, Rule.AUCTION_FEE_BUY_BP,
        )))  # fmt: skip
        """Largest fee of a buyer, for the cash that must be there."""
        self.max_sale_bp = rule(Rule.MAX_SALE_BP)
        self._offer_bp = rule(Rule.OFFER_BAND_BP)

    def best(self, side: Side) -> int | None:
        """Best displayed price, fen."""
        return self._feed.best(side)

    def limits_fen(self, opened: Opened) -> tuple[int, int]:
        """Lowest and highest price of the public's trade today."""
        if self.mode != TradingMode.NO_SCREEN:
            return opened.low_fen, opened.high_fen
        return block_band(opened.close_fen, self._offer_bp)

    def on_tick(self, prices_fen: np.ndarray, side: int) -> np.ndarray:
        """Prices on the tick, int64: bids rounded down, asks up."""
        rounding = np.floor if side == Side.BUY else np.ceil
        return (rounding(np.asarray(prices_fen) / self._tick) * self._tick).astype(np.int64)

    def rest(self, who: np.ndarray, side: int, prices_fen: np.ndarray, qty_t: np.ndarray) -> np.ndarray:
        """Orders or offers that stand, COMMAND rows, shape (n,)."""
        rows = empty_commands(len(who))
        rows["account"], rows["instrument"], rows["side"] = who + FIRST_ACCOUNT, self.instrument, side
        rows["price_fen"], rows["qty"] = prices_fen, qty_t
        if self.mode == TradingMode.NO_SCREEN:
            rows["kind"] = CommandKind.OFFER
        else:
            rows["kind"], rows["ord_type"], rows["tif"] = CommandKind.NEW, OrdType.LIMIT, TimeInForce.DAY
        return rows

    def withdraw(self, who: np.ndarray, side: int) -> np.ndarray:
        """Everything that they have standing on one side is cancelled, COMMAND rows, shape (n,)."""
        rows = empty_commands(len(who))
        rows["kind"], rows["account"] = CommandKind.MASS_CANCEL, who + FIRST_ACCOUNT
        rows["instrument"], rows["side"] = self.instrument, side
        return rows

    def take(self, who: np.ndarray, side: int, limits_fen: np.ndarray, qty_t: np.ndarray) -> np.ndarray:
        """Take what the other side shows, up to each limit, COMMAND rows."""
        if self.mode == TradingMode.NO_SCREEN:
            return self._takes(who, side, limits_fen, qty_t)
        rows = self.rest(who, side, limits_fen, qty_t)
        if self.mode == TradingMode.LISTED:
            rows["kind"] = CommandKind.CLICK
        return rows

    def _takes(self, who: np.ndarray, side: int, limits_fen: np.ndarray, qty_t: np.ndarray) -> np.ndarray:
        """TAKE rows: each in turn from the best offers that the others have left."""
        if len(who) == 0:
            return empty_commands(0)
        other = Side.SELL if side == Side.BUY else Side.BUY
        offers = [list(offer) for offer in self._feed.listings(other, 1_000, 10_000)]
        found: list[tuple[int, int, int]] = []
        for taker, limit, wanted in zip(who.tolist(), limits_fen.tolist(), qty_t.tolist(), strict=True):
            left = wanted
            for offer in offers:
                order_id, price, leaves = offer
                beyond = price > limit if side == Side.BUY else price < limit
                if left == 0 or beyond:
                    break
                lot = min(left, leaves)
                if lot:
                    found.append((taker, order_id, lot))
                    offer[2] -= lot
                    left -= lot
        rows = empty_commands(len(found))
        rows["kind"], rows["instrument"], rows["side"] = CommandKind.TAKE, self.instrument, side
        if found:
            takers, targets, lots = np.array(found).T
            rows["account"], rows["target_id"], rows["qty"] = takers + FIRST_ACCOUNT, targets, lots
            prices = {int(order_id): int(price) for order_id, price, _ in offers}
            rows["price_fen"] = [prices[int(target)] for target in targets]
        return rows


NO_BLOCKS = NONE
"""`Floor.block_t` where the market has no such mode."""
