"""Flows: read, made, and turned into commands."""

from pathlib import Path

import numpy as np
import pytest

from bench.flows import RULES, Shape, commands_of, make, opened, read
from engine.codes import CommandKind, EventKind
from engine.errors import EmexError
from engine.rules.compiler import compile_rulebook
from engine.rules.schema import find_rulebook

SHAPE = Shape(living=300, messages=3000, reach=50)


def test_the_same_seed_makes_the_same_flow_and_another_another() -> None:
    flow = make(SHAPE, seed=1)
    assert np.array_equal(flow.rows, make(SHAPE, seed=1).rows)
    assert not np.array_equal(flow.rows, make(SHAPE, seed=2).rows)


def test_a_made_flow_keeps_the_wanted_number_alive_with_the_wanted_mix() -> None:
    flow = make(SHAPE)
    exchange = opened(compile_rulebook(find_rulebook("generic")), 10)
    commands, _ = commands_of(flow.rows, 10, exchange.command_seq + 1)
    events = exchange.submit(commands)
    exchange.check()
    assert len(flow.rows) == SHAPE.living + SHAPE.messages
    assert 0.7 * SHAPE.living < len(exchange.living()) < 1.3 * SHAPE.living
    shares = np.bincount(flow.rows[SHAPE.living :, 0], minlength=4) / SHAPE.messages
    assert np.abs(shares - [0.48, 0.40, 0.05, 0.07]).max() < 0.04
    assert (events["kind"] == EventKind.TRADE).sum() > 0.05 * SHAPE.messages
    assert (events["kind"] == EventKind.REJECTED).sum() < 0.02 * len(events)


def test_prices_reach_as_far_as_told() -> None:
    shape = Shape(living=3000, messages=100, reach=5000, tail=0.0)
    prices = make(shape).rows[:, 3]
    assert prices.max() - prices[prices > 0].min() > shape.reach
    assert len(np.unique(prices)) > 2000


def test_a_replacing_row_becomes_a_cancel_and_a_new_order() -> None:
    rows = np.array([[0, 1, 0, 6000, 5, 0, 0, 0], [2, 2, 1, 6001, 7, 1, 0, 0], [1, 2, 1, 0, 0, 2, 0, 0]], np.int32)
    commands, ids = commands_of(rows, 10, 100)
    assert commands["kind"].tolist() == [CommandKind.NEW, CommandKind.CANCEL, CommandKind.NEW, CommandKind.CANCEL]
    assert commands["target_id"].tolist() == [-1, 100, -1, 102]
    assert ids.tolist() == [1, 0, 2, 0]
    assert commands["account"].tolist() == [3, 3, 4, 4]


@pytest.mark.parametrize("accounts", [1, 100_000])
def test_everybody_is_endowed_with_what_the_engine_takes(accounts: int) -> None:
    exchange = opened(compile_rulebook(find_rulebook(RULES["exchange"])), accounts)
    exchange.check()
    cash, _, _, units = exchange.holdings(accounts + 1) or (0, 0, False, [[0]])
    assert cash > 10**10
    assert units[0][0] > 10**6


@pytest.mark.parametrize(
    ("content", "complaint"), [(b"", "got 0 bytes"), (bytes(36), "got 36 bytes"), (b"\x09" * 32, "row 0: type")]
)
def test_a_file_of_another_form_is_named(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "flow.bin"
    path.write_bytes(content)
    with pytest.raises(EmexError, match=complaint):
        read(path)
