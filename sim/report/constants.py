"""Every constant of the model by kind; how to repeat the season, and what the page is not."""

from html import escape
from itertools import groupby

from sim.report.elements import Both, Row, both, cell, code, paragraph, plain, say, section, table

PARAMETER_KINDS = {
    "fitted": "fitted to this season | 拟合：针对本履约周期",
    "anchored": "anchored: set from something other than this season | 锚定：依据本周期以外的资料",
    "assumed": "assumed, without a public figure | 假设：无公开数据",
    "rule": "rule of the market | 市场规则",
    "public fact": "public fact of the season | 公开事实",
}


def constants(parameters: list[Row]) -> str:
    """Every constant of the model, grouped by kind."""
    order = list(PARAMETER_KINDS)
    ranked = sorted(parameters, key=lambda row: order.index(row["kind"]))
    columns = ["name | 名称", "value | 数值", "unit | 单位", "meaning | 含义", "source | 来源",
               "tuned | 调整"]  # fmt: skip
    tuned = say("tuned | 已调整", css="tag tuned")
    parts = []
    for kind, found in groupby(ranked, lambda row: str(row["kind"])):
        rows = [
            ("", [code(row["name"]), *(cell(plain(row[key])) for key in ("value", "unit", "meaning", "source")),
                  tuned if row["tuned"] else ""]) for row in found
        ]  # fmt: skip
        parts += [say(PARAMETER_KINDS[kind], "h3"), table(columns, rows, "cards constants")]
    all_, changed = len(parameters), sum(row["tuned"] for row in parameters)
    intro = (
        f"All {all_} constants by kind. “Tuned” marks the {changed} that were changed after results had been seen. | "
        f"全部{all_}个常数，按类别排列。“已调整”标记在看到结果之后改动过的{changed}个。单位、含义与来源为英文原文。"
    )
    return section("Every constant of the model | 模型的全部常数", paragraph(intro), *parts)


def _origin(summary: Row, parameters: list[Row]) -> Both:
    """Whether the record of this very season went into the model."""
    fitted = ", ".join(row["name"] for row in parameters if row["kind"] == "fitted")
    if fitted:
        return both(
            "It was fitted to this very season, so part of the agreement with the record is by construction (fitted: "
            f"{fitted}); the checks say where agreement means something. | "
            f"模型正是针对本履约周期拟合的，因此与实际值的吻合部分源于构造（拟合参数：{fitted}）；"
            "检验表说明哪些吻合有意义。"
        )
    other = summary.get("parameters_from")
    if other:
        return {
            "en": f"Nothing was fitted to this season: what was fitted to {other} is used as it is (out of sample), so "
            "agreement with the record is not by construction.",
            "zh": f"没有参数针对本季拟合：直接沿用对{other}拟合的参数（样本外检验），因此与实际值的吻合并非源于构造。",
        }
    return both(
        "Nothing was fitted to this season: all its parameters are anchored elsewhere or assumed, so agreement with a "
        "record is not by construction. | "
        "没有参数针对本季拟合：全部参数或依据其他资料锚定，或为假设，因此与实际值的吻合并非源于构造。"
    )


BEFORE = (
    "A workshop model for comparing rules, neither a forecast nor a reconstruction: no firm in it is a real firm and "
    "none of its trades took place. | "
    "这是用于比较规则的工作坊模型，既不是预测，也不是历史重建：其中没有真实企业，也没有真实成交。"
)
AFTER = (
    "Where there is a record, it consists of daily figures, which cannot identify what happens inside a day: how "
    "orders are placed, how block partners find each other, spread and depth are assumptions that give plausible days, "
    "not findings. Another seed gives another season: read one run as one draw. | "
    "实际数据（如有）只有日度数据，无法识别日内机制：如何挂单、大宗协议如何寻找对手、价差与深度，"
    "都是能产生合理结果的假设，而非结论。换一个随机种子就是另一个季度：一次运行只是一次抽样。"
)


def _terms(modes: dict[str, Both]) -> Both:
    """The market's words in both languages."""
    fixed = {
        "compliance": "履约",
        "surrender": "清缴",
        "allowance": "配额",
        "offset": "抵消信用",
        "price limit": "涨跌幅",
    }
    named = ", ".join(words["en"] for words in modes.values())
    en = ", ".join(f"{word} {word_zh}" for word, word_zh in fixed.items())
    zh = "，".join(f"{word_zh} {word}" for word, word_zh in fixed.items())
    return {"en": f"Terms: {named}, {en}.", "zh": f"术语：{named}，{zh}。"}


def repeat(summary: Row, parameters: list[Row], modes: dict[str, Both]) -> str:
    """The command, the hashes, and what the page is not."""
    command = f"emex replay {summary['scenario']} --seed {summary['seed']}"
    days, firms, orders, trades = (f"{summary[key]:,}" for key in ("days", "firms", "orders", "trades"))
    facts = [
        ("scenario | 情景", summary["scenario"]),
        ("seed | 随机种子", str(summary["seed"])),
        ("rules hash | 规则哈希", summary["rules_hash"]),
        ("version | 版本", summary["version"]),
        ("digest of all events | 全部事件的摘要", summary["digest"]),
        ("days, firms, orders, trades | 交易日、企业、申报、成交", f"{days}, {firms}, {orders}, {trades}"),
        ("time | 用时", f"{summary['seconds']:.1f} s, {summary['orders_per_second']:,.0f} orders/s"),
    ]
    rows = "".join(f"<tr><td>{say(name)}</td><td>{code(fact)}</td></tr>" for name, fact in facts)
    said = both(BEFORE), _origin(summary, parameters), both(AFTER)
    caveat = {"en": " ".join(part["en"] for part in said), "zh": "".join(part["zh"] for part in said)}
    return section(
        "How to repeat this | 如何复现",
        f'<pre><code>{escape(command)}</code></pre><table class="facts"><tbody>{rows}</tbody></table>',
        say("What this is not | 这不是什么", "h3"), paragraph(caveat), paragraph(_terms(modes), "quiet"),
    )  # fmt: skip
