"""Measures of the close and of its daily returns, and of the mean price.

A close is that of the screen, carried over days without a trade there; a return is the log return from one close to the
next, and the reference price of the first day is no close. This file may not read a record.
"""

import datetime as dt

import numpy as np
from numpy.typing import NDArray

from sim.checks.registry import NO_DAY, Found, failed, measure, traded_t, turnover_fen, undefined, window
from sim.result import Season

SHAPE_LAGS = range(2, 11)
SHAPE_LIMIT = 16.92
"""95 % point of chi-squared with 9 degrees of freedom, one for each lag."""
CLUSTER_LAGS = range(1, 11)
LAST_CLOSES = 3
LEAST_RETURNS = 11
"""More returns than lags."""


def _closes(season: Season, first: dt.date | None, last: dt.date | None) -> NDArray[np.int64]:
    closes: NDArray[np.int64] = season.days["close_fen"][window(season.days, first, last)]
    return closes


def _returns(season: Season, *, traded: bool) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Log returns, and the day on which each ends; `traded`: between days with a trade on the screen only."""
    chosen = np.flatnonzero(season.days["listed_qty_t"] > 0) if traded else np.arange(season.days.size)
    return np.diff(np.log(season.days["close_fen"][chosen].astype(np.float64))), chosen[1:]


def _ljung_box(values: NDArray[np.float64], lags: range) -> float:
    """Ljung and Box's statistic (Biometrika 65, 1978); the values must vary."""
    from_mean = values - values.mean()
    n, squares = values.size, float(from_mean @ from_mean)
    correlation = {lag: float(from_mean[lag:] @ from_mean[:-lag]) / squares for lag in lags}
    return n * (n + 2) * sum(rho**2 / (n - lag) for lag, rho in correlation.items())


@measure("CNY/t")
def vwap(season: Season, *, first: dt.date | None = None, last: dt.date | None = None) -> Found:
    """Turnover over tonnes."""
    inside = window(season.days, first, last)
    qty_t = int(traded_t(season)[inside].sum())
    return Found(turnover_fen(season.days[inside]) / qty_t / 100) if qty_t > 0 else failed("no trade in the season")


@measure("CNY/t")
def close_low(season: Season, *, first: dt.date | None = None, last: dt.date | None = None) -> Found:
    """Lowest close."""
    closes = _closes(season, first, last)
    return Found(int(closes.min()) / 100) if closes.size else undefined(NO_DAY)


@measure("CNY/t")
def close_high(season: Season, *, first: dt.date | None = None, last: dt.date | None = None) -> Found:
    """Highest close."""
    closes = _closes(season, first, last)
    return Found(int(closes.max()) / 100) if closes.size else undefined(NO_DAY)


@measure("date")
def close_low_date(season: Season, *, first: dt.date | None = None, last: dt.date | None = None) -> Found:
    """Date of the lowest close, the first one if there are several."""
    closes, inside = _closes(season, first, last), window(season.days, first, last)
    return Found(str(season.days["date"][inside][closes.argmin()])) if closes.size else undefined(NO_DAY)


@measure("date")
def close_high_date(season: Season, *, first: dt.date | None = None, last: dt.date | None = None) -> Found:
    """Date of the highest close, the first one if there are several."""
    closes, inside = _closes(season, first, last), window(season.days, first, last)
    return Found(str(season.days["date"][inside][closes.argmax()])) if closes.size else undefined(NO_DAY)


@measure("CNY/t")
def close_last(season: Season) -> Found:
    """Last close of the season."""
    return Found(int(season.days["close_fen"][-1]) / 100)


@measure("CNY/t")
def close_at(season: Season, *, date: dt.date) -> Found:
    """Close of a day, or of the last trading day before it."""
    closes = _closes(season, None, date)
    return Found(int(closes[-1]) / 100) if closes.size else undefined(f"no trading day until {date}")


@measure("share")
def change_between(season: Season, *, first: dt.date, last: dt.date) -> Found:
    """Change of the close from one date to another, each as in `close_at`."""
    before, after = _closes(season, None, first), _closes(season, None, last)
    return Found(int(after[-1]) / int(before[-1]) - 1) if before.size else undefined(f"no trading day until {first}")


@measure("share")
def rise_from_low(season: Season, *, until: dt.date) -> Found:
    """Rise from the lowest close up to a date to the mean of the last three closes, as a share of the low."""
    closes = _closes(season, None, until)
    if closes.size < LAST_CLOSES:
        return undefined(f"fewer than three trading days until {until}")
    return Found(float(closes[-LAST_CLOSES:].mean()) / int(closes.min()) - 1)


@measure("log return a day")
def return_sd(season: Season, *, traded: bool = False) -> Found:
    """Population standard deviation of the daily return."""
    returns, _ = _returns(season, traded=traded)
    return Found(float(returns.std())) if returns.size > 1 else undefined("fewer than two returns")


@measure("kurtosis")
def return_shape(season: Season, *, traded: bool = False) -> Found:
    """Kurtosis of the daily return (normal = 3), with no autocorrelation beyond the first lag.

    The second condition holds while the Ljung-Box statistic over lags 2 to 10 stays below 16.92.
    """
    returns, _ = _returns(season, traded=traded)
    if returns.size < LEAST_RETURNS:
        return undefined("too few returns")
    from_mean = returns - returns.mean()
    variance = float(np.mean(from_mean**2))
    if variance == 0:
        return failed("the close never moves")
    statistic = _ljung_box(returns, SHAPE_LAGS)
    note = f"Ljung-Box over lags 2 to 10: {statistic:.1f}, must stay below {SHAPE_LIMIT}"
    return Found(float(np.mean(from_mean**4)) / variance**2, note, holds=statistic < SHAPE_LIMIT)


@measure("statistic")
def clustering(season: Season, *, traded: bool = False) -> Found:
    """Ljung-Box statistic over lags 1 to 10 of the squared return: large moves follow large moves."""
    returns, _ = _returns(season, traded=traded)
    if returns.size < LEAST_RETURNS:
        return undefined("too few returns")
    squares = returns**2
    return Found(_ljung_box(squares, CLUSTER_LAGS)) if squares.std() > 0 else failed("the close never moves")


@measure("correlation")
def volume_volatility(season: Season, *, traded: bool = False) -> Found:
    """Correlation of the size of the return with the log of the day's tonnes, over days with a trade."""
    returns, ends = _returns(season, traded=traded)
    qty_t = traded_t(season)[ends]
    moves, tonnes = np.abs(returns[qty_t > 0]), np.log(qty_t[qty_t > 0])
    if moves.size < LEAST_RETURNS:
        return undefined("too few returns on days with a trade")
    if moves.std() == 0 or tonnes.std() == 0:
        return failed("all moves or all volumes are the same")
    return Found(float(np.corrcoef(moves, tonnes)[0, 1]))


@measure("share")
def limit_days(season: Season) -> Found:
    """Of the days with a trade on the screen, those that close at a price limit."""
    days = season.days[season.days["listed_qty_t"] > 0]
    if days.size == 0:
        return failed("no trade on the screen")
    close_fen = days["close_fen"]
    return Found(float(((close_fen == days["limit_low_fen"]) | (close_fen == days["limit_high_fen"])).mean()))
