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
    MARKET_TO_LIMIT = 11
    """Takes the other side's best price and rests there with what is left (K, the eleventh letter, in FIX)."""


class OrderCondition(IntEnum):
    """Bits of a NEW's `flags`, and what a rulebook offers (`Rule.CONDITIONS`)."""

    POST_ONLY = 0
    """Refused where it would trade at once (FIX 18 = 6); said of a NEW, a later REPLACE may trade."""
    MIN_QTY = 1
    """Refused unless so much trades at once (FIX 110); in the field `min_qty`, not in `flags`."""


class TimeInForce(IntEnum):
    """How long an order stands 有效期 (FIX 59)."""

    DAY = 0
    GTC = 1
    """Until cancelled: stays over day rolls while its rules and limits allow it."""
    IOC = 3
    FOK = 4
    GTD = 6
    """As GTC, but over no day roll at or after `until_ns`."""


class TradingMode(IntEnum):
    """How a price is agreed 交易方式. `CONTINUOUS` and `LISTED` are screens; a market has one of them, or none."""

    NO_SCREEN = 0
    CONTINUOUS = 1
    """Automatic crossing by price, then time 连续竞价."""
    LISTED = 2
    """Listed agreement 挂牌协议: listings rest, nothing crosses by itself, a taker clicks."""
    BLOCK = 3
    """Negotiated block 大宗协议: one party proposes, the named counterparty confirms."""
    OFFER = 4
    """Fixed-price offer 定价转让: one party posts a price, whoever comes first takes what he wants."""
    AUCTION = 5
    """One-way auction 单向竞价: one applicant sells or buys, many bid in announced stages."""
    CALL = 6
    """Call auction 集合竞价 of a continuous screen: orders gather, then all trade at one price."""


class Role(IntEnum):
    """What a living entry of the order pool is."""

    ORDER = 0
    """Rests in the book of a screen."""
    PROPOSAL = 1
    """A block that waits for its counterparty."""
    DEAL = 2
    """A block agreed, held on both sides until the close proves its price."""
    OFFER = 3
    AUCTION = 4
    APPLICATION = 5
    """Asks for quantity in an auction, behind a deposit."""
    BID = 6


class Stage(IntEnum):
    """Stages of a one-way auction, in this order; a rulebook names those it has."""

    APPLICATION = 0
    """Bidders say how much they want and pay a deposit; then the seller releases a share of it."""
    BIDDING = 1
    """Bids within reserve and bound (Beijing: free quotation 自由报价)."""
    TIMED = 2
    """Only bids better than the best one (Beijing: time-limited quotation 限时报价)."""


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
    CALL = 6
    """Call auction 集合竞价: orders gather; leaving the phase makes them trade, a day roll lets them expire."""
    OPENING = 7
    """First minutes of a session, for rules that treat them apart."""


class CommandKind(IntEnum):
    """What a command asks for. `engine/records.py` says which fields each kind reads."""

    NEW = 1
    CANCEL = 2
    REPLACE = 3
    CLICK = 4
    PROPOSE = 5
    CONFIRM = 6
    DECLINE = 7
    MASS_CANCEL = 8
    ANNOUNCE = 9
    APPLY = 10
    BID = 11
    OFFER = 12
    TAKE = 13
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
    KILL_SWITCH = 43
    END_STAGE = 44


TRADING_KINDS = (
    CommandKind.NEW,
    CommandKind.CANCEL,
    CommandKind.REPLACE,
    CommandKind.CLICK,
    CommandKind.PROPOSE,
    CommandKind.CONFIRM,
    CommandKind.DECLINE,
    CommandKind.MASS_CANCEL,
    CommandKind.ANNOUNCE,
    CommandKind.APPLY,
    CommandKind.BID,
    CommandKind.OFFER,
    CommandKind.TAKE,
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
    DELIVERED = 8
    """A deal that was held until the close has been delivered against payment."""
    VOIDED = 9
    """A deal that was held until the close lies outside its limits; both sides have everything back."""
    INDICATIVE = 10
    """Call auction: at `price_fen` `qty` would trade now, and `leaves_qty` of `side` would be left over."""
    ANNOUNCED = 11
    """A one-way auction: offered `qty`, reserve `price_fen`, bound of the bids in `high_price_fen` (or `low_`)."""
    APPLIED = 12
    """An application `order_id` to the auction `contra_id`; its deposit is `amount_fen`."""
    STAGE_ENDED = 13
    """The auction goes on in the stage `flags` with `qty` on offer."""
    SETTLED = 14
    """The auction is over: `qty` at `price_fen` (uniform, else the worst accepted), `leaves_qty` unsold."""
    MASS_CANCELED = 15
    """`qty` orders of the account have been cancelled."""
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
    INSTRUMENT_HALTED = 44
    """The price moved so far, to `price_fen`, that the instrument rests for `qty` seconds."""
    LARGE_HOLDER = 45
    """At the close the account holds `qty`, more than may stay unpublished (大户报告)."""
    KILL_SWITCH_SET = 46
    """`flags` 1: the account may only cancel; `qty` of its orders have been cancelled. 0: it may trade again."""


class EventFlag(IntEnum):
    """Values of an event's `flags` (STAGE_ENDED: the `Stage`; KILL_SWITCH_SET: on or off)."""

    PENDING = 1
    """TRADE: agreed and held on both sides; DELIVERED or VOIDED follows at the close."""


class RejectReason(IntEnum):
    """Why a command was refused. Ascending number = order of checking = documented precedence.

    A check that cannot be evaluated counts as passed: the funds behind an unknown order, or behind a proposal that is
    over; the size of a replacement of somebody else's order. Ranges: 2xxx syntax and identity, 3xxx state of the market
    and of the account, 4xxx price and size, 5xxx risk, 6xxx order, 8xxx block, offer and auction. 1xxx (session), 7xxx
    (control) and 9xxx (system) belong to the doors outside the engine.
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
    ACCOUNT_BLOCKED = 3080
    """The account's kill switch is on: it may only cancel."""
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
    """It would meet the other side's best price: a post-only order, or a listing that the rulebook wants clicked."""
    NO_OPPOSITE_PRICE = 4100
    """A market-to-limit order finds no price to take."""
    INSUFFICIENT_CASH = 5010
    INSUFFICIENT_ALLOWANCE = 5020
    T_PLUS_1 = 5030
    """Enough units, but some were bought today and cannot move before the next day roll."""
    POSITION_LIMIT = 5040
    """What the account holds and bids for would exceed its maximum holding 最大持仓量."""
    SALE_LIMIT = 5050
    """The firm would have sold more of its allocation than the rulebook lets it sell."""
    SELF_TRADE = 5060
    UNKNOWN_ORDER = 6010
    TOO_LATE_FILLED = 6020
    ALREADY_CANCELLED = 6030
    REPLACE_BELOW_FILLED = 6040
    NOT_OWNER = 6050
    """Counted apart, shown to participants as UNKNOWN_ORDER so that orders cannot be probed."""
    FOK_NOT_FILLABLE = 6060
    MIN_QTY_NOT_FILLABLE = 6070
    PRICE_CHANGED = 6080
    """The clicked listing now has a price worse than the taker's limit."""
    UNKNOWN_PROPOSAL = 8010
    NOT_COUNTERPARTY = 8020
    PROPOSAL_EXPIRED = 8030
    BLOCK_TOO_SMALL = 8040
    """Also of a fixed-price offer."""
    BLOCK_PRICE_LIMIT = 8050
    AUCTION_CLOSED = 8060
    """No such auction, or its running stage does not take this."""
    BID_BELOW_RESERVE = 8070
    """The bid is worse than the reserve price, or beyond the announced bound."""
    BID_LIMIT = 8080
    """Less than the smallest bid, not the whole lot, or more than this bidder may take."""
    BID_NOT_BETTER = 8090
    """In the timed stage a bid must be better than the best; for a whole lot also better than one's own."""


class SelfTrade(IntEnum):
    """What happens when an account would trade with itself."""

    ALLOW = 0
    REJECT_TAKER = 1
    CANCEL_MAKER = 2
    CANCEL_TAKER = 3
    """The taker trades until it would meet itself; what is left of it is cancelled."""


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


class BlockReference(IntEnum):
    """What the price limits of a block are measured from, and so when a block is delivered."""

    PREVIOUS_CLOSE = 0
    """Known beforehand: delivered at once."""
    SAME_DAY_CLOSE = 1
    """Known at the day's end: held on both sides until then."""


class Pricing(IntEnum):
    """What the winners of a one-way auction pay."""

    UNIFORM = 0
    """All the worst accepted price."""
    PAY_AS_BID = 1


class Lots(IntEnum):
    """Whether an auction's quantity may be divided among bidders."""

    PART = 0
    """部分竞价."""
    WHOLE = 1
    """整体竞价: one bidder takes everything."""


class Margin(IntEnum):
    """Who is served at the worst accepted price when not everybody can be."""

    TIME = 0
    PRO_RATA = 1
    """In proportion to quantity, whole lots; what division leaves over goes by time."""


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
    BLOCK_REFERENCE = 32
    """`BlockReference`."""
    BLOCK_FREE_FROM_T = 33
    """From this size on a block has no price limit; NONE = never."""
    OFFER_MIN_QTY_T = 34
    """Smallest fixed-price offer; NONE = no such mode."""
    OFFER_BAND_BP = 35
    OFFER_FEE_BUY_BP = 36
    OFFER_FEE_SELL_BP = 37
    AUCTION_PRICING = 38
    """`Pricing` of one-way auctions; NONE = no such mode."""
    AUCTION_LOTS = 39
    AUCTION_MARGIN = 40
    AUCTION_ALL_OR_NOTHING = 41
    """1: nothing sells when the bids together are less than the offer."""
    AUCTION_STAGES = 42
    """Bit mask over `Stage`."""
    AUCTION_MIN_BID_T = 43
    AUCTION_LOT_T = 44
    """Applications and bids are multiples of it."""
    AUCTION_MAX_SHARE_BP = 45
    """Most that one bidder may bid for, as a share of the offer."""
    AUCTION_RESERVE_BAND_BP = 46
    """How far the reserve may lie from the previous close; NONE = anywhere."""
    AUCTION_DEPOSIT_BP = 47
    """Deposit of an application, as a share of its value at the reserve price; rounded up to the fen."""
    AUCTION_RELEASE_BP = 48
    """At most this share of all applications is released for bidding."""
    AUCTION_BIDDERS = 49
    """Bit mask over `Participant`."""
    AUCTION_FEE_BUY_BP = 50
    AUCTION_FEE_SELL_BP = 51
    CLOSE_MODES = 52
    """Bit mask over `TradingMode`: whose trades make the closing price."""
    CLOSE_MIN_QTY_PHASES = 53
    """Bit mask over `Phase`: when a trade counts towards `CLOSE_MIN_QTY_T`."""
    CONDITIONS = 54
    """Bit mask over `OrderCondition`."""
    HALT_MOVE_BP = 55
    """A move of the price by so much, from the previous close or the last halt, halts the instrument; NONE = never."""
    HALT_SECONDS = 56
    HOLDING_BEYOND_ALLOCATION = 57
    """1: of covered firms, what was allocated does not count towards the limits on holdings."""
    DISCLOSE_T = 58
    """Holdings above it are published at the close; NONE = none. One column a `Participant`."""
    DISCLOSE_INSTITUTION_T = 59
    DISCLOSE_INDIVIDUAL_T = 60
    MAX_SALE_BP = 61
    """Most of its allocation that a covered firm may sell; NONE = all."""
    PERMITS = 64
    """First of `len(Phase)` columns: bit mask over `CommandKind` permitted in that phase."""


RULE_COLUMNS = Rule.PERMITS + len(Phase)
