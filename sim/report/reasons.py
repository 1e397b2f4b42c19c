"""Who is long and who is short, and why; what the season achieved. Both come in with the summary, ready measured."""

from html import escape
from textwrap import wrap

from sim import figures
from sim.report.charts import BLUE, GREEN, GREY, INK, ORANGE, PINK, RED, SKY, Scale, axis, chart, scale, titled
from sim.report.elements import Both, Row, Text, both, figures_grid, paragraph, say, section, table, tonnes
from sim.report.headline import surrendered
from sim.result import Season

REASONS = {
    "efficiency": ("own efficiency 效率 | 自身排放效率", BLUE),
    "cooling": ("air cooling 冷却修正 | 冷却方式修正", SKY),
    "heat": ("heat 供热 | 供热", ORANGE),
    "load": ("low load 负荷修正 | 负荷（出力）系数修正", GREEN),
    "growth": ("output against former years | 产量较历史年份的变化", PINK),
    "factor": ("decline factor 下降系数 | 年度下降系数", "#7b4fa3"),
    "declaration": ("declared against verified | 申报与核查之差", "#b8a000"),
    "cut": ("cut or taken back 调减 | 总量调减与收回", GREY),
    "auction": ("share that is not free 有偿 | 有偿发放部分", RED),
    "topup": ("top-up of the shortest | 缺口托底补发", "#4d4d4d"),
    "duty_cap": ("cap on the duty 缺口上限 | 清缴缺口上限", "#a6761d"),
}
"""Name and colour of each reason, in the order in which they are taken."""
CLASSES = {
    "coal_large": "coal above 300 MW | 300MW以上燃煤",
    "coal_small": "coal to 300 MW | 300MW及以下燃煤",
    "unconventional": "gangue, slurry, fluidised bed | 非常规燃煤",
    "gas": "gas | 燃气",
}
ALL = "all"
"""`unit_class` of a whole sector."""
NARROW = 16
"""Characters of a line of a short name."""
TOLD = 2
"""Reasons named in the table."""
LEAST_SHARE = 0.0005
"""Of emissions; a smaller reason is not named."""


def _sector(row: Row) -> Both:
    return {"en": row["sector"], "zh": row["sector_zh"]}


def _class(row: Row) -> Both:
    unit = row["unit_class"]
    return both(CLASSES[unit]) if unit in CLASSES else {"en": unit, "zh": unit}


def _name(row: Row) -> Both:
    if row["unit_class"] == ALL:
        return _sector(row)
    sector, unit = _sector(row), _class(row)
    return {"en": f"{sector['en']}: {unit['en']}", "zh": f"{sector['zh']}：{unit['zh']}"}


def _inert(words: Both) -> Both:
    """Plotly reads some HTML in texts."""
    return {language: escape(text, quote=False) for language, text in words.items()}


def _short(row: Row) -> Both:
    """A name for the axis of a narrow chart; a class stands below its sector anyway."""
    words = _sector(row) if row["unit_class"] == ALL else _class(row)
    return {"en": "<br>".join(escape(part, quote=False) for part in wrap(words["en"], NARROW)),
            "zh": escape(words["zh"], quote=False)}  # fmt: skip


def _reason(name: str) -> Both:
    return both(REASONS[name][0]) if name in REASONS else {"en": name, "zh": name}


def _because(row: Row) -> Both:
    """The largest reasons of a row, as shares of its emissions."""
    emissions = max(row["emissions_t"], 1)
    ranked = sorted(row["reasons_t"].items(), key=lambda item: -abs(item[1]))
    told = [(_reason(name), qty / emissions) for name, qty in ranked[:TOLD] if abs(qty) >= LEAST_SHARE * emissions]
    if not told:
        return both("– | –")
    return {"en": ", ".join(f"{name['en']} {share:+.1%}" for name, share in told),
            "zh": "，".join(f"{name['zh']} {share:+.1%}" for name, share in told)}  # fmt: skip


def _chart(rows: list[Row]) -> str:
    """Reasons of each row as bars that add up to its surplus, as shares of its emissions."""
    places = list(range(len(rows)))
    names = {"wide": [_inert(_name(row)) for row in rows], "narrow": [_short(row) for row in rows]}
    look: Row = {"y": places, "hovertemplate": "%{x:+.2%}"}
    data: list[Row] = []
    for reason, (words, color) in REASONS.items():
        shares = [row["reasons_t"].get(reason, 0) / max(row["emissions_t"], 1) for row in rows]
        if any(abs(share) >= LEAST_SHARE for share in shares):
            data.append({"type": "bar", "orientation": "h", "name": both(words), "x": shares,
                         "marker": {"color": color}, **look})  # fmt: skip
    surplus = [row["surplus_t"] / max(row["emissions_t"], 1) for row in rows]
    data.append({"type": "scatter", "mode": "markers", "name": both("Surplus or deficit | 盈缺"), "x": surplus,
                 "marker": {"symbol": "diamond", "size": 10, "color": INK}, **look})  # fmt: skip
    legend = len(data) * 22
    layout = {
        "height": {"wide": 130 + 44 * len(rows) + legend // 3, "narrow": 110 + 52 * len(rows) + legend},
        "barmode": "relative", "hovermode": "closest", "margin": {"l": 10, "r": 14, "t": 16, "b": 40},
        "xaxis": axis("of verified emissions | 占核查排放量", tickformat=".0%"),
        "yaxis": axis(tickvals=places, ticktext=names, tickfont={"size": {"wide": 12, "narrow": 11}},
                      range=[len(rows) - 0.5, -0.5], showgrid=False, zeroline=False),
    }  # fmt: skip
    caption = (
        "What each thing adds to the free allocation 免费配额 less what is due, as a share of emissions; the bars add "
        "up to the diamond. Right: long; left: short. | "
        "各项因素对“免费配额减应清缴量”的贡献，占排放量的比例；各条之和为菱形。右为盈余，左为缺口。"
    )
    return chart("allocation", data, layout, caption)


def _row(row: Row, unit: Scale) -> tuple[str, list[str]]:
    def scaled(key: str) -> str:
        return f"{row[key] / unit.per:,.1f}"

    whole = row["unit_class"] == ALL
    name = say(_name(row), "strong" if whole else "span")
    share = f"{row['surplus_t'] / row['duty_t']:+.1%}" if row["duty_t"] else "–"
    return "", [name, f"{row['firms']:,}", scaled("emissions_t"), scaled("free_t"), scaled("duty_t"),
                share, figures.percent(row["short_share"]), say(_because(row))]  # fmt: skip


def long_and_short(summary: Row) -> str:
    """The allocation by sector and class: who can sell, who has to buy, and what made it so."""
    rows: list[Row] = summary.get("allocation") or []
    if not rows:
        return ""
    unit = scale(max(row["emissions_t"] for row in rows))
    named = {key: titled(text, unit.name) for key, text in (
        ("emissions", "emissions | 排放量"), ("free", "free 免费 | 免费配额"), ("due", "due | 应清缴"),
    )}  # fmt: skip
    columns = ["who | 行业与机组", "firms | 企业数",
               *(f"{words['en']} | {words['zh']}" for words in named.values()),
               "surplus of what is due | 盈缺占应清缴", "firms that are short | 缺口企业占比",
               "mostly because of | 主要原因"]  # fmt: skip
    whole = [row for row in rows if row["unit_class"] == ALL]
    surplus, duty = sum(row["surplus_t"] for row in whole), max(sum(row["duty_t"] for row in whole), 1)
    state = ("long", "盈余") if surplus >= 0 else ("short", "短缺")
    intro = both(
        f"Before any trade the firms together are {state[0]} by {abs(surplus) / duty:.1%} of what is due. | "
        f"交易之前，全体企业合计{state[1]}，为应清缴量的{abs(surplus) / duty:.1%}。"
    )
    return section("Who is long and short, and why | 谁盈谁缺，为什么", paragraph(intro), _chart(rows),
                   table(columns, [_row(row, unit) for row in rows], "cards why", range(1, 7)))  # fmt: skip


def achieved(season: Season, summary: Row) -> str:
    """Tonnes reduced and what they cost, against the least that they could have cost and against no trade."""
    found = summary.get("efficiency")
    if not found or not surrendered(season):
        return ""
    share = found["efficiency"]
    realised = "–" if share is None else figures.percent(share)
    cost, least, alone = (
        f"{found[key] / 1e6:,.1f}" for key in ("social_cost_cny", "least_cost_cny", "no_trade_cost_cny")
    )
    price, backstop = (f"{found[key]:,.2f}" for key in ("least_cost_price_cny", "backstop_cny"))
    required = tonnes(found["required_t"])
    needed = {
        "en": f"reduced by the firms; {required['en']} had to be reduced",
        "zh": f"企业减排量；需减{required['zh']}",
    }
    cheapest = f"million CNY: the least cost, at a price of {price} CNY/t | 百万元：最低成本，对应价格{price}元/吨"
    cards: list[tuple[Text, Text]] = [
        (tonnes(found["abated_t"]), needed),
        (f"{cost} | {cost}", "million CNY spent on reducing | 百万元：减排成本"),
        (f"{least} | {least}", cheapest),
        (f"{alone} | {alone}", "million CNY: what it costs without any trade | 百万元：完全不交易时的成本"),
        (f"{realised} | {realised}", "of the gains from trade realised | 的可得交易收益已实现（配置效率）"),
        (f"{backstop} | {backstop}", "CNY: what a missing tonne is put at | 元：每吨缺口的估值"),
    ]  # fmt: skip
    text = (
        "A carbon market is there for cheap reductions, not for turnover. 100 % would be the least cost of meeting the "
        "cap, 0 % what it costs when nobody trades; below 0 % trade did harm. What is missing in the end counts as a "
        "cost, too. Costs of reducing are the model's, not measured ones. | "
        "碳市场的目的是低成本减排，而非成交额。100%为达成总量目标的最低成本，0%为完全不交易时的成本，"
        "低于0%说明交易反而有害；最终缺口也计入成本。减排成本为模型设定，并非实测。"
    )
    nothing = paragraph("There was nothing to gain from trade. | 没有可实现的交易收益。") if share is None else ""
    return section("What the season achieved | 本季成效", figures_grid(cards), nothing, paragraph(text))
