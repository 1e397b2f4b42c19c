"""What is public today, and what a firm knows of its own position. The only way for a behaviour to learn a date.

A date exists for an agent from the day it was announced; before that, nothing here will tell it. A firm's own
position is an estimate until its true-up, and exact from then on.
"""

from dataclasses import dataclass

import numpy as np

from sim.parameters import Parameters
from sim.population import Population
from sim.season import Announced, SeasonPlan

NEVER = 10_000
"""Days to a date that nobody has announced."""


@dataclass(frozen=True)
class Today:
    """Public information on one trading day."""

    day: np.datetime64
    index: int
    """Number of the trading day, from 0."""
    close_fen: int
    """Previous listed close."""
    low_fen: int
    """Lower price limit of the day."""
    high_fen: int
    reference_fen: float
    """Mean of the last weeks' closes."""
    days_to_deadline: int
    """Calendar days, NEVER when no deadline is known."""
    days_to_milestone: int
    milestone_share: float

    def days_to_binding(self, people: Population) -> np.ndarray:
        """Calendar days to the nearest date that binds each firm, int64, shape (firms,)."""
        bound = people.late < self.milestone_share
        return np.where(bound, min(self.days_to_milestone, self.days_to_deadline), self.days_to_deadline)


def _days_to(announced: Announced | None, day: np.datetime64) -> int:
    """Calendar days until the date; NEVER before it is known or when it has passed."""
    if announced is None or day < announced.known_from or day > announced.date:
        return NEVER
    return int((announced.date - day).astype(int))


def look(
    plan: SeasonPlan,
    day: np.datetime64,
    index: int,
    closes_fen: list[int],
    memory: int,
    limits_fen: tuple[int, int],
) -> Today:
    """Public information on `day`; `closes_fen`: all closes so far, the reference price first; `memory` in days."""
    milestone = _days_to(plan.milestone, day)
    return Today(
        day=day,
        index=index,
        close_fen=closes_fen[-1],
        low_fen=limits_fen[0],
        high_fen=limits_fen[1],
        reference_fen=float(np.mean(closes_fen[-memory:])),
        days_to_deadline=_days_to(plan.deadline, day),
        days_to_milestone=milestone,
        milestone_share=plan.milestone.share if plan.milestone and milestone < NEVER else 0.0,
    )


def true_up_dates(plan: SeasonPlan, people: Population) -> np.ndarray:
    """Day on which each firm's final allocation is approved and issued, datetime64[D], shape (firms,)."""
    return plan.true_up.date + people.true_up_delay_days.astype("timedelta64[D]")


def sure_position(people: Population, p: Parameters, known: np.ndarray) -> np.ndarray:
    """Tonnes that each firm is sure to be long (+) or short (-), int64, shape (firms,).

    `known`, bool: the firm's true-up has happened. Before it, only what lies beyond `prudence_z` standard deviations
    of its own estimate counts as sure.
    """
    exact = people.position_t
    sigma = p.need_sigma * people.emissions_t
    estimate = exact + sigma * people.estimate_error
    margin = p.prudence_z * sigma
    guess = np.sign(estimate) * np.maximum(0, np.abs(estimate) - margin)
    return np.where(known, exact, np.floor(guess).astype(np.int64))
