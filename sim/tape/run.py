"""`emex replay --tape`: recorded days as a load on an engine in this process, and what that load measured.

    days.parquet      one row a recorded day: recorded, traded, followed or why not
    events.parquet    what the engine answered, up to `EVENTS_KEPT` rows
    run.json          the summary below

A load generator, not a simulation 负载发生器，非仿真, and so called in everything written. Whether a day was followed
is read from the engine's TRADE events, never from what was sent. No check of realism is run on it.
"""

import datetime as dt
import json
import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from engine.codes import NONE, RULE_COLUMNS, CommandKind, EventKind, Participant, RejectReason, Rule, TradingMode
from engine.core.state import Account, Units
from engine.digest import EventDigest
from engine.errors import ScenarioError
from engine.exchange import Exchange
from engine.records import EVENT, empty_commands
from engine.rules.compiler import CompiledRules, compile_rulebook, date_number
from engine.rules.schema import Rulebook, find_rulebook
from engine.rules.sessions import Timetable
from sim.figures import tonnes
from sim.port import FIRST_ACCOUNT
from sim.streams import stream
from sim.tape.flow import TOLERANCE_TICKS, DayRules, Orders, Plan, Wanted, draw_orders, plan_day, sessions_of
from sim.tape.queueing import RATES, open_loop
from sim.tape.read import Tape, TapeDay, read_tape

KIND = "load generator, not a simulation"
TRADERS = 2_000
"""Accounts; assumed."""
BATCH = 10_000
"""Commands of one call where throughput is measured."""
EVENTS_KEPT = 5_000_000
"""Most rows of events.parquet."""
VOLUME_TOLERANCE = 0.02
SMALL_T = 100
"""Up to so much volume a day's mean price is not asked for."""
HOLE_DAYS = 17
"""Calendar days from one trading day to the next over the longest holiday; more is a hole in the record."""
_LEAD_DAYS = 60
"""Trading days before the first recorded one, or the last ones of a hole, on which the price may be led to the tape."""
_MOST_SCALE = 10_000
_A_HOLDING = 4
"""An order is at most this part of what one account may hold."""

Progress = Callable[[int, int], None]
"""Told (days done, of how many)."""


@dataclass(frozen=True)
class FollowedDay:
    """One recorded day and what became of it; t and fen, recorded volumes as scaled."""

    date: dt.date
    recorded_t: int
    traded_t: int
    recorded_vwap_fen: float | None
    traded_vwap_fen: float | None
    """Both of what is compared: the screen where the tape keeps agreements apart, else everything."""
    recorded_block_t: int
    traded_block_t: int
    recorded_close_fen: float | None
    previous_close_fen: int
    limit_low_fen: int
    limit_high_fen: int
    messages: int
    trades: int
    volume_error: float
    """Share of the recorded volume."""
    vwap_error_ticks: float | None
    """None where the record has no mean price to compare with, or up to `SMALL_T`."""
    followed: bool
    reason: str
    """Why not, or ""."""


def replay_tape(
    path: str | Path,
    rules: str,
    *,
    scale: int = 1,
    seed: int = 1,
    out: Path | None = None,
    product: str | None = None,
    first: dt.date | None = None,
    last: dt.date | None = None,
    rates: Sequence[int] = RATES,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Follow a recorded tape through an engine, and write what happened into `out` (None: no files).

    A load generator, not a simulation: nothing of it counts as realism.

    Parameters
    ----------
    path : daily CSV, see `sim.tape.read.read_tape`
    rules : name of a shipped rulebook, or path of a TOML file
    scale : volume, and number of messages, as a multiple of the recorded one; sizes stay as they are
    product, first, last : which rows of the file
    rates : messages a second of the open loop, up to the first that saturates; none: no open loop

    Returns
    -------
    dict
        What `emex replay --tape … --json` prints. Volumes in t, prices in ticks or CNY/t, delays in µs. Raises
        `EmexError` on a file, rulebook, scale or seed that cannot be used.
    """
    if not 1 <= scale <= _MOST_SCALE:
        raise ScenarioError(f"scale: got {scale}, expected a whole number from 1 to {_MOST_SCALE:,}")
    if not 0 <= seed < 2**63:
        raise ScenarioError(f"seed: got {seed}, expected a whole number from 0")
    if any(rate < 1 for rate in rates):
        raise ScenarioError(f"rates: got {list(rates)}, expected messages a second, from 1")
    tape = read_tape(Path(path), product, first, last)
    book = find_rulebook(rules)
    with _EventFile(out) as events:
        follower = _Follower(tape, book, scale, seed, events)
        follower.run(measured=len(rates) > 0, progress=progress)
    queueing = follower.queueing(rates)
    summary = _summary(tape, book, scale, seed, follower, queueing)
    if out is not None:
        _write(out, follower.days, summary)
    return summary


class _EventFile:
    """events.parquet, up to `EVENTS_KEPT` rows; without a folder nothing is written."""

    def __init__(self, folder: Path | None) -> None:
        self.seen = self.kept = 0
        self._writer: pq.ParquetWriter | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            schema = _table(np.zeros(0, EVENT)).schema
            self._writer = pq.ParquetWriter(folder / "events.parquet", schema, compression="zstd")

    def add(self, events: np.ndarray) -> None:
        """Append EVENT rows, as many as there is room for."""
        self.seen += len(events)
        rows = events[: EVENTS_KEPT - self.kept]
        if self._writer is not None and len(rows):
            self._writer.write_table(_table(rows))
            self.kept += len(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._writer is not None:
            self._writer.close()


def _table(rows: np.ndarray) -> pa.Table:
    """Columns of structured rows."""
    return pa.table({column: np.ascontiguousarray(rows[column]) for column in rows.dtype.names or ()})


class _DayTally:
    """What the engine answered on one day."""

    def __init__(self) -> None:
        self.qty_t = self.value_fen = self.block_t = self.block_value_fen = self.trades = 0
        self.reasons: Counter[str] = Counter()

    def add(self, events: np.ndarray) -> None:
        """Take in EVENT rows."""
        trades = events[events["kind"] == EventKind.TRADE]
        block = trades["mode"] == TradingMode.BLOCK
        self.trades += len(trades)
        self.qty_t += int(trades["qty"][~block].sum())
        self.value_fen += int(trades["amount_fen"][~block].sum())
        self.block_t += int(trades["qty"][block].sum())
        self.block_value_fen += int(trades["amount_fen"][block].sum())
        refused = events["reason"][events["kind"] == EventKind.REJECTED]
        self.reasons.update(RejectReason(int(reason)).name for reason in refused)


class _Follower:
    """A tape on its way through an engine."""

    def __init__(self, tape: Tape, book: Rulebook, scale: int, seed: int, file: _EventFile) -> None:
        self.tape, self.book, self.file, self._scale, self._seed = tape, book, file, scale, seed
        self._rules: CompiledRules = compile_rulebook(book)
        self._venue = Exchange(self._rules, accounts=TRADERS + FIRST_ACCOUNT)
        self._timetable = Timetable(book)
        self._digest = EventDigest()
        self._tally = _DayTally()
        self._kept: tuple[dt.date, dict[str, np.ndarray], np.ndarray] | None = None
        self._most_t, self._limited = NONE, False
        self._now_ns = 0
        self.days: list[FollowedDay] = []
        self.quiet_days = self.led_days = self.led_t = self.voided = 0
        self.conserved = False
        self.timed: list[tuple[int, int]] = []
        """Of each timed call: messages, ns."""
        self.refused: Counter[str] = Counter()

    # ------------------------------------------------------------------------------------------------- the days

    def run(self, *, measured: bool, progress: Progress | None) -> None:
        """All days of the tape; `measured`: keep the busiest one for the open loop."""
        total, before = len(self.tape), None
        busiest = self._busiest() if measured else None
        for done, day in enumerate(self.tape):
            if progress is not None:
                progress(done, total)
            if self._trades_on(day.date):
                self._lead(before, day)
                before = day.date
            if day.screen_t + day.block_t == 0:
                self.quiet_days += 1
            else:
                self.days.append(self._follow(day, keep=day.date == busiest))
        self._begin(self.tape.date[-1].astype(object) + dt.timedelta(days=1))
        self._venue.check()
        self.conserved = self._conserved()
        if progress is not None:
            progress(total, total)

    def _trades_on(self, date: dt.date) -> bool:
        return not self.book.timetable or len(self._timetable.phases(date)) > 0

    def _busiest(self) -> dt.date | None:
        """The trading day with most volume outside agreements, which is the one with most messages."""
        traded = [day for day in self.tape if self._trades_on(day.date) and day.screen_t]
        return max(traded, key=lambda day: day.screen_t).date if traded else None

    def _follow(self, day: TapeDay, *, keep: bool) -> FollowedDay:
        """One recorded day with a volume."""
        if not self._trades_on(day.date):
            return self._judged(day, None, "no trading day of the rulebook")
        rules = self._begin(day.date, self.tape.product)
        if rules is None:
            return self._judged(day, None, "nothing of the kind is tradable on this day")
        plan = plan_day(day, rules, apart=self.tape.apart).scaled(self._scale)
        messages = self._send(plan, rules, day.date, keep=keep, timed=True)
        return self._judged(day, rules, plan.amiss, messages)

    def _lead(self, before: dt.date | None, day: TapeDay) -> None:
        """Where recorded days are missing, or before the first: bring the close to where the tape goes on.

        A day's limits come from the close before it, which the record does not tell there. One small trade a day, on
        the last trading days that are not recorded, moves it, inside the limits of each day, as far as is needed.
        """
        if before is not None and (day.date - before).days <= HOLE_DAYS:
            return
        if math.isnan(day.screen_vwap_fen):
            return
        days: list[dt.date] = []
        date = day.date - dt.timedelta(days=1)
        while len(days) < _LEAD_DAYS and (before is None or date > before):
            if self._trades_on(date):
                days.append(date)
            date -= dt.timedelta(days=1)
        for date in reversed(days):
            rules = self._begin(date, self.tape.product)
            if rules is None or rules.public is None:
                continue
            low, high = rules.public_fen()
            target = min(max(day.screen_vwap_fen, low), high)
            if target == day.screen_vwap_fen:
                return
            qty_t = -(-(rules.rule(Rule.CLOSE_MIN_QTY_T) + 1) // rules.lot_t) * rules.lot_t
            self._send(Plan(Wanted(qty_t, target), Wanted(), ""), rules, date)
            self.led_days, self.led_t = self.led_days + 1, self.led_t + self._tally.qty_t

    def _begin(self, date: dt.date, product: str | None = None) -> DayRules | None:
        """Roll to `date`; rules and limits of what the tape is of, None where that is not tradable."""
        self.refused.update(self._tally.reasons)
        self._tally = _DayTally()
        self._now_ns = self._timetable.midnight_ns(date)
        events = self._submit(self._timetable.day_roll(date))
        self.voided += int((events["kind"] == EventKind.VOIDED).sum())
        row = self._instrument(date, product)
        if self._most_t == NONE:
            self._open_accounts(self._rules.rows[0] if row is None else row)
        if row is None:
            return None
        instrument = int(row[RULE_COLUMNS])
        opened = events[(events["kind"] == EventKind.DAY_OPENED) & (events["instrument"] == instrument)][0]
        commands = self._timetable.phases(date)
        phases = np.concatenate(commands) if commands else empty_commands(0)
        return DayRules(
            instrument, row, int(opened["price_fen"]), (int(opened["low_price_fen"]), int(opened["high_price_fen"])),
            phases, sessions_of(phases, self.book.initial_phase, self._timetable.midnight_ns(date)),
        )  # fmt: skip

    def _instrument(self, date: dt.date, product: str | None) -> np.ndarray | None:
        """The row in force of the product that the tape names, else of the first allowance tradable that day."""
        symbols = [_plain(symbol) for symbol in self.book.symbols]
        numbers: Iterable[int] = range(len(symbols))
        if product is not None and _plain(product) in symbols:
            numbers = [symbols.index(_plain(product))]
        else:
            kinds = [attributes.get("product") for attributes in self.book.attributes]
            numbers = [n for n, kind in enumerate(kinds) if kind is None or kind.compiled == "allowance"] or numbers
        for number in numbers:
            rows = self._rules.rows[self._rules.rows[:, RULE_COLUMNS] == number]
            row: np.ndarray = rows[max(int((rows[:, Rule.FROM_DATE] <= date_number(date)).sum()), 1) - 1]
            if row[Rule.TRADABLE]:
                return row
        return None

    # --------------------------------------------------------------------------------------------------- commands

    def _open_accounts(self, row: np.ndarray) -> None:
        """Traders of a kind that may trade under these rules and is limited least."""
        kinds = [kind for kind in Participant if int(row[Rule.PARTICIPANTS]) >> kind & 1]
        if not kinds:
            raise ScenarioError(
                f"{self.book.path.name}: access.participants: got none, expected somebody who may trade"
            )
        limits = {kind: int(row[Rule.MAX_HOLDING_T + kind]) for kind in kinds}

        def freedom(kind: Participant) -> tuple[bool, float]:
            sells_all = kind != Participant.COVERED or row[Rule.MAX_SALE_BP] == NONE
            return sells_all, math.inf if limits[kind] == NONE else limits[kind]

        chosen = max(kinds, key=freedom)
        self._limited = limits[chosen] != NONE
        self._most_t = limits[chosen] // _A_HOLDING if self._limited else 10**9
        rows = empty_commands(TRADERS)
        rows["kind"], rows["flags"] = CommandKind.OPEN_ACCOUNT, chosen
        rows["account"] = np.arange(TRADERS) + FIRST_ACCOUNT
        self._submit(rows)

    def _send(self, plan: Plan, rules: DayRules, date: dt.date, *, keep: bool = False, timed: bool = False) -> int:
        """Draw a day's orders, provide for them, and let the engine have them; how many there are."""
        orders = draw_orders(plan, rules, TRADERS, self._most_t, stream(self._seed, f"tape {date}"))
        self._provide(orders, rules)
        rows = orders.numbered(self._venue.command_seq)
        if keep:
            self._kept = date, self._venue.save(), rows
        for at in range(0, len(rows), BATCH):
            batch = rows[at : at + BATCH]
            began = time.perf_counter_ns()
            events = self._venue.apply(batch)
            if timed:
                self.timed.append((len(batch), time.perf_counter_ns() - began))
            self._note(events)
        return len(rows) - len(rules.phases)

    def _provide(self, orders: Orders, rules: DayRules) -> None:
        """Cash and units that the day needs and the accounts do not have; where holdings are limited the surplus of
        units is surrendered.
        """  # fmt: skip
        if not rules.rule(Rule.FUNDED):
            return
        cash, units = self._venue.balances()
        whose = slice(FIRST_ACCOUNT, FIRST_ACCOUNT + TRADERS)
        units_short = orders.units_t - units[whose, rules.instrument, Units.AVAILABLE]
        cash_short = orders.cash_fen - cash[whose, Account.CASH]
        moves = [(CommandKind.DEPOSIT, "amount_fen", cash_short), (CommandKind.ISSUE, "qty", units_short)]
        if self._limited:
            moves.append((CommandKind.SURRENDER, "qty", -units_short))
        for kind, column, amounts in moves:
            accounts = np.flatnonzero(amounts > 0)
            rows = empty_commands(len(accounts))
            rows["kind"], rows["account"], rows[column] = kind, accounts + FIRST_ACCOUNT, amounts[accounts]
            if kind != CommandKind.DEPOSIT:
                rows["instrument"] = rules.instrument
            self._submit(rows)

    def _submit(self, rows: np.ndarray) -> np.ndarray:
        """At the beginning of the day, and not timed."""
        rows["time_ns"] = self._now_ns
        events = self._venue.submit(rows)
        self._note(events)
        return events

    def _note(self, events: np.ndarray) -> None:
        """Take in what the engine answered."""
        self._digest.update(events)
        self.file.add(events)
        self._tally.add(events)

    # --------------------------------------------------------------------------------------------------- judging

    def _judged(self, day: TapeDay, rules: DayRules | None, amiss: str, messages: int = 0) -> FollowedDay:
        """Was the day followed? From its TRADE events alone."""
        tally, scale, apart = self._tally if rules else _DayTally(), self._scale, self.tape.apart
        qty, value = tally.qty_t, tally.value_fen
        if not apart:
            qty, value = qty + tally.block_t, value + tally.block_value_fen
        wanted, wanted_block = day.screen_t * scale, day.block_t * scale
        error = max(
            abs(qty - wanted) / max(wanted, 1), abs(tally.block_t - wanted_block) / max(wanted_block, 1) * apart
        )
        tick = rules.tick_fen if rules else 1
        ticks = _ticks_off(day.screen_vwap_fen, qty, value, wanted, tick)
        block_ticks = _ticks_off(day.block_vwap_fen, tally.block_t, tally.block_value_fen, wanted_block, tick)
        off = max((each for each in (ticks, block_ticks) if each is not None), default=None)
        followed = error <= VOLUME_TOLERANCE and (off is None or off <= TOLERANCE_TICKS)
        reasons = [amiss] if amiss else []
        reasons += [f"{count:,} messages refused: {name}" for name, count in tally.reasons.items()]
        return FollowedDay(
            date=day.date, recorded_t=wanted, traded_t=qty, recorded_vwap_fen=_known(day.screen_vwap_fen),
            traded_vwap_fen=value / qty if qty else None, recorded_block_t=wanted_block, traded_block_t=tally.block_t,
            recorded_close_fen=_known(day.close_fen), previous_close_fen=rules.reference_fen if rules else 0,
            limit_low_fen=rules.public_fen()[0] if rules else 0, limit_high_fen=rules.public_fen()[1] if rules else 0,
            messages=messages, trades=tally.trades, volume_error=error, vwap_error_ticks=off,
            followed=followed, reason="" if followed else "; ".join(reasons) or f"off by {error:.1%} and {off} ticks",
        )  # fmt: skip

    def _conserved(self) -> bool:
        """Whether all accounts together hold every fen paid in and every tonne issued, no more and no less."""
        cash, units = self._venue.balances()
        cash_in, issued = self._venue.brought_in()
        in_accounts = int(cash[:, [Account.CASH, Account.CASH_HELD]].sum())
        owned = units[:, :, : Units.BIDDING].sum(axis=(0, 2)).tolist()
        return cash_in == in_accounts and bool(issued == owned)

    # -------------------------------------------------------------------------------------------------- open loop

    def queueing(self, rates: Sequence[int]) -> list[dict[str, Any]]:
        """The busiest day offered at each rate, up to the first that saturates."""
        rows: list[dict[str, Any]] = []
        if self._kept is None:
            return rows
        date, tables, commands = self._kept
        for rate in rates:
            venue = Exchange.restore(self._rules, tables)
            rows.append({"day": str(date)} | open_loop(venue, commands, rate, self._seed))
            if rows[-1]["saturated"]:
                break
        return rows

    def digest(self) -> str:
        """Over all events."""
        return self._digest.hexdigest()


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _ticks_off(recorded_fen: float, qty_t: int, value_fen: int, wanted_t: int, tick_fen: int) -> float | None:
    """How far a mean price lies from the recorded one, in ticks; None where there is nothing to compare."""
    if math.isnan(recorded_fen) or wanted_t <= SMALL_T or not qty_t:
        return None
    return abs(value_fen / qty_t - recorded_fen) / tick_fen


# --------------------------------------------------------------------------------------------------------- output


def _summary(
    tape: Tape, book: Rulebook, scale: int, seed: int, follower: _Follower, queueing: list[dict[str, Any]]
) -> dict[str, Any]:
    days = follower.days
    held = [row for row in days if row.followed]
    ticks = [row.vwap_error_ticks for row in held if row.vwap_error_ticks is not None]
    per_message = [ns / count for count, ns in follower.timed]
    return {
        "kind": KIND,
        "tape": tape.path.name,
        "product": tape.product,
        "first": str(tape.date[0]),
        "last": str(tape.date[-1]),
        "agreements_apart": tape.apart,
        "rules": book.name,
        "rules_hash": book.rules_hash,
        "scale": scale,
        "seed": seed,
        "version": version("emex"),
        "days": len(days),
        "days_followed": len(held),
        "days_missed": [{"date": str(row.date), "reason": row.reason} for row in days if not row.followed],
        "days_without_volume": follower.quiet_days,
        "led": {"days": follower.led_days, "volume_t": follower.led_t},
        "tolerance": {"volume": VOLUME_TOLERANCE, "vwap_ticks": TOLERANCE_TICKS, "vwap_from_t": SMALL_T + 1},
        "worst_volume_error": max((row.volume_error for row in held), default=None),
        "worst_vwap_error_ticks": max(ticks, default=None),
        "volume_t": sum(row.traded_t + row.traded_block_t * tape.apart for row in days),
        "recorded_volume_t": int(tape.volume_t.sum()) * scale,
        "block_t": sum(row.traded_block_t for row in days),
        "messages": sum(row.messages for row in days),
        "trades": sum(row.trades for row in days),
        "refused": dict(follower.refused),
        "voided": follower.voided,
        "batch": BATCH,
        "engine_seconds": round(sum(ns for _, ns in follower.timed) / 1e9, 4),
        "messages_per_second": round(1e9 / statistics.median(per_message)) if per_message else None,
        "queueing": queueing,
        "events": follower.file.seen,
        "events_kept": follower.file.kept,
        "conserved": follower.conserved,
        "digest": follower.digest(),
    }


def _write(out: Path, days: list[FollowedDay], summary: dict[str, Any]) -> None:
    """days.parquet and run.json beside events.parquet."""
    pq.write_table(pa.Table.from_pylist([asdict(day) for day in days]), out / "days.parquet", compression="zstd")
    (out / "run.json").write_text(json.dumps(summary, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def print_tape(summary: dict[str, Any], console: Console) -> None:
    """What was followed, how fast, and how long messages waited; that it is a load, first."""
    missed, days = summary["days_missed"], summary["days"]
    console.print(
        "[bold]Load generator, not a simulation[/bold] 负载发生器，非仿真: its flow follows a record; no realism"
    )
    console.print(
        f"{summary['tape']}, {summary['first']} to {summary['last']}, under {summary['rules']}, "
        f"{summary['scale']:,} times the volume, seed {summary['seed']}"
    )
    console.print(
        f"{summary['days_followed']} of {days} days followed (volume within {summary['tolerance']['volume']:.0%}, mean "
        f"price within {summary['tolerance']['vwap_ticks']} ticks); {summary['days_without_volume']} without volume"
    )
    if summary["led"]["days"]:
        console.print(
            f"on {summary['led']['days']} unrecorded days {summary['led']['volume_t']:,} t led the price to the tape"
        )
    for row in missed[:10]:
        console.print(f"  {row['date']}  {row['reason']}", highlight=False)
    if len(missed) > 10:
        console.print(f"  and {len(missed) - 10} more, in days.parquet and --json")
    speed = summary["messages_per_second"]
    console.print(
        f"{tonnes(summary['volume_t'])}, {tonnes(summary['block_t'])} of it by agreement 大宗协议; "
        f"{summary['messages']:,} messages, {summary['trades']:,} trades, {speed or 0:,} messages a second"
    )
    if summary["queueing"]:
        console.print(_queueing(summary["queueing"]))
    if 0 < summary["events_kept"] < summary["events"]:
        console.print(f"events.parquet holds {summary['events_kept']:,} of {summary['events']:,} events")
    console.print(f"digest {summary['digest']}")


def _queueing(rows: list[dict[str, Any]]) -> Table:
    """The open loop by rate."""
    title = f"Waiting of the messages of {rows[0]['day']}, µs, offered whether or not the engine keeps up"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("messages/s", "messages", "p50", "p99", "p99.9", "max", ""):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        delays = (f"{row[name]:,.1f}" for name in ("p50_us", "p99_us", "p999_us", "max_us"))
        saturated = "saturated" if row["saturated"] else ""
        table.add_row(f"{row['offered_per_second']:,}", f"{row['messages']:,}", *delays, saturated)
    return table
