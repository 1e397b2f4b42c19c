"""The deadline day as a load: it is made of what the season did, loses nothing, and hides no wait."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest

from bench.rush import (
    ALLOWANCE,
    Behaviour,
    Load,
    make_load,
    measure,
    open_loop,
    sample_behaviour,
    throughput,
    write_percentiles,
)
from engine.codes import CommandKind
from engine.errors import EmexError
from engine.exchange import Exchange
from sim.port import FIRST_ACCOUNT

pytestmark = pytest.mark.slow

FIRMS, MESSAGES = 200, 20_000
RATE = 100_000


@pytest.fixture(scope="module")
def behaviour() -> Behaviour:
    return sample_behaviour(1)


@pytest.fixture(scope="module")
def load(behaviour: Behaviour) -> Load:
    return make_load(behaviour, FIRMS, MESSAGES)


def carried_out(load: Load) -> Exchange:
    venue = load.open()
    venue.apply(load.commands)
    return venue


def test_a_load_is_made_of_what_the_season_did(behaviour: Behaviour, load: Load) -> None:
    sent = {CommandKind(kind).name for kind in np.unique(load.commands["kind"])}
    taken_back = {"CANCEL", "DECLINE"}  # what expires in the season
    assert sent - taken_back == set(behaviour.tally.sent()) - taken_back
    orders = load.commands[load.commands["qty"] > 0]
    asked = behaviour.everything().commands
    assert np.isin(orders[["kind", "side", "qty"]], asked[["kind", "side", "qty"]]).all()
    assert orders["account"].min() >= FIRST_ACCOUNT
    assert orders["account"].max() < FIRST_ACCOUNT + FIRMS


def test_a_load_keeps_the_limits_of_the_day(load: Load) -> None:
    _, _, low_fen, high_fen, _, _ = load.open().day(ALLOWANCE)
    screen = load.commands[np.isin(load.commands["kind"], (CommandKind.NEW, CommandKind.CLICK))]
    assert low_fen <= screen["price_fen"].min() < screen["price_fen"].max() <= high_fen


def test_every_message_is_answered_and_nothing_is_lost(load: Load) -> None:
    venue = load.open()
    before = venue.command_seq
    events = venue.submit(load.commands)
    venue.check()
    assert len(np.unique(events["command_seq"])) == venue.command_seq - before == MESSAGES
    assert load.tally.trades > MESSAGES // 20


def test_some_are_refused_and_most_are_not(load: Load) -> None:
    assert 0 < load.tally.shares()["refused_share"] < 0.1


def test_the_book_does_not_grow(behaviour: Behaviour, load: Load) -> None:
    in_season = behaviour.standing / len(behaviour.days) / len(behaviour.firms())
    assert 0 < load.standing_most < 3 * in_season * FIRMS
    assert len(carried_out(load).living()) <= load.standing_most


def test_the_same_seed_gives_the_same_bytes(behaviour: Behaviour, load: Load) -> None:
    again, other = (make_load(behaviour, FIRMS, MESSAGES, seed) for seed in (1, 2))
    assert again.commands.tobytes() == load.commands.tobytes()
    assert again.digest == load.digest
    assert other.commands.tobytes() != load.commands.tobytes()


def test_a_time_counts_only_for_the_same_outcome(load: Load) -> None:
    row = throughput(load, runs=1)
    assert row["messages"] == MESSAGES
    assert row["conserved"]
    assert row["events"] == carried_out(load).event_seq - load.open().event_seq
    with pytest.raises(EmexError, match="state differs"):
        throughput(dataclasses.replace(load, digest="another"), runs=1)


def test_no_firms_send_nothing(behaviour: Behaviour) -> None:
    with pytest.raises(EmexError, match="firms: got 0"):
        make_load(behaviour, 0, MESSAGES)


def test_every_message_has_one_delay_and_none_is_negative(load: Load, tmp_path: Path) -> None:
    row = open_loop(load, RATE, folder=tmp_path)
    lines = (tmp_path / row["histogram"]).read_text(encoding="ascii").splitlines()
    lowest, last = lines[2].split(), next(line for line in reversed(lines) if not line.startswith("#")).split()
    assert float(lowest[0]) >= 0
    assert int(last[2]) == row["messages"] == MESSAGES - row["warmed_by"]
    assert float(lowest[0]) <= row["p50_us"] <= row["p99_us"] <= row["p9999_us"] <= row["max_us"] == float(last[0])


class Stalling:
    """A venue one of whose calls takes 50 ms longer."""

    def __init__(self, venue: Exchange) -> None:
        self._venue, self._calls = venue, 0

    def apply(self, commands: np.ndarray) -> np.ndarray:
        self._calls += 1
        if self._calls == 20:
            time.sleep(0.05)
        return self._venue.apply(commands)

    def check(self) -> None:
        self._venue.check()


def test_a_stall_shows_in_the_delay_of_all_who_waited(load: Load) -> None:
    """At 100,000 a second 5,000 of 18,000 messages arrive meanwhile: more than a tenth of all wait 25 ms."""
    row = open_loop(load, RATE, venue=Stalling(load.open()))
    assert row["p90_us"] > 25_000
    assert row["max_us"] > 49_000


def test_what_cannot_keep_up_is_saturated(load: Load) -> None:
    row = open_loop(load, 10**9, cap=100)
    assert row["saturated"]
    assert row["answered_per_second"] < row["offered_per_second"] / 10


def test_a_percentile_file_reads_as_hdrhistogram_writes_it(tmp_path: Path) -> None:
    write_percentiles(tmp_path / "known.hgrm", 1000 * np.arange(1, 1001))
    lines = (tmp_path / "known.hgrm").read_text(encoding="ascii").splitlines()
    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    rows = {percentile: (value, count, last) for value, percentile, count, *last in map(str.split, lines[2:-2])}
    assert rows["0.500000000000"] == ("500.000", "500", ["2.00"])
    assert rows["0.900000000000"] == ("900.000", "900", ["10.00"])
    assert rows["1.000000000000"] == ("1000.000", "1000", [])
    assert lines[-2].startswith("#[Mean    =      500.500, StdDeviation   =      288.675]")


def test_measure_ends_with_the_first_saturated_rate(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    rows = measure(
        lambda done, total: told.append((done, total)),
        messages=MESSAGES, firms=FIRMS, rates=(10_000, 10**9, 2 * 10**9), folder=tmp_path,
    )  # fmt: skip
    assert [row["name"] for row in rows] == ["throughput", "open loop 10000", "open loop 1000000000"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rush-10000.hgrm", "rush-1000000000.hgrm"]
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]
