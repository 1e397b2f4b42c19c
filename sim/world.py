"""One season, day by day: who knows what, who acts, in which order; everything that trades goes through the port.

    day    roll -> true-ups issued -> positions -> morning (sales by the government, screen) -> break -> afternoon
           (blocks, screen) -> evening (registry: deadline, correction, collection)
    end    one more roll, so that the last day has its closing price

`sim/market.py` trades one product, `sim/registry.py` looks at duties; this file says what each market's day begins
with.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.codes import CommandKind, Phase
from engine.venue import open_engine
from sim import information, measures
from sim.behaviours.reservation import private_value_fen
from sim.facts import Carry, DateKind, Sale
from sim.government import hold_sale
from sim.information import News
from sim.market import Market, Wants
from sim.parameters import Parameters
from sim.population import Population, draw_population
from sim.port import FIRST_ACCOUNT, Port, Venue
from sim.reductions import Reductions
from sim.registry import Registry, borrowed_t, due_dates
from sim.result import SaleResult, Season
from sim.season import SeasonPlan
from sim.streams import stream

FEN = 100
FOR_EVER = np.inf

Progress = Callable[[int, int], None]


class World:
    """A season in the making.

    Parameters
    ----------
    engine : "fast" or "reference", in this process
    venue : instead of an engine, a venue that has not traded yet, under the plan's rulebook
    """

    def __init__(
        self, plan: SeasonPlan, p: Parameters, seed: int, engine: str = "fast", venue: Venue | None = None
    ) -> None:
        self.plan, self.p, self.seed = plan, p, seed
        self.people: Population = draw_population(plan, p, seed)
        self.count = len(self.people.emissions_t)
        self.port = Port(plan.book, open_engine(plan.book, engine) if venue is None else venue)
        self.registry = Registry(plan, self.people, self.port)
        self._out_of_reach = self.people.unresponsive.copy()
        self._known = np.zeros(self.count, bool)
        self._true_up_dates = information.true_up_dates(plan, self.people)
        self._left_at_start = np.zeros(self.count, np.int64)
        """Calendar days to the nearest binding date when the firm turned to its need."""
        self._special_t = np.zeros(self.count, np.int64)
        """Bought in sales of units that are good for surrender alone."""
        self._borrowed_t = borrowed_t(plan, self.people)
        self._reductions = Reductions(plan, self.people, p, seed)
        self._abated_t = np.zeros(self.count, np.int64)
        self._sales: list[SaleResult] = []
        self._evenings = due_dates(plan)
        units = plan.offsets.units if plan.offsets else []
        self._offset_markets = {number: self._market(unit.symbol) for number, unit in enumerate(units)}
        self._unissued = {number: np.datetime64(unit.issued_on) for number, unit in enumerate(units)}
        """Offsets that holders have not brought here yet, and the day on which they exist."""
        symbols = [unit.symbol for unit in units]
        self._main = (
            self._offset_markets[symbols.index(plan.product.symbol)]
            if self.plan.offsets_only
            else self._market(plan.product.symbol)
        )
        offset_markets = [market for market in self._offset_markets.values() if market is not self._main]
        self._markets = [*offset_markets, self._main]

    def _market(self, symbol: str) -> Market:
        main = symbol == self.plan.product.symbol
        units = self.plan.offsets.units if self.plan.offsets else []
        products = len({self.plan.product.symbol, *(unit.symbol for unit in units)})
        return Market(
            self.port, self.plan.instrument(symbol), self.people, self.p, self.seed, main=main, products=products
        )

    def run(self, progress: Progress | None = None) -> Season:
        """All days, then what is left to do. Returns the finished season; the venue asserts its invariants."""
        everyone, people = np.arange(self.count), self.people
        self.port.open_accounts(people.group, people.participant)
        if not self.plan.offsets_only:
            first = people.preallocated_t + people.carried_t
            self.port.move(CommandKind.ISSUE, everyone, first, self._main.instrument)
        days = self.plan.days
        for index, day in enumerate(days):
            self._day(index, day)
            if progress:
                progress(index + 1, len(days))
        self._evening(days[-1], last=True)
        events, _ = self.port.roll(self.plan.last_day + 1)
        for market in self._markets:
            market.void(events)
        return self._result()

    def _result(self) -> Season:
        events = self.port.events()
        tables = {m.symbol: measures.day_table(self.plan.days, events, m.quotes, m.instrument) for m in self._markets}
        deadline = self.plan.deadline
        return Season(
            days=tables.pop(self._main.symbol),
            firms=measures.firm_table(self.people, self._main.books, self.registry, self._abated_t),
            events=events,
            products=tables,
            sales=tuple(self._sales),
            deadline=deadline.day if deadline else None,
            penalty_price_fen=self.registry.penalty_price_fen,
            achieved=self._achieved(),
            refused=dict(self.registry.refused),
            accounts=self.port.totals(),
            digest=self.port.digest(),
        )

    def _achieved(self) -> dict[str, Any]:
        """Tonnes abated, social cost, and how near that was to the least cost of the same cap."""
        people = self.people
        held = people.free_t + people.carried_t + people.offsets_t + self._borrowed_t
        firms = slice(0, people.firms)
        offsets = sum(
            int(people.stock_t[:, number].sum())
            for number in self._offset_markets
            if self._eligible(number, self.plan.last_day)
        )
        sold = sum(sale.sold_t for sale in self._sales)
        supply = int((held - people.duty_t)[firms].sum()) + offsets + sold
        return self._reductions.verdict((people.duty_t - held)[firms], supply, int(self.registry.shortfall_t.sum()))

    # ------------------------------------------------------------------------------------------------------- the day

    def _day(self, index: int, day: np.datetime64) -> None:
        events, opened = self.port.roll(day)
        self._today = day
        news = information.news(self.plan, self.p, day, index)
        begun = self._main.books.begun
        self._left_at_start = np.where(begun, self._left_at_start, news.days_to_binding(self.people))
        for market in self._markets:
            market.void(events)
        self._true_up(day)
        self._reductions.decide(day, index, opened[self._main.instrument].close_fen)
        self._abated_t = self._reductions.abated_t()
        for market in self._markets:
            wants = self._wants(market, news, opened[self._main.instrument].close_fen)
            market.begin(news, opened[market.instrument], wants)
        for phase in self.port.phases(day):
            self.port.enter_phase(phase)
            name = int(phase["phase"][0])
            if name in (Phase.MORNING, Phase.OPEN):
                for sale in self.plan.sales:
                    if np.datetime64(sale.date) == day:
                        self._sell(sale, day)
                for market in self._markets:
                    market.morning()
            elif name == Phase.AFTERNOON:
                for market in self._markets:
                    market.afternoon()
        self._evening(day, last=False)

    def _true_up(self, day: np.datetime64) -> None:
        """Final allocations of the firms whose approval is due, and offsets on the day on which they exist."""
        people = self.people
        due = np.flatnonzero(~self._known & (self._true_up_dates <= day))
        self._known[due] = True
        if not self.plan.offsets_only:
            change = (people.free_t - people.preallocated_t)[due]
            self.port.move(CommandKind.ISSUE, due, change, self._main.instrument)
            self.port.move(CommandKind.DEDUCT, due, self._returned(due, -change), self._main.instrument)
        for market in self._markets:
            market.reset_approvals(due)
        for number in [number for number, since in self._unissued.items() if since <= day]:
            del self._unissued[number]
            instrument = self._offset_markets[number].instrument
            self.port.move(CommandKind.ISSUE, np.arange(self.count), people.stock_t[:, number], instrument)

    def _returned(self, due: np.ndarray, excess: np.ndarray) -> np.ndarray:
        """Units that a cut takes back, as far as they are still there."""
        there = self.port.units_t(self.count, self._main.instrument)[due]
        returned: np.ndarray = np.clip(excess, 0, there)
        return returned

    # ------------------------------------------------------------------------------------------------------ positions

    def _wants(self, market: Market, news: News, close_fen: int) -> Wants:
        if market is self._main and not self.plan.offsets_only:
            return self._allowance_wants(news)
        return self._offset_wants(market, news, close_fen)

    def _exact_t(self) -> np.ndarray:
        """Allowances that each will have beyond its duty without trading in them, t; negative = short."""
        people = self.people
        offsets = people.offsets_t + np.minimum(self._offsets_bought_t(), people.offset_cap_t)
        units = people.free_t + people.carried_t + self._borrowed_t + self._special_t
        exact: np.ndarray = units + offsets + self._abated_t - people.duty_t
        return exact

    def _offsets_bought_t(self) -> np.ndarray:
        """Eligible offsets bought on this exchange, t."""
        bought = np.zeros(self.count, np.int64)
        for number, market in self._offset_markets.items():
            if self._eligible(number, self._today):
                bought += market.books.bought_t - market.books.sold_t
        return np.where(self.people.emissions_t > 0, bought, 0)

    def _eligible(self, number: int, day: np.datetime64) -> bool:
        offsets = self.plan.offsets
        return offsets is not None and offsets.rule(day).admits(offsets.units[number]) is None

    def _room_t(self) -> np.ndarray:
        """Offsets that each firm could still surrender, t: within its cap, short or not if allowances trade beside."""
        left = np.maximum(0, self.people.offset_cap_t - self.people.offsets_t - self._offsets_bought_t())
        room = np.minimum(left, self._short_t()) if self.plan.offsets_only else left
        return np.where(self._known & ~self._out_of_reach, room, 0)

    def _short_t(self) -> np.ndarray:
        """Allowances that each still lacks after its trades in them, t."""
        own = self._main.books.bought_t - self._main.books.sold_t if not self.plan.offsets_only else 0
        short: np.ndarray = np.maximum(0, -(self._exact_t() + own))
        return short

    def _allowance_wants(self, news: News) -> Wants:
        people, p = self.people, self.p
        sigma = information.need_sigma(self.plan, p, news.day)
        sure = information.sure_position(people, p, self._known, self._exact_t(), sigma)
        room = np.minimum(self._room_t(), self._short_t())
        sure = sure + np.where(self._waits_for_offsets(news), room, 0)
        dies, days_to_death = self._dying(news, sure)
        level_fen = FEN * p.value_level * self._scarcity(news.day)
        return Wants(
            position_t=np.where(self._out_of_reach, 0, sure),
            known=self._known,
            value_fen=private_value_fen(people, p, level_fen),
            level_fen=level_fen,
            most_fen=np.full(self.count, FOR_EVER),
            out_of_reach=self._out_of_reach,
            dies=dies,
            days_to_death=days_to_death,
        )

    def _waits_for_offsets(self, news: News) -> np.ndarray:
        """Whether each firm still leaves room for offsets: for a share of the days that it had when it began, bool."""
        here = any(self._eligible(number, news.day) for number in self._offset_markets)
        waits: np.ndarray = here & (news.days_to_binding(self.people) > self.p.offset_patience * self._left_at_start)
        return waits

    def _scarcity(self, day: np.datetime64) -> float:
        """What a published surplus, and doubt about carrying over, do to the value of a unit, at most 1.

        The surplus is that of the units issued so far: what verification will take back is not known before it.
        """
        known = self.plan.banking.known_from
        sure = 1.0 if known is None or day >= np.datetime64(known) else 1 - self.p.carry_doubt
        notice = self.plan.last(DateKind.SUPPLY_KNOWN)
        if notice is None or day < notice.known_day:
            return sure
        people = self.people
        issued_t = np.where(self._known, people.free_t, people.preallocated_t)
        supply = int((issued_t + people.carried_t).sum())
        surplus = max(0.0, supply / max(int(people.duty_t.sum()), 1) - 1)
        return sure * float(np.exp(-self.p.glut_discount * surplus))

    def _dying(self, news: News, position_t: np.ndarray) -> tuple[np.ndarray, int]:
        """(whose next surplus unit would not survive the season, days until then)."""
        banking, books = self.plan.banking, self._main.books
        if banking.carry == Carry.TRADED:
            return position_t + books.bought_t > 0, news.days_to_collection
        if banking.carry == Carry.SALES:
            left = position_t + books.bought_t - books.sold_t
            kept = banking.base_t + banking.sales_multiple * np.maximum(0, books.sold_t - books.bought_t)
            return left > kept, news.days_to_deadline
        return np.zeros(self.count, bool), information.NEVER

    def _offset_wants(self, market: Market, news: News, close_fen: int) -> Wants:
        """Holders are long, firms are short of what the cap leaves them; nobody pays more than an allowance costs.

        Who has its allowances takes offsets in their place where they are cheaper by the usual discount.
        """
        number = next(n for n, m in self._offset_markets.items() if m is market)
        people, p, books = self.people, self.p, market.books
        wanted = self._room_t() if self._eligible(number, news.day) else np.zeros(self.count, np.int64)
        allowance_fen = FEN * p.value_level if self.plan.offsets_only else float(close_fen)
        own = books.bought_t - books.sold_t
        stock = people.stock_t[:, number]
        position = np.where(people.emissions_t > 0, -wanted - own, stock)
        return Wants(
            position_t=position,
            known=self._known | (people.emissions_t == 0),
            value_fen=private_value_fen(people, p, p.offset_value * allowance_fen),
            level_fen=p.offset_value * allowance_fen,
            most_fen=self._most_for_offsets_fen(allowance_fen),
            out_of_reach=self._out_of_reach,
            dies=people.emissions_t == 0,
            days_to_death=news.days_to_deadline,
        )

    def _most_for_offsets_fen(self, allowance_fen: float) -> np.ndarray:
        """An allowance's price for who is short, less the usual discount for others; any where none trades, float."""
        if self.plan.offsets_only:
            return np.full(self.count, FOR_EVER)
        return np.where(self._short_t() > 0, 1.0, self.p.offset_value) * allowance_fen

    # --------------------------------------------------------------------------------------- government and registry

    def _sell(self, sale: Sale, day: np.datetime64) -> None:
        instrument = self.plan.instrument(sale.symbol)
        days = measures.day_table(self.plan.days, self.port.events(), [], self._main.instrument)[:-1]
        need = np.where(self.people.emissions_t > 0, np.maximum(0, -self._main.position_t()), 0)
        mood = stream(self.seed, f"sale {sale.symbol} {day}").random(self.count)
        result, trades = hold_sale(
            sale, self.port, instrument, self.p, day, days, need, self._main.most_fen(), mood
        )  # fmt: skip
        self._sales.append(result)
        if instrument == self._main.instrument:
            self._main.keep_auction(trades)
        else:
            np.add.at(self._special_t, trades["account"] - FIRST_ACCOUNT, trades["qty"])

    def _evening(self, day: np.datetime64, *, last: bool) -> None:
        """What the registry does on this evening; after the season's last day, all that is still to do."""
        pending = [kind for kind, date in self._evenings.items() if date == day or last]
        for kind in (DateKind.DEADLINE, DateKind.CORRECTION_END, DateKind.COLLECTION):
            if kind in pending and not self.plan.offsets_only:
                del self._evenings[kind]
                self.port.withdraw_orders(self.count)
                self._act(kind, day)

    def _act(self, kind: DateKind, day: np.datetime64) -> None:
        if kind == DateKind.DEADLINE:
            self.registry.relieve(self._abated_t)
            self.registry.lend(self._borrowed_t, self._main.instrument)
            self.registry.settle(day, ~self._out_of_reach)
            self.registry.close_deadline()
            self._out_of_reach &= ~self.people.wakes
            if self.plan.last(DateKind.CORRECTION_END) is None:
                self._punish()
        elif kind == DateKind.CORRECTION_END:
            self.registry.settle(day, ~self._out_of_reach)
            self._punish()
        else:
            self.registry.collect(self._main.books.bought_t)

    def _punish(self) -> None:
        """Fines are reckoned on the mean price of all allowances of this exchange, whatever their year."""
        events = self.port.events()
        allowances = [
            number for number, what in enumerate(self.plan.book.attributes)
            if what.get("product") is not None and what["product"].value == "allowance"
        ]  # fmt: skip
        tables = [measures.day_table(self.plan.days, events, [], number) for number in allowances]
        self.registry.close_season(np.concatenate(tables))
