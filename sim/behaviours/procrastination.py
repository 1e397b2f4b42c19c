"""Putting it off: a firm begins when the nearest date that binds it is closer than its own threshold.

Hyperbolic discounting, V / (1 + k days) > cost, gives a threshold in days; thresholds differ widely between firms.
Haste follows the milestone, where one is announced that binds the firm; else the legal deadline.
"""

import numpy as np

from sim.information import News
from sim.population import Population


def begins(people: Population, news: News) -> np.ndarray:
    """Whether each participant's threshold is reached today, bool, shape (participants,)."""
    reached: np.ndarray = news.days_to_binding(people) < people.procrastination_days
    return reached
