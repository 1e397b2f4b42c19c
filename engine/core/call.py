"""Call auction 集合竞价: orders gather in a continuous book without crossing, then all trade at one price.

The price, of all on the tick: largest volume; then smallest surplus; then market pressure (all remaining have buyers
left over: the highest; sellers: the lowest); else the one nearest to the previous close. Between two occupied prices
nothing changes, so only the occupied ones between best ask and best bid are walked. Who gets what: price, then time.
"""

import numpy as np

from engine.codes import NONE, EventKind, Rule, Side, TradingMode
from engine.core.book import at_or_above, best_price, first_at, free_slot, next_price, unlink
from engine.core.emit import emit
from engine.core.living import trade_living
from engine.core.prices import round_half_up
from engine.core.state import NIL, Ask, Instrument, Market, instruments_of, market_of, orders_of, rules_of
from engine.jit import kernel


@kernel
def _level_qty(state: np.ndarray, instrument: int, side: int, price_fen: int) -> int:
    """Open quantity at one price, t."""
    orders, total = orders_of(state), 0
    slot = first_at(state, instrument, side, price_fen)
    while slot != NIL:
        total += orders[slot]["leaves_qty"]
        slot = orders[slot]["next"]
    return total


@kernel
def _demand_at(state: np.ndarray, instrument: int, price_fen: int) -> int:
    """Quantity bid at `price_fen` or above, t."""
    total, price = 0, best_price(state, instrument, Side.BUY)
    while price != 0 and price >= price_fen:
        total += _level_qty(state, instrument, Side.BUY, price)
        price = next_price(state, instrument, Side.BUY, price)
    return total


@kernel
def _reference(state: np.ndarray, instrument: int) -> int:
    """The previous close, on the tick, fen."""
    close, tick = instruments_of(state)[instrument, Instrument.PREV_CLOSE], rules_of(state)[instrument, Rule.TICK_FEN]
    return round_half_up(close, 1, tick)


@kernel
def _choose(state: np.ndarray, instrument: int, low: int, high: int, all_buy: bool, all_sell: bool) -> int:
    """Of equally good prices `low` to `high` the one that market pressure or the reference price picks."""
    if all_buy:
        return high
    if all_sell:
        return low
    return min(max(_reference(state, instrument), low), high)


@kernel
def find_price(state: np.ndarray, instrument: int) -> None:
    """Leaves price, volume and surplus in MARKET's CALL fields."""
    market, tick = market_of(state), rules_of(state)[instrument, Rule.TICK_FEN]
    market[Market.CALL_PRICE], market[Market.CALL_VOLUME], market[Market.CALL_SURPLUS] = 0, 0, 0
    price, last = best_price(state, instrument, Side.SELL), best_price(state, instrument, Side.BUY)
    if price == 0 or last == 0 or last < price:
        return
    demand, supply = _demand_at(state, instrument, price), 0
    volume, least, low, high, all_buy, all_sell = -1, 0, 0, 0, True, True
    while price <= last:
        supply += _level_qty(state, instrument, Side.SELL, price)
        bid, ask = (
            at_or_above(state, instrument, Side.BUY, price),
            at_or_above(state, instrument, Side.SELL, price + tick),
        )
        end = bid if ask == 0 else min(bid, ask - tick)
        surplus = demand - supply
        if min(demand, supply) > volume or (min(demand, supply) == volume and abs(surplus) < least):
            volume, least = min(demand, supply), abs(surplus)
            low, high, all_buy, all_sell = price, end, surplus > 0, surplus < 0
        elif min(demand, supply) == volume and abs(surplus) == least:
            high, all_buy, all_sell = end, all_buy and surplus > 0, all_sell and surplus < 0
        demand -= _level_qty(state, instrument, Side.BUY, end)
        price = end + tick
    chosen = _choose(state, instrument, low, high, all_buy, all_sell)
    market[Market.CALL_PRICE], market[Market.CALL_VOLUME] = chosen, volume
    at_price = _demand_at(state, instrument, chosen)
    price = best_price(state, instrument, Side.SELL)
    while price != 0 and price <= chosen:
        at_price -= _level_qty(state, instrument, Side.SELL, price)
        price = next_price(state, instrument, Side.SELL, price)
    market[Market.CALL_SURPLUS] = at_price


@kernel
def publish(state: np.ndarray, events: np.ndarray, ask: Ask, instrument: int) -> None:
    """INDICATIVE: what would trade now."""
    find_price(state, instrument)
    market = market_of(state)
    price, surplus, side = market[Market.CALL_PRICE], market[Market.CALL_SURPLUS], 0
    if surplus != 0:
        side = Side.BUY if surplus > 0 else Side.SELL
    emit(
        state, events, ask, EventKind.INDICATIVE, NONE, NONE, instrument, side, TradingMode.CALL,
        NONE if price == 0 else price, market[Market.CALL_VOLUME], abs(surplus),
    )  # fmt: skip


@kernel
def uncross(state: np.ndarray, events: np.ndarray, ask: Ask, instrument: int) -> None:
    """The end of the call: pairs by price, then time. Nobody takes, so self-trades pass; the younger is named first."""
    find_price(state, instrument)
    market, orders = market_of(state), orders_of(state)
    price, left = market[Market.CALL_PRICE], market[Market.CALL_VOLUME]
    while left > 0:
        younger = first_at(state, instrument, Side.BUY, best_price(state, instrument, Side.BUY))
        older = first_at(state, instrument, Side.SELL, best_price(state, instrument, Side.SELL))
        if orders[younger]["id"] < orders[older]["id"]:
            younger, older = older, younger
        qty = min(left, orders[younger]["leaves_qty"], orders[older]["leaves_qty"])
        left -= qty
        trade_living(state, events, ask, younger, older, TradingMode.CALL, price, qty)
        for slot in (older, younger):
            if orders[slot]["leaves_qty"] == 0:
                unlink(state, slot)
                free_slot(state, slot, True)
