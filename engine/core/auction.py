"""One-way auctions 单向竞价: one applicant sells or buys, many bid, in stages that the operator ends.

    ANNOUNCE ─> [APPLY* ─ END_STAGE: a share is released] ─> BID* ─ [END_STAGE: only better bids] ─ END_STAGE: settled

The applicant's units (or cash) are frozen with the announcement, a bidder's with his bid, an applicant's for quantity
with his deposit. An auction lists its bids best first, of one price oldest first, so that settling walks down the
list: allocate, trade, release the rest. A bid costs a walk to its place: auctions have hundreds of bids, not millions.
"""

import numpy as np

from engine.codes import NONE, EventKind, Lots, Margin, Pricing, Role, Rule, Side, Stage, TradingMode
from engine.core.accounts import hold_cash
from engine.core.book import free_slot, is_better, slot_of
from engine.core.emit import emit_order, opposite
from engine.core.living import hold_entry, place, remove, trade_living
from engine.core.prices import BASIS
from engine.core.state import NIL, Ask, Terms, orders_of, rules_of, terms_of
from engine.jit import kernel


@kernel
def has_stage(state: np.ndarray, instrument: int, stage: int) -> bool:
    """Whether auctions of this instrument have such a stage."""
    return (rules_of(state)[instrument, Rule.AUCTION_STAGES] >> stage) & 1 == 1


@kernel
def announce(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """ANNOUNCE: freeze what is offered and open the first stage."""
    instrument, side = ask.instrument, ask.side
    slot = place(
        state, ask, Role.AUCTION, instrument, side, TradingMode.AUCTION, ask.price_fen, ask.qty
    )  # fmt: skip
    order = orders_of(state)[slot]
    stage = Stage.BIDDING
    if has_stage(state, instrument, Stage.APPLICATION):
        stage = Stage.APPLICATION
    terms_of(state)[slot, Terms.STAGE] = stage
    terms_of(state)[slot, Terms.BOUND] = ask.limit_price_fen
    order["next"] = NIL
    order["prev"] = NIL
    hold_entry(state, slot, ask.qty)
    row = emit_order(state, events, ask, EventKind.ANNOUNCED, slot)
    events[row]["flags"] = stage
    if side == Side.SELL:
        events[row]["high_price_fen"] = ask.limit_price_fen
    else:
        events[row]["low_price_fen"] = ask.limit_price_fen


@kernel
def deposit(state: np.ndarray, auction: int, qty: int) -> int:
    """Cash behind an application of `qty`, fen, rounded up."""
    order = orders_of(state)[auction]
    value, bp = order["price_fen"] * qty, rules_of(state)[order["instrument"], Rule.AUCTION_DEPOSIT_BP]
    return value // BASIS * bp + (value % BASIS * bp + BASIS - 1) // BASIS


@kernel
def apply_for(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """APPLY: freeze the deposit; applications stand in the order in which they came."""
    orders, auction = orders_of(state), slot_of(state, ask.target_id)
    instrument, side = orders[auction]["instrument"], opposite(orders[auction]["side"])
    slot = place(
        state, ask, Role.APPLICATION, instrument, side, TradingMode.AUCTION, orders[auction]["price_fen"], ask.qty
    )  # fmt: skip
    amount = deposit(state, auction, ask.qty)
    terms_of(state)[slot, Terms.CONTRA] = ask.target_id
    terms_of(state)[slot, Terms.BOUND] = amount
    orders[slot]["next"] = NIL
    last = orders[auction]["prev"]
    if last == NIL:
        orders[auction]["prev"] = slot
    else:
        while orders[last]["next"] != NIL:
            last = orders[last]["next"]
        orders[last]["next"] = slot
    hold_cash(state, ask.account, instrument, amount)
    row = emit_order(state, events, ask, EventKind.APPLIED, slot)
    events[row]["contra_id"] = ask.target_id
    events[row]["amount_fen"] = amount


@kernel
def own_bid(state: np.ndarray, auction: int, account: int) -> int:
    """Slot of the account's best bid; NIL when it has none."""
    orders = orders_of(state)
    slot = orders[auction]["next"]
    while slot != NIL and orders[slot]["account"] != account:
        slot = orders[slot]["next"]
    return slot


@kernel
def _unchain(state: np.ndarray, auction: int, bid: int) -> None:
    """Take one bid out of the auction's list."""
    orders = orders_of(state)
    before = auction
    while orders[before]["next"] != bid:
        before = orders[before]["next"]
    orders[before]["next"] = orders[bid]["next"]


@kernel
def bid(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """BID: freeze, and stand in the list by price, then time. A new bid for a whole lot takes the place of the old."""
    orders, auction = orders_of(state), slot_of(state, ask.target_id)
    instrument, side = orders[auction]["instrument"], opposite(orders[auction]["side"])
    if rules_of(state)[instrument, Rule.AUCTION_LOTS] == Lots.WHOLE:
        old = own_bid(state, auction, ask.account)
        if old != NIL:
            _unchain(state, auction, old)
            remove(state, events, ask, old, EventKind.CANCELED)
    slot = place(
        state, ask, Role.BID, instrument, side, TradingMode.AUCTION, ask.price_fen, ask.qty
    )  # fmt: skip
    terms_of(state)[slot, Terms.CONTRA] = ask.target_id
    terms_of(state)[slot, Terms.BOUND] = max(ask.min_qty, 0)
    hold_entry(state, slot, ask.qty)
    before = auction
    behind = orders[before]["next"]
    while behind != NIL and not is_better(side, ask.price_fen, orders[behind]["price_fen"]):
        before, behind = behind, orders[behind]["next"]
    orders[slot]["next"] = behind
    orders[before]["next"] = slot
    row = emit_order(state, events, ask, EventKind.ACCEPTED, slot)
    events[row]["contra_id"] = ask.target_id


@kernel
def applied_qty(state: np.ndarray, auction: int, account: int) -> int:
    """Quantity that `account` (NONE: everybody) has applied for, t."""
    orders = orders_of(state)
    slot, total = orders[auction]["prev"], 0
    while slot != NIL:
        if account == NONE or orders[slot]["account"] == account:
            total += orders[slot]["leaves_qty"]
        slot = orders[slot]["next"]
    return total


@kernel
def end_stage(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """END_STAGE: the share of the applications that is released goes on to bidding; the last stage settles."""
    auction = slot_of(state, ask.target_id)
    order = orders_of(state)[auction]
    instrument, stage = order["instrument"], terms_of(state)[auction, Terms.STAGE]
    rules = rules_of(state)[instrument]
    goes_on = stage == Stage.APPLICATION or (stage == Stage.BIDDING and has_stage(state, instrument, Stage.TIMED))
    if stage == Stage.APPLICATION:
        applied, bp = applied_qty(state, auction, NONE), rules[Rule.AUCTION_RELEASE_BP]
        released = applied // BASIS * bp + applied % BASIS * bp // BASIS
        released = released // rules[Rule.LOT_T] * rules[Rule.LOT_T]
        kept_back = order["leaves_qty"] - min(released, order["leaves_qty"])
        hold_entry(state, auction, -kept_back)
        order["leaves_qty"] -= kept_back
    if goes_on and order["leaves_qty"] > 0:
        terms_of(state)[auction, Terms.STAGE] = stage + 1
        row = emit_order(state, events, ask, EventKind.STAGE_ENDED, auction)
        events[row]["flags"] = stage + 1
    else:
        _settle(state, events, ask, auction)


@kernel
def _group_qty(state: np.ndarray, first: int) -> int:
    """Quantity of all bids at the price of `first`, t."""
    orders = orders_of(state)
    slot, total, price = first, 0, orders[first]["price_fen"]
    while slot != NIL and orders[slot]["price_fen"] == price:
        total += orders[slot]["leaves_qty"]
        slot = orders[slot]["next"]
    return total


@kernel
def _share_group(state: np.ndarray, first: int, left: int, pro_rata: bool, lot: int) -> int:
    """Allocate at one price, into STAGE of each bid; returns what is left, t."""
    orders = orders_of(state)
    price, wanted, offered = orders[first]["price_fen"], _group_qty(state, first), left
    slot = first
    while slot != NIL and orders[slot]["price_fen"] == price:
        share = 0
        if pro_rata and wanted > offered:
            share = _proportion(offered, orders[slot]["leaves_qty"], wanted) // lot * lot
            if share < terms_of(state)[slot, Terms.BOUND]:
                share = 0
        terms_of(state)[slot, Terms.STAGE] = share
        left -= share
        slot = orders[slot]["next"]
    slot = first
    while slot != NIL and orders[slot]["price_fen"] == price:
        share = terms_of(state)[slot, Terms.STAGE]
        more = min(left, orders[slot]["leaves_qty"] - share)
        if share + more >= terms_of(state)[slot, Terms.BOUND]:
            terms_of(state)[slot, Terms.STAGE] = share + more
            left -= more
        slot = orders[slot]["next"]
    return left


@kernel
def _proportion(offered: int, part: int, whole: int) -> int:
    """`offered * part // whole` for quantities up to 10**12, whose product does not fit an int64."""
    result, remainder = 0, 0
    for bit in range(40, -1, -1):
        result, remainder = 2 * result, 2 * remainder
        if (offered >> bit) & 1:
            remainder += part
        result += remainder // whole
        remainder %= whole
    return result


@kernel
def _allocate(state: np.ndarray, auction: int) -> int:
    """Give every bid its share, into its STAGE; returns the worst accepted price, fen (NONE: nothing sells)."""
    orders = orders_of(state)
    offered = orders[auction]["leaves_qty"]
    rules = rules_of(state)[orders[auction]["instrument"]]
    slot, total = orders[auction]["next"], 0
    while slot != NIL:
        total += orders[slot]["leaves_qty"]
        terms_of(state)[slot, Terms.STAGE] = 0
        slot = orders[slot]["next"]
    if rules[Rule.AUCTION_ALL_OR_NOTHING] == 1 and total < offered:
        return NONE
    pro_rata, worst = rules[Rule.AUCTION_MARGIN] == Margin.PRO_RATA, NONE
    slot, left = orders[auction]["next"], offered
    while slot != NIL:
        left_before = left
        left = _share_group(state, slot, left, pro_rata, rules[Rule.AUCTION_LOT_T])
        price = orders[slot]["price_fen"]
        if left < left_before:
            worst = price
        while slot != NIL and orders[slot]["price_fen"] == price:
            slot = orders[slot]["next"]
    return worst


@kernel
def _settle(state: np.ndarray, events: np.ndarray, ask: Ask, auction: int) -> None:
    """Trades, then what was not accepted, then the applications, then the result."""
    orders = orders_of(state)
    order = orders[auction]
    instrument = order["instrument"]
    worst = _allocate(state, auction)
    uniform = rules_of(state)[instrument, Rule.AUCTION_PRICING] == Pricing.UNIFORM
    sold, value = 0, 0
    slot = order["next"]
    while slot != NIL:
        share = terms_of(state)[slot, Terms.STAGE]
        if share > 0:
            price = worst if uniform else orders[slot]["price_fen"]
            trade_living(state, events, ask, slot, auction, TradingMode.AUCTION, price, share)
            sold, value = sold + share, value + price * share
        slot = orders[slot]["next"]
    slot = order["next"]
    while slot != NIL:
        behind = orders[slot]["next"]
        if orders[slot]["leaves_qty"] > 0:
            remove(state, events, ask, slot, EventKind.CANCELED)
        else:
            free_slot(state, slot, True)
        slot = behind
    slot = order["prev"]
    while slot != NIL:
        behind = orders[slot]["next"]
        remove(state, events, ask, slot, EventKind.CANCELED)
        slot = behind
    hold_entry(state, auction, -order["leaves_qty"])
    row = emit_order(state, events, ask, EventKind.SETTLED, auction)
    events[row]["price_fen"] = worst
    events[row]["qty"] = sold
    events[row]["amount_fen"] = value
    free_slot(state, auction, True)
