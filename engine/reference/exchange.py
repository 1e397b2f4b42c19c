"""What an admitted command does: the handlers in the order of the commands, then matching and settlement."""

from itertools import islice

import numpy as np

from engine.codes import (
    NONE,
    BlockReference,
    CommandKind,
    EventFlag,
    EventKind,
    Lots,
    Margin,
    OrdType,
    Participant,
    Phase,
    Pricing,
    RejectReason,
    Role,
    Rule,
    SelfTrade,
    Side,
    Stage,
    TimeInForce,
    TradingMode,
)
from engine.records import EVENT
from engine.reference.auctions import Bid, allocate
from engine.reference.ladder import Ladder
from engine.reference.model import (
    AUCTION_ROLES,
    BASIS,
    EXCHANGE,
    FOREVER,
    GOVERNMENT,
    Account,
    Ask,
    Holding,
    InstrumentDay,
    RestingOrder,
    accepts,
    fee,
    gross,
    opposite,
)
from engine.rules.compiler import CompiledRules

SECOND_NS = 10**9
MASS_CANCELLED = (Role.ORDER, Role.PROPOSAL, Role.OFFER)


class ReferenceExchange(Ladder):
    """One venue under one rulebook; the same methods as `Exchange`."""

    def __init__(self, rules: CompiledRules) -> None:
        super().__init__(rules)
        self._events: list[tuple[int, ...]] = []
        self._begin_day(0)

    def submit(self, commands: np.ndarray) -> np.ndarray:
        """Apply COMMAND rows, shape (n,), in order; returns their EVENT rows, shape (m,)."""
        self._events = []
        names = commands.dtype.names or ()
        for row in commands.tolist():
            ask = dict(zip(names, row, strict=True))
            self._command_seq += 1
            reason = self._reason(ask)
            if reason:
                self._emit(
                    ask, EventKind.REJECTED, order_id=ask["target_id"], account=ask["account"],
                    instrument=ask["instrument"], side=ask["side"], price_fen=ask["price_fen"], qty=ask["qty"],
                    reason=reason,
                )  # fmt: skip
            else:
                self._execute(ask)
        return np.array(self._events, EVENT) if self._events else np.zeros(0, EVENT)

    def _emit(self, ask: Ask, kind: EventKind, **fields: int) -> None:
        self._event_seq += 1
        event = {
            "seq": self._event_seq, "command_seq": self._command_seq, "time_ns": ask["time_ns"], "kind": kind,
            "client_ref": ask["client_ref"], "phase": self._phase, "fee_fen": 0, "contra_fee_fen": 0, "side": 0,
            "mode": 0, "reason": 0, "flags": 0, **fields,
        }  # fmt: skip
        self._events.append(tuple(int(event.get(name, NONE)) for name in EVENT.names or ()))

    def _emit_order(self, ask: Ask, kind: EventKind, order: RestingOrder, **fields: int) -> None:
        values = {
            "order_id": order.order_id, "account": order.account, "instrument": order.instrument, "side": order.side,
            "mode": order.mode, "price_fen": order.price, "qty": order.filled + order.leaves,
            "leaves_qty": order.leaves, **fields,
        }  # fmt: skip
        self._emit(ask, kind, **values)

    def _execute(self, ask: Ask) -> None:
        handlers = {
            CommandKind.NEW: self._enter, CommandKind.CANCEL: self._cancel, CommandKind.REPLACE: self._replace,
            CommandKind.CLICK: self._click, CommandKind.PROPOSE: self._propose, CommandKind.CONFIRM: self._confirm,
            CommandKind.DECLINE: self._decline, CommandKind.MASS_CANCEL: self._mass_cancel,
            CommandKind.ANNOUNCE: self._announce, CommandKind.APPLY: self._apply, CommandKind.BID: self._bid,
            CommandKind.OFFER: self._offer, CommandKind.TAKE: self._take_offer, CommandKind.PHASE: self._change_phase,
            CommandKind.DAY_ROLL: self._roll, CommandKind.SET_RULE: self._set_rule,
            CommandKind.KILL_SWITCH: self._kill_switch, CommandKind.END_STAGE: self._end_stage,
        }  # fmt: skip
        handlers.get(CommandKind(ask["kind"]), self._move)(ask)

    # The screen.

    def _enter(self, ask: Ask) -> None:
        account, instrument, side, qty = ask["account"], ask["instrument"], ask["side"], ask["qty"]
        day = self._days[instrument]
        mode, is_market = day.rules[Rule.MODE], ask["ord_type"] == OrdType.MARKET
        limit, before = self._asked_price(ask, instrument), len(day.trades)
        cash = gross(day.rules, mode, limit) * qty
        if is_market:
            met = self._reachable(day, side, NONE, qty, None, account)
            cash = sum(gross(day.rules, mode, order.price) * fill for order, fill in met)
        self._hold(account, instrument, side, cash, qty)
        until = {TimeInForce.GTC: FOREVER, TimeInForce.GTD: ask["until_ns"]}.get(TimeInForce(ask["tif"]), NONE)
        me = RestingOrder(
            self._command_seq, account, instrument, side, mode, limit, qty, until_ns=until, client_ref=ask["client_ref"]
        )
        self._emit_order(ask, EventKind.ACCEPTED, me)
        met_itself = self._cross(ask, me)
        if me.leaves == 0:
            self._ended[me.order_id] = RejectReason.TOO_LATE_FILLED
        elif is_market or ask["tif"] in (TimeInForce.IOC, TimeInForce.FOK) or met_itself:
            self._cancel_rest(ask, me)
        else:
            self._rest(me)
        self._after_screen(ask, instrument, before)

    def _cancel_rest(self, ask: Ask, me: RestingOrder) -> None:
        """What is left of a taker that does not rest."""
        held = 0 if me.price == NONE else gross(self._days[me.instrument].rules, me.mode, me.price) * me.leaves
        self._hold(me.account, me.instrument, me.side, -held, -me.leaves)
        self._emit_order(ask, EventKind.CANCELED, me)
        self._ended[me.order_id] = RejectReason.ALREADY_CANCELLED

    def _after_screen(self, ask: Ask, instrument: int, trades_before: int) -> None:
        """In a call auction what would trade now; else a halt when the price has moved far enough."""
        day = self._days[instrument]
        if self._phase == Phase.CALL:
            self._emit_indicative(ask, instrument)
        elif day.rules[Rule.HALT_MOVE_BP] != NONE and len(day.trades) > trades_before:
            moved = abs(day.last - day.halt_reference)
            if moved * BASIS >= day.rules[Rule.HALT_MOVE_BP] * day.halt_reference:
                seconds = day.rules[Rule.HALT_SECONDS]
                day.halted_until_ns = ask["time_ns"] + seconds * SECOND_NS
                day.halt_reference = day.last
                self._emit(
                    ask, EventKind.INSTRUMENT_HALTED, instrument=instrument, price_fen=day.last, qty=seconds
                )  # fmt: skip

    def _emit_indicative(self, ask: Ask, instrument: int) -> None:
        point = self._call_price(self._days[instrument])
        if point is None:
            self._emit(ask, EventKind.INDICATIVE, instrument=instrument, mode=TradingMode.CALL, qty=0, leaves_qty=0)
            return
        side = 0 if point.surplus == 0 else Side.BUY if point.surplus > 0 else Side.SELL
        self._emit(
            ask, EventKind.INDICATIVE, instrument=instrument, mode=TradingMode.CALL, price_fen=point.price,
            qty=point.volume, leaves_qty=abs(point.surplus), side=side,
        )  # fmt: skip

    def _cancel(self, ask: Ask) -> None:
        order = self._orders[ask["target_id"]]
        self._remove(ask, order, EventKind.CANCELED)
        if order.role == Role.ORDER and self._phase == Phase.CALL:
            self._emit_indicative(ask, order.instrument)

    def _replace(self, ask: Ask) -> None:
        order = self._orders[ask["target_id"]]
        price, leaves = self._replaced(ask, order)
        day, mode = self._days[order.instrument], order.mode
        before = len(day.trades)
        cash = gross(day.rules, mode, price) * leaves - gross(day.rules, mode, order.price) * order.leaves
        self._hold(order.account, order.instrument, order.side, cash, leaves - order.leaves)
        keeps_place = price == order.price and leaves <= order.leaves
        if not keeps_place:
            self._unlink(order)
        order.price, order.leaves = price, leaves
        self._emit_order(ask, EventKind.REPLACED, order)
        if not keeps_place:
            met_itself = self._cross(ask, order)
            if order.leaves == 0:
                self._ended[order.order_id] = RejectReason.TOO_LATE_FILLED
            elif met_itself:
                self._cancel_rest(ask, order)
            else:
                self._rest(order)
        self._after_screen(ask, order.instrument, before)

    def _click(self, ask: Ask) -> None:
        account, instrument, side, qty = ask["account"], ask["instrument"], ask["side"], ask["qty"]
        day = self._days[instrument]
        before, listing = len(day.trades), self._orders.get(ask["target_id"])
        held_price = listing.price if listing else ask["price_fen"]
        self._hold(account, instrument, side, gross(day.rules, TradingMode.LISTED, held_price) * qty, qty)
        me = RestingOrder(self._command_seq, account, instrument, side, TradingMode.LISTED, held_price, qty)
        self._emit_order(ask, EventKind.ACCEPTED, me, price_fen=ask["price_fen"])
        if listing:
            self._take(ask, me, listing)
        else:
            levels = list(islice(self._prices(day, opposite(side)), day.rules[Rule.CLICK_LEVELS]))
            within = [price for price in levels if accepts(side, ask["price_fen"], price)]
            for resting in [order for price in within for order in day.book[opposite(side)][price]]:
                if me.leaves == 0 or not self._take(ask, me, resting):
                    break
        if me.leaves:
            held = gross(day.rules, TradingMode.LISTED, held_price) * me.leaves
            self._hold(account, instrument, side, -held, -me.leaves)
            self._emit_order(ask, EventKind.CANCELED, me, price_fen=ask["price_fen"])
        self._ended[me.order_id] = RejectReason.ALREADY_CANCELLED if me.leaves else RejectReason.TOO_LATE_FILLED
        self._after_screen(ask, instrument, before)

    # Blocks and offers.

    def _propose(self, ask: Ask) -> None:
        proposal = RestingOrder(
            self._command_seq, ask["account"], ask["instrument"], ask["side"], TradingMode.BLOCK, ask["price_fen"],
            ask["qty"], contra=ask["contra"], until_ns=ask["until_ns"], client_ref=ask["client_ref"],
            role=Role.PROPOSAL,
        )  # fmt: skip
        self._orders[proposal.order_id] = proposal
        self._emit_order(ask, EventKind.ACCEPTED, proposal, contra=proposal.contra)

    def _confirm(self, ask: Ask) -> None:
        proposal = self._orders[ask["target_id"]]
        instrument, mode, price, qty = proposal.instrument, TradingMode.BLOCK, proposal.price, proposal.leaves
        buyer, seller = self._buyer_seller(proposal, ask["account"])
        rules = self._days[instrument].rules
        late = rules[Rule.BLOCK_REFERENCE] == BlockReference.SAME_DAY_CLOSE
        self._hold(buyer, instrument, Side.BUY, gross(rules, mode, price) * qty, qty)
        self._hold(seller, instrument, Side.SELL, 0, qty)
        self._emit(
            ask, EventKind.TRADE, order_id=self._command_seq, account=ask["account"], side=opposite(proposal.side),
            instrument=instrument, mode=mode, price_fen=price, qty=qty, leaves_qty=0,
            contra_id=proposal.order_id, contra=proposal.account, contra_leaves_qty=0, amount_fen=price * qty,
            fee_fen=fee(rules, mode, opposite(proposal.side), price * qty),
            contra_fee_fen=fee(rules, mode, proposal.side, price * qty), flags=EventFlag.PENDING if late else 0,
        )  # fmt: skip
        if late:
            proposal.role = Role.DEAL
            return
        del self._orders[proposal.order_id]
        self._ended[proposal.order_id] = RejectReason.TOO_LATE_FILLED
        self._deliver(instrument, mode, buyer, seller, price, price, qty)

    def _close_deal(self, ask: Ask, deal: RestingOrder) -> None:
        """At the close: a deal that was held is delivered, or both sides have everything back."""
        buyer, seller = self._buyer_seller(deal, deal.contra)
        day, qty = self._days[deal.instrument], deal.leaves
        if self._in_band(day, deal):
            self._deliver(deal.instrument, deal.mode, buyer, seller, deal.price, deal.price, qty)
            kind = EventKind.DELIVERED
        else:
            self._hold(buyer, deal.instrument, Side.BUY, -gross(day.rules, deal.mode, deal.price) * qty, -qty)
            self._hold(seller, deal.instrument, Side.SELL, 0, -qty)
            kind = EventKind.VOIDED
        self._emit_order(
            ask, kind, deal, contra=deal.contra, leaves_qty=0, amount_fen=deal.price * qty, client_ref=deal.client_ref
        )
        del self._orders[deal.order_id]

    def _decline(self, ask: Ask) -> None:
        proposal = self._orders[ask["target_id"]]
        declined = proposal.contra == ask["account"]
        self._remove(ask, proposal, EventKind.DECLINED if declined else EventKind.CANCELED)

    def _offer(self, ask: Ask) -> None:
        rules = self._days[ask["instrument"]].rules
        offer = RestingOrder(
            self._command_seq, ask["account"], ask["instrument"], ask["side"], TradingMode.OFFER, ask["price_fen"],
            ask["qty"], client_ref=ask["client_ref"], role=Role.OFFER,
        )  # fmt: skip
        cash = gross(rules, offer.mode, offer.price) * offer.leaves
        self._hold(offer.account, offer.instrument, offer.side, cash, offer.leaves)
        self._orders[offer.order_id] = offer
        self._emit_order(ask, EventKind.ACCEPTED, offer)

    def _take_offer(self, ask: Ask) -> None:
        offer = self._orders[ask["target_id"]]
        held = gross(self._days[offer.instrument].rules, offer.mode, offer.price)
        me = RestingOrder(
            self._command_seq,
            ask["account"],
            offer.instrument,
            opposite(offer.side),
            offer.mode,
            offer.price,
            ask["qty"],
        )
        self._hold(me.account, me.instrument, me.side, held * me.leaves, me.leaves)
        self._emit_order(ask, EventKind.ACCEPTED, me, contra_id=offer.order_id)
        self._trade(ask, me, offer, offer.price, min(me.leaves, offer.leaves))
        if me.leaves:
            self._cancel_rest(ask, me)
        else:
            self._ended[me.order_id] = RejectReason.TOO_LATE_FILLED

    # Auctions.

    def _announce(self, ask: Ask) -> None:
        rules = self._days[ask["instrument"]].rules
        stages = rules[Rule.AUCTION_STAGES]
        auction = RestingOrder(
            self._command_seq, ask["account"], ask["instrument"], ask["side"], TradingMode.AUCTION, ask["price_fen"],
            ask["qty"], client_ref=ask["client_ref"], role=Role.AUCTION, bound=ask["limit_price_fen"],
            stage=Stage.APPLICATION if stages >> Stage.APPLICATION & 1 else Stage.BIDDING,
        )  # fmt: skip
        cash = gross(rules, auction.mode, auction.price) * auction.leaves
        self._hold(auction.account, auction.instrument, auction.side, cash, auction.leaves)
        self._orders[auction.order_id] = auction
        bound = "high_price_fen" if auction.side == Side.SELL else "low_price_fen"
        self._emit_order(ask, EventKind.ANNOUNCED, auction, flags=auction.stage, **{bound: auction.bound})

    def _apply(self, ask: Ask) -> None:
        auction = self._orders[ask["target_id"]]
        deposit = self._deposit(auction, ask["qty"])
        application = RestingOrder(
            self._command_seq, ask["account"], auction.instrument, opposite(auction.side), TradingMode.AUCTION,
            auction.price, ask["qty"], contra=auction.order_id, client_ref=ask["client_ref"],
            role=Role.APPLICATION, bound=deposit,
        )  # fmt: skip
        self._hold_cash(application.account, application.instrument, deposit)
        self._orders[application.order_id] = application
        self._emit_order(
            ask, EventKind.APPLIED, application, contra_id=auction.order_id, amount_fen=deposit
        )  # fmt: skip

    def _bid(self, ask: Ask) -> None:
        auction = self._orders[ask["target_id"]]
        rules = self._days[auction.instrument].rules
        if rules[Rule.AUCTION_LOTS] == Lots.WHOLE:
            for old in self._of_auction(auction, Role.BID):
                if old.account == ask["account"]:
                    self._remove(ask, old, EventKind.CANCELED)
        bid = RestingOrder(
            self._command_seq, ask["account"], auction.instrument, opposite(auction.side), TradingMode.AUCTION,
            ask["price_fen"], ask["qty"], contra=auction.order_id, client_ref=ask["client_ref"],
            role=Role.BID, bound=max(ask["min_qty"], 0),
        )  # fmt: skip
        self._hold(bid.account, bid.instrument, bid.side, gross(rules, bid.mode, bid.price) * bid.leaves, bid.leaves)
        self._orders[bid.order_id] = bid
        self._emit_order(ask, EventKind.ACCEPTED, bid, contra_id=auction.order_id)

    def _end_stage(self, ask: Ask) -> None:
        auction = self._orders[ask["target_id"]]
        rules = self._days[auction.instrument].rules
        stages = rules[Rule.AUCTION_STAGES]
        goes_on = auction.stage == Stage.APPLICATION or (auction.stage == Stage.BIDDING and stages >> Stage.TIMED & 1)
        if auction.stage == Stage.APPLICATION:
            applied = sum(o.leaves for o in self._of_auction(auction, Role.APPLICATION))
            released = applied * rules[Rule.AUCTION_RELEASE_BP] // BASIS // rules[Rule.LOT_T] * rules[Rule.LOT_T]
            kept_back = auction.leaves - min(released, auction.leaves)
            cash = gross(rules, auction.mode, auction.price) * kept_back
            self._hold(auction.account, auction.instrument, auction.side, -cash, -kept_back)
            auction.leaves -= kept_back
        if goes_on and auction.leaves:
            auction.stage += 1
            self._emit_order(ask, EventKind.STAGE_ENDED, auction, flags=auction.stage)
        else:
            self._settle(ask, auction)

    def _settle(self, ask: Ask, auction: RestingOrder) -> None:
        """Trades, then what was not accepted, then the applications, then the result."""
        rules = self._days[auction.instrument].rules
        bids = self._of_auction(auction, Role.BID)
        shares = allocate(
            [Bid(bid.price, bid.leaves, bid.bound) for bid in bids], auction.leaves,
            Margin(rules[Rule.AUCTION_MARGIN]), rules[Rule.AUCTION_LOT_T],
            all_or_nothing=bool(rules[Rule.AUCTION_ALL_OR_NOTHING]),
        )  # fmt: skip
        accepted = [bid.price for bid, share in zip(bids, shares, strict=True) if share]
        worst = accepted[-1] if accepted else NONE
        uniform = rules[Rule.AUCTION_PRICING] == Pricing.UNIFORM
        sold = value = 0
        for bid, share in zip(bids, shares, strict=True):
            if share:
                price = worst if uniform else bid.price
                self._trade(ask, bid, auction, price, share)
                sold, value = sold + share, value + price * share
        for bid in bids:
            if bid.leaves:
                self._remove(ask, bid, EventKind.CANCELED)
            else:
                del self._orders[bid.order_id]
                self._ended[bid.order_id] = RejectReason.TOO_LATE_FILLED
        for application in self._of_auction(auction, Role.APPLICATION):
            self._remove(ask, application, EventKind.CANCELED)
        cash = gross(rules, auction.mode, auction.price) * auction.leaves
        self._hold(auction.account, auction.instrument, auction.side, -cash, -auction.leaves)
        self._emit_order(ask, EventKind.SETTLED, auction, price_fen=worst, qty=sold, amount_fen=value)
        if auction.order_id in self._orders:
            del self._orders[auction.order_id]
        self._ended[auction.order_id] = RejectReason.TOO_LATE_FILLED

    # The operator.

    def _mass_cancel(self, ask: Ask) -> None:
        touched, count = self._cancel_everything(ask, ask["instrument"], ask["side"])
        self._emit(
            ask, EventKind.MASS_CANCELED, account=ask["account"], instrument=ask["instrument"], side=ask["side"],
            qty=count,
        )  # fmt: skip
        self._publish_call(ask, touched)

    def _kill_switch(self, ask: Ask) -> None:
        touched, count = self._cancel_everything(ask, NONE, 0) if ask["flags"] else (set(), 0)
        self._accounts[ask["account"]].blocked = ask["flags"]
        self._emit(ask, EventKind.KILL_SWITCH_SET, account=ask["account"], flags=ask["flags"], qty=count)
        self._publish_call(ask, touched)

    def _cancel_everything(self, ask: Ask, instrument: int, side: int) -> tuple[set[int], int]:
        """Cancel an account's orders, offers and proposals, oldest first; books that lost an order, and the count."""
        chosen = [
            order
            for order_id, order in sorted(self._orders.items())
            if order.account == ask["account"] and order.role in MASS_CANCELLED
            and instrument in (NONE, order.instrument) and side in (0, order.side)
        ]  # fmt: skip
        for order in chosen:
            self._remove(ask, order, EventKind.CANCELED)
        return {order.instrument for order in chosen if order.role == Role.ORDER}, len(chosen)

    def _publish_call(self, ask: Ask, touched: set[int]) -> None:
        """In a call auction what would trade now in these instruments."""
        if self._phase == Phase.CALL:
            for instrument in sorted(touched):
                self._emit_indicative(ask, instrument)

    def _change_phase(self, ask: Ask) -> None:
        if self._phase == Phase.CALL and ask["phase"] != Phase.CALL:
            for day in self._days:
                self._uncross(ask, day)
        self._phase = ask["phase"]
        self._emit(ask, EventKind.PHASE_CHANGED)

    def _uncross(self, ask: Ask, day: InstrumentDay) -> None:
        """The end of a call auction: all trade at one price, by price, then time. Nobody is taker: self-trades pass."""
        point = self._call_price(day)
        left = point.volume if point else 0
        while point and left:
            bid, offer = (day.book[side][self._best(day, side)][0] for side in (Side.BUY, Side.SELL))
            qty = min(bid.leaves, offer.leaves, left)
            younger, older = (bid, offer) if bid.order_id > offer.order_id else (offer, bid)
            left -= qty
            self._trade(ask, younger, older, point.price, qty, mode=TradingMode.CALL)
            if younger.leaves == 0:
                self._unlink(younger)
                self._ended[younger.order_id] = RejectReason.TOO_LATE_FILLED

    def _roll(self, ask: Ask) -> None:
        """End of a day and beginning of the next; `emit.py` says in which order events follow."""
        first_day = self._date == 0
        for _, order in sorted(self._orders.items()):
            if order.role != Role.DEAL and not self._stays(ask, order):
                self._remove(ask, order, EventKind.EXPIRED, client_ref=order.client_ref)
        for instrument, day in enumerate(self._days):
            if not first_day:
                day.prev_close = day.close
                self._emit(
                    ask, EventKind.DAY_CLOSED, instrument=instrument, price_fen=day.prev_close, qty=day.qty,
                    amount_fen=day.value,
                )  # fmt: skip
            for _, order in sorted(self._orders.items()):
                if order.role == Role.DEAL and order.instrument == instrument:
                    self._close_deal(ask, order)
            self._publish_large_holders(ask, instrument)
            day.qty = day.value = day.counted = day.halted_until_ns = 0
            day.trades = []
        for account in self._accounts.values():
            for holding in account.holdings:
                holding.available += holding.locked
                holding.locked = 0
        self._ended.clear()
        self._begin_day(ask["date"])
        for instrument, day in enumerate(self._days):
            self._emit(
                ask, EventKind.DAY_OPENED, instrument=instrument, price_fen=day.prev_close,
                low_price_fen=day.limit_low, high_price_fen=day.limit_high,
            )  # fmt: skip
        for _, order in sorted(self._orders.items()):
            day = self._days[order.instrument]
            if order.role == Role.ORDER and not day.limit_low <= order.price <= day.limit_high:
                self._remove(ask, order, EventKind.EXPIRED, client_ref=order.client_ref)

    def _stays(self, ask: Ask, order: RestingOrder) -> bool:
        """Whether an order lives on: good till later, or of an auction; never across a change of its rules.

        Nor out of a call that nobody ended: its book may be crossed.
        """
        if (
            self._row_at(order.instrument, ask["date"])[Rule.FROM_DATE]
            != self._days[order.instrument].rules[Rule.FROM_DATE]
        ):
            return False
        if order.role == Role.ORDER:
            return self._phase != Phase.CALL and order.until_ns > ask["time_ns"]
        return order.role in AUCTION_ROLES

    def _publish_large_holders(self, ask: Ask, instrument: int) -> None:
        for number in sorted(self._accounts):
            owned = self._accounts[number].holdings[instrument].owned
            threshold = self._holding_limit(number, instrument, Rule.DISCLOSE_T)
            if threshold != NONE and owned > threshold and number not in (EXCHANGE, GOVERNMENT):
                self._emit(ask, EventKind.LARGE_HOLDER, account=number, instrument=instrument, qty=owned)

    def _row_at(self, instrument: int, date: int) -> list[int]:
        """The newest dated row in force on `date`; before the first one, the first."""
        rows: list[list[int]] = [row for row in self._rows if row[-1] == instrument]
        return [row for row in rows if row is rows[0] or row[Rule.FROM_DATE] <= date][-1]

    def _begin_day(self, date: int) -> None:
        """Phase, dated rules, reference price and limits."""
        self._date, self._phase = date, self._initial_phase
        for instrument, day in enumerate(self._days):
            day.rules = self._row_at(instrument, date)[:-1]
            day.prev_close = day.prev_close or day.rules[Rule.REFERENCE_FEN]
            day.halt_reference = day.prev_close
            day.set_limits()

    def _set_rule(self, ask: Ask) -> None:
        day = self._days[ask["instrument"]]
        day.rules[ask["rule"]] = ask["amount_fen"]
        day.set_limits()
        self._emit(
            ask, EventKind.RULE_SET, instrument=ask["instrument"], order_id=ask["rule"], amount_fen=ask["amount_fen"],
            low_price_fen=day.limit_low, high_price_fen=day.limit_high,
        )  # fmt: skip

    def _move(self, ask: Ask) -> None:
        """Accounts, cash and units without a trade."""
        kind, number, qty, amount = ask["kind"], ask["account"], ask["qty"], ask["amount_fen"]
        if kind == CommandKind.OPEN_ACCOUNT:
            self._accounts[number] = Account(ask["group"], Participant(ask["flags"]), [Holding() for _ in self.symbols])
            self._emit(ask, EventKind.ACCOUNT_OPENED, account=number)
            return
        account, government = self._accounts[number], self._accounts[GOVERNMENT]
        if kind in (CommandKind.DEPOSIT, CommandKind.WITHDRAW):
            change = amount if kind == CommandKind.DEPOSIT else -amount
            account.cash += change
            self._cash_in += change
        elif kind == CommandKind.FINE:
            account.cash -= amount
            government.cash += amount
        elif kind == CommandKind.ISSUE:
            account.holdings[ask["instrument"]].available += qty
            account.holdings[ask["instrument"]].allocated += qty
            self._days[ask["instrument"]].issued += qty
        else:
            account.holdings[ask["instrument"]].available -= qty
            government.holdings[ask["instrument"]].restricted += qty
        events = {
            CommandKind.DEPOSIT: EventKind.DEPOSITED, CommandKind.WITHDRAW: EventKind.WITHDRAWN,
            CommandKind.FINE: EventKind.FINED, CommandKind.ISSUE: EventKind.ISSUED,
            CommandKind.SURRENDER: EventKind.SURRENDERED, CommandKind.DEDUCT: EventKind.DEDUCTED,
        }  # fmt: skip
        self._emit(
            ask,
            events[CommandKind(kind)],
            account=number,
            instrument=ask["instrument"],
            qty=qty,
            amount_fen=amount,
        )

    # Matching.

    def _cross(self, ask: Ask, me: RestingOrder) -> bool:
        """Best price first, then oldest first, where the screen crosses. True: stopped because it met itself."""
        if me.mode != TradingMode.CONTINUOUS or self._phase == Phase.CALL:
            return False
        day = self._days[me.instrument]
        while me.leaves:
            price = self._best(day, opposite(me.side))
            if price is None or not accepts(me.side, me.price, price):
                return False
            if not self._take(ask, me, day.book[opposite(me.side)][price][0]):
                return True
        return False

    def _take(self, ask: Ask, me: RestingOrder, maker: RestingOrder) -> bool:
        """One fill of `me` against a resting order, or what self-trade prevention does instead. False: stop."""
        day = self._days[maker.instrument]
        own, rule = maker.account == me.account, day.rules[Rule.SELF_TRADE]
        if own and rule == SelfTrade.CANCEL_TAKER:
            return False
        if own and rule == SelfTrade.CANCEL_MAKER:
            self._remove(ask, maker, EventKind.CANCELED)
            return True
        price = self._trade_price(day, me, maker)
        self._trade(ask, me, maker, price, min(me.leaves, maker.leaves))
        return True

    def _trade(
        self, ask: Ask, me: RestingOrder, maker: RestingOrder, price: int, qty: int, *, mode: int | None = None
    ) -> None:
        """Both are reduced, the trade is told, counted and delivered; a maker without rest is gone."""
        rules, mode = self._days[me.instrument].rules, me.mode if mode is None else mode
        for order in (me, maker):
            order.leaves -= qty
            order.filled += qty
        self._emit(
            ask, EventKind.TRADE, order_id=me.order_id, account=me.account, instrument=me.instrument, side=me.side,
            mode=mode, price_fen=price, qty=qty, leaves_qty=me.leaves, contra_id=maker.order_id,
            contra=maker.account, contra_leaves_qty=maker.leaves, amount_fen=price * qty,
            fee_fen=fee(rules, mode, me.side, price * qty),
            contra_fee_fen=fee(rules, mode, maker.side, price * qty),
        )  # fmt: skip
        self._note(me.instrument, mode, price, qty)
        buyer, seller = (me, maker) if me.side == Side.BUY else (maker, me)
        held = price if buyer.price == NONE else buyer.price
        self._deliver(me.instrument, mode, buyer.account, seller.account, held, price, qty)
        if maker.leaves == 0:
            self._unlink(maker)
            self._ended[maker.order_id] = RejectReason.TOO_LATE_FILLED

    def _note(self, instrument: int, mode: int, price: int, qty: int) -> None:
        """A trade enters the day's accumulators where its mode makes the close."""
        day = self._days[instrument]
        if not day.rules[Rule.CLOSE_MODES] >> mode & 1:
            return
        day.qty += qty
        day.value += price * qty
        day.trades.append((price, qty))
        if day.rules[Rule.CLOSE_MIN_QTY_PHASES] >> self._phase & 1:
            day.counted += qty

    def _remove(self, ask: Ask, order: RestingOrder, kind: EventKind, **fields: int) -> None:
        """Something living leaves without trading; what it held is released."""
        if order.role == Role.PROPOSAL:
            fields["contra"] = order.contra
        elif order.role in (Role.APPLICATION, Role.BID):
            fields["contra_id"] = order.contra
        self._emit_order(ask, kind, order, **fields)
        if order.role == Role.APPLICATION:
            self._hold_cash(order.account, order.instrument, -order.bound)
        elif order.role != Role.PROPOSAL:
            held = gross(self._days[order.instrument].rules, order.mode, order.price) * order.leaves
            self._hold(order.account, order.instrument, order.side, -held, -order.leaves)
        self._unlink(order)
        self._ended[order.order_id] = RejectReason.ALREADY_CANCELLED

    # Settlement.

    def _hold_cash(self, number: int, instrument: int, cash: int) -> None:
        """Freeze cash of a buyer; a negative amount releases."""
        if self._days[instrument].rules[Rule.FUNDED]:
            self._accounts[number].cash -= cash
            self._accounts[number].cash_held += cash

    def _hold(self, number: int, instrument: int, side: int, cash: int, qty: int) -> None:
        """Freeze cash of a buyer or units of a seller; negative amounts release."""
        if not self._days[instrument].rules[Rule.FUNDED]:
            return
        holding = self._accounts[number].holdings[instrument]
        if side == Side.BUY:
            self._hold_cash(number, instrument, cash)
            holding.bidding += qty
        else:
            holding.available -= qty
            holding.held += qty

    def _deliver(
        self, instrument: int, mode: int, buyer: int, seller: int, held_price: int, price: int, qty: int
    ) -> None:
        """Delivery versus payment; both fees go to the exchange."""
        rules = self._days[instrument].rules
        if not rules[Rule.FUNDED]:
            return
        held, value = gross(rules, mode, held_price) * qty, price * qty
        buy_fee, sell_fee = fee(rules, mode, Side.BUY, value), fee(rules, mode, Side.SELL, value)
        self._accounts[buyer].cash_held -= held
        self._accounts[buyer].cash += held - value - buy_fee
        self._accounts[seller].cash += value - sell_fee
        self._accounts[EXCHANGE].cash += buy_fee + sell_fee
        given = self._accounts[seller].holdings[instrument]
        given.held -= qty
        given.sold += qty
        bought = self._accounts[buyer].holdings[instrument]
        bought.bidding -= qty
        if rules[Rule.UNITS_T_PLUS]:
            bought.locked += qty
        else:
            bought.available += qty
