"""A season's own rulebook: the market's, from the season's first reference price on, with the offsets that it trades.

    text of the market's file  +  reference price of the product  +  one [[instruments]] for each further offset

The result is the text of a rulebook like any other: validated, hashed, and served by a gateway from a file. This file
may not change a rule of trading.
"""

import datetime as dt
import re

import numpy as np

from engine.codes import NONE, Rule
from engine.rules.schema import MARKETS, Rulebook, SourcedValue, in_force, parse_rulebook
from sim.facts import OffsetUnit, Product

_BLOCK = "[[instruments]]"
_SOURCES = "[sources]\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _instrument(unit: OffsetUnit, source: str) -> str:
    """An [[instruments]] table; the unit trades from the day on which it exists."""

    def entry(name: str, value: str) -> str:
        return f"{name} = {{ value = {value}, source = {_quoted(source)} }}\n"

    since = (
        f'[{{ value = false, source = "{source}" }}, {{ value = true, source = "{source}", from = {unit.issued_on} }}]'
    )
    return (
        f"{_BLOCK}\nsymbol = {_quoted(unit.symbol)}\ntitle = {_quoted(f'{unit.title} {unit.title_zh}')}\n"
        + entry("product", '"ccer"')
        + entry("project_type", _quoted(unit.project_type))
        + entry("region", _quoted(unit.region))
        + entry("crediting_from", str(unit.crediting_from))
        + entry("crediting_to", str(unit.crediting_to))
        + f"tradable = {since}\n"
        + f"reference_price = {{ value = {_quoted(f'{unit.reference_price_cny.value:.2f}')}, "
        f'source = "{source}", verified = false }}\n\n'
    )


def rulebook_text(market: str, product: Product, units: list[OffsetUnit]) -> bytes:
    """The rulebook of `market` as this season trades under it; the market's own bytes where nothing is added."""
    raw = (MARKETS / f"{market}.toml").read_bytes()
    text = raw.decode()
    symbols = re.findall(r'^symbol = "([^"]+)"', text, re.MULTILINE)
    added = [unit for unit in units if unit.symbol not in symbols]
    references = {unit.symbol: unit.reference_price_cny for unit in units if unit.symbol in symbols}
    if product.reference_price_cny is not None:
        references[product.symbol] = product.reference_price_cny
    if not references and not added:
        return raw
    head, *blocks = text.split(_BLOCK)
    sources = []
    for number, (symbol, block) in enumerate(zip(symbols, blocks, strict=True)):
        if symbol in references:
            fact = references[symbol]
            sources.append(f"season{number} = {_quoted(fact.source)}\n")
            price = f'reference_price = {{ value = "{fact.value:.2f}", source = "season{number}" }}'
            blocks[number] = re.sub(r"^reference_price = \{.*\}$", price, block, flags=re.MULTILINE)
    last, rules = blocks[-1].split("\n[", 1)
    new = ""
    for number, unit in enumerate(added):
        sources.append(f"offset{number} = {_quoted(unit.issued_t.source)}\n")
        new += _instrument(unit, f"offset{number}")
    blocks[-1] = f"{last}\n{new}[{rules}"
    head = head.replace(_SOURCES, _SOURCES + "".join(sources), 1)
    return _BLOCK.join([head, *blocks]).encode()


def season_rulebook(market: str, text: bytes) -> Rulebook:
    """The validated rulebook. Raises `RulebookError`."""
    return parse_rulebook(MARKETS / f"{market}.toml", text)


def rule_on(book: Rulebook, rule: Rule, day: np.datetime64, instrument: int = 0) -> int:
    """A number of the rulebook as in force on `day`; NONE (-1) where it says nothing."""
    changes: list[SourcedValue] = book.rules.get((None, rule)) or book.rules.get((instrument, rule), [])
    day_date: dt.date = day.astype(dt.date)
    return int(in_force(changes, day_date)) if changes else NONE
