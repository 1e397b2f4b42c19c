"""The report is one offline page, whatever the season lacks: nothing is loaded, failures show, texts are inert."""

import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from sim.checks import load_records, run_checks
from sim.null import null_season
from sim.report import write_report
from sim.report.charts import _rows
from sim.result import DAY, FIRM, SaleResult, Season
from sim.season import load_season

CHROMIUM = Path("/usr/bin/chromium")
CHARTS = ["price", "monthly", "modes", "book", "buyers", "weeks", "compliance"]
PILOT_CHARTS = ["price", "modes", "book", "offsets", "allocation", "buyers", "weeks", "compliance"]
NAMES = list(load_records("cea-2021").checks)
TITLE = "National market, first season, 16 July to 31 December 2021"
TITLE_ZH = "全国碳市场第一个履约周期（2021年7月16日至12月31日）"
HOSTILE = '<script>alert("x")</script> & <img src=http://example.org/x.png>'
ANNOUNCED = [
    dict(zip(("date", "known_from", "title", "title_zh"), row, strict=True))
    for row in (
        (
            "2021-10-26",
            "2021-10-26",
            "Notice: approve and issue the final allocation",
            "核定并发放最终配额的通知",
        ),
        ("2021-12-15", "2021-10-26", "95 % of firms must have surrendered", "95%重点排放单位完成清缴"),
        ("2021-12-31", "2021-01-01", "Legal deadline: all firms have surrendered", "清缴截止日"),
    )
]
VALUES = {"rule": True, "fitted": 0.1185, "public fact": 2162, "anchored": "2021-12-15", "assumed": 5}
PARAMETERS = [
    {"name": f"constant_{i}", "value": value, "unit": "days", "kind": kind, "source": "assumed",
     "tuned": kind == "fitted", "meaning": "What it does"}
    for i, (kind, value) in enumerate(VALUES.items())
]  # fmt: skip


def firms_of(days: np.ndarray, count: int) -> np.ndarray:
    """Made-up firms of which a few fall short."""
    rng = np.random.default_rng(1)
    firms = np.zeros(count, FIRM)
    firms["group"] = rng.integers(-20, 20, firms.size).clip(-1)
    firms["emissions_t"] = rng.lognormal(14, 1.3, firms.size)
    firms["duty_t"] = firms["surrendered_t"] = firms["emissions_t"]
    short = rng.random(firms.size) < 0.15
    firms["shortfall_t"][short] = firms["duty_t"][short] // 20
    firms["surrendered_t"] -= firms["shortfall_t"]
    firms["late_t"] = firms["shortfall_t"]
    firms["fine_fen"][short] = 3_000_000
    bought = rng.random(firms.size) < 0.6
    last = days.size - 1 - rng.exponential(15, firms.size).astype(int).clip(0, days.size - 1)
    first = (last - rng.exponential(10, firms.size).astype(int)).clip(0)
    for column, day in (("first_buy", first), ("last_buy", last)):
        firms[column] = np.where(bought, days["date"][day], np.datetime64("NaT"))
    return firms


def made_up_season() -> Season:
    """Days of the null model with a made-up book, and 2,162 made-up firms."""
    days = null_season(3, load_season("cea-2021"), load_records("cea-2021")).days
    rng = np.random.default_rng(1)
    days["high_fen"] += rng.integers(0, 150, days.size)
    days["low_fen"] -= rng.integers(0, 150, days.size)
    days["spread_fen"] = rng.uniform(50, 150, days.size)
    days["spread_fen"][5] = np.nan
    days["depth_t"] = rng.uniform(20_000, 90_000, days.size)
    accounts = {
        "cash": {"brought_in_fen": 123_456_700, "in_accounts_fen": 123_456_700},
        "CEA": {"issued_t": 900, "held_t": 200, "surrendered_t": 690, "cancelled_t": 10, "unsold_t": 0},
    }
    return Season(days, firms_of(days, 2_162), deadline=np.datetime64("2021-12-31"), accounts=accounts)


def thin_days(seed: int, level_fen: int, traded: float) -> np.ndarray:
    """Two years of a market that trades on few days, without price limits."""
    dates = np.arange("2013-11-28", "2015-08-01", dtype="datetime64[D]")
    dates = dates[np.is_busday(dates)]
    rng = np.random.default_rng(seed)
    days = np.zeros(dates.size, DAY)
    days["date"] = dates
    busy = rng.random(days.size) < traded
    close = level_fen + np.cumsum(np.where(busy, rng.integers(-30, 31, days.size), 0))
    for name in ("open_fen", "high_fen", "low_fen", "close_fen"):
        days[name] = close
    days["limit_low_fen"], days["limit_high_fen"] = 1, 1_000_000
    days["listed_qty_t"] = np.where(busy, rng.integers(10, 4_000, days.size), 0)
    days["block_qty_t"] = np.where(rng.random(days.size) < traded / 10, 40_000, 0)
    for mode in ("listed", "block"):
        days[f"{mode}_value_fen"] = days[f"{mode}_qty_t"] * close
    days["spread_fen"] = np.where(busy, 120.0, np.nan)
    days["depth_t"] = np.where(busy, 900.0, 0.0)
    return days


def pilot_season() -> Season:
    """Everything that the first national season lacks."""
    days = thin_days(1, 5_000, 0.4)
    day = days["date"][400]
    days["auction_qty_t"][400], days["auction_value_fen"][400] = 30_000, 30_000 * 5_100
    firms = firms_of(days, 187)
    late = np.flatnonzero(firms["shortfall_t"] == 0)[:20]
    firms["late_t"][late] = firms["made_up_t"][late] = 1_234
    firms["deducted_t"], firms["next_deduction_t"] = firms["shortfall_t"] // 2, firms["shortfall_t"] * 2
    products = {"CCER": thin_days(2, 1_500, 0.3), "CCER12": thin_days(3, 900, 0.0)}
    sales = (
        SaleResult(day, "BEA", 200_000, 30_000, 4_800, 5_100, ""),
        SaleResult(day + 30, "BEA", 50_000, 0, 900, 0, "AUCTION_RESERVE"),
    )
    return Season(
        days, firms, products=products, sales=sales, deadline=np.datetime64("2015-06-15"), penalty_price_fen=5_070.8,
        refused={"beyond the offset cap": 3, "a reason nobody translated": 1},
    )  # fmt: skip


def summary_of(season: Season, scenario: str = "cea-2021") -> dict[str, Any]:
    """What `emex replay --json` would say about a made-up season."""
    assert season.firms is not None
    records = load_records(scenario)
    rates: dict[str, float | None] = dict.fromkeys(records.checks, 0.25 if records.null else None)
    if records.null:
        rates |= dict.fromkeys(("firms_compliant", "volume_compliant", "spread_and_depth"))
        rates["block_share"] = 0.9
    volume = {"total": int(season.total_qty_t.sum())} | {
        mode: int(season.days[f"{mode}_qty_t"].sum()) for mode in ("listed", "block", "auction")
    }
    volume["offsets"] = sum(int(days["listed_qty_t"].sum()) for days in season.products.values())
    close = season.days["close_fen"] / 100
    price = {"first": close[0], "min": close.min(), "max": close.max(), "last": close[-1], "vwap": 42.85}
    compliance = {"firms": season.firms.size, "rate_firms": 0.848, "rate_volume": 0.995, "shortfall_t": 25_000_000,
                  "penalty_cny": 9_870_000, "offsets_used_t": 32_000_000}  # fmt: skip
    return {
        "scenario": scenario, "title": TITLE, "title_zh": TITLE_ZH, "rules_hash": "5a1c0ffee5a1c0ff",
        "seed": 7, "version": "0.1.0", "days": season.days.size, "firms": season.firms.size,
        "orders": 123_456, "trades": 34_567, "volume_t": volume, "share_last_30d": 0.758, "share_last_60d": 0.887,
        "price": price, "compliance": compliance, "checks": run_checks(season, records, rates),
        "digest": "d1" * 32, "seconds": 7.3, "orders_per_second": 16_912.0,
    }  # fmt: skip


def allocation_row(sector: str, unit_class: str, **reasons_t: int) -> dict[str, Any]:
    surplus_t = sum(reasons_t.values())
    return {"sector": sector, "sector_zh": "行业", "unit_class": unit_class, "firms": 12, "plants": 20,
            "emissions_t": 1_000_000, "free_t": 1_000_000 + surplus_t, "duty_t": 1_000_000, "surplus_t": surplus_t,
            "short_share": 0.25, "reasons_t": reasons_t}  # fmt: skip


ACHIEVED = {
    "abated_t": 12_400, "social_cost_cny": 812_400.0, "least_cost_cny": 640_100.0, "no_trade_cost_cny": 1_728_000.0,
    "least_cost_price_cny": 47.3, "required_t": 12_000, "backstop_cny": 150.0, "efficiency": 0.842,
}  # fmt: skip
PILOT = {
    "modes": {"listed": ("fixed-price offers", "定价交易"), "block": ("agreement", "协议转让"),
              "auction": ("government sale", "有偿竞价发放")},
    "symbol": "BEA",
    "allocation": [allocation_row("Power", "all", efficiency=30_000, heat=-10_000),
                   allocation_row("Power", "gas", efficiency=-8_000, heat=0),
                   allocation_row("Cement", "all", factor=-120_000)],
    "efficiency": ACHIEVED,
}  # fmt: skip


def pilot_summary(season: Season) -> dict[str, Any]:
    return summary_of(season, "no-such-record") | PILOT


def written_page(path: Path, season: Season, summary: dict[str, Any], parameters: list[Any] | None = None) -> "Page":
    write_report(path / "page.html", season, summary, ANNOUNCED, PARAMETERS if parameters is None else parameters)
    return Page((path / "page.html").read_text("utf-8"))


class Page(HTMLParser):
    """Tags, attributes, figures and rows of checks of a written page; fails on a tag closed out of turn."""

    VOID = frozenset({"meta", "br", "img", "link", "input", "hr"})

    LOADING = frozenset({"src", "srcset", "href", "xlink:href", "data", "action", "poster", "background"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.loads: list[str] = []
        self.texts: list[dict[str, str | None]] = []
        self.figures: list[dict[str, Any]] = []
        self.failed: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.loads += [str(found[name]) for name in self.LOADING & found.keys()]
        if "data-en" in found:
            self.texts.append(found)
        if tag not in self.VOID:
            self.open.append((tag, found))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        tag, attrs = self.open[-1] if self.open else ("", {})
        if tag == "script" and attrs.get("type") == "application/json":
            self.figures.append(json.loads(data))
        elif tag not in ("script", "style"):
            self.text += data
            if tag == "code" and any(t == "tr" and a.get("class") == "failed" for t, a in self.open):
                self.failed.append(data)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    season = made_up_season()
    write_report(path, season, summary_of(season), ANNOUNCED, PARAMETERS)
    return path


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    return Page(written.read_text("utf-8"))


def test_every_check_and_every_constant_is_named(page: Page) -> None:
    for name in NAMES + [str(row["name"]) for row in PARAMETERS]:
        assert name in page.text


def test_failing_checks_and_no_others_are_marked(page: Page) -> None:
    checks = summary_of(made_up_season())["checks"]
    failed = [check["name"] for check in checks if check["passed"] is False]
    assert page.failed == failed != []
    assert page.text.count("✗ FAILED") == len(failed)
    held = [check for check in checks if check["passed"]]
    evidence = [check for check in held if check["kind"] == "evidence"]
    assert f"{len(held)} of {len(checks)} hold, of those {len(evidence)} are evidence" in page.text


def test_the_page_loads_nothing(page: Page) -> None:
    assert page.loads == []


def assert_data_in_every_trace(page: Page, charts: int) -> None:
    assert len(page.figures) == charts
    for figure in page.figures:
        for trace in figure["data"]:
            assert len(trace["x"]) == len(trace["y"]) > 0
            assert any(value is not None for value in trace["y"])


def test_every_chart_has_data_in_every_trace(page: Page) -> None:
    assert_data_in_every_trace(page, len(CHARTS))


def record_of(name: str) -> Any:
    return load_records(name).monthly_volume


def test_the_record_stands_beside_the_simulated_months(page: Page) -> None:
    simulated, record = page.figures[CHARTS.index("monthly")]["data"]
    assert "Record" in record["name"]["en"]
    assert record["y"][-1] == record_of("cea-2021").volume_t["2021-12"] / 1e6
    assert simulated["x"] == record["x"]
    assert record_of("cea-2021").source in page.text


def test_announced_dates_are_listed_and_drawn_in_separate_rows(page: Page) -> None:
    for entry in ANNOUNCED:
        assert f"{entry['date']}: {entry['title']}" in page.text
    layout = page.figures[CHARTS.index("price")]["layout"]
    assert [label["x"] for label in layout["annotations"]] == [entry["date"] for entry in ANNOUNCED]
    assert len({label["ay"]["wide"] for label in layout["annotations"]}) == len(ANNOUNCED)


def test_every_text_has_a_chinese_version(page: Page) -> None:
    assert all(element["data-en"] and element["data-zh"] for element in page.texts)
    assert TITLE_ZH in {element["data-zh"] for element in page.texts}
    for term in ("履约", "清缴", "配额", "涨跌幅"):
        assert term in page.text


def test_the_season_can_be_repeated_from_the_page(page: Page) -> None:
    for text in ("emex replay cea-2021 --seed 7", "5a1c0ffee5a1c0ff", "0.1.0", "d1" * 32):
        assert text in page.text
    assert "fitted: constant_1" in page.text


def test_foreign_text_is_shown_and_not_run(tmp_path: Path) -> None:
    season = made_up_season()
    summary = summary_of(season) | {"title": HOSTILE, "title_zh": HOSTILE, "rules_hash": HOSTILE}
    for key in ("title", "title_zh", "note", "source"):
        summary["checks"][0][key] = HOSTILE
    announced = [entry | {"title": HOSTILE, "title_zh": HOSTILE} for entry in ANNOUNCED]
    summary |= {"modes": {"listed": (HOSTILE, HOSTILE), "block": (HOSTILE, HOSTILE)}, "parameters_from": HOSTILE}
    summary["allocation"] = [allocation_row(HOSTILE, HOSTILE, efficiency=5_000)]
    texts = dict.fromkeys(("name", "value", "unit", "source", "meaning"), HOSTILE)
    write_report(tmp_path / "report.html", season, summary, announced, [row | texts for row in PARAMETERS])
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "<script>alert" not in text
    assert "<img src=http" not in text
    page = Page(text)
    assert page.text.count(HOSTILE) > 10
    axis = page.figures[CHARTS.index("book") + 1]["layout"]["yaxis"]
    assert "<img" not in json.dumps(axis["ticktext"])


def test_the_page_is_written_in_time(tmp_path: Path) -> None:
    season = made_up_season()
    summary = summary_of(season)
    start = perf_counter()
    write_report(tmp_path / "report.html", season, summary, ANNOUNCED, PARAMETERS)
    assert perf_counter() - start < 1.5


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Page:
    season = pilot_season()
    return written_page(tmp_path_factory.mktemp("pilot"), season, pilot_summary(season))


def test_a_pilot_page_has_its_own_charts_with_data_in_every_trace(pilot: Page) -> None:
    assert_data_in_every_trace(pilot, len(PILOT_CHARTS))
    assert all(element["data-en"] and element["data-zh"] for element in pilot.texts)


def trace_names(figure: dict[str, Any]) -> list[str]:
    return [trace["name"]["zh"] for trace in figure["data"]]


def test_modes_are_called_what_the_market_calls_them(pilot: Page, page: Page) -> None:
    price = pilot.figures[PILOT_CHARTS.index("price")]
    assert trace_names(price) == ["最低至最高", "收盘价", "定价交易", "协议转让", "有偿竞价发放"]
    assert "Listed agreement" not in pilot.text
    assert "涨跌幅限制" in trace_names(page.figures[0])


def test_modes_add_up_with_sales_by_the_government(pilot: Page) -> None:
    traces = pilot.figures[PILOT_CHARTS.index("modes")]["data"]
    empty, *months = zip(*(trace["y"] for trace in traces), strict=True)
    assert empty == (None, None, None)
    for shares in months:
        assert sum(shares) == pytest.approx(1)


def test_one_mode_needs_no_chart_of_modes(tmp_path: Path) -> None:
    season = made_up_season()
    season.days["block_qty_t"] = 0
    page = written_page(tmp_path, season, summary_of(season))
    assert len(page.figures) == len(CHARTS) - 1
    assert "modes of trade" not in page.text


def test_a_market_without_price_limits_shows_none(pilot: Page) -> None:
    assert "涨跌幅限制" not in trace_names(pilot.figures[0])


def test_days_without_trade_are_counted(pilot: Page) -> None:
    idle = int((pilot_season().days["listed_qty_t"] == 0).sum())
    assert idle > 100
    assert f"On {idle} of {pilot_season().days.size} days nothing traded" in pilot.text


def test_axes_name_the_year_and_leave_room_on_a_phone(pilot: Page) -> None:
    months = pilot.figures[PILOT_CHARTS.index("modes")]["layout"]["xaxis"]
    assert len(months["tickvals"]["narrow"]) < len(months["tickvals"]["wide"]) <= 18
    named = [text["en"] for text in months["ticktext"]["wide"]]
    assert [text for text in named if "<br>" in text] == ["Nov<br>2013", "Jan<br>2014", "Jan<br>2015"]
    days = pilot.figures[0]["layout"]["xaxis"]
    assert days["tickformat"] == {"en": "%b\n%Y", "zh": "%-m月\n%Y年"}
    assert days["dtick"] == {"wide": "M2", "narrow": "M4"}


def test_labels_share_a_row_only_where_they_do_not_meet() -> None:
    assert _rows([0.1, 0.15, 0.3, 0.8, 0.99], 0.1) == [0, 1, 0, 0, 0]
    assert _rows([0.1, 0.15, 0.18], 0.1) == [0, 1, 2]


def test_dates_outside_the_season_are_listed_and_not_drawn(tmp_path: Path) -> None:
    season = made_up_season()
    before = ANNOUNCED[0] | {"date": "2020-12-31", "title": "Long ago"}
    write_report(tmp_path / "x.html", season, summary_of(season), [*ANNOUNCED, before], PARAMETERS)
    page = Page((tmp_path / "x.html").read_text("utf-8"))
    assert "2020-12-31: Long ago" in page.text
    assert len(page.figures[0]["layout"]["annotations"]) == len(ANNOUNCED)


def test_offsets_stand_beside_the_allowance(pilot: Page) -> None:
    season = pilot_season()
    traces = pilot.figures[PILOT_CHARTS.index("offsets")]["data"]
    # Nobody traded CCER12, so that it has a price and no bars.
    assert [(trace["name"]["en"], trace["type"]) for trace in traces] == [
        ("BEA", "scatter"), ("CCER", "scatter"), ("CCER", "bar"), ("CCER12", "scatter"),
    ]  # fmt: skip
    value, qty = (sum(int(season.products["CCER"][f"{mode}_{what}"].sum()) for mode in ("listed", "block"))
                  for what in ("value_fen", "qty_t"))  # fmt: skip
    discount = 1 - value / qty / (season.total_value_fen.sum() / season.total_qty_t.sum())
    assert f"{discount:.1%}" in pilot.text


def test_sales_by_the_government_say_what_was_sold_and_why_not(pilot: Page) -> None:
    for text in ("200,000", "30,000 (15.0%)", "51.00", "sold in part", "✗ refused by the exchange", "AUCTION_RESERVE"):
        assert text in pilot.text


def test_compliance_tells_late_from_never(pilot: Page) -> None:
    firms = pilot_season().firms
    assert firms is not None
    for column in ("late_t", "made_up_t", "shortfall_t", "deducted_t", "next_deduction_t"):
        assert f"{firms[column].sum():,}" in pilot.text
    assert "at a mean price of 50.71 CNY/t" in pilot.text
    shares = pilot.figures[PILOT_CHARTS.index("compliance")]["data"][:3]
    assert [trace["name"]["en"] for trace in shares] == ["On time", "Made up late", "Not in full"]
    for parts in zip(*(trace["y"] for trace in shares), strict=True):
        assert sum(parts) == pytest.approx(1)


def test_refused_surrenders_are_counted_by_reason(pilot: Page) -> None:
    assert {"超过抵消比例上限", "a reason nobody translated"} <= {element["data-zh"] for element in pilot.texts}


def test_reasons_add_up_to_the_surplus(pilot: Page) -> None:
    *bars, surplus = pilot.figures[PILOT_CHARTS.index("allocation")]["data"]
    assert [trace["name"]["en"] for trace in bars] == ["own efficiency 效率", "heat 供热", "decline factor 下降系数"]
    for parts, whole in zip(zip(*(trace["x"] for trace in bars), strict=True), surplus["x"], strict=True):
        assert sum(parts) == pytest.approx(whole)
    assert "the firms together are short by 5.0% of what is due" in pilot.text
    assert "decline factor 下降系数 -12.0%" in pilot.text


def test_what_the_season_achieved_is_shown(pilot: Page, page: Page) -> None:
    for text in ("84.2%", "at a price of 47.30 CNY/t", "12,000 t had to be reduced"):
        assert text in pilot.text
    assert "achieved" not in page.text


def test_a_season_without_a_record_says_so(pilot: Page) -> None:
    assert "No monthly volume of this season was published" in pilot.text
    assert "no check of this season can be evidence" in pilot.text
    assert "could not be measured" in pilot.text


def without_deadline(season: Season) -> Season:
    assert season.firms is not None
    season.firms["surrendered_t"] = 0
    return replace(season, deadline=None)


def due_elsewhere(season: Season) -> Season:
    assert season.firms is not None
    season.firms["surrendered_t"] = 0
    return season


@pytest.mark.parametrize(
    ("change", "says"),
    [(without_deadline, "No deadline fell into this season"), (due_elsewhere, "what is due is due elsewhere")],
)
def test_nothing_due_is_a_sentence_and_no_failure(
    tmp_path: Path, change: Callable[[Season], Season], says: str
) -> None:
    season = change(pilot_season())
    summary = pilot_summary(season)
    summary["compliance"] |= {"rate_firms": None, "rate_volume": None}
    page = written_page(tmp_path, season, summary)
    assert says in page.text
    assert len(page.figures) == len(PILOT_CHARTS) - 1
    assert "achieved" not in page.text
    assert "changed hands in" in page.text


def test_a_season_without_any_trade_has_a_page(tmp_path: Path) -> None:
    season = pilot_season()
    assert season.firms is not None
    for mode in ("listed", "block", "auction"):
        season.days[f"{mode}_qty_t"] = season.days[f"{mode}_value_fen"] = 0
    season.days["spread_fen"] = np.nan
    season.firms["first_buy"] = season.firms["last_buy"] = np.datetime64("NaT")
    page = written_page(tmp_path, season, pilot_summary(season))
    for text in ("Nothing was traded among 187 firms", "No firm bought anything", "there is no spread to show"):
        assert text in page.text


def test_units_that_are_lost_are_said_to_be_lost(page: Page, tmp_path: Path) -> None:
    assert "✓ Nothing is lost." in page.text
    season = made_up_season()
    season.accounts["CEA"]["held_t"] -= 1
    assert "✗ IT DOES NOT ADD UP." in written_page(tmp_path, season, summary_of(season)).text


UNFITTED = [row for row in PARAMETERS if row["kind"] != "fitted"]


@pytest.mark.parametrize(
    ("parameters", "more", "says"),
    [
        (PARAMETERS, {}, "It was fitted to this very season"),
        (UNFITTED, {"parameters_from": "cea-2021"}, "what was fitted to cea-2021 is used as it is (out of sample)"),
        (UNFITTED, {}, "Nothing was fitted to this season: all its parameters"),
    ],
)
def test_the_page_says_what_was_fitted(tmp_path: Path, parameters: list[Any], more: dict[str, Any], says: str) -> None:
    season = made_up_season()
    text = written_page(tmp_path, season, summary_of(season) | more, parameters).text
    said = [
        s for s in ("fitted to this very season", "(out of sample)", "all its parameters are anchored") if s in text
    ]
    assert says in text
    assert len(said) == 1


def test_a_projection_says_so(page: Page, tmp_path: Path) -> None:
    season = made_up_season()
    assert "A projection:" in written_page(tmp_path, season, summary_of(season) | {"projection": True}).text
    assert "A projection:" not in page.text


def test_general_checks_not_asked_are_named_with_the_reason(tmp_path: Path) -> None:
    records = load_records("bea-2014")
    assert records.not_asked
    season = pilot_season()
    text = written_page(tmp_path, season, summary_of(season, "bea-2014")).text
    for name, reason in records.not_asked.items():
        assert f"{name}: {reason}" in text


def test_a_null_season_is_refused(tmp_path: Path) -> None:
    season = made_up_season()
    with pytest.raises(ValueError, match="firms"):
        write_report(tmp_path / "x.html", Season(days=season.days, firms=None), summary_of(season), [], [])


@pytest.mark.e2e
@pytest.mark.parametrize("width_px", [360, 1280])
@pytest.mark.parametrize("which", ["national", "pilot"])
def test_the_page_draws_offline_and_switches_language(written: Path, which: str, width_px: int) -> None:
    charts = CHARTS
    if which == "pilot":
        charts, season = PILOT_CHARTS, pilot_season()
        written = written.with_name("pilot.html")
        write_report(written, season, pilot_summary(season), ANNOUNCED, PARAMETERS)
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}; apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        context = browser.new_context(offline=True, viewport={"width": width_px, "height": 800})
        view = context.new_page()
        errors: list[str] = []
        requests: list[str] = []
        view.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        view.on("pageerror", lambda error: errors.append(str(error)))
        view.on("request", lambda request: requests.append(request.url))
        view.goto(written.as_uri())
        for name in charts:
            view.wait_for_selector(f"#chart-{name} .main-svg .trace path", state="attached", timeout=20_000)
        assert view.locator(".js-plotly-plot").count() == len(charts)
        assert view.evaluate("document.documentElement.scrollWidth") <= width_px
        view.click("#language")
        assert view.title().startswith("全国碳市场")
        view.wait_for_function("document.querySelector('#chart-price').textContent.includes('收盘价')")
        assert errors == []
        assert requests == [written.as_uri()]
        browser.close()
