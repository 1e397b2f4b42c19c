"""Both engines over the same orders in one run: the ratio is the figure, the rates belong to the machine.

    make bench

Orders scatter around a middle price that does not move, so that about half of them trade at once. This file may not
assert a speed.
"""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from engine.codes import CommandKind, OrdType, Side, TimeInForce
from engine.records import command, empty_commands
from engine.venue import open_venue

COUNT = 20_000
ACCOUNTS = 50


def orders(seed: int = 1) -> np.ndarray:
    """NEW limit orders on the screen of `generic`, shape (COUNT,)."""
    rng = np.random.default_rng(seed)
    rows = empty_commands(COUNT)
    rows["kind"], rows["instrument"] = CommandKind.NEW, 0
    rows["account"] = rng.integers(2, 2 + ACCOUNTS, COUNT)
    rows["side"] = rng.choice([Side.BUY, Side.SELL], COUNT)
    rows["ord_type"], rows["tif"] = OrdType.LIMIT, TimeInForce.DAY
    rows["price_fen"] = 10_000 + np.rint(rng.normal(0, 50, COUNT)).astype(np.int64)
    rows["qty"] = rng.integers(1, 100, COUNT)
    return rows


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_continuous_orders(benchmark: BenchmarkFixture, engine: str) -> None:
    rows = orders()

    def fresh() -> tuple[tuple[object, ...], dict[str, object]]:
        _, venue = open_venue("generic", engine)
        for account in range(2, 2 + ACCOUNTS):
            venue.submit(command(CommandKind.OPEN_ACCOUNT, account=account))
        return (venue,), {}

    events = benchmark.pedantic(lambda venue: venue.submit(rows), setup=fresh, rounds=7, warmup_rounds=1)
    benchmark.extra_info["orders_per_second"] = round(COUNT / benchmark.stats.stats.median)
    assert (events["command_seq"] > ACCOUNTS).all()
