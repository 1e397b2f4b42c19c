"""The vocabulary of rulebooks: every rule that a file may state, how its value is read, and the column it fills.

`FIELDS` are what the engine obeys, `ATTRIBUTES` what an instrument is. A parser turns the value as written into what is
compiled and raises ValueError, TypeError or KeyError where it cannot. This file may not read files.
"""

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from engine import units
from engine.codes import (
    MAX_CLOSE_TRADES,
    NONE,
    BlockReference,
    ClickChoice,
    Lots,
    Margin,
    OrderCondition,
    OrdType,
    Participant,
    Phase,
    Pricing,
    Rule,
    SelfTrade,
    Stage,
    TimeInForce,
    TradePrice,
    TradingMode,
)

Parser = Callable[[Any], Any]


@dataclass(frozen=True)
class Field:
    """One rule: where it stands in the file, which column it fills, how it is read."""

    section: str
    key: str
    rule: Rule
    parse: Parser
    expected: str
    absent: int | None = None
    """Column value when the file does not mention it; None = required."""


def _integer(low: int, high: int) -> Parser:
    def parse(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError
        return value

    return parse


def _price(value: Any) -> int:
    if not isinstance(value, str):
        raise TypeError
    fen = units.fen_from_text(value)
    if not 1 <= fen <= 10**9:
        raise ValueError
    return fen


def _flag(value: Any) -> int:
    if not isinstance(value, bool):
        raise TypeError
    return int(value)


def member(enum: type[IntEnum], value: Any) -> int:
    """The number of a name written in lower case."""
    names = {member.name.lower(): member for member in enum}
    return int(names[value])


def _one_of(enum: type[IntEnum], *allowed: str) -> Parser:
    def parse(value: Any) -> int:
        if value not in allowed:
            raise ValueError
        return member(enum, value)

    return parse


def mask(enum: type[IntEnum], *, empty: bool = False) -> Parser:
    """A parser of lists of names into bits; an empty list only where `empty`."""

    def parse(value: Any) -> int:
        if not isinstance(value, list) or not (value or empty):
            raise ValueError
        mask = 0
        for name in value:
            mask |= 1 << member(enum, name)
        return mask

    return parse


_BAND = _integer(0, units.BASIS - 1)
_BAND_WORDS = "a whole number of basis points, 0 to 9999"
_PRICE_WORDS = 'a price as text with at most two decimals, such as "48.00"'
FLAG_WORDS = "true or false"
_QTY = _integer(1, 10**9)
_QTY_WORDS = "tonnes, 1 to 1000000000"
_SHARE = _integer(1, units.BASIS)
_SHARE_WORDS = "a whole number of basis points, 1 to 10000"


def names_of(enum: type[IntEnum]) -> str:
    """The members as a rulebook writes them."""
    return ", ".join(f'"{member.name.lower()}"' for member in enum)


def _choice(section: str, key: str, rule: Rule, enum: type[IntEnum], absent: int | None) -> Field:
    """One member of `enum`."""
    names = [member.name.lower() for member in enum]
    return Field(section, key, rule, _one_of(enum, *names), f"one of {names_of(enum)}", absent)


def _by_participant(key: str, first: Rule, parse: Parser, expected: str) -> tuple[Field, ...]:
    """One rule in [access] for each kind of participant; `{}` in the key is its name."""
    return tuple(
        Field("access", key.format(kind.name.lower()), Rule(first + kind), parse, expected, NONE)
        for kind in Participant
    )


ALL_PARTICIPANTS = (1 << len(Participant)) - 1
SCREEN_MODES = 1 << TradingMode.CONTINUOUS | 1 << TradingMode.LISTED | 1 << TradingMode.CALL

FIELDS = (
    Field("instruments", "tradable", Rule.TRADABLE, _flag, FLAG_WORDS),
    Field("instruments", "reference_price", Rule.REFERENCE_FEN, _price, _PRICE_WORDS),
    Field(
        "screen",
        "mode",
        Rule.MODE,
        _one_of(TradingMode, "continuous", "listed", "no_screen"),
        '"continuous", "listed" or "no_screen"',
    ),
    Field("screen", "tick", Rule.TICK_FEN, _price, _PRICE_WORDS),
    Field("screen", "lot_t", Rule.LOT_T, _integer(1, 10**6), "tonnes, 1 to 1000000"),
    Field("screen", "max_qty_t", Rule.SCREEN_MAX_QTY_T, _QTY, _QTY_WORDS),
    Field("screen", "price_low", Rule.PRICE_LOW_FEN, _price, _PRICE_WORDS),
    Field("screen", "price_high", Rule.PRICE_HIGH_FEN, _price, _PRICE_WORDS),
    Field("screen", "band_down_bp", Rule.BAND_DOWN_BP, _BAND, _BAND_WORDS, NONE),
    Field("screen", "band_up_bp", Rule.BAND_UP_BP, _BAND, _BAND_WORDS, NONE),
    Field("screen", "click_levels", Rule.CLICK_LEVELS, _integer(1, 1000), "price levels, 1 to 1000", 0),
    Field("screen", "order_types", Rule.ORD_TYPES, mask(OrdType, empty=True), f"a list of {names_of(OrdType)}"),
    Field(
        "screen",
        "times_in_force",
        Rule.TIMES_IN_FORCE,
        mask(TimeInForce, empty=True),
        f"a list of {names_of(TimeInForce)}",
    ),
    Field(
        "screen",
        "conditions",
        Rule.CONDITIONS,
        mask(OrderCondition, empty=True),
        f"a list of {names_of(OrderCondition)}",
        0,
    ),
    _choice("screen", "self_trade", Rule.SELF_TRADE, SelfTrade, None),
    _choice("screen", "trade_price", Rule.TRADE_PRICE, TradePrice, TradePrice.RESTING),
    _choice("screen", "click_choice", Rule.CLICK_CHOICE, ClickChoice, ClickChoice.ANY),
    Field("screen", "crossed_listings", Rule.CROSSED_LISTINGS, _flag, FLAG_WORDS, 1),
    Field("halt", "move_bp", Rule.HALT_MOVE_BP, _SHARE, _SHARE_WORDS, NONE),
    Field("halt", "seconds", Rule.HALT_SECONDS, _integer(1, 86_400), "seconds, 1 to 86400", 0),
    Field("close", "trades", Rule.CLOSE_TRADES, _integer(0, MAX_CLOSE_TRADES), f"0 (all) to {MAX_CLOSE_TRADES}", 0),
    Field("close", "min_qty_t", Rule.CLOSE_MIN_QTY_T, _integer(0, 10**9), "tonnes, 0 to 1000000000", 0),
    Field(
        "close",
        "min_qty_phases",
        Rule.CLOSE_MIN_QTY_PHASES,
        mask(Phase),
        f"a list of {names_of(Phase)}",
        (1 << len(Phase)) - 1,
    ),
    Field("close", "modes", Rule.CLOSE_MODES, mask(TradingMode), f"a list of {names_of(TradingMode)}", SCREEN_MODES),
    Field("block", "min_qty_t", Rule.BLOCK_MIN_QTY_T, _QTY, _QTY_WORDS, NONE),
    Field("block", "band_bp", Rule.BLOCK_BAND_BP, _BAND, _BAND_WORDS, NONE),
    _choice("block", "reference", Rule.BLOCK_REFERENCE, BlockReference, BlockReference.PREVIOUS_CLOSE),
    Field("block", "free_from_t", Rule.BLOCK_FREE_FROM_T, _QTY, _QTY_WORDS, NONE),
    Field("offer", "min_qty_t", Rule.OFFER_MIN_QTY_T, _QTY, _QTY_WORDS, NONE),
    Field("offer", "band_bp", Rule.OFFER_BAND_BP, _BAND, _BAND_WORDS, NONE),
    _choice("auction", "pricing", Rule.AUCTION_PRICING, Pricing, NONE),
    _choice("auction", "lots", Rule.AUCTION_LOTS, Lots, Lots.PART),
    _choice("auction", "margin", Rule.AUCTION_MARGIN, Margin, Margin.TIME),
    Field("auction", "all_or_nothing", Rule.AUCTION_ALL_OR_NOTHING, _flag, FLAG_WORDS, 0),
    Field("auction", "stages", Rule.AUCTION_STAGES, mask(Stage), f"a list of {names_of(Stage)}", 1 << Stage.BIDDING),
    Field("auction", "min_bid_t", Rule.AUCTION_MIN_BID_T, _QTY, _QTY_WORDS, 1),
    Field("auction", "lot_t", Rule.AUCTION_LOT_T, _integer(1, 10**6), "tonnes, 1 to 1000000", 1),
    Field("auction", "max_share_bp", Rule.AUCTION_MAX_SHARE_BP, _SHARE, _SHARE_WORDS, units.BASIS),
    Field("auction", "reserve_band_bp", Rule.AUCTION_RESERVE_BAND_BP, _BAND, _BAND_WORDS, NONE),
    Field("auction", "deposit_bp", Rule.AUCTION_DEPOSIT_BP, _SHARE, _SHARE_WORDS, 0),
    Field("auction", "release_bp", Rule.AUCTION_RELEASE_BP, _SHARE, _SHARE_WORDS, units.BASIS),
    Field(
        "auction",
        "bidders",
        Rule.AUCTION_BIDDERS,
        mask(Participant),
        f"a list of {names_of(Participant)}",
        ALL_PARTICIPANTS,
    ),
    Field(
        "access",
        "participants",
        Rule.PARTICIPANTS,
        mask(Participant),
        f"a list of {names_of(Participant)}",
        ALL_PARTICIPANTS,
    ),
    *_by_participant("max_holding_{}_t", Rule.MAX_HOLDING_T, _integer(1, 10**12), "tonnes, 1 to 1000000000000"),
    *_by_participant("disclose_{}_t", Rule.DISCLOSE_T, _integer(1, 10**12), "tonnes, 1 to 1000000000000"),
    Field("access", "holding_beyond_allocation", Rule.HOLDING_BEYOND_ALLOCATION, _flag, FLAG_WORDS, 0),
    Field("access", "max_sale_bp", Rule.MAX_SALE_BP, _SHARE, _SHARE_WORDS, NONE),
    *(
        Field("fees", f"{mode}_{side}_bp", Rule[f"{mode}_FEE_{side}_BP".upper()], _BAND, _BAND_WORDS, 0)
        for mode in ("screen", "block", "offer", "auction")
        for side in ("buy", "sell")
    ),
    Field("settlement", "funded", Rule.FUNDED, _flag, FLAG_WORDS),
    Field("settlement", "units_t_plus", Rule.UNITS_T_PLUS, _integer(0, 1), "days, 0 or 1"),
)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _product(value: Any) -> str:
    if value not in PRODUCTS:
        raise ValueError
    return str(value)


def _date(value: Any) -> dt.date:
    if type(value) is not dt.date:
        raise ValueError
    return value


PRODUCTS = ("allowance", "ccer", "phcer", "ffcer", "energy_right")
ATTRIBUTES: dict[str, tuple[Parser, str]] = {
    "product": (_product, "one of " + ", ".join(PRODUCTS)),
    "vintage": (_integer(2005, 2100), "a year, 2005 to 2100"),
    "project_type": (_text, "a text"),
    "region": (_text, "a text"),
    "crediting_from": (_date, "a date"),
    "crediting_to": (_date, "a date"),
}
"""What an instrument is, beside its rules: units with the same attributes are one instrument."""


def _time_ns(text: Any) -> int:
    if not isinstance(text, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError
    hours, minutes = text.split(":")
    return (int(hours) * 60 + int(minutes)) * 60 * 10**9


def timetable(value: Any) -> tuple[tuple[int, Phase], ...]:
    """["HH:MM", phase] pairs as (ns after midnight, phase), ascending."""
    rows = tuple((_time_ns(time), Phase(member(Phase, phase))) for time, phase in value)
    if not rows or list(rows) != sorted(set(rows)):
        raise ValueError
    return rows


def weekdays(value: Any) -> frozenset[int]:
    """Trading weekdays, Monday = 1."""
    days = frozenset(value)
    if not days or not all(type(day) is int and 1 <= day <= 7 for day in days):
        raise ValueError
    return days


def dates(value: Any) -> frozenset[dt.date]:
    """Different days, at least one."""
    days = frozenset(value)
    if not days or not all(type(day) is dt.date for day in days):
        raise ValueError
    return days
