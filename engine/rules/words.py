"""A rulebook in sentences that a person would say, English and Chinese: on a day, over time, and against another.

`phrases.py` has the sentence of each group of rules. What a rulebook leaves unsaid is left unsaid here, unless its
absence is a fact a reader needs ("There are no blocks."). This file may not print.
"""

import datetime as dt
from dataclasses import dataclass, replace

from engine.rules.facts import Facts, Group
from engine.rules.phrases import GROUPS
from engine.rules.schema import Rulebook, SourcedValue
from engine.rules.terms import Both

NEWEST = dt.date.max
"""The day on which everything that a file says has come into force."""


@dataclass(frozen=True)
class Sentence:
    """What a rulebook says about one group on one day."""

    group: Group
    subject: str
    """Group, and instrument where there is one sentence for each: the same subject in every rulebook."""
    en: str
    zh: str
    values: tuple[SourcedValue, ...]
    """Those it rests on; none where the rulebook says nothing and the default holds."""

    @property
    def text(self) -> Both:
        """Both languages."""
        return self.en, self.zh

    @property
    def shown(self) -> bool:
        """Whether a reader of the whole rulebook needs it."""
        return self.group.always or bool(self.values)


Change = tuple[dt.date | None, Sentence]
"""A sentence and the day from which it holds; None: from the start."""


@dataclass(frozen=True)
class Difference:
    """Where two rulebooks, or two days of one, do not say the same; None: nothing to say there."""

    group: Group
    keys: tuple[str, ...]
    a: Sentence | None
    b: Sentence | None


def sentences(book: Rulebook, date: dt.date = NEWEST) -> list[Sentence]:
    """The rulebook as of a day, in the order of reading; defaults only where a reader needs them."""
    return [sentence for sentence in _every(book, date).values() if sentence.shown]


def _every(book: Rulebook, date: dt.date) -> dict[str, Sentence]:
    """By subject what can be said on a day, defaults included."""
    everything, found = Facts(book, date), {}
    for group in GROUPS:
        for n in range(len(book.symbols)) if group.by_instrument else (0,):
            facts = everything.of(n)
            said = group.say(facts)
            if said:
                subject = f"{group.en} {facts.symbol}" if group.by_instrument else group.en
                found[subject] = Sentence(group, subject, *said, _stated(group, facts))
    return found


def _stated(group: Group, facts: Facts) -> tuple[SourcedValue, ...]:
    """What the rulebook itself says of a group; of all instruments where there is one sentence for all."""
    instruments = (facts.instrument,) if group.by_instrument else range(len(facts.book.symbols))
    paths = dict.fromkeys(facts.of(n).path(key) for n in instruments for key in group.keys)
    return tuple(facts.values[path] for path in paths if path in facts.values)


def history(book: Rulebook) -> dict[str, list[Change]]:
    """By subject what has been said, oldest first, defaults included; a sentence that stays the same is one change."""
    told: dict[str, list[Change]] = {}
    for date in (None, *sorted({value.since for value in book.values if value.since})):
        today = _every(book, date or dt.date.min)
        for subject, sentence in today.items():
            changes = told.setdefault(subject, [])
            if not changes or changes[-1][1].text != sentence.text:
                changes.append((date, sentence))
        for subject in told.keys() - today.keys():
            last = told[subject][-1][1]
            if last.values:
                told[subject].append((date, _ended(last)))
    by_group = sorted(told.values(), key=lambda changes: GROUPS.index(changes[0][1].group))
    return {changes[0][1].subject: changes for changes in by_group}


def _ended(sentence: Sentence) -> Sentence:
    """Said from the day on which a sentence has no meaning any more."""
    en, zh = f"No longer any rule on: {sentence.group.en}.", f"不再有规定：{sentence.group.zh}。"
    return replace(sentence, en=en, zh=zh, values=())


def differences(book_a: Rulebook, date_a: dt.date, book_b: Rulebook, date_b: dt.date) -> list[Difference]:
    """In the order of reading; a rule that one side leaves to its default is compared by that default."""
    said_a, said_b = _every(book_a, date_a), _every(book_b, date_b)
    found = []
    for subject in dict.fromkeys([*said_a, *said_b]):
        both = (said_a.get(subject), said_b.get(subject))
        there = [sentence for sentence in both if sentence]
        same = len(there) == 2 and there[0].text == there[1].text
        if not same and any(sentence.shown for sentence in there):
            group = there[0].group
            found.append(Difference(group, _changed_keys(*both) or group.keys, *both))
    return sorted(found, key=lambda difference: GROUPS.index(difference.group))


def _changed_keys(a: Sentence | None, b: Sentence | None) -> tuple[str, ...]:
    """Paths whose values are not the same on both sides; all where the sentence differs for another reason."""
    in_a, in_b = ({value.key: value.compiled for value in sentence.values} if sentence else {} for sentence in (a, b))
    paths = tuple(dict.fromkeys([*in_a, *in_b]))
    changed = tuple(path for path in paths if in_a.get(path) != in_b.get(path))
    return changed or paths
