"""The cheapest way to meet the cap, the price that brings it about, and how near a market came to it 配置效率.

    required reduction    emissions - units that may be surrendered, offsets among them
    least cost            the cheapest measures of all firms first, as if units found every buyer
    no trade              each firm meets its own deficit by its own measures, or fails to
    efficiency            0 at no trade, 1 at least cost

Measures by cost are the supply curve of reductions, the required reduction is their demand: the schedules of Smith
(1962, An Experimental Study of Competitive Market Behavior, JPE 70). A backstop, stated by the caller, caps every cost:
what a tonne costs that nobody reduces (a penalty per tonne short, or what the harm is put at). Whole tonnes and fen.
This file may not know what the market did, but for the cost and the shortfall that it is asked to judge.
"""

from dataclasses import dataclass

import numpy as np

from engine.errors import EmexError
from sim.abatement.menu import Menu


@dataclass(frozen=True)
class Outcome:
    """What is reduced, what that costs, and what is missing."""

    amount_t: np.ndarray
    """Tonnes by measure, int64, shape (measures,)."""
    cost_fen: int
    """Of the measures."""
    shortfall_t: int
    backstop_fen: int
    """Cost of a tonne short, fen/t."""

    @property
    def tonnes_t(self) -> int:
        """Tonnes reduced."""
        return int(self.amount_t.sum())

    @property
    def chosen(self) -> np.ndarray:
        """Whether a measure is used, wholly or in part, bool, shape (measures,)."""
        return self.amount_t > 0

    @property
    def total_fen(self) -> int:
        """Cost of the measures and of the shortfall at the backstop."""
        return self.cost_fen + self.shortfall_t * self.backstop_fen


@dataclass(frozen=True)
class LeastCost(Outcome):
    """The least total cost; all measures wholly or not at all, but for the last one."""

    required_t: int
    price_fen: int
    """Lowest price at which firms reduce so much, fen/t: the cost of the last tonne; 0 when none is required."""


def _check_backstop(backstop_fen: int) -> None:
    if backstop_fen <= 0:
        raise EmexError(f"backstop_fen: got {backstop_fen}, expected the cost of a tonne short, above 0 fen/t")


def _cheapest_first_t(menu: Menu, pool: np.ndarray, need_t: np.ndarray, backstop_fen: int) -> np.ndarray:
    """Tonnes by measure that meet the need of each pool, its cheapest measures first, int64, shape (measures,).

    `pool`: whose need a measure serves, shape (measures,); `need_t`: by pool. Measures above the backstop are left out.
    """
    order = np.lexsort((menu.marginal_cost_fen, pool))
    owner = pool[order]
    size = np.where(menu.marginal_cost_fen <= backstop_fen, menu.potential_t, 0)[order]
    before = np.cumsum(size) - size
    before -= before[np.searchsorted(owner, owner)]
    amount = np.zeros(len(order), np.int64)
    amount[order] = np.clip(need_t[owner] - before, 0, size)
    return amount


def least_cost(menu: Menu, required_t: int, backstop_fen: int) -> LeastCost:
    """The cheapest way to reduce `required_t` in all; nothing where that is 0 or less. Raises `EmexError`.

    Of two measures of one cost the first in the menu is used first; a measure that costs as much as the backstop is
    preferred to it.
    """
    _check_backstop(backstop_fen)
    required = max(0, required_t)
    amount = _cheapest_first_t(menu, np.zeros_like(menu.firm), np.array([required]), backstop_fen)
    shortfall = required - int(amount.sum())
    price = backstop_fen if shortfall else int(menu.marginal_cost_fen[amount > 0].max(initial=0))
    return LeastCost(amount, menu.cost_of_fen(amount), shortfall, backstop_fen, required, price)


def no_trade_cost(menu: Menu, deficit_t: np.ndarray, backstop_fen: int) -> Outcome:
    """What the cap costs when no unit changes hands: the zero point of `efficiency`. Raises `EmexError`.

    `deficit_t`, int64, shape (firms,): emissions less units held, before any reduction; a surplus (below 0) helps
    nobody. Each firm uses its own measures, cheapest first, and the backstop for the rest.
    """
    _check_backstop(backstop_fen)
    need = np.maximum(0, deficit_t)
    amount = _cheapest_first_t(menu, menu.firm, need, backstop_fen)
    return Outcome(amount, menu.cost_of_fen(amount), int(need.sum() - amount.sum()), backstop_fen)


def demand_t(menu: Menu, emissions_t: int, price_fen: int) -> int:
    """Units that all firms together want at a price, t, if nothing caps what they buy.

    Emissions less every measure that costs no more than a unit; `emissions_t` is the sum over firms.
    """
    return int(emissions_t - menu.potential_t[menu.marginal_cost_fen <= price_fen].sum())


def demand_price(menu: Menu, emissions_t: int, supply_t: int, backstop_fen: int) -> int:
    """Lowest price in fen/t at which `demand_t` is no more than `supply_t`; 0 when units are plenty.

    At the backstop nobody reduces further, whatever is missing. `supply_t` is the sum of all units, offsets among them.
    Raises `EmexError`.
    """
    return least_cost(menu, emissions_t - supply_t, backstop_fen).price_fen


def efficiency(achieved_cost_fen: int, shortfall_t: int, least: LeastCost, no_trade: Outcome) -> float | None:
    """Share of the attainable gains from trade that was realised, float; None where there is nothing to gain.

    `achieved_cost_fen`: what was spent on reductions (and on trading, if that is to count as a social cost: fees paid
    for work, but never the price of a unit, which one firm pays and another gets). `shortfall_t`: sum over the firms
    of what each lacked at the end; it costs the backstop. Units that firms hoard show in it, and so does a reduction
    that nobody needed, in the cost.

        1 - (cost as it was - least cost) / (cost without trade - least cost)

    1 at the least cost, 0 at no trade, negative where trade did harm. It is the allocative efficiency of Gode and
    Sunder (1993, Allocative Efficiency of Markets with Zero-Intelligence Traders, JPE 101), the realised share of the
    greatest surplus of buyers and sellers, for the surplus that avoided cost is.
    """
    gains_fen = no_trade.total_fen - least.total_fen
    if gains_fen <= 0:
        return None
    excess_fen = achieved_cost_fen + shortfall_t * least.backstop_fen - least.total_fen
    return 1 - excess_fen / gains_fen
