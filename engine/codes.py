"""Every enumeration of the exchange, in one place: what a command asks, what an event says.

The numbers are part of the command and event contracts (see `engine/records.py`) and of every journal, so a
member is never renumbered and never reused. Numbers of `Side`, `OrdType` and `TimeInForce` are those of FIX.

This file may not import anything of ours and holds no market's value.
"""

from enum import IntEnum

NONE = -1
"""The one "absent" value of integer fields: no price, no quantity, no target, no account."""


class Side(IntEnum):
    """Buy or sell 买卖方向 (FIX 54)."""

    BUY = 1
    SELL = 2


class OrdType(IntEnum):
    """Order type 委托类型 (FIX 40)."""

    MARKET = 1
    LIMIT = 2


class TimeInForce(IntEnum):
    """How long an order stands 有效期 (FIX 59)."""

    DAY = 0
    IOC = 3
    FOK = 4


class TradingMode(IntEnum):
    """How a price is agreed 交易方式. `CONTINUOUS` and `LISTED` are screens; a market has one of the two."""

    CONTINUOUS = 1
    """Automatic crossing by price, then time 连续竞价."""
    LISTED = 2
    """Listed agreement 挂牌协议: listings rest, nothing crosses by itself, a taker clicks."""
    BLOCK = 3
    """Negotiated block 大宗协议: one party proposes, the named counterparty confirms."""


class Phase(IntEnum):
    """Trading phase 交易阶段; what each permits is data of the rulebook."""

    CLOSED = 0
    """Before, after and between trading days 休市."""
    MORNING = 1
    BREAK = 2
    AFTERNOON = 3
    OPEN = 4
    """One uninterrupted session, for venues that never close."""
    HALTED = 5
    """Trading suspended 临时停牌."""


class CommandKind(IntEnum):
    """What a command asks for. `engine/records.py` says which fields each kind reads."""

    NEW = 1
    CANCEL = 2
    REPLACE = 3
    CLICK = 4
    PROPOSE = 5
    CONFIRM = 6
    DECLINE = 7
    OPEN_ACCOUNT = 20
    DEPOSIT = 21
    WITHDRAW = 22
    ISSUE = 23
    SURRENDER = 24
    FINE = 25
    DEDUCT = 26
    PHASE = 40
    DAY_ROLL = 41
    SET_RULE = 42


TRADING_KINDS = (
    CommandKind.NEW,
    CommandKind.CANCEL,
    CommandKind.REPLACE,
    CommandKind.CLICK,
    CommandKind.PROPOSE,
    CommandKind.CONFIRM,
    CommandKind.DECLINE,
)
"""The kinds whose permission depends on the phase; all others are always permitted."""


class EventKind(IntEnum):
    """What happened. Every command is answered by at least one event; `core/emit.py` says what follows what."""

    ACCEPTED = 1
    """An order, a click or a proposal has entered; `order_id` is its identity from here on."""
    REJECTED = 2
    """The command changed nothing; `reason` says why."""
    TRADE = 3
    """One fill 成交: `order_id` took, `contra_id` was resting (or proposed); units and cash moved."""
    CANCELED = 4
    """An order, a remainder or a proposal left without trading 撤单."""
    REPLACED = 5
    EXPIRED = 6
    """Left because its day or its time was over."""
    DECLINED = 7
    """The counterparty refused a proposal."""
    ACCOUNT_OPENED = 20
    DEPOSITED = 21
    WITHDRAWN = 22
    ISSUED = 23
    SURRENDERED = 24
    FINED = 25
    DEDUCTED = 26
    PHASE_CHANGED = 40
    DAY_CLOSED = 41
    """One instrument's closing price 收盘价 (`price_fen`), listed quantity (`qty`) and value (`amount_fen`)."""
    DAY_OPENED = 42
    """One instrument's new day: reference price (`price_fen`) and its limits (`low_price_fen`, `high_price_fen`)."""
    RULE_SET = 43


class RejectReason(IntEnum):
    """Why a command was refused. Ascending number = order of checking = documented precedence.

    A check that cannot be evaluated counts as passed: the funds behind an unknown order, or behind a proposal that is
    over; the size of a replacement of somebody else's order. Ranges: 2xxx syntax and
    identity, 3xxx state of the market, 4xxx price and size, 5xxx risk, 6xxx order, 8xxx block. 1xxx (session),
    7xxx (control) and 9xxx (system) belong to the doors outside the engine.
    """

    NONE = 0
    UNKNOWN_TYPE = 2040
    """A kind, side, type, validity, mode, phase or rule number that does not exist."""
    MISSING_FIELD = 2050
    """A field that the command needs is absent."""
    OUT_OF_RANGE = 2070
    """A field outside the bounds of its unit (for example an amount that is not positive)."""
    UNKNOWN_ACCOUNT = 2090
    ACCOUNT_EXISTS = 2100
    UNKNOWN_SYMBOL = 3010
    MARKET_CLOSED = 3020
    HALTED = 3030
    WRONG_PHASE = 3040
    """The market is open, but this phase does not permit this kind of command."""
    NOT_TRADABLE_TODAY = 3050
    NOT_OFFERED = 3060
    """This market has no such trading mode, order type or validity."""
    NOT_ADMITTED = 3070
    """This kind of participant may not trade here."""
    PRICE_ABOVE_LIMIT = 4010
    PRICE_BELOW_LIMIT = 4020
    BAD_TICK = 4030
    BAD_LOT = 4040
    QTY_TOO_LARGE = 4050
    QTY_ZERO = 4060
    PRICE_OUTSIDE_BEST5 = 4070
    """The clicked listing is not within the best levels that a taker may respond to."""
    LISTING_NOT_OLDEST = 4080
    """Another listing of the same price has stood longer, and the rulebook keeps the order of time."""
    WOULD_CROSS = 4090
    """The listing would meet the other side's best price, and the rulebook wants it clicked instead."""
    INSUFFICIENT_CASH = 5010
    INSUFFICIENT_ALLOWANCE = 5020
    T_PLUS_1 = 5030
    """Enough units, but some were bought today and cannot move before the next day roll."""
    POSITION_LIMIT = 5040
    """What the account holds and bids for would exceed its maximum holding 最大持仓量."""
    SELF_TRADE = 5060
    UNKNOWN_ORDER = 6010
    TOO_LATE_FILLED = 6020
    ALREADY_CANCELLED = 6030
    REPLACE_BELOW_FILLED = 6040
    NOT_OWNER = 6050
    """Counted apart, shown to participants as UNKNOWN_ORDER so that orders cannot be probed."""
    FOK_NOT_FILLABLE = 6060
    PRICE_CHANGED = 6080
    """The clicked listing now has a price worse than the taker's limit."""
    UNKNOWN_PROPOSAL = 8010
    NOT_COUNTERPARTY = 8020
    PROPOSAL_EXPIRED = 8030
    BLOCK_TOO_SMALL = 8040
    BLOCK_PRICE_LIMIT = 8050


class SelfTrade(IntEnum):
    """What happens when an account would trade with itself."""

    ALLOW = 0
    REJECT_TAKER = 1
    CANCEL_MAKER = 2


class Participant(IntEnum):
    """Kind of account holder 交易主体; who may trade, and how much they may hold, is data of the rulebook."""

    COVERED = 0
    """A firm with a surrender duty 重点排放单位."""
    INSTITUTION = 1
    INDIVIDUAL = 2


class TradePrice(IntEnum):
    """At which price two crossing orders trade."""

    RESTING = 0
    """The order that was there first."""
    MEDIAN = 1
    """The middle one of bid, ask and last trade (协商议价); before the day's first trade, the previous close."""


class ClickChoice(IntEnum):
    """Which listing inside the best levels a taker may name."""

    ANY = 0
    OLDEST = 1
    """Only the one that has stood longest at its price."""


MAX_CLOSE_TRADES = 10
"""The core remembers so many of a day's last trades."""


class Rule(IntEnum):
    """Columns of the integer rule table: one row per instrument and start date (`engine/rules/compiler.py`)."""

    FROM_DATE = 0
    """yyyymmdd from which the row is in force."""
    MODE = 1
    """`TradingMode` of the screen."""
    TRADABLE = 2
    TICK_FEN = 3
    LOT_T = 4
    SCREEN_MAX_QTY_T = 5
    """Largest quantity of one screen order, in tonnes."""
    PRICE_LOW_FEN = 6
    """Lowest price that exists at all (capacity of the ladder)."""
    PRICE_HIGH_FEN = 7
    BAND_DOWN_BP = 8
    """Daily price limit below the previous close in basis points; NONE = no limit."""
    BAND_UP_BP = 9
    REFERENCE_FEN = 10
    """Reference price of the first day, used while there is no previous close."""
    CLICK_LEVELS = 11
    """Best price levels a taker may respond to."""
    BLOCK_MIN_QTY_T = 12
    """Smallest block; NONE = no block mode."""
    BLOCK_BAND_BP = 13
    FUNDED = 14
    """1: pre-funded delivery versus payment. 0: no balances are kept."""
    UNITS_T_PLUS = 15
    """Days until bought units may be sold (0 or 1)."""
    SELF_TRADE = 16
    ORD_TYPES = 17
    """Bit mask over `OrdType`."""
    TIMES_IN_FORCE = 18
    """Bit mask over `TimeInForce`."""
    TRADE_PRICE = 19
    """`TradePrice` of a continuous screen."""
    CLICK_CHOICE = 20
    """`ClickChoice` of a listed screen."""
    CROSSED_LISTINGS = 21
    """0: a listing that would meet the other side's best price is refused. 1: crossed books are legal."""
    CLOSE_TRADES = 22
    """How many of the last screen trades make the closing price; 0 = all of the day."""
    CLOSE_MIN_QTY_T = 23
    """The closing price is the previous one unless more than this was traded on the screen."""
    SCREEN_FEE_BUY_BP = 24
    """Fee of the buyer, of the value of a screen trade, in basis points; rounded half up to the fen."""
    SCREEN_FEE_SELL_BP = 25
    BLOCK_FEE_BUY_BP = 26
    BLOCK_FEE_SELL_BP = 27
    PARTICIPANTS = 28
    """Bit mask over `Participant`: who may trade."""
    MAX_HOLDING_T = 29
    """Most that one account of a covered firm may hold and bid for, t; NONE = no limit. One column a `Participant`."""
    MAX_HOLDING_INSTITUTION_T = 30
    MAX_HOLDING_INDIVIDUAL_T = 31
    PERMITS = 48
    """First of `len(Phase)` columns: bit mask over `CommandKind` permitted in that phase."""


RULE_COLUMNS = Rule.PERMITS + len(Phase)
