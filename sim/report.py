"""The report: one finished season as one HTML page that needs neither network nor server.

Charts are plain dicts drawn by the plotly.js that the plotly package ships; `report.css` and `report.js` are
written into the page. Every text is escaped and stands in English and Chinese; fixed ones are written
"English | 中文". This file may group and add up rows for a chart, but it may not judge or measure a season:
verdicts, figures and constants come in ready. It may not import the engine or the agents.
"""

import datetime as dt
import json
from collections.abc import Iterable
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from plotly.offline import get_plotlyjs

from sim import figures
from sim.checks import load_records
from sim.result import Season

Row = dict[str, Any]
Both = dict[str, str]
"""A text as {"en": ..., "zh": ...}; `report.js` shows one of them."""

HERE = Path(__file__).parent
# Okabe and Ito's palette, safe for colour-blind readers.
BLUE, SKY, ORANGE, RED, GREEN = "#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#009E73"
GREY, INK = "#8a8a8a", "#222222"
LARGE_PERCENT = 10
"""Firms shown as large: this part of all firms, by emissions."""
MARK_ROW_PX = 17
"""Height of a row of date labels; each date has a row of its own, so that labels cannot overlap."""
SIDES_PX = {"l": 52, "r": 14, "b": 36}
LISTED, BLOCK = "Listed 挂牌协议 | 挂牌协议", "Block 大宗协议 | 大宗协议"

CHECK_KINDS = {
    "evidence": (
        "the null model passes it in at most half of its seeds, nothing was fitted to it: a pass counts | "
        "零模型至多在一半的种子中通过，且没有参数针对它拟合：通过才有说服力"
    ),
    "calibration": (
        "the null model, without firms, book or rules, passes it in more than half of its seeds: a pass says "
        "little | 没有企业、挂单簿和规则的零模型也在一半以上的种子中通过：通过说明不了什么"
    ),
    "fitted": "a parameter was fitted to it: a pass is no surprise | 有参数针对它拟合：通过不足为奇",
    "sanity": (
        "any usable model must pass it, or it is undefined for the null model: not counted as evidence | "
        "任何可用的模型都应通过，或零模型对此无定义：不计为证据"
    ),
}
KINDS_ZH = {"evidence": "证据", "calibration": "校准", "fitted": "拟合", "sanity": "常识"}
PARAMETER_KINDS = {
    "fitted": "fitted to this season | 拟合：针对本履约周期",
    "anchored": "anchored: set from something other than this season | 锚定：依据本周期以外的资料",
    "assumed": "assumed, without a public figure | 假设：无公开数据",
    "rule": "rule of the market | 市场规则",
    "public fact": "public fact of the season | 公开事实",
}
UNITS_ZH = {
    "t": "吨", "share": "占比", "ratio": "比值", "CNY/t": "元/吨", "date": "日期", "kurtosis": "峰度",
    "log return a day": "日对数收益率", "trading days from 16 December 2021": "距2021年12月16日的交易日数",
}  # fmt: skip


def _both(text: str) -> Both:
    """Split a fixed text, "English | 中文"."""
    en, zh = text.split(" | ")
    return {"en": en, "zh": zh}


def _say(text: str | Both, tag: str = "span", css: str = "") -> str:
    """An element whose text follows the language switch; texts with somebody else's words come as `Both`."""
    both = _both(text) if isinstance(text, str) else text
    en, zh = escape(both["en"]), escape(both["zh"])
    return f'<{tag} class="{css}" data-en="{en}" data-zh="{zh}">{en}</{tag}>'


def _section(title: str, *parts: str) -> str:
    return f"<section>{_say(title, 'h2')}{''.join(parts)}</section>\n"


def _table(columns: list[str], rows: Iterable[tuple[str, list[str]]], css: str, numbers: range = range(0)) -> str:
    """A table; with the class `cards` its rows become cards on a phone.

    `rows` are pairs of CSS class and cells, the cells already HTML; columns in `numbers` are set flush right.
    """
    align = ["number" if i in numbers else "" for i in range(len(columns))]
    head = "".join(f'<th class="{a}">{_say(column)}</th>' for a, column in zip(align, columns, strict=True))
    names = [_both(column) for column in columns]
    labels = [f'data-label-en="{escape(name["en"])}" data-label-zh="{escape(name["zh"])}"' for name in names]
    body = ""
    for row_css, cells in rows:
        tds = (f'<td class="{a}" {n}>{cell}</td>' for a, n, cell in zip(align, labels, cells, strict=True))
        body += f'<tr class="{row_css}">{"".join(tds)}</tr>\n'
    return f'<table class="{css}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _chart(name: str, data: list[Row], layout: Row, caption: str | Both) -> str:
    """A figure: plotly's traces and layout as JSON beside the empty div that `report.js` fills."""
    base: Row = {
        "margin": SIDES_PX | {"t": 16}, "paper_bgcolor": "#fff", "plot_bgcolor": "#fff", "bargap": 0.15,
        "font": {"family": "system-ui, PingFang SC, Microsoft YaHei, Noto Sans CJK SC, sans-serif"},
        "hovermode": "x unified", "dragmode": False, "legend": {
            "orientation": "h", "traceorder": "normal", "x": 0, "y": 0, "yref": "container",
            "yanchor": "bottom",
        },
    }  # fmt: skip
    figure = json.dumps({"data": data, "layout": base | layout}, ensure_ascii=False, allow_nan=False)
    safe = figure.replace("<", "\\u003c")
    return (
        f'<figure><div class="chart" id="chart-{name}" style="height:{layout["height"] + 2}px"></div>'
        f'<script type="application/json">{safe}</script>{_say(caption, "figcaption")}</figure>\n'
    )


def _bar(name: str, x: list[str], y: list[Any], color: str, hover: str, **more: Any) -> Row:
    return {"type": "bar", "name": _both(name), "x": x, "y": y, "marker": {"color": color},
            "hovertemplate": hover, "textangle": 0, **more}  # fmt: skip


def _line(name: str, x: list[str], y: list[Any], hover: str, **more: Any) -> Row:
    line = {"width": 2} | more.pop("line", {})
    return {"type": "scatter", "mode": "lines", "name": _both(name), "x": x, "y": y, "hovertemplate": hover,
            "line": line, **more}  # fmt: skip


def _axis(title: str = " | ", **more: Any) -> Row:
    return {"title": {"text": _both(title), "standoff": 6, "font": {"size": 12}}, "gridcolor": "#ececec",
            "zerolinecolor": "#bbb", "fixedrange": True, "automargin": True, **more}  # fmt: skip


def _time_axis(season: Season, **more: Any) -> Row:
    first, last = season.days["date"][[0, -1]]
    return _axis(type="date", range=[str(first - 2), str(last + 3)], tickformat=_both("%b | %-m月"),
                 dtick="M1", hoverformat=_both("%d %b %Y | %Y-%m-%d"), **more)  # fmt: skip


def _month_axis(months: list[str]) -> Row:
    names = [_both(f"{dt.date.fromisoformat(f'{month}-01'):%b} | {int(month[5:])}月") for month in months]
    return _axis(type="category", tickvals=months, ticktext=names)


def _marks(announced: list[Row], season: Season, *, titles: bool = False) -> Row:
    """Vertical lines labelled above the plot, one row a date, with `titles` where the screen is wide."""
    first, last = season.days["date"][[0, -1]]
    shapes, labels = [], []
    for i, entry in enumerate(sorted(announced, key=lambda entry: str(entry["date"]))):
        at, day = entry["date"], dt.date.fromisoformat(entry["date"])
        place = {"xref": "x", "yref": "paper"}
        line = {"color": INK, "width": 1, "dash": "dot"}
        shapes.append({"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": line, **place})
        short = _both(f"{day.day} {day:%b} | {day.month}月{day.day}日")
        long = {"en": f"{short['en']}: {escape(entry['title'], quote=False)}",
                "zh": f"{short['zh']}：{escape(entry['title_zh'], quote=False)}"}  # fmt: skip
        side = "right" if np.datetime64(at) - first > (last - first) / 2 else "left"
        labels.append({
            "x": at, "y": 1, "ax": 0, "ay": -4 - MARK_ROW_PX * i, "xanchor": side, "yanchor": "bottom",
            "arrowhead": 0, "arrowwidth": 1, "arrowcolor": GREY, "bgcolor": "#fff", "borderpad": 0,
            "font": {"size": 11}, "text": {"wide": long, "narrow": short} if titles else short, **place,
        })  # fmt: skip
    margin = SIDES_PX | {"t": 22 + MARK_ROW_PX * len(announced)}
    return {"shapes": shapes, "annotations": labels, "margin": margin, "xaxis": _time_axis(season)}


def _values(column: np.ndarray, scale: float = 1) -> list[float | None]:
    """A column divided by `scale`, NaN as None."""
    return [None if np.isnan(value) else value for value in (column / scale).round(6).tolist()]


def _dates(column: np.ndarray) -> list[str]:
    dates: list[str] = np.datetime_as_string(column).tolist()
    return dates


def _plain(value: object) -> str:
    """A value of unknown type as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def _headline(summary: Row) -> str:
    """What happened, in one sentence and six figures."""
    price, done, volume, checks = (summary[key] for key in ("price", "compliance", "volume_t", "checks"))
    late, late_60 = figures.percent(summary["share_last_30d"]), figures.percent(summary["share_last_60d"])
    rate, by_volume = figures.percent(done["rate_firms"]), figures.percent(done["rate_volume"])
    low, end, mean = (f"{price[key]:.2f}" for key in ("min", "last", "vwap"))
    firms = f"{summary['firms']:,}"
    block = figures.percent(volume["block"] / max(volume["total"], 1))
    held, fines = f"{sum(check['passed'] is True for check in checks)} / {len(checks)}", done["penalty_cny"]
    cards = [
        (f"{figures.tonnes(volume['total'])} | {figures.tonnes_zh(volume['total'])}",
         f"of allowances 配额 traded, {block} of it as block 大宗协议 | 配额成交量，其中大宗协议占{block}"),
        (f"{late} | {late}",
         f"of volume in the last 30 days ({late_60} in the last 60) | 在最后30天（最后60天{late_60}）"),
        (f"{low} → {end} | {low} → {end}",
         f"CNY/t, low to end (mean {mean}) | 元/吨，最低价至季末（均价{mean}）"),
        (f"{rate} | {rate}",
         f"of firms complied 履约; {by_volume} by volume | 的企业足额履约；按量计算为{by_volume}"),
        (f"{figures.tonnes(done['shortfall_t'])} | {figures.tonnes_zh(done['shortfall_t'])}",
         f"not surrendered 清缴; fines {fines / 1e6:,.2f} million CNY | 未清缴；罚款{fines / 1e4:,.0f}万元"),
        (f"{held} | {held}", "realism checks hold | 项真实性检验通过"),
    ]  # fmt: skip
    sentence = (
        f"{late} of the season's volume came in its last 30 days, the price went from a low of "
        f"{low} to "
        f"{end} CNY/t at the end, and {rate} of {firms} firms complied in full. | "
        f"全季成交量的{late}发生在最后30天；价格最低{low}元/吨，季末为{end}元/吨；"
        f"{firms}家企业中{rate}足额履约。"
    )
    boxes = "".join(f"<div>{_say(figure, 'dd')}{_say(label, 'dt')}</div>" for figure, label in cards)
    return f'{_say(sentence, "p", "headline")}<dl class="figures">{boxes}</dl>'


def _price_and_volume(season: Season, announced: list[Row]) -> str:
    """Price with range and limit above, tonnes by mode below, on one time axis."""
    days, x = season.days, _dates(season.days["date"])
    low, high = days["low_fen"] / 100, days["high_fen"] / 100
    edge = {"line": {"width": 0, "shape": "hvh"}, "hoverinfo": "skip", "fillcolor": "rgba(138,138,138,.16)"}
    limit = "Price limit 涨跌幅 | 涨跌幅限制"
    data = [
        _line(limit, x, _values(days["limit_low_fen"], 100), "", showlegend=False, **edge),
        _line(limit, x, _values(days["limit_high_fen"], 100), "", fill="tonexty", **edge),
        _bar("Low to high | 最低至最高", x, _values(high - low), SKY,
             "%{customdata[0]:.2f} – %{customdata[1]:.2f}", base=low.tolist(),
             customdata=np.stack([low, high], axis=1).tolist()),
        _line("Close | 收盘价", x, _values(days["close_fen"], 100), "%{y:.2f}", line={"color": BLUE}),
        _bar(LISTED, x, _values(days["listed_qty_t"], 1e6), GREEN, "%{y:.3f} Mt", yaxis="y2"),
        _bar(BLOCK, x, _values(days["block_qty_t"], 1e6), ORANGE, "%{y:.3f} Mt", yaxis="y2"),
    ]  # fmt: skip
    layout = _marks(announced, season, titles=True) | {
        "height": 620, "barmode": "stack", "xaxis": _time_axis(season, anchor="y2"),
        "yaxis": _axis("CNY/t | 元/吨", domain=[0.46, 1]),
        "yaxis2": _axis("Mt a day | 百万吨/日", domain=[0, 0.4]),
    }  # fmt: skip
    known = ""
    for entry in announced:
        en, zh = f"{entry['date']}: {entry['title']}", f"{entry['date']}：{entry['title_zh']}"
        if entry["known_from"] != entry["date"]:
            en, zh = f"{en} (known from {entry['known_from']})", f"{zh}（{entry['known_from']}起公开）"
        known += _say({"en": en, "zh": zh}, "li")
    caption = (
        "Above: close of the listed mode 挂牌协议 with the day's range and price limit 涨跌幅. Below: "
        "tonnes traded. "
        "Dotted lines are announced dates: | 上图：挂牌协议收盘价、当日价格区间与涨跌幅限制。下图：成交量。"
        "虚线为已公布的日期："
    )
    chart = _chart("price", data, layout, caption)
    return _section("Price and volume by day | 每日价格与成交量", chart, f'<ul class="quiet">{known}</ul>')


def _monthly(summary: Row) -> str:
    """Simulated tonnes by month beside the record."""
    record, simulated = load_records().monthly_volume, summary["monthly_volume_t"]
    months = sorted(simulated.keys() | record.volume_t.keys())
    data = [
        _bar(name, months, [volume_t[month] / 1e6 if month in volume_t else None for month in months], color,
             "%{y:.2f} Mt", textposition="outside", cliponaxis=False,
             constraintext="none", texttemplate={"wide": "%{y:.1f}", "narrow": "%{y:.0f}"})
        for name, volume_t, color in (("Simulated | 模拟", simulated, BLUE),
                                      ("Record, as published | 公布的实际值", record.volume_t, GREY))
    ]  # fmt: skip
    layout = {"height": 380, "barmode": "group", "xaxis": _month_axis(months), "yaxis": _axis("Mt | 百万吨")}
    caption = {"en": f"Listed plus block. Source of the record: {record.source}.",
               "zh": f"挂牌协议与大宗协议合计。实际值来源：{record.source}。"}  # fmt: skip
    return _section("Volume by month, simulated against the record | 月度成交量：模拟与实际",
                    _chart("monthly", data, layout, caption))  # fmt: skip


def _modes(season: Season) -> str:
    """Share of listed and block trade by month."""
    of_day = np.datetime_as_string(season.days["date"].astype("datetime64[M]"))
    months: list[str] = np.unique(of_day).tolist()
    data = []
    for name, column, color in ((LISTED, "listed_qty_t", GREEN), (BLOCK, "block_qty_t", ORANGE)):
        part, whole = season.days[column], season.total_qty_t
        share = [float(part[of_day == m].sum() / max(whole[of_day == m].sum(), 1)) for m in months]
        label = {"texttemplate": "%{y:.0%}", "textposition": "inside", "insidetextfont": {"color": "#000"}}
        data.append(_bar(name, months, share, color, "%{y:.1%}", **label))
    layout = {"height": 340, "barmode": "stack", "xaxis": _month_axis(months),
              "yaxis": _axis("share of tonnes | 成交量占比", tickformat=".0%", range=[0, 1])}  # fmt: skip
    caption = (
        "Simulated share of each month's tonnes. A block agreement 大宗协议 is negotiated between two "
        "firms; a listing "
        "挂牌协议 stands in the book until somebody clicks it. | 各月模拟成交量的构成。大宗协议由双方协商；"
        "挂牌协议在挂单簿中等待他人点选。"
    )
    return _section("Listed against block | 挂牌协议与大宗协议", _chart("modes", data, layout, caption))


def _book(season: Season, announced: list[Row]) -> str:
    """Spread and depth through the season, two panels."""
    x = _dates(season.days["date"])
    look = {"mode": "lines+markers", "marker": {"size": 4}, "showlegend": False}
    spread, depth = _values(season.days["spread_fen"], 100), _values(season.days["depth_t"], 1e3)
    data = [
        _line("Spread | 价差", x, spread, "%{y:.2f} CNY/t", line={"color": BLUE}, **look),
        _line("Depth | 深度", x, depth, "%{y:.1f} kt", line={"color": RED}, yaxis="y2", **look),
    ]
    layout = _marks(announced, season) | {
        "height": 460, "xaxis": _time_axis(season, anchor="y2"),
        "yaxis": _axis("spread, CNY/t | 价差，元/吨", domain=[0.54, 1], rangemode="tozero"),
        "yaxis2": _axis("depth, 1,000 t | 深度，千吨", domain=[0, 0.46], rangemode="tozero"),
    }  # fmt: skip
    caption = (
        "Simulated; the exchange publishes neither. Spread: best ask less best bid, mean over the day's "
        "rounds. Depth: "
        "mean tonnes in the best five levels of both sides. Gaps: one side was empty all day. | "
        "模拟值；交易所不公布这两项数据。价差：当日各轮最优卖价减最优买价的均值。深度："
        "双边最优五档的平均吨数。空缺：全天一侧无挂单。"
    )
    return _section("Spread and depth | 价差与深度", _chart("book", data, layout, caption))


def _monday(dates: np.ndarray) -> np.ndarray:
    """Monday of each date's week, datetime64[D]; day 0 of the epoch was a Thursday."""
    monday: np.ndarray = dates - (dates.astype(np.int64) + 3) % 7
    return monday


def _purchases(season: Season, firms: np.ndarray, announced: list[Row]) -> str:
    """When firms bought first and last, large firms against the others, and by week."""
    days = season.days["date"]
    large = np.zeros(firms.size, bool)
    large[np.argsort(-firms["emissions_t"], kind="stable")[: firms.size * LARGE_PERCENT // 100]] = True
    bought = ~np.isnat(firms["first_buy"])
    lines = []
    for size, size_zh, who, color in (("Large", "大型", large, BLUE), ("Small", "其他", ~large, RED)):
        for when, when_zh, dash in (("first", "首次", "solid"), ("last", "末次", "dot")):
            dates = np.sort(firms[f"{when}_buy"][who & bought])
            share = np.searchsorted(dates, days, side="right") / max(dates.size, 1)
            name = f"{size}, {when} purchase | {size_zh}企业{when_zh}买入"
            look = {"color": color, "dash": dash, "shape": "hv"}
            lines.append(_line(name, _dates(days), _values(share), "%{y:.1%}", line=look))
    share_axis = _axis("share of buying firms | 买入企业累计占比", tickformat=".0%", range=[0, 1.02])
    all_, buyers, big = (f"{int(n):,}" for n in (firms.size, bought.sum(), (large & bought).sum()))
    cumulative = _chart("buyers", lines, _marks(announced, season) | {"height": 420, "yaxis": share_axis}, (
        f"Cumulative share of the {buyers} firms (of {all_}) that bought at all. Large: the largest "
        f"{LARGE_PERCENT} % "
        f"by emissions, {big} of which bought; small: all others. | "
        f"有买入的{buyers}家企业（共{all_}家）的累计占比。"
        f"大型：排放量最大的{LARGE_PERCENT}%，其中{big}家有买入；其他：其余企业。"
    ))  # fmt: skip
    weeks = np.arange(_monday(days)[0], days[-1] + 1, 7)
    bars = []
    for when, name, color in (
        ("first", "First purchase | 首次买入", SKY),
        ("last", "Last purchase | 末次买入", RED),
    ):
        count = (_monday(firms[f"{when}_buy"][bought])[:, None] == weeks).sum(axis=0)
        bars.append(_bar(name, _dates(weeks), count.tolist(), color, "%{y:,}", xperiod=7 * 86_400_000,
                         xperiod0=str(weeks[0]), xperiodalignment="middle"))  # fmt: skip
    weekly_layout = {"height": 360, "barmode": "group", "yaxis": _axis("firms | 企业数")}
    caption = "Firms by the week of their first and last purchase. | 按首次与末次买入所在周统计的企业数。"
    weekly = _chart("weeks", bars, _marks(announced, season) | weekly_layout, caption)
    return _section("When firms bought | 企业何时买入", cumulative, weekly)


def _compliance(firms: np.ndarray) -> str:
    """Compliance by decile of firm size, and of single firms against members of a group."""
    deciles = np.array_split(np.argsort(firms["emissions_t"], kind="stable"), 10)
    complied = firms["shortfall_t"] == 0
    names = [str(i) for i in range(1, 11)]
    rates = [float(complied[d].mean()) if d.size else None for d in deciles]
    short_mt = [int(firms["shortfall_t"][d].sum()) / 1e6 for d in deciles]
    data = [
        _bar("Complied | 足额履约", names, rates, BLUE, "%{y:.1%}", showlegend=False, texttemplate="%{y:.0%}"),
        _bar("Shortfall | 缺口", names, short_mt, RED, "%{y:.3f} Mt", yaxis="y2", showlegend=False),
    ]
    size = "tenth of firms by emissions (10 = largest) | 按排放量十等分（10为最大）"
    layout = {
        "height": 420, "xaxis": _axis(size, type="category", anchor="y2"),
        "yaxis": _axis("complied | 足额履约", domain=[0.54, 1], tickformat=".0%", range=[0, 1]),
        "yaxis2": _axis("shortfall, Mt | 缺口，百万吨", domain=[0, 0.46]),
    }  # fmt: skip
    caption = (
        "Share of firms that surrendered 清缴 in full, and tonnes missing, by firm size. | "
        "按企业规模划分的足额清缴比例与缺口吨数。"
    )
    chart = _chart("compliance", data, layout, caption)
    single = firms["group"] == -1
    parts = [(_say(f"tenth {name} | 第{name}等分"), d) for name, d in zip(names, deciles, strict=True)]
    parts += [(_say("single firms | 单独企业", "strong"), np.flatnonzero(single)),
              (_say("members of a group | 集团成员", "strong"), np.flatnonzero(~single)),
              (_say("all | 全部", "strong"), np.arange(firms.size))]  # fmt: skip
    rows = []
    for who, chosen in parts:
        fine_fen, short_t = firms["fine_fen"][chosen], firms["shortfall_t"][chosen]
        share = figures.percent(float(complied[chosen].mean())) if chosen.size else "–"
        rows.append(("", [who, f"{chosen.size:,}", share, f"{short_t.sum() / 1e3:,.1f}",
                          f"{(fine_fen > 0).sum():,}", f"{fine_fen.sum() / 1e8:,.2f}"]))  # fmt: skip
    columns = ["firms | 企业", "number | 数量", "complied 履约 | 足额履约", "shortfall, kt | 缺口，千吨",
               "fined | 被罚", "fines, CNY m | 罚款，百万元"]  # fmt: skip
    return _section("Compliance 履约 | 履约", chart, _table(columns, rows, "small", range(1, 6)))


def _accepted(check: Row) -> str:
    low, high = figures.in_unit(check["low"], check["unit"]), figures.in_unit(check["high"], check["unit"])
    if check["high"] is None:
        return f"at least {low} | 不低于 {low}"
    return f"at most {high} | 不高于 {high}" if check["low"] is None else f"{low} to {high} | {low} 至 {high}"


def _tag(kind: str) -> str:
    return _say(f"{kind} | {KINDS_ZH[kind]}", css=f"tag {kind}")


def _check_row(check: Row, source: int) -> tuple[str, list[str]]:
    css, verdict = {
        True: ("held", "✓ holds | ✓ 通过"),
        False: ("failed", "✗ FAILED | ✗ 未通过"),
        None: ("", "not measured | 未测量"),
    }[check["passed"]]
    unit, null = check["unit"], check["null_pass_rate"]
    what = _say({"en": check["title"], "zh": check["title_zh"]})
    return css, [
        f"<code>{escape(check['name'])}</code>",
        f"<div>{what}{_say(f'{unit} | {UNITS_ZH.get(unit, unit)}', 'small')}</div>",
        f"<span>{escape(figures.in_unit(check['value'], unit))}</span>",
        _say(_accepted(check)),
        f"<span>{escape(figures.in_unit(check['recorded'], unit))}<sup> {source}</sup></span>",
        _tag(check["kind"]),
        _say("undefined | 无定义" if null is None else f"{null:.0%} | {null:.0%}"),
        _say(verdict, css="verdict"),
        f"<span>{escape(check['note'])}</span>" if check["note"] else "",
    ]


def _realism(checks: list[Row]) -> str:
    """The table of realism checks, with a count and what each kind of check is worth."""
    held = [check for check in checks if check["passed"] is True]
    failed = [check for check in checks if check["passed"] is False]
    proof, able = (sum(check["kind"] == "evidence" for check in some) for some in (held, checks))
    count = (
        f"{len(held)} of {len(checks)} hold, of those {proof} are evidence (of {able} checks that can be). | "
        f"{len(checks)}项中{len(held)}项通过，其中{proof}项属于证据（可作证据的共{able}项）。"
    )
    names, names_zh = ", ".join(row["title"] for row in failed), "、".join(row["title_zh"] for row in failed)
    failures = {"en": f"{len(failed)} failed: {names}.", "zh": f"{len(failed)}项未通过：{names_zh}。"}
    verdict = _say(failures) if failed else _say("No check failed. | 没有未通过的检验。")
    sources = list(dict.fromkeys(check["source"] for check in checks))
    rows = [_check_row(check, sources.index(check["source"]) + 1) for check in checks]
    columns = ["name | 名称", "what | 内容", "value | 模拟值", "accepted | 接受区间", "record | 实际值",
               "kind | 类别", "null passes | 零模型通过率", "verdict | 结论", "note | 备注"]  # fmt: skip
    legend = "".join(f"<li>{_tag(kind)} {_say(why)}</li>" for kind, why in CHECK_KINDS.items())
    return _section(
        "Realism checks | 真实性检验",
        f'<div class="callout {"failed" if failed else "held"}">{_say(count, "strong")} {verdict}</div>',
        f'<ul class="legend">{legend}</ul>',
        _table(columns, rows, "cards checks", range(2, 3)),
        _say("Sources of the record, by number: | 实际值来源（来源与备注为英文原文）：", "p", "quiet"),
        f'<ol class="quiet">{"".join(f"<li>{escape(source)}</li>" for source in sources)}</ol>',
    )


def _constants(parameters: list[Row]) -> str:
    """Every constant of the model, grouped by kind."""
    order = list(PARAMETER_KINDS)
    ranked = sorted(parameters, key=lambda row: order.index(row["kind"]))
    columns = ["name | 名称", "value | 数值", "unit | 单位", "meaning | 含义", "source | 来源",
               "tuned | 调整"]  # fmt: skip
    tuned = _say("tuned | 已调整", css="tag tuned")
    parts = []
    for kind, found in groupby(ranked, lambda row: str(row["kind"])):
        rows = []
        for row in found:
            cells = (_plain(row[key]) for key in ("value", "unit", "meaning", "source"))
            name = f"<code>{escape(row['name'])}</code>"
            flag = tuned if row["tuned"] else ""
            rows.append(("", [name, *(f"<span>{escape(cell)}</span>" for cell in cells), flag]))
        parts += [_say(PARAMETER_KINDS[kind], "h3"), _table(columns, rows, "cards constants")]
    all_, changed = len(parameters), sum(row["tuned"] for row in parameters)
    intro = (
        f"All {all_} constants by kind. “Tuned” marks the {changed} that were changed after results had "
        "been seen. | "
        f"全部{all_}个常数，按类别排列。“已调整”标记在看到结果之后改动过的{changed}个。单位、"
        "含义与来源为英文原文。"
    )
    return _section("Every constant of the model | 模型的全部常数", _say(intro, "p"), *parts)


def _repeat(summary: Row, parameters: list[Row]) -> str:
    """The command, the hashes, and what the page is not."""
    command = f"emex replay {summary['scenario']} --seed {summary['seed']}"
    balance = "; ".join(f"{key}: {_plain(value)}" for key, value in summary["conservation"].items())
    days, firms, orders, trades = (f"{summary[key]:,}" for key in ("days", "firms", "orders", "trades"))
    facts = [
        ("scenario | 情景", summary["scenario"]),
        ("seed | 随机种子", str(summary["seed"])),
        ("rules hash | 规则哈希", summary["rules_hash"]),
        ("version | 版本", summary["version"]),
        ("digest of all events | 全部事件的摘要", summary["digest"]),
        ("conservation | 守恒", balance),
        ("days, firms, orders, trades | 交易日、企业、申报、成交", f"{days}, {firms}, {orders}, {trades}"),
        ("time | 用时", f"{summary['seconds']:.1f} s, {summary['orders_per_second']:,.0f} orders/s"),
    ]
    rows = "".join(f"<tr><td>{_say(name)}</td><td><code>{escape(fact)}</code></td></tr>" for name, fact in facts)
    fitted = ", ".join(row["name"] for row in parameters if row["kind"] == "fitted") or "–"
    caveat = (
        "A workshop model for comparing rules, neither a forecast nor a reconstruction: no firm in it is a "
        "real firm "
        "and none of its trades took place. It was fitted to this very season, so part of the agreement "
        "with the "
        f"record is by construction (fitted: {fitted}); the checks say where agreement means something. "
        "The record "
        "consists of daily figures, which cannot identify what happens inside a day: how orders are "
        "placed, how block "
        "partners find each other, spread and depth are assumptions that give plausible days, not "
        "findings. Another "
        "seed gives another season: read one run as one draw. | "
        "这是用于比较规则的工作坊模型，既不是预测，也不是历史重建：其中没有真实企业，也没有真实成交。"
        "模型正是针对本履约周期拟合的，"
        f"因此与实际值的吻合部分源于构造（拟合参数：{fitted}）；检验表说明哪些吻合有意义。"
        "实际数据只有日度数据，无法识别日内机制："
        "如何挂单、大宗协议如何寻找对手、价差与深度，都是能产生合理结果的假设，而非结论。"
        "换一个随机种子就是另一个季度：一次运行只是一次抽样。"
    )
    terms = (
        "Terms: listed 挂牌协议, block 大宗协议, compliance 履约, surrender 清缴, allowance 配额, price "
        "limit 涨跌幅. | "
        "术语：挂牌协议 listed，大宗协议 block，履约 compliance，清缴 surrender，配额 allowance，涨跌幅 "
        "price limit。"
    )
    return _section(
        "How to repeat this | 如何复现",
        f'<pre><code>{escape(command)}</code></pre><table class="facts"><tbody>{rows}</tbody></table>',
        _say("What this is not | 这不是什么", "h3"), _say(caveat, "p"), _say(terms, "p", "quiet"),
    )  # fmt: skip


def write_report(path: Path, season: Season, summary: Row, announced: list[Row], parameters: list[Row]) -> None:
    """Write the page.

    Parameters
    ----------
    path
        The HTML file; replaced if it exists.
    season
        A finished season with firms. Prices in fen, quantities in t.
    summary
        What `emex replay --json` prints: prices in CNY/t, volumes in t, fines in CNY, shares between 0 and 1.
    announced
        Dates to mark: `date, title, title_zh, known_from`, dates as ISO text.
    parameters
        Every constant: `name, value, unit, kind, source, tuned, meaning`.

    Raises
    ------
    ValueError
        If the season has no firms (a null model), or a parameter is of an unknown kind.
    """
    if season.firms is None:
        raise ValueError("a report needs a season with firms, not one of the null model")
    sections = [
        _headline(summary),
        _price_and_volume(season, announced),
        _monthly(summary),
        _modes(season),
        _book(season, announced),
        _purchases(season, season.firms, announced),
        _compliance(season.firms),
        _realism(summary["checks"]),
        _constants(parameters),
        _repeat(summary, parameters),
    ]
    title = {"en": summary["title"], "zh": summary["title_zh"]}
    policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
{_say(title, "title")}
<style>{(HERE / "report.css").read_text("utf-8")}</style>
</head>
<body>
<header>{_say(title, "h1")}
<button id="language" type="button" data-en="中文" data-zh="EN">中文</button></header>
<main>{"".join(sections)}</main>
<noscript>The charts and the language switch need JavaScript.</noscript>
<script>{get_plotlyjs()}</script>
<script>{(HERE / "report.js").read_text("utf-8")}</script>
</body>
</html>
"""
    path.write_text(page, "utf-8")
