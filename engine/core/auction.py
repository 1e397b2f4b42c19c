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
from engine.core.state import NIL, Ask, Order, orders_of, rules_of
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
    order[Order.STAGE] = stage
    order[Order.BOUND] = ask.limit_price_fen
    order[Order.NEXT] = NIL
    order[Order.PREV] = NIL
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
    value, bp = order[Order.PRICE] * qty, rules_of(state)[order[Order.INSTRUMENT], Rule.AUCTION_DEPOSIT_BP]
    return value // BASIS * bp + (value % BASIS * bp + BASIS - 1) // BASIS


@kernel
def apply_for(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """APPLY: freeze the deposit; applications stand in the order in which they came."""
    orders, auction = orders_of(state), slot_of(state, ask.target_id)
    instrument, side = orders[auction, Order.INSTRUMENT], opposite(orders[auction, Order.SIDE])
    slot = place(
        state, ask, Role.APPLICATION, instrument, side, TradingMode.AUCTION, orders[auction, Order.PRICE], ask.qty
    )  # fmt: skip
    amount = deposit(state, auction, ask.qty)
    orders[slot, Order.CONTRA] = ask.target_id
    orders[slot, Order.BOUND] = amount
    orders[slot, Order.NEXT] = NIL
    last = orders[auction, Order.PREV]
    if last == NIL:
        orders[auction, Order.PREV] = slot
    else:
        while orders[last, Order.NEXT] != NIL:
            last = orders[last, Order.NEXT]
        orders[last, Order.NEXT] = slot
    hold_cash(state, ask.account, instrument, amount)
    row = emit_order(state, events, ask, EventKind.APPLIED, slot)
    events[row]["contra_id"] = ask.target_id
    events[row]["amount_fen"] = amount


@kernel
def own_bid(state: np.ndarray, auction: int, account: int) -> int:
    """Slot of the account's best bid; NIL when it has none."""
    orders = orders_of(state)
    slot = orders[auction, Order.NEXT]
    while slot != NIL and orders[slot, Order.ACCOUNT] != account:
        slot = orders[slot, Order.NEXT]
    return slot


@kernel
def _unchain(state: np.ndarray, auction: int, bid: int) -> None:
    """Take one bid out of the auction's list."""
    orders = orders_of(state)
    before = auction
    while orders[before, Order.NEXT] != bid:
        before = orders[before, Order.NEXT]
    orders[before, Order.NEXT] = orders[bid, Order.NEXT]


@kernel
def bid(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """BID: freeze, and stand in the list by price, then time. A new bid for a whole lot takes the place of the old."""
    orders, auction = orders_of(state), slot_of(state, ask.target_id)
    instrument, side = orders[auction, Order.INSTRUMENT], opposite(orders[auction, Order.SIDE])
    if rules_of(state)[instrument, Rule.AUCTION_LOTS] == Lots.WHOLE:
        old = own_bid(state, auction, ask.account)
        if old != NIL:
            _unchain(state, auction, old)
            remove(state, events, ask, old, EventKind.CANCELED)
    slot = place(
        state, ask, Role.BID, instrument, side, TradingMode.AUCTION, ask.price_fen, ask.qty
    )  # fmt: skip
    orders[slot, Order.CONTRA] = ask.target_id
    orders[slot, Order.BOUND] = max(ask.min_qty, 0)
    hold_entry(state, slot, ask.qty)
    before = auction
    behind = orders[before, Order.NEXT]
    while behind != NIL and not is_better(side, ask.price_fen, orders[behind, Order.PRICE]):
        before, behind = behind, orders[behind, Order.NEXT]
    orders[slot, Order.NEXT] = behind
    orders[before, Order.NEXT] = slot
    row = emit_order(state, events, ask, EventKind.ACCEPTED, slot)
    events[row]["contra_id"] = ask.target_id


@kernel
def applied_qty(state: np.ndarray, auction: int, account: int) -> int:
    """Quantity that `account` (NONE: everybody) has applied for, t."""
    orders = orders_of(state)
    slot, total = orders[auction, Order.PREV], 0
    while slot != NIL:
        if account == NONE or orders[slot, Order.ACCOUNT] == account:
            total += orders[slot, Order.LEAVES]
        slot = orders[slot, Order.NEXT]
    return total


@kernel
def end_stage(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """END_STAGE: the share of the applications that is released goes on to bidding; the last stage settles."""
    auction = slot_of(state, ask.target_id)
    order = orders_of(state)[auction]
    instrument, stage = order[Order.INSTRUMENT], order[Order.STAGE]
    rules = rules_of(state)[instrument]
    goes_on = stage == Stage.APPLICATION or (stage == Stage.BIDDING and has_stage(state, instrument, Stage.TIMED))
    if stage == Stage.APPLICATION:
        applied, bp = applied_qty(state, auction, NONE), rules[Rule.AUCTION_RELEASE_BP]
        released = applied // BASIS * bp + applied % BASIS * bp // BASIS
        released = released // rules[Rule.LOT_T] * rules[Rule.LOT_T]
        kept_back = order[Order.LEAVES] - min(released, order[Order.LEAVES])
        hold_entry(state, auction, -kept_back)
        order[Order.LEAVES] -= kept_back
    if goes_on and order[Order.LEAVES] > 0:
        order[Order.STAGE] = stage + 1
        row = emit_order(state, events, ask, EventKind.STAGE_ENDED, auction)
        events[row]["flags"] = stage + 1
    else:
        _settle(state, events, ask, auction)


@kernel
def _group_qty(state: np.ndarray, first: int) -> int:
    """Quantity of all bids at the price of `first`, t."""
    orders = orders_of(state)
    slot, total, price = first, 0, orders[first, Order.PRICE]
    while slot != NIL and orders[slot, Order.PRICE] == price:
        total += orders[slot, Order.LEAVES]
        slot = orders[slot, Order.NEXT]
    return total


@kernel
def _share_group(state: np.ndarray, first: int, left: int, pro_rata: bool, lot: int) -> int:
    """Allocate at one price, into STAGE of each bid; returns what is left, t."""
    orders = orders_of(state)
    price, wanted, offered = orders[first, Order.PRICE], _group_qty(state, first), left
    slot = first
    while slot != NIL and orders[slot, Order.PRICE] == price:
        share = 0
        if pro_rata and wanted > offered:
            share = _proportion(offered, orders[slot, Order.LEAVES], wanted) // lot * lot
            if share < orders[slot, Order.BOUND]:
                share = 0
        orders[slot, Order.STAGE] = share
        left -= share
        slot = orders[slot, Order.NEXT]
    slot = first
    while slot != NIL and orders[slot, Order.PRICE] == price:
        share = orders[slot, Order.STAGE]
        more = min(left, orders[slot, Order.LEAVES] - share)
        if share + more >= orders[slot, Order.BOUND]:
            orders[slot, Order.STAGE] = share + more
            left -= more
        slot = orders[slot, Order.NEXT]
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
    offered = orders[auction, Order.LEAVES]
    rules = rules_of(state)[orders[auction, Order.INSTRUMENT]]
    slot, total = orders[auction, Order.NEXT], 0
    while slot != NIL:
        total += orders[slot, Order.LEAVES]
        orders[slot, Order.STAGE] = 0
        slot = orders[slot, Order.NEXT]
    if rules[Rule.AUCTION_ALL_OR_NOTHING] == 1 and total < offered:
        return NONE
    pro_rata, worst = rules[Rule.AUCTION_MARGIN] == Margin.PRO_RATA, NONE
    slot, left = orders[auction, Order.NEXT], offered
    while slot != NIL:
        left_before = left
        left = _share_group(state, slot, left, pro_rata, rules[Rule.AUCTION_LOT_T])
        price = orders[slot, Order.PRICE]
        if left < left_before:
            worst = price
        while slot != NIL and orders[slot, Order.PRICE] == price:
            slot = orders[slot, Order.NEXT]
    return worst


@kernel
def _settle(state: np.ndarray, events: np.ndarray, ask: Ask, auction: int) -> None:
    """Trades, then what was not accepted, then the applications, then the result."""
    orders = orders_of(state)
    order = orders[auction]
    instrument = order[Order.INSTRUMENT]
    worst = _allocate(state, auction)
    uniform = rules_of(state)[instrument, Rule.AUCTION_PRICING] == Pricing.UNIFORM
    sold, value = 0, 0
    slot = order[Order.NEXT]
    while slot != NIL:
        share = orders[slot, Order.STAGE]
        if share > 0:
            price = worst if uniform else orders[slot, Order.PRICE]
            trade_living(state, events, ask, slot, auction, TradingMode.AUCTION, price, share)
            sold, value = sold + share, value + price * share
        slot = orders[slot, Order.NEXT]
    slot = order[Order.NEXT]
    while slot != NIL:
        behind = orders[slot, Order.NEXT]
        if orders[slot, Order.LEAVES] > 0:
            remove(state, events, ask, slot, EventKind.CANCELED)
        else:
            free_slot(state, slot, True)
        slot = behind
    slot = order[Order.PREV]
    while slot != NIL:
        behind = orders[slot, Order.NEXT]
        remove(state, events, ask, slot, EventKind.CANCELED)
        slot = behind
    hold_entry(state, auction, -order[Order.LEAVES])
    row = emit_order(state, events, ask, EventKind.SETTLED, auction)
    events[row]["price_fen"] = worst
    events[row]["qty"] = sold
    events[row]["amount_fen"] = value
    free_slot(state, auction, True)
