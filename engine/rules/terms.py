"""Names and numbers of a rulebook in English and Chinese, of which `words.py` makes its sentences.

Every text is a pair (English, Chinese). This file knows no rule and no market.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from engine.codes import CommandKind, OrderCondition, OrdType, Participant, Phase, Stage, TimeInForce, TradingMode
from engine.units import text_from_fen

Both = tuple[str, str]
"""A text in English and in Chinese."""

PRODUCTS: dict[str, Both] = {
    "allowance": ("emission allowance", "碳排放配额"),
    "ccer": ("national offset credit", "国家核证自愿减排量"),
    "phcer": ("credit of the low-carbon conduct scheme", "碳普惠核证自愿减排量"),
    "ffcer": ("forestry credit of the province", "林业碳汇减排量"),
    "energy_right": ("energy-use right", "用能权"),
}
PLACES_AND_PROJECTS = {"Guangdong": "广东", "Fujian": "福建", "forestry": "林业"}
"""Chinese of the texts that rulebooks give in English; what is not in here stays as written."""
PHASES: dict[Phase, Both] = {
    Phase.CLOSED: ("closed", "休市"),
    Phase.MORNING: ("morning", "上午"),
    Phase.BREAK: ("break", "午间"),
    Phase.AFTERNOON: ("afternoon", "下午"),
    Phase.OPEN: ("open", "开市"),
    Phase.HALTED: ("halted", "临时停牌"),
    Phase.CALL: ("call auction", "集合竞价"),
    Phase.OPENING: ("opening", "开盘初段"),
}
WEEKDAYS: tuple[Both, ...] = (
    ("Monday", "周一"),
    ("Tuesday", "周二"),
    ("Wednesday", "周三"),
    ("Thursday", "周四"),
    ("Friday", "周五"),
    ("Saturday", "周六"),
    ("Sunday", "周日"),
)
SCREENS: dict[TradingMode, Both] = {
    TradingMode.CONTINUOUS: ("continuous trading", "连续竞价"),
    TradingMode.LISTED: ("listed agreement", "挂牌协议"),
}
OFF_SCREEN: dict[TradingMode, Both] = {
    TradingMode.BLOCK: ("blocks", "大宗协议"),
    TradingMode.OFFER: ("fixed-price offers", "定价转让"),
    TradingMode.AUCTION: ("one-way auctions", "单向竞价"),
}
ORDER_TYPES: dict[OrdType, Both] = {
    OrdType.MARKET: ("market", "市价"),
    OrdType.LIMIT: ("limit", "限价"),
    OrdType.MARKET_TO_LIMIT: ("market-to-limit", "市价转限价"),
}
VALIDITIES: dict[TimeInForce, Both] = {
    TimeInForce.DAY: ("for the day", "当日有效"),
    TimeInForce.GTC: ("until cancelled", "撤销前有效"),
    TimeInForce.GTD: ("until a named time", "指定时间前有效"),
    TimeInForce.IOC: ("at once with the rest cancelled (IOC)", "即时成交剩余撤销（IOC）"),
    TimeInForce.FOK: ("at once in full (FOK)", "即时全部成交否则撤销（FOK）"),
}
CONDITIONS: dict[OrderCondition, Both] = {
    OrderCondition.POST_ONLY: ("be post-only (refused where it would trade at once)", "只做挂单（会立即成交则拒绝）"),
    OrderCondition.MIN_QTY: ("ask for a smallest quantity that trades at once", "限定最低即时成交量"),
}
PARTICIPANTS: dict[Participant, Both] = {
    Participant.COVERED: ("covered firms", "重点排放单位"),
    Participant.INSTITUTION: ("institutions", "机构"),
    Participant.INDIVIDUAL: ("individuals", "个人"),
}
STAGES: dict[Stage, Both] = {
    Stage.APPLICATION: ("applications", "申请"),
    Stage.BIDDING: ("bids (free quotation)", "自由报价"),
    Stage.TIMED: ("bids that beat the best (time-limited quotation)", "限时报价（须优于当前最优价）"),
}
_K = CommandKind
ACTIONS: tuple[tuple[frozenset[CommandKind], Both], ...] = (
    (frozenset({_K.NEW, _K.CANCEL, _K.REPLACE, _K.MASS_CANCEL}), ("enter, change and cancel {}", "申报、改单、撤单")),
    (frozenset({_K.CANCEL, _K.MASS_CANCEL}), ("cancel {}", "撤单")),
    (frozenset({_K.NEW}), ("enter {}", "申报")),
    (frozenset({_K.CANCEL}), ("cancel {} one by one", "逐笔撤单")),
    (frozenset({_K.REPLACE}), ("change {}", "改单")),
    (frozenset({_K.MASS_CANCEL}), ("cancel all {} at once", "批量撤单")),
    (frozenset({_K.CLICK}), ("click listings", "点选成交")),
    (frozenset({_K.PROPOSE, _K.CONFIRM, _K.DECLINE}), ("agree blocks", "大宗协议")),
    (frozenset({_K.PROPOSE}), ("propose blocks", "大宗协议申报")),
    (frozenset({_K.CONFIRM}), ("confirm blocks", "确认大宗协议")),
    (frozenset({_K.DECLINE}), ("decline blocks", "拒绝大宗协议")),
    (frozenset({_K.OFFER, _K.TAKE}), ("post and take fixed-price offers", "定价转让申报与受让")),
    (frozenset({_K.OFFER}), ("post fixed-price offers", "定价转让申报")),
    (frozenset({_K.TAKE}), ("take fixed-price offers", "定价转让受让")),
    (frozenset({_K.ANNOUNCE, _K.APPLY, _K.BID}), ("announce auctions, apply and bid", "单向竞价公告、申请与报价")),
    (frozenset({_K.ANNOUNCE, _K.BID}), ("announce auctions and bid", "单向竞价公告与报价")),
    (frozenset({_K.ANNOUNCE}), ("announce auctions", "单向竞价公告")),
    (frozenset({_K.APPLY}), ("apply to auctions", "单向竞价申请")),
    (frozenset({_K.BID}), ("bid in auctions", "单向竞价报价")),
)
"""What commands do, several together before each alone; `{}` is what the screen calls its orders."""


def number(value: int) -> str:
    """1000000 -> 1,000,000."""
    return f"{value:,}"


def money(fen: int) -> str:
    """Fen -> CNY with two decimals, as in 10,000.00."""
    whole, _, decimals = text_from_fen(fen).partition(".")
    return f"{int(whole):,}.{decimals}"


def percent(basis_points: int) -> Both:
    """250 -> 2.5 %; Chinese sets no space."""
    whole, rest = divmod(basis_points, 100)
    text = f"{whole}.{rest:02d}".rstrip("0").rstrip(".")
    return f"{text} %", f"{text}%"


def listing(items: Iterable[Both], last: str = "and") -> Both:
    """a, b and c; 甲、乙、丙."""
    pairs = list(items)
    en, zh = [pair[0] for pair in pairs], "、".join(pair[1] for pair in pairs)
    return (f"{', '.join(en[:-1])} {last} {en[-1]}" if len(en) > 1 else "".join(en)), zh


def members(names: Mapping[Any, Both], mask: int) -> list[Both]:
    """Names of the members whose bits are set."""
    return [name for member, name in names.items() if mask >> member & 1]


def capital(text: str) -> str:
    """With a capital first letter."""
    return text[:1].upper() + text[1:]
