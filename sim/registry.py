"""The registry and the authority behind it: surrender 清缴, correction, fines, deduction, what dies with the season.

    deadline          every firm within reach surrenders offsets, then units good for nothing else, then allowances
    correction end    who was late and obeys makes up; then fines, forced deduction, and what the next allocation loses
    collection        units that cannot be carried over go back

A surrender that the rules do not allow is refused with its reason, counted, and changes nothing. This file may not know
why a firm is short.
"""

from collections import Counter
from enum import StrEnum

import numpy as np

from engine.codes import CommandKind, EventKind
from engine.errors import ScenarioError
from sim.facts import Carry, DateKind, PenaltyBase
from sim.measures import mean_price_fen
from sim.population import Population
from sim.port import FIRST_ACCOUNT, Port
from sim.season import SeasonPlan

FEN = 100


class Refusal(StrEnum):
    """Why the registry does not take units."""

    AFTER_CUTOFF = "after the cut-off"
    NOT_OWED = "more than is due"
    NOT_ACCEPTED = "this product does not count towards the duty"
    NOT_ELIGIBLE = "this kind of offset is not eligible"
    OFFSET_CAP = "beyond the offset cap"
    TOTAL_CAP = "beyond what all firms together may use"
    LOCAL_SHARE = "too few offsets of the own region beside it"
    NOT_THERE = "the units are not in the account"


class Registry:
    """Duties of all participants and what has become of them; arrays of shape (participants,), int64."""

    def __init__(self, plan: SeasonPlan, people: Population, port: Port) -> None:
        count = len(people.duty_t)
        due_here = plan.deadline is not None and not plan.offsets_only
        self.duty_t = people.duty_t.copy() if due_here else np.zeros(count, np.int64)
        self.surrendered_t = np.zeros(count, np.int64)
        """Allowances and offsets."""
        self.offsets_used_t = np.zeros(count, np.int64)
        self.local_offsets_t = np.zeros(count, np.int64)
        self.late_t = np.zeros(count, np.int64)
        """Short on the deadline's evening."""
        self.fine_fen = np.zeros(count, np.int64)
        self.deducted_t = np.zeros(count, np.int64)
        """Taken from the account by force."""
        self.next_deduction_t = np.zeros(count, np.int64)
        """What the next allocation will lose."""
        self.penalty_price_fen: float | None = None
        """Mean price behind the fines."""
        self.refused: Counter[str] = Counter()
        """Surrenders refused, by reason."""
        self._plan, self._people, self._port = plan, people, port
        self._everyone = np.arange(count)
        self._main = plan.instrument(plan.product.symbol)
        sales = {plan.instrument(sale.symbol) for sale in plan.sales}
        self._special = sorted(sales - {self._main})
        self._offsets = {plan.instrument(u.symbol): u for u in plan.offsets.units} if plan.offsets else {}
        self._closed = False

    @property
    def shortfall_t(self) -> np.ndarray:
        """Still due, t."""
        shortfall: np.ndarray = self.duty_t - self.surrendered_t
        return shortfall

    def refusal(self, day: np.datetime64, participant: int, symbol: str, qty_t: int) -> Refusal | None:
        """Why this surrender would be refused; None when it would be taken."""
        instrument = self._plan.instrument(symbol)
        unit = self._offsets.get(instrument)
        if self._closed:
            return Refusal.AFTER_CUTOFF
        if qty_t > self.shortfall_t[participant]:
            return Refusal.NOT_OWED
        if unit is None and instrument != self._main and instrument not in self._special:
            return Refusal.NOT_ACCEPTED
        if unit is not None and self._plan.offsets is not None:
            if self._plan.offsets.rule(day).admits(unit) is not None:
                return Refusal.NOT_ELIGIBLE
            if qty_t > self._people.offset_cap_t[participant] - self.offsets_used_t[participant]:
                return Refusal.OFFSET_CAP
            if qty_t > self._total_left():
                return Refusal.TOTAL_CAP
            if qty_t > self._foreign_room(day, unit.region)[participant]:
                return Refusal.LOCAL_SHARE
        if qty_t > self._port.units_t(len(self._everyone), instrument)[participant]:
            return Refusal.NOT_THERE
        return None

    def surrender(self, day: np.datetime64, participant: int, symbol: str, qty_t: int) -> Refusal | None:
        """One firm surrenders `qty_t` units; refused with a reason, counted, nothing changed."""
        refusal = self.refusal(day, participant, symbol, qty_t)
        if refusal is not None:
            self.refused[refusal] += 1
            return refusal
        amounts = np.where(self._everyone == participant, qty_t, 0)
        self._take(amounts, self._plan.instrument(symbol))
        return None

    def relieve(self, abated_t: np.ndarray) -> None:
        """What was not emitted is not due."""
        self.duty_t = np.maximum(0, self.duty_t - abated_t)

    def lend(self, borrowed_t: np.ndarray, instrument: int) -> None:
        """Units of the next allocation are issued before their time 预支."""
        self._port.move(CommandKind.ISSUE, self._everyone, borrowed_t, instrument)
        self.next_deduction_t += borrowed_t

    def settle(self, day: np.datetime64, within_reach: np.ndarray) -> None:
        """All firms within reach, bool, surrender what they have and owe."""
        offset_rule = self._plan.offsets.rule(day) if self._plan.offsets else None
        if offset_rule is not None:
            elsewhere = np.where(within_reach, np.minimum(self._people.offsets_t, self.shortfall_t), 0)
            elsewhere = np.minimum(elsewhere, self._people.offset_cap_t - self.offsets_used_t)
            self._count_outside(np.maximum(0, elsewhere))
            ranked = sorted(self._offsets, key=lambda i: self._offsets[i].region not in offset_rule.local_regions)
            for instrument in ranked:
                unit = self._offsets[instrument]
                if offset_rule.admits(unit) is None:
                    room = np.minimum(self._people.offset_cap_t - self.offsets_used_t, self.shortfall_t)
                    room = np.minimum(room, self._foreign_room(day, unit.region))
                    self._take(np.where(within_reach, self._owned(instrument, room), 0), instrument)
        for instrument in (*self._special, self._main):
            self._take(np.where(within_reach, self._owned(instrument, self.shortfall_t), 0), instrument)

    def close_deadline(self) -> None:
        """The deadline's evening: who is short now was late."""
        self.late_t = self.shortfall_t.copy()

    def close_season(self, days: np.ndarray) -> None:
        """No more surrenders; fines, forced deductions, and what the next allocation loses. `days`: DAY rows."""
        penalty, short = self._plan.penalty, self.shortfall_t
        self._closed = True
        fine = np.zeros(len(short), np.int64)
        if penalty.fine_cny is not None:
            fine = np.where(short > 0, penalty.fine_cny.value * FEN, 0)
        if penalty.price_multiple is not None:
            self.penalty_price_fen = mean_price_fen(days, *self._window(penalty.price_base))
            fine = np.floor(penalty.price_multiple.value * self.penalty_price_fen * short).astype(np.int64)
        if penalty.cap_cny is not None:
            fine = np.minimum(fine, penalty.cap_cny.value * FEN)
        self.fine_fen = fine
        missing = fine - self._port.cash_fen(len(short))
        self._port.move(CommandKind.DEPOSIT, self._everyone, np.maximum(0, missing))
        self._port.move(CommandKind.FINE, self._everyone, fine)
        if penalty.forced_deduction:
            self.deducted_t = self._owned(self._main, short)
            self._port.move(CommandKind.DEDUCT, self._everyone, self.deducted_t, self._main)
        rest = short - self.deducted_t
        self.next_deduction_t += np.ceil(penalty.deduction_multiple.value * rest).astype(np.int64)

    def collect(self, bought_t: np.ndarray) -> int:
        """Take back units that cannot be carried over; returns the tonnes. `bought_t`: traded into each account."""
        if self._plan.banking.carry != Carry.TRADED:
            return 0
        held = self._owned(self._main, np.full(len(bought_t), np.iinfo(np.int64).max))
        untraded = np.where(self._people.emissions_t > 0, np.maximum(0, held - bought_t), 0)
        self._port.move(CommandKind.DEDUCT, self._everyone, untraded, self._main)
        return int(untraded.sum())

    def _window(self, base: PenaltyBase | None) -> tuple[np.datetime64, np.datetime64]:
        """First and last day over which the price of a penalty is averaged."""
        deadline = self._plan.deadline
        if deadline is None or base is None:
            message = f"{self._plan.name}: penalty.price_base: got {base!r}, expected a base and a deadline"
            raise ScenarioError(message)
        if base == PenaltyBase.JANUARY_TO_JUNE:
            year = np.datetime64(str(deadline.date.year), "Y")
            return year.astype("datetime64[D]"), (year + np.timedelta64(6, "M")).astype("datetime64[D]") - 1
        if base == PenaltyBase.MONTH_BEFORE:
            month = deadline.day.astype("datetime64[M]")
            return (month - 1).astype("datetime64[D]"), month.astype("datetime64[D]") - 1
        return deadline.day - 364, deadline.day

    def _foreign_room(self, day: np.datetime64, region: str) -> np.ndarray:
        """Tonnes of offsets from `region` that each may still surrender beside its own region's."""
        rule = self._plan.offsets.rule(day) if self._plan.offsets else None
        if rule is None or rule.local_min_share == 0 or region in rule.local_regions:
            return np.full(len(self._everyone), np.iinfo(np.int64).max)
        most = np.floor(self.local_offsets_t * (1 - rule.local_min_share) / rule.local_min_share).astype(np.int64)
        room: np.ndarray = np.maximum(0, most - (self.offsets_used_t - self.local_offsets_t))
        return room

    def _total_room(self, amounts: np.ndarray) -> np.ndarray:
        """What the cap on all firms' offsets together leaves each of them, first come first served."""
        room: np.ndarray = np.maximum(0, self._total_left() - (np.cumsum(amounts) - amounts))
        return room

    def _total_left(self) -> int:
        """Offsets that all firms together may still use."""
        cap = self._plan.offsets.rules[-1].total_cap_t if self._plan.offsets else None
        return np.iinfo(np.int64).max if cap is None else cap - int(self.offsets_used_t.sum())

    def _owned(self, instrument: int, wanted: np.ndarray) -> np.ndarray:
        owned: np.ndarray = np.clip(self._port.units_t(len(self._everyone), instrument), 0, np.maximum(0, wanted))
        return owned

    def _take(self, amounts: np.ndarray, instrument: int) -> None:
        """Units leave the accounts, as far as the exchange lets them."""
        if instrument in self._offsets:
            amounts = np.minimum(amounts, self._total_room(amounts))
        events = self._port.move(CommandKind.SURRENDER, self._everyone, amounts, instrument)
        done = events[events["kind"] == EventKind.SURRENDERED]
        taken = np.zeros(len(amounts), np.int64)
        np.add.at(taken, done["account"] - FIRST_ACCOUNT, done["qty"])
        self.surrendered_t += taken
        unit = self._offsets.get(instrument)
        if unit is not None and self._plan.offsets is not None:
            self.offsets_used_t += taken
            if any(unit.region in rule.local_regions for rule in self._plan.offsets.rules):
                self.local_offsets_t += taken

    def _count_outside(self, amounts: np.ndarray) -> None:
        """Offsets that were never on this exchange are surrendered in the other registry."""
        self.surrendered_t += amounts
        self.offsets_used_t += amounts


def borrowed_t(plan: SeasonPlan, people: Population) -> np.ndarray:
    """What each firm may borrow from its next allocation, t, int64, shape (participants,)."""
    banking = plan.banking
    gap = np.maximum(0, people.duty_t - people.free_t - people.carried_t)
    large = (gap > 0) & (gap >= banking.borrowing_from_share * people.duty_t)
    return np.where(large, np.floor(banking.borrowing_share * gap), 0).astype(np.int64)


def due_dates(plan: SeasonPlan) -> dict[DateKind, np.datetime64]:
    """Evenings on which the registry acts: the last trading day not after each date."""
    days, found = plan.days, {}
    for kind in (DateKind.DEADLINE, DateKind.CORRECTION_END, DateKind.COLLECTION):
        date = plan.last(kind)
        if date is not None:
            before = days[days <= date.day]
            found[kind] = before[-1] if len(before) else days[0]
    return found
