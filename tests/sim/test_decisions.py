"""The simulation may respond to rules and dates, never to what was recorded."""

import re
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest

from sim import checks
from sim.parameters import load_parameters
from sim.result import Season
from sim.season import SeasonPlan, load_season
from sim.world import World

SIM = Path(__file__).parents[2] / "sim"
SEEDS = range(501, 505)
slow_without_compiler = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="whole seasons are for the compiled lane"
)


def _run(plan: SeasonPlan, seed: int, **changes: float) -> Season:
    return World(plan, load_parameters(**changes), seed).run()


def _centre_day(season: Season, plan: SeasonPlan) -> float:
    """Volume-weighted mean of the trading days, calendar days after the launch."""
    days = (season.days["date"] - plan.first_day).astype(int)
    return float((season.total_qty_t * days).sum() / season.total_qty_t.sum())


def _last_two_months(season: Season, plan: SeasonPlan) -> float:
    late = season.days["date"] > plan.last_day - 61
    return float(season.total_qty_t[late].sum() / season.total_qty_t.sum())


@slow_without_compiler
def test_scrambled_records_leave_the_season_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = load_season("cea-2021")
    before = _run(plan, 501).digest
    text = (SIM / "records" / "cea-2021.toml").read_text()
    scrambled = tmp_path / "cea-2021.toml"
    scrambled.write_text(re.sub(r"\d", lambda digit: str((int(digit.group()) + 3) % 10), text))
    monkeypatch.setattr(checks, "RECORDS", tmp_path)
    assert scrambled.read_text() != text
    assert _run(plan, 501).digest == before


def test_only_checks_and_null_model_read_the_records() -> None:
    readers = {p.name for p in SIM.rglob("*.py") if re.search(r"[\"'/]records[\"'/]|load_records", p.read_text())}
    assert readers == {"checks.py", "null.py", "seeds.py", "fit.py", "replay.py", "report.py", "season.py"}
    for name in ("seeds.py", "fit.py", "replay.py", "report.py"):
        assert "checks" in (SIM / name).read_text(), f"{name} reads the record through the checks"


def test_behaviours_know_no_month_and_no_date() -> None:
    for path in [*(SIM / "behaviours").glob("*.py"), SIM / "world.py", SIM / "population.py"]:
        assert not re.search(r"20[12]\d-\d\d|month\s*[=!<>]=?\s*\d|datetime64\(\"2", path.read_text()), path.name


@slow_without_compiler
def test_moving_every_date_by_45_days_moves_the_volume_with_them() -> None:
    plan = load_season("cea-2021")
    later = plan.moved(45, true_up=True)
    shifts = [_centre_day(_run(later, s), later) - _centre_day(_run(plan, s), plan) for s in SEEDS]
    print(f"all dates moved by 45 days: centre of volume moves by {np.mean(shifts) / 45:.2f} of it")
    assert 0.8 <= np.mean(shifts) / 45 <= 1.1


@slow_without_compiler
@pytest.mark.parametrize("days", [-15, 30])
def test_moving_deadline_and_milestone_moves_the_centre_of_volume_by_most_of_it(days: int) -> None:
    plan = load_season("cea-2021")
    moved = plan.moved(days, true_up=False)
    shifts = [_centre_day(_run(moved, s), moved) - _centre_day(_run(plan, s), plan) for s in SEEDS]
    print(f"deadline and milestone moved by {days} days: centre of volume moves by {np.mean(shifts) / days:.2f} of it")
    assert 0.6 <= np.mean(shifts) / days <= 1.0


@slow_without_compiler
def test_without_deadline_pressure_the_two_month_share_at_least_halves() -> None:
    plan = load_season("cea-2021")
    free = plan.without_deadline()
    base = np.mean([_last_two_months(_run(plan, s), plan) for s in SEEDS])
    without = np.mean([_last_two_months(_run(free, s), plan) for s in SEEDS])
    print(f"share of the last two months: {base:.2f}, without deadline pressure {without:.2f}")
    assert without <= base / 2


@slow_without_compiler
def test_a_season_repeats_under_its_seed_and_differs_under_another() -> None:
    plan = load_season("cea-2021")
    assert _run(plan, 7).digest == _run(plan, 7).digest
    assert _run(plan, 7).digest != _run(plan, 8).digest


@slow_without_compiler
def test_compliance_follows_administrative_pressure() -> None:
    plan = load_season("cea-2021")
    rates = []
    for share in (0.0, 0.12, 0.3):
        firms = _run(plan, 501, unresponsive_share=share).firms
        assert firms is not None
        rates.append(float((firms["shortfall_t"] == 0).mean()))
    print("share of firms complying at unresponsive shares 0, 0.12, 0.3:", [f"{rate:.2f}" for rate in rates])
    assert rates[0] > rates[1] > rates[2]


@slow_without_compiler
def test_an_agent_learns_a_date_on_the_day_it_is_announced() -> None:
    from sim.information import NEVER, look

    plan = load_season("cea-2021")
    assert plan.milestone
    before = look(plan, plan.milestone.known_from - 1, 0, [4800], 20, (4320, 5280))
    after = look(plan, plan.milestone.known_from, 0, [4800], 20, (4320, 5280))
    assert before.days_to_milestone == NEVER
    assert after.days_to_milestone == (plan.milestone.date - plan.milestone.known_from).astype(int)


@slow_without_compiler
def test_both_engines_give_the_same_season() -> None:
    plan = replace(load_season("cea-2021"), firms=250, last_day=np.datetime64("2021-09-30"))
    p = load_parameters(procrastination_days=120)
    fast, slow = World(plan, p, 3).run(), World(plan, p, 3, "reference").run()
    assert fast.digest == slow.digest
    assert fast.total_qty_t.sum() > 0
