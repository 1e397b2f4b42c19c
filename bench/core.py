"""The core on recorded order flows: how fast, in one run with another program that does the same work.

    python -m bench.core FOLDER [--against PROGRAM]      core alone: no gateway, no journal, no file

    FOLDER/NAME.bin    int32 rows: type, id, side, price (fen), quantity, target, and two columns that are not read
                       type 0 limit order, 1 cancel, 2 cancel `target` and enter a new order, 3 immediate or cancel
    FOLDER/NAME.chk    trades, and sums over them: quantity, price x quantity, maker's id x quantity (modulo 2**64)
    PROGRAM NAME.bin   prints two lines of JSON, the second for the pre-funded step; `ns_per_message` is read

A time counts only after the trades have been found to be those of the `.chk` file. Every flow runs under two rulebooks:
`generic`, and `generic-funded.toml` (pre-funding, T+1, fees). Everything runs on one core; medians are compared.
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from engine.codes import CommandKind, EventKind, OrdType, Participant, Side, TimeInForce
from engine.exchange import Exchange
from engine.records import command, empty_commands
from engine.rules.compiler import compile_rulebook
from engine.rules.schema import find_rulebook

RULES = {"book": "generic", "exchange": str(Path(__file__).with_name("generic-funded.toml"))}
_FIRST_ACCOUNT = 2
_CASH_FEN, _UNITS_T = 10**14, 10**9
_FIRST_DATE = 20260101
_LIMIT, _CANCEL, _REPLACE, _IOC = range(4)
_TYPE, _ID, _SIDE, _PRICE, _QTY, _TARGET = range(6)


def commands_of(rows: np.ndarray, accounts: int, first_seq: int) -> tuple[np.ndarray, np.ndarray]:
    """COMMAND rows of a flow, and the flow's id by command number minus `first_seq` (0 for a cancel).

    A message of type 2 becomes two commands. The account of an order is its id modulo `accounts`.
    """
    at = np.repeat(np.arange(len(rows)), np.where(rows[:, _TYPE] == _REPLACE, 2, 1))
    cancels = rows[at, _TYPE] == _CANCEL
    cancels[:-1] |= at[:-1] == at[1:]  # the first of the two
    source = rows[at]
    commands = empty_commands(len(at))
    named = np.where(source[:, _TYPE] == _REPLACE, source[:, _TARGET], source[:, _ID])
    ids = np.where(cancels, named, source[:, _ID])
    commands["kind"] = np.where(cancels, CommandKind.CANCEL, CommandKind.NEW)
    commands["account"] = _FIRST_ACCOUNT + ids % accounts
    seq_of = np.zeros(rows[:, _ID].max() + 1, np.int64)
    seq_of[ids[~cancels]] = first_seq + np.flatnonzero(~cancels)
    commands["target_id"][cancels] = seq_of[ids[cancels]]
    orders = source[~cancels]
    for name, values in (
        ("instrument", 0), ("side", np.where(orders[:, _SIDE] == 0, Side.BUY, Side.SELL)),
        ("ord_type", OrdType.LIMIT), ("price_fen", orders[:, _PRICE]), ("qty", orders[:, _QTY]),
        ("tif", np.where(orders[:, _TYPE] == _IOC, TimeInForce.IOC, TimeInForce.DAY)),
    ):  # fmt: skip
        column = commands[name]
        column[~cancels] = values
    return commands, np.where(cancels, 0, ids)


def opened(rules: str, accounts: int) -> Exchange:
    """An exchange with so many accounts, endowed where the rules want that."""
    book = find_rulebook(rules)
    exchange = Exchange(compile_rulebook(book))
    for kind in (CommandKind.OPEN_ACCOUNT, CommandKind.DEPOSIT, CommandKind.ISSUE):
        rows = empty_commands(accounts)
        rows["kind"], rows["account"] = kind, _FIRST_ACCOUNT + np.arange(accounts)
        rows["flags"], rows["amount_fen"], rows["qty"], rows["instrument"] = Participant.COVERED, _CASH_FEN, _UNITS_T, 0
        exchange.submit(rows)
    return exchange


def trade_sums(events: np.ndarray, ids: np.ndarray, first_seq: int) -> tuple[int, int, int, int]:
    """What a `.chk` file holds."""
    trades = events[events["kind"] == EventKind.TRADE]
    qty = trades["qty"]
    makers = ids[trades["contra_id"] - first_seq]
    return len(trades), int(qty.sum()), int((trades["price_fen"] * qty).sum()), int((makers * qty).sum())


def measure(rows: np.ndarray, expected: tuple[int, ...], rules: str, options: argparse.Namespace) -> list[float]:
    """Nanoseconds a message of each run, after one that is checked and makes all tables as large as they get.

    Between two runs a day roll, which is not timed, empties the book.
    """
    exchange, found = opened(rules, options.accounts), []
    for run in range(options.runs + 1):
        first_seq = exchange.command_seq + 1
        commands, ids = commands_of(rows, options.accounts, first_seq)
        batches = [commands[at : at + options.batch] for at in range(0, len(commands), options.batch)]
        if run == 0:
            sums = trade_sums(np.concatenate([exchange.submit(batch) for batch in batches]), ids, first_seq)
            if sums != expected:
                sys.exit(f"{rules}: trades are {sums}, expected {expected}")
            exchange.check()
        else:
            gc.disable()
            began = time.perf_counter_ns()
            for batch in batches:
                exchange.apply(batch)
            found.append((time.perf_counter_ns() - began) / len(rows))
            gc.enable()
        exchange.submit(command(CommandKind.DAY_ROLL, date=_FIRST_DATE + run))
    return found


def other(program: Path, flow: Path, accounts: int) -> dict[str, float]:
    """Nanoseconds a message of the other program, by figure."""
    call = [str(program), "-a", str(accounts), str(flow)]
    output = subprocess.run(call, capture_output=True, text=True, check=True).stdout
    return dict(zip(RULES, (json.loads(line)["ns_per_message"] for line in output.splitlines()), strict=True))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.core", description="How fast the core is on recorded flows.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--against", type=Path, metavar="PROGRAM")
    parser.add_argument("--flows", type=lambda text: text.split(","), default=["main", "deep", "thin"], metavar="A,B")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--batch", type=int, default=10_000)
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    results: list[dict[str, Any]] = []
    for name in options.flows:
        flow = options.folder / f"{name}.bin"
        rows = np.fromfile(flow, np.int32).reshape(-1, 8)
        expected = tuple(int(number) for number in flow.with_suffix(".chk").read_text().split())
        for figure, rules in RULES.items():
            ns = measure(rows, expected, rules, options)
            median = statistics.median(ns)
            result = {"flow": name, "figure": figure, "ns_per_message": round(median, 1),
                      "messages_per_second": round(1e9 / median), "runs": [round(one, 1) for one in ns]}  # fmt: skip
            if options.against is not None:
                theirs = other(options.against, flow, options.accounts)[figure]
                result |= {"against_ns": theirs, "ratio": round(theirs / median, 3)}
            results.append(result)
            if not options.json:
                print(*(f"{key} {value}" for key, value in result.items() if key != "runs"), sep="  ")
    if options.json:
        print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
