"""Rulebook -> rows of integers, one row for each instrument and date on which something changes.

Proves here, once, that no product of price and quantity can overflow: the core multiplies without looking.
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np

from engine.codes import NONE, RULE_COLUMNS, OrdType, Phase, Rule, TimeInForce, TradingMode
from engine.core.admit import MAX_QTY_T, MAX_VALUE_FEN
from engine.errors import RulebookError
from engine.rules.schema import FIELDS, Rulebook, SourcedValue


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


def _in_force(changes: list[SourcedValue], date: dt.date) -> int:
    """Value on `date`; before the first change, the first value."""
    number = changes[0].number
    for change in changes:
        if (change.since or dt.date.min) <= date:
            number = change.number
    return number


def _prove_bounds(book: Rulebook, row: np.ndarray) -> None:
    """No value of one order may leave int64; a price must exist at every tick of its range."""
    high = int(row[Rule.PRICE_HIGH_FEN])
    for limit, name in ((int(row[Rule.SCREEN_MAX_QTY_T]), "screen.max_qty_t"), (MAX_QTY_T, "block quantity")):
        if name.startswith("block") and row[Rule.BLOCK_MIN_QTY_T] == NONE:
            continue
        if high * limit > MAX_VALUE_FEN:
            message = f"{book.name}: screen.price_high x {name} = {high * limit} fen, expected at most {MAX_VALUE_FEN}"
            raise RulebookError(message)
    if row[Rule.PRICE_LOW_FEN] > high or row[Rule.PRICE_LOW_FEN] > row[Rule.REFERENCE_FEN]:
        message = (
            f"{book.name}: screen.price_low: got {row[Rule.PRICE_LOW_FEN]} fen, "
            "expected at most price_high and the reference price"
        )
        raise RulebookError(message)


def _prove_modes(book: Rulebook, row: np.ndarray) -> None:
    """A listed market never crosses by itself, so only limit orders that rest make sense on its screen."""
    if row[Rule.MODE] != TradingMode.LISTED:
        return
    if row[Rule.ORD_TYPES] != 1 << OrdType.LIMIT or row[Rule.TIMES_IN_FORCE] != 1 << TimeInForce.DAY:
        message = (
            f'{book.name}: screen.order_types and times_in_force: expected ["limit"] and ["day"] in a listed market'
        )
        raise RulebookError(message)
    if row[Rule.CLICK_LEVELS] == 0:
        message = f"{book.name}: screen.click_levels: got None, expected price levels in a listed market"
        raise RulebookError(message)


def compile_rulebook(book: Rulebook) -> CompiledRules:
    """Rows of integers for the engine. Raises `RulebookError` where a product could overflow."""
    rows = []
    for instrument in range(len(book.symbols)):
        changes = {rule: values for (owner, rule), values in book.rules.items() if owner in (None, instrument)}
        dates = sorted({value.since or dt.date.min for values in changes.values() for value in values})
        for date in dates:
            row = np.zeros(RULE_COLUMNS + 1, np.int64)
            row[Rule.FROM_DATE] = 0 if date == dt.date.min else date_number(date)
            for spec in FIELDS:
                absent = NONE if spec.absent is None else spec.absent
                row[spec.rule] = _in_force(changes[spec.rule], date) if spec.rule in changes else absent
            for phase in Phase:
                row[Rule.PERMITS + phase] = book.permits[phase]
            row[RULE_COLUMNS] = instrument
            _prove_bounds(book, row)
            _prove_modes(book, row)
            rows.append(row)
    return CompiledRules(book.symbols, np.array(rows), int(book.initial_phase))
