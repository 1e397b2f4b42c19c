"""The model's constants: `parameters.toml` as one typed, frozen object.

A season may put values of its own in their place (`[parameters]` of its file), and fit at most six. Its public facts
are not here (`sim/season.py`), nor is any recorded figure.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from engine.errors import ScenarioError
from sim.facts import OwnParameter

FILE = Path(__file__).parent / "parameters.toml"
_KINDS = ("anchored", "assumed")
_KEYS = {"value", "unit", "kind", "source", "meaning", "tuned"}


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
    nervousness: float
    concession: float
    concession_probability: float
    concession_scale: float
    listing_attention: float
    listing_size_share: float
    large_listing_share: float
    withholding: float
    withholding_least: float
    buying_attention: float
    block_habit_t: int
    search_base: float
    search_pressure: float
    search_candidates: int
    search_patience: int
    activity: float
    noise_clicks: float
    noise_median_t: float
    noise_sigma: float
    makers: int
    maker_quote_t: int
    maker_half_spread: float
    unresponsive_share: float
    unresponsive_steepness: float
    corrected_share: float
    belief: float
    belief_drop: float
    speculators: int
    speculator_t: float
    speculator_attention: float
    speculator_signal: float
    offset_sellers: int
    offset_value: float
    offset_patience: float
    glut_discount: float
    carry_doubt: float
    bid_shading: float
    abatement_attention: float
    backstop_multiple: float


def describe(own: Mapping[str, OwnParameter] | None = None) -> list[dict[str, Any]]:
    """Every constant as a dict with name, value, unit, kind, source, tuned, meaning, and for a fitted one its range.

    `own` are a season's, in place of those of the file. Raises `ScenarioError` naming file, name and expectation.
    """
    with FILE.open("rb") as file:
        data = tomllib.load(file)
    names = {field.name for field in fields(Parameters)}
    for name in sorted(names ^ set(data)):
        message = f"{FILE.name}: {name}: expected exactly the names of sim.parameters.Parameters"
        raise ScenarioError(message)
    rows = []
    for name, entry in data.items():
        if not set(entry) <= _KEYS or entry.get("kind") not in _KINDS or not entry.get("source"):
            message = f"{FILE.name}: {name}: got {entry!r}, expected value, unit, kind, source, meaning"
            raise ScenarioError(message)
        rows.append({"name": name, "tuned": False, **entry, **_of_season(own, name)})
    return rows


def _of_season(own: Mapping[str, OwnParameter] | None, name: str) -> dict[str, Any]:
    if own is None or name not in own:
        return {}
    found = own[name]
    return {"value": found.value, "kind": found.kind.value, "source": found.source, "range": found.range}


def load_parameters(own: Mapping[str, OwnParameter] | None = None, **changes: float) -> Parameters:
    """The shipped values, with a season's `own` and then `changes`. Raises `ScenarioError` on an unknown name."""
    values = {row["name"]: row["value"] for row in describe(own)}
    for name, value in {**(own or {}), **changes}.items():
        if name not in values:
            message = f"parameter {name!r}: got {value!r}, expected one of {', '.join(sorted(values))}"
            raise ScenarioError(message)
    whole = {field.name for field in fields(Parameters) if field.type is int}
    return Parameters(**{
        name: round(value) if name in whole else value for name, value in (values | changes).items()
    })  # fmt: skip
