"""The sentence of each group of rules, English and Chinese: a function from `Facts`, in the order of reading.

A function answers None where its rules have no meaning in a market: clicking, where orders cross. It says what the
engine does with a rule, so it must follow the engine. A rule of `schema.FIELDS` that no group names fails a test.
"""

from collections.abc import Iterator

from engine.codes import (
    NONE,
    BlockReference,
    ClickChoice,
    CommandKind,
    Lots,
    Margin,
    Participant,
    Phase,
    Pricing,
    SelfTrade,
    Stage,
    TradePrice,
    TradingMode,
)
from engine.rules import terms
from engine.rules.facts import (
    ACCESS,
    AUCTIONS,
    BLOCKS,
    CLOSE,
    FEES,
    GROUPS,
    HOURS,
    OFFERS,
    PRODUCTS,
    SCREEN,
    SETTLEMENT,
    Facts,
    group,
)
from engine.rules.terms import Both
from engine.units import BASIS

__all__ = ["GROUPS"]

_OFF_SCREEN = {
    TradingMode.BLOCK: "block.min_qty_t",
    TradingMode.OFFER: "offer.min_qty_t",
    TradingMode.AUCTION: "auction.pricing",
}
"""The rule without which there is no such mode."""
_EVERY_LEVEL = 1000
"""As many price levels as a rulebook can name: any listing may be clicked."""
_MINUTE_NS = 60 * 10**9
_TRAITS = "product vintage project_type region crediting_from crediting_to"
_PERMITS = " ".join(phase.name.lower() for phase in Phase)
_HOLDERS = [kind.name.lower() for kind in Participant]
_MAX_HOLDINGS = " ".join(f"max_holding_{holder}_t" for holder in _HOLDERS)
_DISCLOSED = " ".join(f"disclose_{holder}_t" for holder in _HOLDERS)
_FEES = " ".join(f"{mode}_{side}_bp" for mode in ("screen", "block", "offer", "auction") for side in ("buy", "sell"))


@group(PRODUCTS, "products", "品种", f"instruments: {_TRAITS} tradable", by_instrument=True)
def _product(facts: Facts) -> Both:
    (traits_en, traits_zh), traded = _traits(facts), facts["instruments.tradable"]
    return (
        f"{facts.symbol}{traits_en} is {'' if traded else 'not '}traded.",
        f"{facts.symbol}{traits_zh}{'可' if traded else '不可'}交易。",
    )


def _traits(facts: Facts) -> Both:
    """What an instrument is, in parentheses; nothing where the rulebook says nothing."""
    en, zh = [], []
    product, vintage = facts["instruments.product"], facts["instruments.vintage"]
    if product or vintage:
        name = terms.PRODUCTS[product] if product else ("unit", "单位")
        en.append(f"{name[0]} of {vintage}" if vintage else name[0])
        zh.append(f"{vintage}年度{name[1]}" if vintage else name[1])
    for key, word_en, word_zh in (("project_type", "project type", "项目类型："), ("region", "region", "地区：")):
        text = facts[f"instruments.{key}"]
        if text:
            en.append(f"{word_en} {text}")
            zh.append(f"{word_zh}{terms.PLACES_AND_PROJECTS.get(text, text)}")
    for key, word_en, word_zh in (("from", "credited from", "计入期自"), ("to", "credited to", "计入期至")):
        day = facts[f"instruments.crediting_{key}"]
        if day:
            en.append(f"{word_en} {day}")
            zh.append(f"{word_zh}{day}")
    return (f" ({', '.join(en)})", f"（{'，'.join(zh)}）") if en else ("", "")


@group(PRODUCTS, "reference price", "基准价", "instruments: reference_price")
def _reference(facts: Facts) -> Both:
    products = [facts.of(n) for n in range(len(facts.book.symbols))]
    prices = [(product.symbol, *product.price("instruments.reference_price")) for product in products]
    en = ", ".join(f"{symbol} {price}" for symbol, price, _ in prices)
    zh = "、".join(f"{symbol} {price}" for symbol, _, price in prices)
    return f"While there is no previous close, limits are measured from: {en}.", f"尚无收盘价时的基准价：{zh}。"


def _clock(ns: int) -> str:
    """Time of day, 09:30, of ns after midnight."""
    return "{:02d}:{:02d}".format(*divmod(ns // _MINUTE_NS, 60))


@group(HOURS, "timetable", "时间表", "sessions: initial timetable")
def _hours(facts: Facts) -> Both:
    initial = Phase(facts["sessions.initial"])
    if not facts.phases:
        if initial == Phase.OPEN:
            return "The venue never closes.", "全天候开市。"
        en, zh = terms.PHASES[initial]
        return f"There is no timetable; the phase is: {en}.", f"没有固定时间表；所处阶段：{zh}。"
    starts = [(0, initial), *facts.phases]
    ends = [at for at, _ in starts[1:]] + [24 * 60 * _MINUTE_NS]
    open_times = [
        (f"{_clock(start)}–{_clock(end)}", terms.PHASES[phase])
        for (start, phase), end in zip(starts, ends, strict=True)
        if phase != Phase.CLOSED
    ]
    offset = f"UTC{facts.book.utc_offset_hours:+d}"
    en = ", ".join(f"{time} {phase[0]}" for time, phase in open_times)
    zh = "，".join(f"{time}{phase[1]}" for time, phase in open_times)
    rest = ("; otherwise closed", "；其余时间休市") if len(open_times) < len(starts) else ("", "")
    return f"A trading day ({offset}): {en}{rest[0]}.", f"交易时间（{offset}）：{zh}{rest[1]}。"


@group(HOURS, "trading days", "交易日", "sessions: weekdays")
def _days(facts: Facts) -> Both | None:
    days = sorted(facts["sessions.weekdays"] or range(1, 8))
    if not facts.phases:
        return None
    if len(days) == 7:
        return "Every day is a trading day.", "每天均为交易日。"
    names = [terms.WEEKDAYS[day - 1] for day in days]
    en, zh = terms.listing(names)
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        en, zh = f"{names[0][0]} to {names[-1][0]}", f"{names[0][1]}至{names[-1][1]}"
    return f"Trading days: {en}.", f"交易日：{zh}。"


@group(HOURS, "extra days", "另外开市", "sessions: extra_days", where="sessions.extra_days")
def _extra_days(facts: Facts) -> Both | None:
    if not facts.phases:
        return None
    en, zh = terms.listing((str(day), str(day)) for day in sorted(facts["sessions.extra_days"]))
    return f"Trading days as well: {en}.", f"另外开市：{zh}。"


@group(HOURS, "what is permitted when", "各时段可为", f"sessions.permits: {_PERMITS}")
def _permits(facts: Facts) -> Both:
    phases_of_day = [phase for _, phase in facts.phases]
    together: dict[int, list[Both]] = {}
    for phase in dict.fromkeys([*phases_of_day, Phase.HALTED]) if phases_of_day else Phase:
        mask = facts[f"sessions.permits.{phase.name.lower()}"]
        if mask:
            together.setdefault(mask, []).append(terms.PHASES[phase])
    en, zh = [], []
    for mask, phases in together.items():
        names, actions = terms.listing(phases), list(_actions(mask, facts.orders))
        en.append(f"{terms.capital(names[0])}: {', '.join(action for action, _ in actions)}.")
        zh.append(f"{names[1]}：{'、'.join(action for _, action in actions)}。")
    return f"{' '.join(en)} Otherwise nothing is permitted.", f"{''.join(zh)}其他时段不可操作。"


def _actions(mask: int, orders: str) -> Iterator[Both]:
    """What a phase permits; commands that are always permitted go unsaid."""
    left = {kind for kind in CommandKind if mask >> kind & 1}
    for kinds, (en, zh) in terms.ACTIONS:
        if kinds <= left:
            left -= kinds
            yield en.format(orders), zh


def _on_screen(facts: Facts) -> bool:
    """Whether there is a screen."""
    return facts.screen != TradingMode.NO_SCREEN


@group(SCREEN, "mode", "交易方式", "screen: mode")
def _mode(facts: Facts) -> Both:
    if facts.screen == TradingMode.CONTINUOUS:
        return (
            "Continuous trading: orders cross by themselves, by price, then by time.",
            "连续竞价：委托按价格优先、时间优先自动成交。",
        )
    if facts.screen == TradingMode.LISTED:
        return (
            "Listed agreement: listings rest, nothing crosses by itself, a taker clicks.",
            "挂牌协议：挂牌等待，不自动成交，由对手方点选。",
        )
    return "There is no screen.", "无盘面交易（不设挂牌协议，也不设连续竞价）。"


@group(SCREEN, "price limit", "涨跌幅", "screen: band_down_bp band_up_bp", always=True)
def _band(facts: Facts) -> Both | None:
    if not _on_screen(facts):
        return None
    down, up = facts["screen.band_down_bp"], facts["screen.band_up_bp"]
    if down == up == NONE:
        return "There is no daily price limit.", "不设涨跌幅限制。"
    if down == up:
        en, zh = terms.percent(up)
        return f"Prices stay within {en} of the previous close.", f"涨跌幅限制：上一交易日收盘价的±{zh}。"
    (fall_en, fall_zh), (rise_en, rise_zh) = (
        ("without limit", "不限") if bp == NONE else (f"by {terms.percent(bp)[0]}", terms.percent(bp)[1])
        for bp in (down, up)
    )
    return (
        f"Prices may fall {fall_en} and rise {rise_en} from the previous close.",
        f"涨跌幅限制：较上一交易日收盘价，跌幅{fall_zh}、涨幅{rise_zh}。",
    )


@group(SCREEN, "steps", "最小单位", "screen: tick lot_t")
def _steps(facts: Facts) -> Both:
    tick, lot = facts.price("screen.tick"), facts.quantity("screen.lot_t")
    return (
        f"Prices are multiples of {tick[0]}, quantities of {lot[0]}.",
        f"价格最小变动单位{tick[1]}，数量最小单位{lot[1]}。",
    )


@group(SCREEN, "largest order", "最大申报量", "screen: max_qty_t")
def _largest(facts: Facts) -> Both | None:
    if not _on_screen(facts):
        return None
    en, zh = facts.quantity("screen.max_qty_t")
    return f"A screen order is at most {en}.", f"单笔委托不超过{zh}。"


@group(SCREEN, "widest range", "价格范围", "screen: price_low price_high")
def _range(facts: Facts) -> Both:
    low, high = facts.price("screen.price_low"), facts.price("screen.price_high")
    return (
        f"Whatever the limits, a price is at least {low[0]} and at most {high[0]}.",
        f"无论涨跌幅如何，价格不低于{low[1]}、不高于{high[1]}。",
    )


@group(SCREEN, "clicking", "点选", "screen: click_levels click_choice")
def _clicks(facts: Facts) -> Both | None:
    if facts.screen != TradingMode.LISTED:
        return None
    levels = facts["screen.click_levels"]
    where_en, where_zh = f"at the {levels} best prices", f"最优{levels}个价位内"
    if levels == 1:
        where_en, where_zh = "at the best price", "最优价位上"
    elif levels == _EVERY_LEVEL:
        where_en, where_zh = "at any price", "任一价位上"
    if facts["screen.click_choice"] == ClickChoice.OLDEST:
        return f"A taker may click only the oldest listing {where_en}.", f"只能点选{where_zh}最早的挂牌。"
    return f"A taker may click any listing {where_en}.", f"可点选{where_zh}的任一挂牌。"


@group(SCREEN, "crossed listings", "交叉挂牌", "screen: crossed_listings")
def _crossed(facts: Facts) -> Both | None:
    if facts.screen != TradingMode.LISTED:
        return None
    if facts["screen.crossed_listings"]:
        return (
            "A listing may be priced across the other side's best; it rests all the same.",
            "挂牌价格可越过对手方最优价，仍作为挂牌等待。",
        )
    return (
        "A listing that would meet the other side's best price is refused.",
        "挂牌价格达到对手方最优价的，拒绝申报（应点选成交）。",
    )


@group(SCREEN, "orders", "委托", "screen: order_types times_in_force")
def _orders(facts: Facts) -> Both | None:
    if not _on_screen(facts):
        return None
    kinds = terms.listing(terms.members(terms.ORDER_TYPES, facts["screen.order_types"]), "or")
    valid = terms.listing(terms.members(terms.VALIDITIES, facts["screen.times_in_force"]), "or")
    return (
        f"{terms.capital(facts.orders)} are {kinds[0]} orders, valid {valid[0]}.",
        f"委托类型：{kinds[1]}；有效期：{valid[1]}。",
    )


@group(SCREEN, "conditions", "附加条件", "screen: conditions")
def _conditions(facts: Facts) -> Both | None:
    asked = terms.members(terms.CONDITIONS, facts["screen.conditions"])
    if facts.screen != TradingMode.CONTINUOUS or not asked:
        return None
    en, zh = terms.listing(asked, "or")
    return f"An order may {en}.", f"委托可附条件：{zh}。"


@group(SCREEN, "trade price", "成交价", "screen: trade_price")
def _trade_price(facts: Facts) -> Both | None:
    if facts.screen != TradingMode.CONTINUOUS:
        return None
    if facts["screen.trade_price"] == TradePrice.MEDIAN:
        return (
            "A trade is priced at the middle one of bid, ask and last trade (at first the previous close).",
            "成交价取买价、卖价与最近成交价（当日首笔前为上一交易日收盘价）的中间值（协商议价）。",
        )
    return "A trade is priced as the order that was there first.", "成交价为先到委托的价格。"


_SELF_TRADE: dict[SelfTrade, Both] = {
    SelfTrade.ALLOW: ("An account may trade with itself.", "允许同一账户自成交。"),
    SelfTrade.REJECT_TAKER: ("Whoever would trade with himself is refused.", "会与自身成交的委托予以拒绝。"),
    SelfTrade.CANCEL_MAKER: (
        "Where an account would trade with itself, its resting order is cancelled.",
        "会与自身成交时，撤销本方先前的委托。",
    ),
    SelfTrade.CANCEL_TAKER: (
        "An order trades until it would meet its own account; the rest of it is cancelled.",
        "委托成交至将与自身成交为止，剩余部分撤销。",
    ),
}


@group(SCREEN, "self-trade", "自成交", "screen: self_trade")
def _self_trade(facts: Facts) -> Both | None:
    if not _on_screen(facts) and not facts.has("offer.min_qty_t"):
        return None
    return _SELF_TRADE[SelfTrade(facts["screen.self_trade"])]


@group(SCREEN, "halts", "临时停牌", "halt: move_bp seconds", where="halt.move_bp")
def _halt(facts: Facts) -> Both:
    (en, zh), seconds = terms.percent(facts["halt.move_bp"]), terms.number(facts["halt.seconds"])
    return (
        f"A move of {en} from the previous close, or since the last halt, halts the screen for {seconds} seconds.",
        f"价格较上一交易日收盘价（或当日上次停牌价）变动达{zh}时，临时停牌{seconds}秒。",
    )


@group(BLOCKS, "block size", "大宗数量", "block: min_qty_t", always=True)
def _block(facts: Facts) -> Both:
    if not facts.has("block.min_qty_t"):
        return "There are no blocks.", "没有大宗协议。"
    en, zh = facts.quantity("block.min_qty_t")
    return (
        f"Blocks, which one party proposes and a named counterparty confirms, are of at least {en}.",
        f"大宗协议：一方申报、指定对手方确认，单笔不少于{zh}。",
    )


@group(BLOCKS, "block price", "大宗价格", "block: band_bp reference", where="block.min_qty_t", always=True)
def _block_price(facts: Facts) -> Both:
    late = facts["block.reference"] == BlockReference.SAME_DAY_CLOSE
    wait = ("; it is held on both sides until then", "；收盘前双方冻结，收盘后交收") if late else ("", "")
    if facts.has("block.band_bp"):
        en, zh = terms.percent(facts["block.band_bp"])
        around = ("the same day's close", "当日") if late else ("the previous close", "上一交易日")
        return (
            f"The price of a block lies within {en} of {around[0]}{wait[0]}.",
            f"大宗价格限于{around[1]}收盘价的±{zh}{wait[1]}。",
        )
    until = ("; it is held on both sides until the close", wait[1]) if late else wait
    return f"The price of a block is free{until[0]}.", f"大宗价格不限{until[1]}。"


@group(BLOCKS, "free from", "不限价的数量", "block: free_from_t", where="block.free_from_t")
def _block_free(facts: Facts) -> Both | None:
    if not facts.has("block.min_qty_t"):
        return None
    en, zh = facts.quantity("block.free_from_t")
    return f"From {en} on the price of a block is free.", f"大宗数量达到{zh}的，价格不限。"


@group(OFFERS, "offer size", "定价数量", "offer: min_qty_t", always=True)
def _offer(facts: Facts) -> Both:
    if not facts.has("offer.min_qty_t"):
        return "There are no fixed-price offers.", "没有定价转让。"
    en, zh = facts.quantity("offer.min_qty_t")
    return (
        f"Fixed-price offers, of which whoever comes first takes what he wants, are of at least {en}.",
        f"定价转让：一方定价，先到先得，单笔不少于{zh}。",
    )


@group(OFFERS, "offer price", "定价价格", "offer: band_bp", where="offer.min_qty_t", always=True)
def _offer_price(facts: Facts) -> Both:
    if not facts.has("offer.band_bp"):
        return "The price of an offer is free.", "定价不限。"
    en, zh = terms.percent(facts["offer.band_bp"])
    return (
        f"The price of an offer lies within {en} of the previous close.",
        f"定价限于上一交易日收盘价的±{zh}。",
    )


@group(AUCTIONS, "call auction", "集合竞价", "sessions: timetable", always=True)
def _call(facts: Facts) -> Both | None:
    if facts.screen != TradingMode.CONTINUOUS or not facts.has_phase(Phase.CALL):
        return None
    return (
        "In the call auction orders gather; at its end all trade at the one price of the largest volume.",
        "集合竞价：委托先行汇集，结束时以成交量最大的同一价格成交。",
    )


@group(AUCTIONS, "one-way auction", "单向竞价", "auction: pricing", always=True)
def _pricing(facts: Facts) -> Both:
    if not facts.has("auction.pricing"):
        return "There are no one-way auctions.", "没有单向竞价。"
    if facts["auction.pricing"] == Pricing.UNIFORM:
        return (
            "One-way auctions: one sells or buys, many bid; all winners pay the worst accepted price.",
            "单向竞价：一方出让或收购，多方报价；中标者统一按最后入围价成交。",
        )
    return (
        "One-way auctions: one sells or buys, many bid; each winner pays what he bid.",
        "单向竞价：一方出让或收购，多方报价；中标者各按其报价成交。",
    )


@group(AUCTIONS, "lots", "竞价方式", "auction: lots", where="auction.pricing")
def _lots(facts: Facts) -> Both:
    if facts["auction.lots"] == Lots.WHOLE:
        return "One bidder takes the whole lot.", "整体竞价：由一个竞价方全部成交。"
    return "The lot may be divided among bidders.", "部分竞价：可由多个竞价方分别成交。"


@group(AUCTIONS, "at the margin", "末位分配", "auction: margin", where="auction.pricing")
def _margin(facts: Facts) -> Both:
    if facts["auction.margin"] == Margin.PRO_RATA:
        return (
            "Where not everybody can be served, bids at the worst accepted price share in proportion to quantity.",
            "最后入围价上数量不足时，按申报数量比例分配。",
        )
    return (
        "Where not everybody can be served, bids at the worst accepted price are served by time.",
        "最后入围价上数量不足时，先申报者先得。",
    )


@group(AUCTIONS, "too few bids", "申报不足", "auction: all_or_nothing", where="auction.pricing")
def _all_or_nothing(facts: Facts) -> Both:
    if facts["auction.all_or_nothing"]:
        return "Nothing sells when all bids together are less than the offer.", "申报总量不足时，全部不成交。"
    return "What is bid for sells, even where it is less than the offer.", "申报总量不足时，按申报量成交。"


@group(AUCTIONS, "stages", "阶段", "auction: stages", where="auction.pricing")
def _stages(facts: Facts) -> Both:
    names = terms.members(terms.STAGES, facts["auction.stages"])
    return f"In stages: {', then '.join(en for en, _ in names)}.", f"分阶段：{'，随后'.join(zh for _, zh in names)}。"


@group(AUCTIONS, "bid size", "报价数量", "auction: min_bid_t lot_t", where="auction.pricing")
def _bid_size(facts: Facts) -> Both | None:
    if facts["auction.lots"] == Lots.WHOLE:
        return None
    (least_en, least_zh), (lot_en, lot_zh) = facts.quantity("auction.min_bid_t"), facts.quantity("auction.lot_t")
    return (
        f"A bid is at least {least_en} and a multiple of {lot_en}.",
        f"单笔报价不少于{least_zh}，为{lot_zh}的整数倍。",
    )


@group(AUCTIONS, "largest share", "最大份额", "auction: max_share_bp", where="auction.pricing")
def _share(facts: Facts) -> Both | None:
    if facts["auction.lots"] == Lots.WHOLE:
        return None
    if facts["auction.max_share_bp"] == BASIS:
        return "One bidder may bid for all of the offer.", "单个竞价方可申报全部数量。"
    en, zh = terms.percent(facts["auction.max_share_bp"])
    return f"One bidder may bid for at most {en} of the offer.", f"单个竞价方申报不超过总量的{zh}。"


@group(AUCTIONS, "reserve price", "底价", "auction: reserve_band_bp", where="auction.pricing")
def _reserve(facts: Facts) -> Both:
    if not facts.has("auction.reserve_band_bp"):
        return "The reserve price is free.", "底价不限。"
    en, zh = terms.percent(facts["auction.reserve_band_bp"])
    return (
        f"The reserve price lies within {en} of the previous close.",
        f"底价限于上一交易日收盘价的±{zh}。",
    )


@group(AUCTIONS, "applications", "申请", "auction: deposit_bp release_bp", where="auction.pricing")
def _deposit(facts: Facts) -> Both | None:
    if not facts["auction.stages"] >> Stage.APPLICATION & 1:
        return None
    deposit, release = terms.percent(facts["auction.deposit_bp"]), terms.percent(facts["auction.release_bp"])
    en = f"An application needs a deposit of {deposit[0]} of its value at the reserve price; "
    return (
        en + f"at most {release[0]} of all applications is released for bidding.",
        f"申请须按底价金额的{deposit[1]}缴纳保证金；投放量不超过申请总量的{release[1]}。",
    )


@group(AUCTIONS, "bidders", "竞价方", "auction: bidders", where="auction.pricing")
def _bidders(facts: Facts) -> Both:
    en, zh = terms.listing(terms.members(terms.PARTICIPANTS, facts["auction.bidders"]))
    return f"Bidders: {en}.", f"竞价方：{zh}。"


def _close_modes(facts: Facts) -> list[Both]:
    """Whose trades make the close, of the modes there are."""
    mask, found = facts["close.modes"], []
    if _on_screen(facts) and mask >> facts.screen & 1:
        found.append(terms.SCREENS[facts.screen])
    if mask >> TradingMode.CALL & 1 and _call(facts):
        found.append(terms.PHASES[Phase.CALL])
    return found + [terms.OFF_SCREEN[mode] for mode, key in _OFF_SCREEN.items() if mask >> mode & 1 and facts.has(key)]


@group(CLOSE, "close", "收盘价", "close: trades modes", always=True)
def _close(facts: Facts) -> Both:
    modes, count = _close_modes(facts), facts["close.trades"]
    if not modes:
        return "No trade makes a close.", "没有成交计入收盘价。"
    en, zh = terms.listing(modes)
    which = (f"the day's last {count} trades", f"最后{count}笔") if count else ("all the day's trades", "全部")
    return (
        f"The close is the volume-weighted mean of {which[0]} ({en}).",
        f"收盘价为当日{zh}{which[1]}成交的加权平均价。",
    )


@group(CLOSE, "too few trades", "成交不足", "close: min_qty_t min_qty_phases")
def _close_least(facts: Facts) -> Both | None:
    if not _close_modes(facts):
        return None
    least, (when_en, when_zh) = facts.quantity("close.min_qty_t"), _counted(facts)
    if facts["close.min_qty_t"] == 0:
        return f"Without a trade{when_en} the previous close stays.", f"{when_zh}无成交的，沿用上一交易日收盘价。"
    return (
        f"The previous close stays unless more than {least[0]} trade{when_en}.",
        f"{when_zh}成交不超过{least[1]}的，沿用上一交易日收盘价。",
    )


def _counted(facts: Facts) -> Both:
    """In which phases trades count towards the least; nothing more than "the day" where it is all of them."""
    mask = facts["close.min_qty_phases"]
    phases = [phase for phase in Phase if facts.has_phase(phase) and phase != Phase.CLOSED]
    counting = [terms.PHASES[phase] for phase in phases if mask >> phase & 1]
    if len(counting) == len(phases):
        return "", "当日"
    en, zh = terms.listing(counting)
    return f" in these phases ({en or 'none'})", f"当日指定时段（{zh or '无'}）"


@group(ACCESS, "who may trade", "交易主体", "access: participants", always=True)
def _participants(facts: Facts) -> Both:
    en, zh = terms.listing(terms.members(terms.PARTICIPANTS, facts["access.participants"]))
    return f"{terms.capital(en)} may trade.", f"交易主体：{zh}。"


def _by_holder(facts: Facts, key: str) -> Both | None:
    """Limits of each kind of participant and what of an allocation counts; None where nobody has a limit."""
    limits: dict[Both, list[Both]] = {}
    for kind in Participant:
        name = f"access.{key}_{kind.name.lower()}_t"
        if facts.has(name):
            limits.setdefault(facts.quantity(name), []).append(terms.PARTICIPANTS[kind])
    if not limits:
        return None
    holders = [(terms.listing(who), much) for much, who in limits.items()]
    en, zh = terms.listing((f"{who[0]} {much[0]}", f"{who[1]}{much[1]}") for who, much in holders)
    if facts["access.holding_beyond_allocation"] and facts.has(f"access.{key}_covered_t"):
        return f"{en}; what a covered firm was allocated does not count", f"{zh}；重点排放单位获配的部分不计入"
    return en, zh


@group(ACCESS, "holdings", "持仓限额", f"access: {_MAX_HOLDINGS} holding_beyond_allocation")
def _holdings(facts: Facts) -> Both | None:
    limits = _by_holder(facts, "max_holding")
    if limits is None:
        return None
    return (
        f"Most that an account may hold and bid for, of one product: {limits[0]}.",
        f"最大持仓量（单一品种，含买入申报）：{limits[1]}。",
    )


@group(ACCESS, "disclosure", "大户报告", f"access: {_DISCLOSED} holding_beyond_allocation")
def _disclosure(facts: Facts) -> Both | None:
    limits = _by_holder(facts, "disclose")
    if limits is None:
        return None
    return (
        f"Larger holdings are published at the close: {limits[0]}.",
        f"大户报告（收盘时持仓超过即公布）：{limits[1]}。",
    )


@group(ACCESS, "sales", "出售限额", "access: max_sale_bp", where="access.max_sale_bp")
def _sales(facts: Facts) -> Both:
    en, zh = terms.percent(facts["access.max_sale_bp"])
    return f"A covered firm may sell at most {en} of its allocation.", f"重点排放单位出售不超过其获配配额的{zh}。"


@group(FEES, "fees", "手续费", f"fees: {_FEES}", always=True)
def _fees(facts: Facts) -> Both:
    paid: dict[tuple[int, int], list[Both]] = {}
    for mode, name in _fee_modes(facts):
        pair = facts[f"fees.{mode}_buy_bp"], facts[f"fees.{mode}_sell_bp"]
        paid.setdefault(pair, []).append(name)
    if set(paid) <= {(0, 0)}:
        return "No fee is charged.", "不收手续费。"
    en, zh = [], []
    for pair, modes in paid.items():
        names, shares = terms.listing(modes), _fee(*pair)
        en.append(f"{names[0]} {shares[0]}")
        zh.append(f"{names[1]}{shares[1]}")
    return f"Fees, of the value of a trade: {'; '.join(en)}.", f"手续费（按成交额）：{'；'.join(zh)}。"


def _fee_modes(facts: Facts) -> Iterator[tuple[str, Both]]:
    """The modes there are, as the fee rules name them, and in words."""
    if _on_screen(facts):
        yield "screen", terms.SCREENS[facts.screen]
    for mode, key in _OFF_SCREEN.items():
        if facts.has(key):
            yield mode.name.lower(), terms.OFF_SCREEN[mode]


def _fee(buy: int, sell: int) -> Both:
    """What buyer and seller pay, basis points."""
    (buy_en, buy_zh), (sell_en, sell_zh) = terms.percent(buy), terms.percent(sell)
    if buy == sell == 0:
        return "nothing", "免收"
    if buy == sell:
        return f"{buy_en} from each side", f"双方各{buy_zh}"
    if buy == 0:
        return f"{sell_en} from the seller", f"向卖方收{sell_zh}"
    if sell == 0:
        return f"{buy_en} from the buyer", f"向买方收{buy_zh}"
    return f"{buy_en} from the buyer, {sell_en} from the seller", f"向买方收{buy_zh}、向卖方收{sell_zh}"


@group(SETTLEMENT, "funding", "资金与交收", "settlement: funded")
def _funded(facts: Facts) -> Both:
    if facts["settlement.funded"]:
        return (
            "Whoever buys or sells must have the money or the units beforehand; delivery against payment.",
            "申报前须备足资金或产品；券款对付。",
        )
    return "No balances are kept.", "不核算资金和持仓。"


@group(SETTLEMENT, "resale", "再卖出", "settlement: units_t_plus")
def _resale(facts: Facts) -> Both | None:
    if not facts["settlement.funded"]:
        return None
    if facts["settlement.units_t_plus"]:
        return "Bought units may be sold from the next trading day on.", "当日买入，下一交易日起方可卖出（T+1）。"
    return "Bought units may be sold on the same day.", "当日买入当日可卖出（T+0）。"
