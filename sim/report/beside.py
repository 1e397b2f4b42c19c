"""What trades beside the season's main product: offsets on the same exchange, and sales by the government."""

import numpy as np

from sim import figures
from sim.report.charts import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PINK,
    RED,
    SKY,
    axis,
    bar,
    chart,
    dates,
    hover,
    line,
    marks,
    scale,
    time_axis,
    titled,
    values,
)
from sim.report.elements import Row, both, code, paragraph, say, section, table
from sim.result import SaleResult, Season

COLORS = (RED, ORANGE, GREEN, PINK, SKY, BLUE)


def _qty(days: np.ndarray) -> np.ndarray:
    """Tonnes by day between firms and others, without sales by the government."""
    qty: np.ndarray = days["listed_qty_t"] + days["block_qty_t"]
    return qty


def _mean_fen(days: np.ndarray) -> float | None:
    """Mean price of those tonnes."""
    qty = int(_qty(days).sum())
    return int((days["listed_value_fen"] + days["block_value_fen"]).sum()) / qty if qty else None


def _price(fen: float | None) -> str:
    return "–" if fen is None else f"{fen / 100:.2f}"


def offsets(season: Season, announced: list[Row], symbol: str) -> str:
    """Close and tonnes of the offsets traded here, against the main product `symbol`."""
    if not season.products:
        return ""
    x, everything = dates(season.days["date"]), {symbol: season.days, **season.products}
    unit = scale(max(float(_qty(days).max(initial=0)) for days in season.products.values()))
    data = [line({"en": symbol, "zh": symbol}, x, values(season.days["close_fen"], 100), "%{y:.2f}", {"color": INK})]
    for number, (name, days) in enumerate(season.products.items()):
        color, words = COLORS[number % len(COLORS)], {"en": name, "zh": name}
        data.append(line(words, x, values(days["close_fen"], 100), "%{y:.2f}", {"color": color}))
        if _qty(days).any():
            qty = values(_qty(days), unit.per)
            data.append(bar(words, x, qty, color, hover(unit.name), yaxis="y2", showlegend=False))
    layout = marks(announced, season, 480) | {
        "barmode": "stack", "xaxis": time_axis(season, anchor="y2"),
        "yaxis": axis("close, CNY/t | 收盘价，元/吨", domain=[0.46, 1], rangemode="tozero"),
        "yaxis2": axis(titled("offsets a day | 抵消信用日成交", unit.name), domain=[0, 0.4], rangemode="tozero"),
    }  # fmt: skip
    caption = (
        "Offsets 抵消信用 that holders from outside sell on the same exchange, beside the allowance (black). A close "
        "stays as it was on days without trade. | "
        "外部持有者在同一交易所出售的抵消信用，与配额（黑线）对照。无成交日收盘价沿用前值。"
    )
    of_main, rows = _mean_fen(season.days), []
    for name, days in everything.items():
        mean, traded = _mean_fen(days), int((_qty(days) > 0).sum())
        discount = "" if name == symbol or not mean or not of_main else figures.percent(1 - mean / of_main)
        rows.append(("", [code(name), f"{_qty(days).sum():,}", f"{traded} / {days.size}", _price(mean),
                          _price(float(days["close_fen"][-1])), discount]))  # fmt: skip
    columns = ["product | 产品", "traded, t | 成交量，吨", "days with trade | 有成交的天数",
               "mean, CNY/t | 均价，元/吨", "last close | 末日收盘价", "below the allowance | 较配额折价"]  # fmt: skip
    return section("Offsets traded beside | 同场交易的抵消信用", chart("offsets", data, layout, caption),
                   table(columns, rows, "cards", range(1, 6)))  # fmt: skip


def _sale(sale: SaleResult) -> tuple[str, list[str]]:
    if sale.refused:
        verdict = f"{say('✗ refused by the exchange: | ✗ 交易所拒绝：', css='verdict')} {code(sale.refused)}"
    elif sale.sold_t == 0:
        verdict = say("nobody bid the floor | 无人按底价申报")
    else:
        verdict = say("all sold | 全部售出" if sale.sold_t == sale.offered_t else "sold in part | 部分售出")
    sold = figures.percent(sale.sold_t / sale.offered_t) if sale.offered_t else "–"
    return "failed" if sale.refused else "", [
        f"<span>{sale.date}</span>", code(sale.symbol), f"{sale.offered_t:,}", _price(sale.reserve_fen),
        f"{sale.sold_t:,} ({sold})", _price(sale.price_fen or None), verdict,
    ]  # fmt: skip


def sales(season: Season) -> str:
    """Sales by the government, one row each."""
    if not season.sales:
        return ""
    offered, sold = (sum(getattr(sale, name) for sale in season.sales) for name in ("offered_t", "sold_t"))
    intro = both(
        f"{len(season.sales)} sale(s): {figures.tonnes(offered)} offered to sealed bids at or above a floor, "
        f"{figures.tonnes(sold)} sold. | "
        f"共{len(season.sales)}次：以底价密封竞价发放{figures.tonnes_zh(offered)}，成交{figures.tonnes_zh(sold)}。"
    )
    columns = ["date | 日期", "units | 标的", "offered, t | 发放量，吨", "floor, CNY/t | 底价，元/吨",
               "sold, t | 成交量，吨", "mean price, CNY/t | 成交均价，元/吨", "outcome | 结果"]  # fmt: skip
    rows = [_sale(sale) for sale in season.sales]
    return section("Sales by the government 有偿发放 | 政府有偿发放", paragraph(intro),
                   table(columns, rows, "cards", range(2, 6)))  # fmt: skip
