"""The report is one offline page: everything is in it, nothing is loaded, failures show, texts are inert."""

import json
from html.parser import HTMLParser
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from sim.checks import CHECKS, load_records, run_checks
from sim.null import null_season
from sim.report import write_report
from sim.result import FIRM, Season

CHROMIUM = Path("/usr/bin/chromium")
CHARTS = ["price", "monthly", "modes", "book", "buyers", "weeks", "compliance"]
HOLIDAYS = ["2021-09-20", "2021-09-21", *(f"2021-10-0{day}" for day in range(1, 8))]
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


def made_up_season() -> Season:
    """Days of the null model with a made-up book, and 2,162 made-up firms of which a few fall short."""
    dates = np.arange("2021-07-16", "2022-01-01", dtype="datetime64[D]")
    days = null_season(3, dates[np.is_busday(dates, holidays=HOLIDAYS)]).days
    rng = np.random.default_rng(1)
    days["high_fen"] += rng.integers(0, 150, days.size)
    days["low_fen"] -= rng.integers(0, 150, days.size)
    days["spread_fen"] = rng.uniform(50, 150, days.size)
    days["spread_fen"][5] = np.nan
    days["depth_t"] = rng.uniform(20_000, 90_000, days.size)
    firms = np.zeros(2_162, FIRM)
    firms["group"] = rng.integers(-20, 20, firms.size).clip(-1)
    firms["emissions_t"] = rng.lognormal(14, 1.3, firms.size)
    firms["duty_t"] = firms["surrendered_t"] = firms["emissions_t"]
    short = rng.random(firms.size) < 0.15
    firms["shortfall_t"][short] = firms["duty_t"][short] // 20
    firms["surrendered_t"] -= firms["shortfall_t"]
    firms["fine_fen"][short] = 3_000_000
    bought = rng.random(firms.size) < 0.6
    last = days.size - 1 - rng.exponential(15, firms.size).astype(int).clip(0, 100)
    first = (last - rng.exponential(10, firms.size).astype(int)).clip(0)
    for column, day in (("first_buy", first), ("last_buy", last)):
        firms[column] = np.where(bought, days["date"][day], np.datetime64("NaT"))
    return Season(days=days, firms=firms)


def summary_of(season: Season) -> dict[str, Any]:
    """What `emex replay --json` would say about the made-up season."""
    assert season.firms is not None
    rates: dict[str, float | None] = dict.fromkeys((check.name for check in CHECKS), 0.25)
    rates |= dict.fromkeys(("firms_compliant", "volume_compliant", "spread_and_depth"))
    rates["block_share"] = 0.9
    volume = {"total": int(season.total_qty_t.sum()), "listed": int(season.days["listed_qty_t"].sum()),
              "block": int(season.days["block_qty_t"].sum())}  # fmt: skip
    months = np.datetime_as_string(season.days["date"].astype("datetime64[M]"))
    close = season.days["close_fen"] / 100
    price = {"first": close[0], "min": close.min(), "max": close.max(), "last": close[-1], "vwap": 42.85}
    compliance = {"firms": 1_833, "rate_firms": 0.848, "rate_volume": 0.995, "shortfall_t": 25_000_000,
                  "penalty_cny": 9_870_000, "offsets_used_t": 32_000_000}  # fmt: skip
    return {
        "scenario": "cea-2021", "title": TITLE, "title_zh": TITLE_ZH, "rules_hash": "5a1c0ffee5a1c0ff",
        "seed": 7, "version": "0.1.0", "days": season.days.size, "firms": season.firms.size,
        "orders": 123_456, "trades": 34_567, "volume_t": volume, "deadline": "2021-12-31",
        "milestone": "2021-12-15", "share_window": 0.6, "share_last_30d": 0.758, "share_last_60d": 0.887,
        "monthly_volume_t": {str(m): int(season.total_qty_t[months == m].sum()) for m in np.unique(months)},
        "price": price, "compliance": compliance, "checks": run_checks(season, load_records(), rates),
        "digest": "d1" * 32, "seconds": 7.3, "orders_per_second": 16_912.0,
        "conservation": {"units_held": True, "cash_held": True, "difference_t": 0},
    }  # fmt: skip


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
    for name in [check.name for check in CHECKS] + [str(row["name"]) for row in PARAMETERS]:
        assert name in page.text


def test_failing_checks_and_no_others_are_marked(page: Page) -> None:
    checks = summary_of(made_up_season())["checks"]
    failed = [check["name"] for check in checks if check["passed"] is False]
    assert page.failed == failed != []
    assert page.text.count("✗ FAILED") == len(failed)
    held = [check for check in checks if check["passed"]]
    evidence = [check for check in held if check["kind"] == "evidence"]
    assert f"{len(held)} of 18 hold, of those {len(evidence)} are evidence" in page.text


def test_the_page_loads_nothing(page: Page) -> None:
    assert page.loads == []


def test_every_chart_has_data_in_every_trace(page: Page) -> None:
    assert len(page.figures) == len(CHARTS)
    for figure in page.figures:
        for trace in figure["data"]:
            assert len(trace["x"]) == len(trace["y"]) > 0
            assert any(value is not None for value in trace["y"])


def test_the_record_stands_beside_the_simulated_months(page: Page) -> None:
    simulated, record = page.figures[CHARTS.index("monthly")]["data"]
    assert "Record" in record["name"]["en"]
    assert record["y"][-1] == load_records().monthly_volume.volume_t["2021-12"] / 1e6
    assert simulated["x"] == record["x"]
    assert load_records().monthly_volume.source in page.text


def test_announced_dates_are_listed_and_drawn_in_separate_rows(page: Page) -> None:
    for entry in ANNOUNCED:
        assert f"{entry['date']}: {entry['title']}" in page.text
    layout = page.figures[CHARTS.index("price")]["layout"]
    assert [label["x"] for label in layout["annotations"]] == [entry["date"] for entry in ANNOUNCED]
    assert len({label["ay"] for label in layout["annotations"]}) == len(ANNOUNCED)


def test_every_text_has_a_chinese_version(page: Page) -> None:
    assert all(element["data-en"] and element["data-zh"] for element in page.texts)
    assert TITLE_ZH in {element["data-zh"] for element in page.texts}
    for term in ("挂牌协议", "大宗协议", "履约", "清缴", "配额", "涨跌幅"):
        assert term in page.text


def test_the_season_can_be_repeated_from_the_page(page: Page) -> None:
    for text in ("emex replay cea-2021 --seed 7", "5a1c0ffee5a1c0ff", "0.1.0", "d1" * 32, "difference_t: 0"):
        assert text in page.text
    assert "fitted: constant_1" in page.text


def test_foreign_text_is_shown_and_not_run(tmp_path: Path) -> None:
    season = made_up_season()
    summary = summary_of(season) | {"title": HOSTILE, "title_zh": HOSTILE, "rules_hash": HOSTILE}
    for key in ("title", "title_zh", "note", "source"):
        summary["checks"][0][key] = HOSTILE
    announced = [entry | {"title": HOSTILE, "title_zh": HOSTILE} for entry in ANNOUNCED]
    texts = dict.fromkeys(("name", "value", "unit", "source", "meaning"), HOSTILE)
    write_report(tmp_path / "report.html", season, summary, announced, [row | texts for row in PARAMETERS])
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "<script>alert" not in text
    assert "<img src=http" not in text
    assert Page(text).text.count(HOSTILE) > 10


def test_the_page_is_written_in_time(tmp_path: Path) -> None:
    season = made_up_season()
    summary = summary_of(season)
    start = perf_counter()
    write_report(tmp_path / "report.html", season, summary, ANNOUNCED, PARAMETERS)
    assert perf_counter() - start < 1.5


def test_a_null_season_is_refused(tmp_path: Path) -> None:
    season = made_up_season()
    with pytest.raises(ValueError, match="firms"):
        write_report(tmp_path / "x.html", Season(days=season.days, firms=None), summary_of(season), [], [])


@pytest.mark.e2e
@pytest.mark.parametrize("width_px", [360, 1280])
def test_the_page_draws_offline_and_switches_language(written: Path, width_px: int) -> None:
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
        for name in CHARTS:
            view.wait_for_selector(f"#chart-{name} .main-svg .trace path", state="attached", timeout=20_000)
        assert view.locator(".js-plotly-plot").count() == len(CHARTS)
        assert view.evaluate("document.documentElement.scrollWidth") <= width_px
        view.click("#language")
        assert view.title().startswith("全国碳市场")
        view.wait_for_function("document.querySelector('#chart-price').textContent.includes('收盘价')")
        assert errors == []
        assert requests == [written.as_uri()]
        browser.close()
