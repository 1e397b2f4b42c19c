"""One season, day by day: who knows what, who acts, in which order; everything that trades goes through the port.

    day    roll -> true-ups issued -> sellers, desks list -> rounds -> break -> netting, block search -> rounds
    end    surrender, shortfall, fine (`sim/compliance.py`)

Behaviours decide, this file only calls them in order and keeps the firms' books from the events. Ties inside a round
are broken by a drawn permutation, never by a firm's number.
"""

from collections.abc import Callable

import numpy as np

from engine.codes import CommandKind, EventKind, Rule, Side, TradingMode
from engine.rules.schema import find_rulebook
from engine.venue import open_venue
from sim import information, measures
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
)
from sim.books import Books, parties
from sim.compliance import settle
from sim.information import Today
from sim.parameters import Parameters
from sim.population import Population, draw_population
from sim.port import FIRST_ACCOUNT, Port, Venue, clicks, confirmation, proposal
from sim.result import Season
from sim.season import SeasonPlan
from sim.streams import stream

MORNING_ROUNDS, AFTERNOON_ROUNDS = 3, 3
ROUND_SECONDS = 30 * 60

Progress = Callable[[int, int], None]


class World:
    """A season in the making.

    Parameters
    ----------
    engine : "fast" or "reference", in this process
    venue : instead of an engine, a venue that has not traded yet, under the plan's market
    """

    def __init__(
        self, plan: SeasonPlan, p: Parameters, seed: int, engine: str = "fast", venue: Venue | None = None
    ) -> None:
        count = plan.firms
        self.plan, self.p, self.seed, self.count = plan, p, seed, count
        self.people: Population = draw_population(plan, p, seed)
        self.port = Port(*open_venue(plan.market, engine)) if venue is None else Port(find_rulebook(plan.market), venue)
        self.sellers = listing.Sellers(count)
        self.books = Books.empty(count)
        self._true_up_dates = information.true_up_dates(plan, self.people)
        self._known = np.zeros(count, bool)
        active = np.flatnonzero(~self.people.unresponsive)
        self._active = active
        large = active[np.argsort(-self.people.emissions_t[active], kind="stable")]
        self._desks = stream(seed, "desks").choice(large[: len(large) // 10], p.makers, replace=False)
        self._quotes: list[measures.Quotes] = []
        self._closes_fen: list[int] = []

    def run(self, progress: Progress | None = None) -> Season:
        """All days, then compliance. Returns the finished season; the venue asserts its invariants."""
        everyone = np.arange(self.count)
        self.port.open_accounts(self.people.group)
        self.port.move(CommandKind.ISSUE, everyone, self.people.preallocated_t)
        for index, day in enumerate(self.plan.days):
            self._day(index, day)
            if progress:
                progress(index + 1, len(self.plan.days))
        outcome = settle(self.plan, self.people, self.port, everyone)
        events = self.port.events()
        return Season(
            days=measures.day_table(self.plan.days, events, self._quotes),
            firms=measures.firm_table(self.people, self.books, outcome),
            events=events,
            accounts=self.port.totals(),
            digest=self.port.digest(),
        )

    def _day(self, index: int, day: np.datetime64) -> None:
        phases = self.port.begin_day(day)
        self._max_t = self.port.rule(Rule.SCREEN_MAX_QTY_T, day)
        self._block_t = self.port.rule(Rule.BLOCK_MIN_QTY_T, day)
        self._block_bp = self.port.rule(Rule.BLOCK_BAND_BP, day)
        self._closes_fen.append(self.port.close_fen)
        limits = self.port.low_fen, self.port.high_fen
        today = information.look(self.plan, day, index, self._closes_fen, self.p.price_memory_days, limits)
        self._true_up(day)
        rng = stream(self.seed, f"day {index}")
        self._approve(today)
        for phase in phases:
            self.port.enter_phase(phase)
            name = int(phase["phase"][0])
            if name == measures.MORNING:
                self._open_screen(today, rng)
                self._rounds(today, rng, MORNING_ROUNDS)
            elif name == measures.AFTERNOON:
                self._blocks(today, rng)
                self._list(today, rng)
                self._rounds(today, rng, AFTERNOON_ROUNDS)

    def _true_up(self, day: np.datetime64) -> None:
        """Final allocations and offsets of the firms whose approval is due; a new position needs a new approval."""
        due = np.flatnonzero(~self._known & (self._true_up_dates <= day))
        self._known[due] = True
        self.books.progress[due] = 0
        self.port.move(CommandKind.ISSUE, due, (self.people.free_t - self.people.preallocated_t)[due])
        self.port.move(CommandKind.ISSUE, due, self.people.offsets_t[due], instrument=1)

    def _position_t(self) -> np.ndarray:
        """Tonnes each firm is sure to be long (+) or short (-) after its trades; firms out of reach do not trade."""
        sure = information.sure_position(self.people, self.p, self._known)
        position = sure + self.books.bought_t - self.books.sold_t
        return np.where(self.people.unresponsive, 0, position)

    def _approve(self, today: Today) -> None:
        """One day of procrastination and of office work."""
        short = self._position_t() < 0
        self.books.begun |= procrastination.begins(self.people, today)
        buying_step = np.where(self.books.begun, approval.buyer_step(self.people, self.p, today, self._known), 0)
        selling_step = approval.seller_step(self.people, self.p, self._known)
        self.books.progress += np.where(short, buying_step, selling_step)

    def _approved(self) -> tuple[np.ndarray, np.ndarray]:
        """(tonnes needed, tonnes for sale) of firms with a finished approval, int64."""
        position = self._position_t()
        approved = self.books.progress >= 1
        need = np.where(approved, np.maximum(0, -position), 0)
        surplus = np.where(approved, np.maximum(0, position), 0)
        keep = netting.reserved_t(self.people, np.where(self._known, np.maximum(0, -position), 0), surplus)
        available = self.port.units_t(self.count)
        return need, np.clip(surplus - keep, 0, available)

    def _open_screen(self, today: Today, rng: np.random.Generator) -> None:
        """Sellers set today's quotes; desks quote; the first listings."""
        _, for_sale = self._approved()
        mood, desk_scatter = rng.random(self.count), rng.standard_normal(len(self._desks))
        sold_share = self.books.sold_t / np.maximum(self.books.sold_t + for_sale, 1)
        self.sellers.quotes(self.people, self.p, today, for_sale > 0, sold_share, mood)
        self._send_funded(market_making.rows(self.p, today, self._desks, desk_scatter), rng)
        self._list(today, rng)

    def _list(self, today: Today, rng: np.random.Generator) -> None:
        """Sellers list on the screen, or click a bid that meets their quote."""
        _, for_sale = self._approved()
        ready = for_sale > 0
        ready[self._desks] = False
        best_bid = self.port.best(Side.BUY)
        rows = self.sellers.rows(self.p, today, ready, for_sale, rng.random(self.count), best_bid, self._max_t)
        self._send_funded(rows, rng)

    def _rounds(self, today: Today, rng: np.random.Generator, count: int) -> None:
        """Buyers and noise on the screen."""
        noise_clicks = noise.day_clicks(self.p, self._active, rng, self._max_t)
        for number in range(count):
            attention, scatter = rng.random(self.count), rng.standard_normal(self.count)
            self._quotes.append(measures.Quotes.of(today.day, self.port.depth))
            need, _ = self._approved()
            on_screen = (need < self._block_t) | (self.books.failures >= self.p.search_patience)
            firms = np.flatnonzero((need > 0) & on_screen & (attention < self.p.buying_attention))
            limits = buying.screen_limits_fen(self.people, self.p, today, scatter)[firms]
            taken, bids = buying.rows(self.p, firms, limits, need[firms], self.port.best(Side.SELL), self._max_t)
            self._send_funded(np.concatenate([taken, bids, *self._noise_rows(noise_clicks[number::count])]), rng)
            self.port.advance(ROUND_SECONDS)

    def _noise_rows(self, wanted: list[noise.Click]) -> list[np.ndarray]:
        """Clicks at the best price of the other side, where there is one and the firm has the units."""
        available = self.port.units_t(self.count) if wanted else np.zeros(0, np.int64)
        found = []
        for firm, side, qty in wanted:
            price = self.port.best(Side.SELL if side == Side.BUY else Side.BUY)
            size = qty if side == Side.BUY else min(qty, int(available[firm]))
            if price is not None and size > 0:
                found.append(clicks(np.array([firm]), side, np.array([price]), np.array([size])))
        return found

    def _blocks(self, today: Today, rng: np.random.Generator) -> None:
        """Groups net, then large buyers search."""
        position = self._position_t()
        approved = self.books.progress >= 1
        available = self.port.units_t(self.count)
        inside = np.where(self._known, np.clip(position, 0, available), 0)
        need, _ = self._approved()
        deals = netting.deals(self.people, self.p, today, approved & self._known, need, inside, self._block_t)
        self._trade_blocks(deals, rng)
        mood = rng.random(self.count)
        need, for_sale = self._approved()
        buyers = block_search.searchers(self.people, self.p, today, approved, need, mood, self._block_t)
        limit = reservation.buyer_limit_fen(self.people, self.p, today)
        total = self.books.sold_t + for_sale
        floor = reservation.seller_floor_fen(self.people, self.p, self.books.sold_t / np.maximum(total, 1))
        band = measures.block_band(today.close_fen, self._block_bp)
        search_rng = stream(self.seed, f"search {today.index}")
        deals, failed = block_search.search(
            self.p, buyers, need, limit, np.flatnonzero(for_sale >= self._block_t), for_sale, floor, today.close_fen,
            band, self._block_t, search_rng,
        )  # fmt: skip
        self.books.failures[failed] += 1
        self._trade_blocks(deals, rng)

    def _trade_blocks(self, deals: list[netting.Deal], rng: np.random.Generator) -> None:
        """Propose and confirm; both sides' funds are looked at by the exchange."""
        if not deals:
            return
        order = rng.permutation(len(deals))
        rows = np.concatenate([proposal(*deals[n]) for n in order])
        accepted = self._send_funded(rows, None)
        ids = accepted[accepted["kind"] == EventKind.ACCEPTED]
        answers = [confirmation(int(e["contra"]) - FIRST_ACCOUNT, int(e["order_id"])) for e in ids]
        self._keep_books(self.port.send(np.concatenate(answers)))

    def _send_funded(self, rows: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Deposit what buyers lack, submit in random order (as given without `rng`), keep the books."""
        if len(rows) == 0:
            return rows
        buys = rows[rows["side"] == Side.BUY]
        cost_fen = np.zeros(self.count, np.int64)
        np.add.at(cost_fen, buys["account"] - FIRST_ACCOUNT, buys["price_fen"].astype(np.int64) * buys["qty"])
        missing = cost_fen - self.port.cash_fen(self.count)
        self.port.move(CommandKind.DEPOSIT, np.arange(self.count), np.maximum(0, missing))
        events = self.port.send(rows if rng is None else rows[rng.permutation(len(rows))])
        self._keep_books(events)
        return events

    def _keep_books(self, events: np.ndarray) -> None:
        """Purchases and sales from the tape."""
        trades = events[events["kind"] == EventKind.TRADE]
        if len(trades) == 0:
            return
        buyers, sellers = (accounts - FIRST_ACCOUNT for accounts in parties(trades))
        self.books.keep(trades, buyers, sellers, measures.day_of(self.port.timetable, int(trades["time_ns"][0])))
        taken = (trades["mode"] == TradingMode.LISTED) & (trades["side"] == Side.BUY)
        gone = taken & (trades["contra_leaves_qty"] == 0)
        self.sellers.sold_out(sellers[gone])
