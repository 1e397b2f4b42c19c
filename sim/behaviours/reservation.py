"""What a unit is worth to a participant: values that differ, and a willingness to pay that follows the deadline.

A seller's value is what the unit saves it later; a buyer's limit rises as the legal deadline comes near, because
only that date has a sanction. A unit that dies with the season is worth less to its holder every day. Prices in fen.
"""

import numpy as np

from sim.behaviours.approval import urgency
from sim.information import News
from sim.parameters import Parameters
from sim.population import Population


def private_value_fen(people: Population, p: Parameters, level_fen: float) -> np.ndarray:
    """Value of a unit to each participant around the common level, float, shape (participants,)."""
    value: np.ndarray = level_fen * np.exp(p.value_sigma * people.private_value)
    return value


def buyer_limit_fen(value_fen: np.ndarray, level_fen: float, p: Parameters, news: News) -> np.ndarray:
    """Most that each participant pays today, float, shape (participants,).

    On the day of the deadline what a unit is worth to its holder no longer counts for who has to surrender it: nobody
    then stops below what the average firm pays.
    """
    last = (1 + p.deadline_willingness) * np.maximum(value_fen, level_fen)
    return value_fen + urgency(news.days_to_deadline, p.willingness_days) * (last - value_fen)


def seller_floor_fen(value_fen: np.ndarray, p: Parameters, sold_share: np.ndarray) -> np.ndarray:
    """Least at which each participant sells its next unit, float; the hoarded part of a surplus costs a premium."""
    hoarded = sold_share >= 1 - p.hoard_share
    return value_fen * np.where(hoarded, p.hoard_premium, 1.0)


def floor_of_dying_fen(floor_fen: np.ndarray, dies: np.ndarray, days_left: int, scale_days: float) -> np.ndarray:
    """The floor of units that nobody will want after a date, float; `dies`, bool: the next unit is one of them."""
    return np.where(dies, floor_fen * (1 - urgency(days_left, scale_days)), floor_fen)
