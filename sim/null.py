"""The null model: a season of announced dates and luck, without firms, book or rules of trading.

It says how much a realism check is worth: a check that this model passes too is no evidence for the agents. It is
specified before the first fit. Of the record it may know the scalars of `[null]` alone, no single day; of the season
its trading days, announced dates, number of firms, reference price and price limits. It may not import the exchange or
the agents.

**Volume.** The expected number of lots on a trading day is proportional to

    base * (1 + STEP * announced)
    + (1 - bound) * exp(-days to the deadline / scale)
    + bound * exp(-|days to the milestone| / scale)

with calendar days. A deadline counts from the day on which it is known until it has passed, or another one is known.
`bound` is the share of firms that the milestone binds, from its announcement on, else 0. `announced` = 1 from the
milestone's announcement on; without a milestone from that of the last deadline, if it comes within the season; else
from the true-up. Without a deadline the base rate is all there is. The number of lots is Poisson, the size lognormal. A
lot of the smallest block or more is a block, so that the channel is a coin toss decided by the size.

**Price.** The log of the close reverts to a constant level with Student-t shocks, from the season's reference price,
inside the price limits around the previous close. It knows nothing of the volume.

| constant | how it was set |
|---|---|
| base, scale | matched: shares of two windows, exactly or else by least squares; base from 0, scale 1 to 90 days |
| mean lot | matched, closed form: total volume over the number of lots |
| sigma of the lots | matched, closed form: block share, or the nearest one that lognormal lots can have |
| level of the price | matched by bisection on the expectation: volume-weighted mean price |
| size of a shock | matched, closed form: standard deviation of the daily return, band left aside |
| dates, binding share, smallest block, reference price, limits | announced, or rule of the exchange |
| number of lots | not matched: one lot for each firm |
| `STEP` 1 | not matched: the announcement doubles the base rate |
| `HALF_LIFE_DAYS` 5 | not matched: the price forgets half of a departure in a trading week |
| `TAIL_DOF` 4 | not matched: a usual tail of daily returns, with infinite kurtosis |
| `LOT_SIGMA` 2 | not matched: sigma of the lots where blocks were not published apart, about that of cea-2021 |

The unmatched constants were settled before any fit of the agents, but with this model's own pass rates of cea-2021 in
view, and labels depend on them. There, from calibration to evidence: `low_level` with a half-life above 8 days,
`return_shape` with 5 degrees of freedom or more, `top_five_days_share` with a step of 3. From evidence to calibration:
`thin_days` with 1,250 lots or fewer (at least 1,150 are needed to match the block share), `median_listed_day` narrowly
without the step and with 2,800 lots.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, inf, isinf, log, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from engine.codes import NONE, Rule
from engine.errors import ScenarioError
from engine.units import BASIS
from sim.checks import NullScalars, Records, Window, judge
from sim.facts import DateKind
from sim.result import DAY, Season
from sim.season import SeasonPlan
from sim.venue import rule_on

Dates = NDArray[np.datetime64]
Floats = NDArray[np.float64]

STEP = 1.0
"""Growth of the base rate at the announcement, as a share of itself."""
HALF_LIFE_DAYS = 5
"""Trading days."""
TAIL_DOF = 4
"""Degrees of freedom of the Student-t shocks."""
LOT_SIGMA = 2.0
"""Of the log of a lot, where no block share was recorded."""
SCALES = (1.0, 90.0)
"""Calendar days between which the time scale of the rush is sought."""
LEVELS = (0.1, 10.0)
"""Times the mean price, between which the level is sought."""
MISSED = 0.005
"""A scalar that is further off, in points of a share or as a share of a price, is said to be missed."""

NULL_STREAM = 0x6E756C6C
"""First word of every seed, "null" in ASCII: no stream of the simulator starts with it."""

PERSISTENCE = 0.5 ** (1 / HALF_LIFE_DAYS)


@dataclass(frozen=True)
class Setting:
    """What the null model knows of a season: public facts."""

    dates: Dates
    """Trading days, ascending, datetime64[D]."""
    deadlines: tuple[tuple[np.datetime64, np.datetime64], ...]
    """(known from, date), in the order in which they became known."""
    milestone: tuple[np.datetime64, np.datetime64, float] | None
    """Known from, date, share of firms that it binds."""
    announcement: np.datetime64 | None
    """Day on which the base rate steps up."""
    lots: int
    """Expected number of lots in the season."""
    reference_fen: int
    bands_bp: NDArray[np.int64]
    """Price limits below and above the previous close by day, basis points, -1 for none; shape (days, 2)."""

    @property
    def steps(self) -> Floats:
        """Base rate by day, 1 before the announcement."""
        if self.announcement is None:
            return np.ones(self.dates.size)
        return np.where(self.dates >= self.announcement, 1 + STEP, 1.0)

    def pressure(self, scale_days: float) -> Floats:
        """Pull of the announced dates by day, 1 on a date that binds every firm."""
        pressure, free = np.zeros(self.dates.size), np.ones(self.dates.size)
        if self.milestone is not None:
            known, date, share = self.milestone
            bound = np.where(self.dates >= known, share, 0.0)
            free = 1 - bound
            pressure += bound * np.exp(-np.abs(_days(date - self.dates)) / scale_days)
        for number, (known, date) in enumerate(self.deadlines):
            counts = (self.dates >= known) & (self.dates <= date)
            if number + 1 < len(self.deadlines):
                counts &= self.dates < self.deadlines[number + 1][0]
            pressure[counts] += free[counts] * np.exp(-_days(date - self.dates[counts]) / scale_days)
        return pressure

    def rate(self, base: float, scale_days: float) -> Floats:
        """Share of the season's lots by day, adds up to 1; an infinite base leaves no pull."""
        rate = self.steps if isinf(base) else base * self.steps + self.pressure(scale_days)
        shares: Floats = rate / rate.sum()
        return shares

    def inside(self, window: Window) -> NDArray[np.bool_]:
        """Days of a window, shape (days,)."""
        return (self.dates >= np.datetime64(window.first)) & (self.dates <= np.datetime64(window.last))


def _days(spans: NDArray[np.timedelta64]) -> Floats:
    return spans.astype(np.float64)


def setting_of(plan: SeasonPlan, *, belief: bool = False) -> Setting:
    """Public facts of a season.

    Parameters
    ----------
    plan
        The season.
    belief
        Whether the return of last cycle's date counts as a deadline until one is announced.

    Raises
    ------
    ScenarioError
        If the rulebook has no reference price for the product.
    """
    instrument, dates = plan.instrument(plan.product.symbol), plan.days

    def rule(rule: Rule, day: np.datetime64) -> int:
        return rule_on(plan.book, rule, day, instrument)

    reference_fen = rule(Rule.REFERENCE_FEN, dates[0])
    if reference_fen == NONE:
        raise ScenarioError(f"{plan.name}: reference_price: got None, expected a price of {plan.product.symbol}")
    deadlines = [(date.known_day, date.day) for date in plan.of(DateKind.DEADLINE)]
    last = plan.last(DateKind.LAST_DEADLINE)
    if belief and last is not None and all(known > dates[0] for known, _ in deadlines):
        year = dates[0].astype(dt.date).year
        returns = [np.datetime64(last.date.replace(year=year + more)) for more in (0, 1)]
        deadlines.insert(0, (dates[0], next(date for date in returns if date >= dates[0])))
    milestone = plan.milestone
    return Setting(
        dates=dates,
        deadlines=tuple(deadlines),
        milestone=None if milestone is None else (milestone.known_day, milestone.day, milestone.share),
        announcement=_announcement(plan),
        lots=plan.firms,
        reference_fen=reference_fen,
        bands_bp=np.array([[rule(Rule.BAND_DOWN_BP, day), rule(Rule.BAND_UP_BP, day)] for day in dates]),
    )


def _announcement(plan: SeasonPlan) -> np.datetime64 | None:
    """Day on which the base rate steps up."""
    if plan.milestone is not None:
        return plan.milestone.known_day
    if plan.deadline is not None and plan.deadline.known_day > plan.first_day:
        return plan.deadline.known_day
    true_up = plan.last(DateKind.TRUE_UP)
    return None if true_up is None else true_up.day


@dataclass(frozen=True)
class NullModel:
    """The null model with its scalars matched to the record."""

    setting: Setting
    lots: Floats
    """Expected number of lots by day."""
    base: float
    """Base rate before the announcement, as a share of the pull on an announced date; infinite without dates."""
    scale_days: float
    """Calendar days over which the pull of a date grows by a factor e."""
    lot_log_mean: float
    """Mean of the log of the lot size in t."""
    lot_sigma: float
    block_min_t: int | None
    """Smallest block; None: there are none."""
    level_fen: float
    """Level to which the close reverts."""
    shock_sd: float
    """Standard deviation of a day's shock to the log price."""
    missed: tuple[str, ...]
    """Scalars that could not be matched, with what was wanted and what is expected."""

    def season(self, seed: int) -> Season:
        """Draw one season."""
        dates = self.setting.dates
        rng = np.random.default_rng(np.random.SeedSequence([NULL_STREAM, seed]))
        lots = rng.poisson(self.lots)
        shocks = rng.standard_t(TAIL_DOF, dates.size) * sqrt((TAIL_DOF - 2) / TAIL_DOF)
        size_t = np.ceil(rng.lognormal(self.lot_log_mean, self.lot_sigma, lots.sum()))
        day = np.repeat(np.arange(dates.size), lots)
        block = size_t >= (inf if self.block_min_t is None else self.block_min_t)

        days = np.zeros(dates.size, DAY)
        days["date"] = dates
        for mode, chosen in (("listed", ~block), ("block", block)):
            days[f"{mode}_trades"] = np.bincount(day[chosen], minlength=days.size)
            days[f"{mode}_qty_t"] = np.bincount(day[chosen], size_t[chosen], minlength=days.size)
        days["orders"] = lots
        self._set_prices(days, shocks * self.shock_sd)
        days["listed_value_fen"] = days["listed_qty_t"] * days["close_fen"]
        days["block_value_fen"] = days["block_qty_t"] * days["close_fen"]
        days["spread_fen"] = days["depth_t"] = np.nan
        deadline = self.setting.deadlines[-1][1] if self.setting.deadlines else None
        return Season(days=days, firms=None, deadline=deadline)

    def _set_prices(self, days: np.ndarray, shocks: Floats) -> None:
        """Fill the price columns; the limits are rounded inwards to whole fen."""
        close_fen = self.setting.reference_fen
        prices = []
        for shock, (down_bp, up_bp) in zip(shocks.tolist(), self.setting.bands_bp.tolist(), strict=True):
            prev_fen = close_fen
            low_fen = NONE if down_bp == NONE else -(-prev_fen * (BASIS - down_bp) // BASIS)
            high_fen = NONE if up_bp == NONE else prev_fen * (BASIS + up_bp) // BASIS
            wanted_fen = self.level_fen * (prev_fen / self.level_fen) ** PERSISTENCE * exp(shock)
            close_fen = max(round(wanted_fen), low_fen, 1)
            close_fen = close_fen if high_fen == NONE else min(close_fen, high_fen)
            prices.append((prev_fen, low_fen, high_fen, close_fen))
        columns = ("prev_close_fen", "limit_low_fen", "limit_high_fen", "close_fen")
        for column, values in zip(columns, np.array(prices).T, strict=True):
            days[column] = values
        days["open_fen"] = days["high_fen"] = days["low_fen"] = days["close_fen"]


def _nearest_root(function: Callable[[float], float], low: float, high: float) -> float:
    """Root of a rising function between two bounds, or the bound that is nearest to one."""
    if function(low) > 0 or function(high) < 0:
        return low if function(low) > 0 else high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if function(middle) > 0 else (middle, high)
    return (low + high) / 2


def _least(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function is least between two positive bounds: a coarse grid, then thirds around its best point."""
    grid = np.geomspace(low, high, 200)
    best = int(np.argmin([function(float(point)) for point in grid]))
    low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, grid.size - 1)])
    for _ in range(120):
        third = (high - low) / 3
        low, high = (low, high - third) if function(low + third) < function(high - third) else (low + third, high)
    return (low + high) / 2


def match_rush(setting: Setting, windows: Sequence[Window]) -> tuple[float, float]:
    """Base rate and time scale for recorded shares of windows, exactly or else by least squares.

    For a given scale, expected shares are linear in the part of all lots that is base, so that the best part has a
    closed form.
    """
    steps, middle = setting.steps, sqrt(SCALES[0] * SCALES[1])
    if not windows or not setting.pressure(middle).any():
        return inf, middle
    inside = np.array([setting.inside(window) for window in windows], np.float64)
    wanted = np.array([window.share for window in windows])
    of_base = inside @ steps / steps.sum()

    def best(scale_days: float) -> tuple[float, float]:
        """Part of all lots that is base, and the squared error that is left."""
        pressure = setting.pressure(scale_days)
        of_pressure = inside @ pressure / pressure.sum()
        apart = of_base - of_pressure
        part = float(np.clip(apart @ (wanted - of_pressure) / max(apart @ apart, 1e-300), 0, 1))
        error = of_pressure + part * apart - wanted
        return part, float(error @ error)

    scale_days = _least(lambda scale: best(scale)[1], *SCALES)
    part = best(scale_days)[0]
    if part == 1:
        return inf, scale_days
    return part / (1 - part) * float(setting.pressure(scale_days).sum() / steps.sum()), scale_days


def match_lots(null: NullScalars, lots: int) -> float:
    """Sigma of the log of a lot.

    Lots above B hold the share Phi((m + s^2 - ln B) / s) of all tonnes, for log mean m and sigma s. With a given mean
    lot M = exp(m + s^2 / 2) and z = Phi^-1(block share), what is left is s^2 / 2 - z s + ln(M / B) = 0. Where that has
    no positive root, s = sqrt(2 ln(M / B)) gives the smallest share that can be had.
    """
    if null.block_share is None or null.block_min_t is None:
        return LOT_SIGMA
    z, excess = NormalDist().inv_cdf(null.block_share), 2 * log(null.total_t / lots / null.block_min_t)
    if excess > 0 and (z < 0 or z**2 < excess):
        return sqrt(excess)
    return z + sqrt(z**2 - excess)


def _match_level(null: NullScalars, setting: Setting, rate: Floats, shock_sd: float) -> tuple[float, float]:
    """Level of the price, and the volume-weighted mean price expected with it, fen."""
    kept = PERSISTENCE ** np.arange(1, rate.size + 1)
    log_variance = shock_sd**2 * (1 - kept**2) / (1 - PERSISTENCE**2)
    vwap_fen = null.vwap_cny * 100

    def expected(level_fen: float) -> float:
        drift = np.log(level_fen) + kept * log(setting.reference_fen / level_fen)
        return float(rate @ np.exp(drift + log_variance / 2))

    low, high = (factor * vwap_fen for factor in LEVELS)
    level_fen = _nearest_root(lambda level: expected(level) - vwap_fen, low, high)
    return level_fen, expected(level_fen)


def _missed(null: NullScalars, setting: Setting, rate: Floats, block_share: float, vwap_fen: float) -> tuple[str, ...]:
    """Scalars that expectation misses."""
    pairs = [
        (f"share of {window.first} to {window.last}", window.share, float(rate[setting.inside(window)].sum()), 1.0)
        for window in null.windows
    ]
    pairs.append(("block share", null.block_share or 0.0, block_share, 1.0))
    pairs.append(("mean price, CNY/t", null.vwap_cny, vwap_fen / 100, null.vwap_cny))
    return tuple(
        f"{name}: {wanted:.3f} recorded, {found:.3f} expected"
        for name, wanted, found, unit in pairs
        if abs(found - wanted) > MISSED * unit
    )


def _scalars(records: Records) -> NullScalars:
    if records.null is None:
        raise ScenarioError(f"{records.name}.toml: null: got None, expected the scalars of the null model")
    return records.null


def fit_null(plan: SeasonPlan, records: Records) -> NullModel:
    """Match the null model to the record.

    Parameters
    ----------
    plan
        The season, for its public facts.
    records
        Its record, of which `[null]` alone is read.

    Raises
    ------
    ScenarioError
        If the record has no scalars for the null model.
    """
    null, setting = _scalars(records), setting_of(plan)
    base, scale_days = match_rush(setting, null.windows)
    rate = setting.rate(base, scale_days)
    mean_lot_t, lot_sigma = null.total_t / setting.lots, match_lots(null, setting.lots)
    block_share = 0.0
    if null.block_min_t is not None:
        block_share = NormalDist().cdf(lot_sigma / 2 + log(mean_lot_t / null.block_min_t) / lot_sigma)
    # A stationary AR(1) with persistence p and shocks of sd e moves by e * sqrt(2 / (1 + p)) a day.
    shock_sd = null.return_sd * sqrt((1 + PERSISTENCE) / 2)
    level_fen, vwap_fen = _match_level(null, setting, rate, shock_sd)
    return NullModel(
        setting=setting,
        lots=setting.lots * rate,
        base=base,
        scale_days=scale_days,
        lot_log_mean=log(mean_lot_t) - lot_sigma**2 / 2,
        lot_sigma=lot_sigma,
        block_min_t=null.block_min_t,
        level_fen=level_fen,
        shock_sd=shock_sd,
        missed=_missed(null, setting, rate, block_share, vwap_fen),
    )


def null_season(seed: int, plan: SeasonPlan, records: Records) -> Season:
    """Draw one season of the null model.

    Parameters
    ----------
    seed
        Any non-negative integer; the same seed gives the same season.
    plan, records
        The season and its record, as in `fit_null`.
    """
    return fit_null(plan, records).season(seed)


def null_pass_rates(plan: SeasonPlan, records: Records, runs: int = 200) -> dict[str, float | None]:
    """Share of null seasons that pass each check.

    Parameters
    ----------
    plan, records
        The season and its record, as in `fit_null`.
    runs
        Number of seasons; their seeds are 0 to runs - 1.

    Returns
    -------
    dict
        By check; None where the check is undefined for the null model, or the record has no scalars to match it to.
    """
    if records.null is None:
        return dict.fromkeys(records.checks)
    model = fit_null(plan, records)
    verdicts: dict[str, list[bool]] = {name: [] for name in records.checks}
    for seed in range(runs):
        season = model.season(seed)
        for name, check in records.checks.items():
            _, passed = judge(check, season)
            if passed is not None:
                verdicts[name].append(passed)
    return {name: sum(found) / len(found) if found else None for name, found in verdicts.items()}


def null_monthly_shares(
    plan: SeasonPlan, records: Records, *, matched_on: SeasonPlan | None = None, belief: bool = False
) -> dict[str, float]:
    """Expected share of the season's volume by month: the null model's mean profile.

    Parameters
    ----------
    plan
        The season whose dates and days count.
    records
        Whose windows base rate and time scale are matched to.
    matched_on
        The season of these records, where it is another one: then nothing recorded of `plan` is used.
    belief
        Whether the return of last cycle's date counts as a deadline until one is announced.

    Returns
    -------
    dict
        By month, as 2021-07; adds up to 1.

    Raises
    ------
    ScenarioError
        If the record has no scalars for the null model.
    """
    setting = setting_of(plan, belief=belief)
    rate = setting.rate(*match_rush(setting_of(matched_on or plan), _scalars(records).windows))
    months = setting.dates.astype("datetime64[M]")
    return {str(month): float(rate[months == month].sum()) for month in np.unique(months)}
