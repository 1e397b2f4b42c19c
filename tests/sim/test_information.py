"""A date exists for an agent from the day of its announcement, and a position is an estimate until its true-up."""

from dataclasses import fields, replace

import msgspec
import numpy as np
import pytest

from sim import information
from sim.facts import Announced, DateKind
from sim.information import NEVER, News
from sim.parameters import load_parameters
from sim.population import Population, draw_population
from sim.season import SeasonPlan, load_season
from tests.sim.small import SEASONS, small

P = load_parameters()
SAID_BY_NEWS = {
    DateKind.DEADLINE, DateKind.MILESTONE, DateKind.LAST_DEADLINE, DateKind.DRAFT, DateKind.CORRECTION_END,
    DateKind.COLLECTION,
}  # fmt: skip


def news(plan: SeasonPlan, day: str | np.datetime64) -> News:
    return information.news(plan, P, np.datetime64(day), 0)


def without(plan: SeasonPlan, date: Announced) -> SeasonPlan:
    return replace(plan, dates=tuple(one for one in plan.dates if one is not date))


def known(plan: SeasonPlan, day: np.datetime64) -> tuple[object, ...]:
    """All that is said of dates on a day."""
    said = information.news(plan, P, day, 0)
    return (*(getattr(said, field.name) for field in fields(said)), information.need_sigma(plan, P, day))


@pytest.mark.parametrize("name", SEASONS)
def test_no_date_of_any_season_is_known_before_it_was_announced(name: str) -> None:
    plan = load_season(name)
    assert bool(plan.dates) is not (name == "sichuan-2017"), "there alone nothing is due"
    for date in plan.dates:
        for day in plan.days[plan.days < date.known_day]:
            assert known(plan, day) == known(without(plan, date), day), f"{date.title} on {day}"


@pytest.mark.parametrize("name", SEASONS)
def test_every_date_that_binds_is_known_from_the_day_of_its_announcement(name: str) -> None:
    plan, seen = load_season(name), 0
    for date in plan.dates:
        day = max(date.known_day, plan.first_day)
        if date.kind not in SAID_BY_NEWS or not day <= min(date.day, plan.last_day):
            continue
        if date.kind == DateKind.CORRECTION_END and plan.deadline:
            day = max(day, plan.deadline.day + 1)
            if day > min(date.day, plan.last_day):
                continue
        seen += 1
        assert known(plan, day) != known(without(plan, date), day), f"{date.title} on {day}"
    assert seen or plan.deadline is None


@pytest.mark.parametrize("name", SEASONS)
def test_no_other_fact_is_used_before_it_was_public(name: str) -> None:
    """Offset rules, and what a published surplus or doubt about carrying over does to values."""
    plan = load_season(name)
    for rule in plan.offsets.rules[1:] if plan.offsets else []:
        day = np.datetime64(rule.known_from)
        assert plan.offsets
        assert plan.offsets.rule(day) is rule
        assert plan.offsets.rule(day - 1) is not rule
    for sale in plan.sales:
        assert sale.known_from < sale.date


def test_the_deadline_counts_down_and_the_correction_window_follows_it() -> None:
    plan = load_season("bea-2017")
    assert news(plan, "2017-06-14").days_to_deadline == 1
    assert news(plan, "2017-06-15").days_to_deadline == 0
    assert news(plan, "2017-06-19").days_to_deadline == NEVER, "the order to make up comes on the 20th"
    assert news(plan, "2017-06-20").days_to_deadline == 10
    assert news(plan, "2017-07-03").days_to_deadline == NEVER


def test_a_deadline_that_passes_is_no_deadline_until_another_one_is_announced() -> None:
    plan = load_season("hbea-2017")
    found = [news(plan, day).days_to_deadline for day in ("2017-05-30", "2017-06-01", "2017-07-03", "2017-07-04")]
    assert found == [1, NEVER, NEVER, 27]
    assert [news(plan, day).days_to_collection for day in ("2017-07-03", "2017-07-04")] == [NEVER, 31]


def test_a_milestone_binds_its_share_of_firms_and_the_deadline_the_rest() -> None:
    plan = load_season("cea-2021")
    people = draw_population(small("cea-2021", firms=400), P, 1)
    before, after = news(plan, "2021-10-25"), news(plan, "2021-10-26")
    assert (before.days_to_milestone, before.milestone_share) == (NEVER, 0.0)
    assert (after.days_to_milestone, after.milestone_share) == (50, 0.95)
    days, firms = after.days_to_binding(people), slice(0, people.firms)
    assert set(days.tolist()) == {50, 66}
    assert (days[firms] == 50).mean() == pytest.approx(0.95, abs=0.04)
    assert (before.days_to_binding(people) == 67).all()


def test_believers_expect_last_years_date_until_a_draft_or_an_announcement() -> None:
    plan = load_season("cea-2022")
    assert plan.deadline is None
    first, drafted = news(plan, "2022-01-04"), news(plan, "2022-11-03")
    assert (first.days_to_deadline, first.days_to_expected) == (NEVER, 361)
    assert (first.believers, drafted.believers) == (P.belief, P.belief * (1 - P.belief_drop))
    later = load_season("cea-2023")
    assert news(later, "2023-03-14").days_to_expected < NEVER
    assert news(later, "2023-03-15").days_to_expected == NEVER
    assert news(later, "2023-03-15").days_to_deadline == 289, "31 December is a Sunday: to the Friday before it"


def test_the_deadline_is_as_far_as_the_last_day_before_it_on_which_the_product_trades() -> None:
    plan = load_season("shea-2014")
    assert plan.deadline is not None
    assert str(plan.last_trade_by(plan.deadline.day)) == "2014-06-26", "the exchange closed its screen on the 27th"
    found = [news(plan, day).days_to_deadline for day in ("2014-06-25", "2014-06-26", "2014-06-27", "2014-06-30")]
    assert found == [1, 0, 0, 0]
    assert news(plan, "2014-07-01").days_to_deadline == NEVER


def test_unease_compares_the_last_moves_with_the_usual_ones() -> None:
    calm = [10_000 + number % 2 * 10 for number in range(80)]
    wild = calm + [10_000 + number % 2 * 500 for number in range(10)]

    def unease(closes: list[int], nervousness: float = 1.0) -> float:
        today = information.look(news(load_season("cea-2021"), "2021-11-01"), closes, 20, nervousness, (1, 10**6))
        return today.unease

    assert unease(calm) == pytest.approx(1.0)
    assert unease(calm[:15]) == 1.0, "nothing to compare with yet"
    assert unease([10_000] * 80) == 1.0, "a price that never moved"
    assert unease(wild) == pytest.approx(1 / information.CALMEST), "at most"
    assert unease(wild + [10_000] * 11) == pytest.approx(information.CALMEST), "at least"
    assert unease(wild, 0.0) == 1.0
    assert unease(wild, 0.5) == pytest.approx(information.CALMEST**-0.5)


def _two(position: tuple[int, int], error: tuple[float, float]) -> tuple[Population, np.ndarray]:
    people = draw_population(small("tjea-2014", firms=10), P, 1)
    many = len(people.emissions_t)
    emissions, guess = np.zeros(many, np.int64), np.zeros(many)
    emissions[:2], guess[:2] = 1_000, error
    exact = np.zeros(many, np.int64)
    exact[:2] = position
    return replace(people, emissions_t=emissions, estimate_error=guess), exact


def test_before_the_true_up_only_what_is_beyond_doubt_counts() -> None:
    p = load_parameters(prudence_z=1.0)
    people, exact = _two((-150, 60), (0.5, 0.0))
    nobody, all_know = np.zeros(len(exact), bool), np.ones(len(exact), bool)
    assert information.sure_position(people, p, nobody, exact, 0.1)[:2].tolist() == [0, 0]
    assert information.sure_position(people, p, nobody, exact, 0.02)[:2].tolist() == [-120, 40]
    assert information.sure_position(people, p, all_know, exact, 0.1)[:2].tolist() == [-150, 60]


def test_what_is_published_narrows_the_error_of_a_firms_own_estimate() -> None:
    plan = load_season("cea-2023")
    found = [information.need_sigma(plan, P, np.datetime64(day)) for day in ("2022-11-02", "2022-11-03", "2023-03-15")]
    assert found == [P.need_sigma, 0.04, 0.02]


def test_true_ups_begin_with_the_notice_and_spread_over_the_provinces() -> None:
    plan = small("cea-2021", firms=300)
    people = draw_population(plan, P, 1)
    dates = information.true_up_dates(plan, people)
    notice = plan.last(DateKind.TRUE_UP)
    assert notice
    assert dates.min() >= max(notice.day, notice.known_day)
    assert 20 <= int((dates.max() - dates.min()).astype(int)) <= P.province_span_days + 3
    none = plan.without(DateKind.TRUE_UP)
    assert (information.true_up_dates(none, people) == plan.first_day).all()


def test_moving_all_dates_moves_what_is_known_of_them() -> None:
    plan = load_season("cea-2021")
    moved = plan.moved(45, everything=True)
    day = np.datetime64("2021-11-20")
    assert replace(news(moved, day + 45), day=day) == news(plan, day)
    ends = plan.moved(45, everything=False)
    assert news(ends, day).days_to_deadline == news(plan, day).days_to_deadline + 45
    assert information.need_sigma(ends, P, day) == information.need_sigma(plan, P, day)
    kept, left = ends.last(DateKind.TRUE_UP), plan.last(DateKind.TRUE_UP)
    assert kept == left


def test_of_several_deadlines_the_one_announced_last_holds() -> None:
    plan = load_season("hbea-2017")
    assert plan.deadline
    assert str(plan.deadline.date) == "2017-07-31"
    again = msgspec.structs.replace(plan.deadline, known_from=plan.deadline.known_from.replace(day=14))
    sooner = msgspec.structs.replace(again, date=plan.deadline.date.replace(day=20))
    other = replace(plan, dates=(sooner, *plan.dates))
    assert news(other, "2017-07-13").days_to_deadline == 18
    assert news(other, "2017-07-14").days_to_deadline == 6
