"""The loader refuses what it does not understand and names file, key, value and what it expected."""

import datetime as dt
import tomllib
from pathlib import Path

import pytest

from engine.codes import NONE, CommandKind, OrdType, Phase, Rule, SelfTrade, TimeInForce, TradingMode
from engine.errors import RulebookError
from engine.records import command
from engine.reference import ReferenceExchange
from engine.rules.compiler import compile_rulebook
from engine.rules.schema import MARKETS, find_rulebook, list_markets, read_rulebook
from engine.rules.sessions import Timetable
from tests.oracle.campaign import RULEBOOKS

CONTINUOUS = (RULEBOOKS / "continuous-reject.toml").read_text(encoding="utf-8")
LISTED = (RULEBOOKS / "listed-reject.toml").read_text(encoding="utf-8")
BREAK = 'break = { value = ["cancel", "mass_cancel"], source = "test" }'
LOT = 'lot_t = { value = 1, source = "test" }'
HIGH = 'price_high = { value = "1000.00", source = "test" }'
SHIPPED = sorted(path.stem for path in MARKETS.glob("*.toml"))


def dated_list(key: str, *changes: tuple[str, str]) -> str:
    """A rule that changes: (value, date) pairs as TOML."""
    items = ", ".join(f'{{ value = {value}, source = "test", from = {date} }}' for value, date in changes)
    return f"{key} = [{items}]"


def changed(folder: Path, base: str, old: str, new: str) -> Path:
    """`base` with one passage changed, as the file broken.toml."""
    assert base.count(old) >= 1, old
    path = folder / "broken.toml"
    path.write_text(base.replace(old, new, 1), encoding="utf-8")
    return path


def complaint(folder: Path, base: str, old: str, new: str) -> str:
    """What is said about it by the loader or the compiler."""
    path = changed(folder, base, old, new)
    with pytest.raises(RulebookError) as caught:
        compile_rulebook(read_rulebook(path))
    message = str(caught.value)
    assert "\n" not in message
    return message


FAULTS = {
    "an unknown key": (
        LOT,
        LOT + '\nlots = { value = 5, source = "test" }',
        "screen.lots",
        "'value': 5",
        "one of band_down_bp",
    ),
    "an unknown section": (
        "[screen]",
        "[scren]\nx = 1\n[screen]",
        "scren",
        "{'x': 1}",
        "one of access, auction, block, close, fees, halt, instruments",
    ),
    "an unknown word beside a value": (
        LOT,
        'lot_t = { value = 1, sauce = "test" }',
        "screen.lot_t.sauce",
        "'test'",
        "one of from, source",
    ),
    "a missing source": (
        LOT,
        "lot_t = { value = 1 }",
        "screen.lot_t.source",
        "None",
        "an id that [sources] explains",
    ),
    "an unknown source id": (
        LOT,
        'lot_t = { value = 1, source = "P99" }',
        "screen.lot_t.source",
        "'P99'",
        "an id that [sources] explains",
    ),
    "a bare value": (LOT, "lot_t = 1", "screen.lot_t", "1", "a table"),
    "a table without value": (
        LOT,
        'lot_t = { source = "test" }',
        "screen.lot_t",
        "{'source': 'test'}",
        "value and source",
    ),
    "a missing rule": (LOT, "", "screen.lot_t", "None", "tonnes, 1 to 1000000 (the rule is missing)"),
    "a value out of range": (
        LOT,
        'lot_t = { value = 0, source = "test" }',
        "screen.lot_t",
        "0",
        "tonnes, 1 to 1000000",
    ),
    "a band of 100 %": (
        "band_down_bp = { value = 5000",
        "band_down_bp = { value = 10000",
        "screen.band_down_bp",
        "10000",
        "basis points, 0 to 9999",
    ),
    "a number as text": (
        LOT,
        'lot_t = { value = "1", source = "test" }',
        "screen.lot_t",
        "'1'",
        "tonnes, 1 to 1000000",
    ),
    "true as a number": (
        LOT,
        'lot_t = { value = true, source = "test" }',
        "screen.lot_t",
        "True",
        "tonnes, 1 to 1000000",
    ),
    "a float": (
        LOT,
        'lot_t = { value = 1.0, source = "test" }',
        "screen.lot_t",
        "1.0",
        "tonnes, 1 to 1000000",
    ),
    "a price as number": (
        HIGH,
        'price_high = { value = 1000, source = "test" }',
        "screen.price_high",
        "1000",
        "a price as text",
    ),
    "a price with three decimals": (
        HIGH,
        'price_high = { value = "1.005", source = "test" }',
        "screen.price_high",
        "'1.005'",
        "at most two decimals",
    ),
    "a price of zero": (
        HIGH,
        'price_high = { value = "0.00", source = "test" }',
        "screen.price_high",
        "'0.00'",
        "a price as text",
    ),
    "a flag as number": (
        "funded = { value = true",
        "funded = { value = 1",
        "settlement.funded",
        "1",
        "true or false",
    ),
    "an unknown mode": (
        'mode = { value = "continuous"',
        'mode = { value = "auction"',
        "screen.mode",
        "'auction'",
        '"continuous", "listed" or "no_screen"',
    ),
    "block as the screen's mode": (
        'mode = { value = "continuous"',
        'mode = { value = "block"',
        "screen.mode",
        "'block'",
        '"continuous", "listed" or "no_screen"',
    ),
    "an unknown order type": (
        '["limit", "market"]',
        '["limit", "stop"]',
        "screen.order_types",
        "['limit', 'stop']",
        '"limit", "market_to_limit"',
    ),
    "an empty list of order types": (
        '["limit", "market"]',
        "[]",
        "screen.order_types",
        "[]",
        "at least one on a screen",
    ),
    "an unknown validity": (
        '["day", "gtc", "ioc", "fok", "gtd"]',
        '["gtx"]',
        "screen.times_in_force",
        "['gtx']",
        '"day", "gtc", "ioc", "fok", "gtd"',
    ),
    "an unknown self-trade rule": (
        'value = "reject_taker"',
        'value = "cancel_both"',
        "screen.self_trade",
        "'cancel_both'",
        '"allow", "reject_taker"',
    ),
    "verified as text": (
        LOT,
        'lot_t = { value = 1, source = "test", verified = "yes" }',
        "screen.lot_t.verified",
        "'yes'",
        "true or false",
    ),
    "a date as text": (
        LOT,
        'lot_t = { value = 1, source = "test", from = "2021-01-01" }',
        "screen.lot_t.from",
        "'2021-01-01'",
        "a date",
    ),
    "an unsorted dated list": (
        LOT,
        dated_list("lot_t", ("1", "2021-02-01"), ("2", "2021-01-01")),
        "screen.lot_t",
        "['2021-02-01', '2021-01-01']",
        "different dates in ascending order",
    ),
    "a date given twice": (
        LOT,
        'lot_t = [{ value = 1, source = "test" }, { value = 2, source = "test" }]',
        "screen.lot_t",
        "['None', 'None']",
        "different dates in ascending order",
    ),
    "an unknown phase": (
        'initial = { value = "afternoon"',
        'initial = { value = "noon"',
        "sessions.initial",
        "'noon'",
        '"closed", "morning"',
    ),
    "an unknown command in a phase": (
        'break = { value = ["cancel", "mass_cancel"]',
        'break = { value = ["erase"]',
        "sessions.permits.break",
        "['erase']",
        "a list of new, cancel",
    ),
    "permits of an unknown phase": (
        "break = { value",
        "lunch = { value",
        "sessions.permits.lunch",
        "'value': ['cancel', 'mass_cancel']",
        "one of afternoon",
    ),
    "a timetable that goes back": (
        "[sessions.permits]",
        'timetable = { value = [["10:00", "open"], ["09:00", "open"]], source = "test" }\n[sessions.permits]',
        "sessions.timetable",
        "09:00",
        "ascending",
    ),
    "a time that does not exist": (
        "[sessions.permits]",
        'timetable = { value = [["24:00", "morning"]], source = "test" }\n[sessions.permits]',
        "sessions.timetable",
        "24:00",
        '["HH:MM", phase]',
    ),
    "an eighth weekday": (
        "[sessions.permits]",
        'weekdays = { value = [8], source = "test" }\n[sessions.permits]',
        "sessions.weekdays",
        "[8]",
        "weekdays 1 to 7",
    ),
    "an offset that is none": (
        "utc_offset_hours = 8",
        "utc_offset_hours = 25",
        "market.utc_offset_hours",
        "25",
        "hours from -12 to 14",
    ),
    "a market without title": (
        'title = "Continuous, funded, T+1, taker rejected on self-trade"\n',
        "",
        "market.title",
        "None",
        "a text",
    ),
    "two instruments of one name": (
        'symbol = "TWO"',
        'symbol = "ONE"',
        "instruments",
        "['ONE', 'ONE']",
        "different symbols",
    ),
    "a source that is no text": (
        'test = "made up for the differential tests"',
        "test = 5",
        "sources.test",
        "5",
        "the text of a source",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_file_key_value_and_expectation(fault: str, tmp_path: Path) -> None:
    old, new, key, value, expected = FAULTS[fault]
    message = complaint(tmp_path, CONTINUOUS, old, new)
    assert message.startswith(f"broken.toml: {key}: got ")
    assert value in message.partition(", expected ")[0]
    assert expected in message.partition(", expected ")[2]


@pytest.mark.parametrize(("old", "new"), [("[screen]", "[screen"), ('"ONE"', '"ONE')])
def test_what_is_not_toml_is_named_with_its_line(old: str, new: str, tmp_path: Path) -> None:
    message = complaint(tmp_path, CONTINUOUS, old, new)
    assert message.startswith("broken.toml: cannot be read as TOML")
    assert "line" in message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RulebookError, match=r"absent\.toml: cannot be read as TOML: .*No such file"):
        read_rulebook(tmp_path / "absent.toml")


def test_an_unknown_market_is_answered_with_the_known_ones() -> None:
    with pytest.raises(
        RulebookError, match="no rulebook named 'cn-see'; there are: beijing, chongqing, cn-ccer, cn-cea, energy-rights"
    ):
        find_rulebook("cn-see")


def test_a_quantity_and_a_price_whose_product_could_overflow_are_refused(tmp_path: Path) -> None:
    high = 'price_high = { value = "9999999.00", source = "test" }'
    message = complaint(tmp_path, CONTINUOUS, HIGH, high)
    at_most = "at most 23058.43 for orders of 1000000000000 t"
    assert message == f"broken.toml: screen.price_high: got '9999999.00', expected {at_most}"


def test_without_blocks_the_screen_quantity_bounds_the_price(tmp_path: Path) -> None:
    base = CONTINUOUS.replace('min_qty_t = { value = 3, source = "test" }', "").replace(
        'pricing = { value = "pay_as_bid", source = "test" }', ""
    )
    base = base.replace("value = 9, s", "value = 1_000_000_000, s")
    high = 'price_high = { value = "9999999.00", source = "test" }'
    book = read_rulebook(changed(tmp_path, base, HIGH, high))
    assert compile_rulebook(book).rows[0, Rule.PRICE_HIGH_FEN] * 10**9 <= 2**61


def test_a_lowest_price_above_the_reference_price_is_refused(tmp_path: Path) -> None:
    old, new = 'price_low = { value = "0.01"', 'price_low = { value = "0.11"'
    message = complaint(tmp_path, CONTINUOUS, old, new)
    words = "instruments.reference_price: got '0.10', expected price_low to price_high, 0.11 to 1000.00"
    assert message == f"broken.toml: {words}"


def test_a_reference_price_above_the_highest_price_is_refused(tmp_path: Path) -> None:
    old, new = 'reference_price = { value = "0.10"', 'reference_price = { value = "1000.01"'
    assert "reference_price" in complaint(tmp_path, CONTINUOUS, old, new)


@pytest.mark.parametrize(
    ("key", "old", "new"),
    [
        ("order_types", '["limit"]', '["market", "limit"]'),
        ("times_in_force", '["day", "gtc", "gtd"]', '["day", "gtc", "ioc"]'),
    ],
)
def test_a_listed_market_with_orders_that_cross_is_refused(key: str, old: str, new: str, tmp_path: Path) -> None:
    message = complaint(tmp_path, LISTED, f"{key} = {{ value = {old}", f"{key} = {{ value = {new}")
    got, only = str(tomllib.loads(f"x = {new}")["x"]), old.strip("[]").replace('"', "'")
    assert message == f"broken.toml: screen.{key}: got {got}, expected only {only} in a listed market"


FITTING = {
    "blocks in the close": (
        "[settlement]",
        '[close]\nmodes = { value = ["continuous", "block"], source = "test" }\n[settlement]',
        "close.modes",
        "no 'block' among them",
    ),
    "an auction without bidding": (
        "[auction]",
        '[auction]\nstages = { value = ["application", "timed"], source = "test" }',
        "auction.stages",
        "'bidding' among them",
    ),
    "applications for a whole lot": (
        "[auction]",
        """[auction]
lots = { value = "whole", source = "test" }
stages = { value = ["application", "bidding"], source = "test" }""",
        "auction.lots",
        "'part' where there are applications",
    ),
    "a deposit without applications": (
        "[auction]",
        '[auction]\ndeposit_bp = { value = 1000, source = "test" }',
        "auction.deposit_bp",
        "none without applications",
    ),
    "half a halt": (
        "[settlement]",
        '[halt]\nmove_bp = { value = 500, source = "test" }\n[settlement]',
        "halt",
        "both move_bp and seconds, or neither",
    ),
    "orders without a screen": (
        'mode = { value = "continuous"',
        'mode = { value = "no_screen"',
        "screen.order_types",
        "an empty list without a screen",
    ),
    "disclosure without holdings": (
        "funded = { value = true, source",
        "funded = { value = false, source",
        "access.disclose",
        "none where settlement.funded is false",
    ),
}


@pytest.mark.parametrize("fault", FITTING)
def test_rules_that_do_not_fit_each_other_are_refused(fault: str, tmp_path: Path) -> None:
    old, new, key, expected = FITTING[fault]
    base = CONTINUOUS
    if key == "access.disclose":
        base = base.replace(
            "[settlement]", '[access]\ndisclose_covered_t = { value = 5, source = "test" }\n[settlement]'
        )
    message = complaint(tmp_path, base, old, new)
    assert message.startswith(f"broken.toml: {key}: got ")
    assert message.endswith(expected)


def test_a_listed_market_says_how_many_levels_can_be_clicked(tmp_path: Path) -> None:
    message = complaint(tmp_path, LISTED, 'click_levels = { value = 2, source = "test" }', "")
    assert "screen.click_levels: got None, expected price levels in a listed market" in message


@pytest.mark.parametrize("new", ['lot_t = { value = 1, source = ["test"] }', "lot_t = []"])
def test_a_strange_source_or_an_empty_list_is_an_error_of_one_line(new: str, tmp_path: Path) -> None:
    assert "screen.lot_t" in complaint(tmp_path, CONTINUOUS, LOT, new)


def test_sources_that_are_no_table_are_an_error_of_one_line(tmp_path: Path) -> None:
    sources = '[sources]\ntest = "made up for the differential tests"'
    assert "sources" in complaint(tmp_path, "sources = 5\n" + CONTINUOUS.replace(sources, ""), "[screen]", "[screen]")


@pytest.mark.parametrize(
    ("date", "high", "tradable"),
    [(20210103, 15, 1), (20210104, 14, 1), (20210105, 14, 0), (20210106, 14, 1), (20290101, 14, 1)],
)
def test_a_dated_rule_is_in_force_from_its_day(date: int, high: int, tradable: int) -> None:
    rules = compile_rulebook(read_rulebook(RULEBOOKS / "continuous-reject.toml"))
    exchange = ReferenceExchange(rules)
    events = exchange.submit(command(CommandKind.DAY_ROLL, date=date))
    assert events["high_price_fen"].tolist()[0] == high
    second = rules.rows[rules.rows[:, -1] == 1]
    row = second[second[:, Rule.FROM_DATE] <= date][-1]
    assert row[Rule.TRADABLE] == tradable


def test_there_is_one_row_for_each_date_on_which_something_changes() -> None:
    rules = compile_rulebook(read_rulebook(RULEBOOKS / "continuous-reject.toml"))
    dates = {n: rules.rows[rules.rows[:, -1] == n][:, Rule.FROM_DATE].tolist() for n in (0, 1)}
    assert dates == {0: [0, 20210104], 1: [0, 20210104, 20210105, 20210106]}
    assert rules.rows[:, Rule.BAND_UP_BP].tolist() == [5000, 4000, 5000, 4000, 4000, 4000]


def test_a_rule_dated_from_its_first_value_holds_before_that_day_too(tmp_path: Path) -> None:
    dated = dated_list("lot_t", ("1", "2021-06-01"), ("3", "2022-01-01"))
    rows = compile_rulebook(read_rulebook(changed(tmp_path, CONTINUOUS, LOT, dated))).rows
    first = rows[rows[:, -1] == 0]
    assert first[:, [Rule.FROM_DATE, Rule.LOT_T]].tolist() == [
        [0, 1],
        [20210104, 1],
        [20210601, 1],
        [20220101, 3],
    ]


def test_a_dated_session_rule_is_in_force_from_its_day(tmp_path: Path) -> None:
    new = dated_list("break", ('["cancel"]', "2021-01-01"), ('["cancel", "new"]', "2099-01-01"))
    rows = compile_rulebook(read_rulebook(changed(tmp_path, CONTINUOUS, BREAK, new))).rows
    permits = rows[rows[:, -1] == 0][:, [Rule.FROM_DATE, Rule.PERMITS + Phase.BREAK]].tolist()
    cancel = 1 << CommandKind.CANCEL
    assert permits[0] == [0, cancel]
    assert permits[-1] == [20990101, cancel | 1 << CommandKind.NEW]


def test_a_dated_timetable_and_dated_weekdays_are_in_force_from_their_day(tmp_path: Path) -> None:
    hours = dated_list("timetable", ('[["09:00", "open"]]', "2021-01-01"), ('[["10:00", "open"]]', "2021-06-01"))
    days = dated_list("weekdays", ("[1, 2, 3, 4, 5]", "2021-01-01"), ("[1]", "2021-06-01"))
    book = read_rulebook(changed(tmp_path, CONTINUOUS, "[sessions.permits]", f"{hours}\n{days}\n[sessions.permits]"))
    timetable = Timetable(book)

    def opens(date: dt.date) -> list[int]:
        return [
            int(row["time_ns"][0] - timetable.midnight_ns(date)) // 3_600_000_000_000 for row in timetable.phases(date)
        ]

    friday, monday, tuesday = dt.date(2021, 5, 28), dt.date(2021, 6, 7), dt.date(2021, 6, 8)
    assert [opens(friday), opens(monday), opens(tuesday)] == [[9], [10], []]


def test_the_phase_a_day_begins_with_cannot_change_by_date(tmp_path: Path) -> None:
    old, new = 'initial = { value = "afternoon"', 'initial = { from = 2021-01-01, value = "afternoon"'
    assert complaint(tmp_path, CONTINUOUS, old, new).startswith("broken.toml: sessions.initial: ")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_rulebook_loads_and_compiles(name: str) -> None:
    book = find_rulebook(name)
    rules = compile_rulebook(book)
    assert rules.symbols == book.symbols
    assert set(rules.rows[:, -1].tolist()) == set(range(len(book.symbols)))
    assert all(value.source for value in book.values)
    assert len(book.rules_hash) == 16


def test_the_list_of_markets_names_every_file_with_its_titles() -> None:
    markets = list_markets()
    assert [market["name"] for market in markets] == SHIPPED
    assert all(market["title"] and market["title_zh"] for market in markets)


def test_the_national_market_is_compiled_as_its_sources_say() -> None:
    book = find_rulebook("cn-cea")
    row = compile_rulebook(book).rows[0]
    wanted = {
        Rule.MODE: TradingMode.LISTED,
        Rule.TRADABLE: 1,
        Rule.TICK_FEN: 1,
        Rule.LOT_T: 1,
        Rule.SCREEN_MAX_QTY_T: 99_999,
        Rule.BAND_DOWN_BP: 1000,
        Rule.BAND_UP_BP: 1000,
        Rule.REFERENCE_FEN: 4800,
        Rule.CLICK_LEVELS: 5,
        Rule.BLOCK_MIN_QTY_T: 100_000,
        Rule.BLOCK_BAND_BP: 3000,
        Rule.FUNDED: 1,
        Rule.UNITS_T_PLUS: 1,
        Rule.SELF_TRADE: SelfTrade.REJECT_TAKER,
        Rule.ORD_TYPES: 1 << OrdType.LIMIT,
        Rule.TIMES_IN_FORCE: 1 << TimeInForce.DAY,
        Rule.PERMITS + Phase.BREAK: 1 << CommandKind.CANCEL | 1 << CommandKind.MASS_CANCEL,
        Rule.PERMITS + Phase.CLOSED: 0,
        Rule.PERMITS + Phase.HALTED: 0,
    }
    assert {column: int(row[column]) for column in wanted} == {column: int(value) for column, value in wanted.items()}
    assert [value.compiled for value in book.weekdays] == [frozenset({1, 2, 3, 4, 5})]
    assert [phase for _, phase in book.timetable[0].compiled] == [
        Phase.MORNING,
        Phase.BREAK,
        Phase.AFTERNOON,
        Phase.CLOSED,
    ]


def test_a_market_without_limits_says_so_in_its_row() -> None:
    row = compile_rulebook(find_rulebook("generic")).rows[0]
    assert row[[Rule.BAND_DOWN_BP, Rule.BAND_UP_BP, Rule.BLOCK_MIN_QTY_T, Rule.BLOCK_BAND_BP]].tolist() == [NONE] * 4


def test_the_hash_follows_every_byte_of_the_file(tmp_path: Path) -> None:
    book = read_rulebook(changed(tmp_path, CONTINUOUS, "# A", "# An"))
    assert book.rules_hash != read_rulebook(RULEBOOKS / "continuous-reject.toml").rules_hash


def test_what_the_file_says_is_kept_with_its_source_and_its_doubt() -> None:
    values = {value.key: value for value in find_rulebook("cn-cea").values}
    assert values["screen.band_up_bp"].source == "Explainer of the listed agreement, 2021-06-24"
    assert values["screen.band_up_bp"].verified
    assert not values["screen.self_trade"].verified
    assert values["instruments[0].reference_price"].value == "48.00"
    assert values["screen.tick"].since is None or isinstance(values["screen.tick"].since, dt.date)
