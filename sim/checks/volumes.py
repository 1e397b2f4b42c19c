"""Measures of how much was traded, when, and on how many days.

Tonnes are those of the main product on the screen and in blocks; dates are included at both ends, a window that is left
open is the season. This file may not read a record.
"""

import datetime as dt

import numpy as np

from sim.checks.registry import NO_DAY, Count, Found, failed, measure, share, traded_t, turnover_fen, undefined, window
from sim.result import Season


@measure("t")
def total_volume(season: Season) -> Found:
    """Tonnes traded in the season."""
    return Found(int(traded_t(season).sum()))


@measure("t")
def volume_between(season: Season, *, first: dt.date, last: dt.date) -> Found:
    """Tonnes traded in a window."""
    inside = window(season.days, first, last)
    return Found(int(traded_t(season)[inside].sum())) if inside.any() else undefined(NO_DAY)


@measure("share")
def share_between(season: Season, *, first: dt.date, last: dt.date) -> Found:
    """Share of the season's tonnes traded in a window."""
    qty_t, inside = traded_t(season), window(season.days, first, last)
    return share(int(qty_t[inside].sum()), int(qty_t.sum())) if inside.any() else undefined(NO_DAY)


@measure("share")
def share_of_days_before(season: Season, *, days: Count, until: dt.date) -> Found:
    """Share of the season's tonnes traded in the `days` calendar days that end with `until`."""
    return share_between(season, first=until - dt.timedelta(days=days - 1), last=until)


@measure("share")
def block_share(season: Season, *, first: dt.date | None = None, last: dt.date | None = None) -> Found:
    """Share of a window's tonnes traded by block agreement."""
    inside = window(season.days, first, last)
    return share(int(season.days["block_qty_t"][inside].sum()), int(traded_t(season)[inside].sum()))


@measure("ratio")
def mean_day_ratio(
    season: Season,
    *,
    first: dt.date,
    last: dt.date,
    base_first: dt.date,
    base_last: dt.date,
    without: list[dt.date] | None = None,
) -> Found:
    """Mean tonnes of a trading day in a window over those in the base window; days of `without` count in neither."""
    qty_t, days = traded_t(season), season.days
    kept = ~np.isin(days["date"], np.array(without or [], "datetime64[D]"))
    inside, base = window(days, first, last) & kept, window(days, base_first, base_last) & kept
    if not inside.any() or not base.any():
        return undefined(NO_DAY)
    base_t = float(qty_t[base].mean())
    return Found(float(qty_t[inside].mean()) / base_t) if base_t > 0 else failed("no trade in the base window")


@measure("share")
def top_days_share(season: Season, *, days: Count) -> Found:
    """Share of the season's tonnes traded on its busiest days."""
    qty_t = traded_t(season)
    return share(int(np.sort(qty_t)[-days:].sum()), int(qty_t.sum()))


@measure("trading days")
def busiest_day(season: Season, *, date: dt.date) -> Found:
    """Trading days from `date` to the season's busiest day; negative if that came earlier."""
    qty_t, dates = traded_t(season), season.days["date"]
    if not qty_t.any():
        return failed("no trade in the season")
    busiest = int(qty_t.argmax())
    return Found(busiest - int(np.searchsorted(dates, np.datetime64(date))), f"busiest day {dates[busiest]}")


@measure("days")
def centre_of_volume(season: Season, *, since: dt.date) -> Found:
    """Mean of the trading days by volume, calendar days after `since`."""
    qty_t = traded_t(season)
    after = (season.days["date"] - np.datetime64(since)).astype(np.int64)
    return share(float((qty_t * after).sum()), int(qty_t.sum()))


@measure("CNY")
def turnover_cny(season: Season) -> Found:
    """Turnover of the season."""
    return Found(turnover_fen(season.days) / 100)


@measure("t")
def median_listed_day(season: Season, *, first: dt.date | None = None, last: dt.date | None = None) -> Found:
    """Median over trading days of the tonnes traded on the screen."""
    inside = window(season.days, first, last)
    return Found(float(np.median(season.days["listed_qty_t"][inside]))) if inside.any() else undefined(NO_DAY)


@measure("share")
def thin_days(season: Season, *, under_t: Count, first: dt.date | None = None, last: dt.date | None = None) -> Found:
    """Share of trading days with fewer than `under_t` tonnes on the screen."""
    inside = window(season.days, first, last)
    return Found(float((season.days["listed_qty_t"][inside] < under_t).mean())) if inside.any() else undefined(NO_DAY)


@measure("share")
def idle_days(season: Season, *, first: dt.date | None = None, last: dt.date | None = None) -> Found:
    """Share of trading days without any trade."""
    inside = window(season.days, first, last)
    return Found(float((traded_t(season)[inside] == 0).mean())) if inside.any() else undefined(NO_DAY)


@measure("days")
def days_with_trade(season: Season, *, first: dt.date | None = None, last: dt.date | None = None) -> Found:
    """Number of trading days with a trade."""
    inside = window(season.days, first, last)
    return Found(int((traded_t(season)[inside] > 0).sum())) if inside.any() else undefined(NO_DAY)
