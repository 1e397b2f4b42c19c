"""What a rulebook says on one day, and the table of groups that `phrases.py` fills with sentences about it."""

import copy
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.codes import NONE, Phase, TradingMode
from engine.rules import terms
from engine.rules.fields import FIELDS
from engine.rules.schema import Rulebook, SourcedValue
from engine.rules.terms import Both

_ABSENT = {f"{field.section}.{field.key}": field.absent for field in FIELDS}


class Facts:
    """Of each rule the value in force on a day, or what its absence means."""

    def __init__(self, book: Rulebook, date: dt.date) -> None:
        self.book = book
        self.instrument = 0
        """Whose values `instruments.*` are."""
        self.values: dict[str, SourcedValue] = {}
        for value in book.values:
            if value.key not in self.values or (value.since or dt.date.min) <= date:
                self.values[value.key] = value

    def of(self, instrument: int) -> "Facts":
        """The same day, seen from another instrument."""
        other = copy.copy(self)
        other.instrument = instrument
        return other

    def path(self, key: str) -> str:
        """`section.key` -> dotted path in the file."""
        section, _, name = key.partition(".")
        return f"instruments[{self.instrument}].{name}" if section == "instruments" else key

    def __getitem__(self, key: str) -> Any:
        """The compiled value; of an absent rule its default, of anything else that is absent None."""
        value = self.values.get(self.path(key))
        return _ABSENT.get(key) if value is None else value.compiled

    def has(self, key: str) -> bool:
        """Whether there is such a limit or mode."""
        return self[key] not in (None, NONE)

    @property
    def symbol(self) -> str:
        """Of the instrument."""
        return self.book.symbols[self.instrument]

    @property
    def screen(self) -> TradingMode:
        """How the screen trades."""
        return TradingMode(self["screen.mode"])

    @property
    def orders(self) -> str:
        """What the screen calls its orders."""
        return "listings" if self.screen == TradingMode.LISTED else "orders"

    def quantity(self, key: str) -> Both:
        """A rule in tonnes; energy-use rights count tonnes of coal equivalent."""
        products = [item["product"].value for item in self.book.attributes if "product" in item]
        unit = ("tce", "吨标准煤") if "energy_right" in products else ("t", "吨")
        text = terms.number(self[key])
        return f"{text} {unit[0]}", f"{text}{unit[1]}"

    def price(self, key: str) -> Both:
        """A rule in fen."""
        text = terms.money(self[key])
        return (f"{text} CNY", f"{text}元") if self.book.currency == "CNY" else (text, text)

    @property
    def phases(self) -> list[tuple[int, Phase]]:
        """(ns after local midnight, phase that begins), without the phase that a day begins with."""
        return list(self["sessions.timetable"] or ())

    def has_phase(self, phase: Phase) -> bool:
        """Whether a day comes through it."""
        return phase == self["sessions.initial"] or any(phase == begun for _, begun in self.phases)


@dataclass(frozen=True)
class Heading:
    """A chapter of a rulebook."""

    en: str
    zh: str


PRODUCTS = Heading("Products", "品种")
HOURS = Heading("Hours", "时间")
SCREEN = Heading("Screen", "盘面交易")
BLOCKS = Heading("Blocks", "大宗协议")
OFFERS = Heading("Offers", "定价转让")
AUCTIONS = Heading("Auctions", "竞价")
CLOSE = Heading("Close", "收盘价")
ACCESS = Heading("Access", "准入")
FEES = Heading("Fees", "手续费")
SETTLEMENT = Heading("Settlement", "交收")

Say = Callable[[Facts], Both | None]


@dataclass(frozen=True)
class Group:
    """Rules that belong in one sentence."""

    heading: Heading
    en: str
    zh: str
    keys: tuple[str, ...]
    """As in a rulebook, `section.key`; `instruments.key` stands for `instruments[n].key`."""
    say: Say
    always: bool
    """Said even where the rulebook does not mention it: its absence is a fact a reader needs."""
    by_instrument: bool
    """One sentence for each instrument, not one for all."""


GROUPS: list[Group] = []
"""In the order of reading; `phrases.py` fills it."""


def group(
    heading: Heading,
    en: str,
    zh: str,
    keys: str,
    where: str | None = None,
    *,
    always: bool = False,
    by_instrument: bool = False,
) -> Callable[[Say], Say]:
    """Enter a function into `GROUPS`.

    `keys` are of one section, which is named once before the colon, as in "screen: tick lot_t". With `where` nothing
    is said unless there is such a limit or mode.
    """
    section, _, names = keys.partition(": ")
    paths = tuple(f"{section}.{name}" for name in names.split())

    def enter(say: Say) -> Say:
        def said(facts: Facts) -> Both | None:
            return say(facts) if where is None or facts.has(where) else None

        GROUPS.append(Group(heading, en, zh, paths, said, always, by_instrument))
        return say

    return enter
