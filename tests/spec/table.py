"""Spec tables: a market rule as a text file that both engines must obey, word for word.

A table has a head, then steps. Prices and money are decimal CNY, quantities are tonnes, `100,000` is 100000.

    rule: Units bought today cannot be sold before the next trading day.
    source: P08, engine/rules/markets/cn-cea.toml, settlement.units_t_plus
    market: cn-cea                              a shipped market, or a file of tests/oracle/rulebooks

    given A has 1000.00                         opens account A with cash; `and 10 t`, `and 5 t of CCER`
    given A is an institution                   opens account A for that kind of participant
    given phase morning                         any command; it must not be refused, its events are not shown

    B sells 5 at 48.00 as s1   | accepted s1: sell 5 at 48.00
    A clicks s1 buying 5 as c1 | accepted c1: buy 5
                               | trade c1 with s1: 5 at 48.00, leaves 0 and 0
    A sells 5 at 48.00         | rejected T_PLUS_1
    book                                        asks from the worst to the best, then bids from the best
        asks 48.10: s2 5, s3 7
        bids 48.00: b1 10
        block p1: sell 100,000 at 48.00 to B
    balances
        A cash 760.00 held 0.00 units 0 held 0 locked 5

Accounts are letters (A is number 2), `exchange` and `government`; orders are labels given by `as`, or `#7`
for a raw id. `?` leaves a field out. A command may end in `of SYMBOL`, `as LABEL` and `with field=value` (raw
fields, for what no honest client would send), in this order. `clock 14:05` sets the time of what follows. `#`
at the start of a line is a comment. Commands:

    A buys|sells 5 at 48.00|market|best [ioc|fok|gtc|gtd] [post-only] [at least 3]
                                                  A proposes selling 100,000 at 48.00 to B [until 14:05]
    A clicks s1 buying|selling 5 [at 48.00]       A confirms p1
    A sweeps buying|selling 5 [at 48.00]          A declines p1
    A replaces b1 [to 3] [at 48.10]               A cancels b1|everything [buying|selling]
    A offers selling 5 at 48.00                   B takes 3 from o1
    A announces selling 90 at 20.00 [bound 30.00] B applies for 50 in a1
    B bids 50 at 21.00 in a1 [at least 20]        end stage a1
    open A [in group 3]    A deposits 5.00      A withdraws 5.00      fine A 5.00
    issue 5 to A           A surrenders 5       deduct 5 from A       block|unblock A
    phase morning          day 2021-07-16       set band_up_bp to 500                      raw kind=99

Every event of a step is written in full (see `words`): one event too many or one field off fails the table.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np

from engine import units
from engine.codes import (
    NONE,
    CommandKind,
    EventFlag,
    EventKind,
    OrdType,
    Participant,
    Phase,
    RejectReason,
    Role,
    Rule,
    Side,
    Stage,
    TimeInForce,
)
from engine.records import command
from tests.oracle.campaign import LIVING_COLUMNS, compiled

TABLES = Path(__file__).parent / "tables"
ACCOUNTS = {"exchange": 0, "government": 1} | {chr(ord("A") + n): n + 2 for n in range(26)}
ACCOUNT_NAMES = {number: name for name, number in ACCOUNTS.items()}
SIDES = {"buys": Side.BUY, "buying": Side.BUY, "sells": Side.SELL, "selling": Side.SELL}
TYPES = {"market": OrdType.MARKET, "best": OrdType.MARKET_TO_LIMIT}


class Engine(Protocol):
    """What both engines offer and a table needs."""

    symbols: tuple[str, ...]

    def submit(self, commands: np.ndarray) -> np.ndarray: ...
    def canonical_state(self) -> Iterator[tuple[int, ...]]: ...
    def balances(self) -> tuple[np.ndarray, np.ndarray]: ...
    def check(self) -> None: ...


class TableError(Exception):
    """A table that cannot be read: file, line, what was expected."""


@dataclass
class Step:
    """One thing a table does: commands with their events, or a look at the book or the balances."""

    line: int
    text: str
    commands: list[np.ndarray] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    given: bool = False
    looks_at: str = ""
    """Book or balances of `instrument`; empty for a command."""
    instrument: int = 0


@dataclass
class Table:
    """A table as read; `labels` maps an order's label to the number of the command that enters it."""

    path: Path
    rule: str
    source: str
    market: str
    symbols: tuple[str, ...]
    steps: list[Step]
    labels: dict[str, int]

    def expected_events(self) -> list[str]:
        """Every event that a step spells out."""
        return [line for step in self.steps if not step.looks_at for line in step.expected]


# Reading.


def _plain(text: str) -> str:
    """One space between words, no thousands separators."""
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", " ".join(text.split()))


def _clock(text: str) -> int:
    hours, minutes = text.split(":")
    return (int(hours) * 60 + int(minutes)) * 60 * 10**9


class _Reader:
    """Turns lines into commands; the number of a command is known here, because each one counts."""

    def __init__(self, path: Path) -> None:
        self.path, self.line, self.time_ns, self.count = path, 0, 0, 0
        self.labels: dict[str, int] = {}
        self.opened: set[str] = set()
        """Accounts that a `given … has` has opened."""
        self.symbols: tuple[str, ...] = ()

    def fail(self, message: str) -> TableError:
        return TableError(f"{self.path.name}: line {self.line}: {message}")

    def account(self, name: str) -> int:
        if name == "?":
            return NONE
        if name not in ACCOUNTS:
            raise self.fail(f"no account is called {name!r}")
        return ACCOUNTS[name]

    def target(self, label: str) -> int:
        if label == "?":
            return NONE
        if label.startswith("#"):
            return int(label[1:])
        if label not in self.labels:
            raise self.fail(f"no order above is called {label!r}")
        return self.labels[label]

    def fen(self, text: str | None) -> int:
        return NONE if text in (None, "?", *TYPES) else units.fen_from_text(text)

    def qty(self, text: str | None) -> int:
        return NONE if text in (None, "?") else units.tonnes_from_text(text)

    def add(self, kind: int, **fields: int) -> np.ndarray:
        self.count += 1
        return command(kind, **{"time_ns": self.time_ns, "client_ref": self.line, **fields})

    def instrument(self, symbol: str | None) -> int:
        if symbol is None:
            return 0
        return self.symbols.index(symbol) if symbol in self.symbols else len(self.symbols)

    def commands(self, text: str) -> list[np.ndarray]:
        """The COMMAND rows of one sentence."""
        if found := re.fullmatch(r"(\w+) has( [\d.]+)?( and)?( [\d,]+ t)?(?: of (\w+))?", text):
            name, cash, _, qty, symbol = found.groups()
            number = self.account(name)
            rows = [] if name in self.opened else [self.add(CommandKind.OPEN_ACCOUNT, account=number)]
            self.opened.add(name)
            if cash:
                rows.append(self.add(CommandKind.DEPOSIT, account=number, amount_fen=self.fen(cash.strip())))
            if qty:
                rows.append(
                    self.add(
                        CommandKind.ISSUE,
                        account=number,
                        instrument=self.instrument(symbol),
                        qty=self.qty(qty.removesuffix(" t").strip()),
                    )
                )
            return rows
        if found := re.fullmatch(r"(\w+) is an? (covered firm|institution|individual)", text):
            self.opened.add(found[1])
            kind = Participant[found[2].split()[0].upper()]
            return [self.add(CommandKind.OPEN_ACCOUNT, account=self.account(found[1]), flags=kind)]
        found = re.fullmatch(r"(.*?)(?: of (\w+))?(?: as (\w+))?(?: with (\S+=\S+(?:, \S+=\S+)*))?", text)
        assert found
        sentence, symbol, label, raw = found.groups()
        row = self.one(sentence, self.instrument(symbol))
        if row["kind"][0] == CommandKind.MASS_CANCEL and symbol is None:
            row["instrument"] = NONE
        for pair in (raw or "").split(", ") if raw else []:
            name, value = pair.split("=")
            row[name] = int(value)
        if label:
            if label in self.labels:
                raise self.fail(f"another order is already called {label!r}")
            self.labels[label] = self.count
        return [row]

    def one(self, text: str, instrument: int) -> np.ndarray:
        """One sentence without its endings."""

        def says(pattern: str) -> re.Match[str] | None:
            return re.fullmatch(pattern, text)

        kinds = CommandKind
        if m := says(r"(\S+) (buys|sells) (\S+) at (\S+)( ioc| fok| gtc| gtd)?( post-only)?(?: at least (\S+))?"):
            order_type = TYPES.get(m[4], OrdType.LIMIT)
            tif = TimeInForce[(m[5] or "day").strip().upper()]
            return self.add(
                kinds.NEW,
                account=self.account(m[1]),
                instrument=instrument,
                side=SIDES[m[2]],
                qty=self.qty(m[3]),
                price_fen=self.fen(m[4]),
                ord_type=order_type,
                tif=tif,
                flags=1 if m[6] else 0,
                min_qty=self.qty(m[7]),
            )
        if m := says(r"(\S+) cancels everything(?: (buying|selling))?"):
            side = SIDES[m[2]] if m[2] else 0
            return self.add(kinds.MASS_CANCEL, account=self.account(m[1]), instrument=instrument, side=side)
        if m := says(r"(\S+) cancels (\S+)"):
            return self.add(kinds.CANCEL, account=self.account(m[1]), target_id=self.target(m[2]))
        if m := says(r"(\S+) replaces (\S+)(?: to (\S+))?(?: at (\S+))?"):
            return self.add(
                kinds.REPLACE,
                account=self.account(m[1]),
                target_id=self.target(m[2]),
                qty=self.qty(m[3]),
                price_fen=self.fen(m[4]),
            )
        if m := says(r"(\S+) (?:clicks (\S+)|sweeps) (buying|selling) (\S+)(?: at (\S+))?"):
            return self.add(
                kinds.CLICK,
                account=self.account(m[1]),
                target_id=self.target(m[2] or "?"),
                instrument=instrument,
                side=SIDES[m[3]],
                qty=self.qty(m[4]),
                price_fen=self.fen(m[5]),
            )
        if m := says(r"(\S+) proposes (buying|selling) (\S+) at (\S+) to (\S+)(?: until (\S+))?"):
            until = _clock(m[6]) if m[6] else NONE
            return self.add(
                kinds.PROPOSE,
                account=self.account(m[1]),
                contra=self.account(m[5]),
                until_ns=until,
                instrument=instrument,
                side=SIDES[m[2]],
                qty=self.qty(m[3]),
                price_fen=self.fen(m[4]),
            )
        if m := says(r"(\S+) (confirms|declines) (\S+)"):
            kind = kinds.CONFIRM if m[2] == "confirms" else kinds.DECLINE
            return self.add(kind, account=self.account(m[1]), target_id=self.target(m[3]))
        if m := says(r"(\S+) offers (buying|selling) (\S+) at (\S+)"):
            return self.add(
                kinds.OFFER,
                account=self.account(m[1]),
                instrument=instrument,
                side=SIDES[m[2]],
                qty=self.qty(m[3]),
                price_fen=self.fen(m[4]),
            )
        if m := says(r"(\S+) takes (\S+) from (\S+)"):
            return self.add(kinds.TAKE, account=self.account(m[1]), qty=self.qty(m[2]), target_id=self.target(m[3]))
        if m := says(r"(\S+) announces (buying|selling) (\S+) at (\S+)(?: bound (\S+))?"):
            return self.add(
                kinds.ANNOUNCE,
                account=self.account(m[1]),
                instrument=instrument,
                side=SIDES[m[2]],
                qty=self.qty(m[3]),
                price_fen=self.fen(m[4]),
                limit_price_fen=self.fen(m[5]),
            )
        if m := says(r"(\S+) applies for (\S+) in (\S+)"):
            return self.add(kinds.APPLY, account=self.account(m[1]), qty=self.qty(m[2]), target_id=self.target(m[3]))
        if m := says(r"(\S+) bids (\S+) at (\S+) in (\S+)(?: at least (\S+))?"):
            return self.add(
                kinds.BID,
                account=self.account(m[1]),
                qty=self.qty(m[2]),
                price_fen=self.fen(m[3]),
                target_id=self.target(m[4]),
                min_qty=self.qty(m[5]),
            )
        if m := says(r"end stage (\S+)"):
            return self.add(kinds.END_STAGE, target_id=self.target(m[1]))
        if m := says(r"(block|unblock) (\S+)"):
            return self.add(kinds.KILL_SWITCH, account=self.account(m[2]), flags=int(m[1] == "block"))
        if m := says(r"open (\S+)(?: in group (\d+))?"):
            return self.add(kinds.OPEN_ACCOUNT, account=self.account(m[1]), group=int(m[2] or NONE))
        if m := says(r"(\S+) (deposits|withdraws) (\S+)"):
            kind = kinds.DEPOSIT if m[2] == "deposits" else kinds.WITHDRAW
            return self.add(kind, account=self.account(m[1]), amount_fen=self.fen(m[3]))
        if m := says(r"fine (\S+) (\S+)"):
            return self.add(kinds.FINE, account=self.account(m[1]), amount_fen=self.fen(m[2]))
        if m := says(r"issue (\S+) to (\S+)"):
            return self.add(kinds.ISSUE, account=self.account(m[2]), instrument=instrument, qty=self.qty(m[1]))
        if m := says(r"(\S+) surrenders (\S+)"):
            return self.add(kinds.SURRENDER, account=self.account(m[1]), instrument=instrument, qty=self.qty(m[2]))
        if m := says(r"deduct (\S+) from (\S+)"):
            return self.add(kinds.DEDUCT, account=self.account(m[2]), instrument=instrument, qty=self.qty(m[1]))
        if m := says(r"phase (\w+)"):
            return self.add(kinds.PHASE, phase=Phase[m[1].upper()])
        if m := says(r"day (\S+)"):
            return self.add(kinds.DAY_ROLL, date=NONE if m[1] == "?" else int(m[1].replace("-", "")))
        if m := says(r"set (\S+) to (-?\d+)"):
            rule = NONE if m[1] == "?" else Rule[m[1].upper()]
            return self.add(kinds.SET_RULE, instrument=instrument, rule=rule, amount_fen=int(m[2]))
        if m := says(r"raw (\S+=\S+(?:, \S+=\S+)*)"):
            fields = {name: int(value) for name, value in (pair.split("=") for pair in m[1].split(", "))}
            return self.add(fields.pop("kind"), **fields)
        raise self.fail(f"not a command: {text!r}")


def read_table(path: Path) -> Table:
    """Read and check one file. Raises `TableError`."""
    reader = _Reader(path)
    head: dict[str, str] = {}
    steps: list[Step] = []
    for reader.line, written in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = _plain(written)
        if not line or line.startswith("#"):
            continue
        if found := re.fullmatch(r"(rule|source|market): (.+)", line):
            if steps:
                raise reader.fail("the head stands above the first step")
            head[found[1]] = f"{head[found[1]]} {found[2]}" if found[1] in head else found[2]
            if found[1] == "market":
                reader.symbols = compiled(found[2]).symbols
            continue
        if not {"rule", "source", "market"} <= set(head):
            raise reader.fail("expected rule:, source: and market: above the first step")
        left, bar, right = (part.strip() for part in line.partition("|"))
        if found := re.fullmatch(r"clock (\S+)", line):
            reader.time_ns = _clock(found[1])
        elif found := re.fullmatch(r"(book|balances)(?: of (\w+))?", line):
            steps.append(Step(reader.line, line, looks_at=found[1], instrument=reader.instrument(found[2])))
        elif not bar and steps and steps[-1].looks_at and written[0].isspace():
            steps[-1].expected.append(line)
        elif left.startswith("given "):
            rows = reader.commands(left.removeprefix("given "))
            steps.append(Step(reader.line, left, rows, given=True))
        elif not left and right and steps and steps[-1].commands:
            steps[-1].expected.append(right)
        elif left and right:
            steps.append(Step(reader.line, left, reader.commands(left), [right]))
        else:
            raise reader.fail(f"expected 'command | event', got {line!r}")
    return Table(path, head["rule"], head["source"], head["market"], reader.symbols, steps, reader.labels)


@cache
def all_tables() -> tuple[Table, ...]:
    """Every table, by file name."""
    return tuple(read_table(path) for path in sorted(TABLES.glob("*.txt")))


# Running.


class _Words:
    """Events, books and balances in the words of a table."""

    def __init__(self, table: Table) -> None:
        self.names = {number: label for label, number in table.labels.items()}
        self.symbols = table.symbols

    def order(self, number: int) -> str:
        return self.names.get(number, f"#{number}")

    def of(self, instrument: int) -> str:
        return f" of {self.symbols[instrument]}" if 0 < instrument < len(self.symbols) else ""

    def words(self, event: np.void) -> str:
        """One event, in full."""
        kind = EventKind(event["kind"])
        order, account = self.order(int(event["order_id"])), ACCOUNT_NAMES.get(int(event["account"]), "?")
        qty, leaves = int(event["qty"]), int(event["leaves_qty"])
        of = self.of(int(event["instrument"]))
        price = "" if event["price_fen"] == NONE else f" at {units.text_from_fen(int(event['price_fen']))}"
        money = units.text_from_fen(int(event["amount_fen"]))
        low, high = (units.text_from_fen(int(event[name])) for name in ("low_price_fen", "high_price_fen"))
        limits = f"limits {low} to {high}"
        to = "" if event["contra"] == NONE else f" to {ACCOUNT_NAMES[int(event['contra'])]}"
        name = kind.name.lower().replace("_", " ")
        match kind:
            case EventKind.REJECTED:
                return f"rejected {RejectReason(event['reason']).name}"
            case EventKind.ACCEPTED:
                joins = "" if event["contra_id"] == NONE else f" in {self.order(int(event['contra_id']))}"
                return f"accepted {order}: {_side(event['side'])} {qty}{price}{to}{joins}{of}"
            case EventKind.TRADE:
                both = f"leaves {leaves} and {int(event['contra_leaves_qty'])}"
                fees = [units.text_from_fen(int(event[name])) for name in ("fee_fen", "contra_fee_fen")]
                paid = f", fees {fees[0]} and {fees[1]}" if event["fee_fen"] or event["contra_fee_fen"] else ""
                wait = ", pending" if event["flags"] & EventFlag.PENDING else ""
                return f"trade {order} with {self.order(int(event['contra_id']))}: {qty}{price}, {both}{paid}{wait}{of}"
            case EventKind.REPLACED:
                return f"replaced {order}: {_side(event['side'])} {qty}{price}, leaves {leaves}{of}"
            case EventKind.CANCELED | EventKind.EXPIRED | EventKind.DECLINED:
                return f"{name} {order}: leaves {leaves} of {qty}{of}".replace("  ", " ")
            case EventKind.DELIVERED | EventKind.VOIDED:
                return f"{name} {order}: {qty}{price}{to}{of}"
            case EventKind.INDICATIVE:
                left = f", {leaves} to {_side(event['side'])} left" if leaves else ""
                return f"{name}{price}: {qty}{left}{of}" if price else f"{name} nothing{of}"
            case EventKind.ANNOUNCED | EventKind.STAGE_ENDED:
                limit = event["high_price_fen"] if event["side"] == Side.SELL else event["low_price_fen"]
                bound = "" if limit == NONE else f" bound {units.text_from_fen(int(limit))}"
                stage = Stage(event["flags"]).name.lower()
                return f"{name} {order}: {_side(event['side'])} {leaves}{price}{bound}, {stage}{of}"
            case EventKind.APPLIED:
                return f"{name} {order}: {qty} in {self.order(int(event['contra_id']))}, deposit {money}{of}"
            case EventKind.SETTLED:
                return f"{name} {order}: {qty}{price} for {money}, leaves {leaves}{of}"
            case EventKind.MASS_CANCELED:
                return f"{name} {account}: {qty}{of}"
            case EventKind.KILL_SWITCH_SET:
                return f"{name} {account}: {'on' if event['flags'] else 'off'}, {qty} canceled"
            case EventKind.INSTRUMENT_HALTED:
                return f"{name}{price}: {qty} seconds{of}"
            case EventKind.LARGE_HOLDER:
                return f"{name} {account}: {qty}{of}"
            case EventKind.ACCOUNT_OPENED:
                return f"{name} {account}"
            case EventKind.DEPOSITED | EventKind.WITHDRAWN | EventKind.FINED:
                return f"{name} {account} {money}"
            case EventKind.ISSUED | EventKind.SURRENDERED | EventKind.DEDUCTED:
                return f"{name} {account} {qty}{of}"
            case EventKind.PHASE_CHANGED:
                return f"{name} {Phase(event['phase']).name.lower()}"
            case EventKind.DAY_CLOSED:
                return f"{name}{price}: {qty} for {money}{of}"
            case EventKind.DAY_OPENED:
                return f"{name}{price}: {limits}{of}"
            case EventKind.RULE_SET:
                rule = Rule(event["order_id"]).name.lower()
                return f"{name} {rule} {int(event['amount_fen'])}: {limits}{of}"

    def book(self, engine: Engine, instrument: int) -> list[str]:
        """Asks from worst to best, bids from best to worst, then what else lives, by id."""
        levels: dict[tuple[int, int], list[str]] = {}
        others = []
        for row in engine.canonical_state():
            if len(row) != LIVING_COLUMNS or row[0] != instrument:
                continue
            _, side, role, _, order, _, price, leaves, _, contra, _, _, stage, _ = row
            if role == Role.ORDER:
                levels.setdefault((side, price), []).append(f"{self.order(order)} {leaves}")
                continue
            end = ""
            if role in (Role.PROPOSAL, Role.DEAL):
                end = f" to {ACCOUNT_NAMES[contra]}"
            elif role in (Role.APPLICATION, Role.BID):
                end = f" in {self.order(contra)}"
            elif role == Role.AUCTION:
                end = f", {Stage(stage).name.lower()}"
            name = "block" if role == Role.PROPOSAL else Role(role).name.lower()
            at = units.text_from_fen(price)
            others.append(f"{name} {self.order(order)}: {_side(side)} {leaves} at {at}{end}")
        asks = sorted((key for key in levels if key[0] == Side.SELL), reverse=True)
        bids = sorted((key for key in levels if key[0] == Side.BUY), reverse=True)
        drawn = []
        for side, price in asks + bids:
            name = "asks" if side == Side.SELL else "bids"
            drawn.append(f"{name} {units.text_from_fen(price)}: {', '.join(levels[side, price])}")
        return drawn + others or ["empty"]

    def balances(self, engine: Engine, instrument: int, wanted: list[str]) -> list[str]:
        """Of the accounts that `wanted` names, in its order."""
        cash, held = engine.balances()
        lines = []
        for name in [line.split()[0] for line in wanted]:
            number = ACCOUNTS.get(name, NONE)
            if not 0 <= number < len(cash) or not cash[number, 0]:
                lines.append(f"{name} is not open")
                continue
            free, kept, locked, restricted = held[number, instrument].tolist()[:4]
            money, frozen = (units.text_from_fen(int(cash[number, column])) for column in (2, 3))
            end = f" restricted {restricted}" if restricted else ""
            lines.append(f"{name} cash {money} held {frozen} units {free} held {kept} locked {locked}{end}")
        return lines


def _side(side: int) -> str:
    return Side(side).name.lower()


def _check_record(event: np.void, asked: np.void, seq: int, command_seq: int) -> None:
    """What every event says about itself, whatever the rule: numbers, time, echo, value."""
    assert event["seq"] == seq, f"seq is {event['seq']}, expected {seq}"
    assert event["command_seq"] == command_seq, f"command_seq is {event['command_seq']}, expected {command_seq}"
    assert event["time_ns"] == asked["time_ns"], "an event has the time of its command"
    flagged = (EventKind.TRADE, EventKind.ANNOUNCED, EventKind.STAGE_ENDED, EventKind.KILL_SWITCH_SET)
    assert event["flags"] == 0 or event["kind"] in flagged, "flags are 0"
    if event["kind"] != EventKind.TRADE:
        assert (event["fee_fen"], event["contra_fee_fen"]) == (0, 0), "only a trade has fees"
    if event["kind"] in (EventKind.EXPIRED, EventKind.DELIVERED, EventKind.VOIDED):
        return
    assert event["client_ref"] == asked["client_ref"], "client_ref is echoed"
    if event["kind"] == EventKind.TRADE:
        assert event["amount_fen"] == int(event["price_fen"]) * int(event["qty"]), (
            "value of a trade is price x quantity"
        )
    if event["kind"] == EventKind.REJECTED:
        echoed = [event[name] for name in ("order_id", "account", "instrument", "price_fen", "qty")]
        wanted = [asked[name] for name in ("target_id", "account", "instrument", "price_fen", "qty")]
        assert echoed == wanted, f"a reject repeats what was asked: {echoed}, expected {wanted}"


def _check_owner(event: np.void, asked: np.void, owners: dict[int, int]) -> None:
    """An order event and a trade name the accounts that entered the orders."""
    if event["kind"] in (EventKind.ACCEPTED, EventKind.ANNOUNCED, EventKind.APPLIED):
        owners[int(event["order_id"])] = int(asked["account"])
        assert event["order_id"] == event["command_seq"], "an order's id is the number of its command"
    if event["kind"] == EventKind.TRADE:
        owners.setdefault(int(event["order_id"]), int(asked["account"]))
        assert event["contra"] == owners[int(event["contra_id"])], "contra is the account of contra_id"
    if event["mode"] and event["order_id"] != NONE:
        assert event["account"] == owners[int(event["order_id"])], "account is the account of order_id"


def run_table(table: Table, engine: Engine) -> tuple[list[tuple[Step, list[str]]], np.ndarray]:
    """What an engine answers, step by step, and all its events."""
    words, answers, everything = _Words(table), [], []
    seq = command_seq = 0
    owners: dict[int, int] = {}
    for step in table.steps:
        got: list[str] = []
        for row in step.commands:
            command_seq += 1
            events = engine.submit(row)
            assert len(events) > 0, f"line {step.line}: a command without an answer"
            for event in events:
                seq += 1
                _check_record(event, row[0], seq, command_seq)
                _check_owner(event, row[0], owners)
            got += [words.words(event) for event in events]
            everything.append(events)
        if step.looks_at == "book":
            got = words.book(engine, step.instrument)
        elif step.looks_at == "balances":
            got = words.balances(engine, step.instrument, step.expected)
        elif step.given:
            got = [line for line in got if line.startswith("rejected")]
        answers.append((step, got))
    engine.check()
    return answers, np.concatenate(everything)


def side_by_side(table: Table, answers: list[tuple[Step, list[str]]]) -> str:
    """The whole table, expected left and got right; lines that differ begin with an arrow."""
    lines = [f"{table.path.name}: {table.rule} ({table.source})", f"     {'expected':<66}   got"]
    for step, got in answers:
        if step.given and not got:
            continue
        lines.append(f"{step.line:>4} {step.text}")
        for number in range(max(len(step.expected), len(got))):
            want = step.expected[number] if number < len(step.expected) else "(nothing)"
            have = got[number] if number < len(got) else "(nothing)"
            lines.append(f"{'  ' if want == have else '->'}       {want:<62} | {have}")
    return "\n".join(lines)
