"""What is public today, and what a firm knows of its own position. The only way for a behaviour to learn a date.

A date exists for an agent from the day it was announced; before that, nothing here will tell it. Where no deadline has
been announced yet, a share of the firms expects last year's date again. A firm's own position is an estimate until its
true-up, and exact from then on.
"""

from dataclasses import dataclass

import numpy as np

from sim.facts import Announced, DateKind
from sim.parameters import Parameters
from sim.population import Population
from sim.season import SeasonPlan

NEVER = 10_000
"""Days to a date that nobody has announced."""
LATE_MOVES, USUAL_MOVES = 10, 60
"""Trading days whose moves are recent, and days that are the measure of them."""
CALMEST = 1 / 3
"""Least unease."""


@dataclass(frozen=True)
class News:
    """Announced dates as they stand on one trading day; distances in calendar days, NEVER where there is none."""

    day: np.datetime64
    index: int
    """Number of the trading day, from 0."""
    days_to_deadline: int
    """Of several deadlines to the one announced last, or to the last day before it on which the product trades; once it
    has passed, to the end of the correction window."""
    days_to_milestone: int
    milestone_share: float
    days_to_expected: int
    """To last year's date, while no deadline is announced."""
    believers: float
    """Share of firms that expect it."""
    days_to_collection: int
    """Until units that cannot be carried over are worth nothing."""

    def days_to_binding(self, people: Population) -> np.ndarray:
        """Calendar days to the nearest date that binds each firm, int64, shape (participants,)."""
        bound = people.late < self.milestone_share
        known = np.where(bound, min(self.days_to_milestone, self.days_to_deadline), self.days_to_deadline)
        return np.where(people.belief < self.believers, np.minimum(known, self.days_to_expected), known)


@dataclass(frozen=True)
class Today:
    """Public information on one trading day about one product."""

    news: News
    close_fen: int
    """Previous close."""
    low_fen: int
    """Lower price limit of the day."""
    high_fen: int
    reference_fen: float
    """Mean of the last weeks' closes."""
    unease: float
    """How much the price has moved of late, over how much it usually does; within `CALMEST` and its inverse."""

    @property
    def days_to_deadline(self) -> int:
        """See `News`."""
        return self.news.days_to_deadline


def _days_until(announced: Announced, day: np.datetime64) -> int:
    """Calendar days; NEVER before it is known or when it has passed."""
    if day < announced.known_day or day > announced.day:
        return NEVER
    return int((announced.day - day).astype(int))


def _to_deadline(plan: SeasonPlan, day: np.datetime64) -> int:
    known = [date for date in plan.of(DateKind.DEADLINE) if date.known_day <= day]
    if not known:
        return NEVER
    if day <= known[-1].day:
        return max(0, int((plan.last_trade_by(known[-1].day) - day).astype(int)))
    return min((_days_until(date, day) for date in plan.of(DateKind.CORRECTION_END)), default=NEVER)


def _to_expected(plan: SeasonPlan, day: np.datetime64) -> int:
    """Days to the next return of last cycle's date, while no deadline is announced."""
    last = plan.last(DateKind.LAST_DEADLINE)
    announced = any(date.known_day <= day for date in plan.of(DateKind.DEADLINE))
    if last is None or announced:
        return NEVER
    years = day.astype("datetime64[Y]").astype(int) + 1970 - last.date.year
    same = [np.datetime64(last.date.replace(year=last.date.year + years + more)) for more in (0, 1)]
    return int((next(date for date in same if date >= day) - day).astype(int))


def news(plan: SeasonPlan, p: Parameters, day: np.datetime64, index: int) -> News:
    """Announced dates as they stand on `day`, the `index`th trading day."""
    milestone = plan.milestone
    to_milestone = _days_until(milestone, day) if milestone else NEVER
    drafted = any(date.known_day <= day for date in plan.of(DateKind.DRAFT))
    collection = plan.last(DateKind.COLLECTION)
    return News(
        day=day,
        index=index,
        days_to_deadline=_to_deadline(plan, day),
        days_to_milestone=to_milestone,
        milestone_share=milestone.share if milestone and to_milestone < NEVER else 0.0,
        days_to_expected=_to_expected(plan, day),
        believers=p.belief * (1 - p.belief_drop if drafted else 1.0),
        days_to_collection=_days_until(collection, day) if collection else NEVER,
    )


def _unease(closes_fen: list[int]) -> float:
    """Mean absolute return of the last days over that of the last months; 1 until there is something to compare."""
    moves = np.abs(np.diff(np.log(closes_fen[-USUAL_MOVES - 1 :])))
    usual = float(moves.mean()) if len(moves) >= 2 * LATE_MOVES else 0.0
    return 1.0 if usual == 0 else float(np.clip(moves[-LATE_MOVES:].mean() / usual, CALMEST, 1 / CALMEST))


def look(today: News, closes_fen: list[int], memory: int, nervousness: float, limits_fen: tuple[int, int]) -> Today:
    """Public information about a product.

    `closes_fen`: all closes so far, the reference price first; `memory`: days of the mean; `nervousness`: power
    of the unease; `limits_fen`: of the day.
    """
    return Today(
        news=today,
        close_fen=closes_fen[-1],
        low_fen=limits_fen[0],
        high_fen=limits_fen[1],
        reference_fen=float(np.mean(closes_fen[-memory:])),
        unease=_unease(closes_fen) ** nervousness,
    )


def true_up_dates(plan: SeasonPlan, people: Population) -> np.ndarray:
    """Day on which each firm's final allocation is approved and issued, datetime64[D], shape (participants,).

    Without a true-up in the season positions are known from the first day.
    """
    notice = plan.last(DateKind.TRUE_UP)
    first = plan.first_day if notice is None else notice.day
    delay = np.where(notice is None, 0, people.true_up_delay_days)
    return first + delay.astype("timedelta64[D]")


def need_sigma(plan: SeasonPlan, p: Parameters, day: np.datetime64) -> float:
    """Standard error of a firm's own estimate before its true-up, share of its emissions."""
    stages = [d for d in plan.dates if d.need_sigma is not None and d.known_day <= day]
    latest = max(stages, key=lambda date: date.known_from, default=None)
    return p.need_sigma if latest is None or latest.need_sigma is None else latest.need_sigma


def sure_position(
    people: Population, p: Parameters, known: np.ndarray, position_t: np.ndarray, sigma: float
) -> np.ndarray:
    """Tonnes that each firm is sure to be long (+) or short (-), int64, shape (participants,).

    `position_t` is the exact position; `known`, bool: the firm's true-up has happened. Before it, only what lies beyond
    `prudence_z` standard deviations of its own estimate counts as sure; `sigma` as from `need_sigma`.
    """
    error = sigma * people.emissions_t
    estimate = position_t + error * people.estimate_error
    margin = p.prudence_z * error
    guess = np.sign(estimate) * np.maximum(0, np.abs(estimate) - margin)
    return np.where(known, position_t, np.floor(guess).astype(np.int64))
