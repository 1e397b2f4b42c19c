"""Pieces of HTML: texts in two languages, tables, cards, sections. Nothing here knows what a season is."""

from collections.abc import Iterable
from html import escape
from typing import Any

from sim import figures

Row = dict[str, Any]
Both = dict[str, str]
"""A text as {"en": ..., "zh": ...}; `page.js` shows one of them."""
Text = str | Both
"""Our own words as "English | 中文", somebody else's as `Both`."""


def both(text: Text) -> Both:
    """Either spelling as `Both`."""
    if isinstance(text, dict):
        return text
    en, zh = text.split(" | ")
    return {"en": en, "zh": zh}


def capital(text: Text) -> Both:
    """The same as the beginning of a line."""
    words = both(text)
    return words | {"en": words["en"][:1].upper() + words["en"][1:]}


def say(text: Text, tag: str = "span", css: str = "") -> str:
    """An element whose text follows the language switch."""
    words = both(text)
    en, zh = escape(words["en"]), escape(words["zh"])
    return f'<{tag} class="{css}" data-en="{en}" data-zh="{zh}">{en}</{tag}>'


def paragraph(text: Text, css: str = "") -> str:
    """A paragraph."""
    return say(text, "p", css)


def section(title: Text, *parts: str) -> str:
    """A headed part of the page."""
    return f"<section>{say(title, 'h2')}{''.join(parts)}</section>\n"


def figures_grid(cards: Iterable[tuple[Text, Text]]) -> str:
    """Cards: a large figure and what it is."""
    boxes = "".join(f"<div>{say(figure, 'dd')}{say(label, 'dt')}</div>" for figure, label in cards)
    return f'<dl class="figures">{boxes}</dl>'


def table(
    columns: list[str], rows: Iterable[tuple[str, list[str]]], css: str = "small", numbers: range = range(0)
) -> str:
    """A table; with the class `cards` its rows become cards on a phone, else it scrolls sideways.

    `rows` are pairs of CSS class and cells, the cells already HTML; columns in `numbers` are set flush right.
    """
    align = ["number" if i in numbers else "" for i in range(len(columns))]
    head = "".join(f'<th class="{a}">{say(column)}</th>' for a, column in zip(align, columns, strict=True))
    names = [both(column) for column in columns]
    labels = [f'data-label-en="{escape(name["en"])}" data-label-zh="{escape(name["zh"])}"' for name in names]
    body = ""
    for row_css, cells in rows:
        tds = (f'<td class="{a}" {n}>{cell}</td>' for a, n, cell in zip(align, labels, cells, strict=True))
        body += f'<tr class="{row_css}">{"".join(tds)}</tr>\n'
    whole = f'<table class="{css}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return whole if "cards" in css.split() else f'<div class="scroll">{whole}</div>'


def cell(value: str) -> str:
    """Somebody else's text as a cell."""
    return f"<span>{escape(value)}</span>"


def code(value: str) -> str:
    """A name as the files write it."""
    return f"<code>{escape(value)}</code>"


def tonnes(quantity_t: float) -> Both:
    """A tonnage as each language counts."""
    return {"en": figures.tonnes(quantity_t), "zh": figures.tonnes_zh(quantity_t)}


def plain(value: object) -> str:
    """A value of unknown type as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)
