"""The compiled exchange as an object: it grows and refuses without a trace, and takes COMMAND rows only."""

from collections.abc import Iterator

import numba
import numpy as np
import pytest

from engine import exchange as exchange_module
from engine.codes import CommandKind, EventKind, OrdType, Phase, RejectReason, Side
from engine.core.apply_ledger import apply_ledger
from engine.core.apply_screen import apply_screen
from engine.digest import EventDigest, state_digest
from engine.exchange import Exchange
from engine.records import COMMAND, EVENT, command, empty_commands
from engine.reference import ReferenceExchange
from tests.oracle.campaign import LIVING_COLUMNS, NAMES, compiled
from tests.oracle.commands import View, opening_commands, random_commands

TINY = {"accounts": 2, "orders": 2, "ids": 2, "events": 1}


def workload(name: str, count: int) -> np.ndarray:
    """Random commands, the same every time."""
    rng = np.random.default_rng([7, sum(name.encode())])
    venue = ReferenceExchange(compiled(name))
    first = opening_commands(View.of(venue))
    venue.submit(first)
    return np.concatenate([first, random_commands(rng, count, len(first) + 1, View.of(venue))])


def order(side: int, price_fen: int, qty: int = 1, account: int = 2) -> np.ndarray:
    return command(
        CommandKind.NEW,
        account=account,
        instrument=0,
        side=side,
        ord_type=OrdType.LIMIT,
        price_fen=price_fen,
        qty=qty,
    )


def opened(name: str, *accounts: int) -> Exchange:
    exchange = Exchange(compiled(name))
    for account in accounts:
        exchange.submit(command(CommandKind.OPEN_ACCOUNT, account=account))
    return exchange


@pytest.mark.parametrize("name", NAMES)
def test_tiny_tables_grow_and_give_the_digests_of_large_ones(name: str) -> None:
    rows = workload(name, 100 if numba.config.DISABLE_JIT else 600)
    results = []
    for sizes in (TINY, {}, {"accounts": 64, "orders": 5000, "ids": 9000, "events": 20_000}):
        exchange = Exchange(compiled(name), **sizes)
        digest = EventDigest()
        digest.update(exchange.submit(rows))
        exchange.check()
        results.append((digest.hexdigest(), state_digest(exchange.canonical_state())))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("name", ["continuous-fees", "shanghai"])
@pytest.mark.parametrize("lent", [1, 7, 64])
def test_a_buffer_that_may_not_grow_is_put_away_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, name: str, lent: int
) -> None:
    rows = workload(name, 100 if numba.config.DISABLE_JIT else 600)
    expected = Exchange(compiled(name)).submit(rows)
    monkeypatch.setattr(exchange_module, "_LENT_ROWS", lent)
    exchange = Exchange(compiled(name), events=1)
    assert exchange.submit(rows).tobytes() == expected.tobytes()
    assert len(exchange._events) < len(expected)


def test_an_account_far_away_is_opened_without_touching_the_others() -> None:
    exchange = Exchange(compiled("cn-cea"), **TINY)
    exchange.submit(command(CommandKind.OPEN_ACCOUNT, account=2))
    exchange.submit(command(CommandKind.DEPOSIT, account=2, amount_fen=500))
    exchange.submit(command(CommandKind.OPEN_ACCOUNT, account=5000, group=7))
    rows = [row for row in exchange.canonical_state() if row[0] in (2, 5000) and len(row) == 20]
    assert rows == [(2, -1, 500, *[0] * 17), (5000, 7, *[0] * 18)]


def test_an_order_priced_far_away_extends_the_ladder_and_keeps_every_queue() -> None:
    exchange = opened("generic", 2, 3)
    reference = ReferenceExchange(compiled("generic"))
    rows = [command(CommandKind.OPEN_ACCOUNT, account=n) for n in (2, 3)]
    rows += [order(Side.BUY, 100_00, 5), order(Side.BUY, 100_00, 7), order(Side.SELL, 101_00, 3)]
    rows += [order(Side.SELL, 900_00, 2), order(Side.BUY, 1, 9), order(Side.SELL, 4_000_00, 1)]
    rows += [order(Side.SELL, 1, 13, account=3), order(Side.BUY, 4_000_00, 6, account=3)]
    expected = reference.submit(np.concatenate(rows))
    for row in rows[2:]:
        events = exchange.submit(row)
        assert (events["kind"] != EventKind.REJECTED).all()
        exchange.check()
    assert list(exchange.canonical_state()) == list(reference.canonical_state())
    assert int((expected["kind"] == EventKind.TRADE).sum()) == 6


def test_ladders_of_other_instruments_keep_their_queues_when_one_grows() -> None:
    exchange = opened("continuous-allow", 2)
    for instrument, price in ((0, 10), (1, 20), (0, 90_000), (1, 95_000), (0, 50_000)):
        row = order(Side.BUY, price)
        row["instrument"] = instrument
        row["ord_type"] = OrdType.LIMIT
        exchange.submit(command(CommandKind.PHASE, phase=Phase.AFTERNOON))
        assert exchange.submit(row)["kind"].tolist() == [EventKind.ACCEPTED]
    exchange.check()
    book = [(row[0], row[6]) for row in exchange.canonical_state() if len(row) == LIVING_COLUMNS]
    assert book == [(0, 90_000), (0, 50_000), (0, 10), (1, 95_000), (1, 20)]


def refused() -> Iterator[tuple[str, np.ndarray, RejectReason]]:
    """One command of each kind that a small book of account 2 refuses."""
    reasons = RejectReason
    yield "too dear", order(Side.BUY, 52_00, 99_999, account=3), reasons.INSUFFICIENT_CASH
    yield "above the limit", order(Side.BUY, 60_00), reasons.PRICE_ABOVE_LIMIT
    yield "no account", order(Side.BUY, 48_00, account=99), reasons.UNKNOWN_ACCOUNT
    yield "no order", command(CommandKind.CANCEL, account=2, target_id=999), reasons.UNKNOWN_ORDER
    yield "another's order", command(CommandKind.CANCEL, account=3, target_id=6), reasons.NOT_OWNER
    yield (
        "replace too large",
        command(CommandKind.REPLACE, account=2, target_id=6, qty=100_000),
        reasons.QTY_TOO_LARGE,
    )
    yield (
        "own listing",
        command(CommandKind.CLICK, account=2, target_id=7, instrument=0, side=Side.BUY, qty=1),
        reasons.SELF_TRADE,
    )
    yield (
        "small block",
        command(CommandKind.PROPOSE, account=2, contra=3, instrument=0, side=Side.BUY, qty=1, price_fen=48_00),
        reasons.BLOCK_TOO_SMALL,
    )
    yield "no proposal", command(CommandKind.CONFIRM, account=2, target_id=6), reasons.UNKNOWN_PROPOSAL
    yield "account exists", command(CommandKind.OPEN_ACCOUNT, account=2), reasons.ACCOUNT_EXISTS
    yield "nothing there", command(CommandKind.WITHDRAW, account=3, amount_fen=1), reasons.INSUFFICIENT_CASH
    yield (
        "no units",
        command(CommandKind.SURRENDER, account=3, instrument=0, qty=1),
        reasons.INSUFFICIENT_ALLOWANCE,
    )
    yield "no phase", command(CommandKind.PHASE, phase=77), reasons.UNKNOWN_TYPE
    yield "no date", command(CommandKind.DAY_ROLL), reasons.MISSING_FIELD
    yield "no rule", command(CommandKind.SET_RULE, instrument=0, amount_fen=5), reasons.MISSING_FIELD
    yield "no kind", command(99), reasons.UNKNOWN_TYPE


@pytest.mark.parametrize(("row", "reason"), [c[1:] for c in refused()], ids=[c[0] for c in refused()])
def test_a_refused_command_changes_nothing_but_the_two_counters(row: np.ndarray, reason: RejectReason) -> None:
    exchange = opened("cn-cea", 2, 3)
    exchange.submit(command(CommandKind.DEPOSIT, account=2, amount_fen=10**9))
    exchange.submit(command(CommandKind.ISSUE, account=2, instrument=0, qty=100))
    exchange.submit(command(CommandKind.PHASE, phase=Phase.AFTERNOON))
    exchange.submit(np.concatenate([order(Side.BUY, 47_00, 5), order(Side.SELL, 49_00, 5)]))
    counters, *before = exchange.canonical_state()
    events = exchange.submit(row)
    after_counters, *after = exchange.canonical_state()
    assert events["reason"].tolist() == [reason]
    assert after == before
    assert state_digest(after) == state_digest(before)
    assert after_counters == (counters[0] + 1, counters[1] + 1, *counters[2:])
    exchange.check()


@pytest.mark.parametrize("dtype", [np.int64, EVENT, np.dtype(COMMAND.descr[:-1])])
def test_rows_of_another_layout_are_a_type_error(dtype: np.dtype) -> None:
    exchange = Exchange(compiled("generic"))
    before = list(exchange.canonical_state())
    with pytest.raises(TypeError, match=r"rows of records\.COMMAND"):
        exchange.submit(np.zeros(1, dtype))
    assert list(exchange.canonical_state()) == before


def test_no_commands_give_no_events() -> None:
    events = Exchange(compiled("generic")).submit(empty_commands(0))
    assert events.dtype == EVENT
    assert len(events) == 0


def test_rows_that_are_not_contiguous_are_taken_as_they_read() -> None:
    rows = workload("cn-cea", 400)
    strided = Exchange(compiled("cn-cea")).submit(rows[::2])
    plain = Exchange(compiled("cn-cea")).submit(rows[::2].copy())
    assert strided.tobytes() == plain.tobytes()


def test_rows_that_cannot_be_written_need_no_other_version_of_a_loop() -> None:
    exchange = opened("generic", 2)
    rows = order(Side.BUY, 100_00)
    expected = opened("generic", 2).submit(rows).tobytes()
    before = [len(getattr(loop, "signatures", ())) for loop in (apply_screen, apply_ledger)]
    rows.flags.writeable = False
    assert exchange.submit(rows).tobytes() == expected
    assert [len(getattr(loop, "signatures", ())) for loop in (apply_screen, apply_ledger)] == before


def test_events_are_a_copy_that_later_commands_do_not_touch() -> None:
    exchange = opened("generic", 2)
    first = exchange.submit(order(Side.BUY, 100_00))
    kept = first.tobytes()
    exchange.submit(order(Side.SELL, 100_00))
    assert first.tobytes() == kept


def test_the_two_layouts_have_their_contracted_sizes() -> None:
    assert (COMMAND.itemsize, EVENT.itemsize) == (96, 128)


def test_the_digest_does_not_depend_on_how_events_are_split() -> None:
    events = Exchange(compiled("cn-cea")).submit(workload("cn-cea", 200))
    whole, parts = EventDigest(), EventDigest()
    whole.update(events)
    for part in np.array_split(events, 7):
        parts.update(part)
    assert whole.hexdigest() == parts.hexdigest()
    assert len(whole.hexdigest()) == 32
