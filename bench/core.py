"""The core alone on an order flow: nanoseconds a message, and how that compares with another program in the same run.

    emex bench exchange --flow main.bin --against PROGRAM       no gateway, no journal, no file

    PROGRAM -a ACCOUNTS FLOW.bin    does the same work and prints two lines of JSON, the second for the pre-funded step;
                                    `ns_per_message` is read

A time counts only after the trades have been found to be those of the flow's `.chk` file, or, where it has none, those
of the readable engine on its first messages. What is measured is what trades: every check, every event row.
"""

import gc
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.flows import RULES, Flow, commands_of, endowed, opened, trade_sums
from engine.codes import CommandKind, EventKind
from engine.errors import EmexError
from engine.exchange import Exchange
from engine.memory import joined
from engine.records import command
from engine.reference import ReferenceExchange
from engine.rules.compiler import CompiledRules, compile_rulebook
from engine.rules.schema import find_rulebook

_FIRST_DATE = 20260101
_VERIFIED = 20_000
"""Messages on which both engines are compared."""
BATCH = 10_000
"""Commands of one call, unless told."""


@contextmanager
def one_core() -> Iterator[None]:
    """On the last of this process's cores, whatever the system would like better."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


OTHER_RUNS = 5
"""How often the other program is asked."""


def measure(
    flow: Flow, figure: str, *, accounts: int = 1000, batch: int = BATCH, runs: int = 7, against: Path | None = None
) -> dict[str, Any]:
    """One flow under one figure's rulebook.

    Parameters
    ----------
    figure : of `RULES`: "book" matches only; "exchange" adds pre-funding, T+1 and fees
    against : the other program, which runs the same flow right after

    Returns
    -------
    dict
        What `emex bench exchange --json` prints for it. Raises `EmexError` when the trades are not the expected ones.
    """
    book = find_rulebook(RULES[figure])
    rules = compile_rulebook(book)
    verified = _verify(flow, rules)
    with one_core():
        ns, found = timed(flow, rules, accounts=accounts, batch=batch, runs=runs)
        if flow.sums is not None and found["sums"] != flow.sums:
            raise EmexError(f"{flow.name}.chk: {figure}: trades are {found['sums']}, expected {flow.sums}")
        theirs = None if against is None else other(against, flow, accounts)[figure]
    median = statistics.median(ns)
    trades, qty, value, maker = found["sums"]
    row = {
        "flow": flow.name, "figure": figure, "rulebook": book.name, "rulebook_hash": book.rules_hash,
        "accounts": accounts, "batch": batch, "messages": len(flow.rows), "ns_per_message": round(median, 2),
        "messages_per_second": round(1e9 / median), "runs": [round(one, 2) for one in ns], "trades": trades, "qty": qty,
        "value": value, "maker": maker, "rejects": found["rejects"], "living": found["living"],
        "verified": "trades of the .chk file" if flow.sums else verified,
    }  # fmt: skip
    if theirs is not None:
        row |= {"against_ns": theirs, "ratio": round(theirs / median, 3)}
    return row


def timed(
    flow: Flow, rules: CompiledRules, *, accounts: int, batch: int, runs: int, instruments: int = 1
) -> tuple[list[float], dict[str, Any]]:
    """Nanoseconds a message of each run; and what the first, which is not timed, leaves: sums of the trades, rejects,
    living orders, and occupied levels of both sides. It makes all tables as large as they get.

    Between two runs a day roll, which is not timed, empties the book.
    """
    exchange, ns, found = opened(rules, accounts), [], {}
    for run in range(runs + 1):
        first_seq = exchange.command_seq + 1
        commands, ids = commands_of(flow.rows, accounts, first_seq, instruments=instruments)
        batches = [commands[at : at + batch] for at in range(0, len(commands), batch)]
        if run == 0:
            events = joined([exchange.submit(part) for part in batches])
            found = {
                "sums": trade_sums(events, ids, first_seq), "living": len(exchange.living()),
                "levels": int(np.count_nonzero(exchange._heads)),
                "rejects": int((events["kind"] == EventKind.REJECTED).sum()),
            }  # fmt: skip
            del events
        else:
            ns.append(_time_of(exchange, batches) / len(flow.rows))
        exchange.submit(command(CommandKind.DAY_ROLL, date=_FIRST_DATE + run))
    return ns, found


def _time_of(exchange: Exchange, batches: list[np.ndarray]) -> int:
    """Nanoseconds."""
    gc.disable()
    began = time.perf_counter_ns()
    for batch in batches:
        exchange.apply(batch)
    took = time.perf_counter_ns() - began
    gc.enable()
    return took


def _verify(flow: Flow, rules: CompiledRules) -> str:
    """Both engines give the same events for the first messages, with few accounts; says so, or raises `EmexError`."""
    rows = flow.rows[:_VERIFIED]
    fast, readable = opened(rules, 10), endowed(ReferenceExchange(rules), 10)
    commands, _ = commands_of(rows, 10, fast.command_seq + 1)
    ours, expected = fast.submit(commands), readable.submit(commands)
    if not np.array_equal(ours, expected):
        raise EmexError(f"{flow.name}: the two engines disagree on the first {len(rows)} messages")
    fast.check()
    return f"events of the readable engine on {len(rows)} messages"


def latency(flow: Flow, figure: str, *, calls: int = 100_000) -> dict[str, Any]:
    """Microseconds of one order a call from Python, by kind: percentiles over the last `calls` commands of the flow."""
    rules = compile_rulebook(find_rulebook(RULES[figure]))
    exchange = opened(rules, 1000)
    commands, _ = commands_of(flow.rows, 1000, exchange.command_seq + 1)
    exchange.apply(commands[:-calls])
    rows = [commands[at : at + 1] for at in range(len(commands) - calls, len(commands))]
    ns = np.empty(calls, np.int64)
    with one_core():
        gc.disable()
        clock, apply = time.perf_counter_ns, exchange.apply
        for at, row in enumerate(rows):
            began = clock()
            apply(row)
            ns[at] = clock() - began
        gc.enable()
    kinds = commands["kind"][-calls:]
    result: dict[str, Any] = {"flow": flow.name, "figure": figure, "calls": calls}
    for name, kind in (("new", CommandKind.NEW), ("cancel", CommandKind.CANCEL)):
        p50, p99, p999 = np.percentile(ns[kinds == kind], [50, 99, 99.9]) / 1000
        result |= {f"{name}_p50_us": round(p50, 2), f"{name}_p99_us": round(p99, 2), f"{name}_p999_us": round(p999, 2)}
    return result


def other(program: Path, flow: Flow, accounts: int) -> dict[str, float]:
    """Median nanoseconds a message of the other program, by figure. Raises `EmexError` where it says something else.

    It is asked several times: one of its runs lasts a fraction of a second, and catches whatever else the machine does.
    """
    with tempfile.TemporaryDirectory(prefix="emex-bench-") as folder:
        path = Path(folder) / f"{flow.name}.bin"
        flow.rows.tofile(path)
        call = [str(program), "-a", str(accounts), str(path)]
        said = [subprocess.run(call, capture_output=True, text=True, check=False) for _ in range(OTHER_RUNS)]
    try:
        runs = [[float(json.loads(line)["ns_per_message"]) for line in done.stdout.splitlines()] for done in said]
        medians = [statistics.median(column) for column in zip(*runs, strict=True)]
        return dict(zip(RULES, medians, strict=True))
    except (ValueError, KeyError):
        last = said[-1]
        words = (last.stderr or last.stdout).strip()[-200:]
        message = f"{program}: got status {last.returncode} and {words!r}, expected two lines of JSON"
        raise EmexError(message) from None
