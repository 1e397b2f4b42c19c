"""What a firm starts on the price it expects, and how many tonnes come of it. Decisions are final 不可撤销.

A firm compares the cost of a tonne with what the tonne is worth to it: the expected price, whether it then buys a unit
less or sells one more. What is built too late for this cycle counts for the next one, at a discount, because nobody
knows yet what a unit will be worth there. Days are calendar days from the first day of the cycle; a season whose duty
is for years that are over has no tonnes to gain. This file may not know where the expected price comes from.
"""

from dataclasses import replace

import numpy as np

from engine.errors import EmexError
from sim.abatement.menu import CYCLE_DAYS, Menu

NOT_STARTED = 1_000_000
"""Day on which a measure was started that nobody has started."""
NEXT_CYCLE_SHARE = 0.5
"""Of the potential of a measure that works only in the next cycle, what a firm counts today, share of 1; assumed."""


def counted_share(menu: Menu, days_left: int) -> np.ndarray:
    """Share of each measure's potential that counts when it is started now, float, shape (measures,).

    1 where it works before the cycle ends in `days_left` calendar days; else `NEXT_CYCLE_SHARE`, pro rata by the days
    it works in the next cycle; 0 beyond that. Raises `EmexError` on negative `days_left`.
    """
    if days_left < 0:
        raise EmexError(f"days_left: got {days_left}, expected 0 or more calendar days to the end of the cycle")
    next_cycle = 1 - (menu.build_days - days_left) / CYCLE_DAYS
    return np.where(menu.build_days < days_left, 1.0, NEXT_CYCLE_SHARE * np.clip(next_cycle, 0, 1))


def adopt(
    menu: Menu, started: np.ndarray, expected_price_fen: np.ndarray | float, days_left: int, firms_awake: np.ndarray
) -> np.ndarray:
    """The measures that firms start today, bool, shape (measures,).

    `started`, bool, shape (measures,); `expected_price_fen`, fen/t, of each firm (firms,) or of all; `days_left`,
    calendar days to the end of the cycle; `firms_awake`, bool, shape (firms,): who looks at its menu today. A measure
    is worth it where its cost is below the expected price times `counted_share`. Raises `EmexError` on negative days.
    """
    price_fen = np.broadcast_to(expected_price_fen, (menu.firms,))[menu.firm]
    worth_it = menu.marginal_cost_fen < price_fen * counted_share(menu, days_left)
    found: np.ndarray = worth_it & ~started & firms_awake[menu.firm]
    return found


def worked_t(menu: Menu, started_on: np.ndarray, until: int, since: int = 0) -> np.ndarray:
    """Tonnes that each measure has saved from day `since` to the eve of day `until`, int64, shape (measures,).

    `started_on`, day of the decision, int64, shape (measures,), NOT_STARTED for none, negative in earlier cycles. Pro
    rata by days, rounded down to whole tonnes, never more than the potential. The next cycle, as far as decided today:
    `since` and `until` a cycle later.
    """
    first = np.maximum(started_on + menu.build_days, since)
    worked: np.ndarray = menu.potential_t * np.clip(until - first, 0, CYCLE_DAYS) // CYCLE_DAYS
    return worked


def working_t(menu: Menu, started_on: np.ndarray, until: int, since: int = 0) -> np.ndarray:
    """Tonnes that each firm has saved, int64, shape (firms,); see `worked_t`."""
    return menu.by_firm(worked_t(menu, started_on, until, since))


def attainable(menu: Menu, days: int) -> Menu:
    """The menu of a cycle of which `days` are left when all begin today: what a season may be held against.

    Potentials are what each measure can save until then; many are 0.
    """
    return replace(menu, potential_t=worked_t(menu, np.zeros_like(menu.firm), days))
