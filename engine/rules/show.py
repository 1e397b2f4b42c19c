"""A rulebook for reading: every value with its source, what is unverified named as such (`emex rules MARKET`)."""

import datetime as dt
from typing import Any

from rich.console import Console
from rich.table import Table

from engine.errors import RulebookError
from engine.rules.schema import SourcedValue, find_rulebook


def describe(name: str, at: str | None = None) -> dict[str, Any]:
    """A rulebook as plain data: name, titles, rules_hash, symbols, values with sources, and the unverified keys.

    `at` (ISO date) keeps the values in force on that day; None keeps all with their dates. Raises `RulebookError` when
    there is no rulebook of that name, or no such day.
    """
    book = find_rulebook(name)
    shown = book.values if at is None else _in_force(book.values, _date(at))
    values = [
        {
            "key": value.key,
            "value": value.value,
            "from": str(value.since) if value.since else None,
            "verified": value.verified,
            "source_id": value.source_id,
            "source": value.source,
        }
        for value in shown
    ]
    return {
        "name": book.name,
        "at": at,
        "title": book.title,
        "title_zh": book.title_zh,
        "currency": book.currency,
        "rules_hash": book.rules_hash,
        "symbols": list(book.symbols),
        "values": values,
        "unverified": [value["key"] for value in values if not value["verified"]],
    }


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        message = f"--at: got {text!r}, expected a day such as 2021-07-16"
        raise RulebookError(message) from None


def _in_force(values: list[SourcedValue], day: dt.date) -> list[SourcedValue]:
    """Of each key the change in force on `day`; before its first change, its first value."""
    current: dict[str, SourcedValue] = {}
    for value in values:
        if value.key not in current or (value.since or dt.date.min) <= day:
            current[value.key] = value
    return list(current.values())


def print_rules(book: dict[str, Any], console: Console) -> None:
    """The rulebook as a table of values and a list of the sources they name."""
    day = f", as of {book['at']}" if book["at"] else ""
    console.print(f"[bold]{book['name']}[/bold]: {book['title']} {book['title_zh']}{day}")
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
