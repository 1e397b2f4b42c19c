"""What a rulebook file may say, and the loader that refuses everything else.

A rulebook is TOML. Each rule is `{ value = …, source = "ID", verified = false?, from = DATE? }`, where ID is a key of
the file's `[sources]`; a list of such tables is a rule that changed on dates. `FIELDS` is the whole vocabulary: key,
integer column, how its value is read and what is expected. Errors name file, key, value and expectation.

This file may not know how rules are used; `compiler.py` turns a `Rulebook` into rows of integers.
"""

import datetime as dt
import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.codes import CommandKind, Phase, Rule
from engine.errors import RulebookError
from engine.rules.fields import (
    ATTRIBUTES,
    FIELDS,
    FLAG_WORDS,
    Parser,
    dates,
    mask,
    member,
    names_of,
    timetable,
    weekdays,
)

MARKETS = Path(__file__).parent / "markets"


@dataclass(frozen=True)
class SourcedValue:
    """One value of a rulebook with where it comes from."""

    key: str
    """Dotted path in the file."""
    value: Any
    """As written."""
    compiled: Any
    """As the engine uses it: an integer; for the timetable a tuple of (ns, phase), for weekdays a frozenset."""
    source_id: str
    """Key in the file's [sources]."""
    source: str
    """Text of the source."""
    verified: bool
    since: dt.date | None
    """First day in force; None = from the start."""


def in_force(changes: list[SourcedValue], date: dt.date) -> Any:
    """Compiled value of one rule on `date`; before its first change, its first value."""
    current = changes[0]
    for change in changes:
        if (change.since or dt.date.min) <= date:
            current = change
    return current.compiled


@dataclass(frozen=True)
class Rulebook:
    """A validated rulebook, still in the words of its file."""

    name: str
    """Of the market: the file's name without its suffix."""
    path: Path
    title: str
    title_zh: str
    currency: str
    utc_offset_hours: int
    rules_hash: str
    """Digest of the file's bytes, 16 hexadecimal digits."""
    symbols: tuple[str, ...]
    attributes: tuple[dict[str, SourcedValue], ...]
    """By instrument: what is traded (keys of `ATTRIBUTES`); the engine does not read it."""
    rules: dict[tuple[int | None, Rule], list[SourcedValue]]
    """By (instrument or None for all, column); ascending by date."""
    initial_phase: Phase
    timetable: list[SourcedValue]
    """(ns after local midnight, phase that begins) pairs, by date; empty for a venue that never closes."""
    weekdays: list[SourcedValue]
    """Trading weekdays, Monday = 1, by date; empty = all."""
    extra_days: list[SourcedValue]
    """Further trading days, such as weekends before a deadline; at most one value."""
    permits: dict[Phase, list[SourcedValue]]
    """Bit mask over `CommandKind` by phase and date; a phase that is absent permits nothing."""
    values: list[SourcedValue]
    """Everything the file says, in its order, for `emex rules`."""


_RULE_SECTIONS = ("screen", "halt", "close", "block", "offer", "auction", "access", "fees", "settlement")
_SECTIONS = ("market", "sources", "instruments", *_RULE_SECTIONS, "sessions")
_VALUE_KEYS = {"value", "source", "verified", "from"}


class _Reader:
    """Walks one parsed file and collects values; every complaint goes through `fail`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sources: dict[str, str] = {}
        self.values: list[SourcedValue] = []

    def fail(self, key: str, value: object, expected: str) -> RulebookError:
        return RulebookError(f"{self.path.name}: {key}: got {value!r}, expected {expected}")

    def only(self, key: str, table: Any, allowed: set[str]) -> dict[str, Any]:
        """`table` if it is a table with known keys only."""
        if not isinstance(table, dict):
            raise self.fail(key, table, "a table")
        for name, value in table.items():
            if name not in allowed:
                raise self.fail(f"{key}.{name}" if key else name, value, f"one of {', '.join(sorted(allowed))}")
        return table

    def text(self, key: str, table: dict[str, Any], name: str) -> str:
        value = table.get(name)
        if not isinstance(value, str) or not value:
            raise self.fail(f"{key}.{name}", value, "a text")
        return value

    def read_sources(self, table: Any) -> None:
        """The ids that every later value may name."""
        if not isinstance(table, dict):
            raise self.fail("sources", table, "a table")
        for name, text in table.items():
            if not isinstance(text, str) or not text:
                raise self.fail(f"sources.{name}", text, "the text of a source")
        self.sources = table

    def sourced(self, key: str, entry: Any, parse: Parser, expected: str) -> list[SourcedValue]:
        """One rule, or its changes by date, each with a known source."""
        found: list[SourcedValue] = []
        if entry == []:
            raise self.fail(key, entry, "at least one table with value and source")
        for item in entry if isinstance(entry, list) else [entry]:
            table = self.only(key, item, _VALUE_KEYS)
            if "value" not in table:
                raise self.fail(key, item, "a table with value and source")
            source = table.get("source")
            if not isinstance(source, str) or source not in self.sources:
                raise self.fail(f"{key}.source", source, "an id that [sources] explains")
            since = table.get("from")
            if since is not None and type(since) is not dt.date:
                raise self.fail(f"{key}.from", since, "a date")
            verified = table.get("verified", True)
            if not isinstance(verified, bool):
                raise self.fail(f"{key}.verified", verified, FLAG_WORDS)
            try:
                compiled = parse(table["value"])
            except (ValueError, TypeError, KeyError):
                raise self.fail(key, table["value"], expected) from None
            text = self.sources[source]
            found.append(SourcedValue(key, table["value"], compiled, source, text, verified, since))
        if [v.since or dt.date.min for v in found] != sorted({v.since or dt.date.min for v in found}):
            raise self.fail(key, [str(v.since) for v in found], "different dates in ascending order")
        self.values += found
        return found


def _read_sessions(reader: _Reader, data: dict[str, Any]) -> dict[str, Any]:
    """The [sessions] of a file as the fields of `Rulebook` that it fills."""
    sessions = reader.only(
        "sessions", data.get("sessions"), {"initial", "timetable", "weekdays", "extra_days", "permits"}
    )
    phases = names_of(Phase)
    initial = reader.sourced("sessions.initial", sessions.get("initial"), lambda v: Phase(member(Phase, v)), phases)
    if initial[0].since or len(initial) > 1:
        raise reader.fail("sessions.initial", sessions["initial"], "one value without a date")
    by_date = {}
    for name, parse, expected in (
        ("timetable", timetable, f'ascending ["HH:MM", phase] pairs with phase one of {phases}'),
        ("weekdays", weekdays, "weekdays 1 to 7"),
        ("extra_days", dates, "a list of dates"),
    ):
        entry = sessions.get(name)
        by_date[name] = [] if entry is None else reader.sourced(f"sessions.{name}", entry, parse, expected)
    permits = {}
    names = {phase.name.lower() for phase in Phase}
    kinds = ", ".join(kind.name.lower() for kind in CommandKind)
    for name, entry in reader.only("sessions.permits", sessions.get("permits"), names).items():
        changes = reader.sourced(f"sessions.permits.{name}", entry, mask(CommandKind), f"a list of {kinds}")
        permits[Phase(member(Phase, name))] = changes
    return {"initial_phase": initial[0].compiled, "permits": permits, **by_date}


def _read_fields(
    reader: _Reader, section: str, key: str, table: dict[str, Any], extra: set[str]
) -> dict[Rule, list[SourcedValue]]:
    fields = [f for f in FIELDS if f.section == section]
    reader.only(key, table, {f.key for f in fields} | extra)
    found = {}
    for spec in fields:
        path = f"{key}.{spec.key}"
        if spec.key in table:
            found[spec.rule] = reader.sourced(path, table[spec.key], spec.parse, spec.expected)
        elif spec.absent is None:
            raise reader.fail(path, None, f"{spec.expected} (the rule is missing)")
    return found


def read_rulebook(path: Path) -> Rulebook:
    """Load and validate one file. Raises `RulebookError` naming file, key, value and expectation."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        message = f"{path.name}: cannot be read as TOML: {error}"
        raise RulebookError(message) from None
    return parse_rulebook(path, raw)


def parse_rulebook(path: Path, raw: bytes) -> Rulebook:
    """Validate what a file of that name holds, or held when its text was kept elsewhere. Raises `RulebookError`."""
    try:
        data = tomllib.loads(raw.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        message = f"{path.name}: cannot be read as TOML: {error}"
        raise RulebookError(message) from None
    reader = _Reader(path)
    reader.only("", data, set(_SECTIONS))
    reader.read_sources(data.get("sources"))
    market = reader.only("market", data.get("market"), {"title", "title_zh", "utc_offset_hours", "currency"})
    offset = market.get("utc_offset_hours")
    if type(offset) is not int or not -12 <= offset <= 14:
        raise reader.fail("market.utc_offset_hours", offset, "hours from -12 to 14")
    rules: dict[tuple[int | None, Rule], list[SourcedValue]] = {}
    symbols = []
    instruments = data.get("instruments")
    if not isinstance(instruments, list) or not instruments:
        raise reader.fail("instruments", instruments, "at least one [[instruments]]")
    attributes = []
    for number, table in enumerate(instruments):
        key = f"instruments[{number}]"
        found = _read_fields(reader, "instruments", key, table, {"symbol", "title", *ATTRIBUTES})
        symbols.append(reader.text(key, table, "symbol"))
        attributes.append(
            {
                name: reader.sourced(f"{key}.{name}", table[name], parse, expected)[0]
                for name, (parse, expected) in ATTRIBUTES.items()
                if name in table
            }
        )
        rules |= {(number, rule): values for rule, values in found.items()}
    if len(set(symbols)) != len(symbols):
        raise reader.fail("instruments", symbols, "different symbols")
    for section in _RULE_SECTIONS:
        table = reader.only(section, data.get(section, {}), {f.key for f in FIELDS if f.section == section})
        for rule, values in _read_fields(reader, section, section, table, set()).items():
            rules[None, rule] = values
    sessions = _read_sessions(reader, data)
    return Rulebook(
        name=path.stem,
        path=path,
        title=reader.text("market", market, "title"),
        title_zh=reader.text("market", market, "title_zh"),
        currency=reader.text("market", market, "currency"),
        utc_offset_hours=offset,
        rules_hash=hashlib.blake2b(raw, digest_size=8).hexdigest(),
        symbols=tuple(symbols),
        attributes=tuple(attributes),
        rules=rules,
        values=reader.values,
        **sessions,
    )


def list_markets() -> list[dict[str, str]]:
    """Name and title of every rulebook that ships, by name."""
    books = [read_rulebook(path) for path in sorted(MARKETS.glob("*.toml"))]
    return [{"name": book.name, "title": book.title, "title_zh": book.title_zh} for book in books]


def find_rulebook(name: str) -> Rulebook:
    """A rulebook by the name of a shipped market, or by the path of a TOML file."""
    if name.endswith(".toml"):
        return read_rulebook(Path(name))
    path = MARKETS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in MARKETS.glob("*.toml")))
        message = f"no rulebook named {name!r}; there are: {known} (or give the path of a .toml file)"
        raise RulebookError(message)
    return read_rulebook(path)
