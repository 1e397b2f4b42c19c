"""Trading of the season's main product: price, volume by day and month, modes, spread and depth."""

import numpy as np

from sim import figures
from sim.checks import load_records
from sim.report.charts import (
    BLUE,
    GREEN,
    GREY,
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
    month_axis,
    scale,
    time_axis,
    titled,
    values,
)
from sim.report.elements import Both, Row, both, capital, paragraph, say, section
from sim.result import Season

COLORS = {"listed": GREEN, "block": ORANGE, "auction": PINK}
"""By mode, as in DAY rows."""
FAR = 10
"""A limit this many times the price is none."""


def _month(season: Season) -> np.ndarray:
    """Month of each trading day as ISO text."""
    return np.datetime_as_string(season.days["date"].astype("datetime64[M]"))


def used(season: Season, modes: dict[str, Both]) -> list[str]:
    """Modes that the market has and that traded at all."""
    return [mode for mode in modes if season.days[f"{mode}_qty_t"].any()]


def _limits(season: Season, x: list[str]) -> list[Row]:
    """The band between the price limits, where there are limits."""
    low, high = season.days["limit_low_fen"], season.days["limit_high_fen"]
    real = (low > 0) & (high < FAR * season.days["close_fen"])
    if not real.any():
        return []
    edge = {"width": 0, "shape": "hvh"}
    look = {"hoverinfo": "skip", "fillcolor": "rgba(138,138,138,.16)"}
    name = "Price limit 涨跌幅 | 涨跌幅限制"
    below, above = (values(np.where(real, column, np.nan), 100) for column in (low, high))
    return [line(name, x, below, "", edge, showlegend=False, **look),
            line(name, x, above, "", edge, fill="tonexty", **look)]  # fmt: skip


def _known(announced: list[Row]) -> str:
    """The announced dates as a list."""
    found = ""
    for entry in sorted(announced, key=lambda entry: str(entry["date"])):
        en, zh = f"{entry['date']}: {entry['title']}", f"{entry['date']}：{entry['title_zh']}"
        if entry["known_from"] != entry["date"]:
            en, zh = f"{en} (known from {entry['known_from']})", f"{zh}（{entry['known_from']}起公开）"
        found += say({"en": en, "zh": zh}, "li")
    return f'<ul class="quiet">{found}</ul>'


def price_and_volume(season: Season, announced: list[Row], modes: dict[str, Both]) -> str:
    """Price with range and limit above, tonnes by mode below, on one time axis."""
    days, x = season.days, dates(season.days["date"])
    low, high = days["low_fen"] / 100, days["high_fen"] / 100
    data = [
        *_limits(season, x),
        bar("Low to high | 最低至最高", x, values(high - low), SKY, "%{customdata[0]:.2f} – %{customdata[1]:.2f}",
            base=low.tolist(), customdata=np.stack([low, high], axis=1).tolist()),
        line("Close | 收盘价", x, values(days["close_fen"], 100), "%{y:.2f}", {"color": BLUE}),
    ]  # fmt: skip
    unit = scale(float((season.total_qty_t + days["auction_qty_t"]).max(initial=0)))
    for mode in used(season, modes):
        qty = values(days[f"{mode}_qty_t"], unit.per)
        data.append(bar(capital(modes[mode]), x, qty, COLORS[mode], hover(unit.name), yaxis="y2"))
    layout = marks(announced, season, 550, titles=True) | {
        "barmode": "stack", "xaxis": time_axis(season, anchor="y2"),
        "yaxis": axis("CNY/t | 元/吨", domain=[0.46, 1]),
        "yaxis2": axis(titled("traded a day | 日成交量", unit.name), domain=[0, 0.4], rangemode="tozero"),
    }  # fmt: skip
    screen, idle = modes["listed"], int((days["listed_qty_t"] == 0).sum())
    stood = both(
        f"On {idle} of {days.size} days nothing traded there, and the close stayed as it was. | "
        f"{days.size}个交易日中有{idle}天无成交，收盘价沿用前值。"
    ) if idle else both(" | ")  # fmt: skip
    lines = both("Dotted lines are announced dates: | 虚线为已公布的日期：" if announced else " | ")
    caption = {
        "en": f"Above: close of {screen['en']} with the day's range and, where there is one, the price limit 涨跌幅. "
              f"Below: tonnes traded. {stood['en']} {lines['en']}",
        "zh": f"上图：{screen['zh']}收盘价、当日价格区间与涨跌幅限制（如有）。下图：成交量。{stood['zh']}{lines['zh']}",
    }  # fmt: skip
    return section(
        "Price and volume by day | 每日价格与成交量", chart("price", data, layout, caption), _known(announced)
    )


def monthly(season: Season, summary: Row) -> str:
    """Simulated tonnes by month beside the record; without one, a sentence."""
    title = "Volume by month, simulated against the record | 月度成交量：模拟与实际"
    record = load_records(summary["scenario"]).monthly_volume
    if record is None:
        return section(title, paragraph(
            "No monthly volume of this season was published, so there is nothing to set beside the simulated one. | "
            "本季没有公布的月度成交量，无从对照。"
        ))  # fmt: skip
    of_day, qty = _month(season), season.total_qty_t
    simulated = {month: int(qty[of_day == month].sum()) for month in np.unique(of_day).tolist()}
    months = sorted(simulated.keys() | record.volume_t.keys())
    every = [volume for source in (simulated, record.volume_t) for volume in source.values()]
    unit = scale(max(every, default=0))
    digits = 1 if max(every, default=0) < 1e3 * unit.per else 0
    data = [
        bar(name, months, [volume_t[month] / unit.per if month in volume_t else None for month in months], color,
            hover(unit.name), textposition="outside", cliponaxis=False, constraintext="none",
            texttemplate={"wide": f"%{{y:,.{digits}f}}", "narrow": "%{y:,.0f}" if len(months) < 9 else ""})
        for name, volume_t, color in (("Simulated | 模拟", simulated, BLUE),
                                      ("Record, as published | 公布的实际值", record.volume_t, GREY))
    ]  # fmt: skip
    layout = {"height": 390, "barmode": "group", "xaxis": month_axis(months),
              "yaxis": axis(unit.name, rangemode="tozero")}  # fmt: skip
    beside = season.days["auction_qty_t"].any()
    but = both(" but sales by the government | （不含政府有偿发放）" if beside else " | ")
    caption = {"en": f"Simulated: all trade{but['en']}. Source of the record: {record.source}.",
               "zh": f"模拟值为全部成交{but['zh']}。实际值来源：{record.source}。"}  # fmt: skip
    return section(title, chart("monthly", data, layout, caption))


def shares_of_modes(season: Season, modes: dict[str, Both]) -> str:
    """Share of each mode by month; nothing where only one of them traded."""
    shown = used(season, modes)
    if len(shown) < 2:
        return ""
    of_day = _month(season)
    months: list[str] = np.unique(of_day).tolist()
    qty = season.total_qty_t + season.days["auction_qty_t"]
    whole = {m: int(qty[of_day == m].sum()) for m in months}
    data = []
    for mode in shown:
        part = season.days[f"{mode}_qty_t"]
        share = [float(part[of_day == m].sum() / whole[m]) if whole[m] else None for m in months]
        few = len(months) <= 12
        label = {"texttemplate": {"wide": "%{y:.0%}", "narrow": "%{y:.0%}" if few else ""},
                 "textposition": "inside", "insidetextfont": {"color": "#000"}}  # fmt: skip
        data.append(bar(capital(modes[mode]), months, share, COLORS[mode], "%{y:.1%}", **label))
    layout = {"height": 350, "barmode": "stack", "xaxis": month_axis(months),
              "yaxis": axis("share of tonnes | 成交量占比", tickformat=".0%", range=[0, 1])}  # fmt: skip
    named = {language: " / ".join(modes[mode][language] for mode in shown) for language in ("en", "zh")}
    caption = {"en": f"Simulated share of each month's tonnes: {named['en']}. A month without trade is empty.",
               "zh": f"各月模拟成交量的构成：{named['zh']}。无成交的月份空缺。"}  # fmt: skip
    return section("Who met how: modes of trade | 交易方式构成", chart("modes", data, layout, caption))


def spread_and_depth(season: Season, announced: list[Row]) -> str:
    """Spread and depth through the season, two panels."""
    title, x = "Spread and depth | 价差与深度", dates(season.days["date"])
    spread, depth = values(season.days["spread_fen"], 100), season.days["depth_t"]
    empty = sum(value is None for value in spread)
    if empty == len(spread):
        return section(title, paragraph(
            "On no day did buyers and sellers stand in the book at the same time, so there is no spread to show. | "
            "没有任何一天买卖双方同时挂单，因此没有价差可示。"
        ))  # fmt: skip
    unit = scale(float(np.nanmax(depth, initial=0)))
    look = {"mode": "lines+markers", "marker": {"size": 4}, "showlegend": False}
    data = [
        line("Spread | 价差", x, spread, "%{y:.2f} CNY/t", {"color": BLUE}, **look),
        line("Depth | 深度", x, values(depth, unit.per), hover(unit.name), {"color": RED}, yaxis="y2", **look),
    ]
    layout = marks(announced, season, 400) | {
        "xaxis": time_axis(season, anchor="y2"),
        "yaxis": axis("spread, CNY/t | 价差，元/吨", domain=[0.54, 1], rangemode="tozero"),
        "yaxis2": axis(titled("depth | 深度", unit.name), domain=[0, 0.46], rangemode="tozero"),
    }  # fmt: skip
    caption = (
        "Simulated; the exchange publishes neither. Spread: best ask less best bid, mean over the day's rounds. Depth: "
        f"mean tonnes in the best five levels of both sides. On {empty} of {len(spread)} days one side was empty all "
        "day: there the spread has a gap. | "
        "模拟值；交易所不公布这两项数据。价差：当日各轮最优卖价减最优买价的均值。深度：双边最优五档的平均吨数。"
        f"{len(spread)}天中有{empty}天一侧全天无挂单（{figures.percent(empty / len(spread))}），价差空缺。"
    )
    return section(title, chart("book", data, layout, caption))
