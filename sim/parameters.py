"""The model's constants: `parameters.toml` as one typed, frozen object.

A season's public facts are not here (`sim/season.py`), nor is any recorded figure.
"""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from engine.errors import ScenarioError

FILE = Path(__file__).parent / "parameters.toml"
_KINDS = ("fitted", "anchored", "assumed")
_KEYS = {"value", "unit", "kind", "source", "meaning", "tuned", "range"}


@dataclass(frozen=True)
class Parameters:
    """Values by name; units and meaning stand in `parameters.toml`."""

    emissions_sigma: float
    allocation_mean: float
    allocation_spread: float
    output_drift_sigma: float
    offset_holder_share: float
    need_sigma: float
    prudence_z: float
    province_span_days: float
    provinces: int
    procrastination_days: float
    procrastination_sigma: float
    approval_days: float
    approval_sigma: float
    approval_pressure: float
    urgency_days: float
    seller_speed: float
    seller_speed_before: float
    large_groups: int
    large_group_share: float
    small_groups: int
    small_group_share: float
    headquarters_share: float
    netting_price: float
    value_level: float
    value_sigma: float
    hoard_share: float
    hoard_premium: float
    deadline_willingness: float
    willingness_days: float
    quote_scatter: float
    price_memory_days: int
    concession: float
    concession_probability: float
    listing_attention: float
    listing_size_share: float
    large_listing_share: float
    withholding: float
    buying_attention: float
    search_base: float
    search_pressure: float
    search_candidates: int
    search_patience: int
    noise_clicks: float
    noise_median_t: float
    noise_sigma: float
    makers: int
    maker_quote_t: int
    maker_half_spread: float
    unresponsive_share: float
    unresponsive_steepness: float


def describe() -> list[dict[str, Any]]:
    """Every constant as a dict with name, value, unit, kind, source, tuned, meaning. Raises `ScenarioError`."""
    with FILE.open("rb") as file:
        data = tomllib.load(file)
    names = {field.name for field in fields(Parameters)}
    for name in sorted(names ^ set(data)):
        message = f"{FILE.name}: {name}: expected exactly the names of sim.parameters.Parameters"
        raise ScenarioError(message)
    rows = []
    for name, entry in data.items():
        complete = set(entry) <= _KEYS and entry.get("kind") in _KINDS and entry.get("source")
        if not complete or (entry["kind"] == "fitted") != ("range" in entry):
            message = f"{FILE.name}: {name}: got {entry!r}, expected value, unit, kind, source, meaning, range"
            raise ScenarioError(message)
        rows.append({"name": name, "tuned": False, **entry})
    return rows


def load_parameters(**changes: float) -> Parameters:
    """The shipped values, with `changes` by name. Raises `ScenarioError` on an unknown name."""
    values = {row["name"]: row["value"] for row in describe()}
    for name, value in changes.items():
        if name not in values:
            message = f"parameter {name!r}: got {value!r}, expected one of {', '.join(sorted(values))}"
            raise ScenarioError(message)
    return Parameters(**(values | changes))
