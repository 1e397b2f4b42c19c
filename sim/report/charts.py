"""Figures as plain dicts for the plotly.js that the plotly package ships; `page.js` draws them.

A text in a figure is {"en": ..., "zh": ...}; what depends on the width of the screen is {"wide": ..., "narrow": ...}.
"""

import datetime as dt
import json
from html import escape
from typing import Any, NamedTuple

import numpy as np

from sim.report.elements import Both, Row, Text, both, say
from sim.result import Season

# Okabe and Ito's palette, safe for colour-blind readers.
BLUE, SKY, ORANGE, RED, GREEN, PINK = "#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#009E73", "#CC79A7"
GREY, INK = "#8a8a8a", "#222222"
MARK_ROW_PX = 17
"""Height of a row of date labels."""
MARK_TITLE = 72
"""Characters of a date's title beside its label; the whole of it is listed below."""
MARK_SHARE = {"wide": 0.09, "narrow": 0.24}
"""Width of a date label without title, as a share of the axis: labels that would overlap get a row of their own."""
MOST_MONTHS = {"wide": 18, "narrow": 6}
"""Months named on an axis; beyond that every second, third, …"""
MONTH_STEPS = (1, 2, 3, 4, 6, 12)
SIDES_PX = {"l": 52, "r": 14, "b": 36}


class Scale(NamedTuple):
    """Tonnes of a chart or a table: divided by `per`, in the unit `name`."""

    per: float
    name: Both


def scale(largest_t: float) -> Scale:
    """Mt, thousands of tonnes or tonnes, by the largest value shown."""
    if largest_t >= 1e6:
        return Scale(1e6, both("Mt | 百万吨"))
    return Scale(1e3, both("kt | 千吨")) if largest_t >= 1e3 else Scale(1, both("t | 吨"))


def titled(text: str, unit: Both) -> Both:
    """A quantity and its unit, as the title of an axis or a column."""
    words = both(text)
    return {"en": f"{words['en']}, {unit['en']}", "zh": f"{words['zh']}，{unit['zh']}"}


def hover(unit: Both) -> Both:
    """A tonnage under the mouse."""
    return {language: f"%{{y:,.3~f}} {name}" for language, name in unit.items()}


def chart(name: str, data: list[Row], layout: Row, caption: Text) -> str:
    """A figure: traces and layout as JSON beside the empty div that `page.js` fills."""
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
        f'<figure><div class="chart" id="chart-{name}"></div>'
        f'<script type="application/json">{safe}</script>{say(caption, "figcaption")}</figure>\n'
    )


def bar(name: Text, x: list[str], y: list[float | None], color: str, hover: Text, **more: Any) -> Row:
    """A trace of bars."""
    return {"type": "bar", "name": both(name), "x": x, "y": y, "marker": {"color": color},
            "hovertemplate": hover, "textangle": 0, **more}  # fmt: skip


def line(name: Text, x: list[str], y: list[float | None], hover: Text, look: Row, **more: Any) -> Row:
    """A trace of lines; `look` is plotly's `line`."""
    return {"type": "scatter", "mode": "lines", "name": both(name), "x": x, "y": y, "hovertemplate": hover,
            "line": {"width": 2} | look, **more}  # fmt: skip


def axis(title: Text = " | ", **more: Any) -> Row:
    """An axis."""
    return {"title": {"text": both(title), "standoff": 6, "font": {"size": 12}}, "gridcolor": "#ececec",
            "zerolinecolor": "#bbb", "fixedrange": True, "automargin": True, **more}  # fmt: skip


def _step(months: int, most: int) -> int:
    """Months from one label to the next."""
    return next((step for step in MONTH_STEPS if months <= step * most), MONTH_STEPS[-1])


def time_axis(season: Season, **more: Any) -> Row:
    """Days of the season; months below it, and the year where it begins or changes."""
    first, last = season.days["date"][[0, -1]]
    months = int((last.astype("datetime64[M]") - first.astype("datetime64[M]")).astype(int)) + 1
    every = {screen: f"M{_step(months, most)}" for screen, most in MOST_MONTHS.items()}
    return axis(type="date", range=[str(first - 2), str(last + 3)], tickformat=both("%b\n%Y | %-m月\n%Y年"),
                dtick=every, tickangle=0, hoverformat=both("%d %b %Y | %Y-%m-%d"), **more)  # fmt: skip


def month_axis(months: list[str]) -> Row:
    """Months as categories, named as on `time_axis`."""
    ticks = {}
    for screen, most in MOST_MONTHS.items():
        shown, before, names = months[:: _step(len(months), most)], "", []
        for month in shown:
            year, name = month[:4], f"{dt.date.fromisoformat(f'{month}-01'):%b}"
            head = both(f"<br>{year} | <br>{year}年") if year != before else both(" | ")
            names.append({"en": name + head["en"].rstrip(), "zh": f"{int(month[5:])}月{head['zh']}"})
            before = year
        ticks[screen] = shown, names
    return axis(type="category", tickangle=0, tickvals={screen: tick[0] for screen, tick in ticks.items()},
                ticktext={screen: tick[1] for screen, tick in ticks.items()})  # fmt: skip


def _rows(spots: list[float], width: float) -> list[int]:
    """A row for each label, the lowest in which it overlaps no other; labels lie between their date and mid-season."""
    ends: list[list[tuple[float, float]]] = []
    found = []
    for spot in spots:
        span = (spot, spot + width) if spot <= 0.5 else (spot - width, spot)
        row = next(
            (n for n, taken in enumerate(ends) if all(span[0] >= b or span[1] <= a for a, b in taken)), len(ends)
        )
        if row == len(ends):
            ends.append([])
        ends[row].append(span)
        found.append(row)
    return found


def _short(text: str) -> str:
    return escape(text if len(text) <= MARK_TITLE else f"{text[: MARK_TITLE - 1].rstrip()}…", quote=False)


def marks(announced: list[Row], season: Season, plot_px: int, *, titles: bool = False) -> Row:
    """Height, time axis, and a vertical line for each date inside the season, labelled above the plot.

    With `titles` a label says what the date is for where the screen is wide, and has a row of its own.
    """
    first, last = season.days["date"][[0, -1]]
    shown = sorted((entry for entry in announced if first <= np.datetime64(entry["date"]) <= last),
                   key=lambda entry: str(entry["date"]))  # fmt: skip
    spots = [float((np.datetime64(entry["date"]) - first) / (last - first)) for entry in shown]
    rows = {screen: _rows(spots, width) for screen, width in MARK_SHARE.items()}
    if titles:
        rows["wide"] = list(range(len(shown)))
    shapes, labels = [], []
    for number, (entry, spot) in enumerate(zip(shown, spots, strict=True)):
        at, day = entry["date"], dt.date.fromisoformat(entry["date"])
        place = {"xref": "x", "yref": "paper"}
        look = {"color": INK, "width": 1, "dash": "dot"}
        shapes.append({"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": look, **place})
        short = both(f"{day.day} {day:%b} | {day.month}月{day.day}日")
        long = {"en": f"{short['en']}: {_short(entry['title'])}", "zh": f"{short['zh']}：{_short(entry['title_zh'])}"}
        labels.append({
            "x": at, "y": 1, "ax": 0, "ay": {screen: -4 - MARK_ROW_PX * row[number] for screen, row in rows.items()},
            "xanchor": "left" if spot <= 0.5 else "right", "yanchor": "bottom",
            "arrowhead": 0, "arrowwidth": 1, "arrowcolor": GREY, "bgcolor": "#fff", "borderpad": 0,
            "font": {"size": 11}, "text": {"wide": long, "narrow": short} if titles else short, **place,
        })  # fmt: skip
    top = {screen: 22 + MARK_ROW_PX * (max(row, default=-1) + 1) for screen, row in rows.items()}
    return {"shapes": shapes, "annotations": labels, "xaxis": time_axis(season),
            "margin": {screen: SIDES_PX | {"t": px} for screen, px in top.items()},
            "height": {screen: plot_px + px for screen, px in top.items()}}  # fmt: skip


def values(column: np.ndarray, divide: float = 1) -> list[float | None]:
    """A column as JSON numbers; NaN, which JSON lacks, becomes null."""
    return [float(value) if np.isfinite(value) else None for value in column / divide]


def dates(days: np.ndarray) -> list[str]:
    """Dates as ISO text."""
    found: list[str] = np.datetime_as_string(days).tolist()
    return found
