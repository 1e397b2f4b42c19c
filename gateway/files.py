"""The door for files: CSV or Parquet of commands in, CSV or Parquet of events out (`emex match`).

It maps the clients' order ids and account names, turns decimal text into fen and tonnes, inserts the phases and day
rolls of the rulebook's timetable unless the file brings its own, and opens an account when its name first appears
unless the file does. A line that cannot be read stops everything before a single command is applied; a readable
command that the market refuses is a REJECTED event with its reason.
"""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from rich.console import Console
from rich.table import Table

from engine import units
from engine.codes import (
    NONE,
    CommandKind,
    EventKind,
    OrderCondition,
    OrdType,
    Participant,
    Phase,
    RejectReason,
    Side,
    TimeInForce,
    TradingMode,
)
from engine.core.accounts import EXCHANGE_ACCOUNT, GOVERNMENT_ACCOUNT
from engine.digest import EventDigest, state_digest
from engine.errors import OrderFileError
from engine.records import empty_commands
from engine.rules.compiler import date_number
from engine.rules.schema import Rulebook
from engine.rules.sessions import Timetable
from engine.venue import open_venue

COLUMNS = ("time_ns", "action", "id", "account", "side", "type", "tif", "price", "quantity", "instrument", "mode",
           "target_id", "contra", "amount", "phase", "group", "participant", "until_ns", "min_quantity", "bound",
           "post_only", "switch")  # fmt: skip
"""Everything a file may say; `time_ns` and `action` must be there."""
EVENT_COLUMNS = ("seq", "time_ns", "event", "id", "account", "side", "price", "quantity", "leaves", "contra_id",
                 "reason")  # fmt: skip

ACTIONS = {
    "new": CommandKind.NEW, "cancel": CommandKind.CANCEL, "replace": CommandKind.REPLACE, "click": CommandKind.CLICK,
    "propose": CommandKind.PROPOSE, "confirm": CommandKind.CONFIRM, "decline": CommandKind.DECLINE,
    "open": CommandKind.OPEN_ACCOUNT, "deposit": CommandKind.DEPOSIT, "withdraw": CommandKind.WITHDRAW,
    "issue": CommandKind.ISSUE, "surrender": CommandKind.SURRENDER, "fine": CommandKind.FINE,
    "deduct": CommandKind.DEDUCT, "phase": CommandKind.PHASE, "day_roll": CommandKind.DAY_ROLL,
    "mass_cancel": CommandKind.MASS_CANCEL, "offer": CommandKind.OFFER, "take": CommandKind.TAKE,
    "announce": CommandKind.ANNOUNCE, "apply": CommandKind.APPLY, "bid": CommandKind.BID,
    "end_stage": CommandKind.END_STAGE, "kill_switch": CommandKind.KILL_SWITCH,
}  # fmt: skip
_SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_TYPES = {kind.name.lower(): kind for kind in (OrdType.LIMIT, OrdType.MARKET, OrdType.MARKET_TO_LIMIT)}
_TIFS = {tif.name.lower(): tif for tif in TimeInForce}
_YES_NO = {"no": 0, "yes": 1 << OrderCondition.POST_ONLY}
_SWITCH = {"off": 0, "on": 1}
_PHASES = {phase.name.lower(): phase for phase in Phase}
_PARTICIPANTS = {kind.name.lower(): kind for kind in Participant}
_MODES = {mode.name.lower(): mode for mode in TradingMode}
_NAMED_ACCOUNTS = {"exchange": EXCHANGE_ACCOUNT, "government": GOVERNMENT_ACCOUNT}
_SIDED = (CommandKind.NEW, CommandKind.CLICK, CommandKind.PROPOSE, CommandKind.OFFER, CommandKind.ANNOUNCE)
_ENTERS = (*_SIDED, CommandKind.TAKE, CommandKind.APPLY, CommandKind.BID)
"""A command of these kinds has an id of its own; the others name an earlier one."""
_NAMES_ANOTHER = (CommandKind.CANCEL, CommandKind.REPLACE, CommandKind.CONFIRM, CommandKind.DECLINE,
                  CommandKind.END_STAGE)  # fmt: skip


class Engine(Protocol):
    """What both engines offer."""

    def submit(self, commands: np.ndarray) -> np.ndarray:
        """COMMAND rows in, EVENT rows out."""

    def canonical_state(self) -> Iterator[tuple[int, ...]]:
        """The state as rows of integers."""


@dataclass
class _Door:
    """The clients' words on one side, the engine's numbers on the other."""

    path: Path
    symbols: tuple[str, ...]
    accounts: dict[str, int]
    order_ids: dict[str, int]
    """Client's id -> engine's order id (the number of the command that entered it)."""
    client_ids: dict[int, str]
    entered_on: dict[str, int]
    line: int = 0

    def fail(self, column: str, value: object, expected: str) -> OrderFileError:
        return OrderFileError(f"{self.path}: line {self.line}, column {column}: got {value!r}, expected {expected}")

    def one_of(self, column: str, value: str, known: dict[str, Any]) -> Any:
        if value.lower() not in known:
            raise self.fail(column, value, "one of " + ", ".join(known))
        return known[value.lower()]

    def read(self, column: str, value: str, parse: Callable[[str], int]) -> int:
        try:
            return parse(value)
        except ValueError as error:
            raise self.fail(column, value, str(error).split(", got")[0].removeprefix("expected ")) from None

    def whole(self, column: str, value: str, expected: str, limit: int) -> int:
        """A whole number from 0, below `limit`."""
        if not re.fullmatch(r"[0-9]{1,19}", value) or int(value) >= limit:
            raise self.fail(column, value, expected)
        return int(value)

    def price(self, column: str, value: str) -> int:
        """Decimal CNY as fen."""
        price = self.read(column, value, units.fen_from_text)
        if not 0 <= price < 2**31:
            raise self.fail(column, value, "a price from 0.00 to 21474836.47")
        return price

    def time(self, column: str, value: str) -> int:
        return self.whole(column, value, "whole nanoseconds since the epoch", 2**63)


class _Batch:
    """COMMAND rows that grow; a command's number (1, 2, …) is the id of the order it enters."""

    def __init__(self) -> None:
        self._rows = empty_commands(1024)
        self.count = 0

    def add(self, kind: CommandKind, time_ns: int) -> Any:
        """A new row to fill in."""
        if self.count == len(self._rows):
            self._rows = np.concatenate([self._rows, empty_commands(len(self._rows))])
        row = self._rows[self.count]
        row["kind"], row["time_ns"] = kind, time_ns
        self.count += 1
        return row

    def copy(self, commands: Iterator[np.ndarray]) -> None:
        """Append finished rows."""
        for command in commands:
            self.add(CommandKind.PHASE, 0)
            self._rows[self.count - 1] = command[0]

    def rows(self) -> np.ndarray:
        """What has been added, shape (count,)."""
        return self._rows[: self.count].copy()


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, non-empty cells as text) of a CSV or Parquet file, column names checked."""
    if path.suffix == ".parquet":
        try:
            table = pa.parquet.read_table(path)
        except (OSError, pa.ArrowInvalid) as error:
            message = f"{path}: cannot be read as Parquet: {error}"
            raise OrderFileError(message) from None
        _check_columns(path, table.column_names)
        for number, row in enumerate(table.to_pylist(), start=1):
            yield number, {k: _text(v) for k, v in row.items() if v is not None and v != ""}
        return
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_columns(path, header)
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    wrong = f"got {len(cells)} cells, expected {len(header)} as in the header"
                    raise OrderFileError(f"{path}: line {reader.line_num}: {wrong}")
                yield reader.line_num, {k: v.strip() for k, v in zip(header, cells, strict=True) if v.strip()}
    except csv.Error as error:
        message = f"{path}: line {reader.line_num}: cannot be read as CSV: {error}"
        raise OrderFileError(message) from None
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path}: cannot be read as CSV: {error}"
        raise OrderFileError(message) from None


def _text(value: object) -> str:
    """A Parquet cell as the text a CSV would hold."""
    return f"{value:.10f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _check_columns(path: Path, names: list[str]) -> None:
    for name in names:
        if name not in COLUMNS:
            message = f"{path}: header: got column {name!r}, expected some of {', '.join(COLUMNS)}"
            raise OrderFileError(message)
    if len(set(names)) != len(names):
        message = f"{path}: header: got {', '.join(names)}, expected each column once"
        raise OrderFileError(message)
    for name in ("time_ns", "action"):
        if name not in names:
            message = f"{path}: header: column {name!r} is missing"
            raise OrderFileError(message)


def _account(door: _Door, batch: _Batch, cells: dict[str, str], column: str, opened_by_file: set[str]) -> int:
    """The engine's number of a named account; a new name is opened here unless the file does so itself."""
    name = cells.get(column, "")
    if not name:
        raise door.fail(column, "", "the name of an account")
    if name.lower() in _NAMED_ACCOUNTS:
        return _NAMED_ACCOUNTS[name.lower()]
    if name not in door.accounts:
        door.accounts[name] = len(door.accounts) + len(_NAMED_ACCOUNTS)
        if name not in opened_by_file:
            batch.add(CommandKind.OPEN_ACCOUNT, int(cells["time_ns"]))["account"] = door.accounts[name]
    return door.accounts[name]


def read_commands(path: Path, book: Rulebook) -> tuple[np.ndarray, _Door]:
    """A file as COMMAND rows, shape (n,), with the mapping back. Raises `OrderFileError` on the first bad line."""
    door = _Door(path, book.symbols, {}, {}, {}, {})
    lines = list(_rows(path))
    actions = {cells.get("action", "").lower() for _, cells in lines}
    timetable = Timetable(book)
    inserts = not actions & {"phase", "day_roll"}
    opened = {cells.get("account", "") for _, cells in lines if cells.get("action", "").lower() == "open"}
    batch = _Batch()
    last_ns = 0
    for door.line, cells in lines:
        if "time_ns" not in cells:
            raise door.fail("time_ns", "", "whole nanoseconds since the epoch")
        time_ns = door.time("time_ns", cells["time_ns"])
        if time_ns < last_ns:
            raise door.fail("time_ns", time_ns, f"a time not before the line above ({last_ns})")
        last_ns = time_ns
        kind = door.one_of("action", cells.get("action", ""), ACTIONS)
        if inserts:
            batch.copy(timetable.advance(time_ns))
        if kind == CommandKind.PHASE:
            phase = door.one_of("phase", cells.get("phase", ""), _PHASES)
            batch.add(kind, time_ns)["phase"] = phase
        elif kind == CommandKind.DAY_ROLL:
            batch.add(kind, time_ns)["date"] = date_number(timetable.local_date(time_ns))
        else:
            account = NONE
            if kind != CommandKind.END_STAGE:
                account = _account(door, batch, cells, "account", opened)
            contra = _account(door, batch, cells, "contra", opened) if "contra" in cells else NONE
            row = batch.add(kind, time_ns)
            row["account"], row["contra"] = account, contra
            _read_cells(door, cells, row, kind, batch.count)
    return batch.rows(), door


def _read_cells(door: _Door, cells: dict[str, str], row: Any, kind: CommandKind, seq: int) -> None:
    """The cells that depend on the action, into COMMAND row number `seq`."""
    if "side" in cells:
        row["side"] = door.one_of("side", cells["side"], _SIDES)
    row["ord_type"] = door.one_of("type", cells.get("type", "limit"), _TYPES)
    row["tif"] = door.one_of("tif", cells.get("tif", "day"), _TIFS)
    if "price" in cells:
        price = door.price("price", cells["price"])
        row["price_fen"] = price
    if "quantity" in cells:
        row["qty"] = door.whole("quantity", cells["quantity"], "a whole number of tonnes from 0", 2**62)
    if "amount" in cells:
        amount = door.read("amount", cells["amount"], units.fen_from_text)
        if not 0 <= amount < 2**62:
            raise door.fail("amount", cells["amount"], "an amount of CNY from 0.00")
        row["amount_fen"] = amount
    if "bound" in cells:
        row["limit_price_fen"] = door.price("bound", cells["bound"])
    if "min_quantity" in cells:
        row["min_qty"] = door.whole("min_quantity", cells["min_quantity"], "a whole number of tonnes from 0", 2**62)
    if "until_ns" in cells:
        row["until_ns"] = door.time("until_ns", cells["until_ns"])
    if "group" in cells:
        row["group"] = door.whole("group", cells["group"], "a whole number from 0 to 2147483647", 2**31)
    if "participant" in cells:
        row["flags"] = door.one_of("participant", cells["participant"], _PARTICIPANTS)
    if "post_only" in cells:
        row["flags"] = door.one_of("post_only", cells["post_only"], _YES_NO)
    if "switch" in cells:
        row["flags"] = door.one_of("switch", cells["switch"], _SWITCH)
    if "mode" in cells:
        row["mode"] = door.one_of("mode", cells["mode"], _MODES)
    symbol = cells.get("instrument", door.symbols[0])
    row["instrument"] = door.symbols.index(symbol) if symbol in door.symbols else len(door.symbols)
    if kind == CommandKind.MASS_CANCEL and "instrument" not in cells:
        row["instrument"] = NONE
    client_id = cells.get("id", "")
    if kind in _ENTERS:
        if client_id in door.entered_on and client_id:
            first = door.entered_on[client_id]
            raise door.fail("id", client_id, f"an id not used before (line {first} entered it)")
        if kind in _SIDED and "side" not in cells:
            raise door.fail("side", "", "buy or sell")
        door.entered_on[client_id] = door.line
        door.order_ids[client_id] = seq
    door.client_ids[seq] = client_id or str(seq)
    target = cells.get("target_id", client_id if kind in _NAMES_ANOTHER else "")
    if target:
        row["target_id"] = door.order_ids.get(target, 2**40 + seq)
        door.client_ids.setdefault(int(row["target_id"]), target)
        if kind == CommandKind.REPLACE and client_id and client_id != target:
            door.order_ids[client_id] = int(row["target_id"])


def event_table(events: np.ndarray, door: _Door) -> pa.Table:
    """EVENT rows in the clients' words: the columns of `EVENT_COLUMNS`, empty where a field is absent."""
    names = {number: name for name, number in door.accounts.items()} | {n: k for k, n in _NAMED_ACCOUNTS.items()}

    def mapped(column: str, words: Callable[[int], str]) -> pa.Array:
        return pa.array([words(value) for value in events[column].tolist()], pa.string())

    def number(value: int) -> str:
        return "" if value == NONE else str(value)

    def price(value: int) -> str:
        return "" if value == NONE else units.text_from_fen(value)

    def client(value: int) -> str:
        return "" if value == NONE else door.client_ids.get(value, "")

    columns = {
        "seq": pa.array(events["seq"]),
        "time_ns": pa.array(events["time_ns"]),
        "event": mapped("kind", lambda v: EventKind(v).name.lower()),
        "id": mapped("order_id", client),
        "account": mapped("account", lambda v: names.get(v, "")),
        "side": mapped("side", lambda v: Side(v).name.lower() if v else ""),
        "price": mapped("price_fen", price),
        "quantity": mapped("qty", number),
        "leaves": mapped("leaves_qty", number),
        "contra_id": mapped("contra_id", client),
        "reason": mapped("reason", lambda v: RejectReason(v).name if v else ""),
    }
    return pa.table(columns)


def match_file(rules: str, orders: Path, events: Path | None = None, engine: str = "fast") -> dict[str, Any]:
    """Run a file of commands through an engine.

    Parameters
    ----------
    rules : name of a shipped rulebook or path of a TOML file
    orders : CSV or Parquet with the columns of `COLUMNS`
    events : where to write the events, CSV or Parquet by suffix; None = nowhere
    engine : "fast" or "reference"

    Returns
    -------
    dict
        Counts by event and by reject reason, traded quantity (t) and value (CNY text), digests.

    Raises
    ------
    EmexError
        On an unknown rulebook or a line that cannot be read; nothing has been applied then.
    """
    book, venue = open_venue(rules, engine)
    commands, door = read_commands(orders, book)
    produced = venue.submit(commands)
    shown = _named_as_asked(produced, commands)
    if events is not None:
        _write(event_table(shown, door), events)
    digest = EventDigest()
    digest.update(produced)
    trades = produced[produced["kind"] == EventKind.TRADE]
    return {
        "rules": book.name,
        "rules_hash": book.rules_hash,
        "engine": engine,
        "commands": len(commands),
        "events": _counts(produced["kind"], EventKind),
        "rejects": _counts(produced["reason"][produced["reason"] > 0], RejectReason),
        "trades": len(trades),
        "quantity_t": int(trades["qty"].sum()),
        "value": units.text_from_fen(int(trades["amount_fen"].sum())),
        "digest": digest.hexdigest(),
        "state_digest": state_digest(venue.canonical_state()),
    }


def _named_as_asked(events: np.ndarray, commands: np.ndarray) -> np.ndarray:
    """A copy in which a refused request that would have entered an order stands under its own id."""
    events = events.copy()
    refused = np.flatnonzero(events["kind"] == EventKind.REJECTED)
    seqs = events["command_seq"][refused]
    enters = np.isin(commands["kind"][seqs - 1], _ENTERS)
    events["order_id"][refused[enters]] = seqs[enters]
    return events


def _counts(values: np.ndarray, enum: type[EventKind | RejectReason]) -> dict[str, int]:
    codes, counts = np.unique(values, return_counts=True)
    return {enum(int(code)).name.lower() if enum is EventKind else enum(int(code)).name: int(n)
            for code, n in zip(codes, counts, strict=True)}  # fmt: skip


def _write(table: pa.Table, path: Path) -> None:
    try:
        if path.suffix == ".parquet":
            pa.parquet.write_table(table, path)
        else:
            options = pa.csv.WriteOptions(quoting_style="needed")
            pa.csv.write_csv(table, path, options)
    except OSError as error:
        message = f"{path}: cannot be written: {error}"
        raise OrderFileError(message) from None


def print_match(result: dict[str, Any], console: Console) -> None:
    """The result of `match_file` as two small tables."""
    console.print(f"{result['commands']:,} commands under {result['rules']}, {result['engine']} engine")
    table = Table(box=None, pad_edge=False)
    table.add_column("event")
    table.add_column("rows", justify="right")
    for name, count in result["events"].items():
        table.add_row(name, f"{count:,}")
    for name, count in result["rejects"].items():
        table.add_row(f"  {name}", f"{count:,}")
    console.print(table)
    console.print(f"{result['trades']:,} trades, {result['quantity_t']:,} t, {result['value']} CNY")
    console.print(f"digest {result['digest']}")
