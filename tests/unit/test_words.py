"""A rulebook in words: sentences of known rules on known days, every rule covered, differences, and the page."""

import datetime as dt
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.codes import CommandKind, OrderCondition, OrdType, Participant, Phase, SelfTrade, Stage, TimeInForce
from engine.rules import terms
from engine.rules.fields import ATTRIBUTES, FIELDS, PRODUCTS, Field
from engine.rules.page import page, write_page
from engine.rules.phrases import GROUPS
from engine.rules.schema import MARKETS, Rulebook, SourcedValue, find_rulebook
from engine.rules.show import describe
from engine.rules.words import NEWEST, differences, history, sentences

SHIPPED = sorted(path.stem for path in MARKETS.glob("*.toml"))
CHINESE = re.compile(r"[\u4e00-\u9fff]")
RAW_VALUES = [
    True, False, 0, 1, 7, 30, 2000, 10_000, 150_000, "0.05", "77.00", "continuous", "listed", "no_screen",
    *([name] for name in ("limit", "market", "day", "ioc", "post_only", "covered", "bidding", "afternoon", "offer")),
    *(["application", "bidding", "timed"], ["continuous"], ["block", "auction"]),
    *("allow", "cancel_maker", "median", "resting", "any", "oldest", "previous_close", "same_day_close"),
    *("uniform", "pay_as_bid", "part", "whole", "time", "pro_rata"),
]  # fmt: skip
"""As rulebooks write them; of each rule those that it can read are tried."""


def on(market: str, day: str) -> dict[str, tuple[str, str]]:
    """Sentences of a market on a day, by subject."""
    return {s.subject: s.text for s in sentences(find_rulebook(market), dt.date.fromisoformat(day))}


def changed_keys(market: str, *days: str) -> list[tuple[str, ...]]:
    book, (a, b) = find_rulebook(market), map(dt.date.fromisoformat, days)
    return [difference.keys for difference in differences(book, a, book, b)]


@pytest.mark.parametrize(
    ("market", "day", "subject", "en", "zh"),
    [
        ("cn-cea", "2021-07-16", "price limit", "Prices stay within 10 % of the previous close.",
         "涨跌幅限制：上一交易日收盘价的±10%。"),
        ("hubei", "2016-07-17", "price limit", "Prices stay within 10 % of the previous close.",
         "涨跌幅限制：上一交易日收盘价的±10%。"),
        ("hubei", "2016-07-18", "price limit", "Prices may fall by 1 % and rise by 10 % from the previous close.",
         "涨跌幅限制：较上一交易日收盘价，跌幅1%、涨幅10%。"),
        ("generic", "2020-01-01", "price limit", "There is no daily price limit.", "不设涨跌幅限制。"),
        ("cn-ccer", "2024-01-22", "block size", "There are no blocks.", "没有大宗协议。"),
        ("guangdong", "2015-06-10", "clicking", "A taker may click any listing at any price.",
         "可点选任一价位上的任一挂牌。"),
        ("guangdong", "2015-06-11", "clicking", "A taker may click only the oldest listing at the best price.",
         "只能点选最优价位上最早的挂牌。"),
        ("guangdong", "2015-06-10", "close",
         "The close is the volume-weighted mean of the day's last 10 trades (listed agreement).",
         "收盘价为当日挂牌协议最后10笔成交的加权平均价。"),
        ("guangdong", "2016-12-22", "crossed listings",
         "A listing may be priced across the other side's best; it rests all the same.",
         "挂牌价格可越过对手方最优价，仍作为挂牌等待。"),
        ("guangdong", "2016-12-23", "crossed listings",
         "A listing that would meet the other side's best price is refused.",
         "挂牌价格达到对手方最优价的，拒绝申报（应点选成交）。"),
        ("shanghai", "2020-01-02", "block price",
         "The price of a block lies within 30 % of the same day's close; it is held on both sides until then.",
         "大宗价格限于当日收盘价的±30%；收盘前双方冻结，收盘后交收。"),
        ("guangdong", "2015-06-08", "fees",
         "Fees, of the value of a trade: listed agreement and blocks 0.2 % from each side; one-way auctions nothing.",
         "手续费（按成交额）：挂牌协议、大宗协议双方各0.2%；单向竞价免收。"),
        ("generic", "2020-01-02", "timetable", "The venue never closes.", "全天候开市。"),
        ("hubei", "2020-01-02", "timetable",
         "A trading day (UTC+8): 09:30–11:30 morning, 11:30–13:00 break, 13:00–15:00 afternoon; otherwise closed.",
         "交易时间（UTC+8）：09:30–11:30上午，11:30–13:00午间，13:00–15:00下午；其余时间休市。"),
        ("energy-rights", "2026-06-01", "products YN2026", "YN2026 (energy-use right of 2026) is traded.",
         "YN2026（2026年度用能权）可交易。"),
    ],
)  # fmt: skip
def test_a_rule_on_a_day_is_said_in_both_languages(market: str, day: str, subject: str, en: str, zh: str) -> None:
    assert on(market, day)[subject] == (en, zh)


def test_every_rule_attribute_and_session_has_a_sentence() -> None:
    keys = {key for group in GROUPS for key in group.keys}
    fields = {f"{field.section}.{field.key}" for field in FIELDS}
    attributes = {f"instruments.{name}" for name in ATTRIBUTES}
    sessions = {f"sessions.{name}" for name in ("initial", "timetable", "weekdays", "extra_days")}
    permits = {f"sessions.permits.{phase.name.lower()}" for phase in Phase}
    assert keys == fields | attributes | sessions | permits


def test_everything_that_can_be_named_has_a_name() -> None:
    assert set(terms.PRODUCTS) == set(PRODUCTS)
    for names, enum in (
        (terms.PHASES, Phase), (terms.ORDER_TYPES, OrdType), (terms.VALIDITIES, TimeInForce),
        (terms.CONDITIONS, OrderCondition), (terms.PARTICIPANTS, Participant), (terms.STAGES, Stage),
    ):  # fmt: skip
        assert set(names) == set(enum)


def test_every_trading_command_has_a_word_of_its_own() -> None:
    from engine.codes import TRADING_KINDS

    assert {kind for kinds, _ in terms.ACTIONS if len(kinds) == 1 for kind in kinds} == set(TRADING_KINDS)
    assert len({text for _, text in terms.ACTIONS}) == len(terms.ACTIONS)


def with_value(book: Rulebook, key: str, raw: object, compiled: object) -> Rulebook:
    """The rulebook with one value changed or added, undated."""
    value = SourcedValue(key, raw, compiled, "test", "made up", verified=True, since=None)
    return replace(book, values=[*(v for v in book.values if v.key != key), value])


def altered(book: Rulebook, field: Field) -> Iterator[Rulebook]:
    """The rulebook with every other value of a rule that the vocabulary reads."""
    key = ("instruments[0]" if field.section == "instruments" else field.section) + f".{field.key}"
    for raw in RAW_VALUES:
        try:
            compiled = field.parse(raw)
        except (ValueError, TypeError, KeyError):
            continue
        yield with_value(book, key, raw, compiled)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: f"{field.section}.{field.key}")
def test_no_rule_can_change_without_a_change_of_words(field: Field) -> None:
    books = [find_rulebook(name) for name in ("energy-rights", "guangdong", "fujian")]
    named = {
        re.sub(r"\[\d+\]", "", key)
        for book in books
        for other in altered(book, field)
        for difference in differences(book, NEWEST, other, NEWEST)
        for key in difference.keys
    }
    assert f"{field.section}.{field.key}" in named


def test_each_way_to_treat_self_trades_is_said_differently() -> None:
    book = find_rulebook("generic")
    said = set()
    for rule in SelfTrade:
        other = with_value(book, "screen.self_trade", rule.name.lower(), int(rule))
        said |= {s.text for s in sentences(other) if s.subject == "self-trade"}
    assert len(said) == len(SelfTrade)


def test_each_set_of_permitted_commands_is_said_differently() -> None:
    book = find_rulebook("generic")
    kinds = (CommandKind.NEW, CommandKind.CANCEL, CommandKind.MASS_CANCEL, CommandKind.OFFER, CommandKind.TAKE)
    said = set()
    for number in range(1, 1 << len(kinds)):
        mask = sum(1 << kind for place, kind in enumerate(kinds) if number >> place & 1)
        other = with_value(book, "sessions.permits.open", [], mask)
        said |= {s.text for s in sentences(other) if s.subject == "what is permitted when"}
    assert len(said) == 2 ** len(kinds) - 1


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_rulebook_is_said_in_both_languages_on_every_day(name: str) -> None:
    book = find_rulebook(name)
    for day in {value.since for value in book.values if value.since} | {dt.date.min, NEWEST}:
        said = sentences(book, day)
        assert {s.group.heading.en for s in said} == {group.heading.en for group in GROUPS}
        for sentence in said:
            assert re.fullmatch(r"[A-Z0-9].*[.]", sentence.en), sentence.en
            assert not CHINESE.search(sentence.en)
            assert CHINESE.search(sentence.zh), sentence.zh
            assert sentence.zh.endswith("。")
            assert not re.search(r"None|-1\b|\{|  ", sentence.en + sentence.zh)


@pytest.mark.parametrize("name", SHIPPED)
def test_no_stated_value_goes_unsaid_unless_it_has_no_meaning_there(name: str) -> None:
    book = find_rulebook(name)
    said = {value.key for sentence in sentences(book) for value in sentence.values}
    unsaid = {value.key for value in book.values} - said
    text, meaningless = on(name, "2030-01-01"), set()
    if text["mode"][0] == "There is no screen.":
        meaningless |= {"screen.max_qty_t", "screen.order_types", "screen.times_in_force"}
    if text["funding"][0] == "No balances are kept.":
        meaningless |= {"settlement.units_t_plus"}
    assert unsaid <= meaningless


def test_a_change_names_its_rules_and_no_others() -> None:
    assert changed_keys("guangdong", "2015-06-10", "2015-06-11") == [
        ("screen.click_levels", "screen.click_choice"),
        ("close.trades",),
    ]
    assert changed_keys("guangdong", "2016-12-22", "2016-12-23") == [("screen.crossed_listings",)]
    assert changed_keys("hubei", "2016-07-17", "2016-07-18") == [("screen.band_down_bp",)]
    assert changed_keys("cn-cea", "2000-01-01", "2030-01-01") == []


def test_a_rule_left_to_its_default_equals_the_same_rule_written_out() -> None:
    book = find_rulebook("cn-cea")
    written = with_value(book, "screen.crossed_listings", raw=True, compiled=1)
    assert differences(book, NEWEST, written, NEWEST) == []
    refused = with_value(book, "screen.crossed_listings", raw=False, compiled=0)
    (difference,) = differences(book, NEWEST, refused, NEWEST)
    assert difference.keys == ("screen.crossed_listings",)
    assert difference.a
    assert difference.a.en == "A listing may be priced across the other side's best; it rests all the same."


def test_what_only_one_side_can_say_stands_against_nothing() -> None:
    found = differences(find_rulebook("hubei"), NEWEST, find_rulebook("cn-cea"), NEWEST)
    sides = {difference.group.en: (difference.a is None, difference.b is None) for difference in found}
    assert sides["trade price"] == (False, True)
    assert sides["clicking"] == (True, False)
    assert sides["block size"] == (False, False)


def test_the_history_of_a_rule_ends_with_the_newest_sentence() -> None:
    book = find_rulebook("hubei")
    told = history(book)["price limit"]
    assert [str(since) for since, _ in told] == ["None", "2016-07-18", "2016-12-29"]
    assert told[-1][1] in sentences(book)
    assert told[1][1].values[0].verified is False


def test_a_rule_that_loses_its_meaning_is_said_to_end() -> None:
    book = find_rulebook("guangdong")
    gone = SourcedValue("screen.mode", "continuous", 1, "test", "made up", verified=True, since=dt.date(2030, 1, 1))
    told = history(replace(book, values=[*book.values, gone]))["clicking"]
    assert (told[-1][0], told[-1][1].en) == (dt.date(2030, 1, 1), "No longer any rule on: clicking.")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_rulebook_and_its_sentences_are_plain_data(name: str) -> None:
    book = json.loads(json.dumps(describe(name), allow_nan=False))
    keys = {value["key"] for value in book["values"]}
    for sentence in [*book["sentences"], *(row for change in book["changes"] for row in change["sentences"])]:
        assert set(sentence["keys"]) <= keys
        assert sentence["verified"] is not bool(sentence["unverified_ids"])
        assert set(sentence["unverified_ids"]) <= set(sentence["source_ids"])


def test_the_page_holds_every_market_source_and_sentence_and_loads_nothing(tmp_path: Path) -> None:
    result = write_page(tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert result["markets"] == SHIPPED
    assert not re.search(r"<script|<link|<img|src=|@import|url\(", html)
    for name in SHIPPED:
        book = find_rulebook(name)
        assert f'<section id="{name}">' in html
        for value in book.values:
            assert html.count(f'id="{name}-{value.source_id}"') == 1
            assert f'href="#{name}-{value.source_id}"' in html
    assert html.count('<span class="tag">') > 100
    assert "2016-07-18 → 2016-12-28" in html
    assert "涨跌幅限制：较上一交易日收盘价，跌幅1%、涨幅10%。" in html


def test_texts_of_a_rulebook_are_inert_on_the_page() -> None:
    book = replace(find_rulebook("generic"), title="<b>x</b>", symbols=("<i>&",))
    html = page([book])
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert "&lt;i&gt;&amp;" in html
    assert "<b>x" not in html
    assert "<i>&" not in html
