"""The top of the page: what happened, in one sentence and six figures, and what kind of season it is."""

from sim import figures
from sim.report.elements import Both, Row, Text, both, figures_grid, paragraph, tonnes
from sim.result import Season

PROJECTION = (
    "A projection: a market as it was expected to become, and that never was. Nothing was recorded that it could be "
    "held against. | 情景推演：按当时的预期构想、从未出现过的市场，没有可供对照的实际数据。"
)


def surrendered(season: Season) -> bool:
    """Whether allowances were due on this exchange: a deadline inside the season, on which firms surrendered."""
    assert season.firms is not None, "a report has firms"
    return season.deadline is not None and bool((season.firms["surrendered_t"] > 0).any())


def _same(text: str) -> Both:
    return {"en": text, "zh": text}


def _volume(summary: Row, modes: dict[str, Both]) -> tuple[Text, Text]:
    """Tonnes, and what was traded beside them."""
    volume = summary["volume_t"]
    en, zh = ["traded"], ["成交量"]
    if "block" in modes and volume["block"]:
        share = figures.percent(volume["block"] / volume["total"])
        en.append(f"{share} of it by {modes['block']['en']}")
        zh.append(f"其中{modes['block']['zh']}占{share}")
    if volume["auction"]:
        sold = tonnes(volume["auction"])
        en.append(f"and {sold['en']} sold by the government beside it")
        zh.append(f"另有政府有偿发放{sold['zh']}")
    if volume["offsets"]:
        beside = tonnes(volume["offsets"])
        en.append(f"and {beside['en']} of offsets beside it")
        zh.append(f"另有抵消信用{beside['zh']}")
    return tonnes(volume["total"]), {"en": ", ".join(en), "zh": "，".join(zh)}


def _cards(season: Season, summary: Row, modes: dict[str, Both]) -> list[tuple[Text, Text]]:
    price, done, checks = summary["price"], summary["compliance"], summary["checks"]
    first, last, low, high, mean = (f"{price[key]:.2f}" for key in ("first", "last", "min", "max", "vwap"))
    late, late_60 = figures.percent(summary["share_last_30d"]), figures.percent(summary["share_last_60d"])
    end, end_zh = ("deadline", "截止日") if season.deadline is not None else ("season's end", "季末")
    when = f"of volume in the 30 days up to the {end} ({late_60} in 60) | 的成交量在{end_zh}前30天内（60天内{late_60}）"
    span = (
        f"CNY/t, first to last close (low {low}, high {high}, mean {mean}) | "
        f"元/吨，首日至末日收盘价（最低{low}，最高{high}，均价{mean}）"
    )
    cards: list[tuple[Text, Text]] = [
        _volume(summary, modes), (_same(late), when), (_same(f"{first} → {last}"), span),
    ]  # fmt: skip
    if surrendered(season):
        rate, by_volume = figures.percent(done["rate_firms"]), figures.percent(done["rate_volume"])
        fines = done["penalty_cny"]
        kept = f"of firms complied 履约; {by_volume} by volume | 的企业足额履约；按量计算为{by_volume}"
        missing = f"not surrendered 清缴; fines {fines / 1e6:,.2f} million CNY | 未清缴；罚款{fines / 1e4:,.1f}万元"
        cards += [(_same(rate), kept), (tonnes(done["shortfall_t"]), missing)]
    else:
        due = "firms; no surrender 清缴 fell due here in this season | 家企业；本季在此无清缴义务到期"
        cards.append((_same(f"{summary['firms']:,}"), due))
    held = sum(check["passed"] is True for check in checks)
    cards.append((_same(f"{held} / {len(checks)}"), "realism checks hold | 项真实性检验通过"))
    return cards


def _sentence(season: Season, summary: Row) -> Both:
    price, firms = summary["price"], f"{summary['firms']:,}"
    first, last = (f"{price[key]:.2f}" for key in ("first", "last"))
    late = figures.percent(summary["share_last_30d"])
    moved = both(f"The price went from {first} to {last} CNY/t | 收盘价由{first}元/吨变为{last}元/吨")
    if summary["volume_t"]["total"] == 0:
        return both(f"Nothing was traded among {firms} firms in the whole season. | 全季{firms}家企业之间没有成交。")
    if not surrendered(season):
        volume = tonnes(summary["volume_t"]["total"])
        return {"en": f"{moved['en']}, and {volume['en']} changed hands in {summary['days']} trading days.",
                "zh": f"{summary['days']}个交易日共成交{volume['zh']}；{moved['zh']}。"}  # fmt: skip
    rate = figures.percent(summary["compliance"]["rate_firms"])
    return {
        "en": f"{moved['en']}, {late} of the season's volume came in the 30 days up to the deadline, and {rate} of "
              f"{firms} firms complied in full.",
        "zh": f"{moved['zh']}；全季成交量的{late}发生在清缴截止日前30天内；{firms}家企业中{rate}足额履约。",
    }  # fmt: skip


def headline(season: Season, summary: Row, modes: dict[str, Both]) -> str:
    """What happened, in one sentence and six figures."""
    what = paragraph(PROJECTION, "callout") if summary.get("projection") else ""
    return what + paragraph(_sentence(season, summary), "headline") + figures_grid(_cards(season, summary, modes))
