"""The file door: what a line may say, what is refused where, and what comes out."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from engine.codes import CommandKind, Participant, Phase
from engine.errors import OrderFileError
from engine.rules.schema import find_rulebook
from engine.venue import ENGINES
from gateway.files import COLUMNS, EVENT_COLUMNS, match_file, read_commands

OPENING_NS = 1_626_399_000_000_000_000
"""2021-07-16 09:30 +08:00."""
HOUR_NS = 3600 * 10**9
AFTERNOON_NS = OPENING_NS + 4 * HOUR_NS
HEADER = "time_ns,action,id,account,side,price,quantity"
WIDE = HEADER + ",target_id,contra,amount,phase,instrument,mode,type,tif,until_ns,group"

Row = dict[str, str]


def line(action: str, time_ns: int = OPENING_NS, **cells: str) -> str:
    """One line under `WIDE`."""
    values = {"time_ns": str(time_ns), "action": action, **cells}
    assert set(values) <= set(WIDE.split(","))
    return ",".join(values.get(name, "") for name in WIDE.split(","))


def funded(time_ns: int = OPENING_NS) -> list[str]:
    """A buyer with money and a seller with units."""
    return [
        line("deposit", time_ns, account="buyer", amount="10000000.00"),
        line("issue", time_ns, account="seller", quantity="200000"),
    ]


def written(folder: Path, lines: list[str], header: str = WIDE) -> Path:
    path = folder / "orders.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def events_of(
    folder: Path, lines: list[str], rules: str = "cn-cea", header: str = WIDE, engine: str = "fast"
) -> list[Row]:
    """The event file as rows of text, setup included."""
    out = folder / f"events-{engine}.csv"
    match_file(rules, written(folder, lines, header), out, engine)
    with out.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def short(rows: list[Row], *names: str) -> list[str]:
    """The named columns of the rows after the setup, as sentences."""
    setup = ("day_opened", "day_closed", "phase_changed", "account_opened", "deposited", "issued")
    return [" ".join(row[name] for name in names if row[name]) for row in rows if row["event"] not in setup]


def complaint(folder: Path, lines: list[str], header: str = WIDE, rules: str = "cn-cea") -> str:
    """What is said about a file that cannot be read; nothing is written then."""
    out = folder / "never.csv"
    with pytest.raises(OrderFileError) as caught:
        match_file(rules, written(folder, lines, header), out)
    assert not out.exists()
    message = str(caught.value)
    assert "\n" not in message
    return message


# Lines that cannot be read.

BAD_CELLS: dict[str, tuple[str, str, str, str]] = {
    "an unknown action": (line("buy", account="a"), "action", "'buy'", "one of new, cancel, replace"),
    "no action": (line("", account="a"), "action", "''", "one of new, cancel, replace"),
    "no time": (
        line("new", account="a").replace(str(OPENING_NS), "", 1),
        "time_ns",
        "''",
        "whole nanoseconds since the epoch",
    ),
    "a time with a point": (
        line("new").replace(str(OPENING_NS), "1.5", 1),
        "time_ns",
        "'1.5'",
        "whole nanoseconds",
    ),
    "a time beyond 64 bits": (
        line("new").replace(str(OPENING_NS), str(2**63), 1),
        "time_ns",
        f"'{2**63}'",
        "whole nanoseconds",
    ),
    "an unknown side": (
        line("new", account="a", side="long", price="48.00", quantity="1"),
        "side",
        "'long'",
        "one of buy, sell",
    ),
    "no side": (line("new", account="a", price="48.00", quantity="1"), "side", "''", "buy or sell"),
    "an unknown type": (
        line("new", account="a", side="buy", type="stop"),
        "type",
        "'stop'",
        "one of limit, market",
    ),
    "an unknown validity": (
        line("new", account="a", side="buy", tif="gtx"),
        "tif",
        "'gtx'",
        "one of day, gtc, ioc, fok, gtd",
    ),
    "an unknown phase": (line("phase", phase="lunch"), "phase", "'lunch'", "one of closed, morning"),
    "an unknown mode": (
        line("new", account="a", side="buy", mode="barter"),
        "mode",
        "'barter'",
        "one of no_screen, continuous, listed, block",
    ),
    "a price with three decimals": (
        line("new", account="a", side="buy", price="48.005", quantity="1"),
        "price",
        "'48.005'",
        "whole fen (two decimals of CNY)",
    ),
    "a price in words": (
        line("new", account="a", side="buy", price="cheap", quantity="1"),
        "price",
        "'cheap'",
        "a decimal number of CNY",
    ),
    "a negative price": (
        line("new", account="a", side="buy", price="-48.00", quantity="1"),
        "price",
        "'-48.00'",
        "a price from 0.00",
    ),
    "a price beyond 32 bits": (
        line("new", account="a", side="buy", price="21474836.48", quantity="1"),
        "price",
        "'21474836.48'",
        "to 21474836.47",
    ),
    "half a tonne": (
        line("new", account="a", side="buy", price="48.00", quantity="0.5"),
        "quantity",
        "'0.5'",
        "a whole number of tonnes",
    ),
    "a negative quantity": (
        line("new", account="a", side="buy", price="48.00", quantity="-1"),
        "quantity",
        "'-1'",
        "from 0",
    ),
    "a quantity beyond 64 bits": (
        line("new", account="a", side="buy", price="48.00", quantity="9" * 30),
        "quantity",
        "'999",
        "a whole number of tonnes",
    ),
    "an amount with three decimals": (
        line("deposit", account="a", amount="1.005"),
        "amount",
        "'1.005'",
        "whole fen",
    ),
    "a negative amount": (
        line("deposit", account="a", amount="-5"),
        "amount",
        "'-5'",
        "an amount of CNY from 0.00",
    ),
    "a time limit in words": (
        line("propose", account="a", contra="b", side="buy", until_ns="soon"),
        "until_ns",
        "'soon'",
        "whole nanoseconds",
    ),
    "a group in words": (line("open", account="a", group="steel"), "group", "'steel'", "a whole number"),
}


@pytest.mark.parametrize("fault", BAD_CELLS)
def test_a_bad_cell_is_named_with_file_line_column_value_and_expectation(fault: str, tmp_path: Path) -> None:
    bad, column, value, expected = BAD_CELLS[fault]
    message = complaint(tmp_path, [*funded(), bad])
    assert message.startswith(f"{tmp_path / 'orders.csv'}: line 4, column {column}: got {value}")
    assert expected in message.partition(", expected ")[2]


@pytest.mark.parametrize(("bad", "cells"), [("1,new,a,A,buy,48.00", 6), ("1,new,a,A,buy,48.00,1,2", 8)])
def test_a_line_with_the_wrong_number_of_cells_is_named(bad: str, cells: int, tmp_path: Path) -> None:
    message = complaint(tmp_path, ["1,new,a,A,buy,48.00,1", bad], HEADER)
    assert message == f"{tmp_path / 'orders.csv'}: line 3: got {cells} cells, expected 7 as in the header"


@pytest.mark.parametrize("bad", ['1,new,"a"b,A,buy,48.00,1', '1,new,"a,A,buy,48.00,1'])
def test_a_broken_csv_line_is_named_by_its_number(bad: str, tmp_path: Path) -> None:
    message = complaint(tmp_path, ["1,new,a,A,buy,48.00,1", bad], HEADER)
    assert message.startswith(f"{tmp_path / 'orders.csv'}: line 3: cannot be read as CSV: ")


def test_a_column_that_comes_twice_is_refused(tmp_path: Path) -> None:
    assert "each column once" in complaint(tmp_path, ["1,new,48.00,49.00"], "time_ns,action,price,price")


def test_a_command_without_its_accounts_name_is_refused(tmp_path: Path) -> None:
    message = complaint(tmp_path, [line("new", side="sell", price="48.00", quantity="10")])
    assert message.endswith("column account: got '', expected the name of an account")


def test_a_superscript_in_a_time_is_an_error_of_one_line(tmp_path: Path) -> None:
    assert "column time_ns" in complaint(tmp_path, ["1²,new,a,A,buy,48.00,1"], HEADER)


def test_a_market_is_added_by_a_file_alone(tmp_path: Path) -> None:
    text = find_rulebook("hubei").path.read_text(encoding="utf-8")
    changes = {
        "band_up_bp = { value = 1000": "band_up_bp = { value = 500",
        "lot_t = { value = 1,": "lot_t = { value = 10,",
        '["09:30", "morning"]': '["08:00", "morning"]',
        '"HBEA"': '"SO2"',
    }
    for old, new in changes.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    market = tmp_path / "sulphur.toml"
    market.write_text(text, encoding="utf-8")
    eight = OPENING_NS - 90 * 60 * 10**9
    lines = [
        line("deposit", eight, account="a", amount="1000"),
        line("issue", eight, account="b", quantity="100", instrument="SO2"),
        line("new", eight, id="s1", account="b", side="sell", price="21.00", quantity="20"),
        line("new", eight, id="b1", account="a", side="buy", price="21.00", quantity="15"),
        line("new", eight, id="b2", account="a", side="buy", price="21.01", quantity="10"),
        line("new", eight, id="b3", account="a", side="buy", price="21.00", quantity="20"),
    ]
    shown = short(events_of(tmp_path, lines, rules=str(market)), "event", "id", "reason")
    assert shown[-5:] == [
        "accepted s1",
        "rejected b1 BAD_LOT",
        "rejected b2 PRICE_ABOVE_LIMIT",
        "accepted b3",
        "trade b3",
    ]


def test_an_account_is_opened_for_its_kind_of_participant(tmp_path: Path) -> None:
    lines = ["1,open,i,institution,,,", "2,new,i,,buy,48.00,1", "3,open,f,covered,,,"]
    header = "time_ns,action,account,participant,side,price,quantity"
    path = tmp_path / "orders.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    rows, _ = read_commands(path, find_rulebook("cn-cea"))
    opened = rows[rows["kind"] == CommandKind.OPEN_ACCOUNT]
    assert opened["flags"].tolist() == [Participant.INSTITUTION, Participant.COVERED]
    assert "one of covered, institution, individual" in complaint(tmp_path, ["1,open,i,firm,,,"], header)


def test_a_group_beyond_32_bits_is_an_error_of_one_line(tmp_path: Path) -> None:
    assert "column group" in complaint(tmp_path, [line("open", account="a", group="99999999999")])


def test_an_unknown_column_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    message = complaint(tmp_path, ["1,new,48.00"], "time_ns,action,cost")
    assert message.startswith(f"{tmp_path / 'orders.csv'}: header: got column 'cost', expected some of time_ns, action")
    assert all(column in message for column in COLUMNS)


@pytest.mark.parametrize("missing", ["time_ns", "action"])
def test_the_two_columns_that_every_file_needs_are_named(missing: str, tmp_path: Path) -> None:
    header = ",".join(name for name in HEADER.split(",") if name != missing)
    assert complaint(tmp_path, [], header).endswith(f"header: column '{missing}' is missing")


def test_an_empty_file_misses_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("")
    with pytest.raises(OrderFileError, match=r"orders\.csv: header: column 'time_ns' is missing"):
        match_file("cn-cea", path)


@pytest.mark.parametrize("name", ["absent.csv", "absent.parquet"])
def test_a_file_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(OrderFileError, match=rf"{name}: cannot be read as"):
        match_file("cn-cea", tmp_path / name)


def test_what_is_no_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "orders.parquet"
    path.write_bytes(b"time_ns,action\n")
    with pytest.raises(OrderFileError, match=r"orders\.parquet: cannot be read as Parquet"):
        match_file("cn-cea", path)


def test_time_cannot_go_backwards(tmp_path: Path) -> None:
    lines = [line("deposit", 20, account="a", amount="1"), line("deposit", 19, account="a", amount="1")]
    message = complaint(tmp_path, lines, rules="generic")
    assert message.endswith("line 3, column time_ns: got 19, expected a time not before the line above (20)")


def test_equal_times_are_in_the_order_of_the_lines(tmp_path: Path) -> None:
    rows = events_of(tmp_path, [line("deposit", 20, account=name, amount="1") for name in "bca"], "generic")
    assert [row["account"] for row in rows if row["event"] == "deposited"] == ["b", "c", "a"]


def test_an_id_is_used_once(tmp_path: Path) -> None:
    order = line("new", 1, id="x", account="a", side="buy", price="1.00", quantity="1")
    message = complaint(tmp_path, [order, line("deposit", 1, account="a", amount="1"), order], rules="generic")
    assert message.endswith("line 4, column id: got 'x', expected an id not used before (line 2 entered it)")


def test_nothing_is_applied_when_the_last_line_cannot_be_read(tmp_path: Path) -> None:
    complaint(tmp_path, [*funded(), line("new", account="buyer", side="buy", price="x", quantity="1")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["orders.csv"]


# Lines that the market refuses.


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (
            {"action": "new", "account": "buyer", "side": "buy", "price": "52.81", "quantity": "1"},
            "PRICE_ABOVE_LIMIT",
        ),
        (
            {"action": "new", "account": "buyer", "side": "buy", "price": "43.19", "quantity": "1"},
            "PRICE_BELOW_LIMIT",
        ),
        (
            {"action": "new", "account": "seller", "side": "sell", "price": "48.00", "quantity": "100000"},
            "QTY_TOO_LARGE",
        ),
        (
            {
                "action": "propose",
                "account": "seller",
                "side": "sell",
                "price": "48.00",
                "quantity": "99999",
                "contra": "buyer",
            },
            "BLOCK_TOO_SMALL",
        ),
        (
            {
                "action": "propose",
                "account": "seller",
                "side": "sell",
                "price": "62.41",
                "quantity": "100000",
                "contra": "buyer",
            },
            "BLOCK_PRICE_LIMIT",
        ),
        (
            {"action": "new", "account": "poor", "side": "buy", "price": "48.00", "quantity": "1"},
            "INSUFFICIENT_CASH",
        ),
        (
            {"action": "new", "account": "poor", "side": "sell", "price": "48.00", "quantity": "1"},
            "INSUFFICIENT_ALLOWANCE",
        ),
        ({"action": "new", "account": "buyer", "side": "buy", "price": "48.00"}, "MISSING_FIELD"),
        ({"action": "new", "account": "buyer", "side": "buy", "quantity": "1"}, "MISSING_FIELD"),
        (
            {"action": "new", "account": "buyer", "side": "buy", "type": "market", "quantity": "1"},
            "NOT_OFFERED",
        ),
        (
            {
                "action": "new",
                "account": "seller",
                "side": "sell",
                "price": "30.00",
                "quantity": "1",
                "instrument": "CCER",
            },
            "NOT_TRADABLE_TODAY",
        ),
        (
            {
                "action": "new",
                "account": "seller",
                "side": "sell",
                "price": "30.00",
                "quantity": "1",
                "instrument": "SO2",
            },
            "UNKNOWN_SYMBOL",
        ),
        ({"action": "cancel", "account": "buyer", "target_id": "ghost"}, "UNKNOWN_ORDER"),
        ({"action": "confirm", "account": "buyer", "target_id": "ghost"}, "UNKNOWN_PROPOSAL"),
        ({"action": "cancel", "account": "buyer"}, "UNKNOWN_ORDER"),
        ({"action": "cancel", "account": "buyer", "id": ""}, "MISSING_FIELD"),
        ({"action": "deposit", "account": "buyer"}, "MISSING_FIELD"),
        ({"action": "open", "account": "buyer"}, "ACCOUNT_EXISTS"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_readable_line_that_the_market_refuses_is_an_event_with_its_reason(
    order: Row, reason: str, tmp_path: Path
) -> None:
    lines = [line("open", AFTERNOON_NS, account="buyer"), *funded(AFTERNOON_NS)]
    lines.append(line(time_ns=AFTERNOON_NS, **({"id": "x1"} | order)))
    last = events_of(tmp_path, lines)[-1]
    assert (last["event"], last["reason"], last["account"]) == ("rejected", reason, order["account"])
    assert (last["price"], last["quantity"]) == (order.get("price", ""), order.get("quantity", ""))


def test_a_price_between_two_ticks_is_refused_by_the_market_where_the_tick_is_coarser_than_a_fen(
    tmp_path: Path,
) -> None:
    rules = str(Path(__file__).parents[1] / "oracle" / "rulebooks" / "listed-cancel.toml")
    rows = events_of(tmp_path, [line("new", 1, id="x", account="a", side="buy", price="0.11", quantity="2")], rules)
    assert short(rows, "event", "id", "reason") == ["rejected x BAD_TICK"]


def test_units_bought_today_cannot_be_sold_today(tmp_path: Path) -> None:
    lines = [
        *funded(),
        line("new", id="s1", account="seller", side="sell", price="48.00", quantity="10"),
        line("click", id="c1", account="buyer", side="buy", quantity="10", target_id="s1"),
        line("new", id="s2", account="buyer", side="sell", price="48.00", quantity="10"),
        line(
            "new",
            OPENING_NS + 72 * HOUR_NS,
            id="s3",
            account="buyer",
            side="sell",
            price="48.00",
            quantity="10",
        ),
    ]
    rows = events_of(tmp_path, lines)
    assert short(rows, "event", "id", "reason") == [
        "accepted s1",
        "accepted c1",
        "trade c1",
        "rejected s2 T_PLUS_1",
        "accepted s3",
    ]


# What an action means.


def test_one_trade_row_for_each_fill_names_taker_and_maker(tmp_path: Path) -> None:
    lines = [
        *funded(),
        line("new", id="s1", account="seller", side="sell", price="48.00", quantity="3"),
        line("new", id="s2", account="seller", side="sell", price="48.10", quantity="5"),
        line("click", id="c1", account="buyer", side="buy", price="48.10", quantity="9"),
    ]
    rows = events_of(tmp_path, lines)
    assert short(rows, "event", "id", "contra_id", "account", "side", "price", "quantity", "leaves") == [
        "accepted s1 seller sell 48.00 3 3",
        "accepted s2 seller sell 48.10 5 5",
        "accepted c1 buyer buy 48.10 9 9",
        "trade c1 s1 buyer buy 48.00 3 6",
        "trade c1 s2 buyer buy 48.10 5 1",
        "canceled c1 buyer buy 48.10 9 1",
    ]


def test_the_columns_are_exactly_those_of_the_contract(tmp_path: Path) -> None:
    contract = [
        "seq",
        "time_ns",
        "event",
        "id",
        "account",
        "side",
        "price",
        "quantity",
        "leaves",
        "contra_id",
        "reason",
    ]
    rows = events_of(tmp_path, funded())
    assert list(rows[0]) == contract == list(EVENT_COLUMNS)
    assert [int(row["seq"]) for row in rows] == list(range(1, len(rows) + 1))


def test_a_replace_carries_the_new_total_and_an_empty_cell_means_unchanged(tmp_path: Path) -> None:
    lines = [
        *funded(),
        line("new", id="s1", account="seller", side="sell", price="48.00", quantity="10"),
        line("click", id="c1", account="buyer", side="buy", quantity="4", target_id="s1"),
        line("replace", id="s1", account="seller", quantity="7"),
        line("replace", id="s1", account="seller", price="48.20"),
        line("replace", id="s1", account="seller", price="48.30", quantity="12"),
        line("replace", id="s1", account="seller"),
        line("replace", id="s1", account="seller", quantity="4"),
        line("cancel", id="s1", account="seller"),
    ]
    rows = events_of(tmp_path, lines)
    assert short(rows, "event", "id", "price", "quantity", "leaves", "reason")[3:] == [
        "replaced s1 48.00 7 3",
        "replaced s1 48.20 7 3",
        "replaced s1 48.30 12 8",
        "replaced s1 48.30 12 8",
        "rejected s1 4 REPLACE_BELOW_FILLED",
        "canceled s1 48.30 12 8",
    ]


def test_less_at_the_same_price_keeps_the_place_and_more_does_not(tmp_path: Path) -> None:
    def order(number: int, account: str, **cells: str) -> str:
        return line("new", number, account=account, **cells)

    lines = [order(1, "a", id=name, side="buy", price="9.00", quantity="5") for name in ("b1", "b2", "b3")]
    lines += [
        line("replace", 2, id="b1", account="a", quantity="2"),
        line("replace", 2, id="b2", account="a", quantity="6"),
    ]
    lines.append(order(3, "b", id="s1", side="sell", price="9.00", quantity="13"))
    rows = events_of(tmp_path, lines, "generic")
    assert [row["contra_id"] for row in rows if row["event"] == "trade"] == ["b1", "b3", "b2"]


def test_a_cancel_names_its_order_by_id_or_by_target_id(tmp_path: Path) -> None:
    lines = [line("new", 1, id=name, account="a", side="buy", price="9.00", quantity="5") for name in ("b1", "b2")]
    lines += [
        line("cancel", 2, id="b1", account="a"),
        line("cancel", 2, id="k9", target_id="b2", account="a"),
    ]
    lines += [line("cancel", 3, id="b1", account="a"), line("cancel", 3, target_id="b9", account="a")]
    rows = events_of(tmp_path, lines, "generic")
    assert short(rows, "event", "id", "reason")[2:] == [
        "canceled b1", "canceled b2", "rejected b1 ALREADY_CANCELLED", "rejected b9 UNKNOWN_ORDER",
    ]  # fmt: skip


def test_a_replace_under_a_new_id_leaves_both_ids_usable(tmp_path: Path) -> None:
    lines = [line("new", 1, id="b1", account="a", side="buy", price="9.00", quantity="5")]
    lines += [line("replace", 2, id="b1v2", target_id="b1", account="a", quantity="4")]
    lines += [line("replace", 3, id="b1v3", target_id="b1v2", account="a", quantity="3")]
    lines += [line("cancel", 4, target_id="b1v3", account="a")]
    rows = events_of(tmp_path, lines, "generic")
    assert short(rows, "event", "id", "quantity", "reason") == [
        "accepted b1 5",
        "replaced b1 4",
        "replaced b1 3",
        "canceled b1 3",
    ]


def test_a_block_is_proposed_confirmed_declined_and_withdrawn(tmp_path: Path) -> None:
    block = {"account": "seller", "contra": "buyer", "side": "sell", "price": "48.00", "quantity": "100000"}
    lines = funded(AFTERNOON_NS)
    lines += [line("propose", AFTERNOON_NS, id=name, **block) for name in ("p1", "p2", "p3", "p4")]
    lines += [
        line("confirm", AFTERNOON_NS, id="t1", target_id="p1", account="buyer"),
        line("decline", AFTERNOON_NS, target_id="p2", account="buyer"),
        line("decline", AFTERNOON_NS, id="p3", account="seller"),
        line("confirm", AFTERNOON_NS, target_id="p4", account="stranger"),
    ]
    rows = events_of(tmp_path, lines)
    assert short(rows, "event", "id", "contra_id", "account", "side", "quantity", "reason")[4:] == [
        "trade t1 p1 buyer buy 100000",
        "declined p2 seller sell 100000",
        "canceled p3 seller sell 100000",
        "rejected p4 stranger NOT_COUNTERPARTY",
    ]


def test_a_proposal_in_a_file_may_have_a_time_limit(tmp_path: Path) -> None:
    block = {"account": "seller", "contra": "buyer", "side": "sell", "price": "48.00", "quantity": "100000"}
    until = str(AFTERNOON_NS + 60)
    lines = [*funded(AFTERNOON_NS), line("propose", AFTERNOON_NS, id="p1", until_ns=until, **block)]
    lines += [line("confirm", AFTERNOON_NS + 60, target_id="p1", account="buyer")]
    assert events_of(tmp_path, lines)[-1]["reason"] == "PROPOSAL_EXPIRED"


def test_money_and_registry_actions_reach_the_engine(tmp_path: Path) -> None:
    lines = [
        *funded(),
        line("withdraw", account="buyer", amount="1.50"),
        line("fine", account="buyer", amount="2"),
        line("surrender", account="seller", quantity="7"),
        line("deduct", account="seller", quantity="8"),
        line("withdraw", account="government", amount="2.00"),
    ]
    rows = events_of(tmp_path, lines)
    assert short(rows, "event", "account", "quantity") == [
        "withdrawn buyer", "fined buyer", "surrendered seller 7", "deducted seller 8", "withdrawn government",
    ]  # fmt: skip


def test_an_account_is_opened_when_its_name_first_appears(tmp_path: Path) -> None:
    rows = events_of(tmp_path, funded())
    assert [row["account"] for row in rows if row["event"] == "account_opened"] == ["buyer", "seller"]


def test_a_file_that_opens_an_account_itself_must_do_so_first(tmp_path: Path) -> None:
    lines = [
        line("deposit", 1, account="a", amount="1"),
        line("open", 2, account="a"),
        line("deposit", 3, account="a", amount="1"),
    ]
    rows = events_of(tmp_path, lines, "generic")
    assert [(row["event"], row["reason"]) for row in rows] == [
        ("rejected", "UNKNOWN_ACCOUNT"),
        ("account_opened", ""),
        ("deposited", ""),
    ]


def test_a_counterparty_that_the_file_opens_is_not_opened_by_the_door(tmp_path: Path) -> None:
    block = {"account": "a", "contra": "b", "side": "sell", "price": "48.00", "quantity": "100000"}
    lines = [line("propose", AFTERNOON_NS, id="p1", **block), line("open", AFTERNOON_NS, account="b")]
    assert short(events_of(tmp_path, lines), "event", "reason") == ["rejected UNKNOWN_ACCOUNT"]


# The timetable.


def commands_of(folder: Path, lines: list[str], rules: str = "cn-cea") -> np.ndarray:
    commands, _ = read_commands(written(folder, lines), find_rulebook(rules))
    return commands


def test_phases_and_day_rolls_of_the_timetable_are_inserted(tmp_path: Path) -> None:
    lines = [line("deposit", OPENING_NS + hours * HOUR_NS, account="a", amount="1") for hours in (-1, 0, 3, 5, 72)]
    rows = commands_of(tmp_path, lines)
    shown = []
    for row in rows[rows["kind"] != CommandKind.OPEN_ACCOUNT]:
        kind = CommandKind(row["kind"])
        what = Phase(row["phase"]).name if kind == CommandKind.PHASE else kind.name
        shown.append((what, int(row["time_ns"] - OPENING_NS) / HOUR_NS))
    assert shown == [
        ("DAY_ROLL", -9.5), ("DEPOSIT", -1), ("MORNING", 0), ("DEPOSIT", 0), ("BREAK", 2), ("DEPOSIT", 3),
        ("AFTERNOON", 3.5), ("DEPOSIT", 5), ("DAY_ROLL", 62.5), ("MORNING", 72), ("DEPOSIT", 72),
    ]  # fmt: skip
    assert rows[rows["kind"] == CommandKind.DAY_ROLL]["date"].tolist() == [20210716, 20210719]


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [(-1, "MARKET_CLOSED"), (0, ""), (7199, ""), (7200, "WRONG_PHASE"), (12_599, "WRONG_PHASE"), (12_600, ""),
     (19_799, ""), (19_800, "MARKET_CLOSED"), (86_400, "MARKET_CLOSED")],
)  # fmt: skip
def test_an_order_meets_the_phase_of_its_moment(seconds: int, reason: str, tmp_path: Path) -> None:
    before = OPENING_NS - 2 * HOUR_NS
    order = line("new", OPENING_NS + seconds * 10**9, id="x", account="buyer", side="buy", price="48.00", quantity="1")
    last = events_of(tmp_path, [*funded(before), order])[-1]
    assert (last["id"], last["reason"]) == ("x", reason)


def test_a_file_with_its_own_phases_gets_none_inserted(tmp_path: Path) -> None:
    lines = [
        line("day_roll", 5), line("phase", 6, phase="afternoon"),
        line("deposit", 7, account="a", amount="48"),
        line("new", OPENING_NS - HOUR_NS, id="x", account="a", side="buy", price="48.00", quantity="1"),
    ]  # fmt: skip
    rows = events_of(tmp_path, lines)
    assert [row["event"] for row in rows] == [
        "day_opened",
        "day_opened",
        "phase_changed",
        "account_opened",
        "deposited",
        "accepted",
    ]
    rolls = commands_of(tmp_path, lines)
    assert rolls["date"][0] == 19700101


def test_a_venue_that_never_closes_gets_no_phases(tmp_path: Path) -> None:
    rows = commands_of(tmp_path, [line("deposit", OPENING_NS, account="a", amount="1")], "generic")
    assert rows["kind"].tolist() == [CommandKind.OPEN_ACCOUNT, CommandKind.DEPOSIT]


# Formats and engines.


def afternoon() -> list[str]:
    """A little of everything."""
    block = {"account": "seller", "contra": "buyer", "side": "sell", "price": "48.50", "quantity": "100000"}
    return [
        *funded(AFTERNOON_NS),
        line("new", AFTERNOON_NS + 1, id="s1", account="seller", side="sell", price="48.10", quantity="30"),
        line("new", AFTERNOON_NS + 2, id="b1", account="buyer", side="buy", price="48.20", quantity="20"),
        line("click", AFTERNOON_NS + 3, id="c1", account="buyer", side="buy", quantity="40", target_id="s1"),
        line("replace", AFTERNOON_NS + 4, id="b1", account="buyer", price="48.30"),
        line("propose", AFTERNOON_NS + 5, id="p1", **block),
        line("confirm", AFTERNOON_NS + 6, target_id="p1", account="buyer"),
        line("new", AFTERNOON_NS + 7, id="s2", account="buyer", side="sell", price="48.00", quantity="1"),
        line("deposit", AFTERNOON_NS + 72 * HOUR_NS, account="seller", amount="0.01"),
    ]


def as_text(table: pa.Table) -> list[dict[str, str]]:
    return [{name: "" if value is None else str(value) for name, value in row.items()} for row in table.to_pylist()]


def test_both_engines_give_the_same_file_and_the_same_result(tmp_path: Path) -> None:
    orders = written(tmp_path, afternoon())
    results = []
    for engine in ENGINES:
        result = match_file("cn-cea", orders, tmp_path / f"{engine}.csv", engine)
        results.append({key: value for key, value in result.items() if key != "engine"})
    assert results[0] == results[1]
    files = [(tmp_path / f"{engine}.csv").read_bytes() for engine in ENGINES]
    assert files[0] == files[1]
    assert files[0].count(b"trade") == results[0]["trades"] == 2


def typed(lines: list[str]) -> pa.Table:
    """The lines as a Parquet user would have them: numbers as numbers, absent cells as nulls."""
    rows = list(csv.DictReader([WIDE, *lines]))
    kinds: dict[str, type] = {"time_ns": int, "quantity": int, "price": float}
    columns = {
        name: [kinds.get(name, str)(row[name]) if row[name] else None for row in rows] for name in WIDE.split(",")
    }
    return pa.table(
        {name: pa.array(values, pa.string() if name not in kinds else None) for name, values in columns.items()}
    )


def test_parquet_in_and_out_equals_csv(tmp_path: Path) -> None:
    orders = tmp_path / "orders.parquet"
    pa.parquet.write_table(typed(afternoon()), orders)
    from_csv = match_file("cn-cea", written(tmp_path, afternoon()), tmp_path / "a.csv")
    from_parquet = match_file("cn-cea", orders, tmp_path / "b.parquet")
    assert from_csv == from_parquet
    match_file("cn-cea", orders, tmp_path / "c.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "c.csv").read_bytes()
    table = pa.parquet.read_table(tmp_path / "b.parquet")
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        assert as_text(table) == list(csv.DictReader(file))
    assert table.column_names == list(EVENT_COLUMNS)


def test_a_bad_cell_of_a_parquet_file_is_named_by_its_row(tmp_path: Path) -> None:
    orders = tmp_path / "orders.parquet"
    table = typed([*funded(), line("new", id="x", account="buyer", side="buy", price="48.005", quantity="1")])
    pa.parquet.write_table(table, orders)
    with pytest.raises(
        OrderFileError, match=r"orders\.parquet: line 3, column price: got '48\.005', expected whole fen"
    ):
        match_file("cn-cea", orders)


def test_the_result_counts_what_the_file_holds(tmp_path: Path) -> None:
    result = match_file("cn-cea", written(tmp_path, afternoon()))
    assert result["events"]["trade"] == result["trades"] == 2
    assert result["quantity_t"] == 100_030
    assert result["value"] == "4851443.00"
    assert result["rejects"] == {"T_PLUS_1": 1}
    assert (result["rules"], result["engine"]) == ("cn-cea", "fast")


def test_the_digest_is_that_of_the_engine_s_own_events(tmp_path: Path) -> None:
    from engine.digest import EventDigest
    from engine.venue import open_venue

    orders = written(tmp_path, afternoon())
    book, venue = open_venue("cn-cea")
    digest = EventDigest()
    digest.update(venue.submit(read_commands(orders, book)[0]))
    assert match_file("cn-cea", orders)["digest"] == digest.hexdigest()


def test_a_byte_order_mark_spaces_and_empty_lines_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(f"\ufeff{HEADER}\n\n 1 , NEW , x , A , Buy , 9.00 , 5 \n\n", encoding="utf-8")
    match_file("generic", path, tmp_path / "events.csv")
    rows = pa.csv.read_csv(tmp_path / "events.csv").to_pylist()
    assert [(row["event"], row["id"], row["account"], row["side"]) for row in rows] == [
        ("account_opened", "", "A", ""), ("accepted", "x", "A", "buy"),
    ]  # fmt: skip


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OrderFileError, match=r"nowhere/events\.csv: cannot be written"):
        match_file("generic", written(tmp_path, funded(1)), tmp_path / "nowhere" / "events.csv")


OPENED = 1_420_423_200_000_000_000
"""2015-01-05 10:00 +08:00, a morning in Beijing."""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_may_hold_an_auction_an_offer_and_what_cancels_everything(engine: str, tmp_path: Path) -> None:
    lines = [
        f"{OPENED},deposit,,ann,,,,,1000000.00,,",
        f"{OPENED},deposit,,ben,,,,,1000000.00,,",
        f"{OPENED},issue,,cem,,,3000,,,,",
        f"{OPENED},announce,lot,cem,sell,50.00,1000,,,60.00,",
        f"{OPENED},bid,b1,ann,,51.00,1000,lot,,,",
        f"{OPENED},bid,b2,ben,,60.10,1000,lot,,,",
        f"{OPENED},end_stage,,,,,,lot,,,",
        f"{OPENED},bid,b3,ben,,52.00,1000,lot,,,",
        f"{OPENED},end_stage,,,,,,lot,,,",
        f"{OPENED},offer,o1,cem,sell,50.00,20,,,,",
        f"{OPENED},take,t1,ann,,,5,o1,,,",
        f"{OPENED},mass_cancel,,cem,,,,,,,",
        f"{OPENED},kill_switch,,cem,,,,,,,on",
        f"{OPENED},offer,o2,cem,sell,50.00,20,,,,",
    ]
    header = "time_ns,action,id,account,side,price,quantity,target_id,amount,bound,switch"
    rows = events_of(tmp_path, lines, "beijing", header, engine)
    assert short(rows, "event", "id", "price", "quantity", "leaves", "contra_id", "reason") == [
        "announced lot 50.00 1000 1000",
        "accepted b1 51.00 1000 1000 lot",
        "rejected b2 60.10 1000 BID_BELOW_RESERVE",
        "stage_ended lot 50.00 1000 1000",
        "accepted b3 52.00 1000 1000 lot",
        "trade b3 52.00 1000 0 lot",
        "canceled b1 51.00 1000 1000 lot",
        "settled lot 52.00 1000 0",
        "accepted o1 50.00 20 20",
        "accepted t1 50.00 5 5 o1",
        "trade t1 50.00 5 0 o1",
        "canceled o1 50.00 20 15",
        "mass_canceled 1",
        "kill_switch_set 0",
        "rejected o2 50.00 20 ACCOUNT_BLOCKED",
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_may_say_how_long_an_order_stands_and_on_what_condition(engine: str, tmp_path: Path) -> None:
    opened = 1_780_365_600_000_000_000
    lines = [
        f"{opened},deposit,,ann,,,,,,1000000.00,,",
        f"{opened},issue,,ben,,,3000,,,,,",
        f"{opened},new,s1,ben,sell,205.00,10,limit,gtc,,,",
        f"{opened},new,b1,ann,buy,205.00,5,limit,day,,,yes",
        f"{opened},new,b2,ann,buy,205.00,20,limit,day,,15,",
        f"{opened},new,b3,ann,buy,205.00,20,limit,gtd,,10,",
        f"{opened},new,b4,ann,buy,,4,market_to_limit,day,,,",
    ]
    header = "time_ns,action,id,account,side,price,quantity,type,tif,amount,min_quantity,post_only"
    rows = events_of(tmp_path, lines, "energy-rights", header, engine)
    assert short(rows, "event", "id", "price", "quantity", "reason") == [
        "accepted s1 205.00 10",
        "rejected b1 205.00 5 WOULD_CROSS",
        "rejected b2 205.00 20 MIN_QTY_NOT_FILLABLE",
        "rejected b3 205.00 20 MISSING_FIELD",
        "accepted b4 205.00 4",
        "trade b4 205.00 4",
    ]
