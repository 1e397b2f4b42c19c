"""One recorded day as orders: what to send so that the engine itself trades that volume at that mean price.

    recorded day + rules in force -> Plan (tonnes and mean price, on the screen or by offers, and by agreement)
                                  -> sizes and prices of single trades -> COMMAND rows in the order of time

How a trade comes about: on a listed screen 挂牌 one party lists and the other clicks; on a continuous one two limit
orders meet at one price, at which they trade under either price rule; without a screen an offer 定价 is taken; an
agreement 大宗协议 is proposed and confirmed. What is listed together is taken best price first, oldest first, as the
strictest rulebook wants. A day that the rules do not allow is not bent: what they allow next to it is sent, and the
plan says what is amiss.

A load, no behaviour: sizes, sides and who trades are drawn (assumed: lognormal sizes of about `MEAN_T`), nobody decides
anything. This file may not know an engine's state.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from engine.codes import (
    NONE,
    BlockReference,
    CommandKind,
    OrdType,
    Phase,
    Rule,
    Side,
    TimeInForce,
    TradingMode,
)
from engine.records import empty_commands
from engine.rules.sessions import DAY_NS
from engine.units import BASIS, text_from_fen
from sim.port import FIRST_ACCOUNT
from sim.tape.read import FEN, TapeDay

MEAN_T = 800
"""Tonnes of one trade on a screen or of one offer, about; assumed."""
BLOCK_MEAN_T = 200_000
"""Tonnes of one agreement, about, where the smallest one allowed is not larger; assumed."""
_SIGMA = 1.0
"""Of the logarithm of sizes; assumed."""
_SPREAD = 3
"""Ticks that trades lie apart from the day's mean, at most, where it leaves that open; assumed."""
TOGETHER = 8
"""Orders that are listed before they are taken; assumed."""
_TWICE = 0.3
"""Share of listings that two takers share; assumed."""
TOLERANCE_TICKS = 2
_PUBLIC_KINDS = {
    TradingMode.LISTED: (CommandKind.NEW, CommandKind.CLICK),
    TradingMode.CONTINUOUS: (CommandKind.NEW,),
    TradingMode.OFFER: (CommandKind.OFFER, CommandKind.TAKE),
}
_BLOCK_KINDS = (CommandKind.PROPOSE, CommandKind.CONFIRM)
_SECOND_NS = 10**9


class Session(NamedTuple):
    """One phase of one day."""

    phase: Phase
    begin_ns: int
    end_ns: int


@dataclass(frozen=True)
class DayRules:
    """Rules and limits of one instrument on one day."""

    instrument: int
    row: np.ndarray
    """Columns of `Rule`."""
    reference_fen: int
    """Previous close."""
    screen_fen: tuple[int, int]
    """Lowest and highest price on the screen, as the engine announced them."""
    phases: np.ndarray
    """The day's PHASE commands, shape (n,); none for a venue that never closes."""
    sessions: list[Session]

    def rule(self, rule: Rule) -> int:
        """A number of the rulebook."""
        return int(self.row[rule])

    @property
    def tick_fen(self) -> int:
        """Smallest step of a price."""
        return self.rule(Rule.TICK_FEN)

    @property
    def lot_t(self) -> int:
        """Smallest step of a quantity."""
        return self.rule(Rule.LOT_T)

    @property
    def public(self) -> TradingMode | None:
        """How everybody may trade: on the screen, else by fixed-price offers; None: by agreement alone."""
        mode = TradingMode(self.rule(Rule.MODE))
        if mode != TradingMode.NO_SCREEN:
            return mode
        return None if self.rule(Rule.OFFER_MIN_QTY_T) == NONE else TradingMode.OFFER

    @property
    def has_blocks(self) -> bool:
        """Whether there are agreements."""
        return self.rule(Rule.BLOCK_MIN_QTY_T) != NONE

    def band(self, rule: Rule, around_fen: float) -> tuple[int, int]:
        """Lowest and highest price inside a band around a price, rounded as `engine.core.prices` does, fen."""
        low, high, basis = self.rule(Rule.PRICE_LOW_FEN), self.rule(Rule.PRICE_HIGH_FEN), self.rule(rule)
        if basis == NONE:
            return low, high
        step = BASIS * self.tick_fen
        ends = [
            (2 * round(around_fen) * (BASIS + sign * basis) + step) // (2 * step) * self.tick_fen for sign in (-1, 1)
        ]
        return max(low, ends[0]), min(high, ends[1])

    def public_fen(self) -> tuple[int, int]:
        """Limits of what everybody may trade, fen."""
        offers = self.public == TradingMode.OFFER
        return self.band(Rule.OFFER_BAND_BP, self.reference_fen) if offers else self.screen_fen

    def block_fen(self, close_fen: float) -> tuple[int, int]:
        """Limits of agreements on a day that closes at `close_fen`, fen."""
        late = self.rule(Rule.BLOCK_REFERENCE) == BlockReference.SAME_DAY_CLOSE
        return self.band(Rule.BLOCK_BAND_BP, close_fen if late else self.reference_fen)

    def permitting(self, kinds: tuple[CommandKind, ...], counted: int = -1) -> list[Session]:
        """Sessions in which all of these kinds are permitted; `counted`: bit mask over phases that are preferred."""
        permits = [
            session for session in self.sessions
            if session.phase != Phase.CALL
            and all(int(self.row[Rule.PERMITS + session.phase]) >> kind & 1 for kind in kinds)
        ]  # fmt: skip
        return [session for session in permits if counted >> session.phase & 1] or permits


class Wanted(NamedTuple):
    """What shall trade in one way."""

    qty_t: int = 0
    mean_fen: float = math.nan
    close_fen: float = math.nan
    """Of the last trades, where they alone make the closing price; NaN: as the mean."""


class Plan(NamedTuple):
    """What shall trade on one day."""

    public: Wanted
    block: Wanted
    amiss: str
    """What of the record the rules do not allow; "" where they allow it."""

    def scaled(self, scale: int) -> "Plan":
        """The same day with so many times the volume."""
        public, block = (each._replace(qty_t=scale * each.qty_t) for each in (self.public, self.block))
        return Plan(public, block, self.amiss)


def plan_day(day: TapeDay, rules: DayRules, *, apart: bool) -> Plan:
    """What shall trade, so that volume and mean price are those of the record.

    Where the record keeps agreements apart they are agreed at their recorded price, or, where there is none, at the
    screen's. Where it does not (`apart` is false) and its mean is not its close, the difference is put into agreements
    as far as the rules allow any, so that the screen closes where it did. What lies outside the limits is traded at the
    recorded close, or at the limit next to it.
    """
    amiss: list[str] = []
    public_t, block_t = day.screen_t, day.block_t
    if not apart:
        divided = _divided(day, rules, public_t)
        if divided is not None:
            return Plan(*divided, "")
    if rules.public is None:
        public_t, block_t = 0, public_t + block_t
    public = Wanted()
    if public_t:
        public = _public_wanted(day, rules, public_t, amiss)
    block = Wanted()
    if block_t:
        mean = day.screen_vwap_fen if math.isnan(day.block_vwap_fen) else day.block_vwap_fen
        mean = rules.reference_fen if math.isnan(mean) else mean
        around = public.mean_fen if public_t else rules.reference_fen
        block = _block_wanted(rules, Wanted(block_t, mean), rules.block_fen(around), amiss)
    return Plan(public, block, "; ".join(amiss))


def _public_wanted(day: TapeDay, rules: DayRules, qty_t: int, amiss: list[str]) -> Wanted:
    """On the screen or by offers, inside the limits of the day."""
    mean, close, limits = day.screen_vwap_fen, day.close_fen, rules.public_fen()
    least = rules.lot_t if rules.public != TradingMode.OFFER else rules.rule(Rule.OFFER_MIN_QTY_T)
    if qty_t < least:
        amiss.append(f"recorded volume of {qty_t:,} t below the smallest order, {least:,} t")
        return Wanted()
    assert rules.public is not None, "what is traded in public has a mode"
    if not rules.permitting(_PUBLIC_KINDS[rules.public]):
        amiss.append("no phase of the day permits trading")
        return Wanted()
    if not _within(mean, limits, rules.tick_fen):
        known = "" if math.isnan(close) else f" (close {close / FEN:.2f})"
        amiss.append(f"recorded mean {mean / FEN:.2f}{known} outside the day's limits {_spelt(limits)}")
        mean = mean if math.isnan(close) else close
    ends_alone = rules.rule(Rule.CLOSE_TRADES) > 0 and limits[0] <= close <= limits[1]
    return Wanted(qty_t, min(max(mean, limits[0]), limits[1]), close if ends_alone else math.nan)


def _block_wanted(rules: DayRules, wanted: Wanted, limits: tuple[int, int], amiss: list[str]) -> Wanted:
    """By agreement, inside its limits."""
    if not rules.has_blocks or not rules.permitting(_BLOCK_KINDS):
        amiss.append(f"{wanted.qty_t:,} t recorded by agreement, of which this market has none")
        return Wanted()
    least = rules.rule(Rule.BLOCK_MIN_QTY_T)
    if wanted.qty_t < least:
        amiss.append(f"{wanted.qty_t:,} t recorded by agreement, below the smallest one, {least:,} t")
        return Wanted()
    if not _within(wanted.mean_fen, limits, rules.tick_fen):
        amiss.append(f"recorded mean of agreements {wanted.mean_fen / FEN:.2f} outside their limits {_spelt(limits)}")
    return Wanted(wanted.qty_t, min(max(wanted.mean_fen, limits[0]), limits[1]))


def _divided(day: TapeDay, rules: DayRules, qty_t: int) -> tuple[Wanted, Wanted] | None:
    """A volume that holds agreements: at the close in public, and as little as possible by agreement; None: no way."""
    mean, close, limits, tick = day.screen_vwap_fen, day.close_fen, rules.public_fen(), rules.tick_fen
    if not qty_t or rules.public is None or not rules.has_blocks or math.isnan(close):
        return None
    if abs(mean - close) <= tick or not limits[0] <= close <= limits[1]:
        return None
    if rules.rule(Rule.CLOSE_TRADES) and limits[0] <= mean <= limits[1]:
        return None
    low, high = rules.block_fen(close)
    reach = (high if mean > close else low) - close
    if reach == 0:
        return None
    needed = max(rules.rule(Rule.BLOCK_MIN_QTY_T), math.ceil(qty_t * (mean - close) / reach))
    block_t = -(-needed // rules.lot_t) * rules.lot_t
    if block_t + rules.rule(Rule.CLOSE_MIN_QTY_T) + rules.lot_t > qty_t:
        return None
    return Wanted(qty_t - block_t, close), Wanted(block_t, close + qty_t * (mean - close) / block_t)


def _within(mean_fen: float, limits: tuple[int, int], tick_fen: int) -> bool:
    return limits[0] - TOLERANCE_TICKS * tick_fen <= mean_fen <= limits[1] + TOLERANCE_TICKS * tick_fen


def _spelt(limits: tuple[int, int]) -> str:
    return f"{text_from_fen(limits[0])} to {text_from_fen(limits[1])}"


# --------------------------------------------------------------------------------------------------- single trades


def sizes(total_t: int, mean_t: int, rng: np.random.Generator, *, least_t: int, most_t: int, lot_t: int,
          count: int = 1) -> np.ndarray:  # fmt: skip
    """Lognormal sizes that add up to `total_t`, but for what is less than a lot; int64, shape (n,).

    All are lots, from `least_t` to `most_t`; at least `count` of them where that is possible, none where there is not
    enough for one.
    """
    least = -(-least_t // lot_t) * lot_t
    count = min(max(round(total_t / mean_t), -(-total_t // most_t), count), total_t // least)
    if count <= 0:
        return np.zeros(0, np.int64)
    lots = (total_t - count * least) // lot_t
    ends = np.cumsum(rng.lognormal(0, _SIGMA, count))
    ends = np.floor(ends / ends[-1] * lots).astype(np.int64)
    ends[-1] = lots
    each: np.ndarray = least + np.diff(ends, prepend=0) * lot_t
    while (large := each > most_t).any():
        half = each[large] // (2 * lot_t) * lot_t
        each = np.concatenate([each[~large], half, each[large] - half])
    return each


def prices_around(mean_fen: float, qty_t: np.ndarray, limits: tuple[int, int], tick_fen: int,
                  rng: np.random.Generator) -> np.ndarray:  # fmt: skip
    """Prices (fen, int64, shape (n,)) inside the limits whose mean by quantity is within a tick of `mean_fen`."""
    low, high = -(-limits[0] // tick_fen), limits[1] // tick_fen
    ticks = round(mean_fen / tick_fen) + rng.integers(-_SPREAD, _SPREAD + 1, len(qty_t))
    ticks, order, wanted = ticks.clip(low, high), rng.permutation(len(qty_t)), mean_fen / tick_fen * int(qty_t.sum())
    while True:
        lacking = wanted - int((ticks * qty_t).sum())
        step = 1 if lacking > 0 else -1
        movable = order[(low <= ticks[order] + step) & (ticks[order] + step <= high)]
        moved = movable[: np.searchsorted(np.cumsum(qty_t[movable]), abs(lacking), "right")]
        if len(moved) == 0:  # no longer many at once: the one that comes nearest, while that is nearer
            moved = movable[np.argsort(np.abs(abs(lacking) - qty_t[movable]), kind="stable")[:1]]
            if len(moved) == 0 or qty_t[moved[0]] >= 2 * abs(lacking):
                break
        ticks[moved] += step
    prices: np.ndarray = ticks * tick_fen
    return prices


def _trades_of(
    wanted: Wanted, rules: DayRules, rng: np.random.Generator, most_t: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Sizes (t) and prices (fen) of what is traded in public, in time order; and how many at the end make the close."""
    offers, limits, tick = rules.public == TradingMode.OFFER, rules.public_fen(), rules.tick_fen
    least = max(rules.lot_t, rules.rule(Rule.OFFER_MIN_QTY_T)) if offers else rules.lot_t
    most = most_t if offers else min(most_t, rules.rule(Rule.SCREEN_MAX_QTY_T))
    ending = 0 if math.isnan(wanted.close_fen) else rules.rule(Rule.CLOSE_TRADES)
    qty = sizes(wanted.qty_t, MEAN_T, rng, least_t=least, most_t=most, lot_t=rules.lot_t, count=ending + 1)
    if len(qty) > ending > 0:
        ascending = np.sort(qty)
        last, close = ascending[:ending].copy(), round(wanted.close_fen / tick) * tick
        first = rng.permutation(ascending[ending:])
        for _ in range(2):
            before = (wanted.mean_fen * int(qty.sum()) - close * int(last.sum())) / int(first.sum())
            if limits[0] <= before <= limits[1]:
                prices = prices_around(before, first, limits, tick, rng)
                return np.concatenate([first, last]), np.concatenate([prices, np.full(ending, close)]), ending
            spare = last - -(-least // rules.lot_t) * rules.lot_t  # once more with the last ones as small as may be
            if first[-1] + spare.sum() > most:
                break
            first[-1], last = first[-1] + spare.sum(), last - spare
    return qty, prices_around(wanted.mean_fen, qty, limits, tick, rng), 0


# --------------------------------------------------------------------------------------------------------- orders


class Orders(NamedTuple):
    """One day's messages, and what must be in the accounts before them."""

    rows: np.ndarray
    """COMMAND rows in the order of time, phases among them; `target_id` counts from 0 within them."""
    cash_fen: np.ndarray
    """What the purchases of each trader freeze, int64, shape (traders,)."""
    units_t: np.ndarray
    """What each trader sells, int64, shape (traders,)."""

    def numbered(self, sent: int) -> np.ndarray:
        """The rows as they are sent after `sent` other commands: an order's id is its command's number."""
        names = self.rows["target_id"] != NONE
        self.rows["target_id"][names] += sent + 1
        return self.rows


class _Part(NamedTuple):
    """Rows of one kind of trade, not yet in order."""

    rows: np.ndarray
    unit: np.ndarray
    """What belongs together, from 0; rows of a unit stay together."""
    rank: np.ndarray
    """Order within a unit."""
    target: np.ndarray
    """Row whose order is named, within this part; NONE: none."""


def draw_orders(plan: Plan, rules: DayRules, traders: int, most_t: int, rng: np.random.Generator) -> Orders:
    """The messages of a day: half of the traders buy on it, the others sell, so that nobody meets himself. They take
    turns, drawn anew each day, so that no holding grows more than it must.

    Parameters
    ----------
    most_t : largest quantity of one order, from what one account may hold
    """
    roles = rng.permutation(traders)
    buyers, sellers = roles[: traders // 2], roles[traders // 2 :]
    parts = [_phases(rules)]
    cash, units = np.zeros(traders, np.int64), np.zeros(traders, np.int64)
    if plan.public.qty_t and rules.public is not None:
        qty, fen, ending = _trades_of(plan.public, rules, rng, most_t)
        who = np.resize(buyers, len(qty)), np.resize(sellers, len(qty))
        parts.append(_public(rules, rules.public, qty, fen, ending, who, rng))
        offers = rules.public == TradingMode.OFFER
        _count(cash, units, qty, fen, who, rules.rule(Rule.OFFER_FEE_BUY_BP if offers else Rule.SCREEN_FEE_BUY_BP))
    if plan.block.qty_t:
        least = rules.rule(Rule.BLOCK_MIN_QTY_T)
        qty = sizes(plan.block.qty_t, max(2 * least, BLOCK_MEAN_T), rng, least_t=least, most_t=max(most_t, 2 * least),
                    lot_t=rules.lot_t)  # fmt: skip
        around = plan.public.mean_fen if plan.public.qty_t else rules.reference_fen
        fen = prices_around(plan.block.mean_fen, qty, rules.block_fen(around), rules.tick_fen, rng)
        who = np.resize(buyers[::-1], len(qty)), np.resize(sellers[::-1], len(qty))
        parts.append(_blocks(rules, qty, fen, who, rng))
        _count(cash, units, qty, fen, who, rules.rule(Rule.BLOCK_FEE_BUY_BP))
    return Orders(_in_order(parts), cash, units)


def _count(
    cash: np.ndarray,
    units: np.ndarray,
    qty: np.ndarray,
    fen: np.ndarray,
    who: tuple[np.ndarray, np.ndarray],
    fee_bp: int,
) -> None:
    """Add what these trades freeze: of a buyer price and fee, rounded up by the tonne."""
    np.add.at(cash, who[0], qty * (fen - (-fen * fee_bp // BASIS)))
    np.add.at(units, who[1], qty)


def _phases(rules: DayRules) -> _Part:
    """The PHASE commands of the day."""
    count = np.arange(len(rules.phases))
    return _Part(rules.phases, count, count, np.full(len(count), NONE))


def _public(
    rules: DayRules, mode: TradingMode, qty: np.ndarray, fen: np.ndarray, ending: int,
    who: tuple[np.ndarray, np.ndarray], rng: np.random.Generator,
) -> _Part:  # fmt: skip
    """Some orders of one side, then who takes them, best price first, oldest first; again and again."""
    count, lot = len(qty), rules.lot_t
    unit = np.arange(count) // TOGETHER
    halting_s = rules.rule(Rule.HALT_SECONDS)
    if halting_s and count:  # the trade that may halt the instrument stands first and alone; the others wait
        farthest = int(np.argmax(np.abs(fen[: max(count - ending, 1)] - rules.reference_fen)))
        for column in (qty, fen, *who):
            column[[0, farthest]] = column[[farthest, 0]]
        unit[1:] += 1
    unit[count - ending :] = unit[max(count - ending - 1, 0)] + 1 if count else 0
    listed_by_seller = (rng.random(int(unit.max(initial=0)) + 1) < 0.5)[unit]
    buyer, seller = who[0] + FIRST_ACCOUNT, who[1] + FIRST_ACCOUNT
    shared = (rng.random(count) < _TWICE) & (qty >= 2 * lot)
    if halting_s:
        shared[:1] = False
    part = lot * (1 + np.floor(rng.random(count) * (qty // lot - 1)).astype(np.int64))
    by_name = rng.random(count) < 0.5
    of = np.repeat(np.arange(count), 1 + shared)
    first = np.diff(of, prepend=-1) > 0
    taken = np.where(shared[of], np.where(first, part[of], qty[of] - part[of]), qty[of])
    rows = empty_commands(count + len(of))
    makers, takers = rows[:count], rows[count:]
    rows["instrument"], rows["ord_type"], rows["tif"] = rules.instrument, OrdType.LIMIT, TimeInForce.DAY
    makers["kind"] = CommandKind.OFFER if mode == TradingMode.OFFER else CommandKind.NEW
    makers["side"] = np.where(listed_by_seller, Side.SELL, Side.BUY)
    makers["account"] = np.where(listed_by_seller, seller, buyer)
    makers["price_fen"], makers["qty"] = fen, qty
    takers["kind"] = {TradingMode.LISTED: CommandKind.CLICK, TradingMode.OFFER: CommandKind.TAKE}.get(
        mode, CommandKind.NEW
    )
    takers["side"] = np.where(listed_by_seller, Side.BUY, Side.SELL)[of]
    takers["account"] = np.where(listed_by_seller, buyer, seller)[of]
    takers["price_fen"], takers["qty"] = fen[of], taken
    names = by_name[of] if mode == TradingMode.LISTED else np.full(len(of), mode == TradingMode.OFFER)
    better_first = np.where(listed_by_seller, fen, -fen)[of]
    rank = np.empty(len(of), np.int64)
    rank[np.lexsort((np.arange(len(of)), better_first, unit[of]))] = count + np.arange(len(of))
    units = int(unit.max(initial=-1)) + 1
    sessions = rules.permitting(_PUBLIC_KINDS[mode], rules.rule(Rule.CLOSE_MIN_QTY_PHASES))
    at = _moments(sessions, (np.arange(units) + 0.5) / max(units, 1), halting_s)
    unit_of_row = np.concatenate([unit, unit[of]])
    rows["time_ns"] = at[unit_of_row]
    target = np.concatenate([np.full(count, NONE), np.where(names, of, NONE)])
    return _Part(rows, unit_of_row, np.concatenate([np.arange(count), rank]), target)


def _blocks(
    rules: DayRules, qty: np.ndarray, fen: np.ndarray, who: tuple[np.ndarray, np.ndarray], rng: np.random.Generator
) -> _Part:
    """Proposals by either side, each confirmed at once, at any time of the day."""
    count = len(qty)
    by_buyer, at = rng.random(count) < 0.5, _moments(rules.permitting(_BLOCK_KINDS), rng.random(count))
    buyer, seller = who[0] + FIRST_ACCOUNT, who[1] + FIRST_ACCOUNT
    rows = empty_commands(2 * count)
    proposals, answers = rows[:count], rows[count:]
    rows["time_ns"] = np.tile(at, 2)
    proposals["kind"], answers["kind"] = _BLOCK_KINDS
    proposals["instrument"], proposals["price_fen"], proposals["qty"] = rules.instrument, fen, qty
    proposals["side"] = np.where(by_buyer, Side.BUY, Side.SELL)
    proposals["account"], proposals["contra"] = np.where(by_buyer, buyer, seller), np.where(by_buyer, seller, buyer)
    answers["account"] = proposals["contra"]
    count_up = np.arange(count)
    return _Part(rows, np.tile(count_up, 2), np.repeat([0, 1], count), np.concatenate([np.full(count, NONE), count_up]))


def _moments(sessions: list[Session], shares: np.ndarray, wait_s: int = 0) -> np.ndarray:
    """Moments, ns, by share (0 to 1) of the time in these sessions; all but the first wait `wait_s` after it."""
    begins, ends = (
        np.array(column, np.int64) for column in zip(*((s.begin_ns, s.end_ns) for s in sessions), strict=True)
    )
    until = np.cumsum(ends - begins - 1)
    passed = (shares * int(until[-1])).astype(np.int64)
    if wait_s and len(passed):
        wait_ns = (wait_s + 1) * _SECOND_NS
        passed = wait_ns + (shares * (int(until[-1]) - wait_ns)).astype(np.int64)
        passed[0] = 0
    at = np.searchsorted(until, passed, "right")
    moments: np.ndarray = begins[at] + 1 + passed - np.where(at > 0, until[at - 1], 0)
    return moments


def _in_order(parts: list[_Part]) -> np.ndarray:
    """All rows by time, units kept together; their targets as places in this order."""
    sizes_of = [len(part.rows) for part in parts]
    starts = np.cumsum([0, *sizes_of[:-1]])
    rows = np.concatenate([part.rows for part in parts])
    kind = np.repeat(np.arange(len(parts)), sizes_of)
    unit, rank = (np.concatenate([getattr(part, name) for part in parts]) for name in ("unit", "rank"))
    order = np.lexsort((rank, unit, kind, rows["time_ns"]))
    place = np.empty(len(rows), np.int64)
    place[order] = np.arange(len(rows))
    target = np.concatenate(
        [np.where(p.target == NONE, NONE, p.target + s) for p, s in zip(parts, starts, strict=True)]
    )
    rows["target_id"] = np.where(target == NONE, NONE, place[target])
    return rows[order]


def sessions_of(phases: np.ndarray, always: Phase, midnight_ns: int) -> list[Session]:
    """Sessions of a trading day from its PHASE commands; a venue without any is in phase `always` all day long."""
    if len(phases) == 0:
        return [Session(always, midnight_ns, midnight_ns + DAY_NS)]
    begins = phases["time_ns"].tolist()
    names = [Phase(number) for number in phases["phase"].tolist()]
    return [Session(*row) for row in zip(names, begins, [*begins[1:], begins[-1]], strict=True)]
