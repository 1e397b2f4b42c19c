"""What firms do about their emissions during a season, and how near the season came to the cheapest way to its cap.

    every day a few firms look at their menus -> `abatement.decide` on the last close -> tonnes saved within the cycle
    at the end: tonnes, social cost, least cost of the same cap, efficiency

A season's duty is for years that end before its deadline, so only what is built and works by then lowers it; the rest
counts for the next cycle. This file may not know how a price came about.
"""

from typing import Any

import numpy as np

from sim.abatement.decide import NOT_STARTED, adopt, attainable, worked_t
from sim.abatement.equilibrium import efficiency, least_cost, no_trade_cost
from sim.abatement.menu import draw_menu
from sim.parameters import Parameters
from sim.population import Population
from sim.season import SeasonPlan
from sim.streams import stream

FEN = 100
NEGLIGIBLE = 1e-3
"""Gains from trade below this share of all emissions at the backstop are nothing to judge a market by; assumed."""


class Reductions:
    """Measures of all firms of one season."""

    def __init__(self, plan: SeasonPlan, people: Population, p: Parameters, seed: int) -> None:
        self._people, self._p, self._seed = people, p, seed
        self._menu = draw_menu(people.emissions_t[: people.firms], seed)
        self._first = plan.first_day
        self._days = max(0, int((plan.emissions_until - plan.first_day).astype(int)) + 1)
        """Calendar days of the season whose emissions are this cycle's."""
        self._started_on = np.full(len(self._menu.firm), NOT_STARTED, np.int64)
        self._padding = np.zeros(len(people.emissions_t) - people.firms, np.int64)

    def decide(self, day: np.datetime64, index: int, close_fen: int) -> None:
        """The firms that look today start what is worth it at the last close."""
        passed = int((day - self._first).astype(int))
        looks = stream(self._seed, f"abatement day {index}").random(self._people.firms) < self._p.abatement_attention
        started = self._started_on != NOT_STARTED
        new = adopt(self._menu, started, float(close_fen), max(0, self._days - passed), looks)
        self._started_on[new] = passed

    def abated_t(self) -> np.ndarray:
        """Tonnes that what has been started saves within this cycle, int64, shape (participants,)."""
        return np.concatenate([self._menu.by_firm(self._worked_t()), self._padding])

    def _worked_t(self) -> np.ndarray:
        worked: np.ndarray = worked_t(self._menu, self._started_on, self._days)
        return worked

    def verdict(self, deficit_t: np.ndarray, supply_t: int, shortfall_t: int) -> dict[str, Any]:
        """What the season achieved.

        Parameters
        ----------
        deficit_t : emissions that are due less units held before any trade or reduction, int64, shape (firms,)
        supply_t : what all firms together hold beyond what is due, at least 0 counts as no reduction needed
        shortfall_t : missing at the end, t

        Returns `abated_t, social_cost_cny, least_cost_cny, no_trade_cost_cny, least_cost_price_cny, required_t,
        backstop_cny, efficiency` (None where there was nothing to gain).
        """
        backstop = round(FEN * self._p.value_level * self._p.backstop_multiple)
        menu = attainable(self._menu, self._days)
        worked = self._worked_t()
        cost = self._menu.cost_of_fen(worked)
        least = least_cost(menu, -supply_t, backstop)
        alone = no_trade_cost(menu, deficit_t, backstop)
        gains = alone.total_fen - least.total_fen
        worth = NEGLIGIBLE * float(self._people.emissions_t.sum()) * backstop
        return {
            "abated_t": int(worked.sum()),
            "social_cost_cny": cost / FEN,
            "least_cost_cny": least.total_fen / FEN,
            "no_trade_cost_cny": alone.total_fen / FEN,
            "least_cost_price_cny": least.price_fen / FEN,
            "required_t": least.required_t,
            "backstop_cny": backstop / FEN,
            "efficiency": efficiency(cost, shortfall_t, least, alone) if gains >= worth else None,
        }
