"""Rulebooks for reading: in words or as a table of values, and what differs between two (`emex rules`).

What is described is plain data, so that `--json` prints it; what is printed is made of that data alone.
"""

import datetime as dt
import re
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.errors import RulebookError
from engine.rules.schema import Rulebook, SourcedValue, find_rulebook
from engine.rules.words import NEWEST, Sentence, differences, history, sentences

Row = dict[str, Any]
_UNBREAKABLE = re.compile(r"[（±]*(?:[!-~–]+|.)[，。、；：）]*")
"""Pieces of a Chinese text between which a line may end."""


def describe(name: str, at: str | None = None) -> Row:
    """A rulebook as plain data: titles, hash, symbols, values with sources, sentences, and the unverified keys.

    `at` (ISO date) keeps what is in force on that day. None keeps all values with their dates; the sentences are then
    the newest, and `changes` tells those that changed. Raises `RulebookError` when there is no rulebook of that name,
    or no such day.
    """
    book = find_rulebook(name)
    day = None if at is None else _date("--at", at)
    shown = book.values if day is None else _in_force(book.values, day)
    values = [
        {
            "key": value.key,
            "value": _plain(value.value),
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
        "sentences": [_sentence(sentence) for sentence in sentences(book, day or NEWEST)],
        "changes": _changes(book) if day is None else [],
    }


def _date(where: str, text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        message = f"{where}: got {text!r}, expected a day such as 2021-07-16"
        raise RulebookError(message) from None


def _in_force(values: list[SourcedValue], day: dt.date) -> list[SourcedValue]:
    """Of each key the change in force on `day`; before its first change, its first value."""
    current: dict[str, SourcedValue] = {}
    for value in values:
        if value.key not in current or (value.since or dt.date.min) <= day:
            current[value.key] = value
    return list(current.values())


def _plain(value: Any) -> Any:
    """As written, days as text."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, dt.date) else value


def _sentence(sentence: Sentence) -> Row:
    """With the keys and sources it rests on; none where the rulebook says nothing and the default holds."""
    unverified = {value.source_id for value in sentence.values if not value.verified}
    return {
        "heading": sentence.group.heading.en,
        "heading_zh": sentence.group.heading.zh,
        "en": sentence.en,
        "zh": sentence.zh,
        "keys": [value.key for value in sentence.values],
        "source_ids": list(dict.fromkeys(value.source_id for value in sentence.values)),
        "unverified_ids": sorted(unverified),
        "verified": not unverified,
    }


def _changes(book: Rulebook) -> list[Row]:
    """By date the sentences that begin to hold; from None, those that a later date replaces."""
    by_date: dict[dt.date | None, list[Row]] = {}
    for told in history(book).values():
        changed = len(told) > 1 or told[0][0] is not None
        for since, sentence in told if changed else []:
            by_date.setdefault(since, []).append(_sentence(sentence))
    dates = sorted(by_date, key=lambda since: since or dt.date.min)
    return [{"from": str(since) if since else None, "sentences": by_date[since]} for since in dates]


def describe_differences(a: str, b: str) -> Row:
    """Where two rulebooks do not say the same, as plain data; each is a market or a path, perhaps with `@DATE`."""
    (book_a, day_a), (book_b, day_b) = _on_a_day(a), _on_a_day(b)
    found = [
        {
            "keys": list(difference.keys),
            "a": difference.a and {"en": difference.a.en, "zh": difference.a.zh},
            "b": difference.b and {"en": difference.b.en, "zh": difference.b.zh},
        }
        for difference in differences(book_a, day_a, book_b, day_b)
    ]
    return {"a": a, "b": b, "differences": found}


def _on_a_day(text: str) -> tuple[Rulebook, dt.date]:
    """`name`, `name@2015-06-11` or the path of a file, with or without a day; without one the newest."""
    name, at, day = text.rpartition("@")
    if not at or day.endswith(".toml"):
        return find_rulebook(text), NEWEST
    return find_rulebook(name), _date(text, day)


def print_rules(book: Row, console: Console) -> None:
    """The rulebook in words, then the changes by date, then the sources."""
    _print_title(book, console)
    _print_sentences(book["sentences"], console)
    if book["changes"]:
        console.print("\n[bold]Changes 变更[/bold]")
    for change in book["changes"]:
        since = f"from {change['from']} 起" if change["from"] else "at first 起初"
        console.print(f"  {since}", highlight=False)
        for sentence in change["sentences"]:
            _print_sentence(sentence, console, 4)
    console.print("\n[bold]Sources 来源[/bold]")
    _print_sources(book, console)


def print_table(book: Row, console: Console) -> None:
    """The rulebook as a table of values as written, then the sources."""
    _print_title(book, console)
    table = Table(box=None, pad_edge=False)
    for column in ("rule", "value", "from", "source"):
        table.add_column(column, overflow="fold", no_wrap=column == "rule")
    for value in book["values"]:
        source = value["source_id"] if value["verified"] else f"{value['source_id']}, [yellow]unverified[/yellow]"
        table.add_row(value["key"], _in_words(value["value"]), value["from"] or "", source)
    console.print(table)
    _print_sources(book, console)


def _print_title(book: Row, console: Console) -> None:
    day = f", as of {book['at']}" if book["at"] else ""
    console.print(f"[bold]{book['name']}[/bold]: {book['title']} {book['title_zh']}{day}")


def _print_sentences(rows: list[Row], console: Console) -> None:
    """Under their headings."""
    heading = None
    for row in rows:
        if row["heading"] != heading:
            heading = row["heading"]
            console.print(f"\n[bold]{heading} {row['heading_zh']}[/bold]")
        _print_sentence(row, console, 2)


def _print_sentence(row: Row, console: Console, indent: int) -> None:
    """English with its sources, Chinese beneath."""
    text = Text(row["en"])
    marks = [Text(source) for source in row["source_ids"]] or [Text("not in the rulebook")]
    for source, mark in zip(row["source_ids"], marks, strict=False):
        if source in row["unverified_ids"]:
            mark.append(" unverified", "yellow")
    text.append(" [").append_text(Text(", ").join(marks)).append("]")
    width = console.width - indent
    for line in [*text.wrap(console, width), *Text(_fold(row["zh"], width), "dim").split()]:
        console.print(Text(" " * indent).append_text(line))


def _fold(text: str, width: int) -> str:
    """Chinese in lines of at most `width` columns; numbers stay whole, no line begins with a closing mark."""
    lines = [""]
    for piece in _UNBREAKABLE.findall(text):
        if cell_len(lines[-1] + piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def _print_sources(book: Row, console: Console) -> None:
    for source_id, text in {value["source_id"]: value["source"] for value in book["values"]}.items():
        console.print(f"{source_id}: {text}", highlight=False, markup=False)
    console.print(
        f"{len(book['unverified'])} of {len(book['values'])} values are unverified; hash {book['rules_hash']}"
    )


def _in_words(value: Any) -> str:
    """A value as written, lists without their brackets."""
    return ", ".join(_in_words(part).replace(", ", " ") for part in value) if isinstance(value, list) else str(value)


def print_differences(result: Row, console: Console) -> None:
    """Of each difference the rules, then what either side says."""
    a, b = result["a"], result["b"]
    labels = tuple(Path(text).name for text in (a, b))
    (name_a, _, day_a), (name_b, _, day_b) = (text.rpartition("@") for text in (a, b))
    if name_a and name_a == name_b:
        labels = day_a, day_b
        console.print(f"[bold]{name_a}[/bold] on two days, {day_a} and {day_b}", highlight=False)
    else:
        console.print(f"[bold]{a}[/bold] and [bold]{b}[/bold]", highlight=False)
    width = console.width - max(map(cell_len, labels)) - 4
    for difference in result["differences"]:
        console.print("\n" + ", ".join(difference["keys"]), style="dim", highlight=False)
        table = Table(box=None, show_header=False, pad_edge=False)
        for label, said in zip(labels, (difference["a"], difference["b"]), strict=True):
            text = f"{said['en']}\n{_fold(said['zh'], width)}" if said else "nothing 无"
            table.add_row(Text(label), Text(text))
        console.print(table)
    if not result["differences"]:
        console.print("Nothing differs. 没有差别。")
