"""One product's trading through a season: approvals, quotes, rounds on the screen, blocks, and the books of all.

    morning     desks and sellers list -> rounds of buyers, speculators and noise
    afternoon   groups net, large buyers search -> sellers list -> rounds

Behaviours decide, the port trades, this file calls them in order and books what came back. Ties inside a round are
broken by a drawn permutation, never by a participant's number. It may not know what a position is made of.
"""

from dataclasses import dataclass

import numpy as np

from engine.codes import CommandKind, EventKind, Participant, Rule, Side, TradingMode
from engine.memory import joined
from sim.behaviours import (
    approval,
    block_search,
    buying,
    listing,
    market_making,
    netting,
    noise,
    procrastination,
    reservation,
    speculation,
)
from sim.books import Books, parties
from sim.floor import NO_BLOCKS, Floor
from sim.information import News, Today, look
from sim.measures import Quotes, block_band
from sim.parameters import Parameters
from sim.population import Population
from sim.port import FIRST_ACCOUNT, Opened, Port, confirmation, proposal
from sim.streams import stream

MORNING_ROUNDS, AFTERNOON_ROUNDS = 3, 3
ROUNDS_SECONDS = 90 * 60
"""All rounds of one session, of all products; a session is longer."""
STUCK_DAYS = 3
"""Trading days without a trade on the screen after which sellers take the day's upper limit."""
BASIS = 10_000


@dataclass(frozen=True)
class Wants:
    """What the day's trading begins with, over participants."""

    position_t: np.ndarray
    """Sure to be long (+) or short (-) before any trade of the season in this product, int64."""
    known: np.ndarray
    """Whether the participant knows its position exactly, bool."""
    value_fen: np.ndarray
    """What a unit is worth to each, float."""
    level_fen: float
    """What it is worth to the average holder."""
    most_fen: np.ndarray
    """What each pays at most, whatever the urgency, float."""
    out_of_reach: np.ndarray
    """Who neither trades nor surrenders today, bool."""
    dies: np.ndarray
    """Whether nobody will want its next surplus unit after that day, bool."""
    days_to_death: int


class Market:
    """One product: `instrument` of the port's venue, under its symbol.

    Desks, speculators and noise are there with `main`, the product that is due; others are for who needs them.
    `products` share the time of a session.
    """

    def __init__(
        self, port: Port, instrument: int, people: Population, p: Parameters, seed: int, *, main: bool, products: int
    ) -> None:
        self.symbol = port.book.symbols[instrument]
        self.instrument = instrument
        self.books = Books.empty(len(people.emissions_t))
        self.quotes: list[Quotes] = []
        self._main, self._traded = main, 0
        """Whether this is the product that is due; number of the last day with a trade on the screen."""
        self._round_s = ROUNDS_SECONDS // (MORNING_ROUNDS * products)
        self._port, self._people, self._p, self._seed = port, people, p, seed
        self._count = len(people.emissions_t)
        self._sellers = listing.Sellers(self._count)
        self._closes_fen: list[int] = []
        able = np.flatnonzero(~people.unresponsive & ((people.emissions_t > 0) | people.speculator))
        self._able = able if main else able[:0]
        large = able[np.argsort(-people.emissions_t[able], kind="stable")]
        desks = stream(seed, "desks").choice(large[: max(p.makers, len(large) // 10)], p.makers, replace=False)
        self._desks = desks if main else desks[:0]
        self._speculators = np.flatnonzero(people.speculator & main)

    # ------------------------------------------------------------------------------------------------------- the day

    def begin(self, news: News, opened: Opened, wants: Wants) -> None:
        """A trading day: prices as they open, one day of procrastination and of office work."""
        self._closes_fen.append(opened.close_fen)
        self._news, self._wants = news, wants
        self._floor = Floor(self._port, self.instrument, news.day)
        limits = self._floor.limits_fen(opened)
        self._today: Today = look(news, self._closes_fen, self._p.price_memory_days, self._p.nervousness, limits)
        self._rng = stream(self._seed, f"{self.symbol} day {news.index}")
        self._open = self._port.tradable(self.instrument, news.day) and self._takes_part()
        self._approve()

    @property
    def close_fen(self) -> int:
        """Previous close."""
        return self._closes_fen[-1]

    def morning(self) -> None:
        """Desks and sellers list, then the rounds."""
        if not self._open:
            return
        mood, scatter = self._rng.random(self._count), self._rng.standard_normal(len(self._desks))
        there = self._rng.random(len(self._desks))
        _, for_sale = self._approved()
        self._sellers.quotes(
            self._people, self._p, self._today, for_sale > 0, self._floors_fen(for_sale), self._haste(), mood
        )
        self._send(market_making.rows(self._p, self._today, self._floor, self._desks, scatter, there), self._rng)
        self._list()
        self._rounds(MORNING_ROUNDS)

    def afternoon(self) -> None:
        """Blocks, a second listing, and the rounds."""
        if not self._open:
            return
        if self._floor.block_t != NO_BLOCKS:
            self._blocks()
        self._list()
        self._rounds(AFTERNOON_ROUNDS)

    def position_t(self) -> np.ndarray:
        """Tonnes each is sure to be long (+) or short (-) after its trades; who is out of reach does not trade."""
        position = self._wants.position_t + self.books.bought_t - self.books.sold_t
        return np.where(self._wants.out_of_reach, 0, position)

    def keep_auction(self, events: np.ndarray) -> None:
        """Book what was bought in a sale by the government."""
        self._keep_books(events)

    def reset_approvals(self, who: np.ndarray) -> None:
        """A new position needs a new approval."""
        self.books.progress[who] = 0

    def void(self, events: np.ndarray) -> None:
        """Deals that the close did not confirm are no deals."""
        voided = events[(events["kind"] == EventKind.VOIDED) & (events["instrument"] == self.instrument)]
        if len(voided):
            buyers, sellers = (accounts - FIRST_ACCOUNT for accounts in parties(voided))
            self.books.undo(voided, buyers, sellers)

    # ------------------------------------------------------------------------------------------------------ decisions

    def _takes_part(self) -> bool:
        return bool(self._port.rule(Rule.PARTICIPANTS, self._news.day, self.instrument) >> Participant.COVERED & 1)

    def _approve(self) -> None:
        short = self.position_t() < 0
        self.books.begun |= procrastination.begins(self._people, self._news)
        step = approval.buyer_step(self._people, self._p, self._news, self._wants.known)
        selling_step = approval.seller_step(self._people, self._p, self._wants.known)
        self.books.progress += np.where(short, np.where(self.books.begun, step, 0), selling_step)

    def _approved(self) -> tuple[np.ndarray, np.ndarray]:
        """(tonnes needed, tonnes for sale) of participants with a finished approval, int64; speculators are apart."""
        position = np.where(self._people.speculator, 0, self.position_t())
        approved = self.books.progress >= 1
        need = np.where(approved, np.maximum(0, -position), 0)
        surplus = np.where(approved, np.maximum(0, position), 0)
        known_need = np.where(self._wants.known, np.maximum(0, -position), 0)
        keep = netting.reserved_t(self._people, known_need, surplus)
        return need, np.clip(surplus - keep, 0, self._may_sell_t())

    def _may_sell_t(self) -> np.ndarray:
        """Units in the account, as far as the rulebook lets each sell its allocation."""
        available = self._port.units_t(self._count, self.instrument)
        if self._floor.max_sale_bp < 0:
            return available
        most = self._people.free_t * self._floor.max_sale_bp // BASIS
        covered = self._people.participant == Participant.COVERED
        return np.where(covered, np.clip(most - self.books.sold_t, 0, available), available)

    def _sold_share(self, for_sale: np.ndarray) -> np.ndarray:
        share: np.ndarray = self.books.sold_t / np.maximum(self.books.sold_t + for_sale, 1)
        return share

    def _floors_fen(self, for_sale: np.ndarray) -> np.ndarray:
        """Where nothing trades, or sellers have no use for the units, the upper limit is enough: prices get going.

        Who has no use for them keeps none back, either.
        """
        if not self._main:
            least: np.ndarray = np.minimum(
                self._giving_way_fen(self._wants.value_fen, self._p.willingness_days), self._today.high_fen
            )
            return least
        floor = reservation.seller_floor_fen(self._wants.value_fen, self._p, self._sold_share(for_sale))
        floor = self._giving_way_fen(floor, self._p.urgency_days)
        stuck = self._news.index - self._traded >= STUCK_DAYS
        return np.minimum(floor, self._today.high_fen) if stuck else floor

    def _giving_way_fen(self, floor_fen: np.ndarray, scale_days: float) -> np.ndarray:
        """The floors as they come down towards the day after which nobody will want the units, float."""
        wants = self._wants
        return reservation.floor_of_dying_fen(floor_fen, wants.dies, wants.days_to_death, scale_days)

    def _haste(self) -> np.ndarray:
        """Of who holds units that nobody will want after a date, 1 on that day; of others 0, float."""
        urgency = approval.urgency(self._wants.days_to_death, self._p.urgency_days)
        haste: np.ndarray = np.where(self._wants.dies, urgency, 0.0)
        return haste

    def most_fen(self) -> np.ndarray:
        """Most that each pays today, float."""
        limit = reservation.buyer_limit_fen(self._wants.value_fen, self._wants.level_fen, self._p, self._news)
        most: np.ndarray = np.minimum(limit, self._wants.most_fen)
        return most

    def _list(self) -> None:
        """Sellers list on the screen, or take a bid that meets their quote."""
        _, for_sale = self._approved()
        ready = (for_sale > 0) & ~np.isnan(self._sellers.quote_fen)
        ready[self._desks] = False
        attention = self._rng.random(self._count)
        rows = self._sellers.rows(
            self._p, self._today, self._floor, ready, for_sale, self._floors_fen(for_sale), self._haste(), attention
        )
        self._send(rows, self._rng)

    def _rounds(self, count: int) -> None:
        """Buyers, speculators and noise on the screen. A buyer that acts again takes its earlier bid back first."""
        clicks = noise.day_clicks(self._p, self._today, self._able, self._rng, self._floor.max_t)
        for number in range(count):
            attention, scatter = self._rng.random(self._count), self._rng.standard_normal(self._count)
            self.quotes.append(Quotes.of(self._news.day, self._port.feeds[self.instrument]))
            need, _ = self._approved()
            on_screen = (need < self._large_t()) | (self.books.failures >= self._p.search_patience)
            buyers = np.flatnonzero((need > 0) & on_screen & (attention < buying.attention(self._p, self._today)))
            self._port.send(self._floor.withdraw(buyers, Side.BUY))
            limits = buying.screen_limits_fen(self._p, self._today, self.most_fen(), scatter)[buyers]
            rows = [*buying.rows(self._p, self._today, self._floor, buyers, limits, need[buyers])]
            rows += self._noise_rows(clicks[number::count])
            self._send(joined(rows), self._rng)
            if number == 0:
                self._speculate()
            self._port.advance(self._round_s)

    def _large_t(self) -> int:
        """Need from which a buyer looks for a partner first."""
        if self._floor.block_t == NO_BLOCKS:
            return np.iinfo(np.int64).max
        return max(self._floor.block_t, self._p.block_habit_t)

    def _speculate(self) -> None:
        """Speculators who buy and those who sell: the side that comes second sees what the first has left.

        Who meets the best price of the other side takes what stands there, the others leave an order.
        """
        if len(self._speculators) == 0:
            return
        mood, error = self._rng.random(self._count), self._rng.standard_normal(self._count)
        holds = self._port.units_t(self._count, self.instrument)
        buyers, sellers, limits = speculation.wishes(
            self._p, self._today, self._speculators, holds, self._wants.value_fen * self._p.hoard_premium, mood, error
        )  # fmt: skip
        size = np.full(self._count, min(round(self._p.speculator_t), self._floor.max_t))
        sides = ((buyers, Side.BUY, size), (sellers, Side.SELL, np.minimum(size, holds)))
        for turn in self._rng.permutation(len(sides)):
            who, side, qty = sides[turn]
            price = self._floor.on_tick(limits[who], side)
            best = self._floor.best(Side.SELL if side == Side.BUY else Side.BUY)
            meets = np.zeros(len(who), bool)
            if best is not None:
                meets = price >= best if side == Side.BUY else price <= best
                price[meets] = best
            takers, others = who[meets], who[~meets]
            rows = [
                self._floor.take(takers, side, price[meets], qty[takers]),
                self._floor.rest(others, side, price[~meets], qty[others]),
            ]
            self._send(joined(rows), self._rng)

    def _noise_rows(self, wanted: list[noise.Click]) -> list[np.ndarray]:
        """Takes at the best price of the other side, where there is one and the firm has the units."""
        available = self._port.units_t(self._count, self.instrument) if wanted else np.zeros(0, np.int64)
        found = []
        for who, side, qty in wanted:
            price = self._floor.best(Side.SELL if side == Side.BUY else Side.BUY)
            size = qty if side == Side.BUY else min(qty, int(available[who]))
            if price is not None and size > 0:
                found.append(self._floor.take(np.array([who]), side, np.array([price]), np.array([size])))
        return found

    def _blocks(self) -> None:
        """Groups net, then large buyers search; a bid on the screen is taken back before."""
        least = self._large_t()
        need, _ = self._approved()
        self._port.send(self._floor.withdraw(np.flatnonzero(need >= least), Side.BUY))
        position = np.where(self._people.speculator, 0, self.position_t())
        approved = self.books.progress >= 1
        available = self._port.units_t(self._count, self.instrument)
        inside = np.where(self._wants.known, np.clip(position, 0, available), 0)
        price = self._floor.on_tick(np.array(round(self._p.netting_price * self.close_fen)), Side.BUY)
        deals = netting.deals(self._people, approved & self._wants.known, need, inside, least, int(price))
        self._trade_blocks(deals)
        mood = self._rng.random(self._count)
        need, for_sale = self._approved()
        buyers = block_search.searchers(self._people, self._p, self._news, approved, need, mood, least)
        deals, failed = block_search.search(
            self._p, buyers, need, self.most_fen(), np.flatnonzero(for_sale >= least), for_sale,
            self._floors_fen(for_sale), self.close_fen, block_band(self.close_fen, self._floor.block_bp), least,
            stream(self._seed, f"{self.symbol} search {self._news.index}"),
        )  # fmt: skip
        self.books.failures[failed] += 1
        self._trade_blocks(deals)

    # -------------------------------------------------------------------------------------------------------- trading

    def _trade_blocks(self, deals: list[netting.Deal]) -> None:
        """Propose and confirm; both sides' funds are looked at by the exchange."""
        if not deals:
            return
        order = self._rng.permutation(len(deals))
        tick = self._floor.on_tick
        rows = [
            proposal(buyer, seller, self.instrument, int(tick(np.array(price), Side.BUY)), qty)
            for buyer, seller, price, qty in (deals[n] for n in order)
        ]
        accepted = self._send(joined(rows), None)
        ids = accepted[accepted["kind"] == EventKind.ACCEPTED]
        if len(ids):
            answers = [confirmation(int(e["contra"]) - FIRST_ACCOUNT, int(e["order_id"])) for e in ids]
            self._keep_books(self._port.send(joined(answers)))

    def _send(self, rows: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Deposit what buyers lack, submit in random order (as given without `rng`), keep the books."""
        if len(rows) == 0:
            return rows
        fund(self._port, self._count, rows, self._floor.fee_bp)
        events = self._port.send(rows if rng is None else rows[rng.permutation(len(rows))])
        self._keep_books(events)
        return events

    def _keep_books(self, events: np.ndarray) -> None:
        """Purchases and sales from the tape."""
        trades = events[(events["kind"] == EventKind.TRADE) & (events["instrument"] == self.instrument)]
        if len(trades) == 0:
            return
        buyers, sellers = (accounts - FIRST_ACCOUNT for accounts in parties(trades))
        self.books.keep(trades, buyers, sellers, self._news.day)
        on_screen = trades["mode"] != TradingMode.BLOCK
        if on_screen.any():
            self._traded = self._news.index
        gone = on_screen & (trades["side"] == Side.BUY) & (trades["contra_leaves_qty"] == 0)
        self._sellers.sold_out(sellers[gone & (sellers >= 0)])


def fund(port: Port, count: int, rows: np.ndarray, fee_bp: int) -> None:
    """Deposit what the buyers among COMMAND `rows` lack; beside each tonne the exchange holds its fee, rounded up."""
    buys = rows[rows["side"] == Side.BUY]
    price = buys["price_fen"].astype(np.int64)
    cost_fen = np.zeros(count, np.int64)
    np.add.at(cost_fen, buys["account"] - FIRST_ACCOUNT, (price - -price * fee_bp // BASIS) * buys["qty"])
    missing = cost_fen - port.cash_fen(count)
    port.move(CommandKind.DEPOSIT, np.arange(count), np.maximum(0, missing))
