"""The auditor can fail: faults planted in recorded events, one at a time, and what it says about each.

Two recorded sessions of the readable exchange are right as they stand. Of every fault the rest is made to fit (the
numbers of events, the value of a trade, its fees), so that the auditor must notice the thing itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from engine.codes import NONE, CommandKind, EventKind, OrdType, Phase, Side, TimeInForce, TradingMode
from engine.records import command
from engine.reference import ReferenceExchange
from tests.oracle.campaign import compiled
from tests.property.auditor import Auditor

BUY, SELL = Side.BUY, Side.SELL
DAY, GTC, IOC = TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC


def new(account: int, side: Side, price: int, qty: int, tif: TimeInForce = DAY) -> np.ndarray:
    return command(
        CommandKind.NEW, account=account, instrument=0, side=side, ord_type=OrdType.LIMIT, tif=tif, price_fen=price,
        qty=qty,
    )  # fmt: skip


def opening() -> list[np.ndarray]:
    """Ten commands: three firms with 4,000 fen and 40 t each, and a trading day."""
    rows = []
    for account in (2, 3, 4):
        rows.append(command(CommandKind.OPEN_ACCOUNT, account=account, flags=0))
        rows.append(command(CommandKind.DEPOSIT, account=account, amount_fen=4000))
        rows.append(command(CommandKind.ISSUE, account=account, instrument=0, qty=40))
    return [*rows, command(CommandKind.DAY_ROLL, date=20210102)]


def with_fees() -> list[np.ndarray]:
    """Orders, an own order in the way, an offer, a call auction, a one-way auction, a block, a day roll."""
    return [
        *opening(),
        command(CommandKind.PHASE, phase=Phase.AFTERNOON),
        new(2, SELL, 10, 5), new(3, SELL, 10, 4), new(3, SELL, 11, 2),
        new(4, BUY, 11, 7, IOC), new(4, BUY, 12, 9, IOC),
        new(2, BUY, 9, 3),
        command(CommandKind.REPLACE, account=2, target_id=17, qty=2),
        command(CommandKind.CANCEL, account=2, target_id=17),
        new(4, SELL, 10, 1), new(4, BUY, 10, 1),
        command(CommandKind.OFFER, account=2, instrument=0, side=SELL, price_fen=10, qty=4),
        command(CommandKind.TAKE, account=3, target_id=22, qty=3),
        command(CommandKind.KILL_SWITCH, account=4, flags=1),
        command(CommandKind.KILL_SWITCH, account=4, flags=0),
        command(CommandKind.PHASE, phase=Phase.CALL),
        new(3, BUY, 12, 3), new(2, BUY, 11, 2), new(4, SELL, 10, 4),
        command(CommandKind.PHASE, phase=Phase.AFTERNOON),
        command(CommandKind.ANNOUNCE, account=2, instrument=0, side=SELL, price_fen=10, qty=8),
        command(CommandKind.APPLY, account=3, target_id=31, qty=6),
        command(CommandKind.APPLY, account=4, target_id=31, qty=6),
        command(CommandKind.END_STAGE, target_id=31),
        command(CommandKind.BID, account=3, target_id=31, price_fen=12, qty=4),
        command(CommandKind.BID, account=4, target_id=31, price_fen=11, qty=6),
        command(CommandKind.END_STAGE, target_id=31),
        command(CommandKind.END_STAGE, target_id=31),
        command(CommandKind.PROPOSE, account=2, contra=3, instrument=0, side=SELL, price_fen=10, qty=3),
        command(CommandKind.CONFIRM, account=3, target_id=39),
        command(CommandKind.CANCEL, account=3, target_id=NONE),
        command(CommandKind.DAY_ROLL, date=20210103),
        command(CommandKind.SURRENDER, account=4, instrument=0, qty=5),
    ]  # fmt: skip


def with_deals() -> list[np.ndarray]:
    """Deals held until the close, an auction in proportion, an order that stays over the night."""
    return [
        *opening(),
        command(CommandKind.PHASE, phase=Phase.AFTERNOON),
        new(2, SELL, 10, 5), new(3, BUY, 10, 5), new(4, BUY, 9, 2, GTC), new(4, BUY, 8, 2),
        command(CommandKind.PROPOSE, account=2, contra=3, instrument=0, side=SELL, price_fen=12, qty=4),
        command(CommandKind.CONFIRM, account=3, target_id=16),
        command(CommandKind.PROPOSE, account=2, contra=4, instrument=0, side=SELL, price_fen=15, qty=5),
        command(CommandKind.CONFIRM, account=4, target_id=18),
        command(CommandKind.ANNOUNCE, account=2, instrument=0, side=SELL, price_fen=10, qty=8),
        command(CommandKind.BID, account=3, target_id=20, price_fen=11, qty=8),
        command(CommandKind.BID, account=4, target_id=20, price_fen=11, qty=8),
        command(CommandKind.END_STAGE, target_id=20),
        command(CommandKind.SET_RULE, instrument=0, rule=9, amount_fen=2000),
        command(CommandKind.DAY_ROLL, date=20210103),
    ]  # fmt: skip


SESSIONS = {"continuous-fees": with_fees, "continuous-cancel": with_deals}


class Record:
    """Commands and their answers, which may be spoilt, and the exchange that gave them."""

    def __init__(self, rulebook: str) -> None:
        self.rules = compiled(rulebook)
        self.exchange = ReferenceExchange(self.rules)
        self.commands = SESSIONS[rulebook]()
        self.answers = [self.exchange.submit(row) for row in self.commands]

    def find(self, kind: EventKind, count: int = 0) -> tuple[int, int]:
        """Number of the command and of its event that is the `count`-th (negative: from the end) of this kind."""
        found = [(n, m) for n, answer in enumerate(self.answers) for m in np.flatnonzero(answer["kind"] == kind)]
        return found[count]

    def change(self, kind: EventKind, count: int = 0, **fields: int) -> None:
        n, m = self.find(kind, count)
        for name, value in fields.items():
            self.answers[n][m][name] = value

    def add(self, kind: EventKind, count: int = 0, **fields: int) -> None:
        n, m = self.find(kind, count)
        for name, value in fields.items():
            self.answers[n][m][name] += value

    def drop(self, kind: EventKind, count: int = 0) -> None:
        n, m = self.find(kind, count)
        self.answers[n] = np.delete(self.answers[n], m)

    def double(self, kind: EventKind, count: int = 0) -> None:
        n, m = self.find(kind, count)
        self.answers[n] = np.insert(self.answers[n], m, self.answers[n][m])

    def trade(self, count: int, *, price: int = 0, qty: int = 0) -> None:
        """A trade dearer or larger by so much, with value and fees that fit."""
        n, m = self.find(EventKind.TRADE, count)
        event = self.answers[n][m]
        buys, sells = (150, 1250) if event["mode"] == TradingMode.AUCTION else (9999, 2500)
        fees = (buys, sells) if event["side"] == BUY else (sells, buys)
        event["price_fen"] += price
        event["qty"] += qty
        event["leaves_qty"] -= qty
        event["contra_leaves_qty"] -= qty
        event["amount_fen"] = event["price_fen"] * event["qty"]
        event["fee_fen"], event["contra_fee_fen"] = ((2 * event["amount_fen"] * fee + 10_000) // 20_000 for fee in fees)

    def number(self) -> None:
        """Event numbers without gaps again."""
        seq = 0
        for answer in self.answers:
            answer["seq"] = np.arange(seq + 1, seq + 1 + len(answer))
            seq += len(answer)

    def audit(self) -> Auditor:
        """Everything heard by a new auditor, who in the end counts what the exchange has."""
        auditor = Auditor(self.rules)
        for row, answer in zip(self.commands, self.answers, strict=True):
            auditor.hear(row, answer)
        auditor.compare(self.exchange.balances(), self.exchange.canonical_state())
        return auditor


@dataclass(frozen=True)
class Fault:
    """What is wrong, in which session, how it comes about, and a word of what the auditor says."""

    name: str
    rulebook: str
    plant: Callable[[Record], object]
    notice: str


def swapped_makers(record: Record) -> None:
    """The younger of two orders of one price is served first."""
    record.change(EventKind.TRADE, 0, contra_id=13, contra=3, qty=4, leaves_qty=3, contra_leaves_qty=0)
    record.trade(0)


def fees_lost(record: Record) -> None:
    record.add(EventKind.TRADE, 0, fee_fen=-1)


def forgotten(record: Record) -> None:
    """The rest of an IOC order is never told to have left."""
    record.drop(EventKind.CANCELED, 0)


def silent(record: Record) -> None:
    record.answers[12] = record.answers[12][:0]


def delivered_anyway(record: Record) -> None:
    n, m = record.find(EventKind.VOIDED)
    record.answers[n]["kind"][m] = EventKind.DELIVERED


def uneven(record: Record) -> None:
    """Of two equal bids at one price one gets two lots more than the other."""
    for count, qty in ((-2, 2), (-1, -2)):
        record.add(EventKind.TRADE, count, qty=qty, amount_fen=11 * qty, leaves_qty=-qty)
    record.add(EventKind.TRADE, -2, contra_leaves_qty=-2)
    for count, qty in ((-2, -2), (-1, 2)):
        record.add(EventKind.CANCELED, count, leaves_qty=qty)


def late_replacement(record: Record) -> None:
    record.change(EventKind.REPLACED, 0, leaves_qty=3, qty=3)


def another_call_price(record: Record) -> None:
    """As much would trade, and as little be left over; but buyers are left, so the highest price is right."""
    record.trade(5, price=-1)
    record.trade(6, price=-1)


def passed_over(record: Record) -> None:
    """The better bid gets a tonne less and the worse one a tonne more."""
    record.trade(7, qty=-1)
    record.trade(8, qty=1)
    record.add(EventKind.TRADE, 8, contra_leaves_qty=1)
    record.add(EventKind.CANCELED, -3, leaves_qty=-1)


FEES, DEALS = "continuous-fees", "continuous-cancel"
FAULTS = (
    Fault("a trade at a wrong price", FEES, lambda r: r.trade(0, price=1), "wrong price"),
    Fault("a trade dearer than the buyer's limit", FEES, lambda r: r.trade(0, price=2), "dearer than"),
    Fault("a tonne that is lost in a trade", FEES, lambda r: r.trade(0, qty=-1), "less traded than both wanted"),
    Fault("a tonne too many in a call auction", FEES, lambda r: r.trade(6, qty=1), "more than it had"),
    Fault("the younger order served first", FEES, swapped_makers, "order 12 was passed over"),
    Fault("a fee one fen too low", FEES, fees_lost, "another fee"),
    Fault("a trade for another account", FEES, lambda r: r.change(EventKind.TRADE, 0, contra=3), "other accounts"),
    Fault("a trade that is told twice", FEES, lambda r: r.double(EventKind.TRADE, 0), "has ended|traded more"),
    Fault("a trade that is not told", FEES, lambda r: r.drop(EventKind.TRADE, 0), "order 12 was passed over"),
    Fault("a cancel that is told twice", FEES, lambda r: r.double(EventKind.CANCELED, 1), "answered by"),
    Fault("a cancelled order that is cancelled again", FEES,
          lambda r: r.change(EventKind.CANCELED, 1, order_id=12), "has ended"),
    Fault("a remainder that is not told", FEES, forgotten, "stayed"),
    Fault("an own order in the way that stays", FEES, lambda r: r.drop(EventKind.CANCELED, 2), "crossed book"),
    Fault("a command without an answer", FEES, silent, "not answered"),
    Fault("a rejection without a reason", FEES,
          lambda r: r.change(EventKind.REJECTED, 0, reason=0), "without a reason"),
    Fault("a replacement with other leaves", FEES, late_replacement, "told otherwise"),
    Fault("a kill switch that miscounts", FEES, lambda r: r.add(EventKind.KILL_SWITCH_SET, 0, qty=1), "another number"),
    Fault("two prices in a call auction", FEES, lambda r: r.trade(6, price=-1), "two prices"),
    Fault("a call auction at a lower price than right", FEES,
          another_call_price, "another price than a call auction's"),
    Fault("two prices in an auction of one price", FEES, lambda r: r.trade(7, price=1), "served at another price"),
    Fault("a worse bid served first", FEES, passed_over, "passed over for a worse one"),
    Fault("an indicative volume too small", FEES, lambda r: r.add(EventKind.INDICATIVE, -1, qty=-1), "another volume"),
    Fault("a deposit of an application too low", FEES, lambda r: r.add(EventKind.APPLIED, 0, amount_fen=-1), "deposit"),
    Fault("a result that is not the sum of its trades", FEES,
          lambda r: r.add(EventKind.SETTLED, 0, qty=1), "not the sum of its trades"),
    Fault("a bid that outlives its auction", FEES, lambda r: r.drop(EventKind.CANCELED, -3), "outlive their auction"),
    Fault("bidders that are not served in proportion", DEALS, uneven, "less than the proportion"),
    Fault("a deal delivered beyond its limits", DEALS, delivered_anyway, "proves the reverse"),
    Fault("a deal that is never closed", DEALS, lambda r: r.drop(EventKind.DELIVERED, 0), "outlive their day"),
    Fault("a held deal that is told as settled", DEALS, lambda r: r.change(EventKind.TRADE, 1, flags=0), "pending"),
    Fault("an order that should stay and expires", DEALS,
          lambda r: r.change(EventKind.EXPIRED, 0, order_id=14, price_fen=9), "before its time"),
    Fault("an order that outlives its day", DEALS, lambda r: r.drop(EventKind.EXPIRED, 0), "outlive their day"),
    Fault("limits that do not follow a rule", DEALS,
          lambda r: r.add(EventKind.RULE_SET, 0, high_price_fen=1), "limits"),
    Fault("a close that is not that of its trades", FEES,
          lambda r: r.add(EventKind.DAY_CLOSED, 0, price_fen=1), "another close"),
    Fault("a day's quantity that is not that of its trades", FEES,
          lambda r: r.add(EventKind.DAY_CLOSED, 0, qty=-1), "the day's quantity"),
    Fault("a limit off by a fen", FEES, lambda r: r.add(EventKind.DAY_OPENED, -2, low_price_fen=1), "other limits"),
    Fault("a large holder who is not published", FEES, lambda r: r.drop(EventKind.LARGE_HOLDER, 0), "large holders"),
    Fault("units surrendered that were not asked for", FEES,
          lambda r: r.add(EventKind.SURRENDERED, 0, qty=1), "not as asked"),
)  # fmt: skip


@pytest.mark.parametrize("rulebook", SESSIONS)
def test_a_recorded_session_passes_the_audit(rulebook: str) -> None:
    record = Record(rulebook)
    record.number()
    auditor = record.audit()
    assert len(auditor.ended) > 5
    refused = [n for n, answer in enumerate(record.answers, 1) if answer["kind"][0] == EventKind.REJECTED]
    assert refused == ([41] if rulebook == FEES else [])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_auditor_notices(fault: Fault) -> None:
    record = Record(fault.rulebook)
    fault.plant(record)
    record.number()
    with pytest.raises(AssertionError, match=fault.notice):
        record.audit()


def test_the_auditor_notices_a_gap_in_the_numbers_of_events() -> None:
    record = Record(FEES)
    record.add(EventKind.TRADE, 1, seq=1)
    with pytest.raises(AssertionError, match="gap"):
        record.audit()


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [(EventKind.DEPOSITED, "amount_fen", 1), (EventKind.ISSUED, "qty", 1)],
    ids=["a fen", "a tonne"],
)
def test_the_auditor_notices_what_command_and_event_agree_on_but_no_balance_has(
    kind: EventKind, field: str, value: int
) -> None:
    record = Record(FEES)
    n, _ = record.find(kind)
    record.commands[n][field] += value
    record.add(kind, 0, **{field: value})
    with pytest.raises(AssertionError, match=r"(cash|units) of account 2"):
        record.audit()
