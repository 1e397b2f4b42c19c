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
            "source_id": value.source_id,
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
    """The rulebook as a table of values and a list of the sources they name."""
    console.print(f"[bold]{book['name']}[/bold]: {book['title']} {book['title_zh']}")
    table = Table(box=None, pad_edge=False)
    for column in ("rule", "value", "from", "source"):
        table.add_column(column, overflow="fold", no_wrap=column == "rule")
    for value in book["values"]:
        source = value["source_id"] if value["verified"] else f"{value['source_id']}, [yellow]unverified[/yellow]"
        table.add_row(value["key"], _in_words(value["value"]), value["from"] or "", source)
    console.print(table)
    for source_id, text in {value["source_id"]: value["source"] for value in book["values"]}.items():
        console.print(f"{source_id}: {text}", highlight=False)
    console.print(
        f"{len(book['unverified'])} of {len(book['values'])} values are unverified; hash {book['rules_hash']}"
    )


def _in_words(value: Any) -> str:
    """A value as written, lists without their brackets."""
    return ", ".join(_in_words(part).replace(", ", " ") for part in value) if isinstance(value, list) else str(value)
