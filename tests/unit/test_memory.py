"""Where tables lie, and that rows of events which are lent can be told from rows that are given."""

import mmap

import numpy as np
import pytest

from engine.codes import CommandKind, EventKind, OrdType, Side
from engine.core.state import ORDER
from engine.exchange import Exchange
from engine.memory import copied, grown, joined, placed, put, zeros
from engine.records import command, empty_commands
from engine.rules.compiler import compile_rulebook
from engine.rules.schema import find_rulebook


@pytest.mark.parametrize("shape", [0, 1, 1000, 100_000, (3, 5), (50_000, 7)], ids=str)
def test_a_table_is_zero_and_begins_at_a_cache_line_a_large_one_at_a_huge_page(shape: int | tuple[int, ...]) -> None:
    table = zeros(shape, np.int64)
    expected = np.zeros(shape, np.int64)
    assert table.shape == expected.shape
    assert table.dtype == expected.dtype
    assert (table == 0).all()
    assert table.flags.carray
    huge = table.nbytes >= 1 << 21 and hasattr(mmap, "MADV_HUGEPAGE")
    assert not len(table) or table.ctypes.data % (1 << 21 if huge else 64) == 0


def test_an_order_is_one_cache_line() -> None:
    assert ORDER.itemsize == 64
    assert zeros(10, ORDER)[3:].ctypes.data % 64 == 0


def test_more_than_there_is_is_a_memory_error() -> None:
    with pytest.raises(MemoryError):
        zeros(2**58, np.int64)


def test_growing_keeps_the_rows_and_adds_zeros() -> None:
    table = zeros((3, 2), np.int32)
    table[:] = [[1, 2], [3, 4], [5, 6]]
    larger = grown(table, 4)
    assert larger.shape == (6, 2)
    assert (larger[:3] == table).all()
    assert not larger[3:].any()
    assert grown(table, 100).shape == (100, 2)


def test_a_placed_table_is_a_copy() -> None:
    table = np.arange(6).reshape(2, 3)
    copy = placed(table)
    table[0, 0] = 9
    assert copy.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_records_are_copied_joined_and_put_as_they_are() -> None:
    rows = np.concatenate([order(), order(3), order(2, 77)])
    copy = copied(rows)
    assert copy.dtype == rows.dtype
    assert copy.tobytes() == rows.tobytes()
    copy["qty"] = 9
    assert (rows["qty"] == 1).all()
    assert joined([rows[:1], rows[:0], rows[1:]]).tobytes() == rows.tobytes()
    table = zeros(4, rows.dtype)
    put(table, rows[1:])
    assert table[:2].tobytes() == rows[1:].tobytes()
    assert not table[2:].tobytes().strip(b"\x00")
    assert copied(np.arange(6).reshape(2, 3)).tolist() == [[0, 1, 2], [3, 4, 5]]


def opened() -> Exchange:
    exchange = Exchange(compile_rulebook(find_rulebook("generic")))
    for account in (2, 3):
        exchange.submit(command(CommandKind.OPEN_ACCOUNT, account=account))
    return exchange


def order(account: int = 2, price_fen: int = 1000) -> np.ndarray:
    return command(CommandKind.NEW, account=account, instrument=0, side=Side.BUY, ord_type=OrdType.LIMIT, qty=1,
                   price_fen=price_fen)  # fmt: skip


def test_rows_of_apply_are_lent_and_rows_of_submit_are_kept() -> None:
    exchange = opened()
    given, lent = exchange.submit(order()), exchange.apply(order())
    assert given["kind"].tolist() == lent["kind"].tolist() == [EventKind.ACCEPTED]
    seqs = given["seq"][0], lent["seq"][0]
    assert exchange.apply(order())["seq"][0] == lent["seq"][0] == seqs[1] + 1
    assert given["seq"][0] == seqs[0]


def test_commands_may_be_read_only_strided_or_unlike_commands() -> None:
    exchange = opened()
    rows = np.concatenate([order(), order(), order()])
    rows.setflags(write=False)
    assert len(exchange.submit(rows)) == 3
    assert len(exchange.submit(rows[::2])) == 2
    assert len(exchange.submit(empty_commands(0))) == 0
    with pytest.raises(TypeError, match=r"records\.COMMAND"):
        exchange.submit(np.zeros(3, np.int64))


def test_pages_of_living_entries_make_up_all_of_them_and_say_what_they_cost() -> None:
    exchange = opened()
    exchange.submit(np.concatenate([order(2 + at % 2) for at in range(200)] * 100))
    whole = exchange.living(3)
    assert len(whole) == 10_000
    pages, after, looked = [], 0, 0
    while True:
        page, cost = exchange.living_after(3, after, 999)
        looked += cost
        pages.append(page)
        if len(page) < 999:
            break
        after = int(page[-1, 0])
    assert (np.concatenate(pages) == whole).all()
    assert looked >= exchange.command_seq
    assert exchange.living_after(3, 2**62, 10)[0].shape == (0, whole.shape[1])
