"""Guard rails: would anybody notice if the core became slow? Ratios of one run; `emex bench` has the published figures.

    make guard

A rail is set far below what is measured (the figures are in README.md beside this file), so that a busy machine does
not touch it and a lost order of magnitude does.
"""

import itertools
import statistics
import time
from typing import Any

import pytest

from bench.core import timed
from bench.flows import RULES, Shape, commands_of, endowed, make, opened
from engine.codes import CommandKind
from engine.records import command
from engine.reference import ReferenceExchange
from engine.rules.compiler import CompiledRules, compile_rulebook
from engine.rules.schema import find_rulebook

_FLOW = make(Shape(living=2000, messages=50_000))
_ACCOUNTS = 100
_READABLE_MESSAGES = 5000
_TIMES_READABLE = 100
"""The compiled engine against the readable one, a message; 1,000 are usual."""
_CALL_MESSAGES = 400
"""A call from Python may cost as much as so many messages of a batch; 60 are usual."""


def _rules(figure: str) -> CompiledRules:
    return compile_rulebook(find_rulebook(RULES[figure]))


@pytest.mark.parametrize("figure", RULES)
def test_a_flow_in_batches(benchmark: Any, figure: str) -> None:
    exchange, dates = opened(_rules(figure), _ACCOUNTS), itertools.count(20260101)

    def next_day() -> tuple[tuple[object, ...], dict[str, object]]:
        exchange.submit(command(CommandKind.DAY_ROLL, date=next(dates)))
        commands, _ = commands_of(_FLOW.rows, _ACCOUNTS, exchange.command_seq + 1)
        return ([commands[at : at + 10_000] for at in range(0, len(commands), 10_000)],), {}

    benchmark.pedantic(lambda batches: [exchange.apply(b) for b in batches], setup=next_day, rounds=9, warmup_rounds=1)
    ns = 1e9 * benchmark.stats.stats.median / len(_FLOW.rows)
    times = _readable_ns(figure) / ns
    benchmark.extra_info |= {"ns_per_message": round(ns, 1), "times_the_readable_engine": round(times)}
    assert times > _TIMES_READABLE


def _readable_ns(figure: str) -> float:
    """Nanoseconds a message of the readable engine over the first messages."""
    exchange = endowed(ReferenceExchange(_rules(figure)), _ACCOUNTS)
    first_seq = opened(_rules(figure), _ACCOUNTS).command_seq + 1
    commands, _ = commands_of(_FLOW.rows[:_READABLE_MESSAGES], _ACCOUNTS, first_seq)
    began = time.perf_counter_ns()
    exchange.submit(commands)
    return (time.perf_counter_ns() - began) / _READABLE_MESSAGES


@pytest.mark.parametrize("figure", RULES)
def test_one_order_a_call(benchmark: Any, figure: str) -> None:
    exchange = opened(_rules(figure), _ACCOUNTS)
    commands, _ = commands_of(_FLOW.rows, _ACCOUNTS, exchange.command_seq + 1)
    rows = iter([commands[at : at + 1] for at in range(len(commands))])
    benchmark.pedantic(lambda: exchange.apply(next(rows)), rounds=20_000, warmup_rounds=1000)
    ns, _ = timed(_FLOW, _rules(figure), accounts=_ACCOUNTS, batch=10_000, runs=5)
    messages = 1e9 * benchmark.stats.stats.median / statistics.median(ns)
    benchmark.extra_info["messages_of_a_batch"] = round(messages)
    assert messages < _CALL_MESSAGES
