"""A rulebook for reading: every value with its source, what is unverified named as such (`emex rules MARKET`)."""

from typing import Any

from rich.console import Console
from rich.table import Table

from engine.rules.schema import find_rulebook


def describe(name: str) -> dict[str, Any]:
    """A rulebook as plain data: name, titles, rules_hash, symbols, values with sources, and the unverified keys.

    Raises `RulebookError` when there is none of that name.
    """
    book = find_rulebook(name)
    values = [
        {
            "key": value.key,
            "value": value.value,
            "from": str(value.since) if value.since else None,
            "verified": value.verified,
            "source": value.source,
        }
        for value in book.values
    ]
    return {
        "name": book.name,
        "title": book.title,
        "title_zh": book.title_zh,
        "currency": book.currency,
        "rules_hash": book.rules_hash,
        "symbols": list(book.symbols),
        "values": values,
        "unverified": [value["key"] for value in values if not value["verified"]],
    }


def print_rules(book: dict[str, Any], console: Console) -> None:
    """The rulebook as a table."""
    table = Table(title=f"{book['name']}: {book['title']} {book['title_zh']}", show_lines=False)
    for column in ("rule", "value", "from", "source"):
        table.add_column(column, overflow="fold")
    for value in book["values"]:
        source = value["source"] if value["verified"] else f"[yellow]unverified:[/yellow] {value['source']}"
        table.add_row(value["key"], str(value["value"]), value["from"] or "", source)
    console.print(table)
    console.print(
        f"{len(book['unverified'])} of {len(book['values'])} values are unverified; hash {book['rules_hash']}"
    )
