"""The firms: when they bought, how compliance went, and where every unit and fen of the season is."""

import numpy as np

from sim import figures
from sim.report.charts import (
    BLUE,
    ORANGE,
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
    titled,
    values,
)
from sim.report.elements import Row, both, code, paragraph, say, section, table
from sim.report.headline import surrendered
from sim.result import Season

LARGE_PERCENT = 10
"""Firms shown as large: this part of all firms, by emissions."""
TENTHS = 10
WEEK_MS = 7 * 86_400_000

REFUSED_ZH = {
    "after the cut-off": "已过截止时间",
    "more than is due": "超过应清缴量",
    "this product does not count towards the duty": "该产品不可用于清缴",
    "this kind of offset is not eligible": "该类抵消信用不符合条件",
    "beyond the offset cap": "超过抵消比例上限",
    "too few offsets of the own region beside it": "本地抵消信用比例不足",
    "the units are not in the account": "账户中没有这些单位",
}
"""Reasons of `Season.refused`."""


def _monday(days: np.ndarray) -> np.ndarray:
    """Monday of each date's week, datetime64[D]; day 0 of the epoch was a Thursday."""
    monday: np.ndarray = days - (days.astype(np.int64) + 3) % 7
    return monday


def purchases(season: Season, firms: np.ndarray, announced: list[Row]) -> str:
    """When firms bought first and last, large firms against the others, and by week."""
    title, days = "When firms bought | 企业何时买入", season.days["date"]
    large = np.zeros(firms.size, bool)
    large[np.argsort(-firms["emissions_t"], kind="stable")[: firms.size * LARGE_PERCENT // 100]] = True
    bought = ~np.isnat(firms["first_buy"])
    if not bought.any():
        return section(title, paragraph("No firm bought anything. | 没有企业买入。"))
    lines = []
    for size, size_zh, who, color in (("Large", "大型", large, BLUE), ("Small", "其他", ~large, RED)):
        if not (who & bought).any():
            continue
        for when, when_zh, dash in (("first", "首次", "solid"), ("last", "末次", "dot")):
            on = np.sort(firms[f"{when}_buy"][who & bought])
            share = np.searchsorted(on, days, side="right") / on.size
            name = f"{size}, {when} purchase | {size_zh}企业{when_zh}买入"
            look = {"color": color, "dash": dash, "shape": "hv"}
            lines.append(line(name, dates(days), values(share), "%{y:.1%}", look))
    share_axis = axis("share of buying firms | 买入企业累计占比", tickformat=".0%", range=[0, 1.02])
    all_, buyers, big = (f"{int(n):,}" for n in (firms.size, bought.sum(), (large & bought).sum()))
    cumulative = chart("buyers", lines, marks(announced, season, 370) | {"yaxis": share_axis}, (
        f"Cumulative share of the {buyers} firms (of {all_}) that bought at all. Large: the largest {LARGE_PERCENT} % "
        f"by emissions, {big} of which bought; small: all others. | "
        f"有买入的{buyers}家企业（共{all_}家）的累计占比。大型：排放量最大的{LARGE_PERCENT}%，其中{big}家有买入；"
        "其他：其余企业。"
    ))  # fmt: skip
    weeks = np.arange(_monday(days)[0], days[-1] + 1, 7)
    bars = []
    for when, name, color in (
        ("first", "First purchase | 首次买入", SKY),
        ("last", "Last purchase | 末次买入", RED),
    ):
        count = (_monday(firms[f"{when}_buy"][bought])[:, None] == weeks).sum(axis=0)
        bars.append(bar(name, dates(weeks), values(count), color, "%{y:,}", xperiod=WEEK_MS,
                        xperiod0=str(weeks[0]), xperiodalignment="middle"))  # fmt: skip
    layout = marks(announced, season, 310) | {"barmode": "group", "yaxis": axis("firms | 企业数", rangemode="tozero")}
    caption = "Firms by the week of their first and last purchase. | 按首次与末次买入所在周统计的企业数。"
    return section(title, cumulative, chart("weeks", bars, layout, caption))


def _steps(season: Season, firms: np.ndarray) -> str:
    """From what was due to what is missing, and what that costs."""

    def row(name: str, column: str) -> tuple[str, list[str]]:
        return "", [say(name), f"{(firms[column] > 0).sum():,}", f"{firms[column].sum():,}", ""]

    on_time = firms["duty_t"] - firms["late_t"]
    rows = [
        row("due 应清缴 | 应清缴", "duty_t"),
        ("", [say("surrendered by the deadline | 截止日前已清缴"), f"{(on_time > 0).sum():,}",
              f"{on_time.sum():,}", ""]),
        row("short at the deadline 逾期 | 截止日未足额（逾期）", "late_t"),
        row("made up in the correction window 责令改正 | 责令改正期内补缴", "made_up_t"),
        row("still short at the end | 最终未足额清缴", "shortfall_t"),
    ]  # fmt: skip
    price = "–" if season.penalty_price_fen is None else f"{season.penalty_price_fen / 100:.2f}"
    reckoned = both(
        " | " if season.penalty_price_fen is None
        else f"at a mean price of {price} CNY/t | （按均价{price}元/吨计）"
    )  # fmt: skip
    fine_cny = f"{firms['fine_fen'].sum() / 100:,.0f}"
    fine = say(f"{fine_cny} CNY {reckoned['en']} | {fine_cny}元{reckoned['zh']}")
    rows += [
        ("", [say("fined 罚款 | 罚款"), f"{(firms['fine_fen'] > 0).sum():,}", "", fine]),
        row("taken from the account by force 强制扣缴 | 强制扣缴", "deducted_t"),
        row("lost by the next allocation | 下一年度配额核减", "next_deduction_t"),
        row("offsets 抵消 among what was surrendered | 清缴中的抵消信用", "offsets_used_t"),
    ]
    columns = ["step | 环节", "firms | 企业数", "tonnes | 吨", "money | 金额"]
    return table(columns, rows, numbers=range(1, 3))


def _refused(season: Season) -> str:
    """Surrenders that the registry did not take."""
    if not season.refused:
        return ""
    rows = [("", [say({"en": reason, "zh": REFUSED_ZH.get(reason, reason)}), f"{count:,}"])
            for reason, count in sorted(season.refused.items(), key=lambda item: -item[1])]  # fmt: skip
    return say("Surrenders refused by the registry | 登记系统拒绝的清缴", "h3") + table(
        ["reason | 原因", "number | 次数"], rows, numbers=range(1, 2)
    )


def _by_size(firms: np.ndarray) -> str:
    """Compliance by tenth of firm size, and of single firms against members of a group."""
    tenths = np.array_split(np.argsort(firms["emissions_t"], kind="stable"), TENTHS)
    late, short = firms["late_t"] > 0, firms["shortfall_t"] > 0
    parts = [(~late & ~short, "On time | 按时足额", BLUE), (late & ~short, "Made up late | 逾期后补足", ORANGE),
             (short, "Not in full | 未足额", RED)]  # fmt: skip
    names = [str(i + 1) for i in range(TENTHS)]
    data = [
        bar(name, names, [float(part[d].mean()) if d.size else None for d in tenths], color, "%{y:.1%}")
        for part, name, color in parts
        if part.any()
    ]
    short_t = [int(firms["shortfall_t"][d].sum()) for d in tenths]
    unit = scale(max(short_t))
    data.append(bar("Shortfall | 缺口", names, [qty / unit.per for qty in short_t], RED, hover(unit.name), yaxis="y2",
                    showlegend=False))  # fmt: skip
    size = "tenth of firms by emissions (10 = largest) | 按排放量十等分（10为最大）"
    layout = {
        "height": 450, "barmode": "stack", "xaxis": axis(size, type="category", anchor="y2"),
        "yaxis": axis("share of firms | 企业占比", domain=[0.54, 1], tickformat=".0%", range=[0, 1]),
        "yaxis2": axis(titled("shortfall | 缺口", unit.name), domain=[0, 0.46], rangemode="tozero"),
    }  # fmt: skip
    caption = (
        "Share of firms that surrendered 清缴 in full by the deadline, or late, or never, and tonnes missing in the "
        "end, by firm size. | 按企业规模划分：按时、逾期补足、未足额清缴的企业占比，以及最终缺口吨数。"
    )
    single, who = firms["group"] == -1, []
    for name, chosen in zip(names, tenths, strict=True):
        who.append((say(f"tenth {name} | 第{name}等分"), chosen))
    who += [(say("single firms | 单独企业", "strong"), np.flatnonzero(single)),
            (say("members of a group | 集团成员", "strong"), np.flatnonzero(~single)),
            (say("all | 全部", "strong"), np.arange(firms.size))]  # fmt: skip
    rows = []
    for name, chosen in who:
        shares = [figures.percent(float(part[chosen].mean())) if chosen.size else "–" for part, _, _ in parts]
        fine = firms["fine_fen"][chosen].sum() / 1e5
        rows.append(("", [name, f"{chosen.size:,}", *shares, f"{firms['shortfall_t'][chosen].sum() / unit.per:,.1f}",
                          f"{fine:,.0f}"]))  # fmt: skip
    gap = titled("short | 缺口", unit.name)
    columns = ["firms | 企业", "number | 数量", "on time | 按时足额", "made up late | 逾期补足", "not in full | 未足额",
               f"{gap['en']} | {gap['zh']}", "fines, 1,000 CNY | 罚款，千元"]  # fmt: skip
    return chart("compliance", data, layout, caption) + table(columns, rows, numbers=range(1, 7))


def compliance(season: Season, firms: np.ndarray) -> str:
    """Who surrendered, who was late, who made up, and what became of the others."""
    title = "Compliance 履约 | 履约"
    if not surrendered(season):
        why = (
            "No deadline fell into this season, so nothing was surrendered. | 本季没有清缴截止日，无清缴。"
            if season.deadline is None
            else "Nothing was surrendered on this exchange: what is due is due elsewhere. | "
            "本场所不办理清缴：清缴义务在别处履行。"
        )
        return section(title, paragraph(why), _refused(season))
    return section(title, _steps(season, firms), _refused(season), _by_size(firms))


def whereabouts(season: Season) -> str:
    """Every unit issued and every fen paid in, and where it is at the end."""
    if not season.accounts:
        return ""
    cash = season.accounts["cash"]
    places = ("issued_t", "held_t", "surrendered_t", "cancelled_t", "unsold_t")
    rows = [
        ("", [code(symbol), *(f"{entry[place]:,}" for place in places)])
        for symbol, entry in season.accounts.items()
        if symbol != "cash" and entry["issued_t"]
    ]
    verdict = ("held", "✓ Nothing is lost. | ✓ 分毫不差。") if season.conserved else (
        "failed", "✗ IT DOES NOT ADD UP. | ✗ 不守恒。"
    )  # fmt: skip
    paid, there = (f"{cash[key] / 100:,.2f}" for key in ("brought_in_fen", "in_accounts_fen"))
    columns = ["unit, t | 单位（吨）", "issued | 发放", "held | 账户持有", "surrendered 清缴 | 清缴",
               "taken back or cancelled | 收回或注销", "left unsold | 政府未售"]  # fmt: skip
    return section(
        "Where every unit and every fen is | 每一吨、每一分的去向",
        f'<div class="callout {verdict[0]}">{say(verdict[1], "strong")} ',
        say(
            f"Cash paid in and not out again {paid} CNY, in accounts {there} CNY. | 净入金{paid}元，账户合计{there}元。"
        ),
        "</div>",
        table(columns, rows, "cards", range(1, 6)),
        paragraph("Issued = held + surrendered + taken back + unsold. | 发放＝持有＋清缴＋收回注销＋未售。", "quiet"),
    )
