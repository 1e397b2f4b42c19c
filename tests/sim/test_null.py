"""The null model: deterministic, matched on average, undefined where it has nothing to say, at home in any season."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.errors import ScenarioError
from engine.rules.schema import SourcedValue
from sim.checks import MEASURES, Records, Window, judge, load_records
from sim.facts import DateKind
from sim.null import (
    LOT_SIGMA,
    fit_null,
    match_rush,
    null_monthly_shares,
    null_pass_rates,
    null_season,
    setting_of,
)
from sim.result import DAY, Season
from sim.season import SeasonPlan, load_season

PLAN, RECORDS = load_season("cea-2021"), load_records("cea-2021")
DATES = PLAN.days
BLOCK_MIN_T = 100_000
UNDEFINED = {
    "firms_compliant", "volume_compliant", "spread_and_depth", "offset_discount", "offset_spread",
    "zero_intelligence_efficiency",
}  # fmt: skip


@pytest.fixture(scope="module")
def seasons() -> list[Season]:
    model = fit_null(PLAN, RECORDS)
    return [model.season(seed) for seed in range(200)]


def with_scalars(**values: Any) -> Records:
    assert RECORDS.null is not None
    return replace(RECORDS, null=msgspec.structs.replace(RECORDS.null, **values))


def windows(*shares: float) -> list[Window]:
    """The recorded windows with other shares."""
    assert RECORDS.null is not None
    return [msgspec.structs.replace(w, share=s) for w, s in zip(RECORDS.null.windows, shares, strict=True)]


def with_band(plan: SeasonPlan, down_bp: int, up_bp: int) -> SeasonPlan:
    """The season under other price limits."""
    rules = dict(plan.book.rules)
    for key, changes in plan.book.rules.items():
        if key[1].name in {"BAND_DOWN_BP", "BAND_UP_BP"}:
            value = down_bp if key[1].name == "BAND_DOWN_BP" else up_bp
            rules[key] = [SourcedValue("", value, value, "", "", True, None) for _ in changes]  # noqa: FBT003
    return replace(plan, book=replace(plan.book, rules=rules))


def share(lots: np.ndarray, first: str) -> float:
    return float(lots[np.datetime64(first) <= DATES].sum() / lots.sum())


def test_same_seed_same_season() -> None:
    first, again, other = (null_season(seed, PLAN, RECORDS) for seed in (7, 7, 8))
    assert first.days.tobytes() == again.days.tobytes()
    assert first.days.tobytes() != other.days.tobytes()


def test_pass_rates_are_of_the_seasons_by_seed() -> None:
    rates = null_pass_rates(PLAN, RECORDS, runs=10)
    assert rates == null_pass_rates(PLAN, RECORDS, runs=10)
    for name, check in RECORDS.checks.items():
        passes = [judge(check, null_season(seed, PLAN, RECORDS))[1] for seed in range(10)]
        if name in UNDEFINED:
            assert set(passes) == {None}
        else:
            assert rates[name] == sum(map(bool, passes)) / 10


def test_undefined_exactly_where_there_are_no_firms_and_no_book() -> None:
    rates = null_pass_rates(PLAN, RECORDS, runs=20)
    assert list(rates) == list(RECORDS.checks)
    assert {name for name, rate in rates.items() if rate is None} == UNDEFINED
    assert all(0 <= rate <= 1 for rate in rates.values() if rate is not None)


def test_without_scalars_nothing_is_matched() -> None:
    records = load_records("no such season")
    assert null_pass_rates(PLAN, records) == dict.fromkeys(records.checks)
    with pytest.raises(ScenarioError, match=r"no such season.toml: null: got None, expected the scalars"):
        fit_null(PLAN, records)


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
        assert prev_fen[0] == 4_800
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
    check = RECORDS.checks[name]
    values = [float(MEASURES[check.measure].function(season, **check.arguments).value or 0) for season in seasons]
    assert np.mean(values) == pytest.approx(check.recorded, rel=tolerance)


def test_expected_shares_are_the_record_exactly() -> None:
    model = fit_null(PLAN, RECORDS)
    assert model.lots.sum() == pytest.approx(PLAN.firms)
    assert (model.lots > 0).all()
    assert share(model.lots, "2021-12-01") == pytest.approx(0.758)
    assert share(model.lots, "2021-11-01") == pytest.approx(0.887)
    assert model.missed == ()


def test_the_first_season_is_matched_as_before_there_were_others() -> None:
    """Figures of the model as it stood before the first fit of the agents."""
    model = fit_null(PLAN, RECORDS)
    assert model.base == pytest.approx(0.0222231974740481, rel=1e-9)
    assert model.scale_days == pytest.approx(8.08425460949706, rel=1e-9)
    assert model.lot_sigma == pytest.approx(2.075653368190764)
    assert model.level_fen == pytest.approx(4274.25329288426)
    assert model.shock_sd == pytest.approx(0.024951084915815106)


def test_scalars_follow_the_record_they_are_given() -> None:
    changed = with_scalars(total_t=150_000_000, windows=windows(0.7, 0.887), block_share=0.78, vwap_cny=50.0)
    model = fit_null(PLAN, changed)
    assert share(model.lots, "2021-12-01") == pytest.approx(0.7)
    days = [model.season(seed).days for seed in range(200)]
    listed_t = np.mean([day["listed_qty_t"].sum() for day in days])
    block_t = np.mean([day["block_qty_t"].sum() for day in days])
    assert listed_t + block_t == pytest.approx(150e6, rel=0.05)
    assert block_t / (listed_t + block_t) == pytest.approx(0.78, rel=0.02)
    assert np.mean([day["close_fen"][-60:].mean() for day in days]) == pytest.approx(5000, rel=0.02)


def test_nothing_but_the_scalars_is_read() -> None:
    scrambled = {
        name: replace(check, recorded=0.123, low=0.1, high=0.2, arguments={}) for name, check in RECORDS.checks.items()
    }
    season = fit_null(PLAN, replace(RECORDS, checks=scrambled, monthly_volume=None)).season(3)
    assert season.days.tobytes() == null_season(3, PLAN, RECORDS).days.tobytes()


def test_intensity_knows_every_announced_date() -> None:
    lots = dict(zip(DATES.astype(str).tolist(), fit_null(PLAN, RECORDS).lots, strict=True))
    assert max(lots, key=lots.__getitem__) == "2021-12-15"
    assert lots["2021-10-26"] > 1.9 * lots["2021-10-25"]
    assert lots["2021-12-31"] > 0.05 * lots["2021-12-15"]
    assert lots["2021-07-16"] == pytest.approx(lots["2021-10-25"], rel=0.05)


def test_more_volatile_record_gives_a_more_volatile_price() -> None:
    model = fit_null(PLAN, RECORDS)
    doubled = replace(model, shock_sd=2 * model.shock_sd)
    spread = [np.diff(np.log(m.season(1).days["close_fen"])).std() for m in (model, doubled)]
    assert spread[1] > 1.5 * spread[0]


def test_a_deadline_counts_from_its_announcement_until_it_passes_or_moves() -> None:
    (deadline,) = PLAN.of(DateKind.DEADLINE)
    bare = PLAN.without(DateKind.MILESTONE, DateKind.TRUE_UP, DateKind.DEADLINE)
    early = msgspec.structs.replace(deadline, date=deadline.date.replace(month=9, day=30))
    moved = msgspec.structs.replace(
        deadline, known_from=deadline.known_from.replace(month=9, day=15), date=deadline.date.replace(day=10)
    )
    pull = {}
    for name, dates in {"early": (early,), "moved": (early, moved)}.items():
        setting = setting_of(replace(bare, dates=dates))
        pull[name] = dict(zip(DATES.astype(str).tolist(), setting.pressure(10.0), strict=True))
    assert pull["early"]["2021-09-30"] == 1
    assert pull["early"]["2021-10-08"] == 0
    assert pull["moved"]["2021-09-14"] == pull["early"]["2021-09-14"] > 0.1
    assert pull["moved"]["2021-09-30"] < 0.01
    assert pull["moved"]["2021-12-10"] == 1
    assert pull["moved"]["2021-12-13"] == 0


@pytest.mark.parametrize(
    ("gone", "announcement"),
    [
        ((), "2021-10-26"),
        ((DateKind.MILESTONE,), "2021-10-26"),
        ((DateKind.MILESTONE, DateKind.TRUE_UP), "None"),
    ],
)
def test_the_base_rate_steps_up_where_something_is_announced(gone: tuple[DateKind, ...], announcement: str) -> None:
    setting = setting_of(PLAN.without(*gone))
    assert str(setting.announcement) == announcement
    assert setting.steps.max() == (1 if announcement == "None" else 2)
    assert setting.steps[0] == 1


def test_without_dates_there_is_the_base_rate_and_nothing_else() -> None:
    plan = PLAN.without(*DateKind)
    model = fit_null(plan, RECORDS)
    assert np.allclose(model.lots, PLAN.firms / DATES.size)
    assert model.season(1).deadline is None
    assert [text.split(":")[0] for text in model.missed] == [
        "share of 2021-12-01 to 2021-12-31", "share of 2021-11-01 to 2021-12-31",
    ]  # fmt: skip


def test_shares_that_cannot_be_had_are_approached_and_said_to_be_missed() -> None:
    model = fit_null(PLAN, with_scalars(windows=windows(0.05, 0.1)))
    assert model.base == np.inf
    assert share(model.lots, "2021-12-01") == pytest.approx(share(setting_of(PLAN).steps, "2021-12-01"))
    assert model.missed[0].startswith("share of 2021-12-01 to 2021-12-31: 0.050 recorded, 0.282 expected")
    crowded = fit_null(PLAN, with_scalars(windows=windows(1.0, 1.0)))
    assert share(crowded.lots, "2021-12-01") > 0.99


def test_the_best_shares_are_the_nearest_ones() -> None:
    setting, wanted = setting_of(PLAN), windows(0.9, 0.2)

    def error(rate: np.ndarray) -> float:
        return sum((float(rate[setting.inside(window)].sum()) - window.share) ** 2 for window in wanted)

    best = error(setting.rate(*match_rush(setting, wanted)))
    tried = [error(setting.rate(base, scale)) for base in np.geomspace(1e-3, 1e3, 60) for scale in range(1, 91)]
    assert best <= min(tried) + 1e-12


def test_a_block_share_that_lognormal_lots_cannot_have_is_approached() -> None:
    few = replace(PLAN, firms=200)
    model = fit_null(few, with_scalars(block_share=0.5))
    assert len(model.missed) == 1
    assert model.missed[0].startswith("block share: 0.500 recorded, 0.")
    least = float(model.missed[0].split("recorded, ")[1].split()[0])
    days = [model.season(seed).days for seed in range(300)]
    block_t, listed_t = (sum(day[f"{mode}_qty_t"].sum() for day in days) for mode in ("block", "listed"))
    assert block_t / (block_t + listed_t) == pytest.approx(least, abs=0.01)


def test_without_a_block_share_there_are_no_blocks() -> None:
    model = fit_null(PLAN, with_scalars(block_share=None, block_min_t=None))
    assert (model.lot_sigma, model.missed) == (LOT_SIGMA, ())
    season = model.season(2)
    assert season.days["block_qty_t"].sum() == 0
    assert season.days["listed_qty_t"].sum() > 0


def test_limits_are_those_of_the_rulebook() -> None:
    free = fit_null(with_band(PLAN, -1, -1), with_scalars(return_sd=0.2)).season(4).days
    tight = fit_null(with_band(PLAN, 200, 100), with_scalars(return_sd=0.2)).season(4).days
    assert (free["limit_low_fen"] == -1).all()
    assert (free["limit_high_fen"] == -1).all()
    assert np.abs(np.diff(np.log(free["close_fen"]))).max() > 0.2
    assert np.array_equal(tight["limit_high_fen"], tight["prev_close_fen"] * 101 // 100)
    assert (tight["close_fen"] >= tight["limit_low_fen"]).all()
    assert (tight["close_fen"] <= tight["limit_high_fen"]).all()


def test_a_price_far_from_the_reference_is_reached() -> None:
    model = fit_null(PLAN, with_scalars(vwap_cny=4.0))
    assert model.missed == ()
    assert np.mean([model.season(seed).days["close_fen"][-20:].mean() for seed in range(50)]) == pytest.approx(
        400, rel=0.1
    )


def test_a_thin_season_has_days_and_seasons_without_trade() -> None:
    thin = replace(PLAN, firms=2)
    model = fit_null(thin, with_scalars(total_t=2_000))
    totals = [int(model.season(seed).total_qty_t.sum()) for seed in range(100)]
    assert 0 in totals
    assert max(totals) > 0
    rates = null_pass_rates(thin, with_scalars(total_t=2_000), runs=20)
    assert rates["total_volume"] == 0


def test_monthly_shares_are_the_mean_profile(seasons: list[Season]) -> None:
    shares = null_monthly_shares(PLAN, RECORDS)
    assert list(shares) == [f"2021-{month:02}" for month in range(7, 13)]
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["2021-12"] == pytest.approx(0.758)
    month = DATES.astype("datetime64[M]").astype(str)
    for key, expected in shares.items():
        drawn = [season.total_qty_t[month == key].sum() / season.total_qty_t.sum() for season in seasons]
        assert np.mean(drawn) == pytest.approx(expected, abs=0.01)


def test_monthly_shares_of_another_season_come_from_the_first_ones_scalars() -> None:
    """Dates moved by 20 days: base and scale stay, so the profile follows the dates and matches no recorded share."""
    later = PLAN.moved(20, everything=False)
    shares = null_monthly_shares(later, RECORDS, matched_on=PLAN)
    setting = setting_of(later)
    rate = setting.rate(*match_rush(setting_of(PLAN), RECORDS.null.windows if RECORDS.null else []))
    assert shares["2022-01"] == pytest.approx(rate[np.datetime64("2022-01-01") <= setting.dates].sum())
    assert shares["2021-12"] < 0.758 < shares["2021-12"] + shares["2022-01"]


def test_believers_expect_last_cycles_date_until_one_is_announced() -> None:
    (deadline,) = PLAN.of(DateKind.DEADLINE)
    last = msgspec.structs.replace(deadline, kind=DateKind.LAST_DEADLINE, date=deadline.date.replace(year=2020))
    plan = replace(PLAN, dates=(last,))
    plain = null_monthly_shares(plan, RECORDS, matched_on=PLAN)
    belief = null_monthly_shares(plan, RECORDS, matched_on=PLAN, belief=True)
    assert max(plain.values()) < 0.25
    assert belief["2021-12"] > 0.6
    known = replace(PLAN, dates=(last, deadline))
    assert setting_of(known, belief=True).deadlines == setting_of(known).deadlines


def test_a_product_without_a_reference_price_is_refused() -> None:
    rules = {key: changes for key, changes in PLAN.book.rules.items() if key[1].name != "REFERENCE_FEN"}
    with pytest.raises(ScenarioError, match="cea-2021: reference_price: got None, expected a price of CEA"):
        setting_of(replace(PLAN, book=replace(PLAN.book, rules=rules)))
