"""The realism checks as a table: verdicts come in ready, with what a pass is worth."""

from html import escape

from sim import figures
from sim.checks import load_records
from sim.report.elements import Row, cell, code, paragraph, say, section, table

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
UNITS_ZH = {
    "t": "吨", "share": "占比", "ratio": "比值", "CNY/t": "元/吨", "CNY": "元", "date": "日期", "kurtosis": "峰度",
    "log return a day": "日对数收益率", "trading days": "交易日", "days": "天", "firms": "家",
    "correlation": "相关系数", "statistic": "统计量",
}  # fmt: skip


def _accepted(check: Row) -> str:
    low, high = figures.in_unit(check["low"], check["unit"]), figures.in_unit(check["high"], check["unit"])
    if check["high"] is None:
        return f"at least {low} | 不低于 {low}"
    return f"at most {high} | 不高于 {high}" if check["low"] is None else f"{low} to {high} | {low} 至 {high}"


def _tag(kind: str) -> str:
    return say(f"{kind} | {KINDS_ZH[kind]}", css=f"tag {kind}")


def _row(check: Row, source: int) -> tuple[str, list[str]]:
    css, verdict = {
        True: ("held", "✓ holds | ✓ 通过"),
        False: ("failed", "✗ FAILED | ✗ 未通过"),
        None: ("", "not measured | 未测量"),
    }[check["passed"]]
    unit, null = check["unit"], check["null_pass_rate"]
    what = say({"en": check["title"], "zh": check["title_zh"]})
    return css, [
        code(check["name"]),
        f"<div>{what}{say(f'{unit} | {UNITS_ZH.get(unit, unit)}', 'small')}</div>",
        cell(figures.in_unit(check["value"], unit)),
        say(_accepted(check)),
        f"<span>{escape(figures.in_unit(check['recorded'], unit))}<sup> {source}</sup></span>",
        _tag(check["kind"]),
        say("undefined | 无定义" if null is None else f"{null:.0%} | {null:.0%}"),
        say(verdict, css="verdict"),
        cell(check["note"]) if check["note"] else "",
    ]


def realism(summary: Row) -> str:
    """The table of realism checks, with a count and what each kind of check is worth."""
    title, checks, records = "Realism checks | 真实性检验", summary["checks"], load_records(summary["scenario"])
    if not checks:
        return section(title, paragraph("Nothing is asked of this season. | 本季没有检验项目。"))
    held = [check for check in checks if check["passed"] is True]
    failed = [check for check in checks if check["passed"] is False]
    proof, able = (sum(check["kind"] == "evidence" for check in some) for some in (held, checks))
    open_ = len(checks) - len(held) - len(failed)
    count = (
        f"{len(held)} of {len(checks)} hold, of those {proof} are evidence (of {able} checks that can be). | "
        f"{len(checks)}项中{len(held)}项通过，其中{proof}项属于证据（可作证据的共{able}项）。"
    )
    names, names_zh = ", ".join(row["title"] for row in failed), "、".join(row["title_zh"] for row in failed)
    failures = {"en": f"{len(failed)} failed: {names}.", "zh": f"{len(failed)}项未通过：{names_zh}。"}
    verdict = say(failures) if failed else say("No check failed. | 没有未通过的检验。")
    if open_:
        verdict += " " + say(f"{open_} could not be measured. | {open_}项无法测量。")
    no_null = "" if records.null else paragraph(
        "Nothing was recorded that a null model could be matched to, so no check of this season can be evidence. | "
        "没有可供零模型匹配的实际数据，因此本季没有检验可作证据。"
    )  # fmt: skip
    sources = list(dict.fromkeys(check["source"] for check in checks))
    rows = [_row(check, sources.index(check["source"]) + 1) for check in checks]
    columns = ["name | 名称", "what | 内容", "value | 模拟值", "accepted | 接受区间", "record | 实际值",
               "kind | 类别", "null passes | 零模型通过率", "verdict | 结论", "note | 备注"]  # fmt: skip
    legend = "".join(f"<li>{_tag(kind)} {say(why)}</li>" for kind, why in CHECK_KINDS.items())
    left_out = "".join(f"<li>{code(name)}: {cell(why)}</li>" for name, why in records.not_asked.items())
    why = "General checks not asked of this season, and why: | 本季不适用的通用检验及原因（英文原文）："
    not_asked = "" if not left_out else (
        paragraph(why, "quiet")
        + f'<ul class="quiet">{left_out}</ul>'
    )  # fmt: skip
    return section(
        title,
        f'<div class="callout {"failed" if failed else "held"}">{say(count, "strong")} {verdict}</div>',
        no_null,
        f'<ul class="legend">{legend}</ul>',
        table(columns, rows, "cards checks", range(2, 3)),
        paragraph("Sources of the record, by number: | 实际值来源（来源与备注为英文原文）：", "quiet"),
        f'<ol class="quiet">{"".join(f"<li>{escape(source)}</li>" for source in sources)}</ol>',
        not_asked,
    )
