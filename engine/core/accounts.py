"""Cash and units: hold on entry, release on leaving, deliver on trade. Nothing is lost and nothing is created.

Every movement takes from one bucket what it puts into another, except `deposit`, `withdraw` and `issue`, which are
booked against the totals that the invariants compare with. Under `funded = 0` a market keeps no balances at all.
Prices in fen, quantities in t; a balance is never negative because `admit` has looked before anything moves.
"""

import numpy as np

from engine.codes import NONE, Participant, RejectReason, Rule, Side, TradingMode
from engine.core.prices import BASIS, divided
from engine.core.state import (
    Account,
    Instrument,
    Market,
    Part,
    Units,
    accounts_of,
    instruments_of,
    market_of,
    rules_of,
    units_of,
)
from engine.jit import kernel

EXCHANGE_ACCOUNT = 0
GOVERNMENT_ACCOUNT = 1


@kernel
def units_row(state: np.ndarray, account: int, instrument: int) -> int:
    """Row of the units table."""
    return account * state[Part.INSTRUMENT_COUNT] + instrument


@kernel
def is_open(state: np.ndarray, account: int) -> bool:
    """Whether the account number exists and has been opened."""
    return 0 <= account < state[Part.ACCOUNT_COUNT] and accounts_of(state)[account, Account.OPEN] == 1


@kernel
def lacks_cash(state: np.ndarray, account: int, amount_fen: int) -> bool:
    """Whether available cash is below `amount_fen`."""
    return accounts_of(state)[account, Account.CASH] < amount_fen


@kernel
def lacks_units(state: np.ndarray, account: int, instrument: int, qty: int) -> int:
    """NONE (0) when `qty` is available, else T_PLUS_1 (there, but bought today) or INSUFFICIENT_ALLOWANCE."""
    row = units_of(state)[units_row(state, account, instrument)]
    if row[Units.AVAILABLE] >= qty:
        return RejectReason.NONE
    if row[Units.AVAILABLE] + row[Units.LOCKED] >= qty:
        return RejectReason.T_PLUS_1
    return RejectReason.INSUFFICIENT_ALLOWANCE


@kernel
def owned(state: np.ndarray, account: int, instrument: int) -> int:
    """All units of the account, whatever binds them, t."""
    row = units_of(state)[units_row(state, account, instrument)]
    return row[Units.AVAILABLE] + row[Units.HELD] + row[Units.LOCKED] + row[Units.RESTRICTED]


@kernel
def holding_limit(state: np.ndarray, account: int, instrument: int, first: int) -> int:
    """A limit on holdings from the columns `first` on, t (NONE: no limit); perhaps beyond what was allocated."""
    rules = rules_of(state)[instrument]
    participant = accounts_of(state)[account, Account.PARTICIPANT]
    limit = rules[first + participant]
    if limit != NONE and participant == Participant.COVERED and rules[Rule.HOLDING_BEYOND_ALLOCATION] == 1:
        limit += units_of(state)[units_row(state, account, instrument), Units.ALLOCATED]
    return limit


@kernel
def _lacks_sale(state: np.ndarray, account: int, instrument: int, qty: int) -> int:
    """Rungs 5020 to 5050 of a seller."""
    reason = lacks_units(state, account, instrument, qty)
    most = rules_of(state)[instrument, Rule.MAX_SALE_BP]
    covered = accounts_of(state)[account, Account.PARTICIPANT] == Participant.COVERED
    if reason != RejectReason.NONE or most == NONE or qty <= 0 or not covered:
        return reason
    row = units_of(state)[units_row(state, account, instrument)]
    if (row[Units.SOLD] + row[Units.HELD] + qty) * BASIS > row[Units.ALLOCATED] * most:
        return RejectReason.SALE_LIMIT
    return RejectReason.NONE


@kernel
def lacks_funds(state: np.ndarray, account: int, instrument: int, side: int, cash_fen: int, qty: int) -> int:
    """Rungs 5010 to 5050: cash and room to hold for a buyer, units for a seller; NONE (0) in an unfunded market."""
    if rules_of(state)[instrument, Rule.FUNDED] == 0:
        return RejectReason.NONE
    if side == Side.SELL:
        return _lacks_sale(state, account, instrument, qty)
    if lacks_cash(state, account, cash_fen):
        return RejectReason.INSUFFICIENT_CASH
    limit = holding_limit(state, account, instrument, Rule.MAX_HOLDING_T)
    if limit == NONE or qty <= 0:
        return RejectReason.NONE
    qty += owned(state, account, instrument)
    qty += units_of(state)[units_row(state, account, instrument), Units.BIDDING]
    return RejectReason.POSITION_LIMIT if qty > limit else RejectReason.NONE


@kernel
def _fee_column(mode: int, side: int) -> int:
    """Column of what one side pays in a mode."""
    column = Rule.SCREEN_FEE_BUY_BP
    if mode == TradingMode.BLOCK:
        column = Rule.BLOCK_FEE_BUY_BP
    elif mode == TradingMode.OFFER:
        column = Rule.OFFER_FEE_BUY_BP
    elif mode == TradingMode.AUCTION:
        column = Rule.AUCTION_FEE_BUY_BP
    return column + side - Side.BUY


@kernel
def fee(state: np.ndarray, instrument: int, mode: int, side: int, value_fen: int) -> int:
    """What one side of a trade pays to the exchange: a share of the value, rounded half up to the fen."""
    bp = rules_of(state)[instrument, _fee_column(mode, side)]
    if bp == 0:
        return 0
    whole = divided(value_fen, BASIS)
    return whole * bp + divided(2 * (value_fen - whole * BASIS) * bp + BASIS, 2 * BASIS)


@kernel
def gross(state: np.ndarray, instrument: int, mode: int, price_fen: int) -> int:
    """What a buyer must have for a tonne: the price and its fee, rounded up, so that no split costs more."""
    return price_fen + divided(price_fen * rules_of(state)[instrument, _fee_column(mode, Side.BUY)] + BASIS - 1, BASIS)


@kernel
def hold_cash(state: np.ndarray, account: int, instrument: int, cash_fen: int) -> None:
    """Freeze cash; a negative amount releases."""
    if rules_of(state)[instrument, Rule.FUNDED] == 1:
        cash = accounts_of(state)[account]
        cash[Account.CASH] -= cash_fen
        cash[Account.CASH_HELD] += cash_fen


@kernel
def hold(state: np.ndarray, account: int, instrument: int, side: int, cash_fen: int, qty: int) -> None:
    """Freeze `cash_fen` for a buyer or `qty` units for a seller. Negative amounts release."""
    if rules_of(state)[instrument, Rule.FUNDED] == 0:
        return
    units = units_of(state)[units_row(state, account, instrument)]
    if side == Side.BUY:
        hold_cash(state, account, instrument, cash_fen)
        units[Units.BIDDING] += qty
    else:
        units[Units.AVAILABLE] -= qty
        units[Units.HELD] += qty


@kernel
def hold_at(state: np.ndarray, account: int, instrument: int, side: int, mode: int, price_fen: int, qty: int) -> None:
    """Freeze what `qty` at that price may need; a negative quantity releases."""
    if rules_of(state)[instrument, Rule.FUNDED] == 1:
        hold(state, account, instrument, side, gross(state, instrument, mode, price_fen) * qty, qty)


@kernel
def deliver(
    state: np.ndarray,
    instrument: int,
    mode: int,
    buyer: int,
    seller: int,
    held_price_fen: int,
    price_fen: int,
    qty: int,
) -> None:
    """Delivery versus payment of one trade; both fees go to the exchange.

    The buyer's cash was held at `gross` of `held_price_fen` a tonne and pays `price_fen`; the seller's units were held.
    Proceeds are usable at once; bought units are locked until the next day roll where the rulebook says T+1.
    """
    if rules_of(state)[instrument, Rule.FUNDED] == 0:
        return
    cash = accounts_of(state)
    units = units_of(state)
    held, value = gross(state, instrument, mode, held_price_fen) * qty, price_fen * qty
    buy_fee = fee(state, instrument, mode, Side.BUY, value)
    sell_fee = fee(state, instrument, mode, Side.SELL, value)
    cash[buyer, Account.CASH_HELD] -= held
    cash[buyer, Account.CASH] += held - value - buy_fee
    units[units_row(state, seller, instrument), Units.HELD] -= qty
    units[units_row(state, seller, instrument), Units.SOLD] += qty
    cash[seller, Account.CASH] += value - sell_fee
    cash[EXCHANGE_ACCOUNT, Account.CASH] += buy_fee + sell_fee
    units[units_row(state, buyer, instrument), Units.BIDDING] -= qty
    if rules_of(state)[instrument, Rule.UNITS_T_PLUS] > 0:
        units[units_row(state, buyer, instrument), Units.LOCKED] += qty
    else:
        units[units_row(state, buyer, instrument), Units.AVAILABLE] += qty


@kernel
def deposit(state: np.ndarray, account: int, amount_fen: int) -> None:
    """Cash comes in from a bank; negative: goes out."""
    accounts_of(state)[account, Account.CASH] += amount_fen
    market_of(state)[Market.CASH_IN_FEN] += amount_fen


@kernel
def issue(state: np.ndarray, account: int, instrument: int, qty: int) -> None:
    """New units; the only place where units begin to exist."""
    units = units_of(state)[units_row(state, account, instrument)]
    units[Units.AVAILABLE] += qty
    units[Units.ALLOCATED] += qty
    instruments_of(state)[instrument, Instrument.UNITS_ISSUED] += qty


@kernel
def retire(state: np.ndarray, account: int, instrument: int, qty: int) -> None:
    """Surrendered or deducted units go to the government, where they cannot be traded again."""
    units = units_of(state)
    units[units_row(state, account, instrument), Units.AVAILABLE] -= qty
    units[units_row(state, GOVERNMENT_ACCOUNT, instrument), Units.RESTRICTED] += qty


@kernel
def fine(state: np.ndarray, account: int, amount_fen: int) -> None:
    """Cash goes to the government."""
    cash = accounts_of(state)
    cash[account, Account.CASH] -= amount_fen
    cash[GOVERNMENT_ACCOUNT, Account.CASH] += amount_fen


@kernel
def unlock_all(state: np.ndarray) -> None:
    """Day roll: units bought before today become available."""
    units = units_of(state)
    for row in range(units.shape[0]):
        units[row, Units.AVAILABLE] += units[row, Units.LOCKED]
        units[row, Units.LOCKED] = 0
