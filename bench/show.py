"""Results of `emex bench` as tables on a terminal. Reads rows; computes nothing but what a column shows."""

from typing import Any

from rich.console import Console
from rich.table import Table

_SKIPPED = {
    "runs", "rulebook", "rulebook_hash", "qty", "value", "maker", "digest", "verified", "levels_at_end", "refused",
    "accounts", "batch", "trades", "living", "sent", "acked", "lost", "doubled", "in_flight", "rate", "traders",
    "calls", "seed",
}  # fmt: skip
"""In the JSON, not on the screen."""


def print_bench(result: dict[str, Any], console: Console) -> None:
    """One table a part, with the machine below."""
    for part, found in result.items():
        rows = found["points"] if isinstance(found, dict) and "points" in found else found
        if isinstance(rows, list) and rows and isinstance(rows[0], dict):
            _print_rows(part, rows, console)
        if isinstance(found, dict) and "growth" in found:
            _print_rows(f"{part}: growth", found["growth"], console)
    card = result["machine"]
    console.print(
        f"{card['processor']}, {card['cores']} cores, load {card['load_average']}; Python {card['python']}, "
        f"Numba {card['numba']}; engine {card['engine_digest']}",
        highlight=False,
    )


def print_comparison(result: dict[str, Any], console: Console) -> None:
    """What differs, and what the machines differ in."""
    _print_rows("b against a", result["rows"], console)
    for key, (a, b) in result["machines_differ_in"].items():
        console.print(f"{key}: {a} | {b}", highlight=False)


def _print_rows(title: str, rows: list[dict[str, Any]], console: Console) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row if key not in _SKIPPED))
    table = Table(*columns, title=title, title_justify="left", box=None)
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    console.print(table)


def _cell(value: Any) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.3f}".rstrip("0").rstrip(".") if abs(value) < 100 else f"{value:,.0f}"
        case dict():
            return " / ".join(_cell(one) for one in value.values())
        case _:
            return str(value)
