"""Auctions as arithmetic: the one price of a call auction, and the shares of a one-way auction. No state in here.

Prices in fen, quantities in t.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.codes import Margin, Side


@dataclass(frozen=True)
class CallPrice:
    """At `price` `volume` trades; `surplus` more is bid (positive) or asked (negative) there."""

    price: int
    volume: int
    surplus: int


def call_price(bids: dict[int, int], asks: dict[int, int], reference: int, tick: int) -> CallPrice | None:
    """The price of a call auction, or None when nothing can trade.

    `bids` and `asks` are quantities by limit price. Of all prices on the tick: largest volume; then smallest surplus;
    then market pressure (all remaining have buyers left over: the highest; sellers: the lowest); else the one nearest
    to the reference price.
    """
    if not bids or not asks or max(bids) < min(asks):
        return None
    found = []
    for price in range(min(asks), max(bids) + 1, tick):
        demand = sum(qty for limit, qty in bids.items() if limit >= price)
        supply = sum(qty for limit, qty in asks.items() if limit <= price)
        found.append(CallPrice(price, min(demand, supply), demand - supply))
    most = max(point.volume for point in found)
    found = [point for point in found if point.volume == most]
    least = min(abs(point.surplus) for point in found)
    found = [point for point in found if abs(point.surplus) == least]
    if all(point.surplus > 0 for point in found):
        return found[-1]
    if all(point.surplus < 0 for point in found):
        return found[0]
    return min(found, key=lambda point: abs(point.price - reference))


@dataclass(frozen=True)
class Bid:
    """One bid of a one-way auction, t; `min_qty` 0 = takes any part."""

    price: int
    qty: int
    min_qty: int


def allocate(bids: Sequence[Bid], offered: int, margin: Margin, lot: int, *, all_or_nothing: bool) -> list[int]:
    """What each bid gets, t. `bids` stand best first, and of one price oldest first.

    A bid that would get less than its `min_qty` gets nothing. Under `PRO_RATA` the bids of the price at which the offer
    runs out share in proportion, in whole lots, and what division leaves over goes to them by time.
    """
    if all_or_nothing and sum(bid.qty for bid in bids) < offered:
        return [0] * len(bids)
    shares, left = [0] * len(bids), offered
    for price in dict.fromkeys(bid.price for bid in bids):
        group = [n for n, bid in enumerate(bids) if bid.price == price]
        wanted = sum(bids[n].qty for n in group)
        if margin == Margin.PRO_RATA and wanted > left:
            for n in group:
                share = left * bids[n].qty // wanted // lot * lot
                shares[n] = share if share >= bids[n].min_qty else 0
            left -= sum(shares[n] for n in group)
        for n in group:
            more = min(left, bids[n].qty - shares[n])
            if shares[n] + more >= bids[n].min_qty:
                shares[n] += more
                left -= more
    return shares


def best_first(side: int, price: int) -> int:
    """Sort key of bids on `side`: buyers from the highest price, sellers from the lowest."""
    return -price if side == Side.BUY else price
