"""How intentions become commands on a listed and a continuous screen and without one, and what the exchange refuses.

A refused command has its reason and changes no account.
"""

import numpy as np
import pytest

from engine.codes import CommandKind, EventKind, Participant, Phase, RejectReason, Side, TradingMode
from engine.records import command
from engine.venue import open_engine
from sim.floor import NO_BLOCKS, Floor
from sim.measures import block_band
from sim.port import FIRST_ACCOUNT, GOVERNMENT, Port
from tests.sim.small import small

LISTED, CONTINUOUS, OFFERS, COARSE_TICK = "cea-2021", "hbea-2017", "cqea-2017", "bea-2017"
SELLER, OTHER, BUYER, FUND = range(4)
"""Participants: three firms, and an institution where the rulebook admits one."""


class Hall:
    """One product of a season on its first day, in the morning; sellers have 1,000 units, buyers the cash."""

    def __init__(self, name: str, symbol: str | None = None, day: np.datetime64 | None = None) -> None:
        plan = small(name, firms=10)
        self.plan, self.day = plan, plan.days[0] if day is None else day
        self.port = Port(plan.book, open_engine(plan.book))
        self.instrument = plan.instrument(symbol or plan.product.symbol)
        kinds = np.array([Participant.COVERED] * 3 + [Participant.INSTITUTION])
        self.port.open_accounts(np.full(4, -1), kinds)
        _, opened = self.port.roll(self.day)
        self.opened = opened[self.instrument]
        self.port.move(CommandKind.ISSUE, np.arange(2), np.array([1_000, 1_000]), self.instrument)
        self.port.move(CommandKind.DEPOSIT, np.arange(2, 4), np.full(2, 10**9))
        self.floor = Floor(self.port, self.instrument, self.day)
        for phase in self.port.phases(self.day):
            self.port.enter_phase(phase)
            if phase["phase"][0] in (Phase.MORNING, Phase.OPEN):
                break

    def rest(self, who: int, side: Side, price: int, qty: int) -> np.ndarray:
        """Events of one standing order or offer."""
        rows = self.floor.rest(np.array([who]), side, np.array([price]), np.array([qty]))
        return self.port.send(rows)

    def take(self, who: int, side: Side, limit: int, qty: int) -> np.ndarray:
        """Events of one take."""
        return self.port.send(self.floor.take(np.array([who]), side, np.array([limit]), np.array([qty])))

    def accounts(self) -> tuple[list[int], list[int], dict[str, dict[str, int]]]:
        """Cash and free units of all, and where everything is."""
        cash, units = self.port.cash_fen(4), self.port.units_t(4, self.instrument)
        return cash.tolist(), units.tolist(), self.port.totals()

    def refuses(self, reason: RejectReason, who: int, side: Side, price: int, qty: int) -> None:
        """Assert that a standing order is refused for this reason, and that no account has changed."""
        before = self.accounts()
        events = self.rest(who, side, price, qty)
        assert events["kind"].tolist() == [EventKind.REJECTED]
        assert RejectReason(int(events["reason"][0])) == reason
        assert self.accounts() == before


def traded(events: np.ndarray) -> list[tuple[int, int]]:
    """(price, tonnes) of the trades among events."""
    trades = events[events["kind"] == EventKind.TRADE]
    return list(zip(trades["price_fen"].tolist(), trades["qty"].tolist(), strict=True))


@pytest.mark.parametrize(
    ("name", "mode", "kinds"),
    [
        (LISTED, TradingMode.LISTED, (CommandKind.NEW, CommandKind.CLICK)),
        (CONTINUOUS, TradingMode.CONTINUOUS, (CommandKind.NEW, CommandKind.NEW)),
        (OFFERS, TradingMode.NO_SCREEN, (CommandKind.OFFER, CommandKind.TAKE)),
    ],
)
def test_standing_and_taking_are_what_the_market_calls_them(
    name: str, mode: TradingMode, kinds: tuple[CommandKind, CommandKind]
) -> None:
    hall = Hall(name)
    close = hall.opened.close_fen
    rows = hall.floor.rest(np.array([SELLER]), Side.SELL, np.array([close]), np.array([10]))
    assert hall.floor.mode == mode
    assert rows["kind"].tolist() == [kinds[0]]
    hall.port.send(rows)
    rows = hall.floor.take(np.array([BUYER]), Side.BUY, np.array([close]), np.array([10]))
    assert rows["kind"].tolist() == [kinds[1]]
    assert traded(hall.port.send(rows)) == [(close, 10)]


@pytest.mark.parametrize("name", [LISTED, CONTINUOUS, OFFERS])
def test_what_stands_on_one_side_is_taken_back_and_nothing_else(name: str) -> None:
    hall = Hall(name)
    close = hall.opened.close_fen
    hall.rest(BUYER, Side.BUY, close - 10, 5)
    hall.rest(SELLER, Side.SELL, close + 20, 7)
    hall.port.send(hall.floor.withdraw(np.array([BUYER, SELLER]), Side.BUY))
    assert (hall.floor.best(Side.BUY), hall.floor.best(Side.SELL)) == (None, close + 20)


@pytest.mark.parametrize(("name", "tick"), [(LISTED, 1), (CONTINUOUS, 1), (OFFERS, 1), (COARSE_TICK, 10)])
def test_bids_are_rounded_down_and_asks_up_to_the_tick(name: str, tick: int) -> None:
    hall = Hall(name)
    prices = np.array([10 * tick + 0.4 * tick, 10 * tick])
    assert hall.floor.on_tick(prices, Side.BUY).tolist() == [10 * tick, 10 * tick]
    assert hall.floor.on_tick(prices, Side.SELL).tolist() == [11 * tick, 10 * tick]


def test_limits_of_the_screen_are_the_days_and_of_offers_the_band_around_the_close() -> None:
    hall = Hall(LISTED)
    close = hall.opened.close_fen
    assert hall.floor.limits_fen(hall.opened) == (hall.opened.low_fen, hall.opened.high_fen)
    assert (hall.opened.low_fen, hall.opened.high_fen) == (close * 9 // 10, close * 11 // 10)
    hall = Hall(OFFERS)
    assert hall.floor.limits_fen(hall.opened) == block_band(hall.opened.close_fen, 2_000) == (800, 1_200)


def test_a_market_without_blocks_says_so() -> None:
    assert Hall(LISTED).floor.block_t == 100_000
    assert NO_BLOCKS < 0


def test_takers_are_served_in_turn_from_the_best_offers() -> None:
    hall = Hall(OFFERS)
    hall.rest(SELLER, Side.SELL, 1_010, 100)
    hall.rest(OTHER, Side.SELL, 990, 60)
    who, limits = np.array([BUYER, FUND]), np.array([1_000, 1_100])
    rows = hall.floor.take(who, Side.BUY, limits, np.array([50, 80]))
    assert [(int(r["account"]) - FIRST_ACCOUNT, int(r["price_fen"]), int(r["qty"])) for r in rows] == [
        (BUYER, 990, 50), (FUND, 990, 10), (FUND, 1_010, 70),
    ]  # fmt: skip
    assert traded(hall.port.send(rows)) == [(990, 50), (990, 10), (1_010, 70)]
    assert len(hall.floor.take(np.array([BUYER]), Side.BUY, np.array([900]), np.array([5]))) == 0
    assert len(hall.floor.take(np.array([], np.int64), Side.BUY, np.array([]), np.array([]))) == 0


# -------------------------------------------------------------------------------------------- what the exchange refuses


def test_units_of_a_sale_for_surrender_cannot_be_traded() -> None:
    day = np.datetime64("2017-06-29")
    hall = Hall("shea-2017", "SHEAA17", day)
    hall.refuses(RejectReason.NOT_TRADABLE_TODAY, SELLER, Side.SELL, hall.opened.close_fen, 10)
    assert not hall.port.tradable(hall.instrument, day)


def test_shanghais_allowance_is_refused_before_18_november_and_on_the_deadline() -> None:
    for day in ("2016-07-01", "2016-11-17", "2017-06-30"):
        hall = Hall("shea-2017", day=np.datetime64(day))
        hall.refuses(RejectReason.NOT_TRADABLE_TODAY, SELLER, Side.SELL, hall.opened.close_fen, 10)
    hall = Hall("shea-2017", day=np.datetime64("2016-11-18"))
    assert hall.rest(SELLER, Side.SELL, hall.opened.close_fen, 10)["kind"][0] == EventKind.ACCEPTED


def test_the_national_market_admits_covered_firms_alone() -> None:
    hall = Hall(LISTED)
    hall.refuses(RejectReason.NOT_ADMITTED, FUND, Side.BUY, hall.opened.close_fen, 10)
    assert hall.rest(BUYER, Side.BUY, hall.opened.close_fen, 10)["kind"][0] == EventKind.ACCEPTED
    elsewhere = Hall(CONTINUOUS)
    assert elsewhere.rest(FUND, Side.BUY, elsewhere.opened.close_fen, 10)["kind"][0] == EventKind.ACCEPTED


def test_a_firm_in_chongqing_sells_half_of_its_allocation() -> None:
    hall = Hall(OFFERS)
    close = hall.opened.close_fen
    hall.rest(SELLER, Side.SELL, close, 400)
    assert traded(hall.take(BUYER, Side.BUY, close, 400)) == [(close, 400)]
    hall.refuses(RejectReason.SALE_LIMIT, SELLER, Side.SELL, close, 101)
    assert hall.rest(SELLER, Side.SELL, close, 100)["kind"][0] == EventKind.ACCEPTED


@pytest.mark.parametrize("name", [LISTED, CONTINUOUS, "gdea-2017", "shea-2016"])
def test_what_was_bought_today_is_sold_tomorrow(name: str) -> None:
    hall = Hall(name)
    close = hall.opened.close_fen
    hall.rest(SELLER, Side.SELL, close, 200)
    assert traded(hall.take(BUYER, Side.BUY, close, 200)) == [(close, 200)]
    hall.refuses(RejectReason.T_PLUS_1, BUYER, Side.SELL, close, 10)
    hall.port.roll(hall.plan.days[1])
    for phase in hall.port.phases(hall.plan.days[1])[:1]:
        hall.port.enter_phase(phase)
    floor = Floor(hall.port, hall.instrument, hall.plan.days[1])
    rows = floor.rest(np.array([BUYER]), Side.SELL, np.array([close]), np.array([10]))
    assert hall.port.send(rows)["kind"][0] == EventKind.ACCEPTED


def test_nobody_sells_what_he_has_not_or_buys_without_cash() -> None:
    hall = Hall(LISTED)
    close = hall.opened.close_fen
    hall.refuses(RejectReason.INSUFFICIENT_ALLOWANCE, BUYER, Side.SELL, close, 1)
    hall.refuses(RejectReason.INSUFFICIENT_CASH, SELLER, Side.BUY, close, 1)
    hall.refuses(RejectReason.PRICE_ABOVE_LIMIT, SELLER, Side.SELL, hall.opened.high_fen + 1, 1)


def test_only_the_government_and_firms_meet_in_a_sale_to_firms() -> None:
    hall = Hall("shea-2017", "SHEAA17", np.datetime64("2017-06-30"))
    hall.port.issue_to_government(hall.instrument, 500)
    announced = hall.port.send(command(
        CommandKind.ANNOUNCE, account=GOVERNMENT, instrument=hall.instrument, side=Side.SELL, qty=500, price_fen=1_000,
    ))  # fmt: skip
    assert announced["kind"][-1] == EventKind.ANNOUNCED
    before = hall.accounts()
    bid = hall.port.send(command(
        CommandKind.BID, account=FUND + FIRST_ACCOUNT, instrument=hall.instrument,
        target_id=int(announced["order_id"][-1]), side=Side.BUY, qty=10, price_fen=1_000,
    ))  # fmt: skip
    assert RejectReason(int(bid["reason"][0])) == RejectReason.NOT_ADMITTED
    assert hall.accounts() == before
