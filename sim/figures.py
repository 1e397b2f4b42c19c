"""A figure as people read it: one spelling for the console, the table over seeds and the report.

Units are those of the records (`t`, `share`, `CNY/t`, …). This file may not know what a figure means.
"""

DIGITS = {"ratio": 2, "CNY/t": 2, "log return a day": 4, "kurtosis": 2, "correlation": 2, "statistic": 1, "days": 1}
"""Decimals by unit; others have none."""


def percent(share: float) -> str:
    """0.758 -> "75.8%"."""
    return f"{share:.1%}"


def tonnes(quantity_t: float) -> str:
    """Tonnes, from a million on in Mt."""
    return f"{quantity_t / 1e6:,.1f} Mt" if abs(quantity_t) >= 1e6 else f"{quantity_t:,.0f} t"


def tonnes_zh(quantity_t: float) -> str:
    """Tonnes in Chinese, from ten thousand on in 万吨."""
    return f"{quantity_t / 1e4:,.1f} 万吨" if abs(quantity_t) >= 1e4 else f"{quantity_t:,.0f} 吨"


def in_unit(value: float | str | None, unit: str) -> str:
    """A measured value in its unit; dates stay as they are, an absent value is an en dash."""
    if value is None or isinstance(value, str):
        return value or "–"
    if unit == "share":
        return percent(value)
    return tonnes(value) if unit == "t" else f"{value:,.{DIGITS.get(unit, 0)}f}"


def accepted(low: float | str | None, high: float | str | None, unit: str) -> str:
    """A range with both ends, or with one; the first end leaves out its unit where both have the same."""
    if low is None or high is None:
        return f"≥ {in_unit(low, unit)}" if high is None else f"≤ {in_unit(high, unit)}"
    first, last = in_unit(low, unit), in_unit(high, unit)
    for ending in ("%", " Mt", " t"):
        if first.endswith(ending) and last.endswith(ending):
            first = first.removesuffix(ending)
    return f"{first} – {last}"
