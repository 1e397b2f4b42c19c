"""Traders without any intelligence on the real exchange: how much of the gains the rules of trading alone realise.

Buyers with a value and sellers with a cost, one unit after the other, quote at random (Gode and Sunder 1993, Allocative
Efficiency of Markets with Zero-Intelligence Traders, JPE 101, 119-137). Constrained traders (ZI-C) never quote at a
loss; unconstrained ones (ZI-U) quote any price, and show what a market looks like that wastes its gains. One quote a
turn; a trade is at the price that stood first, and ends all quotes. Who trades and at what price is the engine's doing,
under the rulebook `generic`. This file may not match anything.
"""

from dataclasses import dataclass

import numpy as np

from engine.codes import CommandKind, EventKind, OrdType, Participant, Side, TimeInForce
from engine.errors import EmexError
from engine.records import command, empty_commands
from engine.venue import open_venue
from sim.port import FIRST_ACCOUNT, Port
from sim.streams import stream

SMITH_VALUES_FEN = np.arange(325, 74, -25)[:, None]
"""Values of eleven buyers of one unit each, shape (buyers, units): test 1 of Smith (1962, JPE 70), $3.25 to $0.75
there, fen here; the numbers as a classroom replication repeats them ("Market Experiment Results", studylib.net
8142329)."""
SMITH_COSTS_FEN = SMITH_VALUES_FEN[::-1]
"""Costs of its eleven sellers."""
TOP_FEN = 400
"""Highest price that anybody quotes; assumed: above every value, as in Gode and Sunder."""
TURNS = 5_000
"""Quotes at most; a run ends before that when no further gain is possible."""


@dataclass(frozen=True)
class Run:
    """One market from the first quote to the last trade."""

    efficiency: float
    """Surplus of all trades over the greatest possible; 1 at most, negative where trades lose money."""
    trades: np.ndarray
    """TRADE rows of the tape, in order."""


def greatest_surplus_fen(values_fen: np.ndarray, costs_fen: np.ndarray) -> int:
    """Sum of value less cost over the units that trade in competitive equilibrium, fen."""
    values, costs = np.sort(values_fen, axis=None)[::-1], np.sort(costs_fen, axis=None)
    count = min(len(values), len(costs))
    return int(np.maximum(0, values[:count] - costs[:count]).sum())


def _quote(account: int, side: Side, price_fen: int) -> np.ndarray:
    """One NEW of one tonne."""
    return command(
        CommandKind.NEW, account=account, instrument=0, side=side, price_fen=price_fen, qty=1,
        ord_type=OrdType.LIMIT, tif=TimeInForce.DAY,
    )  # fmt: skip


def run(values_fen: np.ndarray, costs_fen: np.ndarray, seed: int, *, constrained: bool = True) -> Run:
    """Trade until one side has nothing left, or no constrained trade can bring a further gain.

    `values_fen`, shape (buyers, units), descending: what each further unit is worth to a buyer; `costs_fen`, shape
    (sellers, units), ascending; whole fen from 1 to `TOP_FEN`. Raises `EmexError` where they are not, or where there
    is nothing to gain.
    """
    lowest, highest = min(values_fen.min(), costs_fen.min()), max(values_fen.max(), costs_fen.max())
    if not 1 <= lowest <= highest <= TOP_FEN:
        raise EmexError(f"values_fen, costs_fen: got {lowest} to {highest}, expected 1 to {TOP_FEN} fen")
    greatest = greatest_surplus_fen(values_fen, costs_fen)
    if greatest == 0:
        raise EmexError("values_fen, costs_fen: got no unit worth more than it costs, expected gains from trade")
    book, venue = open_venue("generic")
    port = Port(book, venue)
    buyers, traders = len(values_fen), len(values_fen) + len(costs_fen)
    port.open_accounts(np.full(traders, -1), np.full(traders, int(Participant.INSTITUTION)))
    withdraw = empty_commands(traders)
    withdraw["kind"], withdraw["account"] = CommandKind.MASS_CANCEL, np.arange(traders) + FIRST_ACCOUNT
    left = [row.tolist() for row in (*values_fen, *costs_fen)]
    rng = stream(seed, "zero intelligence")
    surplus_fen = 0
    for turn, luck in rng.random((TURNS, 2)).tolist():
        trader = int(turn * traders)
        values, costs = ([units[0] for units in side if units] for side in (left[:buyers], left[buyers:]))
        if not values or not costs or (constrained and max(values) <= min(costs)):
            break
        if not left[trader]:
            continue
        buys = trader < buyers
        low, high = 1, TOP_FEN
        if constrained:
            low, high = (1, left[trader][0]) if buys else (left[trader][0], TOP_FEN)
        price = low + int(luck * (high - low + 1))
        events = port.send(_quote(trader + FIRST_ACCOUNT, Side.BUY if buys else Side.SELL, price))
        for trade in events[events["kind"] == EventKind.TRADE]:
            # Buyers have the smaller numbers, whoever took.
            buyer, seller = sorted((int(trade["account"]) - FIRST_ACCOUNT, int(trade["contra"]) - FIRST_ACCOUNT))
            surplus_fen += left[buyer].pop(0) - left[seller].pop(0)
            port.send(withdraw.copy())
    tape = port.events()
    return Run(surplus_fen / greatest, tape[tape["kind"] == EventKind.TRADE])
