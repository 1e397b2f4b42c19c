"""Sales by the government: floors from notices and from the screen, sealed bids of firms that are short, the rest."""

import datetime as dt

import msgspec
import numpy as np
import pytest

from engine.codes import EventKind, Phase, TradingMode
from engine.venue import open_engine
from sim.facts import Sale
from sim.government import floor_fen, hold_sale
from sim.parameters import load_parameters
from sim.port import GOVERNMENT, Port
from sim.result import DAY, SaleResult, Season
from sim.season import load_season
from sim.world import World
from tests.sim.small import (
    SEASONS,
    buyers_of,
    days_of,
    mean_fen,
    run,
    sellers_of,
    shared,
    slow_without_compiler,
    small,
    tape,
    trades_of,
)

SALE = Sale(
    date=dt.date(2017, 6, 30), known_from=dt.date(2017, 6, 12), title="Sale", title_zh="有偿发放", source="made up",
    symbol="SHEAA17", offered_t=1_000, floor_cny=20.0,
)  # fmt: skip
SHANGHAI = ("shea-2017", 150, "2017-03-20", "2017-07-12")


def days(*prices: int) -> np.ndarray:
    """DAY rows of 10 t each at these prices in fen, from 2017-06-01 on."""
    table = np.zeros(len(prices), DAY)
    table["date"] = np.datetime64("2017-06-01") + np.arange(len(prices))
    table["listed_qty_t"], table["listed_value_fen"] = 10, 10 * np.array(prices)
    table["close_fen"] = prices
    return table


def test_a_floor_is_the_notices_or_a_multiple_of_the_mean_up_to_its_cap() -> None:
    assert floor_fen(SALE, days(1_000)) == 2_000
    multiple = msgspec.structs.replace(SALE, floor_cny=None, floor_multiple=1.2)
    assert floor_fen(multiple, days(1_000, 2_000)) == 1_800
    later = msgspec.structs.replace(multiple, floor_from=dt.date(2017, 6, 2))
    assert floor_fen(later, days(1_000, 2_000)) == 2_400
    capped = msgspec.structs.replace(later, floor_cap_cny=21.5)
    assert floor_fen(capped, days(1_000, 2_000)) == 2_150
    on_the_day = msgspec.structs.replace(multiple, date=dt.date(2017, 6, 2))
    assert floor_fen(on_the_day, days(1_000, 2_000)) == 1_200, "the day of the sale itself does not count"


def sell(
    sale: Sale, need: list[int], most_fen: list[float], mood: list[float], *, shading: float = 0.0
) -> tuple[SaleResult, list[tuple[int, int, int]], Port]:
    """(result, (participant, price, tonnes) of the trades, the port) of a sale in Shanghai on its day."""
    plan = small("shea-2017", firms=10)
    port = Port(plan.book, open_engine(plan.book))
    port.open_accounts(np.full(len(need), -1), np.zeros(len(need), np.int64))
    day = np.datetime64(sale.date)
    port.roll(day)
    for phase in port.phases(day):
        port.enter_phase(phase)
        if phase["phase"][0] == Phase.MORNING:
            break
    p = load_parameters(bid_shading=shading)
    over_all = (np.array(need), np.array(most_fen), np.array(mood))
    result, trades = hold_sale(sale, port, plan.instrument(sale.symbol), p, day, days(2_000), *over_all)
    rows = zip(buyers_of(trades).tolist(), trades["price_fen"].tolist(), trades["qty"].tolist(), strict=True)
    return result, sorted(rows), port


def test_who_is_short_and_can_pay_the_floor_buys_and_the_rest_stays_with_the_government() -> None:
    result, trades, port = sell(SALE, [300, 0, 200, 100], [2_500.0, 9_000.0, 2_000.0, 1_999.0], [0.1, 0.2, 0.3, 0.4])
    assert [(who, qty) for who, _, qty in trades] == [(0, 300), (2, 200)]
    assert min(price for _, price, _ in trades) >= 2_000
    assert (result.offered_t, result.sold_t, result.reserve_fen, result.refused) == (1_000, 500, 2_000, "")
    assert port.totals()["SHEAA17"] == {
        "issued_t": 1_000, "held_t": 500, "surrendered_t": 0, "cancelled_t": 0, "unsold_t": 500,
    }  # fmt: skip
    assert port.totals()["cash"]["brought_in_fen"] == port.totals()["cash"]["in_accounts_fen"]


def test_the_best_bids_are_served_first_at_one_price() -> None:
    result, trades, _ = sell(SALE, [700, 700, 700], [2_100.0, 2_300.0, 2_200.0], [0.1, 0.2, 0.3])
    assert {who: qty for who, _, qty in trades} == {1: 700, 2: 300}
    assert len({price for _, price, _ in trades}) == 1
    assert result.sold_t == 1_000
    assert 2_000 <= result.price_fen <= 2_200


def test_a_bidder_takes_at_most_its_share_of_its_need() -> None:
    sale = msgspec.structs.replace(SALE, max_share_of_need=0.15)
    _, trades, _ = sell(sale, [1_000, 3], [3_000.0, 3_000.0], [0.1, 0.2])
    assert [(who, qty) for who, _, qty in trades] == [(0, 150)]


def test_bids_stay_below_the_limit_by_the_bidders_mood() -> None:
    _, trades, _ = sell(SALE, [10, 10], [2_100.0, 2_100.0], [0.0, 1.0], shading=0.1)
    assert [who for who, _, _ in trades] == [0], "the other one bids 1,890 fen, below the floor"


def test_without_a_bidder_all_is_left() -> None:
    result, trades, _ = sell(SALE, [0, 50], [3_000.0, 1_000.0], [0.1, 0.2])
    assert (result.sold_t, result.price_fen, trades) == (0, 0, [])


# -------------------------------------------------------------------------------------------------- in whole seasons


@pytest.mark.parametrize("name", [name for name in SEASONS if load_season(name).sales])
def test_every_sale_is_admitted_by_its_rulebook_on_its_day(name: str) -> None:
    for sale in load_season(name).sales:
        plan = load_season(name)
        port = Port(plan.book, open_engine(plan.book))
        day = np.datetime64(sale.date)
        assert day in plan.days, f"{sale.title} on a day without trading"
        port.open_accounts(np.full(1, -1), np.zeros(1, np.int64))
        _, opened = port.roll(day)
        for phase in port.phases(day):
            port.enter_phase(phase)
            if phase["phase"][0] == Phase.MORNING:
                break
        instrument = plan.instrument(sale.symbol)
        table = days(opened[instrument].close_fen)
        table["date"] = day - 1
        p = load_parameters()
        result, _ = hold_sale(sale, port, instrument, p, day, table, np.zeros(1, np.int64), np.zeros(1), np.zeros(1))
        assert result.refused == "", f"{name}, {day}"
        assert port.totals()[sale.symbol]["unsold_t"] == sale.offered_t


def _short_t(world: World, season: Season, sale: SaleResult) -> np.ndarray:
    """What each lacks on the morning of a sale, offsets apart, t."""
    people = world.people
    trades = trades_of(season, world.plan.instrument(world.plan.product.symbol))
    trades = trades[days_of(trades) < sale.date]
    short = people.duty_t - people.free_t - people.carried_t
    np.subtract.at(short, buyers_of(trades), trades["qty"])
    np.add.at(short, sellers_of(trades), trades["qty"])
    lacking: np.ndarray = np.maximum(0, short)
    return lacking


@slow_without_compiler
@pytest.mark.slow
def test_shanghais_sale_on_the_deadline_keeps_its_floor_and_is_surrendered_that_evening() -> None:
    # Nobody offers at a price that firms pay: else all who are short have bought by then.
    world, season = run(small(*SHANGHAI), 501, hoard_share=1.0, hoard_premium=5.0)
    (sale,) = season.sales
    number, main = world.plan.instrument("SHEAA17"), world.plan.instrument("SHEA")
    mean = mean_fen(trades_of(season, main), "2016-11-18", "2017-06-29")
    print(f"shea-2017: floor {sale.reserve_fen} fen, 1.2 x mean {1.2 * mean:.1f}; sold {sale.sold_t:,}")
    assert 0 <= sale.reserve_fen - min(1.2 * mean, 4_200) < 1
    trades = trades_of(season, number)
    assert sale.sold_t == trades["qty"].sum() > 0
    assert set(trades["mode"].tolist()) == {TradingMode.AUCTION}
    assert (trades["price_fen"] >= sale.reserve_fen).all()
    assert (_short_t(world, season, sale)[buyers_of(trades)] > 0).all()
    surrendered = tape(season)[(tape(season)["kind"] == EventKind.SURRENDERED) & (tape(season)["instrument"] == number)]
    assert set(days_of(surrendered).astype(str)) == {"2017-06-30"}
    assert surrendered["qty"].sum() == sale.sold_t
    assert season.accounts["SHEAA17"]["unsold_t"] == sale.offered_t - sale.sold_t


@slow_without_compiler
@pytest.mark.slow
def test_guangdongs_sale_has_its_floor_near_the_mean_of_its_window() -> None:
    world, season = shared("gdea-2017", 244, "2017-04-10", "2017-07-05")
    (sale,) = season.sales
    main = world.plan.instrument("GDEA")
    auction = trades_of(season, main)
    auction = auction[auction["mode"] == TradingMode.AUCTION]
    screen = trades_of(season, main)
    mean = mean_fen(screen[screen["mode"] != TradingMode.AUCTION], "2017-02-01", "2017-06-04")
    opening = int(season.days["prev_close_fen"][season.days["date"] == np.datetime64("2017-06-05")][0])
    print(f"gdea-2017: floor {sale.reserve_fen} fen, mean {mean:.1f}, opening {opening}; sold {sale.sold_t:,}")
    assert -1 <= sale.reserve_fen - np.clip(mean, 0.9 * opening, 1.1 * opening) <= 1
    assert auction["qty"].sum() == sale.sold_t == season.days["auction_qty_t"].sum()
    assert (auction["price_fen"] >= sale.reserve_fen).all()


@slow_without_compiler
@pytest.mark.slow
def test_shenzhens_firms_buy_at_most_15_percent_of_what_they_are_short() -> None:
    world, season = run(small("sza-2014", 250, "2014-04-21", "2014-07-04"))
    (sale,) = season.sales
    trades = trades_of(season, world.plan.instrument("SZAS13"))
    bought = np.zeros(len(world.people.duty_t), np.int64)
    np.add.at(bought, buyers_of(trades), trades["qty"])
    deficit = _short_t(world, season, sale)
    print(
        f"sza-2014: floor {sale.reserve_fen} fen; {sale.sold_t:,} of {sale.offered_t:,} t to {(bought > 0).sum()} firms"
    )
    assert sale.refused == ""
    assert sale.sold_t == bought.sum() > 0
    assert (bought <= 0.15 * deficit).all()
    assert season.accounts["SZAS13"]["surrendered_t"] == sale.sold_t
    assert tape(season)["account"][tape(season)["kind"] == EventKind.ANNOUNCED].tolist() == [GOVERNMENT]
