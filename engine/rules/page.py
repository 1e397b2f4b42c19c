"""All shipped markets side by side on one HTML page that needs neither network nor script (`emex rules --page`).

Rows are the groups of rules, columns the markets. Every text is escaped and stands in English and Chinese; the style
is `page.css`, written into the page. What a rule means is said by `words.py`, not here.
"""

import datetime as dt
from collections.abc import Iterable
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console

from engine.rules.facts import Group
from engine.rules.phrases import GROUPS
from engine.rules.schema import MARKETS, Rulebook, read_rulebook
from engine.rules.terms import Both
from engine.rules.words import Change, Sentence, history

Told = dict[str, list[Change]]
"""What `history` says of one rulebook."""

_STYLE = Path(__file__).with_name("page.css")
_LANGUAGES = {"both": "English + 中文", "english": "English", "chinese": "中文"}
_FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>emex: {title}</title>
<style>
{style}</style>
</head>
<body>
{switch}<header>{header}</header>
<main>
<table>
<thead><tr><th class="corner"></th>{head}</tr></thead>
<tbody>
{rows}</tbody>
</table>
{sources}</main>
</body>
</html>
"""
_TITLE = "The rulebooks side by side", "各市场规则对照"
_LEGEND = (
    "Newest rules first, below them what held before, with dates. The marks are sources: point at one, or follow it.",
    "先列最新规则，其下为此前的规则及日期。句后标记为来源：悬停或点击可见全文。",
)
_UNVERIFIED = "unverified", "未核实"
_UNVERIFIED_LEGEND = "marks what no page found confirms.", "表示未找到可核实的出处。"
_FOLDED_FROM = 2
"""More older sentences than this stand behind a click."""
_UNSTATED = "not in the rulebook", "规则未载"


def write_page(path: Path) -> dict[str, Any]:
    """Write the page; its path, the markets on it, and how many of their values are unverified."""
    books = [read_rulebook(file) for file in sorted(MARKETS.glob("*.toml"))]
    path.write_text(page(books), encoding="utf-8")
    values = [value for book in books for value in book.values]
    return {
        "page": str(path),
        "markets": [book.name for book in books],
        "values": len(values),
        "unverified": sum(not value.verified for value in values),
    }


def print_page(result: dict[str, Any], console: Console) -> None:
    """One line about what was written."""
    console.print(
        f"page: {result['page']} ({len(result['markets'])} markets; {result['unverified']} of {result['values']} "
        "values are unverified)",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def page(books: list[Rulebook]) -> str:
    """The whole page of these rulebooks, as HTML."""
    told = [history(book) for book in books]
    head = "".join(_market(book) for book in books)
    rows = "".join(
        _heading(heading.en, heading.zh, len(books)) + "".join(_row(group, books, told) for group in groups)
        for heading, groups in groupby(GROUPS, key=lambda group: group.heading)
    )
    legend = f"<p>{_say(_LEGEND)} {_tag(_UNVERIFIED)} {_say(_UNVERIFIED_LEGEND)}</p>"
    return _FRAME.format(
        title=" ".join(_TITLE),
        style=_STYLE.read_text(encoding="utf-8"),
        switch=_switch(),
        header=f"<h1>{_say(_TITLE)}</h1>{_labels()}{legend}",
        head=head,
        rows=rows,
        sources="".join(_sources(book) for book in books),
    )


def _switch() -> str:
    """What the style asks for the language; the labels stand in the header."""
    return "".join(
        f'<input type="radio" name="language" id="{name}"{" checked" if name == "both" else ""}>\n'
        for name in _LANGUAGES
    )


def _labels() -> str:
    return "<nav>" + "".join(f'<label for="{name}">{text}</label>' for name, text in _LANGUAGES.items()) + "</nav>"


def _say(text: Both) -> str:
    """Both languages; the style shows one or both. No line ends between a number and its per cent."""
    en = escape(text[0]).replace(" %", "&nbsp;%")
    return f'<span class="en">{en}</span> <span class="zh" lang="zh">{escape(text[1])}</span>'


def _tag(text: Both) -> str:
    return f'<span class="tag">{_say(text)}</span>'


def _market(book: Rulebook) -> str:
    unverified = sum(not value.verified for value in book.values)
    share = f"{unverified} of {len(book.values)} values unverified", f"{len(book.values)}项中{unverified}项未核实"
    return (
        f'<th scope="col"><a href="#{escape(book.name)}">{escape(book.name)}</a>'
        f"<small>{_say((book.title, book.title_zh))}</small><small>{_say(share)}</small></th>"
    )


def _heading(en: str, zh: str, markets: int) -> str:
    return f'<tr class="heading"><th>{_say((en, zh))}</th><td colspan="{markets}"></td></tr>\n'


def _row(group: Group, books: list[Rulebook], told: list[Told]) -> str:
    name = f'<th scope="row">{_say((group.en, group.zh))}</th>'
    cells = (_cell(book, _of_group(group, changes)) for book, changes in zip(books, told, strict=True))
    return f"<tr>{name}{''.join(cells)}</tr>\n"


def _of_group(group: Group, told: Told) -> list[list[Change]]:
    return [changes for changes in told.values() if changes[0][1].group == group]


def _cell(book: Rulebook, subjects: Iterable[list[Change]]) -> str:
    """What a market says about a group: of each subject the newest sentence, then the older ones."""
    return f"<td>{''.join(_subject(book, changes) for changes in subjects) or '–'}</td>"


def _subject(book: Rulebook, changes: list[Change]) -> str:
    newest = changes[-1][1]
    kind = "stated" if newest.values else "unstated"
    if not all(value.verified for value in newest.values):
        kind = "doubt"
    return f'<p class="{kind}">{_told(book, changes, len(changes) - 1)}</p>{_older(book, changes)}'


def _older(book: Rulebook, changes: list[Change]) -> str:
    """What held before the newest sentence, oldest first; a long list is folded away."""
    count = len(changes) - 1
    older = "".join(f"<li>{_told(book, changes, n)}</li>" for n in range(count))
    if count > _FOLDED_FROM:
        summary = _say((f"{count} earlier", f"此前{count}项"))
        return f"<details><summary>{summary}</summary><ul>{older}</ul></details>"
    return f"<ul>{older}</ul>" if older else ""


def _told(book: Rulebook, changes: list[Change], n: int) -> str:
    """One sentence of a history, the days on which it holds before it where it has not held for ever."""
    since, sentence = changes[n]
    until = changes[n + 1][0] if n + 1 < len(changes) else None
    days = f"{since or ''} → {until - dt.timedelta(days=1) if until else ''}".strip()
    return (f"<b>{days}</b> " if since or until else "") + _sentence(book, sentence)


def _sentence(book: Rulebook, sentence: Sentence) -> str:
    """Both languages and the sources behind them."""
    verified: dict[str, bool] = {}
    texts = {value.source_id: value.source for value in sentence.values}
    for value in sentence.values:
        verified[value.source_id] = verified.get(value.source_id, True) and value.verified
    marks = [
        f'<a href="#{escape(book.name)}-{escape(name)}" title="{escape(texts[name])}">{escape(name)}</a>'
        + ("" if sure else f" {_tag(_UNVERIFIED)}")
        for name, sure in verified.items()
    ]
    if not marks:
        marks = [f"<i>{_say(_UNSTATED)}</i>"]
    return f"{_say(sentence.text)} <small>{' '.join(marks)}</small>"


def _sources(book: Rulebook) -> str:
    """The sources of one market, to which the marks lead."""
    texts = {value.source_id: value.source for value in book.values}
    items = "".join(
        f'<dt id="{escape(book.name)}-{escape(name)}">{escape(name)}</dt><dd>{escape(text)}</dd>'
        for name, text in sorted(texts.items())
    )
    return (
        f'<section id="{escape(book.name)}"><h2>{escape(book.name)}: {_say((book.title, book.title_zh))}</h2>'
        f"<dl>{items}</dl><p>hash {book.rules_hash}</p></section>\n"
    )
