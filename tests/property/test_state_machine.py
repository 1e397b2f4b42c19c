"""Both engines under commands that Hypothesis draws, one at a time, with an auditor that believes neither.

Every command goes to the compiled exchange and to the readable one; after each the events are the same bytes, the
states equal, and the auditor's own books (`auditor.py`), kept from the events alone, agree with both. The last tests
plant faults in recorded events, so that the auditor is known to notice what it is there for.
"""

import datetime as dt
from collections import Counter
from typing import Any, ClassVar

import numba
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine.codes import (
    NONE,
    BlockReference,
    CommandKind,
    EventFlag,
    EventKind,
    Lots,
    OrderCondition,
    OrdType,
    Participant,
    Phase,
    RejectReason,
    Role,
    Rule,
    Side,
    Stage,
    TimeInForce,
    TradingMode,
)
from engine.core.state import Account
from engine.exchange import Exchange
from engine.records import command
from engine.reference import ReferenceExchange
from engine.rules.compiler import CompiledRules
from tests.oracle.campaign import TINY_NAMES, compiled, describe
from tests.property.auditor import Auditor, Entry

FIRST_DAYS = {
    **dict.fromkeys(TINY_NAMES, dt.date(2021, 1, 2)),
    "shanghai": dt.date(2016, 6, 27),
    "fujian": dt.date(2017, 1, 3),
    "beijing": dt.date(2014, 12, 28),
    "energy-rights": dt.date(2026, 12, 28),
    "hubei": dt.date(2016, 7, 14),
    "guangdong": dt.date(2019, 1, 3),
}
"""The tiny rulebooks and six markets, each from a day shortly before its rules change."""
SHARE, STEPS = (33, 30) if numba.config.DISABLE_JIT else (8, 40)
"""One of so many of the profile's examples, and steps in each; a step is one command or a few."""
ACCOUNTS = (2, 3, 4, 5)

who = st.sampled_from(ACCOUNTS)
sides = st.sampled_from([Side.BUY, Side.SELL])
LIMIT = 7
steps = st.sampled_from([0, 0, 0, 1, -1, 1, -1, 1, -1, 2, -2, 2, -2, 3, -3, 4, -4, 5, -6, LIMIT, -LIMIT])
"""Prices are so many steps, each about two per cent (tiny books: one fen), from the previous close."""
sizes = st.integers(1, 6)
picks = st.integers(0, 63)
"""Chooses among what lives, counted round."""
waits = st.sampled_from([1, 1_000, 1_000, 400_000_000, 2_000_000_000, 200_000_000_000])
LIMIT_ORDER = OrdType.LIMIT, TimeInForce.DAY, 0, 0
sorts = st.sampled_from([
    *[LIMIT_ORDER] * 8, *[(OrdType.LIMIT, TimeInForce.GTC, 0, 0)] * 4, (OrdType.LIMIT, TimeInForce.GTD, 0, 0),
    *[(OrdType.LIMIT, TimeInForce.IOC, 0, 0)] * 2, *[(OrdType.LIMIT, TimeInForce.FOK, 0, 0)] * 2,
    (OrdType.MARKET, TimeInForce.DAY, 0, 0), (OrdType.MARKET, TimeInForce.FOK, 0, 0),
    (OrdType.MARKET, TimeInForce.IOC, 3, 0), (OrdType.MARKET_TO_LIMIT, TimeInForce.DAY, 0, 0),
    (OrdType.MARKET_TO_LIMIT, TimeInForce.IOC, 0, 0), (OrdType.LIMIT, TimeInForce.DAY, 0, 1),
    (OrdType.LIMIT, TimeInForce.GTC, 0, 1), (OrdType.LIMIT, TimeInForce.DAY, 1, 0),
    (OrdType.LIMIT, TimeInForce.DAY, 3, 0),
])  # fmt: skip
"""Type, validity, least quantity in sizes, and whether post-only."""
slips = st.sampled_from([
    *[()] * 160, ("account", 99), ("account", NONE), ("account", 0), ("instrument", 9), ("instrument", NONE),
    ("side", 0),
    ("price_fen", NONE), ("price_fen", 10**8), ("price_fen", 1), ("qty", 0), ("qty", NONE), ("qty", 10**12),
    ("target_id", NONE), ("target_id", 1), ("target_id", 10**9), ("ord_type", 7), ("tif", 9), ("min_qty", 0),
])  # fmt: skip
"""Mostly nothing; else one field of a command gets a wrong value."""
orders = st.tuples(who, sides, steps, sizes, sorts)
flows = st.lists(orders, min_size=2, max_size=8)
bids = st.tuples(who, st.integers(-1, 4), sizes, st.integers(0, 9), slips)
takers = st.lists(st.tuples(who, sizes, slips), max_size=3)
auctions = st.lists(bids, min_size=1, max_size=6)

changes = st.sampled_from([
    (Rule.BAND_UP_BP, 2000), (Rule.BAND_DOWN_BP, 500), (Rule.BAND_UP_BP, NONE), (Rule.BLOCK_BAND_BP, 100),
    (Rule.CLICK_LEVELS, 1), (Rule.UNITS_T_PLUS, 0), (Rule.UNITS_T_PLUS, 1), (Rule.SCREEN_MAX_QTY_T, 10**6),
    (Rule.TRADABLE, 1), (Rule.TRADABLE, 0), (Rule.TICK_FEN, 3), (Rule.TRADABLE, 2), (NONE, 1),
])  # fmt: skip
"""A rule and its new value; the last three are refused."""

Slip = tuple[Any, ...]
Order = tuple[int, Side, int, int, tuple[int, int, int, int]]
Bid = tuple[int, int, int, int, Slip]


class Trading(RuleBasedStateMachine):
    """One rulebook. What lives is read from the auditor, so that targets are mostly good ones."""

    name = ""
    book: CompiledRules
    seen: ClassVar[Counter[str]] = Counter()
    accounts = Bundle("accounts")

    def __init__(self) -> None:
        super().__init__()
        self.fast = Exchange(self.book, accounts=2, orders=2, ids=4, events=8)
        self.slow = ReferenceExchange(self.book)
        self.auditor = Auditor(self.book)
        self.now = 0
        self.date = FIRST_DAYS[self.name]
        row = self.auditor.days[0].rules
        self.phases = [phase for phase in Phase if row[Rule.PERMITS + phase]]
        self.main = Phase.AFTERNOON
        self.unit = 1 if row[Rule.REFERENCE_FEN] < 100 else 100
        self.cash = 30 * self.unit * row[Rule.REFERENCE_FEN]

    def tell(self, kind: int, *, slip: Slip = (), wait: int = 1, **fields: int) -> np.ndarray:
        """One command to all three, and everything that must hold afterwards; the events."""
        self.now += wait
        row = command(kind, time_ns=self.now, client_ref=self.auditor.command_seq % 1000, **fields)
        if slip:
            row[slip[0]] = slip[1]
        events, expected = self.fast.submit(row), self.slow.submit(row)
        assert events.tobytes() == expected.tobytes(), describe(events, expected, f"{self.name}, {row}")
        self.auditor.hear(row, events)
        self.seen["commands"] += 1
        self.seen[f"{kind} {RejectReason(events['reason'][0]).name if events['reason'][0] else 'done'}"] += 1
        self.seen.update(EventKind(k).name for k in events["kind"].tolist())
        return events

    @invariant()
    def engines_and_auditor_agree(self) -> None:
        """What must hold after every step; events and the auditor's own rules are looked at after every command."""
        state = list(self.fast.canonical_state())
        assert state == list(self.slow.canonical_state()), "the states differ"
        balances = self.fast.balances()
        opened = np.flatnonzero(balances[0][:, Account.OPEN])
        for of_fast, of_slow in zip(balances, self.slow.balances(), strict=True):
            assert (of_fast[opened] == of_slow[opened]).all(), "the balances differ"
        self.auditor.compare(balances, state)
        self.fast.check()
        self.slow.check()

    # What is sensible here and now.

    @property
    def rulebook(self) -> list[int]:
        """Rules in force of the first instrument."""
        return self.auditor.days[0].rules

    def price(self, instrument: int, step: int) -> int:
        """So many steps from the previous close, on the tick; the outermost steps stand for the day's limits."""
        day = self.auditor.days[instrument]
        tick = day.rules[Rule.TICK_FEN]
        if abs(step) == LIMIT:
            return min(day.high, 3 * day.reference // tick * tick) if step > 0 else max(day.low, tick)
        size = max(tick, day.reference // 50 // tick * tick)
        return max(day.reference // tick * tick + step * size, tick)

    def screen_qty(self, size: int) -> int:
        return size * self.unit * self.rulebook[Rule.LOT_T]

    def least_qty(self, column: Rule, size: int) -> int:
        """What a rule asks for at least, or up to three and a half times as much."""
        least, lot = max(self.rulebook[column], 1), self.rulebook[Rule.LOT_T]
        return (least + (size - 1) * max(least // 2, 1)) * lot

    def auction_qty(self, count: int) -> int:
        """So many times the smallest bid in whole lots."""
        lot = self.rulebook[Rule.AUCTION_LOT_T]
        return count * -(-max(self.rulebook[Rule.AUCTION_MIN_BID_T], 1) // lot) * lot

    def instrument(self, pick: int) -> int:
        """Mostly the first one that is tradable."""
        tradable = [n for n, day in enumerate(self.auditor.days) if day.rules[Rule.TRADABLE]] or [0]
        return tradable[0] if pick % 4 else pick // 4 % len(self.auditor.days)

    def lives(self, *roles: Role) -> list[Entry]:
        return self.auditor.of_role(*roles)

    def chosen(self, pick: int, *roles: Role) -> Entry:
        found = self.lives(*roles)
        return found[pick % len(found)]

    def has_screen(self) -> bool:
        return self.rulebook[Rule.MODE] != TradingMode.NO_SCREEN

    def clicks(self) -> bool:
        return self.rulebook[Rule.MODE] == TradingMode.LISTED

    def offers(self, column: Rule) -> bool:
        return self.rulebook[column] != NONE

    # The operator.

    @initialize(
        target=accounts,
        riches=st.lists(
            st.tuples(st.sampled_from([1000, 1000, 1000, 1]), st.sampled_from([1000, 1000, 1000, 1, 0])),
            min_size=4, max_size=4,
        ),
    )  # fmt: skip
    def open_market(self, riches: list[tuple[int, int]]) -> Any:
        """Accounts of every kind with cash and units, and a trading day."""
        for account, (cash, units), kind in zip(ACCOUNTS, riches, (0, 1, 0, 2), strict=True):
            self.tell(CommandKind.OPEN_ACCOUNT, account=account, flags=Participant(kind))
            self.tell(CommandKind.DEPOSIT, account=account, amount_fen=cash * self.cash)
            for instrument in range(min(self.auditor.count, 2) if units else 0):
                qty = units * 5 * self.unit
                self.tell(CommandKind.ISSUE, account=account, instrument=instrument, qty=qty)
        self.tell(CommandKind.DAY_ROLL, date=int(self.date.strftime("%Y%m%d")))
        self.tell(CommandKind.PHASE, phase=self.main)
        return multiple(*ACCOUNTS)

    @rule(target=accounts, number=st.integers(2, 9), kind=st.sampled_from([0, 1, 2, 3]))
    def open_account(self, number: int, kind: int) -> Any:
        events = self.tell(CommandKind.OPEN_ACCOUNT, account=number, flags=kind)
        return number if events["kind"][0] == EventKind.ACCOUNT_OPENED else multiple()

    @rule(
        kind=st.sampled_from([
            CommandKind.DEPOSIT, CommandKind.ISSUE, CommandKind.DEPOSIT, CommandKind.ISSUE, CommandKind.SURRENDER,
            CommandKind.FINE, CommandKind.DEDUCT, CommandKind.WITHDRAW,
        ]),
        account=accounts, size=st.integers(0, 6), pick=picks, slip=slips,
    )  # fmt: skip
    def move_assets(self, kind: int, account: int, size: int, pick: int, slip: Slip) -> None:
        self.tell(
            kind, slip=slip, account=account, amount_fen=size * self.cash // 4, instrument=self.instrument(pick),
            qty=size * self.unit,
        )  # fmt: skip

    @rule(pick=picks, wait=waits)
    def change_phase(self, pick: int, wait: int) -> None:
        """To any phase, and mostly back at once."""
        phase = [*self.phases, Phase.CLOSED, Phase.HALTED, 77][pick % (len(self.phases) + 3)]
        self.tell(CommandKind.PHASE, wait=wait, phase=phase)
        if pick >= 16 and phase != self.main:
            self.tell(CommandKind.PHASE, phase=self.main)

    @precondition(lambda self: self.auditor.phase != self.main)
    @rule()
    def back_to_trading(self) -> None:
        self.tell(CommandKind.PHASE, phase=self.main)

    @rule(days=st.sampled_from([1, 1, 1, 1, 1, 2, 20, 0]), wait=waits)
    def roll_day(self, days: int, wait: int) -> None:
        self.date += dt.timedelta(days)
        self.tell(CommandKind.DAY_ROLL, wait=wait, date=int(self.date.strftime("%Y%m%d")))
        if self.auditor.phase != self.main:
            self.tell(CommandKind.PHASE, phase=self.main)

    @rule(account=accounts, pick=picks, change=changes, side=st.sampled_from([0, 0, Side.BUY, Side.SELL, 3]))
    def intervene(self, account: int, pick: int, change: tuple[int, int], side: int) -> None:
        """Cancel an account's orders, stop it, or set a rule."""
        instrument = self.instrument(pick // 4)
        if pick % 4 == 0:
            self.tell(CommandKind.SET_RULE, instrument=instrument, rule=change[0], amount_fen=change[1])
        elif pick % 4 == 1:
            self.tell(CommandKind.KILL_SWITCH, account=account, flags=pick // 4 % 3)
            self.place([(account, Side.BUY, 0, 1, LIMIT_ORDER)], instrument)
            self.tell(CommandKind.KILL_SWITCH, account=account, flags=0)
        else:
            everything = NONE if pick > 32 else instrument
            self.tell(CommandKind.MASS_CANCEL, account=account, instrument=everything, side=side)

    # The screen.

    def place(self, flow: list[Order], instrument: int, slip: Slip = ()) -> None:
        """Orders, the last perhaps wrong; what the rulebook does not offer mostly becomes an order of the day."""
        for n, (account, side, step, size, sort) in enumerate(flow, 1):
            ord_type, tif, least, post_only = sort
            rules = self.auditor.days[instrument].rules
            wants = post_only << OrderCondition.POST_ONLY | bool(least) << OrderCondition.MIN_QTY
            offered = rules[Rule.ORD_TYPES] >> ord_type & rules[Rule.TIMES_IN_FORCE] >> tif & 1
            offered = offered and not wants & ~rules[Rule.CONDITIONS]
            if step and (not offered or self.auditor.phase == Phase.CALL):
                rest = tif if rules[Rule.TIMES_IN_FORCE] >> tif & 1 and tif < TimeInForce.IOC else TimeInForce.DAY
                ord_type, tif, least, post_only = OrdType.LIMIT, rest, 0, 0
            self.tell(
                CommandKind.NEW, slip=slip if n == len(flow) else (), account=account, instrument=instrument, side=side,
                ord_type=ord_type, tif=tif, price_fen=self.price(instrument, step), qty=self.screen_qty(size),
                min_qty=self.screen_qty(min(least, size)) or NONE, flags=post_only,
                until_ns=self.now + 10**9 if tif == TimeInForce.GTD else NONE,
            )  # fmt: skip

    @precondition(lambda self: self.has_screen())
    @rule(flow=flows, pick=picks, wait=waits, slip=slips)
    def enter(self, flow: list[Order], pick: int, wait: int, slip: Slip) -> None:
        self.now += wait
        self.place(flow, self.instrument(pick), slip)

    @precondition(lambda self: self.has_screen())
    @rule(flow=flows, slip=slips)
    def enter_more(self, flow: list[Order], slip: Slip) -> None:
        """Orders are the most frequent commands."""
        self.place(flow, self.instrument(1), slip)

    @precondition(lambda self: Phase.CALL in self.phases)
    @rule(flow=flows, more=flows, pick=picks, stays=st.sampled_from([False, False, True]))
    def call_auction(self, flow: list[Order], more: list[Order], pick: int, *, stays: bool) -> None:
        """Orders gather, one is perhaps withdrawn or replaced, then all trade; or it goes on for a while."""
        self.tell(CommandKind.PHASE, phase=Phase.CALL)
        self.place(flow, self.instrument(1))
        if pick % 3 == 0 and self.lives(Role.ORDER):
            order = self.chosen(pick, Role.ORDER)
            kind, price = (CommandKind.CANCEL, NONE) if pick % 2 else (CommandKind.REPLACE, self.price(0, 0))
            self.tell(kind, account=order.account, target_id=order.number, price_fen=price)
        self.place(more, self.instrument(pick))
        if not stays:
            self.tell(CommandKind.PHASE, phase=self.main)

    @precondition(lambda self: self.lives(Role.ORDER, Role.OFFER))
    @rule(pick=picks, slip=slips)
    def cancel(self, pick: int, slip: Slip) -> None:
        order = self.chosen(pick, Role.ORDER, Role.OFFER)
        self.tell(CommandKind.CANCEL, slip=slip, account=order.account, target_id=order.number)

    @precondition(lambda self: self.auditor.ended)
    @rule(pick=picks, kind=st.sampled_from([CommandKind.CANCEL, CommandKind.REPLACE, CommandKind.TAKE]))
    def come_too_late(self, pick: int, kind: int) -> None:
        """For what has ended."""
        ended = list(self.auditor.ended.values())[-1 - pick % 8 :][0]
        self.tell(kind, account=ended.account, target_id=ended.number, qty=1)

    @precondition(lambda self: self.lives(Role.ORDER))
    @rule(pick=picks, step=steps, size=st.integers(-1, 6), slip=slips)
    def replace(self, pick: int, step: int, size: int, slip: Slip) -> None:
        """The price, the quantity, or both."""
        order = self.chosen(pick, Role.ORDER)
        price = NONE if size > 3 else self.price(order.instrument, step)
        qty = NONE if size < 0 else order.filled if size == 0 else order.filled // 2 + self.screen_qty(size)
        self.tell(
            CommandKind.REPLACE, slip=slip, account=order.account, target_id=order.number, price_fen=price, qty=qty
        )

    @precondition(lambda self: self.clicks() and self.lives(Role.ORDER))
    @rule(wanted=st.lists(st.tuples(who, picks, sizes, slips), min_size=1, max_size=4))
    def click(self, wanted: list[tuple[int, int, int, Slip]]) -> None:
        """Listings by their numbers: often the oldest of the best price, or the youngest; with a limit or without."""
        for account, pick, size, slip in wanted:
            if not self.lives(Role.ORDER):
                return
            order = self.chosen(pick, Role.ORDER)
            if pick % 4:
                book = self.auditor.book(order.instrument, order.side)
                order = [e for e in book if e.price == book[0].price][-1 if pick % 4 == 1 else 0]
            self.tell(
                CommandKind.CLICK, slip=slip, account=account, instrument=order.instrument,
                side=Side.BUY + Side.SELL - order.side, target_id=order.number, qty=self.screen_qty(size),
                price_fen=order.price - (pick == 5) if pick % 3 else NONE,
            )  # fmt: skip

    @precondition(lambda self: self.clicks())
    @rule(flow=flows, account=accounts, side=sides, step=steps, size=sizes, slip=slips)
    def sweep(self, flow: list[Order], account: int, side: Side, step: int, size: int, slip: Slip) -> None:
        """The best listings up to a limit, after some have been listed."""
        instrument, far = self.instrument(1), 2 if side == Side.BUY else -2
        self.place([(who, Side.BUY + Side.SELL - side, *rest) for who, _, *rest in flow], instrument)
        self.tell(
            CommandKind.CLICK, slip=slip, account=account, instrument=instrument, side=side,
            qty=self.screen_qty(min(2 * size, 9)), price_fen=self.price(instrument, step + far),
        )  # fmt: skip

    # Blocks and offers.

    @precondition(lambda self: self.offers(Rule.BLOCK_MIN_QTY_T))
    @rule(account=accounts, other=accounts, side=sides, step=steps, size=sizes, pick=picks, slip=slips)
    def propose(self, account: int, other: int, side: Side, step: int, size: int, pick: int, slip: Slip) -> None:
        """A block; often it is confirmed at once, and sometimes that was the day's last trade."""
        if account == other and pick:
            other = account % 4 + 2
        instrument, qty = self.instrument(pick), self.least_qty(Rule.BLOCK_MIN_QTY_T, size)
        far = 3 if self.rulebook[Rule.BLOCK_REFERENCE] == BlockReference.SAME_DAY_CLOSE else 2
        events = self.tell(
            CommandKind.PROPOSE, slip=slip, account=account, contra=other, instrument=instrument, side=side, qty=qty,
            price_fen=self.price(instrument, far * step), until_ns=self.now + 10**9 if pick % 4 == 0 else NONE,
        )  # fmt: skip
        if pick % 2 and events["kind"][0] == EventKind.ACCEPTED:
            events = self.tell(CommandKind.CONFIRM, account=other, target_id=int(events["order_id"][0]))
            if pick > 40 and events["flags"][0] == EventFlag.PENDING:
                self.roll_day(1, 1)

    @precondition(lambda self: self.lives(Role.PROPOSAL))
    @rule(pick=picks, wait=waits, slip=slips, refuses=st.sampled_from([False, False, True]))
    def answer(self, pick: int, wait: int, slip: Slip, *, refuses: bool) -> None:
        """A proposal is confirmed, declined or withdrawn."""
        proposal = self.chosen(pick, Role.PROPOSAL)
        kind = CommandKind.DECLINE if refuses else CommandKind.CONFIRM
        account = proposal.account if pick % 8 == 7 else proposal.other
        self.tell(kind, slip=slip, wait=wait, account=account, target_id=proposal.number)

    @precondition(lambda self: self.offers(Rule.OFFER_MIN_QTY_T))
    @rule(account=accounts, side=sides, step=steps, size=sizes, pick=picks, slip=slips, takers=takers)
    def offer(
        self, account: int, side: Side, step: int, size: int, pick: int, slip: Slip, takers: list[tuple[int, int, Slip]]
    ) -> None:
        """A fixed price, and who comes first."""
        instrument, qty = self.instrument(pick), self.least_qty(Rule.OFFER_MIN_QTY_T, size)
        events = self.tell(
            CommandKind.OFFER, slip=slip, account=account, instrument=instrument, side=side, qty=qty,
            price_fen=self.price(instrument, step),
        )  # fmt: skip
        self.take_from(int(events["order_id"][0]), qty, takers)

    def take_from(self, number: int, qty: int, takers: list[tuple[int, int, Slip]]) -> None:
        """From a quarter of an offer to more than there is."""
        lot = self.rulebook[Rule.LOT_T]
        for account, size, slip in takers:
            share = max(qty * size // 4 // lot, 1) * lot
            self.tell(CommandKind.TAKE, slip=slip, account=account, target_id=number, qty=share)

    @precondition(lambda self: self.lives(Role.OFFER))
    @rule(pick=picks, takers=takers)
    def take(self, pick: int, takers: list[tuple[int, int, Slip]]) -> None:
        offer = self.chosen(pick, Role.OFFER)
        self.take_from(offer.number, offer.leaves, takers)

    # One-way auctions.

    @precondition(lambda self: self.offers(Rule.AUCTION_PRICING) and len(self.lives(Role.AUCTION)) < 3)
    @rule(account=accounts, side=sides, step=steps, size=sizes, pick=picks, slip=slips, wanted=auctions)
    def announce(
        self, account: int, side: Side, step: int, size: int, pick: int, slip: Slip, wanted: list[Bid]
    ) -> None:
        """With a bound of its bids or without; mostly some apply or bid at once, and it may go on to its end."""
        instrument, qty = self.instrument(pick), self.auction_qty(2 * size + 3) + pick % 2
        price, far = self.price(instrument, step), 4 * self.step_of(instrument)
        bound = (NONE, NONE, price, max(price + (far if side == Side.SELL else -far), 1))[pick % 4]
        events = self.tell(
            CommandKind.ANNOUNCE, slip=slip, account=1 if pick == 3 else account, instrument=instrument, side=side,
            qty=qty, price_fen=price, limit_price_fen=bound,
        )  # fmt: skip
        auction = self.auditor.living.get(int(events["order_id"][0]))
        if auction and auction.role == Role.AUCTION and pick > 8:
            if auction.stage == Stage.APPLICATION:
                self.apply_for(auction, wanted)
                self.tell(CommandKind.END_STAGE, target_id=auction.number)
            self.bid_for(auction, wanted)
            for more in (wanted[1:], []) if pick > 32 else ():
                self.tell(CommandKind.END_STAGE, target_id=auction.number)
                self.bid_for(auction, more)

    def apply_for(self, auction: Entry, wanted: list[Bid]) -> None:
        for account, _, size, _, slip in wanted:
            qty = self.auction_qty(2 * size)
            self.tell(CommandKind.APPLY, slip=slip, account=account, target_id=auction.number, qty=qty)

    def bid_for(self, auction: Entry, wanted: list[Bid]) -> None:
        """Around the reserve; for all of it where only that sells; sometimes too little."""
        step = self.step_of(auction.instrument) * (1 if auction.side == Side.SELL else -1)
        whole, lot = self.rulebook[Rule.AUCTION_LOTS] == Lots.WHOLE, self.rulebook[Rule.AUCTION_LOT_T]
        for account, better, size, least, slip in wanted:
            self.tell(
                CommandKind.BID, slip=slip, account=account, target_id=auction.number,
                qty=auction.leaves if whole and size < 6 else self.auction_qty(size) if least < 9 else lot,
                price_fen=max(auction.price + better * step, 1),
                min_qty=self.auction_qty(least) if 0 < least <= size else NONE,
            )  # fmt: skip

    def step_of(self, instrument: int) -> int:
        return self.price(instrument, 1) - self.price(instrument, 0)

    @precondition(lambda self: self.lives(Role.AUCTION))
    @rule(wanted=auctions, pick=picks)
    def bid(self, wanted: list[Bid], pick: int) -> None:
        """Or apply, where it is time for that; mostly."""
        auction = self.chosen(pick, Role.AUCTION)
        if (auction.stage == Stage.APPLICATION) == (pick > 4):
            self.apply_for(auction, wanted)
        else:
            self.bid_for(auction, wanted)

    @precondition(lambda self: self.lives(Role.AUCTION))
    @rule(pick=picks, slip=slips)
    def end_stage(self, pick: int, slip: Slip) -> None:
        self.tell(CommandKind.END_STAGE, slip=slip, target_id=self.chosen(pick, Role.AUCTION).number)

    # Everything else.

    @rule(
        kind=st.integers(0, 50), account=picks, instrument=st.integers(-1, 3), side=st.integers(0, 3),
        price=st.integers(-1, 20), qty=st.integers(-1, 12), number=st.integers(-1, 120), flags=st.integers(0, 3),
    )  # fmt: skip
    def say_nonsense(
        self, kind: int, account: int, instrument: int, side: int, price: int, qty: int, number: int, flags: int
    ) -> None:
        """Any number as a kind, anything as its fields; days and phases change elsewhere."""
        if kind not in (CommandKind.PHASE, CommandKind.DAY_ROLL):
            self.tell(
                kind, account=account % 8, contra=account // 8, instrument=instrument, side=side, price_fen=price,
                qty=qty, target_id=number, amount_fen=qty, flags=flags, rule=number,
            )  # fmt: skip


def expected_kinds(name: str) -> set[str]:
    """Events that the rulebook makes possible, and so must have been met."""
    rules = compiled(name).rows[0]
    kinds = {"ACCEPTED", "REJECTED", "TRADE", "CANCELED", "EXPIRED", "DAY_CLOSED"}
    if rules[Rule.MODE] != TradingMode.NO_SCREEN:
        kinds |= {"REPLACED"}
        if rules[Rule.PERMITS + Phase.CALL]:
            kinds |= {"INDICATIVE"}
    if rules[Rule.AUCTION_PRICING] != NONE:
        kinds |= {"ANNOUNCED", "SETTLED"}
    return kinds


@pytest.mark.parametrize("name", FIRST_DAYS)
def test_both_engines_and_the_auditor_agree_after_every_command(name: str) -> None:
    seen: ClassVar[Counter[str]] = Counter()
    machine = type(f"Trading_{name}", (Trading,), {"name": name, "book": compiled(name), "seen": seen})
    examples = max(settings.default.max_examples // SHARE, 1)
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=STEPS))
    print(f"{name}: {seen['commands']:,} commands, {seen['TRADE']:,} trades")
    missing = expected_kinds(name) - set(seen)
    assert SHARE > 10 or not missing, f"never occurred: {missing}"
