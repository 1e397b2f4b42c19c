"""Random commands that suit a market as it stands: most of them sensible, some of them wrong in one field.

`View` is what a well-informed stranger knows of a venue: its rules and limits today, and what lives in it.
"""

from dataclasses import dataclass

import numpy as np

from engine.codes import (
    NONE,
    CommandKind,
    OrdType,
    Participant,
    Phase,
    Role,
    Rule,
    Side,
    Stage,
    TimeInForce,
    TradingMode,
)
from engine.records import command, empty_commands
from engine.reference import ReferenceExchange

_WEIGHTS = {
    CommandKind.NEW: 34, CommandKind.CANCEL: 9, CommandKind.REPLACE: 11, CommandKind.CLICK: 16, CommandKind.PROPOSE: 5,
    CommandKind.CONFIRM: 4, CommandKind.DECLINE: 1, CommandKind.OFFER: 3, CommandKind.TAKE: 4, CommandKind.ANNOUNCE: 2,
    CommandKind.APPLY: 4, CommandKind.BID: 9, CommandKind.END_STAGE: 2, CommandKind.MASS_CANCEL: 1,
    CommandKind.KILL_SWITCH: 1, CommandKind.OPEN_ACCOUNT: 1, CommandKind.DEPOSIT: 3, CommandKind.WITHDRAW: 1,
    CommandKind.ISSUE: 3, CommandKind.SURRENDER: 1, CommandKind.FINE: 1, CommandKind.DEDUCT: 1, CommandKind.PHASE: 3,
    CommandKind.DAY_ROLL: 1, CommandKind.SET_RULE: 1, 99: 1,
}  # fmt: skip
_TARGETS = (
    ((CommandKind.CANCEL,), (Role.ORDER, Role.OFFER), "owner"),
    ((CommandKind.REPLACE,), (Role.ORDER,), "owner"),
    ((CommandKind.CONFIRM, CommandKind.DECLINE), (Role.PROPOSAL,), "contra"),
    ((CommandKind.CLICK,), (Role.ORDER,), "taker"),
    ((CommandKind.TAKE,), (Role.OFFER,), ""),
    ((CommandKind.APPLY, CommandKind.BID, CommandKind.END_STAGE), (Role.AUCTION,), ""),
)
"""Kinds, what they name, and as whom: mostly a living target of the right kind."""
_SETTABLE = (*[Rule.BAND_UP_BP] * 3, Rule.BAND_DOWN_BP, Rule.BLOCK_BAND_BP, Rule.TRADABLE, Rule.CLICK_LEVELS,
             Rule.SCREEN_MAX_QTY_T, Rule.UNITS_T_PLUS, Rule.TICK_FEN)  # fmt: skip
_BLOCKS = (CommandKind.PROPOSE, CommandKind.CONFIRM, CommandKind.DECLINE)
_OFFERS = (CommandKind.OFFER, CommandKind.TAKE)
_AUCTIONS = (CommandKind.ANNOUNCE, CommandKind.APPLY, CommandKind.BID, CommandKind.END_STAGE)
RICH_FEN, RICH_T = 2_000, 90
"""Opening cash and units of an account where a tonne costs a few fen; real markets get more (`View.scale`)."""


@dataclass(frozen=True)
class View:
    """One look at a venue."""

    rules: np.ndarray
    """Rules in force, int64, shape (instruments, RULE_COLUMNS)."""
    prices: np.ndarray
    """Lowest and highest sensible price by instrument, fen, shape (instruments, 2)."""
    alive: np.ndarray
    """(id, account, contra, side, instrument, role, leaves, stage) of what lives, int64, shape (n, 8)."""
    date: int
    scale: int
    """How many tonnes and fen times more than in a tiny market an account has."""

    @classmethod
    def of(cls, venue: ReferenceExchange) -> "View":
        """What there is to know of the readable engine now."""
        days = venue._days
        rules = np.array([day.rules for day in days], np.int64)
        prices = [
            (max(day.limit_low, day.prev_close * 97 // 100), min(day.limit_high, day.prev_close * 103 // 100 + 4))
            for day in days
        ]
        living = [
            (o.order_id, o.account, o.contra, o.side, o.instrument, o.role, o.leaves, o.stage)
            for o in venue._orders.values()
        ]
        off_screen = rules[:, [Rule.BLOCK_MIN_QTY_T, Rule.OFFER_MIN_QTY_T, Rule.AUCTION_MIN_BID_T]].max()
        scale = int(max(1, off_screen) * max(1, rules[:, Rule.REFERENCE_FEN].max() // 20))
        alive = np.array(living, np.int64).reshape(-1, 8)
        return cls(rules, np.array(prices, np.int64), alive, venue._date, scale)


def opening_commands(view: View, *, accounts: int = 4, date: int = 20210101) -> np.ndarray:
    """Rich accounts that may trade, and a trading day, so that what follows can trade from the start."""
    rows = []
    admitted = [kind for kind in Participant if view.rules[0, Rule.PARTICIPANTS] >> kind & 1]
    for account in range(2, 2 + accounts):
        kind = admitted[account % len(admitted)]
        rows.append(command(CommandKind.OPEN_ACCOUNT, account=account, flags=kind))
        rows.append(command(CommandKind.DEPOSIT, account=account, amount_fen=RICH_FEN * view.scale))
        rows += [
            command(CommandKind.ISSUE, account=account, instrument=instrument, qty=_units(view, instrument))
            for instrument in range(len(view.rules))
        ]
    rows.append(command(CommandKind.DAY_ROLL, date=date))
    rows.append(command(CommandKind.PHASE, phase=_usual_phase(view)))
    return np.concatenate(rows)


def random_commands(rng: np.random.Generator, count: int, first_seq: int, view: View) -> np.ndarray:
    """COMMAND rows, shape (count,), the first of which gets the number `first_seq`."""
    rows = empty_commands(count)
    _choose_kinds(rng, rows, view)
    rows["time_ns"] = (first_seq + np.arange(count)) * 10**8
    rows["client_ref"] = rng.integers(0, 1000, count)
    rows["account"] = rng.choice([0, 1, 2, 3, 4, 5, 9, -1], count, p=[0.01, 0.02, 0.3, 0.3, 0.2, 0.15, 0.01, 0.01])
    rows["contra"] = rng.integers(1, 6, count)
    tradable = np.flatnonzero(view.rules[:, Rule.TRADABLE])
    rows["instrument"] = rng.choice(tradable if len(tradable) else np.arange(len(view.rules)), count)
    anywhere = rng.random(count) < 0.1
    rows["instrument"][anywhere] = rng.integers(0, len(view.rules) + 1, anywhere.sum())
    _write_orders(rng, rows, view)
    _write_targets(rng, rows, first_seq, view)
    _write_sizes(rng, rows, view)
    _write_ledger(rng, rows, view)
    _write_days(rng, rows, view)
    return rows


def _units(view: View, instrument: int) -> int:
    """What an account is rich with, t."""
    row = view.rules[instrument]
    return RICH_T * int(max(1, row[Rule.BLOCK_MIN_QTY_T], row[Rule.AUCTION_LOT_T], row[Rule.AUCTION_MIN_BID_T]))


def _usual_phase(view: View) -> Phase:
    """The phase in which most is permitted."""
    return max(Phase, key=lambda phase: int(view.rules[0, Rule.PERMITS + phase]).bit_count())


def _of_kind(rows: np.ndarray, *kinds: int) -> np.ndarray:
    return np.isin(rows["kind"], kinds)


def _choose_kinds(rng: np.random.Generator, rows: np.ndarray, view: View) -> None:
    """By weight; rarely what the market does not have, or what would name something where nothing lives."""
    weights = dict(_WEIGHTS)
    row = view.rules[0]
    absent = {
        (CommandKind.NEW, CommandKind.REPLACE): row[Rule.MODE] == TradingMode.NO_SCREEN,
        (CommandKind.CLICK,): row[Rule.MODE] != TradingMode.LISTED,
        _BLOCKS: row[Rule.BLOCK_MIN_QTY_T] == NONE,
        _OFFERS: row[Rule.OFFER_MIN_QTY_T] == NONE,
        _AUCTIONS: row[Rule.AUCTION_PRICING] == NONE,
        (CommandKind.APPLY,): not row[Rule.AUCTION_STAGES] >> Stage.APPLICATION & 1,
    }
    absent |= {kinds: not np.isin(view.alive[:, 5], roles).any() for kinds, roles, _ in _TARGETS}
    for kinds, missing in absent.items():
        for kind in kinds if missing else ():
            weights[kind] = min(weights[kind], 0.3)
    total = sum(weights.values())
    rows["kind"] = rng.choice(list(weights), len(rows), p=[weight / total for weight in weights.values()])


def _mostly(rng: np.random.Generator, mask: int, every: list[int], count: int) -> np.ndarray:
    """Members of a bit mask; now and then anything."""
    offered = [member for member in every if member < 60 and mask >> member & 1] or every
    chosen = rng.choice(offered, count)
    wild = rng.random(count) < 0.04
    chosen[wild] = rng.choice([*every, 9], wild.sum())
    return chosen


def _write_orders(rng: np.random.Generator, rows: np.ndarray, view: View) -> None:
    """Side, type, validity, conditions, price."""
    count, row = len(rows), view.rules[0]
    rows["side"] = rng.choice([Side.BUY, Side.SELL, 0], count, p=[0.497, 0.497, 0.006])
    rows["ord_type"] = _mostly(rng, int(row[Rule.ORD_TYPES]), list(OrdType), count)
    rows["ord_type"][rng.random(count) < 0.6] = OrdType.LIMIT
    rows["tif"] = _mostly(rng, int(row[Rule.TIMES_IN_FORCE]), list(TimeInForce), count)
    rows["tif"][rng.random(count) < 0.4] = TimeInForce.DAY
    new, conditions = _of_kind(rows, CommandKind.NEW), 0.12 if row[Rule.CONDITIONS] else 0.01
    conditional = new & (rng.random(count) < conditions)
    rows["min_qty"][conditional] = rng.integers(-1, 6, conditional.sum())
    posted = new & (rng.random(count) < conditions)
    rows["flags"][posted] = rng.choice([1, 2], posted.sum(), p=[0.95, 0.05])
    instrument = np.minimum(rows["instrument"], len(view.rules) - 1)
    low, high = view.prices[instrument, 0], view.prices[instrument, 1]
    tick = view.rules[instrument, Rule.TICK_FEN]
    lowest = -(-low // tick)
    rows["price_fen"] = (lowest + rng.integers(0, np.maximum(high // tick - lowest + 1, 1))) * tick
    wild = rng.random(count) < 0.06
    rows["price_fen"][wild] += rng.choice([-1, 1, 2, 7, 1000], wild.sum()) * np.maximum(high[wild] // 50, 1)
    rows["price_fen"][rng.random(count) < 0.02] = -1
    rows["until_ns"] = rows["time_ns"] + rng.integers(0, 40, count) * 10**9
    rows["until_ns"][rng.random(count) < 0.3] = -1


def _write_targets(rng: np.random.Generator, rows: np.ndarray, first_seq: int, view: View) -> None:
    """What a command names, and its account where only one may do it."""
    count = len(rows)
    rows["target_id"] = np.maximum(first_seq + np.arange(count) - rng.integers(0, 30, count), -1)
    for wanted, roles, actor in _TARGETS:
        pool = view.alive[np.isin(view.alive[:, 5], roles)]
        chosen = np.flatnonzero(_of_kind(rows, *wanted) & (rng.random(count) < 0.9))
        if len(pool):
            picks = pool[rng.integers(0, len(pool), len(chosen))]
            rows["target_id"][chosen] = picks[:, 0]
            if actor in ("owner", "contra"):
                acts = rng.random(len(chosen)) < 0.95
                rows["account"][chosen[acts]] = picks[acts, 1 if actor == "owner" else 2]
            elif actor == "taker":
                rows["side"][chosen] = Side.BUY + Side.SELL - picks[:, 3]
                rows["instrument"][chosen] = picks[:, 4]
    rows["target_id"][rng.random(count) < 0.01] = -1
    sweeps = _of_kind(rows, CommandKind.CLICK) & (rng.random(count) < 0.4)
    rows["target_id"][sweeps] = -1


def _write_sizes(rng: np.random.Generator, rows: np.ndarray, view: View) -> None:
    """Small orders, blocks around the smallest one, auctions in lots."""
    count, row = len(rows), view.rules[0]
    rows["qty"] = rng.integers(1, 11, count)
    for kind, rule in ((CommandKind.PROPOSE, Rule.BLOCK_MIN_QTY_T), (CommandKind.OFFER, Rule.OFFER_MIN_QTY_T)):
        chosen, least = _of_kind(rows, kind), max(int(row[rule]), 1)
        free = row[Rule.BLOCK_FREE_FROM_T] if row[Rule.BLOCK_FREE_FROM_T] != NONE else least
        rows["qty"][chosen] = rng.choice([least, least + 1, least - 1, least + 7, free], chosen.sum())
    lot = int(row[Rule.AUCTION_LOT_T])
    step = -(-int(row[Rule.AUCTION_MIN_BID_T]) // lot) * lot
    at_auction = _of_kind(rows, *_AUCTIONS)
    rows["qty"][at_auction] = rng.integers(1, 5, at_auction.sum()) * step
    announced = _of_kind(rows, CommandKind.ANNOUNCE)
    rows["qty"][announced] = rng.integers(3, 12, announced.sum()) * step
    offered = dict(view.alive[:, [0, 6]].tolist())
    whole = _of_kind(rows, CommandKind.BID) & (rng.random(count) < 0.3)
    rows["qty"][whole] = [offered.get(target, 1) for target in rows["target_id"][whole].tolist()]
    least = _of_kind(rows, CommandKind.BID) & (rng.random(count) < 0.2)
    rows["min_qty"][least] = rows["qty"][least] // 2
    bounded = announced & (rng.random(count) < 0.3)
    rows["limit_price_fen"][bounded] = rows["price_fen"][bounded] + rng.integers(-1, 6, bounded.sum())
    rows["qty"][rng.random(count) < 0.02] = rng.choice([-1, 0, 10**6])
    everything = _of_kind(rows, CommandKind.MASS_CANCEL) & (rng.random(count) < 0.5)
    rows["instrument"][everything] = -1
    rows["side"][everything] = 0


def _write_ledger(rng: np.random.Generator, rows: np.ndarray, view: View) -> None:
    """Amounts, issues, participants, the kill switch."""
    count = len(rows)
    rows["amount_fen"] = rng.choice([0, 50, 300, 2000, -1], count, p=[0.02, 0.3, 0.4, 0.26, 0.02]) * view.scale
    moves = _of_kind(rows, CommandKind.ISSUE, CommandKind.SURRENDER, CommandKind.DEDUCT)
    rows["qty"][moves] *= max(1, _units(view, 0) // 300)
    rows["group"] = rng.integers(-1, 3, count)
    opens = _of_kind(rows, CommandKind.OPEN_ACCOUNT)
    rows["flags"][opens] = rng.choice([0, 1, 2, 3], opens.sum(), p=[0.4, 0.3, 0.25, 0.05])
    switches = _of_kind(rows, CommandKind.KILL_SWITCH)
    rows["flags"][switches] = rng.choice([0, 1, 2], switches.sum(), p=[0.85, 0.1, 0.05])


def _write_days(rng: np.random.Generator, rows: np.ndarray, view: View) -> None:
    """Phases, days that pass and are opened, rules that are set."""
    count, usual = len(rows), _usual_phase(view)
    gathers = view.rules[0, Rule.PERMITS + Phase.CALL] >> CommandKind.NEW & 1
    share = 0.25 if gathers else 0.02
    rows["phase"] = rng.choice(
        [usual, Phase.CALL, Phase.MORNING, Phase.BREAK, Phase.CLOSED, Phase.HALTED, Phase.OPENING, 77], count,
        p=[0.89 - share, share, 0.04, 0.02, 0.01, 0.01, 0.02, 0.01],
    )  # fmt: skip
    after = np.flatnonzero(_of_kind(rows[:-1], CommandKind.DAY_ROLL)) + 1
    rows["kind"][after], rows["phase"][after] = CommandKind.PHASE, usual
    year, day = divmod(view.date, 10_000)
    month, day = divmod(day, 100)
    steps = np.where(_of_kind(rows, CommandKind.DAY_ROLL), rng.choice([0, 1, 1, 1, 2, 40], count), 0)
    passed = (year * 12 + month - 1) * 28 + day - 1 + np.cumsum(steps)
    rows["date"] = passed // 336 * 10_000 + (passed // 28 % 12 + 1) * 100 + passed % 28 + 1
    rules = _of_kind(rows, CommandKind.SET_RULE)
    rows["rule"] = rng.choice(_SETTABLE, count)
    rows["amount_fen"][rules] = rng.choice([-2, -1, 0, 1, 2, 3000, 20_000], rules.sum())
