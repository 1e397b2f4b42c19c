"""What a rulebook file may say, and the loader that refuses everything else.

A rulebook is TOML. Each rule is `{ value = …, source = "ID", verified = false?, from = DATE? }`, where ID is a key of
the file's `[sources]`; a list of such tables is a rule that changed on dates. `FIELDS` is the whole vocabulary: key,
integer column, how its value is read and what is expected. Errors name file, key, value and expectation.

This file may not know how rules are used; `compiler.py` turns a `Rulebook` into rows of integers.
"""

import datetime as dt
import hashlib
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from engine import units
from engine.codes import (
    MAX_CLOSE_TRADES,
    NONE,
    BlockReference,
    ClickChoice,
    CommandKind,
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
from engine.errors import RulebookError

MARKETS = Path(__file__).parent / "markets"

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


@dataclass(frozen=True)
class SourcedValue:
    """One value of a rulebook with where it comes from."""

    key: str
    """Dotted path in the file."""
    value: Any
    """As written."""
    compiled: Any
    """As the engine uses it: an integer; for the timetable a tuple of (ns, phase), for weekdays a frozenset."""
    source_id: str
    """Key in the file's [sources]."""
    source: str
    """Text of the source."""
    verified: bool
    since: dt.date | None
    """First day in force; None = from the start."""


def in_force(changes: list[SourcedValue], date: dt.date) -> Any:
    """Compiled value of one rule on `date`; before its first change, its first value."""
    current = changes[0]
    for change in changes:
        if (change.since or dt.date.min) <= date:
            current = change
    return current.compiled


@dataclass(frozen=True)
class Rulebook:
    """A validated rulebook, still in the words of its file."""

    name: str
    """Of the market: the file's name without its suffix."""
    path: Path
    title: str
    title_zh: str
    currency: str
    utc_offset_hours: int
    rules_hash: str
    """Digest of the file's bytes, 16 hexadecimal digits."""
    symbols: tuple[str, ...]
    attributes: tuple[dict[str, SourcedValue], ...]
    """By instrument: what is traded (keys of `ATTRIBUTES`); the engine does not read it."""
    rules: dict[tuple[int | None, Rule], list[SourcedValue]]
    """By (instrument or None for all, column); ascending by date."""
    initial_phase: Phase
    timetable: list[SourcedValue]
    """(ns after local midnight, phase that begins) pairs, by date; empty for a venue that never closes."""
    weekdays: list[SourcedValue]
    """Trading weekdays, Monday = 1, by date; empty = all."""
    extra_days: list[SourcedValue]
    """Further trading days, such as weekends before a deadline; at most one value."""
    permits: dict[Phase, list[SourcedValue]]
    """Bit mask over `CommandKind` by phase and date; a phase that is absent permits nothing."""
    values: list[SourcedValue]
    """Everything the file says, in its order, for `emex rules`."""


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


def _member(enum: type[IntEnum], value: Any) -> int:
    names = {member.name.lower(): member for member in enum}
    return int(names[value])


def _one_of(enum: type[IntEnum], *allowed: str) -> Parser:
    def parse(value: Any) -> int:
        if value not in allowed:
            raise ValueError
        return _member(enum, value)

    return parse


def _mask(enum: type[IntEnum], *, empty: bool = False) -> Parser:
    def parse(value: Any) -> int:
        if not isinstance(value, list) or not (value or empty):
            raise ValueError
        mask = 0
        for name in value:
            mask |= 1 << _member(enum, name)
        return mask

    return parse


_BAND = _integer(0, units.BASIS - 1)
_BAND_WORDS = "a whole number of basis points, 0 to 9999"
_PRICE_WORDS = 'a price as text with at most two decimals, such as "48.00"'
_FLAG_WORDS = "true or false"
_QTY = _integer(1, 10**9)
_QTY_WORDS = "tonnes, 1 to 1000000000"
_SHARE = _integer(1, units.BASIS)
_SHARE_WORDS = "a whole number of basis points, 1 to 10000"


def _words(enum: type[IntEnum]) -> str:
    """The members as a rulebook writes them."""
    return ", ".join(f'"{member.name.lower()}"' for member in enum)


def _choice(section: str, key: str, rule: Rule, enum: type[IntEnum], absent: int | None) -> Field:
    """One member of `enum`."""
    names = [member.name.lower() for member in enum]
    return Field(section, key, rule, _one_of(enum, *names), f"one of {_words(enum)}", absent)


def _by_participant(key: str, first: Rule, parse: Parser, expected: str) -> tuple[Field, ...]:
    """One rule in [access] for each kind of participant; `{}` in the key is its name."""
    return tuple(
        Field("access", key.format(kind.name.lower()), Rule(first + kind), parse, expected, NONE)
        for kind in Participant
    )


ALL_PARTICIPANTS = (1 << len(Participant)) - 1
SCREEN_MODES = 1 << TradingMode.CONTINUOUS | 1 << TradingMode.LISTED | 1 << TradingMode.CALL

FIELDS = (
    Field("instruments", "tradable", Rule.TRADABLE, _flag, _FLAG_WORDS),
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
    Field("screen", "order_types", Rule.ORD_TYPES, _mask(OrdType, empty=True), f"a list of {_words(OrdType)}"),
    Field(
        "screen",
        "times_in_force",
        Rule.TIMES_IN_FORCE,
        _mask(TimeInForce, empty=True),
        f"a list of {_words(TimeInForce)}",
    ),
    Field(
        "screen",
        "conditions",
        Rule.CONDITIONS,
        _mask(OrderCondition, empty=True),
        f"a list of {_words(OrderCondition)}",
        0,
    ),
    _choice("screen", "self_trade", Rule.SELF_TRADE, SelfTrade, None),
    _choice("screen", "trade_price", Rule.TRADE_PRICE, TradePrice, TradePrice.RESTING),
    _choice("screen", "click_choice", Rule.CLICK_CHOICE, ClickChoice, ClickChoice.ANY),
    Field("screen", "crossed_listings", Rule.CROSSED_LISTINGS, _flag, _FLAG_WORDS, 1),
    Field("halt", "move_bp", Rule.HALT_MOVE_BP, _SHARE, _SHARE_WORDS, NONE),
    Field("halt", "seconds", Rule.HALT_SECONDS, _integer(1, 86_400), "seconds, 1 to 86400", 0),
    Field("close", "trades", Rule.CLOSE_TRADES, _integer(0, MAX_CLOSE_TRADES), f"0 (all) to {MAX_CLOSE_TRADES}", 0),
    Field("close", "min_qty_t", Rule.CLOSE_MIN_QTY_T, _integer(0, 10**9), "tonnes, 0 to 1000000000", 0),
    Field(
        "close",
        "min_qty_phases",
        Rule.CLOSE_MIN_QTY_PHASES,
        _mask(Phase),
        f"a list of {_words(Phase)}",
        (1 << len(Phase)) - 1,
    ),
    Field("close", "modes", Rule.CLOSE_MODES, _mask(TradingMode), f"a list of {_words(TradingMode)}", SCREEN_MODES),
    Field("block", "min_qty_t", Rule.BLOCK_MIN_QTY_T, _QTY, _QTY_WORDS, NONE),
    Field("block", "band_bp", Rule.BLOCK_BAND_BP, _BAND, _BAND_WORDS, NONE),
    _choice("block", "reference", Rule.BLOCK_REFERENCE, BlockReference, BlockReference.PREVIOUS_CLOSE),
    Field("block", "free_from_t", Rule.BLOCK_FREE_FROM_T, _QTY, _QTY_WORDS, NONE),
    Field("offer", "min_qty_t", Rule.OFFER_MIN_QTY_T, _QTY, _QTY_WORDS, NONE),
    Field("offer", "band_bp", Rule.OFFER_BAND_BP, _BAND, _BAND_WORDS, NONE),
    _choice("auction", "pricing", Rule.AUCTION_PRICING, Pricing, NONE),
    _choice("auction", "lots", Rule.AUCTION_LOTS, Lots, Lots.PART),
    _choice("auction", "margin", Rule.AUCTION_MARGIN, Margin, Margin.TIME),
    Field("auction", "all_or_nothing", Rule.AUCTION_ALL_OR_NOTHING, _flag, _FLAG_WORDS, 0),
    Field("auction", "stages", Rule.AUCTION_STAGES, _mask(Stage), f"a list of {_words(Stage)}", 1 << Stage.BIDDING),
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
        _mask(Participant),
        f"a list of {_words(Participant)}",
        ALL_PARTICIPANTS,
    ),
    Field(
        "access",
        "participants",
        Rule.PARTICIPANTS,
        _mask(Participant),
        f"a list of {_words(Participant)}",
        ALL_PARTICIPANTS,
    ),
    *_by_participant("max_holding_{}_t", Rule.MAX_HOLDING_T, _integer(1, 10**12), "tonnes, 1 to 1000000000000"),
    *_by_participant("disclose_{}_t", Rule.DISCLOSE_T, _integer(1, 10**12), "tonnes, 1 to 1000000000000"),
    Field("access", "holding_beyond_allocation", Rule.HOLDING_BEYOND_ALLOCATION, _flag, _FLAG_WORDS, 0),
    Field("access", "max_sale_bp", Rule.MAX_SALE_BP, _SHARE, _SHARE_WORDS, NONE),
    *(
        Field("fees", f"{mode}_{side}_bp", Rule[f"{mode}_FEE_{side}_BP".upper()], _BAND, _BAND_WORDS, 0)
        for mode in ("screen", "block", "offer", "auction")
        for side in ("buy", "sell")
    ),
    Field("settlement", "funded", Rule.FUNDED, _flag, _FLAG_WORDS),
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

_RULE_SECTIONS = ("screen", "halt", "close", "block", "offer", "auction", "access", "fees", "settlement")
_SECTIONS = ("market", "sources", "instruments", *_RULE_SECTIONS, "sessions")
_VALUE_KEYS = {"value", "source", "verified", "from"}


class _Reader:
    """Walks one parsed file and collects values; every complaint goes through `fail`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sources: dict[str, str] = {}
        self.values: list[SourcedValue] = []

    def fail(self, key: str, value: object, expected: str) -> RulebookError:
        return RulebookError(f"{self.path.name}: {key}: got {value!r}, expected {expected}")

    def only(self, key: str, table: Any, allowed: set[str]) -> dict[str, Any]:
        """`table` if it is a table with known keys only."""
        if not isinstance(table, dict):
            raise self.fail(key, table, "a table")
        for name, value in table.items():
            if name not in allowed:
                raise self.fail(f"{key}.{name}" if key else name, value, f"one of {', '.join(sorted(allowed))}")
        return table

    def text(self, key: str, table: dict[str, Any], name: str) -> str:
        value = table.get(name)
        if not isinstance(value, str) or not value:
            raise self.fail(f"{key}.{name}", value, "a text")
        return value

    def read_sources(self, table: Any) -> None:
        """The ids that every later value may name."""
        if not isinstance(table, dict):
            raise self.fail("sources", table, "a table")
        for name, text in table.items():
            if not isinstance(text, str) or not text:
                raise self.fail(f"sources.{name}", text, "the text of a source")
        self.sources = table

    def sourced(self, key: str, entry: Any, parse: Parser, expected: str) -> list[SourcedValue]:
        """One rule, or its changes by date, each with a known source."""
        found: list[SourcedValue] = []
        if entry == []:
            raise self.fail(key, entry, "at least one table with value and source")
        for item in entry if isinstance(entry, list) else [entry]:
            table = self.only(key, item, _VALUE_KEYS)
            if "value" not in table:
                raise self.fail(key, item, "a table with value and source")
            source = table.get("source")
            if not isinstance(source, str) or source not in self.sources:
                raise self.fail(f"{key}.source", source, "an id that [sources] explains")
            since = table.get("from")
            if since is not None and type(since) is not dt.date:
                raise self.fail(f"{key}.from", since, "a date")
            verified = table.get("verified", True)
            if not isinstance(verified, bool):
                raise self.fail(f"{key}.verified", verified, _FLAG_WORDS)
            try:
                compiled = parse(table["value"])
            except (ValueError, TypeError, KeyError):
                raise self.fail(key, table["value"], expected) from None
            text = self.sources[source]
            found.append(SourcedValue(key, table["value"], compiled, source, text, verified, since))
        if [v.since or dt.date.min for v in found] != sorted({v.since or dt.date.min for v in found}):
            raise self.fail(key, [str(v.since) for v in found], "different dates in ascending order")
        self.values += found
        return found


def _time_ns(text: Any) -> int:
    if not isinstance(text, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError
    hours, minutes = text.split(":")
    return (int(hours) * 60 + int(minutes)) * 60 * 10**9


def _timetable(value: Any) -> tuple[tuple[int, Phase], ...]:
    rows = tuple((_time_ns(time), Phase(_member(Phase, phase))) for time, phase in value)
    if not rows or list(rows) != sorted(set(rows)):
        raise ValueError
    return rows


def _weekdays(value: Any) -> frozenset[int]:
    days = frozenset(value)
    if not days or not all(type(day) is int and 1 <= day <= 7 for day in days):
        raise ValueError
    return days


def _dates(value: Any) -> frozenset[dt.date]:
    days = frozenset(value)
    if not days or not all(type(day) is dt.date for day in days):
        raise ValueError
    return days


def _read_sessions(reader: _Reader, data: dict[str, Any]) -> dict[str, Any]:
    """The [sessions] of a file as the fields of `Rulebook` that it fills."""
    sessions = reader.only(
        "sessions", data.get("sessions"), {"initial", "timetable", "weekdays", "extra_days", "permits"}
    )
    phases = _words(Phase)
    initial = reader.sourced("sessions.initial", sessions.get("initial"), lambda v: Phase(_member(Phase, v)), phases)
    if initial[0].since or len(initial) > 1:
        raise reader.fail("sessions.initial", sessions["initial"], "one value without a date")
    by_date = {}
    for name, parse, words in (
        ("timetable", _timetable, f'ascending ["HH:MM", phase] pairs with phase one of {phases}'),
        ("weekdays", _weekdays, "weekdays 1 to 7"),
        ("extra_days", _dates, "a list of dates"),
    ):
        entry = sessions.get(name)
        by_date[name] = [] if entry is None else reader.sourced(f"sessions.{name}", entry, parse, words)
    permits = {}
    names = {phase.name.lower() for phase in Phase}
    kinds = ", ".join(kind.name.lower() for kind in CommandKind)
    for name, entry in reader.only("sessions.permits", sessions.get("permits"), names).items():
        changes = reader.sourced(f"sessions.permits.{name}", entry, _mask(CommandKind), f"a list of {kinds}")
        permits[Phase(_member(Phase, name))] = changes
    return {"initial_phase": initial[0].compiled, "permits": permits, **by_date}


def _read_fields(
    reader: _Reader, section: str, key: str, table: dict[str, Any], extra: set[str]
) -> dict[Rule, list[SourcedValue]]:
    fields = [f for f in FIELDS if f.section == section]
    reader.only(key, table, {f.key for f in fields} | extra)
    found = {}
    for spec in fields:
        path = f"{key}.{spec.key}"
        if spec.key in table:
            found[spec.rule] = reader.sourced(path, table[spec.key], spec.parse, spec.expected)
        elif spec.absent is None:
            raise reader.fail(path, None, f"{spec.expected} (the rule is missing)")
    return found


def read_rulebook(path: Path) -> Rulebook:
    """Load and validate one file. Raises `RulebookError` naming file, key, value and expectation."""
    try:
        raw = path.read_bytes()
        data = tomllib.loads(raw.decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        message = f"{path.name}: cannot be read as TOML: {error}"
        raise RulebookError(message) from None
    reader = _Reader(path)
    reader.only("", data, set(_SECTIONS))
    reader.read_sources(data.get("sources"))
    market = reader.only("market", data.get("market"), {"title", "title_zh", "utc_offset_hours", "currency"})
    offset = market.get("utc_offset_hours")
    if type(offset) is not int or not -12 <= offset <= 14:
        raise reader.fail("market.utc_offset_hours", offset, "hours from -12 to 14")
    rules: dict[tuple[int | None, Rule], list[SourcedValue]] = {}
    symbols = []
    instruments = data.get("instruments")
    if not isinstance(instruments, list) or not instruments:
        raise reader.fail("instruments", instruments, "at least one [[instruments]]")
    attributes = []
    for number, table in enumerate(instruments):
        key = f"instruments[{number}]"
        found = _read_fields(reader, "instruments", key, table, {"symbol", "title", *ATTRIBUTES})
        symbols.append(reader.text(key, table, "symbol"))
        attributes.append(
            {
                name: reader.sourced(f"{key}.{name}", table[name], parse, expected)[0]
                for name, (parse, expected) in ATTRIBUTES.items()
                if name in table
            }
        )
        rules |= {(number, rule): values for rule, values in found.items()}
    if len(set(symbols)) != len(symbols):
        raise reader.fail("instruments", symbols, "different symbols")
    for section in _RULE_SECTIONS:
        table = reader.only(section, data.get(section, {}), {f.key for f in FIELDS if f.section == section})
        for rule, values in _read_fields(reader, section, section, table, set()).items():
            rules[None, rule] = values
    sessions = _read_sessions(reader, data)
    return Rulebook(
        name=path.stem,
        path=path,
        title=reader.text("market", market, "title"),
        title_zh=reader.text("market", market, "title_zh"),
        currency=reader.text("market", market, "currency"),
        utc_offset_hours=offset,
        rules_hash=hashlib.blake2b(raw, digest_size=8).hexdigest(),
        symbols=tuple(symbols),
        attributes=tuple(attributes),
        rules=rules,
        values=reader.values,
        **sessions,
    )


def list_markets() -> list[dict[str, str]]:
    """Name and title of every rulebook that ships, by name."""
    books = [read_rulebook(path) for path in sorted(MARKETS.glob("*.toml"))]
    return [{"name": book.name, "title": book.title, "title_zh": book.title_zh} for book in books]


def find_rulebook(name: str) -> Rulebook:
    """A rulebook by the name of a shipped market, or by the path of a TOML file."""
    if name.endswith(".toml"):
        return read_rulebook(Path(name))
    path = MARKETS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in MARKETS.glob("*.toml")))
        message = f"no rulebook named {name!r}; there are: {known} (or give the path of a .toml file)"
        raise RulebookError(message)
    return read_rulebook(path)
