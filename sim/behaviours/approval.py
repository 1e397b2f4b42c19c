"""The office path: a trade needs an internal approval whose time differs between firms and shortens under pressure."""

import numpy as np

from sim.information import News
from sim.parameters import Parameters
from sim.population import Population


def urgency(days_left: np.ndarray | int, scale_days: float) -> np.ndarray:
    """1 on the date itself, 1/2 at `scale_days` before it, falling with calendar days left, float."""
    return 1 / (1 + np.asarray(days_left) / scale_days)


def buyer_step(people: Population, p: Parameters, news: News, known: np.ndarray) -> np.ndarray:
    """Progress of one trading day towards approval of a purchase, float, shape (participants,); 1 in all is needed.

    Pressure works on firms that know their need; before the true-up the clock runs without it. No office that has begun
    misses the legal deadline: it does at least its share of the days that are left.
    """
    pressure = np.where(known, p.approval_pressure * urgency(news.days_to_binding(people), p.urgency_days), 0)
    in_time = np.where(known, 1 / (1 + news.days_to_deadline), 0)
    return np.maximum((1 + pressure) / people.approval_days, in_time)


def seller_step(people: Population, p: Parameters, known: np.ndarray) -> np.ndarray:
    """Progress of one trading day towards approval of a sale, float, shape (participants,)."""
    return np.where(known, p.seller_speed, p.seller_speed_before) / people.approval_days
