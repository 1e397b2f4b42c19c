"""The end of a cycle: surrender 清缴, shortfall, fine, and what the next allocation will lose.

A firm that responds surrenders offsets first, then allowances, up to its duty. The fine is a lump sum and the
deduction one to one (MEE Order 19, Art. 40), which makes default rational for any larger need: administrative
pressure, a parameter, is what keeps firms complying.
"""

from dataclasses import dataclass

import numpy as np

from engine.codes import CommandKind
from sim.population import Population
from sim.port import ALLOWANCE, OFFSET, Port
from sim.season import SeasonPlan


@dataclass(frozen=True)
class Outcome:
    """Compliance by firm, int64, shape (firms,)."""

    surrendered_t: np.ndarray
    """Allowances and offsets."""
    offsets_used_t: np.ndarray
    shortfall_t: np.ndarray
    fine_fen: np.ndarray
    next_deduction_t: np.ndarray
    """Units that the next cycle's allocation will lose."""


def settle(plan: SeasonPlan, people: Population, port: Port, firms: np.ndarray) -> Outcome:
    """Surrender and punish through the exchange's registry commands."""
    duty = people.duty_t
    responds = ~people.unresponsive
    offsets = np.where(responds, np.minimum(port.units_t(len(firms), OFFSET), duty), 0)
    allowances = np.where(responds, np.minimum(port.units_t(len(firms)), duty - offsets), 0)
    port.move(CommandKind.SURRENDER, firms, offsets, OFFSET)
    port.move(CommandKind.SURRENDER, firms, allowances, ALLOWANCE)
    shortfall = duty - offsets - allowances
    fine = np.where(shortfall > 0, plan.fine_fen, 0)
    port.move(CommandKind.DEPOSIT, firms, np.maximum(0, fine - port.cash_fen(len(firms))))
    port.move(CommandKind.FINE, firms, fine)
    return Outcome(
        surrendered_t=offsets + allowances,
        offsets_used_t=offsets,
        shortfall_t=shortfall,
        fine_fen=fine,
        next_deduction_t=np.ceil(plan.deduction_multiple * shortfall).astype(np.int64),
    )
