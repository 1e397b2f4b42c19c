"""Rulebook -> rows of integers, one row for each instrument and date on which something changes.

Proves here, once, that no product of price and quantity can overflow: the core multiplies without looking.
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np

from engine.codes import (
    NONE,
    RULE_COLUMNS,
    BlockReference,
    Lots,
    OrdType,
    Participant,
    Phase,
    Rule,
    Stage,
    TimeInForce,
    TradePrice,
    TradingMode,
)
from engine.core.admit import MAX_QTY_T, MAX_VALUE_FEN
from engine.errors import RulebookError
from engine.rules.fields import FIELDS
from engine.rules.schema import Rulebook, in_force
from engine.units import text_from_fen


@dataclass(frozen=True)
class CompiledRules:
    """What the engine needs of a rulebook."""

    symbols: tuple[str, ...]
    rows: np.ndarray
    """int64, shape (rows, RULE_COLUMNS + 1), ascending by instrument and date; last column = instrument."""
    initial_phase: int


def date_number(date: dt.date) -> int:
    """2021-07-16 -> 20210716."""
    return date.year * 10_000 + date.month * 100 + date.day


def _refuse(book: Rulebook, key: str, value: object, expected: str) -> RulebookError:
    return RulebookError(f"{book.path.name}: {key}: got {value!r}, expected {expected}")


def _prove_bounds(book: Rulebook, row: np.ndarray) -> None:
    """No value of one order may leave int64; a price must exist at every tick of its range."""
    low, high = int(row[Rule.PRICE_LOW_FEN]), int(row[Rule.PRICE_HIGH_FEN])
    off_screen = (Rule.BLOCK_MIN_QTY_T, Rule.OFFER_MIN_QTY_T, Rule.AUCTION_PRICING)
    largest_t = MAX_QTY_T if any(row[rule] != NONE for rule in off_screen) else int(row[Rule.SCREEN_MAX_QTY_T])
    if high * largest_t > MAX_VALUE_FEN:
        at_most = text_from_fen(MAX_VALUE_FEN // largest_t)
        raise _refuse(book, "screen.price_high", text_from_fen(high), f"at most {at_most} for orders of {largest_t} t")
    if low > high:
        raise _refuse(book, "screen.price_low", text_from_fen(low), f"at most price_high, {text_from_fen(high)}")
    reference = int(row[Rule.REFERENCE_FEN])
    if not low <= reference <= high:
        expected = f"price_low to price_high, {text_from_fen(low)} to {text_from_fen(high)}"
        raise _refuse(book, "instruments.reference_price", text_from_fen(reference), expected)


def _prove_modes(book: Rulebook, row: np.ndarray) -> None:
    """What a screen offers must fit how it trades; a listed one never crosses, so only limit orders that rest do."""
    mode = TradingMode(row[Rule.MODE])
    rest = 1 << TimeInForce.DAY | 1 << TimeInForce.GTC | 1 << TimeInForce.GTD
    for key, rule, enum, listed in (
        ("screen.order_types", Rule.ORD_TYPES, OrdType, 1 << OrdType.LIMIT),
        ("screen.times_in_force", Rule.TIMES_IN_FORCE, TimeInForce, rest),
    ):
        names = [member.name.lower() for member in enum if row[rule] >> member & 1]
        if mode == TradingMode.NO_SCREEN and names:
            raise _refuse(book, key, names, "an empty list without a screen")
        if mode != TradingMode.NO_SCREEN and not names:
            raise _refuse(book, key, names, "at least one on a screen")
        if mode == TradingMode.LISTED and row[rule] & ~listed:
            allowed = [member.name.lower() for member in enum if listed >> member & 1]
            raise _refuse(book, key, names, f"only {', '.join(map(repr, allowed))} in a listed market")
    if mode == TradingMode.LISTED and row[Rule.CLICK_LEVELS] == 0:
        raise _refuse(book, "screen.click_levels", None, "price levels in a listed market")
    if mode != TradingMode.CONTINUOUS and row[Rule.CONDITIONS]:
        raise _refuse(book, "screen.conditions", int(row[Rule.CONDITIONS]), "none unless the screen is continuous")
    if (row[Rule.HALT_MOVE_BP] == NONE) != (row[Rule.HALT_SECONDS] == 0):
        raise _refuse(book, "halt", int(row[Rule.HALT_SECONDS]), "both move_bp and seconds, or neither")


def _prove_close(book: Rulebook, row: np.ndarray) -> None:
    """Blocks are outside the closing price in every market, and only what trades can make one."""
    names = [mode.name.lower() for mode in TradingMode if row[Rule.CLOSE_MODES] >> mode & 1]
    for name in ("block", "no_screen"):
        if name in names:
            raise _refuse(book, "close.modes", names, f"no {name!r} among them")


def _prove_auction(book: Rulebook, row: np.ndarray) -> None:
    """Stages and lots of one-way auctions must fit each other."""
    stages = [stage.name.lower() for stage in Stage if row[Rule.AUCTION_STAGES] >> stage & 1]
    if "bidding" not in stages:
        raise _refuse(book, "auction.stages", stages, "'bidding' among them")
    applies = "application" in stages
    if applies and row[Rule.AUCTION_LOTS] == Lots.WHOLE:
        raise _refuse(book, "auction.lots", "whole", "'part' where there are applications")
    if not applies and row[Rule.AUCTION_DEPOSIT_BP]:
        raise _refuse(book, "auction.deposit_bp", int(row[Rule.AUCTION_DEPOSIT_BP]), "none without applications")
    held_late = row[Rule.BLOCK_REFERENCE] == BlockReference.SAME_DAY_CLOSE
    if held_late and row[Rule.BLOCK_MIN_QTY_T] == NONE:
        raise _refuse(book, "block.reference", "same_day_close", "block.min_qty_t beside it")


def _prove_median(book: Rulebook, row: np.ndarray) -> None:
    """The median of bid, ask and last needs a limit on both sides."""
    priced = 1 << OrdType.LIMIT | 1 << OrdType.MARKET_TO_LIMIT
    if row[Rule.TRADE_PRICE] == TradePrice.MEDIAN and row[Rule.ORD_TYPES] & ~priced:
        raise _refuse(book, "screen.trade_price", "median", "limit orders only beside it (screen.order_types)")


def _prove_access(book: Rulebook, row: np.ndarray) -> None:
    """Limits on holdings and sales can only be watched where holdings are kept."""
    if row[Rule.FUNDED]:
        return
    for key, first, count in (
        ("access.max_holding", Rule.MAX_HOLDING_T, len(Participant)),
        ("access.disclose", Rule.DISCLOSE_T, len(Participant)),
        ("access.max_sale_bp", Rule.MAX_SALE_BP, 1),
    ):
        limits = row[first : first + count]
        if (limits != NONE).any():
            raise _refuse(book, key, limits.tolist(), "none where settlement.funded is false")


def compile_rulebook(book: Rulebook) -> CompiledRules:
    """Rows of integers for the engine. Raises `RulebookError` where values do not fit together."""
    rows = []
    for instrument in range(len(book.symbols)):
        changes = {rule: values for (owner, rule), values in book.rules.items() if owner in (None, instrument)}
        dated = [*changes.values(), *book.permits.values()]
        dates = sorted({value.since or dt.date.min for values in dated for value in values})
        for date in dates:
            row = np.zeros(RULE_COLUMNS + 1, np.int64)
            row[Rule.FROM_DATE] = 0 if date == dt.date.min else date_number(date)
            for spec in FIELDS:
                absent = NONE if spec.absent is None else spec.absent
                row[spec.rule] = in_force(changes[spec.rule], date) if spec.rule in changes else absent
            for phase in Phase:
                row[Rule.PERMITS + phase] = in_force(book.permits[phase], date) if phase in book.permits else 0
            row[RULE_COLUMNS] = instrument
            _prove_bounds(book, row)
            _prove_modes(book, row)
            _prove_median(book, row)
            _prove_close(book, row)
            _prove_auction(book, row)
            _prove_access(book, row)
            rows.append(row)
    return CompiledRules(book.symbols, np.array(rows), int(book.initial_phase))
