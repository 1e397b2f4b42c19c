"""A real hour of Nasdaq through the file door: every clean incoming order hits the recorded resting orders."""

import csv
from pathlib import Path

import numba
import pytest

from gateway.files import match_file
from tests.real.lobster import MESSAGES, write_orders

DATA = Path(__file__).parents[3] / "shared" / "data" / "lobster_aapl_20120621" / MESSAGES
CLEAN_ORDERS = 3_277
"""Incoming orders without exception, counted by the data's own description."""


@pytest.mark.skipif(not DATA.is_file(), reason=f"recorded messages not found at {DATA}")
@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="92,000 messages are for the compiled lane")
@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_recorded_executions_name_the_same_resting_orders_in_sequence_and_size(engine: str, tmp_path: Path) -> None:
    orders, events = tmp_path / "orders.csv", tmp_path / "events.csv"
    expected = write_orders(DATA, orders)
    result = match_file("generic", orders, events, engine)
    assert not result["rejects"]
    fills: dict[str, list[tuple[str, int]]] = {}
    with events.open() as file:
        for row in csv.DictReader(file):
            if row["event"] == "trade":
                fills.setdefault(row["id"], []).append((row["contra_id"], int(row["quantity"])))
    wrong = {order for order in expected if fills.get(order) != expected[order]}
    print(f"{engine}: {len(expected)} clean incoming orders, {len(wrong)} differ, {len(fills)} orders traded")
    assert not wrong
    assert set(fills) == set(expected)
    assert len(expected) == CLEAN_ORDERS
