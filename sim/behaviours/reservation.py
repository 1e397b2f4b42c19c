"""What a unit is worth to a firm: private values that differ, and a willingness to pay that follows the deadline.

A seller's value is what the unit saves it later; a buyer's limit rises as the legal deadline comes near, because
only that date has a sanction. Prices in fen.
"""

import numpy as np

from sim.behaviours.approval import urgency
from sim.information import Today
from sim.parameters import Parameters
from sim.population import Population

FEN = 100


def private_value_fen(people: Population, p: Parameters) -> np.ndarray:
    """Value of a unit to each firm, float, shape (firms,)."""
    value: np.ndarray = FEN * p.value_level * np.exp(p.value_sigma * people.private_value)
    return value


def buyer_limit_fen(people: Population, p: Parameters, today: Today) -> np.ndarray:
    """Most that each firm pays today, float, shape (firms,)."""
    return private_value_fen(people, p) * (
        1 + p.deadline_willingness * urgency(today.days_to_deadline, p.willingness_days)
    )


def seller_floor_fen(people: Population, p: Parameters, sold_share: np.ndarray) -> np.ndarray:
    """Least at which each firm sells its next unit, float; the hoarded part of a surplus costs a premium."""
    hoarded = sold_share >= 1 - p.hoard_share
    return private_value_fen(people, p) * np.where(hoarded, p.hoard_premium, 1.0)
