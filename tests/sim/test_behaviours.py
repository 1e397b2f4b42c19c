"""Single behaviours against numbers worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from engine.codes import EventKind, Side, TradingMode
from sim import information
from sim.behaviours import approval, buying, listing, market_making, noise, reservation, speculation
from sim.floor import Floor
from sim.information import NEVER, Today
from sim.parameters import load_parameters
from sim.population import draw_population
from sim.season import load_season
from sim.world import World
from tests.sim.small import small

P = load_parameters()
PLAN = load_season("cea-2021")


def today(days_to_deadline: int, unease: float = 1.0) -> Today:
    news = replace(information.news(PLAN, P, np.datetime64("2021-12-01"), 0), days_to_deadline=days_to_deadline)
    return Today(news, close_fen=5_000, low_fen=4_500, high_fen=5_500, reference_fen=5_000.0, unease=unease)


def test_no_office_that_has_begun_misses_the_legal_deadline() -> None:
    """At least 1 / (1 + days left) of the work a day: from any day on that comes to a whole by the deadline."""
    people = draw_population(small("tjea-2014", firms=50), P, 1)
    slow = replace(people, approval_days=np.full(len(people.approval_days), 1_000.0))
    known = np.ones(len(people.emissions_t), bool)
    for begins in (0, 3, 30):
        progress = np.zeros(len(known))
        for left in range(begins, -1, -1):
            progress += approval.buyer_step(slow, P, today(left).news, known)
        assert (progress >= 1).all()
    unknown = approval.buyer_step(slow, P, today(0).news, ~known)
    assert (unknown == 1 / 1_000).all(), "who does not know its need has no reason to hurry"


def test_on_the_deadline_nobody_stops_below_what_the_average_firm_pays() -> None:
    values, level = np.array([2_000.0, 5_000.0, 9_000.0]), 5_000.0
    most = 1 + P.deadline_willingness
    last = reservation.buyer_limit_fen(values, level, P, today(0).news)
    assert last.tolist() == pytest.approx([5_000 * most, 5_000 * most, 9_000 * most])
    far = reservation.buyer_limit_fen(values, level, P, today(NEVER).news)
    assert far == pytest.approx(values, rel=1e-3)


def test_buyers_are_at_the_screen_when_the_deadline_is_there() -> None:
    assert buying.attention(P, today(NEVER)) == pytest.approx(P.buying_attention, abs=1e-3)
    assert buying.attention(P, today(0)) == 1.0


def test_buyers_disagree_more_when_the_price_has_moved() -> None:
    scatter, most = np.array([0.5]), np.array([5_600.0])
    calm, uneasy = (buying.screen_limits_fen(P, today(NEVER, unease), most, scatter)[0] for unease in (1.0, 1.5))
    assert calm == pytest.approx(5_000 * np.exp(0.5 * P.quote_scatter), rel=0.01)
    assert uneasy - 5_000 > 1.4 * (calm - 5_000)


def test_clicks_of_no_importance_follow_the_moves_of_the_price() -> None:
    def clicks(unease: float) -> int:
        rng = np.random.default_rng(1)
        return sum(len(noise.day_clicks(P, today(NEVER, unease), np.arange(5), rng, 1_000)) for _ in range(400))

    assert clicks(2.0) == pytest.approx(2 * clicks(1.0), rel=0.1)


def _floor() -> Floor:
    world = World(small("bea-2014", firms=20), P, 1)
    world.port.roll(world.plan.days[0])
    return Floor(world.port, 0, world.plan.days[0])


def test_desks_leave_before_the_deadline_and_near_a_limit_and_stand_wider_when_the_price_has_moved() -> None:
    floor, desks = _floor(), np.arange(1_000)
    mood, none = (desks + 0.5) / 1_000, np.zeros(1_000)

    def quotes(now: Today) -> np.ndarray:
        return market_making.rows(P, now, floor, desks, none, mood)

    far, near, last = quotes(today(NEVER)), quotes(today(round(P.urgency_days))), quotes(today(0))
    assert [len(rows) for rows in (far, near, last)] == [pytest.approx(2_000, rel=0.01), 1_000, 0]
    spread = [
        int(rows["price_fen"][rows["side"] == Side.SELL][0]) - int(rows["price_fen"][rows["side"] == Side.BUY][0])
        for rows in (far, quotes(today(NEVER, 2.0)))
    ]
    assert spread[1] == pytest.approx(2 * spread[0], rel=0.1), "to a tick"
    assert len(quotes(replace(today(NEVER), high_fen=5_050))) == 0


def test_buyers_show_less_of_their_need_the_nearer_the_deadline() -> None:
    floor, need = _floor(), np.array([1_000])
    shown = [
        int(buying.rows(P, today(left), floor, np.array([3]), np.array([4_800.0]), need)[1]["qty"][0])
        for left in (NEVER, round(P.urgency_days), 0)
    ]
    assert shown == [round(1_000 * P.listing_size_share), round(500 * P.listing_size_share), 1]


@pytest.mark.parametrize("name", ["cea-2021", "hbea-2017"])
def test_a_buyer_never_has_two_bids_standing(name: str) -> None:
    """Nor a bid and a block for the same need, so that nobody can be sold more than it asked for. From the tape."""
    quiet = load_parameters(load_season(name).parameters, activity=0.0, speculators=0)
    plan = small(name, firms=80)
    tape = World(plan, quiet, 1).run().events
    standing: dict[int, int] = {}
    bids = blocks = 0
    for event in tape[tape["instrument"] == plan.instrument(plan.product.symbol)]:
        kind, order, other = event["kind"], int(event["order_id"]), int(event["contra_id"])
        if kind == EventKind.ACCEPTED and event["side"] == Side.BUY:
            assert event["account"] not in standing.values()
            if event["mode"] == TradingMode.BLOCK:
                blocks += 1
            else:
                standing[order] = int(event["account"])
                bids += 1
        elif kind in (EventKind.CANCELED, EventKind.EXPIRED) or (kind == EventKind.TRADE and event["leaves_qty"] == 0):
            standing.pop(order, None)
        if kind == EventKind.TRADE and event["contra_leaves_qty"] == 0:
            standing.pop(other, None)
    assert bids > 100
    assert blocks > 10 or name == "hbea-2017", "which has no such mode"


def test_who_gains_much_or_cannot_wait_does_not_hold_back() -> None:
    """In a market that has risen by half, a quarter of the usual sellers list, or all of them; on the last day all."""
    floor, count = _floor(), 1_000
    risen = replace(today(NEVER), reference_fen=5_000 / 1.5)
    sellers, all_ready = listing.Sellers(count), np.ones(count, bool)
    sellers.quote_fen[:] = 5_400.0
    attention, for_sale = (np.arange(count) + 0.5) / count, np.full(count, 10)

    def listed(floor_fen: float, haste: float = 0.0) -> int:
        floors, hastes = np.full(count, floor_fen), np.full(count, haste)
        return len(sellers.rows(P, risen, floor, all_ready, for_sale, floors, hastes, attention))

    usual = round(count * P.listing_attention)
    assert listed(5_000.0) == pytest.approx(usual * P.withholding_least, abs=1)
    assert listed(5_000 / np.exp(P.concession_scale * 0.8)) == pytest.approx(usual * 0.8**2, abs=1)
    assert listed(5_000 / np.exp(P.concession_scale)) == usual
    assert listed(5_000.0, haste=1.0) == count


def test_units_that_nobody_will_want_are_shown_whole_and_cheaper_on_their_last_day() -> None:
    floor, people = _floor(), draw_population(small("tjea-2014", firms=50), P, 1)
    count = len(people.emissions_t)
    ready, floors, mood = np.ones(count, bool), np.full(count, 1_000.0), np.full(count, 0.9)
    for haste in (0.0, 1.0):
        sellers, hastes = listing.Sellers(count), np.full(count, haste)
        sellers.quote_fen[:] = 5_400.0
        sellers.quotes(people, P, today(NEVER), ready, floors, hastes, mood)
        assert (sellers.quote_fen < 5_400).all() == (haste == 1)
        rows = sellers.rows(P, today(NEVER), floor, ready, np.full(count, 10), floors, hastes, np.zeros(count))
        assert (rows["qty"] == (10 if haste else np.ceil(10 * P.listing_size_share))).all()


def test_a_firm_waits_for_offsets_for_a_share_of_the_days_that_it_had() -> None:
    world = World(small("sza-2017", firms=20), P, 1)
    first = world.plan.days[0]
    assert P.offset_patience == 0.5
    world._left_at_start[:] = np.repeat([40, 22], [1, len(world._left_at_start) - 1])

    def waits(left: int) -> np.ndarray:
        return world._waits_for_offsets(replace(information.news(world.plan, P, first, 0), days_to_deadline=left))

    assert waits(21).all()
    assert waits(20).tolist() == [False] + [True] * (world.count - 1)
    assert not waits(11).any()


def test_who_has_its_allowances_takes_offsets_where_they_are_cheaper() -> None:
    """A firm without need pays an offset's usual value at most, one that is short what an allowance costs."""
    world = World(small("sza-2017", firms=60), P, 1)
    day = world.plan.days[0]
    world._today, world._known[:] = day, True
    number, market = next(iter(world._offset_markets.items()))
    assert world._eligible(number, day)
    wants = world._offset_wants(market, information.news(world.plan, P, day, 0), 4_000)
    short, firms = world._short_t() > 0, (world.people.emissions_t > 0) & ~world.people.unresponsive
    assert 0 < short[firms].sum() < firms.sum()
    assert (wants.position_t[firms] == -world.people.offset_cap_t[firms]).all(), "up to the cap, short or not"
    assert set(wants.most_fen[firms & short]) == {4_000.0}
    assert set(wants.most_fen[firms & ~short]) == {4_000 * P.offset_value}


def test_speculators_differ_in_where_the_price_goes_and_concede_half_of_the_way() -> None:
    """The close is 10 % above its monthly mean: without errors each even number buys and each odd one sells."""
    p, high, who = load_parameters(activity=1.0, speculator_attention=1.0), 10_000.0, np.arange(4)
    risen = replace(today(NEVER), reference_fen=5_000 / 1.1, low_fen=1, high_fen=100_000)
    holds, most, mood, agreed = np.array([0, 0, 0, 700]), np.full(4, high), np.zeros(4), np.zeros(4)
    buyers, sellers, limits = speculation.wishes(p, risen, who, holds, most, mood, agreed)
    assert (buyers.tolist(), sellers.tolist()) == ([0, 2], [3]), "number 1 has nothing to sell"
    assert limits[[0, 3]] == pytest.approx([5_000 * 1.1**0.5, 5_000 / 1.1**0.5])
    error = np.array([-2.0, 0.0, 0.0, 2.0])
    buyers, sellers, limits = speculation.wishes(p, risen, who, holds, most, mood, error)
    assert (buyers.tolist(), sellers.tolist()) == ([2, 3], []), "an error larger than the move turns the view round"
    assert limits[3] == pytest.approx(5_000 * np.exp((2 * P.quote_scatter - np.log(1.1)) / 2))
    buyers, _, _ = speculation.wishes(p, risen, who, holds, np.full(4, 4_000.0), mood, agreed)
    assert buyers.tolist() == [], "nobody bets on a rise above what a unit can be worth"


@pytest.mark.parametrize("name", ["gdea-2017", "fjea-2017"])
def test_speculators_never_leave_a_bid_above_an_offer(name: str) -> None:
    """On screens where orders do not cross by themselves: who could take does, on whichever side it comes second."""
    plan = small(name, 60, "2016-12-23" if name == "gdea-2017" else "2017-01-03", "2017-03-31")
    p = load_parameters(plan.parameters, speculators=60, speculator_attention=1.0, activity=1.0)
    spread_fen = World(plan, p, 1).run().days["spread_fen"]
    assert np.isfinite(spread_fen).sum() > 30
    assert np.nanmin(spread_fen) >= 0
