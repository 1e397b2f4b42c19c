"""The eighteen realism checks: one finished season measured against the recorded figures.

Each check is a pure function over a `Season`. This file and `sim/null.py` alone may read
`sim/records/`; it may not import the engine or the agents, and nothing that runs a season may
import it. A check is *evidence* only if it is defined for the null model, the null model passes it
in at most half of its seeds, and no fitted parameter was aimed at it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from sim.result import Season

Kind = Literal["evidence", "calibration", "fitted", "sanity"]

FITTED = frozenset({
    "total_volume", "december_share", "block_share", "low_level", "vwap", "return_sd", "firms_compliant",
})  # fmt: skip
"""Checks that a fitted parameter was aimed at."""

NULL_PASS_LIMIT = 0.5
"""A check that the null model passes in a larger share of its seeds is calibration."""

UNDEFINED_FOR_NULL = "undefined for the null model, not counted as evidence"

THIN_DAY_T = 5_000
LAST_DAYS = 10
"""Trading days at the end whose spread and depth are compared with the month before."""
MONTH_DAYS = 21
"""Trading days of that month."""
LJUNG_BOX_LAGS = range(2, 11)
LJUNG_BOX_LIMIT = 16.92
"""95 % point of chi-squared with 9 degrees of freedom, one for each lag."""

RECORDS = Path(__file__).parent / "records"


class Figure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One recorded figure. Dates are ISO text, so that values of either type compare in order."""

    unit: str
    source: str
    recorded: int | float | str | None = None
    """None where nothing was published."""
    low: int | float | str | None = None
    """Smallest accepted value; None is open."""
    high: int | float | str | None = None
    """Largest accepted value; None is open."""
    day: str | None = None
    """Recorded date from which a distance is counted."""


class MonthlyVolume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Recorded volume by month."""

    source: str
    volume_t: dict[str, int]
    """Listed plus block tonnes, keys as 2021-07."""


class Records(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record file."""

    monthly_volume: MonthlyVolume
    checks: dict[str, Figure]
    """By name of the check."""


def load_records(path: Path = RECORDS / "cea-2021.toml") -> Records:
    """Read a record file.

    Parameters
    ----------
    path
        A file of `sim/records/`.

    Raises
    ------
    ValueError
        If a check has no figure or a figure has no check.
    """
    records = msgspec.toml.decode(path.read_bytes(), type=Records)
    difference = {check.name for check in CHECKS} ^ records.checks.keys()
    if difference:
        raise ValueError(f"{path.name}: [checks] must name each check once: {sorted(difference)}")
    return records


@dataclass(frozen=True)
class Measure:
    """What a check found in a season."""

    value: float | str | None
    note: str = ""
    holds: bool | None = True
    """False if a condition beside the range fails; None if the season lacks the check's input."""


def _undefined(note: str) -> Measure:
    return Measure(None, note, holds=None)


def _failed(note: str) -> Measure:
    return Measure(None, note, holds=False)


def _in_month(season: Season, *months: str) -> NDArray[np.bool_]:
    month = season.days["date"].astype("datetime64[M]")
    return np.isin(month, np.array(months, "datetime64[M]"))


def _share(part_t: int, whole_t: int) -> Measure:
    return Measure(part_t / whole_t) if whole_t > 0 else _failed("no trade in the season")


def _log_returns(season: Season) -> NDArray[np.float64]:
    """Log returns from close to close; the launch price is not a close."""
    return np.diff(np.log(season.days["close_fen"].astype(np.float64)))


def total_volume(season: Season, _: Figure) -> Measure:
    """Tonnes traded in the season, all modes."""
    return Measure(int(season.total_qty_t.sum()))


def december_share(season: Season, _: Figure) -> Measure:
    """Share of the season's tonnes traded in December."""
    qty_t = season.total_qty_t
    return _share(int(qty_t[_in_month(season, "2021-12")].sum()), int(qty_t.sum()))


def last_two_months_share(season: Season, _: Figure) -> Measure:
    """Share of the season's tonnes traded in November and December."""
    qty_t = season.total_qty_t
    return _share(int(qty_t[_in_month(season, "2021-11", "2021-12")].sum()), int(qty_t.sum()))


def block_share(season: Season, _: Figure) -> Measure:
    """Share of the season's tonnes traded by block agreement."""
    return _share(int(season.days["block_qty_t"].sum()), int(season.total_qty_t.sum()))


def november_ratio(season: Season, _: Figure) -> Measure:
    """Mean day of November over the mean day of August to October without 30 September.

    The single day that is left out carried more than half of the three months in the record.
    """
    qty_t = season.total_qty_t
    november = _in_month(season, "2021-11")
    before = _in_month(season, "2021-08", "2021-09", "2021-10")
    before &= season.days["date"] != np.datetime64("2021-09-30")
    if not november.any() or not before.any():
        return _undefined("no trading day in November or in August to October")
    before_t = float(qty_t[before].mean())
    if before_t == 0:
        return _failed("no trade in August to October")
    return Measure(float(qty_t[november].mean()) / before_t)


def low_level(season: Season, _: Figure) -> Measure:
    """Lowest close, CNY/t."""
    return Measure(int(season.days["close_fen"].min()) / 100)


def low_date(season: Season, _: Figure) -> Measure:
    """Date of the lowest close, the first one if there are several."""
    return Measure(str(season.days["date"][season.days["close_fen"].argmin()]))


def rise_from_low(season: Season, _: Figure) -> Measure:
    """Rise from the lowest close to the mean of the last three closes, as a share of the low."""
    close_fen = season.days["close_fen"]
    return Measure(float(close_fen[-3:].mean()) / int(close_fen.min()) - 1)


def vwap(season: Season, _: Figure) -> Measure:
    """Turnover over tonnes, all modes, CNY/t."""
    qty_t = int(season.total_qty_t.sum())
    if qty_t == 0:
        return _failed("no trade in the season")
    days = season.days
    value_fen = int(days["listed_value_fen"].sum()) + int(days["block_value_fen"].sum())
    return Measure(value_fen / qty_t / 100)


def return_sd(season: Season, _: Figure) -> Measure:
    """Population standard deviation of the daily log return of the close."""
    returns = _log_returns(season)
    if returns.size < 2:
        return _undefined("fewer than two returns")
    return Measure(float(returns.std()))


def busiest_day(season: Season, figure: Figure) -> Measure:
    """Trading days from the recorded busiest day to the season's; negative if it came earlier."""
    qty_t = season.total_qty_t
    if not qty_t.any():
        return _failed("no trade in the season")
    date = season.days["date"]
    busiest = int(qty_t.argmax())
    recorded = int(np.searchsorted(date, np.datetime64(figure.day, "D")))
    return Measure(busiest - recorded, f"busiest day {date[busiest]}")


def top_five_days_share(season: Season, _: Figure) -> Measure:
    """Share of the season's tonnes traded on its five busiest days."""
    qty_t = season.total_qty_t
    return _share(int(np.sort(qty_t)[-5:].sum()), int(qty_t.sum()))


def firms_compliant(season: Season, _: Figure) -> Measure:
    """Share of all firms that surrendered in full."""
    if season.firms is None or season.firms.size == 0:
        return _undefined("no firms")
    return Measure(float((season.firms["shortfall_t"] == 0).mean()))


def volume_compliant(season: Season, _: Figure) -> Measure:
    """Tonnes surrendered over tonnes due."""
    if season.firms is None or season.firms["duty_t"].sum() == 0:
        return _undefined("no firm has a duty")
    return Measure(int(season.firms["surrendered_t"].sum()) / int(season.firms["duty_t"].sum()))


def median_listed_day(season: Season, _: Figure) -> Measure:
    """Median over trading days of the tonnes traded in the listed mode."""
    return Measure(float(np.median(season.days["listed_qty_t"])))


def thin_days(season: Season, _: Figure) -> Measure:
    """Share of trading days with under 5,000 t in the listed mode."""
    return Measure(float((season.days["listed_qty_t"] < THIN_DAY_T).mean()))


def return_shape(season: Season, _: Figure) -> Measure:
    """Kurtosis of the daily log return (normal = 3), with no autocorrelation beyond the first lag.

    The second condition holds while the Ljung-Box statistic over lags 2 to 10 stays below 16.92.
    """
    returns = _log_returns(season)
    n = returns.size
    if n <= LJUNG_BOX_LAGS[-1]:
        return _undefined("too few returns")
    from_mean = returns - returns.mean()
    variance = float(np.mean(from_mean**2))
    if variance == 0:
        return _failed("the close never moves")
    kurtosis = float(np.mean(from_mean**4)) / variance**2
    correlation = {lag: float(from_mean[lag:] @ from_mean[:-lag]) / (n * variance) for lag in LJUNG_BOX_LAGS}
    ljung_box = n * (n + 2) * sum(rho**2 / (n - lag) for lag, rho in correlation.items())
    note = f"Ljung-Box over lags 2 to 10: {ljung_box:.1f}, must stay below {LJUNG_BOX_LIMIT}"
    return Measure(kurtosis, note, holds=ljung_box < LJUNG_BOX_LIMIT)


def _mean_defined(values: NDArray[np.float64]) -> float | None:
    """Mean over the days that have a value."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else None


def spread_and_depth(season: Season, _: Figure) -> Measure:
    """Mean spread of the last ten trading days over the month before; mean depth must fall."""
    last, before = season.days[-LAST_DAYS:], season.days[-LAST_DAYS - MONTH_DAYS : -LAST_DAYS]
    spread, spread_before = _mean_defined(last["spread_fen"]), _mean_defined(before["spread_fen"])
    depth, depth_before = _mean_defined(last["depth_t"]), _mean_defined(before["depth_t"])
    if spread is None or spread_before is None or depth is None or depth_before is None:
        return _undefined("no spread or no depth")
    if spread_before <= 0 or depth_before <= 0:
        return _failed("no positive spread and depth in the month before the last ten days")
    note = f"depth ratio {depth / depth_before:.2f}, must stay below 1"
    widens_and_thins = spread > spread_before and depth < depth_before
    return Measure(spread / spread_before, note, holds=widens_and_thins)


@dataclass(frozen=True)
class Check:
    """One row of the table of checks."""

    name: str
    title: str
    title_zh: str
    measure: Callable[[Season, Figure], Measure]

    def kind(self, null_pass_rate: float | None) -> Kind:
        """What a pass is worth, given how often the null model passes too."""
        if self.name == "volume_compliant":
            return "sanity"
        if self.name in FITTED:
            return "fitted"
        if null_pass_rate is None:
            return "sanity"
        return "calibration" if null_pass_rate > NULL_PASS_LIMIT else "evidence"

    def judge(self, season: Season, figure: Figure) -> tuple[Measure, bool | None]:
        """Measure the season; True if it passes, None where the check is undefined for it."""
        found = self.measure(season, figure)
        if found.holds is None:
            return found, None
        return found, found.holds and _within(found.value, figure)


def _within(value: float | str | None, figure: Figure) -> bool:
    if isinstance(value, str):
        low, high = figure.low, figure.high
        return (low is None or str(low) <= value) and (high is None or value <= str(high))
    if value is None:
        return False
    low = -np.inf if figure.low is None else float(figure.low)
    high = np.inf if figure.high is None else float(figure.high)
    return low <= value <= high


CHECKS = (
    Check("total_volume", "Total volume", "总成交量", total_volume),
    Check("december_share", "December share of volume", "12月成交量占比", december_share),
    Check(
        "last_two_months_share",
        "November and December share of volume",
        "11月和12月成交量占比",
        last_two_months_share,
    ),
    Check("block_share", "Block share of volume", "大宗协议成交量占比", block_share),
    Check(
        "november_ratio",
        "November day over a day of August to October",
        "11月日均成交量与8月至10月之比",
        november_ratio,
    ),
    Check("low_level", "Lowest close", "最低收盘价", low_level),
    Check("low_date", "Date of the lowest close", "最低收盘价日期", low_date),
    Check("rise_from_low", "Rise from the low to the end", "从最低价到年末的涨幅", rise_from_low),
    Check("vwap", "Volume-weighted mean price", "成交均价", vwap),
    Check("return_sd", "Standard deviation of daily returns", "日收益率标准差", return_sd),
    Check("busiest_day", "Busiest day", "成交量最大的交易日", busiest_day),
    Check(
        "top_five_days_share",
        "Share of the five busiest days",
        "成交量前五日占比",
        top_five_days_share,
    ),
    Check("firms_compliant", "Firms that complied in full", "足额清缴企业占比", firms_compliant),
    Check("volume_compliant", "Compliance by volume", "按量计算的履约率", volume_compliant),
    Check("median_listed_day", "Median listed day", "挂牌协议日成交量中位数", median_listed_day),
    Check("thin_days", "Days with under 5,000 t listed", "挂牌成交不足5000吨的交易日占比", thin_days),
    Check("return_shape", "Fat tails, no autocorrelation", "收益率厚尾且无自相关", return_shape),
    Check(
        "spread_and_depth",
        "Wider spread and thinner book",
        "年末价差扩大且深度下降",
        spread_and_depth,
    ),
)
"""The table of checks, in the order of the report."""


def run_checks(season: Season, records: Records, null_pass_rates: Mapping[str, float | None]) -> list[dict[str, Any]]:
    """Judge one season.

    Parameters
    ----------
    season
        A finished season, of the simulator or of the null model.
    records
        The recorded figures and accepted ranges.
    null_pass_rates
        Share of null seasons that pass, by check; None where the null model has nothing to say.
        Must name every check.

    Returns
    -------
    list of dict
        One a check, ready for JSON: `name, title, title_zh, kind, value, low, high, recorded,
        unit, null_pass_rate, source, passed, note`. `value` and `passed` are None where the season
        lacks the input; a check that it fails without a number has `passed` False, `value` None.
    """
    rows = []
    for check in CHECKS:
        figure = records.checks[check.name]
        null_pass_rate = null_pass_rates[check.name]
        found, passed = check.judge(season, figure)
        notes = [found.note, UNDEFINED_FOR_NULL if null_pass_rate is None else ""]
        rows.append(
            {
                "name": check.name,
                "title": check.title,
                "title_zh": check.title_zh,
                "kind": check.kind(null_pass_rate),
                "value": found.value,
                "low": figure.low,
                "high": figure.high,
                "recorded": figure.recorded,
                "unit": figure.unit,
                "null_pass_rate": null_pass_rate,
                "source": figure.source,
                "passed": passed,
                "note": "; ".join(note for note in notes if note),
            }
        )
    return rows
