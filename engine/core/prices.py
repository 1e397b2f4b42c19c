"""Prices that follow from trades: the last one, the median at which two orders meet, the close, and their rounding.

    fill -> note_trade -> last_price, closing_price -> day roll: reference and limits of the next day

Prices in fen, quantities in t. This file may not touch orders or balances.
"""

import numpy as np

from engine.codes import MAX_CLOSE_TRADES, NONE, Rule, TradePrice
from engine.core.state import Instrument, Market, instruments_of, market_of, rules_of
from engine.jit import kernel


@kernel
def round_half_up(numerator: int, denominator: int, tick: int) -> int:
    """`numerator / denominator` rounded half up to a multiple of `tick`; all positive."""
    step = denominator * tick
    return (2 * numerator + step) // (2 * step) * tick


BASIS = 10_000


@kernel
def divided(amount: int, by: int) -> int:
    """`amount // by` of what is not negative: without a sign it takes a third of the instructions."""
    return int(np.int64(np.uint64(amount) // np.uint64(by)))


@kernel
def band_low(state: np.ndarray, instrument: int, bp: int) -> int:
    """`bp` basis points (NONE: any) below the previous close, on the tick, inside the ladder's capacity; fen."""
    rules, close = rules_of(state)[instrument], instruments_of(state)[instrument, Instrument.PREV_CLOSE]
    low = rules[Rule.PRICE_LOW_FEN] + 0
    if bp == NONE:
        return low
    return max(low, round_half_up(close * (BASIS - bp), BASIS, rules[Rule.TICK_FEN]))


@kernel
def band_high(state: np.ndarray, instrument: int, bp: int) -> int:
    """`bp` basis points (NONE: any) above the previous close, on the tick, inside the ladder's capacity; fen."""
    rules, close = rules_of(state)[instrument], instruments_of(state)[instrument, Instrument.PREV_CLOSE]
    high = rules[Rule.PRICE_HIGH_FEN] + 0
    if bp == NONE:
        return high
    return min(high, round_half_up(close * (BASIS + bp), BASIS, rules[Rule.TICK_FEN]))


@kernel
def note_trade(state: np.ndarray, instrument: int, mode: int, price_fen: int, qty: int) -> None:
    """A trade enters the day's accumulators, where its mode makes the closing price."""
    day, rules = instruments_of(state)[instrument], rules_of(state)[instrument]
    if not (rules[Rule.CLOSE_MODES] >> mode) & 1:
        return
    if (rules[Rule.CLOSE_MIN_QTY_PHASES] >> market_of(state)[Market.PHASE]) & 1:
        day[Instrument.COUNTED_QTY] += qty
    trades = day[Instrument.TRADES]
    column = Instrument.LAST_TRADES + 2 * (trades - divided(trades, MAX_CLOSE_TRADES) * MAX_CLOSE_TRADES)
    day[column], day[column + 1] = price_fen, qty
    day[Instrument.TRADES] += 1
    day[Instrument.DAY_QTY] += qty
    day[Instrument.DAY_VALUE] += price_fen * qty


@kernel
def last_price(state: np.ndarray, instrument: int) -> int:
    """Price of the day's last trade; before the first, the previous close."""
    day = instruments_of(state)[instrument]
    if day[Instrument.TRADES] == 0:
        return day[Instrument.PREV_CLOSE] + 0
    return day[Instrument.LAST_TRADES + 2 * ((day[Instrument.TRADES] - 1) % MAX_CLOSE_TRADES)] + 0


@kernel
def trade_price(state: np.ndarray, instrument: int, taker_fen: int, resting_fen: int) -> int:
    """Where two crossing orders trade: at the resting price, or at the middle one of both prices and the last."""
    if rules_of(state)[instrument, Rule.TRADE_PRICE] != TradePrice.MEDIAN:
        return resting_fen
    low, high = min(taker_fen, resting_fen), max(taker_fen, resting_fen)
    return min(max(low, last_price(state, instrument)), high)


@kernel
def closing_price(state: np.ndarray, instrument: int) -> int:
    """Volume-weighted mean of the last trades the rule counts, rounded half up to the tick; else the previous close."""
    day, rules = instruments_of(state)[instrument], rules_of(state)[instrument]
    if day[Instrument.COUNTED_QTY] <= rules[Rule.CLOSE_MIN_QTY_T]:
        return day[Instrument.PREV_CLOSE] + 0
    value, qty = day[Instrument.DAY_VALUE], day[Instrument.DAY_QTY]
    counted = rules[Rule.CLOSE_TRADES]
    if 0 < counted < day[Instrument.TRADES]:
        value, qty = 0, 0
        for number in range(day[Instrument.TRADES] - counted, day[Instrument.TRADES]):
            column = Instrument.LAST_TRADES + 2 * (number % MAX_CLOSE_TRADES)
            value += day[column] * day[column + 1]
            qty += day[column + 1]
    return round_half_up(value, qty, rules[Rule.TICK_FEN])
