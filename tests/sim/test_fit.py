"""Fitting: the loss, the search inside its ranges, what is written; a series of one's own; profiles and forecasts."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from rich.console import Console

from engine.errors import ScenarioError
from sim import fit as fitting
from sim import forecast, own
from sim.checks import Records
from sim.facts import ParameterKind
from sim.fit import FIRST_SEED, Fit, fit, residuals_of, write
from sim.own import REPORT_SEED, fit_own, own_records, print_fit, series_season
from sim.result import Season
from sim.season import SCENARIOS, SeasonPlan, load_season
from sim.seeds import Row
from sim.tape.read import read_tape
from tests.sim.small import run, slow_without_compiler, small

NO_RECORDS = Records("made up", None, None, {}, {})


def in_turn(**_: Any) -> Callable[[Iterable[Any]], list[Any]]:
    """What joblib does, in this process."""
    return lambda tasks: [function(*arguments, **named) for function, arguments, named in tasks]


def row(name: str, value: float | None, recorded: float = 10.0, half: float = 2.0) -> Row:
    return {"name": name, "value": value, "recorded": recorded, "low": recorded - half, "high": recorded + half}


# ---------------------------------------------------------------------------------------------------------- the search


def test_a_residual_is_the_distance_in_half_ranges_of_what_is_aimed_at() -> None:
    rows = [row("one", 11.0), row("two", 6.0), row("far", 1_000.0), row("none", None), row("free", 0.0)]
    assert residuals_of(rows, {"one"}) == [0.5]
    assert residuals_of(rows, {"one", "two"}) == pytest.approx([0.5, -1 - np.log(2)]), "beyond one by its logarithm"
    assert residuals_of(rows, {"far", "none"}) == pytest.approx([1 + np.log(495), 5.0])
    assert residuals_of(rows, set()) == []


def _bowl(plan: SeasonPlan, _records: Records, changes: dict[str, float], seeds: range, _jobs: int) -> np.ndarray:
    """Residuals that are 0 at two thirds of each range, but for what two seeds differ by."""
    assert list(seeds) == [FIRST_SEED, FIRST_SEED + 1]
    found = []
    for name, value in changes.items():
        low, high = plan.parameters[name].range or (0.0, 1.0)
        assert low <= value <= high
        found.append(3 * ((value - low) / (high - low) - 2 / 3))
    return np.array([found, found]) + np.array([[0.1], [-0.1]])


def test_a_search_starts_from_the_shipped_values_and_comes_down(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, told = load_season("gdea-2017"), []
    fitted = {name: one for name, one in plan.parameters.items() if one.kind == ParameterKind.FITTED}
    asked: list[dict[str, float]] = []

    def bowl(*arguments: Any) -> np.ndarray:
        asked.append(dict(arguments[2]))
        return _bowl(*arguments)

    monkeypatch.setattr(fitting, "_residuals", bowl)
    found = fit(plan, NO_RECORDS, trials=60, seeds=2, progress=lambda done, of: told.append((done, of)))
    assert asked[0] == pytest.approx({name: one.value for name, one in fitted.items()})
    least = 0.01 * len(fitted)
    start = float((_bowl(plan, NO_RECORDS, asked[0], range(FIRST_SEED, FIRST_SEED + 2), 1) ** 2).sum() / 2)
    print(f"loss {start:.3f} at the shipped values, {found.loss:.4f} after {found.trials} trials; least {least}")
    assert start > 10 * least
    assert least <= found.loss < 1.1 * least
    assert set(found.best) == set(found.within) == set(fitted)
    assert all(found.within[name][0] <= found.best[name] <= found.within[name][1] for name in fitted)
    assert found.noise == pytest.approx(0, abs=0.05)
    assert found.trials == len(asked) <= 60
    assert told == [(number, 60) for number in range(1, found.trials + 1)]
    again = fit(plan, NO_RECORDS, trials=60, seeds=2)
    assert again.best == found.best


def test_a_search_stops_when_its_trials_are_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_residuals", _bowl)
    plan = load_season("gdea-2017")
    for trials in (1, 3, 9):
        found = fit(plan, NO_RECORDS, trials=trials, seeds=2)
        assert found.trials == trials
    whole = {name: one.range for name, one in plan.parameters.items() if one.range}
    found = fit(plan, NO_RECORDS, trials=1, seeds=2)
    assert found.best == {name: plan.parameters[name].value for name in whole}
    assert all(found.within[name] == pytest.approx(whole[name]) for name in whole), "one look tells nothing apart"


def test_what_nothing_depends_on_may_lie_anywhere_in_its_range(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = load_season("gdea-2017")
    monkeypatch.setattr(fitting, "_residuals", lambda *_: np.array([[0.0, 1.0], [1.0, 0.0]]))
    found = fit(plan, NO_RECORDS, trials=12, seeds=2)
    for name, (low, high) in found.within.items():
        assert (low, high) == pytest.approx(plan.parameters[name].range)


def test_only_the_fitted_values_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = load_season("gdea-2017")
    fitted = [name for name, one in plan.parameters.items() if one.kind == ParameterKind.FITTED]
    text = (SCENARIOS / "gdea-2017.toml").read_text("utf-8")
    (tmp_path / "gdea-2017.toml").write_text(text, "utf-8")
    monkeypatch.setattr(fitting, "SCENARIOS", tmp_path)
    found = Fit(dict.fromkeys(fitted, 0.123456), 1.0, {}, 0.1, 5, 2)
    write(plan, found)
    before, after = text.splitlines(), (tmp_path / "gdea-2017.toml").read_text("utf-8").splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == len(fitted)
    for old, new in changed:
        assert new.startswith(f'{old.split(" = ")[0]} = {{ value = 0.1235, kind = "fitted"')
        assert new.split(", kind")[1] == old.split(", kind")[1]


# ------------------------------------------------------------------------------------------------ a series of one's own

SPAN = ("cea-2021", 250, "2021-10-18", "2021-12-31")


def _csv(path: Path, season: Season) -> Path:
    """The season as an exchange would publish it."""
    lines = ["日期,品种,成交量(吨),成交额(元),收盘价"]
    for day, qty, value in zip(season.days, season.total_qty_t, season.total_value_fen, strict=True):
        lines.append(f"{day['date']},CEA,{qty},{value / 100:.2f},{day['close_fen'] / 100:.2f}")
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def _two_fitted(plan: SeasonPlan, **start: float) -> SeasonPlan:
    """Only these are fitted, from these values on."""
    parameters = {}
    for name, one in plan.parameters.items():
        if name in start:
            low, high = 0.25 * one.value, 2 * one.value
            changed = {"value": start[name], "kind": ParameterKind.FITTED, "range": (low, high)}
        else:
            changed = {"kind": ParameterKind.ASSUMED, "range": None}
        parameters[name] = msgspec.structs.replace(one, **changed)
    return replace(plan, parameters=parameters)


@slow_without_compiler
@pytest.mark.slow
def test_a_series_made_by_the_model_is_fitted_back_from_a_displaced_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = small(*SPAN)
    true = {name: plan.parameters[name].value for name in ("value_level", "allocation_spread")}
    path = _csv(tmp_path / "mine.csv", run(plan, 11)[1])
    displaced = _two_fitted(
        plan, value_level=1.5 * true["value_level"], allocation_spread=0.3 * true["allocation_spread"]
    )
    monkeypatch.setattr(own, "load_season", lambda _: displaced)
    for module in (own, fitting):
        monkeypatch.setattr(module, "Parallel", in_turn)
    losses: list[float] = []
    whole = fitting._residuals

    def listened(*arguments: Any) -> np.ndarray:
        found = whole(*arguments)
        losses.append(float((found**2).sum()))
        return found

    monkeypatch.setattr(fitting, "_residuals", listened)
    found = fit_own(path, "cea-2021", trials=8, seeds=1)
    fitted = {row["name"]: f"{row['value']:.3g} (true {true[row['name']]:.3g})" for row in found["parameters"]}
    print(f"loss {losses[0]:.2f} at the displaced start, {found['loss']:.2f} after 8 trials;", fitted)
    assert found["loss"] == min(losses) < 0.7 * losses[0]
    assert set(found) == {
        "scenario", "rules", "series", "trials", "seeds", "parameters", "aimed", "unmet", "not_used",
        "profile_distance", "loss", "noise",
    }  # fmt: skip
    assert (found["scenario"], found["rules"], found["series"]) == ("cea-2021", "cn-cea", "mine.csv")
    starts = {name: one.value for name, one in displaced.parameters.items() if one.range}
    assert {row["name"]: row["start"] for row in found["parameters"]} == starts
    level = next(row for row in found["parameters"] if row["name"] == "value_level")
    assert abs(np.log(level["value"] / true["value_level"])) < abs(np.log(level["start"] / true["value_level"]))
    assert set(found["unmet"]) == {row["name"] for row in found["aimed"] if not row["inside"]}
    assert {row["name"] for row in found["aimed"]} <= {target.name for target in own.AIMED}
    assert {row["name"] for row in found["not_used"]} & {target.name for target in own.NOT_USED}
    assert 0 <= found["profile_distance"]["fitted"] <= 1
    shown = StringIO()
    print_fit(found, Console(width=150, file=shown))
    assert "value_level" in shown.getvalue()
    assert "Aimed at" in shown.getvalue()


def _series(path: Path, count: int, start: str = "2021-11-01") -> Path:
    """That many days with a trade of 100 t at 15 CNY."""
    days = np.arange(np.datetime64(start), np.datetime64(start) + count)
    path.write_text("date,volume_t,close\n" + "".join(f"{day},100,15.00\n" for day in days), "utf-8")
    return path


def test_a_series_becomes_a_season_over_the_plans_days(tmp_path: Path) -> None:
    plan = small(*SPAN)
    series = series_season(plan, read_tape(_series(tmp_path / "own.csv", 40)))
    inside = np.isin(plan.days, np.arange(np.datetime64("2021-11-01"), np.datetime64("2021-12-11")))
    assert (series.days["date"] == plan.days).all()
    assert (series.total_qty_t == np.where(inside, 100, 0)).all()
    assert (series.total_value_fen == np.where(inside, 150_000, 0)).all()
    assert set(series.days["close_fen"].tolist()) == {1_500}
    assert series.firms is None
    records = own_records(plan, series, tmp_path / "own.csv")
    total = records.checks["total_volume"]
    assert (total.recorded, total.aimed) == (100 * int(inside.sum()), True)
    assert (total.low, total.high) == pytest.approx((80 * inside.sum(), 120 * inside.sum()))
    assert records.checks["late_share"].arguments["days"] == 30
    assert not records.checks["return_sd"].aimed, "a constant price has no spread to aim at"
    assert not any(records.checks[target.name].aimed for target in own.NOT_USED)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("date,volume_t,close\n2017-05-02,100,15\n", r"bad.csv: days: got 1 days .* expected at least 20"),
        ("date,price\n2017-05-02,15\n", r"bad.csv: .*volume"),
        ("date,volume_t,close\n2017-05-02,many,15\n", r"bad.csv: .*'many'"),
        ("date,volume_t,close\n2017-13-02,100,15\n", r"bad.csv: .*2017-13-02"),
        ("date,volume_t,close\n2017-05-02,-5,15\n", r"bad.csv: .*-5"),
        ("", r"bad.csv: "),
    ],
)
def test_a_bad_series_is_refused_with_file_and_value(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(ScenarioError, match=told):
        fit_own(path, "gdea-2017", trials=1, seeds=1)


def test_a_season_that_fits_nothing_cannot_be_fitted(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"cea-2024: parameters: got no fitted ones, expected a season that fits"):
        fit_own(_series(tmp_path / "own.csv", 40), "cea-2024", trials=1, seeds=1)


def test_reports_are_made_on_seeds_that_the_fit_has_not_seen() -> None:
    assert REPORT_SEED > FIRST_SEED + 100


# ------------------------------------------------------------------------------------------------------------ forecasts


def test_a_profile_counts_months_back_from_the_deadline() -> None:
    plan = load_season("gdea-2018")
    shares = {"2018-06": 0.5, "2018-05": 0.25, "2017-07": 0.25, "2016-01": 7.0, "2018-07": 7.0}
    found = forecast.profile(plan, shares)
    assert found.shape == (forecast.MONTHS,)
    assert {back: found[back] for back in np.flatnonzero(found)} == {0: 0.5, 1: 0.25, 11: 0.25}
    assert forecast.profile(plan, {"2018-06": 3.0, "2018-05": 1.0})[:2].tolist() == [0.75, 0.25]
    assert forecast.profile(plan, {}).sum() == 0
    assert forecast.profile(load_season("cea-2022"), {"2022-12": 1.0})[0] == 1.0, "without a deadline from the end"


def test_a_distance_is_the_share_that_is_elsewhere() -> None:
    one, other = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25])
    assert forecast.distance(one, one) == 0.0
    assert forecast.distance(one, other) == forecast.distance(other, one) == 0.25
    assert forecast.distance(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1.0


def test_a_moved_profile_keeps_its_sum_and_stops_at_the_ends() -> None:
    shares = np.zeros(forecast.MONTHS)
    shares[[0, 1, 12]] = [0.5, 0.3, 0.2]
    later = forecast._shifted(shares, 2)
    assert {back: later[back] for back in np.flatnonzero(later)} == {2: 0.5, 3: 0.3, 12: 0.2}
    sooner = forecast._shifted(shares, -1)
    assert {back: sooner[back] for back in np.flatnonzero(sooner)} == {0: 0.8, 11: 0.2}
    assert forecast._shifted(shares, 0).tolist() == shares.tolist()
    assert later.sum() == pytest.approx(1.0)


def test_the_nearest_date_moves_by_the_months_of_the_milestone() -> None:
    first, second, third = (load_season(name) for name in ("cea-2021", "cea-2023", "cea-2024"))
    assert forecast._moved_by(second, first) == 1
    assert forecast._moved_by(third, second) == -1
    assert forecast._moved_by(first, first) == 0


@pytest.mark.parametrize(
    ("model", "null", "belief", "past", "won"),
    [(0.2, 0.3, 0.3, 0.3, True), (0.2, 0.3, 0.3, 0.1, False), (0.2, 0.1, 0.3, 0.3, False), (0.2, 0.3, 0.1, 0.3, False),
     (0.2, 0.2, 0.3, 0.3, False)],
)  # fmt: skip
def test_the_model_has_to_be_nearer_than_every_rival_that_counts(
    model: float, null: float, belief: float, past: float, *, won: bool
) -> None:
    made_up = {"mean_profile": model, "null": null, "null with belief": belief, "past mean": past, "last": 0.0}
    assert forecast.beats(made_up) is won


def test_a_season_without_a_monthly_record_cannot_be_held_against_a_forecast() -> None:
    nothing = replace(load_season("cea-2021"), name="not-recorded")
    with pytest.raises(ScenarioError, match=r"not-recorded.toml: monthly_volume: got None, expected"):
        forecast.recorded_profile(nothing)


@pytest.mark.parametrize("name", forecast.ROUNDS)
def test_what_is_predicted_was_not_fitted(name: str) -> None:
    fitted, predicted = forecast.ROUNDS[name]
    assert any(one.kind == ParameterKind.FITTED for one in load_season(fitted).parameters.values())
    for season in predicted:
        plan = load_season(season)
        assert not any(one.kind == ParameterKind.FITTED for one in plan.parameters.values()), season
        assert plan.first_day > load_season(fitted).first_day
        assert forecast.recorded_profile(plan).sum() == pytest.approx(1.0)
