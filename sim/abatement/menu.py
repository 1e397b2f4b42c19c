"""What each firm could do to emit less: measures with a cost, a potential and a time to build 减排措施.

Draws from named streams, one a kind, that depend on emissions and seed alone. Costs are levelised: investment over the
life of the measure and running cost, for each tonne not emitted; all are above zero, because what pays for itself in
saved fuel is taken to be done already. A measure once built stays: there is no way to undo one. This file may not know
a price.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from engine.errors import EmexError
from sim.streams import stream

CYCLE_DAYS = 365
"""Calendar days of emissions for which a potential is stated (a duty covers calendar years); assumed."""


class MeasureKind(IntEnum):
    """Kinds of measures of power stations and industry."""

    OPERATION = 1
    """Operational efficiency, heat rate tuned 运行优化."""
    FUEL_QUALITY = 2
    """Better coal, or biomass and sludge burnt with it 燃料提质与掺烧."""
    OUTPUT_SHIFT = 3
    """Less output, or from a better unit of the same firm 出力调整."""
    RETROFIT = 4
    """Steam path renewed, waste heat used 通流改造与余热利用."""
    FUEL_SWITCH = 5
    """Gas or another fuel in place of coal 燃料替代."""


@dataclass(frozen=True)
class Technique:
    """How measures of one kind are distributed over firms."""

    firms_share: float
    """Firms that have it on their menu, share of 1."""
    potential: tuple[float, float]
    """Uniform between these shares of the firm's emissions."""
    cost_fen: int
    """Median cost, fen/t."""
    cost_sigma: float
    """Log standard deviation of the cost (lognormal)."""
    build_days: tuple[int, int]
    """Uniform between these, calendar days from the decision until it works, both included."""
    source: str


TECHNIQUES = {
    MeasureKind.OPERATION: Technique(0.9, (0.002, 0.010), 20_00, 0.5, (10, 60), "assumed"),
    MeasureKind.FUEL_QUALITY: Technique(0.6, (0.005, 0.030), 60_00, 0.5, (30, 90), "assumed"),
    MeasureKind.OUTPUT_SHIFT: Technique(
        0.8, (0.010, 0.050), 367_56, 0.5, (1, 7),
        "cost: mean marginal cost of CO2 abatement of Chinese coal-fired plants, 367.56 CNY/t, estimated from output "
        "forgone (Energies 2023, 16(8), 3488, abstract), taken as the median; all else assumed",
    ),
    MeasureKind.RETROFIT: Technique(
        0.5, (0.010, 0.040), 120_00, 0.6, (365, 730),
        "time: one to two years and more from planning to operation (newsletter 节能减排信息动态 116, August 2017); "
        "all else assumed",
    ),
    MeasureKind.FUEL_SWITCH: Technique(
        0.2, (0.050, 0.200), 300_00, 0.5, (365, 730), "time: as of a retrofit; all else assumed",
    ),
}  # fmt: skip
"""By kind."""


@dataclass(frozen=True)
class Menu:
    """Measures of all firms, ascending by firm; arrays of shape (measures,)."""

    firms: int
    firm: np.ndarray
    """Whose measure it is, 0 to firms - 1, int64."""
    kind: np.ndarray
    """`MeasureKind`, int64."""
    marginal_cost_fen: np.ndarray
    """Cost of each tonne not emitted, fen/t, int64."""
    potential_t: np.ndarray
    """Whole tonnes not emitted when it works for a whole cycle, int64."""
    build_days: np.ndarray
    """Calendar days from the decision until it works, int64."""

    def __post_init__(self) -> None:
        columns = (self.firm, self.kind, self.marginal_cost_fen, self.potential_t, self.build_days)
        shapes = {np.shape(column) for column in columns}
        if shapes != {(len(self.firm),)}:
            raise EmexError(f"menu: got columns of shapes {sorted(shapes)}, expected (measures,) of all")
        if len(self.firm) and not 0 <= self.firm.min() <= self.firm.max() < self.firms:
            raise EmexError(f"menu.firm: got {self.firm.min()} to {self.firm.max()}, expected 0 to {self.firms - 1}")
        for name in ("marginal_cost_fen", "potential_t", "build_days"):
            least = getattr(self, name).min(initial=0)
            if least < 0:
                raise EmexError(f"menu.{name}: got {least}, expected nothing below 0")

    def by_firm(self, tonnes_t: np.ndarray) -> np.ndarray:
        """Sum of `tonnes_t` (measures,) for each firm, int64, shape (firms,)."""
        total = np.zeros(self.firms, np.int64)
        np.add.at(total, self.firm, tonnes_t)
        return total

    def cost_of_fen(self, tonnes_t: np.ndarray) -> int:
        """What it costs to reduce `tonnes_t` (measures,) by these measures, fen: social cost, no payment for units."""
        return int((self.marginal_cost_fen * tonnes_t).sum())


def draw_menu(emissions_t: np.ndarray, seed: int, cost_level: float = 1.0) -> Menu:
    """The measures of firms with `emissions_t` (firms,), whole tonnes a cycle; `cost_level` multiplies every cost.

    Who emits too little for a tonne of potential has no such measure. Raises `EmexError` unless `cost_level` is a
    positive number.
    """
    if not 0 < cost_level < float("inf"):
        raise EmexError(f"cost_level: got {cost_level}, expected a factor above 0")
    firms = len(emissions_t)
    columns = []
    for kind, technique in TECHNIQUES.items():
        rng = stream(seed, f"abatement {kind.name}")
        offered = rng.random(firms) < technique.firms_share
        share = rng.uniform(*technique.potential, firms)
        cost = cost_level * technique.cost_fen * np.exp(technique.cost_sigma * rng.standard_normal(firms))
        days = rng.integers(*technique.build_days, firms, endpoint=True)
        potential = np.where(offered, np.floor(share * emissions_t), 0).astype(np.int64)
        cost_fen = np.maximum(1, np.rint(cost)).astype(np.int64)
        columns.append([np.arange(firms), np.full(firms, int(kind)), cost_fen, potential, days])
    table = np.concatenate(columns, axis=1)
    table = table[:, table[3] > 0]
    return Menu(firms, *table[:, np.argsort(table[0], kind="stable")])
