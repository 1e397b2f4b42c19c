"""Recorded tapes through the engine: followed to the tonne and the tick where the rules allow it, said where not."""

import datetime as dt
import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from engine.codes import EventKind, Phase, Side, TradingMode
from engine.errors import EmexError
from engine.records import EVENT
from engine.rules.schema import MARKETS as MARKETS_FOLDER
from engine.rules.schema import find_rulebook
from engine.rules.sessions import Timetable
from sim.tape.flow import prices_around, sizes
from sim.tape.read import read_tape
from sim.tape.run import KIND, print_tape, replay_tape

DATA = Path(__file__).parents[3] / "shared" / "data"
CEA = DATA / "cea_national_daily" / "cea_daily_2021_2025.csv"
GUANGDONG = DATA / "china_pilots_daily" / "guangdong_gdea.csv"
HUBEI = DATA / "china_pilots_daily" / "hubei_hbea_2017_2021.csv"
SHANGHAI = DATA / "china_pilots_daily" / "shanghai_shea_2013_2021.csv"
MONDAY = dt.date(2021, 8, 2)
MARKETS = {
    "cn-cea": "48.00", "guangdong": "60.00", "shenzhen": "30.00", "fujian": "30.00", "hubei": "20.00",
    "shanghai": "30.00", "tianjin": "30.00", "energy-rights": "50.00", "beijing": "51.20", "chongqing": "30.00",
    "sichuan": "30.00", "generic": "50.00",
}  # fmt: skip
"""Markets of every kind, and about where their prices begin."""
FEN = 100


def needs(path: Path) -> pytest.MarkDecorator:
    """Skip, naming the file, where the recorded series is absent; also where Python alone would run for minutes."""
    if not path.is_file():
        return pytest.mark.skip(reason=f"recorded series not found at {path}")
    return pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="whole records are for the compiled lane")


def weekdays(count: int, first: dt.date = MONDAY) -> list[dt.date]:
    days = (first + dt.timedelta(days=number) for number in range(2 * count + 7))
    return [day for day in days if day.isoweekday() <= 5][:count]


def written(path: Path, head: str, rows: Sequence[Sequence[object]], encoding: str = "utf-8") -> Path:
    lines = [head, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def walk(path: Path, start: float, count: int = 8, volume: int = 20_000) -> Path:
    """A tape that wanders by a few per cent a day; closes are a little off the means."""
    rng, rows, price = np.random.default_rng(5), [], start
    for day in weekdays(count):
        price *= 1 + rng.uniform(-0.03, 0.03)
        traded = int(volume * rng.uniform(0.3, 3))
        rows.append((day, traded, f"{traded * price:.2f}", f"{price * rng.uniform(0.99, 1.01):.2f}"))
    return written(path, "date,volume,amount,close", rows)


def trades_of(out: Path) -> np.ndarray:
    """TRADE events of a run, as the file has them."""
    table = pq.read_table(out / "events.parquet")
    rows = np.empty(len(table), EVENT)
    for name in table.column_names:
        rows[name] = table[name].to_numpy()
    trades: np.ndarray = rows[rows["kind"] == EventKind.TRADE]
    return trades


def by_day(market: str, trades: np.ndarray) -> dict[dt.date, tuple[int, float]]:
    """Tonnes and mean price (fen) by the venue's day, added up from the file of events."""
    timetable, found = Timetable(find_rulebook(market)), {}
    days = np.array([timetable.local_date(int(time_ns)) for time_ns in trades["time_ns"]])
    for day in sorted(set(days.tolist())):
        today = trades[days == day]
        found[day] = int(today["qty"].sum()), float(today["amount_fen"].sum() / today["qty"].sum())
    return found


# ------------------------------------------------------------------------------------------------------ following


@pytest.mark.parametrize("market", MARKETS)
def test_a_tape_is_followed_in_every_kind_of_market(market: str, tmp_path: Path) -> None:
    tape = walk(tmp_path / "tape.csv", float(MARKETS[market]))
    summary = replay_tape(tape, market, out=tmp_path / "out", rates=())
    assert summary["days_missed"] == []
    assert (summary["days"], summary["refused"], summary["voided"]) == (8, {}, 0)
    assert summary["conserved"]
    found = by_day(market, trades_of(tmp_path / "out"))
    tick = 10 if market == "beijing" else 5 if market == "energy-rights" else 1
    for day in read_tape(tape):
        qty, mean = found[day.date]
        assert abs(qty - day.screen_t) <= 0.02 * day.screen_t
        assert abs(mean - day.screen_vwap_fen) <= 2 * tick, day.date


@pytest.mark.slow
@pytest.mark.parametrize("market", ["cn-cea", "hubei", "beijing"])
def test_scale_multiplies_volume_and_messages_and_leaves_sizes(market: str, tmp_path: Path) -> None:
    tape = walk(tmp_path / "tape.csv", float(MARKETS[market]), volume=60_000)
    one, ten = (replay_tape(tape, market, scale=scale, rates=()) for scale in (1, 10))
    assert ten["volume_t"] == 10 * one["volume_t"] == 10 * one["recorded_volume_t"]
    assert ten["messages"] == pytest.approx(10 * one["messages"], rel=0.1)
    assert ten["days_missed"] == [] == one["days_missed"]


@pytest.mark.slow
def test_sizes_obey_lot_and_screen_maximum_and_prices_the_limits(tmp_path: Path) -> None:
    tape = written(tmp_path / "t.csv", "date,volume,vwap", [(MONDAY, 3_000_000, 52.795)])
    summary = replay_tape(tape, "cn-cea", out=tmp_path / "out", rates=())
    trades = trades_of(tmp_path / "out")
    assert summary["days_missed"] == []
    assert trades["price_fen"].max() == 5280, "48.00 + 10 %"
    assert 1 <= trades["qty"].min() < trades["qty"].max() <= 99_999
    assert len(trades) > 3000


def test_agreements_are_traded_apart_inside_their_band_and_hours(tmp_path: Path) -> None:
    rows = [(day, 50.0, 40_000, 730_000) for day in weekdays(3)]
    tape = written(tmp_path / "t.csv", "date,close,listed_volume_t,block_volume_t", rows)
    summary = replay_tape(tape, "cn-cea", out=tmp_path / "out", rates=())
    assert summary["days_missed"] == []
    assert (summary["volume_t"], summary["block_t"]) == (3 * 770_000, 3 * 730_000)
    trades = trades_of(tmp_path / "out")
    blocks = trades[trades["mode"] == TradingMode.BLOCK]
    assert blocks["qty"].min() >= 100_000
    hours = (blocks["time_ns"] // 10**9 + 8 * 3600) % 86_400 / 3600
    assert 13 <= hours.min() <= hours.max() < 15
    assert len(set(trades["account"].tolist())) > 20


def test_the_close_of_hubei_is_made_by_its_last_five_trades(tmp_path: Path) -> None:
    rows = [(day, 30_000, 30_000 * 20.00, close) for day, close in zip(weekdays(3), (20.40, 19.70, 20.11), strict=True)]
    tape = written(tmp_path / "t.csv", "date,volume,amount,close", rows)
    summary = replay_tape(tape, "hubei", out=tmp_path / "out", rates=())
    assert summary["days_missed"] == []
    events = pq.read_table(tmp_path / "out" / "events.parquet", columns=["kind", "price_fen"]).to_pydict()
    closes = [p for kind, p in zip(*events.values(), strict=True) if kind == EventKind.DAY_CLOSED]
    assert closes[-3:] == [2040, 1970, 2011]


def test_a_mean_beside_the_close_is_explained_by_agreements(tmp_path: Path) -> None:
    rows = [(MONDAY, 400_000, 400_000 * 57.00, 60.00), (weekdays(2)[1], 400_000, 400_000 * 62.00, 61.00)]
    tape = written(tmp_path / "t.csv", "date,volume,amount,close", rows)
    summary = replay_tape(tape, "guangdong", out=tmp_path / "out", rates=())
    assert summary["days_missed"] == []
    assert 0 < summary["block_t"] < summary["volume_t"] == 800_000
    trades = trades_of(tmp_path / "out")
    screen = by_day("guangdong", trades[trades["mode"] != TradingMode.BLOCK])
    assert [mean for _, mean in screen.values()] == pytest.approx([6000, 6100], abs=1)


def test_a_close_of_the_last_trades_needs_no_agreements(tmp_path: Path) -> None:
    day = dt.date(2014, 8, 4)
    tape = written(tmp_path / "t.csv", "date,volume,vwap,close", [(day, 400_000, 60.00, 61.00)])
    summary = replay_tape(tape, "guangdong", out=tmp_path / "out", rates=())
    assert (summary["days_missed"], summary["block_t"]) == ([], 0)
    events = pq.read_table(tmp_path / "out" / "events.parquet", columns=["kind", "price_fen", "instrument"]).to_pydict()
    closes = [p for kind, p, of in zip(*events.values(), strict=True) if kind == EventKind.DAY_CLOSED and of == 0]
    assert closes[-1] == 6100, "by the last ten trades, until 2015-06-10"


def test_a_day_that_halts_the_instrument_is_followed_after_the_halt(tmp_path: Path) -> None:
    prices = (54.00, 50.00, 52.50, 50.00, 52.50)
    rows = [(day, 30_000, price) for day, price in zip(weekdays(5), prices, strict=True)]
    summary = replay_tape(
        written(tmp_path / "t.csv", "date,volume,vwap", rows), "energy-rights", out=tmp_path / "out", rates=()
    )
    kinds = pq.read_table(tmp_path / "out" / "events.parquet", columns=["kind"])["kind"].to_pylist()
    assert kinds.count(EventKind.INSTRUMENT_HALTED) >= 4, "5 % and more on each day but one"
    assert (summary["days_missed"], summary["refused"]) == ([], {})


def test_nobody_comes_to_hold_more_than_he_may(tmp_path: Path) -> None:
    text = (MARKETS_FOLDER / "beijing.toml").read_text(encoding="utf-8")
    tight = text.replace("1_000_000", "3_000").replace(
        "holding_beyond_allocation = { value = true", "holding_beyond_allocation = { value = false"
    )
    rules = tmp_path / "tight.toml"
    rules.write_text(tight, encoding="utf-8")
    rows = [(day, 600_000, 51.20) for day in weekdays(10)]
    summary = replay_tape(written(tmp_path / "t.csv", "date,volume,vwap", rows), str(rules), rates=())
    assert (summary["days_missed"], summary["refused"]) == ([], {})


def test_bought_units_are_sold_again_only_on_a_later_day(tmp_path: Path) -> None:
    tape = walk(tmp_path / "t.csv", 48.0, count=5)
    replay_tape(tape, "cn-cea", out=tmp_path / "out", rates=())
    trades = trades_of(tmp_path / "out")
    day = trades["time_ns"] // (24 * 3600 * 10**9)
    taker_buys = trades["side"] == Side.BUY
    buyers, sellers = (np.where(taker_buys == first, trades["account"], trades["contra"]) for first in (True, False))
    for today in np.unique(day):
        assert not set(buyers[day == today]) & set(sellers[day == today])
    assert set(buyers) & set(sellers), "who bought on one day sells on another"


# ------------------------------------------------------------------------------------------------- what is not followed


def test_a_mean_outside_the_limits_is_reported_and_traded_at_the_limit(tmp_path: Path) -> None:
    days = weekdays(3)
    rows = [(days[0], 20_000, 50.0), (days[1], 20_000, 60.0), (days[2], 20_000, 58.0)]
    tape = written(tmp_path / "t.csv", "date,volume,vwap", rows)
    summary = replay_tape(tape, "cn-cea", out=tmp_path / "out", rates=())
    reason = "recorded mean 60.00 outside the day's limits 45.00 to 55.00"
    assert summary["days_missed"] == [{"date": str(days[1]), "reason": reason}]
    assert summary["days_followed"] == 2
    found = by_day("cn-cea", trades_of(tmp_path / "out"))
    assert found[days[1]] == (20_000, 5500.0), "the volume is there, at the limit, so that the next day finds its band"
    row = pq.read_table(tmp_path / "out" / "days.parquet").to_pylist()[1]
    assert (row["followed"], row["limit_high_fen"], row["vwap_error_ticks"]) == (False, 5500, 500)


def test_one_tick_more_than_the_tolerance_is_not_followed(tmp_path: Path) -> None:
    for mean, followed in ((55.02, 2), (55.03, 1)):
        rows = [(MONDAY, 20_000, 50.0), (weekdays(2)[1], 20_000, mean)]
        tape = written(tmp_path / "t.csv", "date,volume,vwap", rows)
        assert replay_tape(tape, "cn-cea", rates=())["days_followed"] == followed, "the limit is 55.00"


def test_up_to_a_hundred_tonnes_have_no_mean_to_follow(tmp_path: Path) -> None:
    for qty, followed in ((100, 2), (101, 1)):
        rows = [(MONDAY, 20_000, 50.0), (weekdays(2)[1], qty, 99.0)]
        tape = written(tmp_path / "t.csv", "date,volume,vwap", rows)
        assert replay_tape(tape, "cn-cea", rates=())["days_followed"] == followed


@pytest.mark.parametrize(
    ("market", "block", "reason"),
    [
        ("cn-cea", 99_999, "99,999 t recorded by agreement, below the smallest one, 100,000 t"),
        ("hubei", 300_000, "300,000 t recorded by agreement, of which this market has none"),
    ],
)
def test_agreements_that_cannot_be_are_reported(market: str, block: int, reason: str, tmp_path: Path) -> None:
    price = MARKETS[market]
    rows = [(MONDAY, price, 40_000, block)]
    tape = written(tmp_path / "t.csv", "date,close,listed_volume_t,block_volume_t", rows)
    summary = replay_tape(tape, market, rates=())
    assert [row["reason"] for row in summary["days_missed"]] == [reason]
    assert summary["volume_t"] == 40_000


def test_a_day_without_trading_in_the_rulebook_is_reported(tmp_path: Path) -> None:
    days = [MONDAY, MONDAY + dt.timedelta(days=5), MONDAY + dt.timedelta(days=7)]
    tape = written(tmp_path / "t.csv", "date,volume,vwap", [(day, 5000, 48.0) for day in days])
    summary = replay_tape(tape, "cn-cea", rates=())
    assert summary["days_missed"] == [{"date": "2021-08-07", "reason": "no trading day of the rulebook"}]
    assert summary["volume_t"] == 10_000


def test_a_product_that_is_not_tradable_is_reported(tmp_path: Path) -> None:
    rows = [(day, "SHEA15", 5000, 30.0) for day in (dt.date(2016, 6, 30), dt.date(2016, 7, 1))]
    tape = written(tmp_path / "t.csv", "date,product,volume,vwap", rows)
    summary = replay_tape(tape, "shanghai", rates=())
    assert [row["date"] for row in summary["days_missed"]] == ["2016-07-01"]
    assert "tradable" in summary["days_missed"][0]["reason"]


def test_a_hole_is_bridged_by_small_trades_and_a_holiday_is_not(tmp_path: Path) -> None:
    for days_away, led, followed in ((14, 0, 1), (42, 2, 2)):
        rows = [(MONDAY, 20_000, 48.0), (MONDAY + dt.timedelta(days=days_away), 20_000, 60.0)]
        tape = written(tmp_path / "t.csv", "date,volume,vwap", rows)
        summary = replay_tape(tape, "cn-cea", rates=())
        assert summary["led"] == {"days": led, "volume_t": led}, "48 to 52.8 to 58.08, and 60 is in reach"
        assert (summary["days_followed"], summary["volume_t"]) == (followed, 40_000)


def test_a_tape_that_begins_elsewhere_than_the_rulebook_is_reached_before_it_begins(tmp_path: Path) -> None:
    tape = written(tmp_path / "t.csv", "date,volume,vwap", [(MONDAY, 20_000, 30.0)])
    summary = replay_tape(tape, "guangdong", rates=())
    assert summary["days_followed"] == 1
    assert summary["led"]["days"] == 6, "60 x 0.9^6 = 31.9"
    assert summary["led"]["volume_t"] == 6 * 101, "up to 100 t leave the close of Guangdong where it is"


# -------------------------------------------------------------------------------------------------------- measuring


def test_the_seed_decides_everything_but_the_volume(tmp_path: Path) -> None:
    tape = walk(tmp_path / "t.csv", 48.0)
    one, again, two = (replay_tape(tape, "cn-cea", seed=seed, rates=()) for seed in (1, 1, 2))
    assert one["digest"] == again["digest"] != two["digest"]
    assert one["volume_t"] == two["volume_t"]


def test_a_day_draws_the_same_whatever_was_recorded_before_it(tmp_path: Path) -> None:
    days, found = weekdays(2), []
    for before in (10_000, 70_000):
        rows = [(days[0], before, 48.0), (days[1], 10_000, 48.0)]
        written(tmp_path / "t.csv", "date,volume,vwap", rows)
        replay_tape(tmp_path / "t.csv", "cn-cea", out=tmp_path / "out", rates=())
        trades = trades_of(tmp_path / "out")
        last = trades[trades["time_ns"] >= Timetable(find_rulebook("cn-cea")).midnight_ns(days[1])]
        found.append([last[name].tolist() for name in ("qty", "price_fen", "account", "contra", "time_ns")])
    assert found[0] == found[1]


def test_messages_wait_from_their_arrival_on_the_busiest_day(tmp_path: Path) -> None:
    days = weekdays(3)
    rows = list(zip(days, (10_000, 400_000, 20_000), (48.0, 48.0, 48.0), strict=True))
    tape = written(tmp_path / "t.csv", "date,volume,vwap", rows)
    summary = replay_tape(tape, "cn-cea", rates=(2_000, 20_000))
    assert [row["offered_per_second"] for row in summary["queueing"]] == [2_000, 20_000]
    for row in summary["queueing"]:
        assert row["day"] == str(days[1])
        assert 0 < row["p50_us"] <= row["p99_us"] <= row["p999_us"] <= row["max_us"]
        assert row["messages"] + row["warmed_by"] > 1000
        assert not row["saturated"]
    assert summary["messages_per_second"] > 0


@pytest.mark.slow
def test_a_rate_beyond_the_engine_saturates_and_ends_the_series(tmp_path: Path) -> None:
    tape = written(tmp_path / "t.csv", "date,volume,vwap", [(MONDAY, 8_000_000, 48.0)])
    summary = replay_tape(tape, "cn-cea", rates=(10**9, 2 * 10**9))
    assert [row["saturated"] for row in summary["queueing"]] == [True]


def test_everything_written_calls_it_a_load(tmp_path: Path) -> None:
    tape = walk(tmp_path / "t.csv", 48.0)
    done: list[tuple[int, int]] = []
    summary = replay_tape(
        tape, "cn-cea", out=tmp_path / "out", rates=(20_000,), progress=lambda at, of: done.append((at, of))
    )
    assert summary["kind"] == KIND == json.loads((tmp_path / "out" / "run.json").read_text())["kind"]
    assert json.loads((tmp_path / "out" / "run.json").read_text()) == summary
    assert "checks" not in summary
    console = Console(record=True, width=120)
    print_tape(summary, console)
    text = console.export_text()
    assert text.startswith("Load generator, not a simulation 负载发生器，非仿真")
    assert "8 of 8 days followed" in text
    assert done[-1] == (8, 8)
    assert summary["events"] == summary["events_kept"] == pq.read_metadata(tmp_path / "out" / "events.parquet").num_rows


@pytest.mark.slow
def test_too_many_events_are_cut_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.tape.run.EVENTS_KEPT", 5000)
    tape = walk(tmp_path / "t.csv", 48.0)
    summary = replay_tape(tape, "cn-cea", scale=20, out=tmp_path / "out", rates=())
    assert summary["events_kept"] == 5000 < summary["events"]
    assert pq.read_metadata(tmp_path / "out" / "events.parquet").num_rows == 5000
    console = Console(record=True, width=120)
    print_tape(summary, console)
    assert "events.parquet holds 5,000 of" in console.export_text()


def test_sizes_add_up_inside_their_bounds() -> None:
    rng = np.random.default_rng(1)
    for _ in range(500):
        lot, total = int(rng.integers(1, 20)), int(rng.integers(0, 500_000))
        least, most = lot * int(rng.integers(1, 50)), 1000 + lot * int(rng.integers(100, 900))
        found = sizes(total, 500, rng, least_t=least, most_t=most, lot_t=lot)
        assert (found % lot == 0).all()
        assert total - lot < found.sum() <= total or (len(found) == 0 and total < least)
        assert len(found) == 0 or least <= found.min() <= found.max() <= most


def test_prices_meet_their_mean_inside_the_limits() -> None:
    rng = np.random.default_rng(2)
    for _ in range(500):
        tick, count = int(rng.choice([1, 5, 10])), int(rng.integers(1, 40))
        qty = rng.integers(1, 5000, count)
        low, high = 4000, 4000 + tick * int(rng.integers(0, 30))
        mean = rng.uniform(low, high)
        found = prices_around(mean, qty, (low, high), tick, rng)
        assert low <= found.min() <= found.max() <= high
        assert (found % tick == 0).all()
        assert abs((found * qty).sum() / qty.sum() - mean) <= tick


# ---------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("head", "row", "encoding"),
    [
        ("date,volume,amount,close", '2021-08-02,"1,000",50500,51', "utf-8"),
        ("trade_date,vol,turnover,close price", "20210802,1000,50500,51.00", "utf-8"),
        ("Date,total_volume (t),Amount_CNY,price_cny", "2021/8/2,1000.0,50500,51", "utf-8"),
        ("日期,成交量（吨）,成交额（元）,收盘价（元/吨）", "2021年8月2日,1000,50500,51", "utf-8-sig"),
        ("交易日期,开盘价,收盘价,成交均价,成交量", "2021-08-02 00:00:00,49,51,50.5,1000", "gb18030"),
        ("day,vwap,close,open,volume_t", "2021.08.02,50.5,51,49,1000", "utf-8"),
    ],
)
def test_columns_are_found_by_many_names(head: str, row: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"{head}\n{row}\n", encoding=encoding)
    (day,) = read_tape(path)
    assert (day.date, day.screen_t, day.screen_vwap_fen, day.close_fen) == (MONDAY, 1000, 5050, 5100)
    assert math.isnan(day.block_vwap_fen)
    assert not read_tape(path).apart


def test_screen_and_agreements_may_have_columns_of_their_own(tmp_path: Path) -> None:
    head = "日期,挂牌协议成交量,挂牌协议成交额,大宗协议成交量,大宗协议成交额,收盘价"
    rows = [("2021-08-02", 1000, 50_000, 200_000, 9_000_000, 50.0), ("2021-08-03", "", "", "", "", 50.0)]
    tape = read_tape(written(tmp_path / "t.csv", head, rows))
    first, second = tape
    assert tape.apart
    assert first[1:] == (1000, 5000.0, 200_000, 4500.0, 5000.0)
    assert (second.screen_t, second.block_t) == (0, 0)
    assert tape.volume_t.tolist() == [201_000, 0]


def test_rows_of_one_day_are_added_up_and_products_chosen(tmp_path: Path) -> None:
    rows = [("2021-08-03", "A20", 100, 10), ("2021-08-02", "A20", 100, 10), ("2021-08-02", "A21", 300, 20),
            ("2021-08-02", "B", 5, 7)]  # fmt: skip
    path = written(tmp_path / "t.csv", "date,product,volume,close", rows)
    tape = read_tape(path, "A*")
    assert [(day.date.day, day.screen_t, day.screen_vwap_fen, day.close_fen) for day in tape] == [
        (2, 400, 1750, 2000), (3, 100, 1000, 1000)
    ]  # fmt: skip
    assert [day.screen_t for day in read_tape(path, "B")] == [5]
    assert [day.date.day for day in read_tape(path, "A20", first=dt.date(2021, 8, 3))] == [3]
    with pytest.raises(EmexError, match=r"t\.csv: product: got None, expected one of A20, A21, B"):
        read_tape(path)
    with pytest.raises(EmexError, match=r"t\.csv: product: got 'C', expected one of A20, A21, B"):
        read_tape(path, "C")
    with pytest.raises(EmexError, match=r"t\.csv: days: got 2021-08-02 to 2021-08-03, expected some between"):
        read_tape(path, "A20", first=dt.date(2022, 1, 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date,volume,close\n2021-08-02,1000,50\n2021-13-02,1,50\n", "row 2: date: got '2021-13-02', expected a day"),
        ("date,volume,close\n2021-08-02,many,50\n", "row 1: volume: got 'many', expected a number"),
        ("date,volume,close\n2021-08-02,-5,50\n", "row 1: volume: got '-5', expected a number from 0"),
        ("日期,成交量,收盘价\n2021-08-02,5,inf\n", "row 1: 收盘价: got 'inf', expected a number from 0"),
        ("date,volume,close\n2021-08-02,5,\n", "row 1: close: got '', expected the price of what traded that day"),
        ("date,volume\n2021-08-02,5\n", "columns: got date, volume, expected a column of prices or amounts"),
        ("volume,close\n5,50\n", "columns: got volume, close, expected a column of days"),
        ("date,close\n2021-08-02,5\n", "columns: got date, close, expected a column of tonnes"),
        ("date,volume,close,close\n2021-08-02,5,5,5\n", "columns: got 'close' twice, expected different names"),
        ("date,volume,close\n", "rows: got none, expected at least one day"),
        ("date,volume,close\n2021-08-02,5\n", "expected a CSV table with a head"),
        ("", "expected a CSV table with a head"),
    ],
)
def test_a_bad_file_is_refused_with_row_column_value_and_expectation(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EmexError) as refused:
        read_tape(path)
    assert str(refused.value).startswith("bad.csv: ")
    assert message in str(refused.value)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmexError, match="cannot be read"):
        read_tape(tmp_path / "none.csv")
    (tmp_path / "t.csv").write_bytes(b"\xff\xff\xff")
    with pytest.raises(EmexError, match=r"expected UTF-8 or GB 18030"):
        read_tape(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": 0}, "scale: got 0, expected a whole number from 1 to 10,000"),
        ({"seed": -1}, "seed: got -1, expected a whole number from 0"),
        ({"rates": (0,)}, "rates: got [0], expected messages a second, from 1"),
        ({"rules": "nowhere"}, "no rulebook named 'nowhere'"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    tape = walk(tmp_path / "t.csv", 48.0)
    with pytest.raises(EmexError) as refused:
        replay_tape(tape, **{"rules": "cn-cea", "rates": (), **changes})
    assert message in str(refused.value)


# -------------------------------------------------------------------------------------------------------- real records


def _kinds(summary: dict[str, Any]) -> Counter[str]:
    """Days that were missed, by the first words of the reason."""
    return Counter(" ".join(row["reason"].split()[:2]) for row in summary["days_missed"])


@needs(CEA)
def test_every_recorded_day_of_the_national_market_is_followed() -> None:
    summary = replay_tape(CEA, "cn-cea", last=dt.date(2024, 12, 31), rates=())
    print(f"national market: {summary['days_followed']} of {summary['days']} days, led on {summary['led']}")
    assert (summary["days"], summary["days_missed"], summary["refused"]) == (564, [], {})
    assert summary["led"] == {"days": 2, "volume_t": 2}, "after two of the three holes of the file"
    assert summary["volume_t"] == summary["recorded_volume_t"] == 595_300_227


@needs(CEA)
def test_the_first_deadline_of_the_national_market_as_a_load_ten_times_its_size() -> None:
    first, last = dt.date(2021, 11, 1), dt.date(2021, 12, 31)
    summary = replay_tape(CEA, "cn-cea", scale=10, first=first, last=last, rates=())
    print(f"November and December 2021 x 10: {summary['messages']:,} messages, {summary['trades']:,} trades")
    assert (summary["days_followed"], summary["days_missed"]) == (45, [])
    assert summary["volume_t"] == 10 * 158_587_385
    assert summary["messages"] > 700_000


@needs(GUANGDONG)
def test_recorded_days_of_guangdong_are_followed_or_have_a_reason() -> None:
    summary = replay_tape(GUANGDONG, "guangdong", rates=())
    print(f"Guangdong: {summary['days_followed']} of {summary['days']} days; missed: {_kinds(summary)}")
    assert (summary["days"], summary["days_followed"], summary["refused"]) == (2342, 2249, {})
    assert _kinds(summary) == {"recorded mean": 63, "no trading": 30}
    again = replay_tape(GUANGDONG, "guangdong", seed=2, rates=())
    missed = [[row["date"] for row in one["days_missed"]] for one in (summary, again)]
    assert missed[0] == missed[1], "rules and record decide what can be followed, not the draws"


@needs(HUBEI)
def test_recorded_days_of_hubei_are_followed_at_its_median_price() -> None:
    summary = replay_tape(HUBEI, "hubei", rates=())
    print(f"Hubei: {summary['days_followed']} of {summary['days']} days; missed: {_kinds(summary)}")
    assert (summary["days"], summary["days_missed"], summary["refused"]) == (1102, [], {})


@needs(SHANGHAI)
def test_recorded_days_of_shanghai_are_followed_across_its_two_products() -> None:
    summary = replay_tape(SHANGHAI, "shanghai", rates=())
    print(f"Shanghai: {summary['days_followed']} of {summary['days']} days; missed: {_kinds(summary)}")
    assert (summary["days"], summary["days_followed"], summary["refused"]) == (1081, 1029, {})
    assert _kinds(summary) == {"recorded mean": 52}


def test_no_phase_of_a_tape_lies_outside_the_timetable(tmp_path: Path) -> None:
    tape = walk(tmp_path / "t.csv", 48.0, count=2)
    replay_tape(tape, "cn-cea", out=tmp_path / "out", rates=())
    table = pq.read_table(tmp_path / "out" / "events.parquet", columns=["kind", "phase", "time_ns"]).to_pydict()
    rows = list(zip(*table.values(), strict=True))
    assert [time for _, _, time in rows] == sorted(time for _, _, time in rows)
    traded = {phase for kind, phase, _ in rows if kind == EventKind.TRADE}
    assert traded <= {Phase.MORNING, Phase.AFTERNOON}
