"""Cash and units: hold on entry, release on leaving, deliver on trade. Nothing is lost and nothing is created.

Every movement takes from one bucket what it puts into another, except `deposit`, `withdraw` and `issue`, which are
booked against the totals that the invariants compare with. Under `funded = 0` a market keeps no balances at all.
Prices in fen, quantities in t; a balance is never negative because `admit` has looked before anything moves.
"""

import numpy as np

from engine.codes import NONE, RejectReason, Rule, Side, TradingMode
from engine.core.prices import round_half_up
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
BASIS = 10_000


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
def lacks_funds(state: np.ndarray, account: int, instrument: int, side: int, cash_fen: int, qty: int) -> int:
    """Rungs 5010 to 5040: cash and room to hold for a buyer, units for a seller; NONE (0) in an unfunded market."""
    if rules_of(state)[instrument, Rule.FUNDED] == 0:
        return RejectReason.NONE
    if side == Side.SELL:
        return lacks_units(state, account, instrument, qty)
    if lacks_cash(state, account, cash_fen):
        return RejectReason.INSUFFICIENT_CASH
    limit = rules_of(state)[instrument, Rule.MAX_HOLDING_T + accounts_of(state)[account, Account.PARTICIPANT]]
    if limit == NONE or qty <= 0:
        return RejectReason.NONE
    holding = units_of(state)[units_row(state, account, instrument)]
    for column in range(Units.BIDDING + 1):
        qty += holding[column]
    return RejectReason.POSITION_LIMIT if qty > limit else RejectReason.NONE


@kernel
def fee(state: np.ndarray, instrument: int, mode: int, side: int, value_fen: int) -> int:
    """What one side of a trade pays to the exchange: a share of the value, rounded half up to the fen."""
    column = Rule.BLOCK_FEE_BUY_BP if mode == TradingMode.BLOCK else Rule.SCREEN_FEE_BUY_BP
    bp = rules_of(state)[instrument, column + side - Side.BUY]
    return value_fen // BASIS * bp + round_half_up(value_fen % BASIS * bp, BASIS, 1)


@kernel
def gross(state: np.ndarray, instrument: int, mode: int, price_fen: int) -> int:
    """What a buyer must have for a tonne: the price and its fee, rounded up, so that no split costs more."""
    column = Rule.BLOCK_FEE_BUY_BP if mode == TradingMode.BLOCK else Rule.SCREEN_FEE_BUY_BP
    return price_fen + (price_fen * rules_of(state)[instrument, column] + BASIS - 1) // BASIS


@kernel
def hold(state: np.ndarray, account: int, instrument: int, side: int, cash_fen: int, qty: int) -> None:
    """Freeze `cash_fen` for a buyer or `qty` units for a seller. Negative amounts release."""
    if rules_of(state)[instrument, Rule.FUNDED] == 0:
        return
    if side == Side.BUY:
        cash = accounts_of(state)[account]
        cash[Account.CASH] -= cash_fen
        cash[Account.CASH_HELD] += cash_fen
        units_of(state)[units_row(state, account, instrument), Units.BIDDING] += qty
    else:
        units = units_of(state)[units_row(state, account, instrument)]
        units[Units.AVAILABLE] -= qty
        units[Units.HELD] += qty


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
    units_of(state)[units_row(state, account, instrument), Units.AVAILABLE] += qty
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
