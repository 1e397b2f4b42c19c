"""Sales by the government 有偿发放: units are issued to it, announced with a floor, and sold to sealed bids.

    notice (a fact of the season) -> floor from it or from the screen's own mean -> ANNOUNCE -> bids -> END_STAGE

What the rulebook says of auctions (uniform or as bid, whole or part, all or nothing, who may bid) is the exchange's.
This file may not set a price that the notice does not give.
"""

import numpy as np

from engine.codes import CommandKind, EventKind, RejectReason, Rule, Side, TradingMode
from engine.memory import joined
from engine.records import command, empty_commands
from sim.facts import Sale
from sim.floor import Floor
from sim.market import fund
from sim.measures import block_band, mean_price_fen
from sim.parameters import Parameters
from sim.port import FIRST_ACCOUNT, GOVERNMENT, Port
from sim.result import SaleResult

FEN = 100
BASIS = 10_000


def floor_fen(sale: Sale, days: np.ndarray) -> float:
    """Floor of the notice in fen; `days`: the product's DAY rows so far."""
    if sale.floor_cny is not None:
        return sale.floor_cny * FEN
    assert sale.floor_multiple is not None
    first = np.datetime64(sale.floor_from) if sale.floor_from else days["date"][0]
    floor = sale.floor_multiple * mean_price_fen(days, first, np.datetime64(sale.date) - 1)
    return floor if sale.floor_cap_cny is None else min(floor, sale.floor_cap_cny * FEN)


def hold_sale(
    sale: Sale,
    port: Port,
    instrument: int,
    p: Parameters,
    day: np.datetime64,
    days: np.ndarray,
    need_t: np.ndarray,
    most_fen: np.ndarray,
    mood: np.ndarray,
) -> tuple[SaleResult, np.ndarray]:
    """(result, TRADE rows) of one sale; whoever is short and can pay the floor bids.

    `days`: DAY rows of the main product; over participants: `need_t` short with certainty, `most_fen` limit, `mood` one
    uniform. Where the rulebook keeps the reserve near the opening price, the floor is the nearest it admits.
    """
    floor = Floor(port, instrument, day)
    reserve = float(floor_fen(sale, days))
    band = port.rule(Rule.AUCTION_RESERVE_BAND_BP, day, instrument)
    reserve = int(floor.on_tick(np.array(reserve), Side.SELL))
    if band >= 0:
        low, high = block_band(int(days["close_fen"][-1]), band)
        reserve = int(
            np.clip(reserve, floor.on_tick(np.array(low), Side.SELL), floor.on_tick(np.array(high), Side.BUY))
        )
    if not port.tradable(instrument, day):  # good for surrender alone: nothing to lock
        port.send(command(CommandKind.SET_RULE, instrument=instrument, rule=Rule.UNITS_T_PLUS, amount_fen=0))
    port.issue_to_government(instrument, sale.offered_t)
    announced = port.send(command(
        CommandKind.ANNOUNCE, account=GOVERNMENT, instrument=instrument, side=Side.SELL, qty=sale.offered_t,
        price_fen=reserve,
    ))  # fmt: skip
    if announced["kind"][-1] == EventKind.REJECTED:
        reason = RejectReason(int(announced["reason"][-1])).name
        return SaleResult(day, sale.symbol, sale.offered_t, 0, reserve, 0, reason), announced[:0]
    auction = int(announced["order_id"][announced["kind"] == EventKind.ANNOUNCED][0])
    limits = floor.on_tick(most_fen * (1 - p.bid_shading * mood), Side.BUY)
    share = sale.max_share_of_need or 1.0
    most_share = port.rule(Rule.AUCTION_MAX_SHARE_BP, day, instrument)
    most_t = sale.offered_t * most_share // BASIS if most_share >= 0 else sale.offered_t
    wanted = np.minimum(np.floor(share * need_t), most_t).astype(np.int64)
    least = max(1, port.rule(Rule.AUCTION_MIN_BID_T, day, instrument))
    bidders = np.flatnonzero((wanted >= least) & (limits >= reserve))
    rows = empty_commands(len(bidders))
    rows["kind"], rows["account"], rows["instrument"] = CommandKind.BID, bidders + FIRST_ACCOUNT, instrument
    rows["target_id"], rows["side"] = auction, Side.BUY
    rows["qty"], rows["price_fen"] = wanted[bidders], limits[bidders]
    tape = []
    if len(rows):
        fund(port, len(need_t), rows, floor.fee_bp)
        tape.append(port.send(rows[np.argsort(mood[bidders], kind="stable")]))
    while True:
        events = port.send(command(CommandKind.END_STAGE, target_id=auction))
        tape.append(events)
        if (events["kind"] != EventKind.STAGE_ENDED).any():
            break
    events = joined(tape)
    trades = events[(events["kind"] == EventKind.TRADE) & (events["mode"] == TradingMode.AUCTION)]
    sold = int(trades["qty"].sum())
    value = int(trades["amount_fen"].sum())
    return SaleResult(day, sale.symbol, sale.offered_t, sold, reserve, round(value / sold) if sold else 0, ""), trades
