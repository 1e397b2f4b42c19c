"""Benchmark plans: `benchmarks.toml` read strictly, and each plan's correction factors. No firm, no plant, no draw.

A plan says what a tonne of product, a MWh or a GJ of a kind of unit is worth in allowances, and how cooling, heat
supply and load change that. Errors name file, key, value and what was expected.
"""

import re
import tomllib
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np

from engine.errors import ScenarioError

FILE = Path(__file__).parent / "benchmarks.toml"

T = TypeVar("T")
Positive = Annotated[float, msgspec.Meta(gt=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class UnitClass(StrEnum):
    """What kind of unit a plant is; arrays hold `code`."""

    NONE = "none"
    """No power unit: another sector."""
    COAL_LARGE = "coal_large"
    """Conventional coal above the 300 MW class 300MW等级以上常规燃煤机组."""
    COAL_SMALL = "coal_small"
    """Conventional coal of the 300 MW class and below 300MW等级及以下常规燃煤机组."""
    UNCONVENTIONAL = "unconventional"
    """Gangue, slurry, fluidised bed 非常规燃煤机组."""
    GAS = "gas"
    """燃气机组."""

    @property
    def code(self) -> int:
        """Place in `CLASSES`."""
        return CLASSES.index(self)


CLASSES = tuple(UnitClass)
"""Unit classes by code."""


class Basis(StrEnum):
    """Which MWh count."""

    SUPPLIED = "supplied"
    """供电量."""
    GENERATED = "generated"
    """发电量."""


class GasRelief(StrEnum):
    """What becomes of a gas unit's deficit."""

    NONE = "none"
    DUTY = "duty"
    """The unit owes no more than its free allocation."""
    ISSUE = "issue"
    """It gets allowances up to its emissions."""


class HeatReduction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By how much the heat ratio lowers the electricity term: factor 1 - reduction x heat ratio."""

    coal: Share = 0.0
    gas: Share = 0.0


class LoadPiece(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From `from_percent` of load up to below `at_percent`: base + slope x (at_percent - 100 F)."""

    from_percent: Positive
    base: Positive
    slope: float
    at_percent: Positive


class LoadTail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Below `below_percent`: base ^ (exponent - slope x F)."""

    below_percent: Positive
    base: Positive
    exponent: float
    slope: float


class LoadRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Load factor 负荷（出力）系数修正 for some classes; 1 above the highest piece."""

    classes: list[UnitClass]
    tail: LoadTail
    pieces: list[LoadPiece] = []
    """Descending."""
    condensing_only: bool = False
    """Only units without heat supply 纯凝机组."""


class Unit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of a plan."""

    unit_class: UnitClass
    title: str
    title_zh: str
    electricity_t_per_mwh: Positive
    heat_t_per_gj: Positive
    verified: bool = True
    """False where the electricity benchmark is from memory."""


class PowerPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Benchmarks of power generation."""

    title: str
    title_zh: str
    source: str
    basis: Basis
    preallocated_share: Share
    preallocated_of: str
    """Of what the first issue is a share; the model takes the final allocation at the output of the base year."""
    units: list[Unit]
    cooling_air: Positive = 1.0
    """Factor of air-cooled coal units; the others have 1."""
    heat_reduction: HeatReduction = HeatReduction()
    load: LoadRule | None = None
    duty_cap_share: Share | None = None
    """Duty at most the free allocation and this share of verified emissions."""
    topup_floor_share: Share | None = None
    """Issued up to this share of verified emissions."""
    gas_relief: GasRelief = GasRelief.NONE

    def cooling_factor(self, unit_class: np.ndarray, air_cooled: np.ndarray) -> np.ndarray:
        """Factor of each unit, float, from class code and whether it is air-cooled (bool), all of one shape."""
        return np.where(air_cooled & (unit_class != UnitClass.GAS.code), self.cooling_air, 1.0)

    def heat_factor(self, unit_class: np.ndarray, heat_ratio: np.ndarray) -> np.ndarray:
        """Factor of each unit, float, from class code and heat ratio 供热比 (0 to 1), all of one shape."""
        gas = unit_class == UnitClass.GAS.code
        factor: np.ndarray = 1 - np.where(gas, self.heat_reduction.gas, self.heat_reduction.coal) * heat_ratio
        return factor

    def load_factor(self, unit_class: np.ndarray, load: np.ndarray, heat_ratio: np.ndarray) -> np.ndarray:
        """Factor of each unit, float, from class code, load F (share of capacity), heat ratio, all of one shape.

        The pieces of the plans to 2022 meet at 85, 80 and 75 % of load. The plans of 2023 and 2024 have the tail alone,
        which begins at 65 % of load with 1.0457: a step that is in the rule.
        """
        if self.load is None:
            return np.ones(load.shape)
        percent, tail = 100 * load, self.load.tail
        factor = np.where(percent < tail.below_percent, tail.base ** (tail.exponent - tail.slope * load), 1.0)
        for piece in self.load.pieces:
            inside = (percent >= piece.from_percent) & (percent < piece.at_percent)
            factor = np.where(inside, piece.base + piece.slope * (piece.at_percent - percent), factor)
        covered = np.isin(unit_class, [one.code for one in self.load.classes])
        if self.load.condensing_only:
            covered &= heat_ratio == 0
        return np.where(covered, factor, 1.0)

    def electricity(self, unit: np.ndarray) -> np.ndarray:
        """Electricity benchmark of each row number in `unit`, t/MWh, float."""
        benchmark: np.ndarray = np.array([one.electricity_t_per_mwh for one in self.units])[unit]
        return benchmark

    def heat(self, unit: np.ndarray) -> np.ndarray:
        """Heat benchmark of each row number in `unit`, t/GJ, float."""
        benchmark: np.ndarray = np.array([one.heat_t_per_gj for one in self.units])[unit]
        return benchmark

    def rows(self, unit_class: UnitClass) -> np.ndarray:
        """Row numbers of one class, int64, at least one."""
        return np.array([row for row, unit in enumerate(self.units) if unit.unit_class == unit_class])


class Product(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The benchmark of one product."""

    title: str
    title_zh: str
    source: str
    benchmark_t_per_t: Positive
    preallocated_share: Share


class Benchmarks(msgspec.Struct, frozen=True):
    """All plans by name."""

    power: dict[str, PowerPlan]
    products: dict[str, Product]

    def plan(self, name: str, key: str) -> PowerPlan | Product:
        """The plan called `name`. Raises `ScenarioError` naming `key`, value and what there is."""
        found = self.power.get(name) or self.products.get(name)
        if found is None:
            known = ", ".join([*self.power, *self.products])
            message = f"{key}: got {name!r}, expected a plan of {FILE.name}: {known}"
            raise ScenarioError(message)
        return found


def _convert(path: Path, key: str, table: Any, kind: type[T]) -> T:
    """`table` as a `kind`; an error says where below `key` it is wrong."""
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        value = table
        for name, number in re.findall(r"\.(\w+)|\[(\d+)\]", where):
            value = value[name or int(number)]
        shown = sorted(value) if isinstance(value, dict) else value
        message = f"{path.name}: {key}{where.rstrip('`')}: got {shown!r}; {reason}"
        raise ScenarioError(message) from None


@cache
def load_benchmarks(path: Path = FILE) -> Benchmarks:
    """All plans. Raises `ScenarioError` naming file, key, value and expectation."""
    with path.open("rb") as file:
        data = tomllib.load(file)
    for name in sorted(data.keys() ^ {"power", "products"}):
        message = f"{path.name}: {name}: got {sorted(data)!r}, expected exactly power and products"
        raise ScenarioError(message)
    power = {name: _convert(path, f"power.{name}", table, PowerPlan) for name, table in data["power"].items()}
    products = {name: _convert(path, f"products.{name}", table, Product) for name, table in data["products"].items()}
    for name, plan in power.items():
        missing = [str(one) for one in CLASSES[1:] if not len(plan.rows(one))]
        if missing:
            message = f"{path.name}: power.{name}.units: got none of {missing}, expected a unit of each class"
            raise ScenarioError(message)
    return Benchmarks(power, products)
