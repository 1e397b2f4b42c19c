"""Auctions as arithmetic: the one price of a call auction and the shares of a one-way one, against what must hold.

Nothing here computes a price or a share: every test says what no right answer may violate.
"""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.codes import Margin
from engine.reference.auctions import Bid, CallPrice, allocate, call_price
from tests.property.auditor import check_shares, matched

DEPTH = 24
"""Prices lie on so many ticks."""

Levels = dict[int, int]
Book = tuple[Levels, Levels, int, int]


@st.composite
def books(draw: st.DrawFn) -> Book:
    """Bids and asks by limit, a reference price on the tick, and the tick."""
    tick = draw(st.sampled_from([1, 1, 2, 5]))
    prices = st.integers(1, DEPTH).map(lambda n: n * tick)
    side = st.dictionaries(prices, st.integers(1, 9), max_size=6)
    return draw(side), draw(side), draw(prices), tick


def volume_and_surplus(book: Book, price: int) -> tuple[int, int]:
    bids, asks, _, _ = book
    return matched(list(bids.items()), list(asks.items()), price)


def every_price(book: Book) -> range:
    """Every tick at which anything could trade, and one beyond either end."""
    return range(0, (DEPTH + 2) * book[3], book[3])


@given(books())
def test_a_call_auction_has_a_price_where_anything_can_trade_and_only_there(book: Book) -> None:
    point = call_price(*book)
    tradable = any(volume_and_surplus(book, price)[0] for price in every_price(book))
    assert (point is not None) == tradable


@given(books())
def test_a_call_price_lies_on_the_tick_between_the_best_limits_and_tells_what_trades_there(book: Book) -> None:
    point = call_price(*book)
    if point:
        bids, asks, _, tick = book
        assert point.price % tick == 0
        assert min(asks) <= point.price <= max(bids)
        assert (point.volume, point.surplus) == volume_and_surplus(book, point.price)


@given(books())
def test_no_other_price_of_a_call_auction_trades_more_or_as_much_with_less_left_over(book: Book) -> None:
    point = call_price(*book)
    for price in every_price(book) if point else ():
        volume, surplus = volume_and_surplus(book, price)
        assert volume <= point.volume
        assert volume < point.volume or abs(surplus) >= abs(point.surplus)


def equals(book: Book, point: CallPrice) -> dict[int, int]:
    """Surplus by price where as much trades and as little is left over as at `point`."""
    found = {price: volume_and_surplus(book, price) for price in every_price(book)}
    return {
        price: surplus
        for price, (volume, surplus) in found.items()
        if (volume, abs(surplus)) == (point.volume, abs(point.surplus))
    }


@given(books())
def test_buyers_left_over_raise_the_call_price_sellers_lower_it_and_else_it_stays_near_the_reference(
    book: Book,
) -> None:
    point = call_price(*book)
    if point:
        same = equals(book, point)
        if min(same.values()) > 0:
            assert point.price == max(same)
        elif max(same.values()) < 0:
            assert point.price == min(same)
        else:
            assert abs(point.price - book[2]) == min(abs(price - book[2]) for price in same)


@given(books())
def test_a_call_auction_seen_from_the_other_side_trades_as_much(book: Book) -> None:
    bids, asks, reference, tick = book
    top = (DEPTH + 1) * tick
    seen = call_price(
        {top - price: qty for price, qty in asks.items()}, {top - price: qty for price, qty in bids.items()},
        top - reference, tick,
    )  # fmt: skip
    point = call_price(*book)
    assert (point is None) == (seen is None)
    if point and seen:
        assert (seen.volume, abs(seen.surplus)) == (point.volume, abs(point.surplus))
        same = equals(book, point)
        if min(same.values()) > 0 or max(same.values()) < 0:
            assert top - seen.price == point.price


@given(books(), st.integers(2, 50))
def test_prices_and_quantities_in_another_unit_change_nothing_else(book: Book, unit: int) -> None:
    bids, asks, reference, tick = book
    scaled = call_price(
        {unit * price: 7 * qty for price, qty in bids.items()}, {unit * price: 7 * qty for price, qty in asks.items()},
        unit * reference, unit * tick,
    )  # fmt: skip
    point = call_price(*book)
    assert scaled == (point and CallPrice(unit * point.price, 7 * point.volume, 7 * point.surplus))


@given(books(), st.integers(1, DEPTH), st.integers(1, 9))
def test_one_more_bid_never_lowers_what_a_call_auction_trades(book: Book, level: int, qty: int) -> None:
    bids, asks, reference, tick = book
    before, price = call_price(*book), level * tick
    after = call_price({**bids, price: bids.get(price, 0) + qty}, asks, reference, tick)
    traded = before.volume if before else 0
    assert traded <= (after.volume if after else 0) <= traded + qty


Auction = tuple[list[Bid], int, Margin, int, bool]


@st.composite
def auctions(draw: st.DrawFn, *, least: bool = True, whole: bool = True) -> Auction:
    """Bids best first, the offer, who is served at the margin, the lot, and whether all or nothing sells."""
    lot = draw(st.sampled_from([1, 1, 2, 10]))
    qty = st.integers(1, 6).map(lambda n: n * lot)
    found = []
    for price, amount, share in draw(st.lists(st.tuples(st.integers(1, 3), qty, st.integers(0, 9)), max_size=8)):
        found.append(Bid(price, amount, min(share * lot, amount) if least and share < 6 else 0))
    found.sort(key=lambda bid: -bid.price)
    offered = draw(st.integers(1, 30 * lot))
    return found, offered, draw(st.sampled_from(Margin)), lot, draw(st.booleans()) if whole else False


def shares_of(auction: Auction) -> list[int]:
    bids, offered, margin, lot, whole = auction
    return allocate(bids, offered, margin, lot, all_or_nothing=whole)


@given(auctions())
def test_shares_stay_within_offer_and_bids_pass_nobody_over_and_keep_their_proportion(auction: Auction) -> None:
    bids, offered, margin, lot, whole = auction
    asked = [(bid.price, bid.qty, bid.min_qty) for bid in bids]
    check_shares(asked, shares_of(auction), offered, margin, lot, whole=whole)


@given(auctions(least=False))
def test_without_least_quantities_everything_sells_that_is_bid_for(auction: Auction) -> None:
    bids, offered, _, _, whole = auction
    wanted = sum(bid.qty for bid in bids)
    expected = 0 if whole and wanted < offered else min(wanted, offered)
    assert sum(shares_of(auction)) == expected


@given(auctions(least=False, whole=False))
def test_only_one_price_is_served_in_part(auction: Auction) -> None:
    bids, shares = auction[0], shares_of(auction)
    in_part = {bid.price for bid, share in zip(bids, shares, strict=True) if share < bid.qty}
    for bid, share in zip(bids, shares, strict=True):
        if in_part and bid.price < max(in_part):
            assert share == 0
        if bid.price not in in_part:
            assert share == bid.qty


@given(auctions(least=False, whole=False))
def test_of_equal_bids_the_earlier_one_gets_no_less(auction: Auction) -> None:
    served = list(zip(auction[0], shares_of(auction), strict=True))
    for (bid, share), (later, less) in pairwise(served):
        assert bid != later or share >= less


@given(auctions(least=False, whole=False))
def test_in_proportion_every_share_but_the_left_over_lots_is_whole_lots_of_the_exact_one(auction: Auction) -> None:
    bids, offered, _, lot, _ = auction
    shares = allocate(bids, offered, Margin.PRO_RATA, lot, all_or_nothing=False)
    left = offered
    for price in dict.fromkeys(bid.price for bid in bids):
        group = [(bid.qty, share) for bid, share in zip(bids, shares, strict=True) if bid.price == price]
        wanted = sum(qty for qty, _ in group)
        if left < wanted:
            for qty, share in group:
                assert (share + lot) * wanted > left * qty
                assert (share - lot * len(group)) * wanted < left * qty
            # Whoever has more than whole lots of his proportion is served in full, but for one where it ends.
            more = [qty - share for qty, share in group if share > left * qty // wanted // lot * lot]
            assert sum(missing > 0 for missing in more) <= 1
        left -= min(left, wanted)


@given(auctions(), st.integers(1, 40))
def test_a_larger_offer_never_sells_less_in_order_of_time_without_least_quantities(auction: Auction, more: int) -> None:
    bids = [Bid(bid.price, bid.qty, 0) for bid in auction[0]]
    small = allocate(bids, auction[1], Margin.TIME, auction[3], all_or_nothing=False)
    large = allocate(bids, auction[1] + more, Margin.TIME, auction[3], all_or_nothing=False)
    assert all(a <= b for a, b in zip(small, large, strict=True))


@given(auctions())
def test_all_or_nothing_changes_nothing_once_the_bids_reach_the_offer(auction: Auction) -> None:
    bids, offered, margin, lot, _ = auction
    if sum(bid.qty for bid in bids) >= offered:
        both = [allocate(bids, offered, margin, lot, all_or_nothing=whole) for whole in (False, True)]
        assert both[0] == both[1]
