"""The realism checks: each measure can pass and fail, kinds follow the null model, the record passes its own."""

import csv
import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.checks import MEASURES, UNDEFINED_FOR_NULL, Check, judge, load_records, run_checks
from sim.result import DAY, FIRM, SaleResult, Season

SEASON = "cea-2021"
NAMES = list(load_records(SEASON).checks)
ELSEWHERE = {"offset_discount", "offset_spread", "zero_intelligence_efficiency"}
"""General checks for which this season has no input."""
REAL_SERIES = Path(__file__).parents[3] / "shared" / "data" / "cea_national_daily" / "cea_daily_2021_2025.csv"
TURNOVER_2021_FEN = 766_123_002_300
HOLIDAYS = ["2021-09-20", "2021-09-21", *(f"2021-10-0{day}" for day in range(1, 8))]
DEADLINE = np.datetime64("2021-12-31")


def trading_days() -> np.ndarray:
    """Weekdays of the season without the two national holidays, shape (114,)."""
    days = np.arange("2021-07-16", "2022-01-01", dtype="datetime64[D]")
    return days[np.is_busday(days, holidays=HOLIDAYS)]


def at(season: Season, date: str) -> int:
    return int(np.searchsorted(season.days["date"], np.datetime64(date)))


def set_value(days: np.ndarray) -> None:
    for mode in ("listed", "block"):
        days[f"{mode}_value_fen"] = days[f"{mode}_qty_t"] * days["close_fen"]


def good_season() -> Season:
    """A made-up season that passes every check, with room on both sides of most ranges."""
    days = np.zeros(114, DAY)
    date = days["date"] = trading_days()
    total_t = np.select(
        [date < np.datetime64("2021-11-01"), date < np.datetime64("2021-12-01")],
        [290_000, 1_100_000],
        4_000_000,
    )
    peak = int(np.searchsorted(date, np.datetime64("2021-12-16")))
    total_t[peak - 3 : peak + 2] = [10_000_000, 12_000_000, 12_000_000, 16_000_000, 12_000_000]
    days["listed_qty_t"] = np.where(total_t == 290_000, 50_000, total_t * 17 // 100)
    days["listed_qty_t"][:60:2] = 1_000
    days["block_qty_t"] = total_t - days["listed_qty_t"]
    noise = np.random.default_rng(1).standard_t(4, days.size) * 0.0125
    days["close_fen"] = np.rint(4_450 * np.exp(np.clip(noise, -0.05, 0.05)))
    days["close_fen"][np.searchsorted(date, np.datetime64("2021-12-08"))] = 4_146
    days["close_fen"][-4:] = [4_700, 5_000, 5_200, 5_200]
    set_value(days)
    days["spread_fen"] = np.where(np.arange(114) < 104, 10.0, 20.0)
    days["depth_t"] = np.where(np.arange(114) < 104, 100_000.0, 50_000.0)
    firms = np.zeros(1_000, FIRM)
    firms["duty_t"] = 100_000
    firms["shortfall_t"][:150] = 2_000
    firms["surrendered_t"] = firms["duty_t"] - firms["shortfall_t"]
    return Season(days, firms, deadline=DEADLINE)


def verdicts(season: Season) -> dict[str, dict[str, Any]]:
    rows = run_checks(season, load_records(SEASON), dict.fromkeys(NAMES, 0.1))
    return {row["name"]: row for row in rows}


def test_a_season_can_pass_every_check() -> None:
    rows = verdicts(good_season())
    assert list(rows) == NAMES
    assert len(rows) == 19 + len(ELSEWHERE)
    assert {name for name, row in rows.items() if row["passed"] is not True} == ELSEWHERE
    assert {name for name, row in rows.items() if row["passed"] is None} == ELSEWHERE


def scale_volume(factor: float) -> Callable[[Season], None]:
    def change(season: Season) -> None:
        for mode in ("listed", "block"):
            season.days[f"{mode}_qty_t"] = season.days[f"{mode}_qty_t"] * factor
        set_value(season.days)

    return change


def scale_months(first: str, last: str, factor: float) -> Callable[[Season], None]:
    def change(season: Season) -> None:
        month = season.days["date"].astype("datetime64[M]")
        inside = (month >= np.datetime64(first)) & (month <= np.datetime64(last))
        season.days["block_qty_t"][inside] = season.days["block_qty_t"][inside] * factor
        set_value(season.days)

    return change


def move_to_listed(share: float) -> Callable[[Season], None]:
    def change(season: Season) -> None:
        moved_t = (season.days["block_qty_t"] * share).astype(np.int64)
        season.days["block_qty_t"] -= moved_t
        season.days["listed_qty_t"] += moved_t

    return change


def only_blocks(season: Season) -> None:
    season.days["block_qty_t"] += season.days["listed_qty_t"]
    season.days["listed_qty_t"] = 0


def set_close(date: str, close_fen: int) -> Callable[[Season], None]:
    def change(season: Season) -> None:
        season.days["close_fen"][at(season, date)] = close_fen

    return change


def raise_closes(low_fen: int) -> Callable[[Season], None]:
    def change(season: Season) -> None:
        season.days["close_fen"] = np.maximum(season.days["close_fen"], low_fen)

    return change


def flat_end(season: Season) -> None:
    season.days["close_fen"][-3:] = 4_900


def scale_value(factor: float) -> Callable[[Season], None]:
    def change(season: Season) -> None:
        for mode in ("listed", "block"):
            season.days[f"{mode}_value_fen"] = season.days[f"{mode}_value_fen"] * factor

    return change


def stretch_returns(power: float) -> Callable[[Season], None]:
    def change(season: Season) -> None:
        close = season.days["close_fen"] / 4_450
        season.days["close_fen"] = np.rint(4_450 * close**power)

    return change


def add_busiest_day(date: str) -> Callable[[Season], None]:
    def change(season: Season) -> None:
        season.days["block_qty_t"][at(season, date)] = 17_000_000

    return change


def even_december(season: Season) -> None:
    december = season.days["date"] >= np.datetime64("2021-12-01")
    season.days["block_qty_t"][december] = int(season.days["block_qty_t"][december].mean())


def concentrate(season: Season) -> None:
    season.days["block_qty_t"][at(season, "2021-12-16")] += 40_000_000


def set_short_firms(count: int) -> Callable[[Season], None]:
    def change(season: Season) -> None:
        assert season.firms is not None
        season.firms["shortfall_t"] = 0
        season.firms["shortfall_t"][:count] = 1

    return change


def surrender_less(season: Season) -> None:
    assert season.firms is not None
    season.firms["surrendered_t"] = season.firms["surrendered_t"] * 0.97


def set_listed(qty_t: int) -> Callable[[Season], None]:
    def change(season: Season) -> None:
        season.days["listed_qty_t"] = qty_t

    return change


def set_thin_days(count: int) -> Callable[[Season], None]:
    def change(season: Season) -> None:
        season.days["listed_qty_t"] = 50_000
        season.days["listed_qty_t"][:count] = 4_999

    return change


def thin_tails(season: Season) -> None:
    steps = np.random.default_rng(3).uniform(-0.04, 0.04, season.days.size)
    season.days["close_fen"] = np.rint(4_450 * np.exp(np.cumsum(steps)))


def returns_with_echo(season: Season) -> None:
    """Fat tails, but each move comes back two days later."""
    shock = np.random.default_rng(4).standard_t(4, season.days.size) * 0.015
    echo = shock + 0.9 * np.concatenate([[0.0, 0.0], shock[:-2]])
    season.days["close_fen"] = np.rint(4_450 * np.exp(np.cumsum(echo)))


def same_spread(season: Season) -> None:
    season.days["spread_fen"] = 10.0


def same_depth(season: Season) -> None:
    season.days["depth_t"] = 100_000.0


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("total_volume", scale_volume(1.3)),
        ("total_volume", scale_volume(0.7)),
        ("december_share", scale_months("2021-12", "2021-12", 0.4)),
        ("december_share", scale_months("2021-12", "2021-12", 3.0)),
        ("last_two_months_share", scale_months("2021-07", "2021-10", 3.0)),
        ("last_two_months_share", scale_months("2021-07", "2021-10", 0.1)),
        ("block_share", move_to_listed(0.2)),
        ("block_share", only_blocks),
        ("november_ratio", scale_months("2021-11", "2021-11", 0.3)),
        ("november_ratio", scale_months("2021-11", "2021-11", 9.0)),
        ("low_level", set_close("2021-12-08", 3_800)),
        ("low_level", raise_closes(4_490)),
        ("low_date", set_close("2021-11-15", 4_100)),
        ("rise_from_low", flat_end),
        ("vwap", scale_value(1.1)),
        ("vwap", scale_value(0.85)),
        ("return_sd", stretch_returns(2.0)),
        ("return_sd", stretch_returns(0.4)),
        ("busiest_day", add_busiest_day("2021-12-10")),
        ("busiest_day", add_busiest_day("2021-12-22")),
        ("top_five_days_share", even_december),
        ("top_five_days_share", concentrate),
        ("firms_compliant", set_short_firms(230)),
        ("firms_compliant", set_short_firms(80)),
        ("volume_compliant", surrender_less),
        ("median_listed_day", set_listed(18_000)),
        ("median_listed_day", set_listed(76_000)),
        ("thin_days", set_thin_days(20)),
        ("thin_days", set_thin_days(40)),
        ("return_shape", thin_tails),
        ("return_shape", returns_with_echo),
        ("clustering", thin_tails),
        ("spread_and_depth", same_spread),
        ("spread_and_depth", same_depth),
    ],
)
def test_each_check_can_fail(name: str, change: Callable[[Season], None]) -> None:
    season = good_season()
    change(season)
    assert verdicts(season)[name]["passed"] is False


def test_every_check_is_shown_to_fail() -> None:
    (mark,) = test_each_check_can_fail.pytestmark  # type: ignore[attr-defined]
    assert {name for name, _ in mark.args[1]} == set(NAMES) - ELSEWHERE


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def full_season() -> Season:
    """The good season with what other markets have: offsets beside the product, sales, firms that are late, limits."""
    season = good_season()
    offsets = season.days.copy()
    offsets["listed_qty_t"], offsets["block_qty_t"] = 10_000, 0
    offsets["close_fen"] = season.days["close_fen"] * 8 // 10
    offsets["spread_fen"] = season.days["spread_fen"] * 2
    set_value(offsets)
    sales = (
        SaleResult(np.datetime64("2021-11-05"), "A", 2_000, 1_000, 4_000, 4_100, ""),
        SaleResult(np.datetime64("2021-11-05"), "B", 3_000, 3_000, 4_000, 4_300, ""),
        SaleResult(np.datetime64("2021-12-06"), "A", 2_000, 0, 4_000, 0, ""),
    )
    assert season.firms is not None
    season.firms["late_t"][:200] = 3_000
    season.firms["fine_fen"][:150] = 2_000_000
    season.firms["offsets_used_t"][:100] = 5_000
    reference_fen = np.concatenate([[4_500], season.days["close_fen"][:-1]])
    season.days["limit_low_fen"], season.days["limit_high_fen"] = reference_fen * 9 // 10, reference_fen * 11 // 10
    season.days["limit_high_fen"][:10] = season.days["close_fen"][:10]
    return replace(season, products={"OFF": offsets}, sales=sales)


def set_firms(column: str, value: int) -> Callable[[Season], None]:
    def change(season: Season) -> None:
        assert season.firms is not None
        season.firms[column] = value

    return change


def set_offsets(column: str, factor: float) -> Callable[[Season], None]:
    def change(season: Season) -> None:
        season.products["OFF"][column] = season.products["OFF"][column] * factor

    return change


def set_days(column: str, value: float) -> Callable[[Season], None]:
    def change(season: Season) -> None:
        season.days[column] = value

    return change


def no_trade_before(date: str) -> Callable[[Season], None]:
    def change(season: Season) -> None:
        for mode in ("listed", "block"):
            season.days[f"{mode}_qty_t"][season.days["date"] < np.datetime64(date)] = 0

    return change


def quiet_when_busy(season: Season) -> None:
    """The close moves on days with little trade alone."""
    steps = np.where(season.total_qty_t > 300_000, 0.0, np.resize([0.03, -0.03], season.days.size))
    season.days["close_fen"] = np.rint(4_450 * np.exp(np.cumsum(steps)))


def loud_when_busy(season: Season) -> None:
    steps = np.where(season.total_qty_t > 300_000, 1.0, 0.1) * np.resize([0.03, -0.03], season.days.size)
    season.days["close_fen"] = np.rint(4_450 * np.exp(np.cumsum(steps)))


def sell(sold_t: int, price_fen: int) -> Callable[[Season], Season]:
    def change(season: Season) -> Season:
        return replace(season, sales=tuple(replace(s, sold_t=sold_t, price_fen=price_fen) for s in season.sales))

    return change


NOVEMBER = {"first": day("2021-11-01"), "last": day("2021-11-30")}
SALE = {"date": day("2021-11-05")}
Change = Callable[[Season], Season | None]

CASES: list[tuple[str, dict[str, Any], Any, Any, Change]] = [
    ("volume_between", NOVEMBER, 24.1e6, 24.3e6, scale_months("2021-11", "2021-11", 0.5)),
    ("share_of_days_before", {"days": 31, "until": day("2021-12-31")}, 0.7, 0.8, scale_months("2021-12", "2021-12", 2)),
    ("turnover_cny", {}, 7.9e9, 8.1e9, scale_value(1.1)),
    ("centre_of_volume", {"since": day("2021-07-16")}, 136, 138, scale_months("2021-12", "2021-12", 0.5)),
    ("close_high", {}, 52.0, 52.0, set_close("2021-08-04", 5_201)),
    ("close_high_date", {}, "2021-12-30", "2021-12-31", set_close("2021-08-04", 5_201)),
    ("close_last", {}, 52.0, 52.0, flat_end),
    ("close_at", {"date": day("2021-12-11")}, 43.0, 46.0, set_close("2021-12-10", 4_700)),
    ("change_between", {"first": day("2021-12-08"), "last": day("2021-12-31")}, 0.25, 0.26, flat_end),
    ("volume_volatility", {}, -0.2, 0.2, quiet_when_busy),
    ("volume_volatility", {}, -0.2, 0.2, loud_when_busy),
    ("limit_days", {}, 0.08, 0.1, set_days("limit_high_fen", 0)),
    ("idle_days", {}, 0.0, 0.1, no_trade_before("2021-08-16")),
    ("days_with_trade", {}, 114, 114, no_trade_before("2021-08-16")),
    ("late_firms", {}, 190, 210, set_firms("late_t", 0)),
    ("late_share", {}, 0.19, 0.21, set_firms("late_t", 1)),
    ("shortfall_t", {}, 300_000, 300_000, set_firms("shortfall_t", 1)),
    ("penalty_cny", {}, 3e6, 3e6, set_firms("fine_fen", 0)),
    ("offsets_used_t", {}, 500_000, 500_000, set_firms("offsets_used_t", 0)),
    ("offset_share_used", {}, 0.004, 0.006, set_firms("offsets_used_t", 0)),
    ("offset_volume", {}, 1_140_000, 1_140_000, set_offsets("listed_qty_t", 2)),
    ("offset_vwap", {"symbol": "OFF"}, 35.0, 36.5, set_offsets("listed_value_fen", 0.5)),
    ("offset_discount", {}, 0.1, 0.3, set_offsets("listed_value_fen", 2)),
    ("offset_discount", {}, 0.1, 0.3, set_offsets("listed_value_fen", 0.5)),
    ("offset_spread", {}, 2.0, None, set_offsets("spread_fen", 0.5)),
    ("sale_cleared_t", SALE, 4_000, 4_000, sell(500, 4_000)),
    ("sale_price", SALE, 42.5, 42.5, sell(500, 4_000)),
    ("sale_price", SALE | {"symbol": "A"}, 41.0, 41.0, sell(0, 0)),
]  # fmt: skip


def check_of(measure: str, arguments: dict[str, Any], low: Any = None, high: Any = None) -> Check:
    known = load_records(SEASON).checks["total_volume"]
    return replace(known, name="made_up", measure=measure, arguments=arguments, low=low, high=high)


@pytest.mark.parametrize(("measure", "arguments", "low", "high", "change"), CASES)
def test_each_measure_can_pass_and_fail(
    measure: str, arguments: dict[str, Any], low: Any, high: Any, change: Change
) -> None:
    check, season = check_of(measure, arguments, low, high), full_season()
    found, passed = judge(check, season)
    assert passed is True, found
    season = change(season) or season
    found, passed = judge(check, season)
    assert passed is False, found


def test_every_measure_is_shown_to_pass_and_to_fail() -> None:
    records = load_records(SEASON)
    by_record = {records.checks[name].measure for name in set(NAMES) - ELSEWHERE}
    assert by_record | {case[0] for case in CASES} | {"measured_elsewhere"} == MEASURES.keys()


def test_a_value_measured_elsewhere_is_judged_when_it_is_given() -> None:
    check = load_records(SEASON).checks["zero_intelligence_efficiency"]
    verdict = {given: judge(check, good_season(), {check.name: given})[1] for given in (0.94, 0.96)}
    assert verdict == {0.94: False, 0.96: True}
    assert judge(check, good_season())[1] is None


@pytest.mark.parametrize(
    ("measure", "arguments", "note"),
    [
        ("volume_between", {"first": day("2021-10-02"), "last": day("2021-10-03")}, "no trading day"),
        ("share_of_days_before", {"days": 5, "until": day("2021-07-15")}, "no trading day"),
        ("close_low", {"last": day("2021-07-15")}, "no trading day"),
        ("close_at", {"date": day("2021-07-15")}, "no trading day until 2021-07-15"),
        ("change_between", {"first": day("2021-07-15"), "last": day("2021-08-02")}, "until 2021-07-15"),
        ("rise_from_low", {"until": day("2021-07-19")}, "fewer than three"),
        ("thin_days", {"under_t": 1, "last": day("2021-07-15")}, "no trading day"),
        ("late_firms", {}, "no firm has a duty"),
        ("shortfall_t", {}, "no firm has a duty"),
        ("offset_share_used", {}, "no firm has a duty"),
        ("offset_volume", {}, "no offset"),
        ("offset_spread", {}, "no offset"),
        ("spread_and_depth", {}, "no deadline"),
        ("sale_price", SALE, "no sale on 2021-11-05"),
    ],
)
def test_without_its_input_a_measure_is_undefined(measure: str, arguments: dict[str, Any], note: str) -> None:
    found, passed = judge(check_of(measure, arguments, low=0), Season(good_season().days, firms=None))
    assert (found.value, passed) == (None, None)
    assert note in found.note


@pytest.mark.parametrize("measure", ["return_sd", "return_shape", "clustering", "volume_volatility"])
def test_too_few_returns_are_undefined(measure: str) -> None:
    assert judge(check_of(measure, {}, low=0), Season(good_season().days[:2], firms=None))[1] is None


@pytest.mark.parametrize("measure", ["vwap", "block_share", "limit_days", "offset_discount", "volume_volatility"])
def test_without_trade_a_measure_has_no_number(measure: str) -> None:
    season = full_season()
    for table in (season.days, season.products["OFF"]):
        for column in ("listed_qty_t", "block_qty_t", "listed_value_fen", "block_value_fen"):
            table[column] = 0
    found, passed = judge(check_of(measure, {}, low=-1), season)
    assert found.value is None
    assert passed is not True


def test_windows_include_both_of_their_dates() -> None:
    season = good_season()
    one = {"first": day("2021-12-16"), "last": day("2021-12-16")}
    assert judge(check_of("volume_between", one, low=0), season)[0].value == 16_000_000
    week = judge(check_of("share_of_days_before", {"days": 4, "until": day("2021-12-16")}, low=0), season)[0].value
    assert week == pytest.approx((10 + 12 + 12 + 16) / 178.21)


def test_sales_by_the_government_are_no_trade() -> None:
    season = good_season()
    before = verdicts(season)
    season.days["auction_qty_t"] = 5_000_000
    season.days["auction_value_fen"] = 5_000_000 * 9_000
    assert verdicts(season) == before


def test_days_without_trade_count_in_returns_unless_they_are_left_out() -> None:
    season = good_season()
    season.days["listed_qty_t"][1:100:2] = 0
    season.days["close_fen"][1:100:2] = season.days["close_fen"][0:99:2]
    every, traded = (judge(check_of("return_sd", {"traded": t}, low=0), season)[0].value for t in (False, True))
    closes = season.days["close_fen"][season.days["listed_qty_t"] > 0].astype(float)
    assert traded == pytest.approx(np.diff(np.log(closes)).std())
    assert every == pytest.approx(np.diff(np.log(season.days["close_fen"].astype(float))).std())
    assert isinstance(every, float)
    assert isinstance(traded, float)
    assert every < traded


def test_the_month_before_the_deadline_is_compared_whatever_comes_after() -> None:
    season = good_season()
    days = season.days[:100].copy()
    early = replace(season, deadline=days["date"][79])
    early.days["spread_fen"][:], early.days["depth_t"][:] = 10.0, 100_000.0
    early.days["spread_fen"][70:80], early.days["depth_t"][70:80] = 30.0, 10_000.0
    assert verdicts(early)["spread_and_depth"]["value"] == 3.0


def test_clustering_against_a_direct_sum() -> None:
    season = good_season()
    squares = np.diff(np.log(season.days["close_fen"].astype(float))) ** 2
    mean, n = squares.mean(), len(squares)
    whole = sum((x - mean) ** 2 for x in squares)
    statistic = 0.0
    for lag in range(1, 11):
        products = sum((squares[i] - mean) * (squares[i - lag] - mean) for i in range(lag, n))
        statistic += n * (n + 2) * (products / whole) ** 2 / (n - lag)
    assert verdicts(season)["clustering"]["value"] == pytest.approx(statistic)


def test_the_two_conditions_of_a_check_are_both_needed() -> None:
    season = good_season()
    returns_with_echo(season)
    shape = verdicts(season)["return_shape"]
    assert shape["value"] > shape["low"]
    assert shape["passed"] is False
    assert "Ljung-Box" in shape["note"]

    season = good_season()
    same_depth(season)
    spread = verdicts(season)["spread_and_depth"]
    assert spread["value"] == 2.0
    assert spread["passed"] is False
    assert "depth ratio 1.00" in spread["note"]


def test_ljung_box_and_kurtosis_against_a_direct_sum() -> None:
    season = good_season()
    returns = np.diff(np.log(season.days["close_fen"].astype(float)))
    mean, n = returns.mean(), len(returns)
    squares = sum((r - mean) ** 2 for r in returns)
    statistic = 0.0
    for lag in range(2, 11):
        products = sum((returns[i] - mean) * (returns[i - lag] - mean) for i in range(lag, n))
        statistic += n * (n + 2) * (products / squares) ** 2 / (n - lag)
    shape = verdicts(season)["return_shape"]
    fourth = sum((r - mean) ** 4 for r in returns) / n
    assert shape["value"] == pytest.approx(fourth / (squares / n) ** 2)
    assert f"{statistic:.1f}," in shape["note"]


def test_thirtieth_of_september_does_not_count() -> None:
    season = good_season()
    before = verdicts(season)["november_ratio"]["value"]
    season.days["block_qty_t"][at(season, "2021-09-30")] = 8_000_000
    assert verdicts(season)["november_ratio"]["value"] == before


def test_first_of_several_lows_is_dated() -> None:
    season = good_season()
    set_close("2021-11-16", 4_146)(season)
    low = verdicts(season)["low_date"]
    assert low["value"] == "2021-11-16"
    assert low["passed"] is True


def test_busiest_day_is_counted_in_trading_days() -> None:
    season = good_season()
    add_busiest_day("2021-12-21")(season)
    busiest = verdicts(season)["busiest_day"]
    assert (busiest["value"], busiest["passed"]) == (3, True)
    assert busiest["note"] == "busiest day 2021-12-21"


def test_days_without_a_spread_are_left_out() -> None:
    season = good_season()
    season.days["spread_fen"][[-1, -5, -15]] = np.nan
    season.days["depth_t"][[-1, -5, -15]] = np.nan
    assert verdicts(season)["spread_and_depth"]["value"] == 2.0


@pytest.mark.parametrize("date", ["2021-08-04", "2021-12-16"])
def test_a_day_without_trade_breaks_nothing(date: str) -> None:
    season = good_season()
    for column in ("listed_qty_t", "listed_value_fen", "block_qty_t", "block_value_fen"):
        season.days[column][at(season, date)] = 0
    assert all(row["value"] is not None for name, row in verdicts(season).items() if name not in ELSEWHERE)


def test_a_season_without_trade_fails_and_is_not_undefined() -> None:
    season = good_season()
    scale_volume(0)(season)
    season.days["close_fen"] = 4_800
    rows = verdicts(season)
    failed = {name for name, row in rows.items() if row["passed"] is False}
    compliance_and_book = {"firms_compliant", "volume_compliant", "spread_and_depth"}
    assert failed == set(NAMES) - compliance_and_book - ELSEWHERE
    assert rows["vwap"]["value"] is None
    assert rows["vwap"]["note"] == "no trade in the season"


def test_missing_input_is_undefined() -> None:
    good = good_season()
    good.days["spread_fen"] = np.nan
    rows = verdicts(Season(good.days, firms=None))
    undefined = {name for name, row in rows.items() if row["passed"] is None}
    assert undefined == {"firms_compliant", "volume_compliant", "spread_and_depth"} | ELSEWHERE
    assert all(rows[name]["value"] is None for name in undefined)


@pytest.mark.parametrize(
    ("name", "null_pass_rate", "kind"),
    [
        ("median_listed_day", 0.51, "calibration"),
        ("median_listed_day", 0.5, "evidence"),
        ("median_listed_day", None, "sanity"),
        ("vwap", 0.9, "fitted"),
        ("vwap", 0.1, "fitted"),
        ("firms_compliant", None, "fitted"),
        ("volume_compliant", 0.0, "sanity"),
        ("volume_compliant", None, "sanity"),
        ("spread_and_depth", None, "sanity"),
    ],
)
def test_kind_follows_the_null_model(name: str, null_pass_rate: float | None, kind: str) -> None:
    rates: dict[str, float | None] = dict.fromkeys(NAMES, 0.1)
    rates[name] = null_pass_rate
    rows = {row["name"]: row for row in run_checks(good_season(), load_records(SEASON), rates)}
    assert rows[name]["kind"] == kind
    assert rows[name]["null_pass_rate"] == null_pass_rate
    assert (UNDEFINED_FOR_NULL in rows[name]["note"]) == (null_pass_rate is None)


def test_null_rates_must_name_every_check() -> None:
    with pytest.raises(KeyError, match="zero_intelligence_efficiency"):
        run_checks(good_season(), load_records(SEASON), dict.fromkeys(NAMES[:-1], 0.1))


def real_season() -> Season:
    """The recorded season; the daily file has no turnover, so blocks share what is left of it."""
    if not REAL_SERIES.exists():
        pytest.skip(f"the recorded series is not on this machine: {REAL_SERIES}")
    with REAL_SERIES.open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["date"].startswith("2021")]
    days = np.zeros(len(rows), DAY)
    days["date"] = [row["date"] for row in rows]
    days["close_fen"] = [round(float(row["close"]) * 100) for row in rows]
    days["listed_qty_t"] = [int(row["listed_volume_t"]) for row in rows]
    days["block_qty_t"] = [int(row["block_volume_t"]) for row in rows]
    set_value(days)
    block_price_fen = (TURNOVER_2021_FEN - days["listed_value_fen"].sum()) / days["block_qty_t"].sum()
    days["block_value_fen"] = np.rint(days["block_qty_t"] * block_price_fen)
    days["spread_fen"] = days["depth_t"] = np.nan
    return Season(days, firms=None, deadline=DEADLINE)


def test_the_record_passes_and_gives_the_recorded_values() -> None:
    season = real_season()
    rows = verdicts(season)
    unrecorded_by_day = {"firms_compliant", "volume_compliant", "spread_and_depth"} | ELSEWHERE
    for name in unrecorded_by_day:
        assert rows.pop(name)["passed"] is None
    for name, row in rows.items():
        assert row["passed"] is True, name
        if isinstance(row["value"], str):
            assert row["value"] == row["recorded"], name
        else:
            assert row["value"] == pytest.approx(row["recorded"], rel=0.005), name
    month = season.days["date"].astype("datetime64[M]").astype(str)
    monthly_volume = load_records(SEASON).monthly_volume
    assert monthly_volume is not None
    for key, volume_t in monthly_volume.volume_t.items():
        assert season.total_qty_t[month == key].sum() == volume_t


def test_made_up_calendar_is_the_real_one() -> None:
    assert np.array_equal(real_season().days["date"], trading_days())
