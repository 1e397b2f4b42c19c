"""The null model: deterministic, matched on average, undefined where it has nothing to say."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from sim.checks import CHECKS, Records, load_records
from sim.null import (
    BLOCK_MIN_T,
    DEADLINE,
    FIRST_REFERENCE_FEN,
    LOTS,
    fit_null,
    null_pass_rates,
    null_season,
)
from sim.result import DAY, Season

HOLIDAYS = ["2021-09-20", "2021-09-21", *(f"2021-10-0{day}" for day in range(1, 8))]
ALL_DAYS = np.arange("2021-07-16", "2022-01-01", dtype="datetime64[D]")
DATES = ALL_DAYS[np.is_busday(ALL_DAYS, holidays=HOLIDAYS)]
UNDEFINED = {"firms_compliant", "volume_compliant", "spread_and_depth"}


@pytest.fixture(scope="module")
def seasons() -> list[Season]:
    model = fit_null(DATES, load_records())
    return [model.season(seed) for seed in range(200)]


def recorded(records: Records, name: str) -> float:
    value = records.checks[name].recorded
    assert isinstance(value, int | float)
    return value


def with_recorded(records: Records, **values: float) -> Records:
    checks = dict(records.checks)
    for name, value in values.items():
        checks[name] = msgspec.structs.replace(checks[name], recorded=value)
    return msgspec.structs.replace(records, checks=checks)


def test_same_seed_same_season() -> None:
    first, again, other = null_season(7, DATES), null_season(7, DATES), null_season(8, DATES)
    assert first.days.tobytes() == again.days.tobytes()
    assert first.days.tobytes() != other.days.tobytes()


def test_pass_rates_are_of_the_seasons_by_seed() -> None:
    records = load_records()
    rates = null_pass_rates(DATES, records, runs=10)
    assert rates == null_pass_rates(DATES, records, runs=10)
    for check in CHECKS:
        figure = records.checks[check.name]
        passes = [check.judge(null_season(seed, DATES), figure)[1] for seed in range(10)]
        if check.name in UNDEFINED:
            assert set(passes) == {None}
        else:
            assert rates[check.name] == sum(map(bool, passes)) / 10


def test_undefined_exactly_where_there_are_no_firms_and_no_book() -> None:
    rates = null_pass_rates(DATES, load_records(), runs=20)
    assert list(rates) == [check.name for check in CHECKS]
    assert {name for name, rate in rates.items() if rate is None} == UNDEFINED
    assert all(0 <= rate <= 1 for rate in rates.values() if rate is not None)


def test_table_is_filled_as_promised(seasons: list[Season]) -> None:
    for season in seasons[:20]:
        days = season.days
        assert season.firms is None
        assert season.events is None
        assert days.dtype == DAY
        assert np.array_equal(days["date"], DATES)
        assert np.isnan(days["spread_fen"]).all()
        assert np.isnan(days["depth_t"]).all()
        for mode in ("listed", "block"):
            quantity_t, trades = days[f"{mode}_qty_t"], days[f"{mode}_trades"]
            assert np.array_equal(quantity_t == 0, trades == 0)
            assert np.array_equal(days[f"{mode}_value_fen"], quantity_t * days["close_fen"])
        assert np.array_equal(days["orders"], days["listed_trades"] + days["block_trades"])
        assert (days["block_qty_t"] >= days["block_trades"] * BLOCK_MIN_T).all()
        assert (days["listed_qty_t"] <= days["listed_trades"] * (BLOCK_MIN_T - 1)).all()


def test_close_stays_inside_the_band(seasons: list[Season]) -> None:
    for season in seasons:
        days = season.days
        close_fen, prev_fen = days["close_fen"], days["prev_close_fen"]
        assert prev_fen[0] == FIRST_REFERENCE_FEN
        assert np.array_equal(prev_fen[1:], close_fen[:-1])
        assert (np.abs(close_fen - prev_fen) * 10 <= prev_fen).all()
        assert (days["limit_low_fen"] <= close_fen).all()
        assert (close_fen <= days["limit_high_fen"]).all()
        for column in ("open_fen", "high_fen", "low_fen"):
            assert np.array_equal(days[column], close_fen)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("total_volume", 0.05),
        ("december_share", 0.02),
        ("last_two_months_share", 0.02),
        ("block_share", 0.02),
        ("vwap", 0.02),
        ("return_sd", 0.08),
    ],
)
def test_matched_scalars_are_the_record_on_average(seasons: list[Season], name: str, tolerance: float) -> None:
    (check,) = (check for check in CHECKS if check.name == name)
    figure = load_records().checks[name]
    values = [float(check.measure(season, figure).value or 0) for season in seasons]
    assert np.mean(values) == pytest.approx(figure.recorded, rel=tolerance)


def test_expected_shares_are_the_record_exactly() -> None:
    records = load_records()
    model = fit_null(DATES, records)
    assert model.lots.sum() == pytest.approx(LOTS)
    assert (model.lots > 0).all()
    december = np.datetime64("2021-12-01") <= DATES
    last_two = np.datetime64("2021-11-01") <= DATES
    assert model.lots[december].sum() / LOTS == pytest.approx(recorded(records, "december_share"))
    assert model.lots[last_two].sum() / LOTS == pytest.approx(recorded(records, "last_two_months_share"))


def test_scalars_follow_the_record_they_are_given() -> None:
    changed = with_recorded(load_records(), total_volume=150e6, december_share=0.7, block_share=0.78, vwap=50.0)
    model = fit_null(DATES, changed)
    december = np.datetime64("2021-12-01") <= DATES
    assert model.lots[december].sum() / LOTS == pytest.approx(0.7)
    days = [model.season(seed).days for seed in range(200)]
    listed_t = np.mean([day["listed_qty_t"].sum() for day in days])
    block_t = np.mean([day["block_qty_t"].sum() for day in days])
    assert listed_t + block_t == pytest.approx(150e6, rel=0.05)
    assert block_t / (listed_t + block_t) == pytest.approx(0.78, rel=0.02)
    assert np.mean([day["close_fen"][-60:].mean() for day in days]) == pytest.approx(5000, rel=0.02)


def test_nothing_but_the_six_scalars_is_read() -> None:
    records = load_records()
    scalars = {
        "total_volume",
        "december_share",
        "last_two_months_share",
        "block_share",
        "vwap",
        "return_sd",
    }
    scrambled = with_recorded(records, **{name: 0.123 for name in records.checks if name not in scalars})
    volume = msgspec.structs.replace(records.monthly_volume, volume_t={})
    scrambled = msgspec.structs.replace(scrambled, monthly_volume=volume)
    season = fit_null(DATES, scrambled).season(3)
    assert season.days.tobytes() == null_season(3, DATES).days.tobytes()


def test_intensity_knows_every_announced_date() -> None:
    lots = dict(zip(DATES.astype(str).tolist(), fit_null(DATES, load_records()).lots, strict=True))
    assert max(lots, key=lots.__getitem__) == "2021-12-15"
    assert lots["2021-10-26"] > 1.9 * lots["2021-10-25"]
    assert lots["2021-12-31"] > 0.05 * lots["2021-12-15"]
    assert lots["2021-07-16"] == pytest.approx(lots["2021-10-25"], rel=0.05)


def test_more_volatile_record_gives_a_more_volatile_price() -> None:
    model = fit_null(DATES, load_records())
    doubled = replace(model, shock_sd=2 * model.shock_sd)
    spread = [np.diff(np.log(m.season(1).days["close_fen"])).std() for m in (model, doubled)]
    assert spread[1] > 1.5 * spread[0]


def test_record_that_cannot_be_matched_is_refused() -> None:
    records = load_records()
    with pytest.raises(ValueError, match="cannot be matched"):
        fit_null(DATES, with_recorded(records, december_share=0.05))
    with pytest.raises(TypeError, match="december_share: the null model needs a recorded number"):
        fit_null(
            DATES,
            msgspec.structs.replace(
                records,
                checks=records.checks
                | {"december_share": msgspec.structs.replace(records.checks["vwap"], recorded=None)},
            ),
        )
    with pytest.raises(ValueError, match=str(DEADLINE)):
        fit_null(np.append(DATES, np.datetime64("2022-01-04")), records)
