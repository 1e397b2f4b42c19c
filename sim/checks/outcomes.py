"""Measures of what the season left behind: compliance, the book before the deadline, offsets, government sales.

All are undefined where a season lacks the input, as one of the null model does. This file may not read a record.
"""

import datetime as dt

import numpy as np
from numpy.typing import NDArray

from sim.checks.registry import Found, failed, measure, traded_t, turnover_fen, undefined
from sim.result import SaleResult, Season

LAST_DAYS = 10
"""Trading days up to the deadline whose spread and depth are compared with the month before."""
MONTH_DAYS = 21
"""Trading days of that month."""
NO_FIRMS = "no firm has a duty"


def _firms(season: Season, column: str) -> NDArray[np.int64] | None:
    """A column of the firms; None in a season without firms, or in which nothing is due."""
    firms = season.firms
    return None if firms is None or firms.size == 0 or firms["duty_t"].sum() == 0 else firms[column]


def _sum(season: Season, column: str) -> Found:
    values = _firms(season, column)
    return undefined(NO_FIRMS) if values is None else Found(int(values.sum()))


def _of_duty(season: Season, column: str) -> Found:
    """Tonnes over the tonnes due."""
    part, duty_t = _firms(season, column), _firms(season, "duty_t")
    if part is None or duty_t is None:
        return undefined(NO_FIRMS)
    return Found(int(part.sum()) / int(duty_t.sum()))


@measure("share")
def firms_compliant(season: Season) -> Found:
    """Share of all firms that are not short at the end, after the correction window."""
    short_t = _firms(season, "shortfall_t")
    return undefined(NO_FIRMS) if short_t is None else Found(float((short_t == 0).mean()))


@measure("firms")
def late_firms(season: Season) -> Found:
    """Number of firms short on the deadline's evening."""
    late_t = _firms(season, "late_t")
    return undefined(NO_FIRMS) if late_t is None else Found(int((late_t > 0).sum()))


@measure("share")
def late_share(season: Season) -> Found:
    """Share of all firms that were short on the deadline's evening."""
    late_t = _firms(season, "late_t")
    return undefined(NO_FIRMS) if late_t is None else Found(float((late_t > 0).mean()))


@measure("share")
def volume_compliant(season: Season) -> Found:
    """Tonnes surrendered over tonnes due."""
    return _of_duty(season, "surrendered_t")


@measure("t")
def shortfall_t(season: Season) -> Found:
    """Tonnes that were never surrendered."""
    return _sum(season, "shortfall_t")


@measure("CNY")
def penalty_cny(season: Season) -> Found:
    """Fines of all firms."""
    fine_fen = _firms(season, "fine_fen")
    return undefined(NO_FIRMS) if fine_fen is None else Found(int(fine_fen.sum()) / 100)


@measure("t")
def offsets_used_t(season: Season) -> Found:
    """Offsets surrendered."""
    return _sum(season, "offsets_used_t")


@measure("share")
def offset_share_used(season: Season) -> Found:
    """Offsets surrendered over tonnes due."""
    return _of_duty(season, "offsets_used_t")


def _mean_defined(values: NDArray[np.float64]) -> float | None:
    """Mean over the days that have a value."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else None


@measure("ratio")
def spread_and_depth(season: Season) -> Found:
    """Mean spread of the ten trading days up to the deadline over the month before; mean depth must fall."""
    if season.deadline is None:
        return undefined("no deadline in the season")
    days = season.days[season.days["date"] <= season.deadline]
    last, before = days[-LAST_DAYS:], days[-LAST_DAYS - MONTH_DAYS : -LAST_DAYS]
    spread, spread_before = _mean_defined(last["spread_fen"]), _mean_defined(before["spread_fen"])
    depth, depth_before = _mean_defined(last["depth_t"]), _mean_defined(before["depth_t"])
    if spread is None or spread_before is None or depth is None or depth_before is None:
        return undefined("no spread or no depth")
    if spread_before <= 0 or depth_before <= 0:
        return failed("no positive spread and depth in the month before the last ten days")
    note = f"depth ratio {depth / depth_before:.2f}, must stay below 1"
    widens_and_thins = spread > spread_before and depth < depth_before
    return Found(spread / spread_before, note, holds=widens_and_thins)


def _offsets(season: Season, symbol: str) -> list[np.ndarray]:
    """DAY rows of the offsets that trade beside the main product: one symbol, or all of them."""
    return [days for name, days in season.products.items() if symbol in {"", name}]


def _offset_totals(season: Season, symbol: str) -> tuple[int, int] | None:
    """Tonnes and turnover in fen; None where no offset trades on the market."""
    tables = _offsets(season, symbol)
    if not tables:
        return None
    qty_t = sum(int(days["listed_qty_t"].sum()) + int(days["block_qty_t"].sum()) for days in tables)
    return qty_t, sum(turnover_fen(days) for days in tables)


NO_OFFSETS = "no offset trades beside the main product"


@measure("t")
def offset_volume(season: Season, *, symbol: str = "") -> Found:
    """Tonnes of offsets traded on the market."""
    totals = _offset_totals(season, symbol)
    return undefined(NO_OFFSETS) if totals is None else Found(totals[0])


@measure("CNY/t")
def offset_vwap(season: Season, *, symbol: str = "") -> Found:
    """Turnover over tonnes of the offsets."""
    totals = _offset_totals(season, symbol)
    if totals is None:
        return undefined(NO_OFFSETS)
    qty_t, value_fen = totals
    return Found(value_fen / qty_t / 100) if qty_t > 0 else failed("no trade in offsets")


@measure("share")
def offset_discount(season: Season, *, symbol: str = "") -> Found:
    """How far the mean price of offsets lies below that of the main product, as a share of the latter."""
    totals = _offset_totals(season, symbol)
    if totals is None:
        return undefined(NO_OFFSETS)
    (offsets_t, offsets_fen), main_t = totals, int(traded_t(season).sum())
    if offsets_t == 0 or main_t == 0:
        return failed("no trade in offsets or in the main product")
    return Found(1 - offsets_fen / offsets_t / (turnover_fen(season.days) / main_t))


@measure("ratio")
def offset_spread(season: Season, *, symbol: str = "") -> Found:
    """Mean spread of offsets over that of the main product, each as a share of the day's close."""
    tables = _offsets(season, symbol)
    if not tables:
        return undefined(NO_OFFSETS)
    offsets = _mean_defined(np.concatenate([days["spread_fen"] / days["close_fen"] for days in tables]))
    main = _mean_defined(season.days["spread_fen"] / season.days["close_fen"])
    if offsets is None or main is None:
        return undefined("no spread")
    return Found(offsets / main) if main > 0 else failed("no positive spread of the main product")


def _sales(season: Season, date: dt.date, symbol: str) -> list[SaleResult]:
    return [sale for sale in season.sales if sale.date == np.datetime64(date) and symbol in {"", sale.symbol}]


@measure("t")
def sale_cleared_t(season: Season, *, date: dt.date, symbol: str = "") -> Found:
    """Tonnes that the government sold on a date."""
    sales = _sales(season, date, symbol)
    return Found(sum(sale.sold_t for sale in sales)) if sales else undefined(f"no sale on {date}")


@measure("CNY/t")
def sale_price(season: Season, *, date: dt.date, symbol: str = "") -> Found:
    """Mean price of what the government sold on a date."""
    sales = _sales(season, date, symbol)
    if not sales:
        return undefined(f"no sale on {date}")
    sold_t = sum(sale.sold_t for sale in sales)
    value_fen = sum(sale.sold_t * sale.price_fen for sale in sales)
    return Found(value_fen / sold_t / 100) if sold_t > 0 else failed(f"nothing was sold on {date}")
