"""The table "who is long, who is short, and why": an allocation summed by sector and unit class. Decides nothing."""

from typing import Any

import numpy as np

from sim.allocation.allocate import Allocation
from sim.allocation.benchmarks import CLASSES, UnitClass
from sim.allocation.reasons import REASONS
from sim.allocation.whole import by_firm


def _row(allocation: Allocation, sector: int, unit_class: UnitClass | None) -> dict[str, Any]:
    """Figures of a sector's plants, of one class or of all."""
    plants, firms = allocation.plants, len(allocation.free_t)
    mine = plants.sector == sector
    if unit_class is not None:
        mine &= plants.unit_class == unit_class.code
    reasons_t = {name: int(allocation.reasons_t[name][mine].sum()) if name in allocation.reasons_t else 0
                 for name in REASONS}  # fmt: skip
    surplus_t = np.sum([amount_t[mine] for amount_t in allocation.reasons_t.values()], axis=0)
    position_t = by_firm(surplus_t, plants.firm[mine], firms)
    owners = np.unique(plants.firm[mine])
    emissions_t = int(plants.emissions_t[mine].sum())
    duty_t = emissions_t - reasons_t["duty_cap"]
    return {
        "sector": allocation.sectors[sector].name,
        "sector_zh": allocation.sectors[sector].name_zh,
        "unit_class": "all" if unit_class is None else str(unit_class),
        "firms": len(owners),
        "plants": int(mine.sum()),
        "emissions_t": emissions_t,
        "free_t": duty_t + int(surplus_t.sum()),
        "duty_t": duty_t,
        "surplus_t": int(surplus_t.sum()),
        "short_share": float((position_t[owners] < 0).mean()),
        "reasons_t": reasons_t,
    }


def long_and_short(allocation: Allocation) -> list[dict[str, Any]]:
    """Who is long and short and why: a row for each sector, and one for each unit class in it.

    Returns
    -------
    list of dict
        `sector, sector_zh, unit_class` ("all" in a sector's own row), `firms` (with such plants), `plants`,
        `emissions_t, free_t, duty_t, surplus_t` (free less duty), `short_share` (of those firms, whose plants in this
        row are short together), `reasons_t` (by name of `REASONS`; they add up to `surplus_t`).
    """
    rows = []
    for number in range(len(allocation.sectors)):
        mine = allocation.plants.sector == number
        if not mine.any():
            continue
        rows.append(_row(allocation, number, None))
        present = np.unique(allocation.plants.unit_class[mine])
        rows += [_row(allocation, number, CLASSES[code]) for code in present if code != UnitClass.NONE.code]
    return rows
