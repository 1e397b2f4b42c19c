"""Every message as a type: what a client may send, what an operator may send, what the gateway answers.

A payload is a MessagePack array of messages; a message is an array whose first element is its type (FIX MsgType, or
`U…` where FIX has none) and whose other elements are its fields in the order written here. Fields at the end that are
absent may be left out. Integers throughout: prices and money in fen (0.01 CNY), quantities in tonnes, time in ns.
A field that is called as in `engine.records.COMMAND` means the same.

Every request that may change something carries `seq`, the sender's own number (from 1, strictly increasing, gaps
allowed): who gets no answer sends it again with the same number, and it happens once.

To add a message: a class here, then `codec.KINDS` for a request; `tests/wire` wants its golden bytes.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from engine.codes import EventKind, RejectReason

Seq = Annotated[int, Meta(ge=1, le=2**32 - 1, description="the sender's own number, strictly increasing")]
TargetSeq = Annotated[int, Meta(ge=0, le=2**32 - 1, description="own number of the request that entered the order")]
PrivSeq = Annotated[int, Meta(ge=0, le=2**62, description="number of a private report, from 1 without gaps")]
Id = Annotated[int, Meta(ge=0, le=2**62, description="order_id, which every later report of the order carries")]
Qty = Annotated[int, Meta(ge=0, le=2**62, description="tonnes")]
Fen = Annotated[int, Meta(ge=0, le=2**62, description="money, 0.01 CNY")]
Price = Annotated[int, Meta(ge=0, le=2**31 - 1, description="fen a tonne")]
Number = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Account = Annotated[int, Meta(ge=0, le=2**31 - 1, description="account number")]
Instrument = Annotated[int, Meta(ge=0, le=2**31 - 1, description="index into LogonReply.symbols")]
Code = Annotated[int, Meta(ge=0, le=255)]
Time = Annotated[int, Meta(ge=0, le=2**63 - 1, description="ns since the epoch")]
TestReqId = Annotated[int, Meta(ge=0, le=2**63 - 1, description="any number, given back in the answer")]
Rows = Annotated[bytes, Meta(max_length=16 * 1024)]


class Message(msgspec.Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """An array on the wire; its first element, the tag, says which type it is."""


# ------------------------------------------------------------------------------------------------ session


class Logon(Message, tag="A"):
    """Opens a connection's session (FIX A). Answered by `LogonReply`, then by the missed reports."""

    next_expected: PrivSeq = 0
    """First private report wanted again; 0 = only new ones (FIX 789). As many come as for one `ResendRequest`."""
    cancel_on_disconnect: bool = False
    """Cancel all my orders when this connection ends."""


class Logout(Message, tag="5"):
    """Ends the session; orders stay, also under cancel on disconnect."""


class TestRequest(Message, tag="1"):
    """Answered by a `Heartbeat` with the same number, after everything sent before it."""

    test_req_id: TestReqId


class ResendRequest(Message, tag="2"):
    """Private reports again, both ends included; end 0 = all so far. At most 200 come: then ask on from there."""

    begin_seq: PrivSeq
    end_seq: PrivSeq = 0


class StatusRequest(Message, tag="AF"):
    """Answered by `AccountReport` and a page of `OpenOrders`."""

    request_id: Number = 0
    after_id: Id = 0
    """The page begins behind the order of that number."""


class RequestForPositions(Message, tag="AN"):
    """An operator's question for the balances of all accounts. Answered by pages of `PositionRows`."""

    request_id: Number = 0


# --------------------------------------------------------------------------------------------- a trader's requests


class NewOrderSingle(Message, tag="D"):
    """A screen order 委托 (FIX D)."""

    seq: Seq
    instrument: Instrument
    side: Code
    qty: Qty
    price_fen: Price | None = None
    ord_type: Code = 2
    tif: Code = 0
    until_ns: Time | None = None
    min_qty: Qty | None = None
    flags: Code = 0
    """Bits of `engine.codes.OrderCondition`."""


class OrderCancelRequest(Message, tag="F"):
    """Cancels one order 撤单, offer or bid, by `target_id` or by the number of the request that entered it."""

    seq: Seq
    target_seq: TargetSeq = 0
    target_id: Id | None = None


class OrderCancelReplaceRequest(Message, tag="G"):
    """Changes price or total quantity of a screen order 改单; absent = unchanged."""

    seq: Seq
    target_seq: TargetSeq = 0
    target_id: Id | None = None
    price_fen: Price | None = None
    qty: Qty | None = None


class OrderMassCancelRequest(Message, tag="q"):
    """Cancels all own orders, of one instrument or side where said."""

    seq: Seq
    instrument: Instrument | None = None
    side: Code = 0


class Click(Message, tag="UC"):
    """Takes from listings 点选: the one named, or the best levels up to the limit."""

    seq: Seq
    instrument: Instrument
    side: Code
    qty: Qty
    price_fen: Price | None = None
    target_id: Id | None = None


class Propose(Message, tag="UP"):
    """A block 大宗协议 to a named counterparty."""

    seq: Seq
    instrument: Instrument
    side: Code
    qty: Qty
    price_fen: Price
    contra: Account
    until_ns: Time | None = None


class Confirm(Message, tag="UF"):
    """Agrees to a proposal."""

    seq: Seq
    target_id: Id


class Decline(Message, tag="UX"):
    """Refuses a proposal, or withdraws one's own."""

    seq: Seq
    target_seq: TargetSeq = 0
    target_id: Id | None = None


class Offer(Message, tag="UO"):
    """A fixed-price offer 定价转让 to everybody."""

    seq: Seq
    instrument: Instrument
    side: Code
    qty: Qty
    price_fen: Price


class Take(Message, tag="UT"):
    """Takes from an offer."""

    seq: Seq
    target_id: Id
    qty: Qty


class Announce(Message, tag="UA"):
    """Opens a one-way auction 单向竞价."""

    seq: Seq
    instrument: Instrument
    side: Code
    qty: Qty
    price_fen: Price
    limit_price_fen: Price | None = None


class Apply(Message, tag="UY"):
    """Applies for a quantity in an auction."""

    seq: Seq
    target_id: Id
    qty: Qty


class Bid(Message, tag="UB"):
    """Bids in an auction."""

    seq: Seq
    target_id: Id
    qty: Qty
    price_fen: Price
    min_qty: Qty | None = None


class Surrender(Message, tag="US"):
    """Surrenders units 清缴 to the government; an operator names the account."""

    seq: Seq
    instrument: Instrument
    qty: Qty
    account: Account | None = None


class PackedRequests(Message, tag="UR"):
    """Many requests at once, as rows of `records.REQUEST`."""

    version: Code
    rows: Rows


# ------------------------------------------------------------------------------------------- an operator's commands


class OpenAccount(Message, tag="U0"):
    """Opens an account 开户; `flags` is its `engine.codes.Participant`."""

    seq: Seq
    account: Account
    flags: Code = 0
    group: Number | None = None


class Deposit(Message, tag="U1"):
    """Cash in 入金."""

    seq: Seq
    account: Account
    amount_fen: Fen


class Withdraw(Message, tag="U2"):
    """Cash out 出金."""

    seq: Seq
    account: Account
    amount_fen: Fen


class Issue(Message, tag="U3"):
    """New units 发放."""

    seq: Seq
    account: Account
    instrument: Instrument
    qty: Qty


class Fine(Message, tag="U4"):
    """Cash to the government's account 罚款."""

    seq: Seq
    account: Account
    amount_fen: Fen


class Deduct(Message, tag="U5"):
    """Units to the government's account by force 核减."""

    seq: Seq
    account: Account
    instrument: Instrument
    qty: Qty


class SetPhase(Message, tag="U6"):
    """Moves the venue to a phase; `HALTED` suspends trading 停牌."""

    seq: Seq
    phase: Code


class DayRoll(Message, tag="U7"):
    """Ends the trading day and begins `date` (yyyymmdd)."""

    seq: Seq
    date: Number


class SetRule(Message, tag="U8"):
    """Changes one rule at once; `amount_fen` carries the new value in the rule's own unit."""

    seq: Seq
    instrument: Instrument
    rule: Number
    amount_fen: Annotated[int, Meta(ge=-1, le=2**62)]


class KillSwitch(Message, tag="U9"):
    """1: the account's orders are cancelled and it may only cancel; 0: it may trade again."""

    seq: Seq
    account: Account
    flags: Annotated[int, Meta(ge=0, le=1)]


class EndStage(Message, tag="UG"):
    """An auction goes on to its next stage, or is settled."""

    seq: Seq
    target_id: Id


TraderRequest = (
    NewOrderSingle | OrderCancelRequest | OrderCancelReplaceRequest | OrderMassCancelRequest | Click | Propose
    | Confirm | Decline | Offer | Take | Announce | Apply | Bid | Surrender
)  # fmt: skip
OperatorRequest = (
    OpenAccount | Deposit | Withdraw | Issue | Fine | Deduct | SetPhase | DayRoll | SetRule | KillSwitch | EndStage
)
Query = Logon | Logout | TestRequest | ResendRequest | StatusRequest | RequestForPositions
Request = TraderRequest | OperatorRequest | Query | PackedRequests
"""Everything a client sends; one union, so that one reused decoder reads it."""


# ------------------------------------------------------------------------------------------------ replies


class LogonReply(Message, tag="A"):
    """The session is open."""

    last_seq: Annotated[int, Meta(ge=0, le=2**32 - 1)]
    """Own number of the last request the venue has processed (FIX 369); go on above it."""
    next_report: PrivSeq
    """The number the next new report will have."""
    epoch: Time
    """When this run of the venue began; reports and numbers outlive it."""
    time_ns: Time
    rules: str
    rules_hash: str
    account: Account
    """The number of this principal."""
    symbols: list[str]
    phase: Code
    date: Number
    batch_limit: Number
    payload_limit: Number
    rate: Number
    """Requests a second; 0 = no limit."""


class Heartbeat(Message, tag="0"):
    """Answer to a `TestRequest`."""

    test_req_id: TestReqId


class SequenceReset(Message, tag="4"):
    """Reports before `new_seq` are no longer kept; replay goes on there (FIX gap fill)."""

    new_seq: PrivSeq


class Reject(Message, tag="3"):
    """A payload that could not be read; nothing of it was applied."""

    reason: Number
    """`reasons.DoorReason`."""
    text: str
    """What was expected, and where."""


class BusinessMessageReject(Message, tag="j"):
    """Requests that were read, but refused by the door together; they were not journaled. They may be sent again: with
    the same numbers as long as no later number of the account has been processed, else with new ones.
    """

    ref_seq: Annotated[int, Meta(ge=0, le=2**32 - 1)]
    """Number of the first of them; 0 = only queries."""
    reason: Number
    """`reasons.DoorReason`."""
    text: str
    last_ref_seq: Annotated[int, Meta(ge=0, le=2**32 - 1)]
    """Number of the last."""


class ExecutionReport(Message, tag="8"):
    """One event as this account sees it; the fields of `records.REPORT` in its order, absent integers -1."""

    priv_seq: PrivSeq
    time_ns: Time
    exec_id: int
    order_id: int
    auction_id: int
    client_ref: int
    qty: int
    leaves_qty: int
    amount_fen: int
    fee_fen: int
    price_fen: int
    account: int
    contra: int
    instrument: int
    ref_seq: Annotated[int, Meta(ge=0, le=2**32 - 1)]
    exec_type: Code
    """`engine.codes.EventKind`."""
    side: Code
    mode: Code
    phase: Code
    reason: Number
    """`engine.codes.RejectReason`."""
    flags: Number
    aggressor: Code
    poss_dup: Code
    """1: sent before, or the original answer to a request that came again."""

    @property
    def ok(self) -> bool:
        """Whether the market did what was asked."""
        return self.exec_type != EventKind.REJECTED

    @property
    def reason_name(self) -> str:
        """Why not, as a word of `engine.codes.RejectReason`; empty where there is no reason."""
        return RejectReason(self.reason).name if self.reason else ""


class AccountReport(Message, tag="AP"):
    """Cash and holdings now; not numbered."""

    request_id: Number
    account: Account
    cash_fen: int
    """Free to use 可用."""
    cash_held_fen: int
    """Behind orders 冻结."""
    blocked: bool
    units: list[list[int]]
    """By instrument, tonnes: available 可用, held 冻结, locked until the next day, restricted, bidding for; then issued
    to it and sold by it since the start."""
    next_report: PrivSeq
    """This is the state before the report of that number."""


class OpenOrders(Message, tag="UL"):
    """A page of what waits for the account, ascending by order_id; not numbered."""

    request_id: Number
    orders: list[list[int]]
    """order_id, account, instrument, side, role, mode, price_fen, leaves_qty, filled_qty, client_ref."""
    last: bool = True
    """When false there are more: ask again, `after_id` the last of these."""


class PositionRows(Message, tag="UN"):
    """Balances of all open accounts now, ascending by account; not numbered."""

    request_id: Number
    version: Code
    rows: bytes
    """As `records.position_row` lays them out."""
    last: bool = True
    """More messages follow when false."""


class TapeRows(Message, tag="UV"):
    """Events of the venue, whole, as rows of `engine.records.EVENT`."""

    version: Code
    rows: bytes


Reply = (
    LogonReply | Heartbeat | SequenceReset | Reject | BusinessMessageReject | ExecutionReport | AccountReport
    | OpenOrders | PositionRows | TapeRows
)  # fmt: skip


# --------------------------------------------------------------------------------------------- market data


class MarketDataSnapshot(Message, tag="W"):
    """The book of one instrument 行情快照 as of `md_seq`; apply only updates above that number."""

    md_seq: PrivSeq
    instrument: Instrument
    time_ns: Time
    entries: list[list[int]]
    """mode, order_id (0: the total of a price level), side, price_fen, qty."""
    last_price_fen: int
    prev_close_fen: int
    low_limit_fen: int
    high_limit_fen: int
    day_qty: int
    """Tonnes that count towards the closing price."""
    day_amount_fen: int


class MarketDataIncremental(Message, tag="X"):
    """What changed since `md_seq - 1` 行情增量."""

    md_seq: PrivSeq
    instrument: Instrument
    time_ns: Time
    entries: list[list[int]]
    """As in the snapshot; qty 0 = gone."""
    trades: list[list[int]]
    """exec_id, time_ns, mode, aggressor's side, price_fen, qty."""
    news: list[list[int]]
    """Public events: kind, order_id, side, mode, price_fen, qty, leaves_qty, low, high, flags, account or -1."""


class TradingSessionStatus(Message, tag="h"):
    """Phase and day of the venue 市场状态."""

    time_ns: Time
    phase: Code
    date: Number
    epoch: Time


MarketData = MarketDataSnapshot | MarketDataIncremental | TradingSessionStatus


def fields_of(message: type[Message]) -> tuple[str, ...]:
    """Field names in wire order."""
    return message.__struct_fields__


def tag_of(message: type[Message]) -> Any:
    """First element of the array on the wire."""
    return message.__struct_config__.tag
